"""Brings a database to the schema of this release, and says whether it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

_POSTGRESQL_LOCK = 0x5B07_5C4E  # any number, the same in every process that migrates


def upgrade(engine: Engine) -> None:
    """Run the missing migrations in one transaction; another process that starts meanwhile waits for it."""
    with engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})")
        if not _is_current(connection):
            command.upgrade(_config(connection), "head")


def is_current(engine: Engine) -> bool:
    """Whether every migration of this release has run."""
    with engine.connect() as connection:
        return _is_current(connection)


def _is_current(connection: Connection) -> bool:
    return set(MigrationContext.configure(connection).get_current_heads()) == _heads()


@cache
def _heads() -> frozenset[str]:
    """Where this release's migrations end. Found once: every migration is loaded for it, and readiness asks often."""
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
