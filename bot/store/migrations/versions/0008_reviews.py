"""What people at the desk say customers' messages meant, for the model to learn from."""

import sqlalchemy as sa
from alembic import op

revision = "0008_reviews"
down_revision = "0007_notes_and_replies"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("intent", sa.String(length=60), nullable=True),
        sa.Column("decided_at", _TIME, nullable=False),
        sa.Column("exported_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_reviews_message_id"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_reviews_agent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.UniqueConstraint("message_id", name="uq_reviews_message_id"),
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("reviews")
