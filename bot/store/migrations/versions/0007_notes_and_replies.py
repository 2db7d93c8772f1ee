"""What agents keep ready and write for each other: notes, canned replies, macros."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_notes_and_replies"
down_revision = "0006_ticket_mails"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "notes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("after_seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_notes_conversation_id"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_notes_agent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
        sa.UniqueConstraint("idempotency_key", name="uq_notes_idempotency_key"),
    )
    op.create_index("ix_notes_conversation_id", "notes", ["conversation_id"], unique=False)
    for table, what in (
        ("canned_replies", sa.Column("body", sa.Text(), nullable=False)),
        ("macros", sa.Column("steps", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)),
    ):
        op.create_table(
            table,
            sa.Column("id", sa.String(length=40), nullable=False),
            sa.Column("brand", sa.String(length=40), nullable=False),
            sa.Column("name", sa.String(length=40), nullable=False),
            what,
            sa.Column("updated_by", sa.String(length=40), nullable=False),
            sa.Column("updated_at", _TIME, nullable=False),
            sa.ForeignKeyConstraint(["updated_by"], ["agents.id"], name=f"fk_{table}_updated_by"),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.UniqueConstraint("brand", "name", name=f"uq_{table}_brand_name"),
        )


def downgrade() -> None:
    """Drop them."""
    for table in ("macros", "canned_replies", "notes"):
        op.drop_table(table)
