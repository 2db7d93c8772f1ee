"""Runs the migrations on the connection that `bot.store.schema` hands over."""

from alembic import context


def _run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        transactional_ddl=True,  # SQLite too can roll back a half-done migration
    )
    context.run_migrations()


_run()
