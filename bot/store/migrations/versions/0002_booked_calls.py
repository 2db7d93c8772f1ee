"""Calls that customers book with a brand's team."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table of booked calls."""
    op.create_table(
        "booked_calls",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("ticket_id", sa.String(length=40), nullable=False),
        sa.Column("starts_at", _TIME, nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
        sa.Column("calendar_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name="ck_booked_calls_length"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_booked_calls_customer_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_booked_calls_ticket_id"),
        sa.ForeignKeyConstraint(["calendar_id"], ["attachments.id"], name="fk_booked_calls_calendar_id"),
        sa.PrimaryKeyConstraint("id", name="pk_booked_calls"),
        sa.UniqueConstraint("customer_id", "starts_at", name="uq_booked_calls_customer_id_starts_at"),
    )
    op.create_index("ix_booked_calls_customer_id", "booked_calls", ["customer_id"], unique=False)
    op.create_index("ix_booked_calls_ticket_id", "booked_calls", ["ticket_id"], unique=False)


def downgrade() -> None:
    """Drop the table of booked calls."""
    op.drop_table("booked_calls")
