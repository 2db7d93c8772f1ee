"""Channels that messages are pushed to: their users, events, installations, and desks on them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_push_channels"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_PENDING = sa.text("status = 'pending'")
_WAITING = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Create the tables of push channels."""
    op.add_column("conversations", sa.Column("channel_user", sa.String(length=200), nullable=True))
    op.create_index("ix_deliveries_pending", "deliveries", ["status"], sqlite_where=_PENDING, postgresql_where=_PENDING)
    op.create_table(
        "channel_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=250), nullable=False),
        sa.Column("sender", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("payload", _JSON, nullable=True),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_channel_events"),
        sa.UniqueConstraint("channel", "external_id", name="uq_channel_events_channel_external_id"),
    )
    op.create_index(
        "ix_channel_events_waiting",
        "channel_events",
        ["channel", "sender"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_table(
        "message_changes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=250), nullable=False),
        sa.CheckConstraint("kind IN ('edited', 'deleted')", name="ck_message_changes_kind"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_message_changes_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message_changes"),
        sa.UniqueConstraint("idempotency_key", name="uq_message_changes_idempotency_key"),
    )
    op.create_index("ix_message_changes_message_id", "message_changes", ["message_id"])
    op.create_table(
        "channel_installations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("workspace", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("bot_user", sa.String(length=40), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("installed_by", sa.String(length=40), nullable=False),
        sa.Column("installed_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_channel_installations"),
        sa.UniqueConstraint("channel", "workspace", name="uq_channel_installations_channel_workspace"),
    )
    op.create_table(
        "agent_links",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("channel_user", sa.String(length=200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_links_agent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agent_links"),
        sa.UniqueConstraint("channel", "channel_user", name="uq_agent_links_channel_channel_user"),
    )
    op.create_index("ix_agent_links_agent_id", "agent_links", ["agent_id"])
    op.create_table(
        "desk_threads",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("handoff_id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("room", sa.String(length=80), nullable=False),
        sa.Column("thread", sa.String(length=80), nullable=True),
        sa.Column("shown", sa.String(length=64), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["handoff_id"], ["handoffs.id"], name="fk_desk_threads_handoff_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_desk_threads_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_desk_threads"),
        sa.UniqueConstraint("handoff_id", "channel", name="uq_desk_threads_handoff_id_channel"),
    )
    op.create_index("ix_desk_threads_conversation_id", "desk_threads", ["conversation_id"])


def downgrade() -> None:
    """Drop the tables of push channels."""
    for table in (
        "desk_threads",
        "agent_links",
        "channel_installations",
        "message_changes",
        "channel_events",
    ):
        op.drop_table(table)
    op.drop_index("ix_deliveries_pending", "deliveries")
    with op.batch_alter_table("conversations") as batch:
        batch.drop_column("channel_user")
