"""Until when somebody who waits may choose, and how many people were there when they joined the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0010_waiting"
down_revision = "0009_desk_cards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("conversations", sa.Column("choose_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("handoffs", sa.Column("staff", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop them again."""
    op.drop_column("handoffs", "staff")
    op.drop_column("conversations", "choose_until")
