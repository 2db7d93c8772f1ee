"""People in conversations: who is there, who waits since when and why, what was read, and how it was rated."""

import sqlalchemy as sa
from alembic import op

revision = "0005_people_in_conversations"
down_revision = "0004_pauses"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ADDED = {
    "conversations": (
        "handed_over_at",
        "handoff_reason",
        "priority",
        "team",
        "promised_until",
        "first_reply_at",
        "unanswered_since",
        "snoozed_until",
        "agent_read_seq",
        "customer_read_seq",
    ),
    "handoffs": ("agent_id", "position", "waited_seconds"),
    "messages": ("agent_id",),
}
_WITH_PEOPLE = sa.text("owner IN ('queued', 'human')")


def upgrade() -> None:
    """Add what people need to work in conversations."""
    time, short, name, number = "{time}", "VARCHAR(10)", "VARCHAR(40)", "INTEGER"
    _add(
        "conversations",
        f"handed_over_at {time} CONSTRAINT ck_conversations_people_have_it_since "
        "CHECK ((owner IN ('queued', 'human')) = (handed_over_at IS NOT NULL))",
        f"handoff_reason {name}",
        f"priority {short} DEFAULT 'normal' NOT NULL CONSTRAINT ck_conversations_priority "
        "CHECK (priority IN ('low', 'normal', 'high', 'urgent'))",
        f"team {name}",
        f"promised_until {time}",
        f"first_reply_at {time}",
        f"unanswered_since {time}",
        f"snoozed_until {time}",
        f"agent_read_seq {number} DEFAULT '0' NOT NULL",
        f"customer_read_seq {number} DEFAULT '0' NOT NULL",
    )
    op.create_index(
        "ix_conversations_with_people",
        "conversations",
        ["brand", "owner"],
        unique=False,
        sqlite_where=_WITH_PEOPLE,
        postgresql_where=_WITH_PEOPLE,
    )
    _add(
        "handoffs",
        f"agent_id {name} CONSTRAINT fk_handoffs_agent_id REFERENCES agents (id)",
        f"position {number}",
        f"waited_seconds {number}",
    )
    op.create_index("ix_handoffs_agent_id", "handoffs", ["agent_id"], unique=False)
    _add("messages", f"agent_id {name} CONSTRAINT fk_messages_agent_id REFERENCES agents (id)")
    op.create_index("ix_messages_agent_id", "messages", ["agent_id"], unique=False)
    op.create_table(
        "ratings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("handoff_id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("words", sa.String(length=2000), nullable=True),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("rated_at", _TIME, nullable=True),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="ck_ratings_score"),
        sa.CheckConstraint("(score IS NULL) = (rated_at IS NULL)", name="ck_ratings_rated"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_ratings_conversation_id"),
        sa.ForeignKeyConstraint(["handoff_id"], ["handoffs.id"], name="fk_ratings_handoff_id"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_ratings_agent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ratings"),
        sa.UniqueConstraint("handoff_id", name="uq_ratings_handoff_id"),
    )
    op.create_index("ix_ratings_brand", "ratings", ["brand"], unique=False)
    op.create_index("ix_ratings_conversation_id", "ratings", ["conversation_id"], unique=False)
    op.create_index("ix_ratings_agent_id", "ratings", ["agent_id"], unique=False)
    op.create_table(
        "presence",
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("away", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_presence_agent_id"),
        sa.PrimaryKeyConstraint("agent_id", name="pk_presence"),
    )


def _add(table: str, *columns: str) -> None:
    # With its constraints in the column's own words, because SQLite takes none later without copying the table.
    time = _TIME.compile(dialect=op.get_bind().dialect)
    for column in columns:
        # SQLite keeps the words, and SQLAlchemy reads a table's checks from them line by line.
        words = column.replace("{time}", time).replace(" CONSTRAINT", "\nCONSTRAINT")
        op.execute(f"ALTER TABLE {table} ADD COLUMN {words}")


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("presence")
    op.drop_table("ratings")
    op.drop_index("ix_messages_agent_id", table_name="messages")
    op.drop_index("ix_handoffs_agent_id", table_name="handoffs")
    op.drop_index("ix_conversations_with_people", table_name="conversations")
    for table, columns in _ADDED.items():
        for column in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
