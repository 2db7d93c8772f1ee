"""Pauses of subscriptions, and dated events that belong to one instead of to a cancellation."""

import sqlalchemy as sa
from alembic import op

revision = "0004_pauses"
down_revision = "0003_push_channels"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table of pauses and let events name one."""
    op.create_table(
        "pauses",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("length_id", sa.String(length=40), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("starts_at", _TIME, nullable=False),
        sa.Column("resumes_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("instead_of_cancelling", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("status IN ('scheduled', 'active', 'over', 'undone')", name="ck_pauses_status"),
        sa.CheckConstraint("resumes_at > starts_at AND starts_at >= requested_at", name="ck_pauses_dates"),
        sa.CheckConstraint("(status IN ('over', 'undone')) = (ended_at IS NOT NULL)", name="ck_pauses_ended"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_pauses_account_id"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name="fk_pauses_subscription_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_pauses_customer_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_pauses_decision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pauses"),
        sa.UniqueConstraint("reference", name="uq_pauses_reference"),
        sa.UniqueConstraint("idempotency_key", name="uq_pauses_idempotency_key"),
    )
    for column in ("account_id", "subscription_id", "customer_id", "decision_id"):
        op.create_index(f"ix_pauses_{column}", "pauses", [column], unique=False)
    is_open = sa.text("status IN ('scheduled', 'active')")
    op.create_index(
        "uq_pauses_open",
        "pauses",
        ["subscription_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    with op.batch_alter_table("lifecycle_events") as events:
        events.alter_column("cancellation_id", existing_type=sa.String(length=40), nullable=True)
        events.add_column(sa.Column("pause_id", sa.String(length=40), nullable=True))
        events.create_foreign_key("fk_lifecycle_events_pause_id", "pauses", ["pause_id"], ["id"])
        events.create_check_constraint("ck_lifecycle_events_cause", "(cancellation_id IS NULL) <> (pause_id IS NULL)")
        events.create_unique_constraint("uq_lifecycle_events_pause_id_kind_due_at", ["pause_id", "kind", "due_at"])
        events.create_index("ix_lifecycle_events_pause_id", ["pause_id"], unique=False)


def downgrade() -> None:
    """Forget pauses and what they promised."""
    op.execute("DELETE FROM lifecycle_events WHERE pause_id IS NOT NULL")
    with op.batch_alter_table("lifecycle_events") as events:
        events.drop_index("ix_lifecycle_events_pause_id")
        events.drop_constraint("uq_lifecycle_events_pause_id_kind_due_at", type_="unique")
        events.drop_constraint("ck_lifecycle_events_cause", type_="check")
        events.drop_constraint("fk_lifecycle_events_pause_id", type_="foreignkey")
        events.drop_column("pause_id")
        events.alter_column("cancellation_id", existing_type=sa.String(length=40), nullable=False)
    op.drop_table("pauses")
