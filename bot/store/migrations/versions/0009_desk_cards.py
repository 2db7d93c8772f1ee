"""Cards in a desk's room that are about an approval, and how far edits by the customer are told in a thread."""

import sqlalchemy as sa
from alembic import op

revision = "0009_desk_cards"
down_revision = "0008_reviews"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A card is about a hand-off, with its conversation, or about an approval."""
    with op.batch_alter_table("desk_threads") as threads:
        threads.alter_column("handoff_id", existing_type=sa.String(length=40), nullable=True)
        threads.alter_column("conversation_id", existing_type=sa.String(length=40), nullable=True)
        threads.add_column(sa.Column("approval_id", sa.String(length=40), nullable=True))
        threads.add_column(sa.Column("last_change", sa.String(length=40), nullable=False, server_default=""))
        threads.create_foreign_key("fk_desk_threads_approval_id", "approvals", ["approval_id"], ["id"])
        threads.create_unique_constraint("uq_desk_threads_approval_id_channel", ["approval_id", "channel"])
        threads.create_check_constraint("ck_desk_threads_about", "(handoff_id IS NULL) <> (approval_id IS NULL)")
    with op.batch_alter_table("desk_threads") as threads:
        threads.alter_column("last_change", existing_type=sa.String(length=40), server_default=None)


def downgrade() -> None:
    """Cards about approvals are forgotten."""
    op.execute("DELETE FROM desk_threads WHERE approval_id IS NOT NULL")
    with op.batch_alter_table("desk_threads") as threads:
        threads.drop_constraint("ck_desk_threads_about", type_="check")
        threads.drop_constraint("uq_desk_threads_approval_id_channel", type_="unique")
        threads.drop_constraint("fk_desk_threads_approval_id", type_="foreignkey")
        threads.drop_column("last_change")
        threads.drop_column("approval_id")
        threads.alter_column("conversation_id", existing_type=sa.String(length=40), nullable=False)
        threads.alter_column("handoff_id", existing_type=sa.String(length=40), nullable=False)
