"""Mail threads of cases, the files that came with them, and cases that were merged."""

import sqlalchemy as sa
from alembic import op

revision = "0006_ticket_mails"
down_revision = "0005_people_in_conversations"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ID = sa.String(length=40)
_JSON = sa.JSON(none_as_null=True).with_variant(sa.dialects.postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "ticket_mails",
        sa.Column("id", _ID, nullable=False),
        sa.Column("ticket_id", _ID, nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("message_id", sa.String(length=250), nullable=False),
        sa.Column("sender", sa.String(length=320), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("files", _JSON, nullable=False),
        sa.Column("is_other", sa.Boolean(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=250), nullable=False),
        sa.CheckConstraint("direction IN ('in', 'out')", name="ck_ticket_mails_direction"),
        sa.CheckConstraint("kind IN ('reply', 'auto', 'bounce')", name="ck_ticket_mails_kind"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_mails_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_mails"),
        sa.UniqueConstraint("message_id", name="uq_ticket_mails_message_id"),
        sa.UniqueConstraint("idempotency_key", name="uq_ticket_mails_idempotency_key"),
    )
    op.create_index("ix_ticket_mails_ticket_id", "ticket_mails", ["ticket_id"], unique=False)
    op.create_table(
        "ticket_files",
        sa.Column("id", _ID, nullable=False),
        sa.Column("ticket_id", _ID, nullable=False),
        sa.Column("mail_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_files_ticket_id"),
        sa.ForeignKeyConstraint(["mail_id"], ["ticket_mails.id"], name="fk_ticket_files_mail_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_files"),
    )
    op.create_index("ix_ticket_files_ticket_id", "ticket_files", ["ticket_id"], unique=False)
    op.create_index("ix_ticket_files_mail_id", "ticket_files", ["mail_id"], unique=False)
    op.create_table(
        "ticket_merges",
        sa.Column("ticket_id", _ID, nullable=False),
        sa.Column("into_id", _ID, nullable=False),
        sa.Column("agent_id", _ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.CheckConstraint("ticket_id <> into_id", name="ck_ticket_merges_another"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_merges_ticket_id"),
        sa.ForeignKeyConstraint(["into_id"], ["tickets.id"], name="fk_ticket_merges_into_id"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_ticket_merges_agent_id"),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_ticket_merges"),
    )
    op.create_index("ix_ticket_merges_into_id", "ticket_merges", ["into_id"], unique=False)
    op.create_index("ix_ticket_merges_agent_id", "ticket_merges", ["agent_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("ticket_merges", "ticket_files", "ticket_mails"):
        op.drop_table(table)
