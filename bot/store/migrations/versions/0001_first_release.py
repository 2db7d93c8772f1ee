"""All tables of the first release, and the audit log's triggers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, then make the audit log append-only."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("state", sa.String(length=3), nullable=True),
        sa.Column("crm_connected", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("erased_at", _TIME, nullable=True),
        sa.CheckConstraint("status IN ('active', 'closed', 'erased')", name="ck_accounts_status"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_table(
        "agents",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("brands", _JSON, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("role IN ('agent', 'supervisor', 'admin')", name="ck_agents_role"),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("email", name="uq_agents_email"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", _BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("data", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("erased_at", _TIME, nullable=True),
        sa.CheckConstraint("email = lower(email)", name="ck_customers_email_lower"),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
        sa.UniqueConstraint("brand", "email", name="uq_customers_brand_email"),
    )
    op.create_table(
        "demo_mails",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=250), nullable=False),
        sa.Column("sender", sa.String(length=500), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("plain", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("sent_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_demo_mails"),
        sa.UniqueConstraint("message_id", name="uq_demo_mails_message_id"),
    )
    op.create_index("ix_demo_mails_recipient", "demo_mails", ["recipient"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("payload", _JSON, nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", _TIME, nullable=False),
        sa.Column("last_error", sa.String(length=300), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("kind IN ('email', 'webhook', 'channel')", name="ck_outbox_kind"),
        sa.CheckConstraint("status IN ('pending', 'sent', 'dead')", name="ck_outbox_status"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("idempotency_key", name="uq_outbox_idempotency_key"),
    )
    op.create_index("ix_outbox_due", "outbox", ["status", "next_try_at"], unique=False)
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("window_start", _TIME, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rate_limits"),
    )
    op.create_table(
        "agent_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_sessions_agent_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_agent_sessions"),
    )
    op.create_index("ix_agent_sessions_agent_id", "agent_sessions", ["agent_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=True),
        sa.Column("proof_at", _TIME, nullable=True),
        sa.Column("proof_method", sa.String(length=20), nullable=True),
        sa.Column("owner", sa.String(length=10), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=True),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("dialogue", _JSON, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("(owner = 'human') = (agent_id IS NOT NULL)", name="ck_conversations_human_has_agent"),
        sa.CheckConstraint("owner IN ('bot', 'queued', 'human', 'closed')", name="ck_conversations_owner"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_conversations_agent_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_conversations_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.UniqueConstraint("channel", "external_id", name="uq_conversations_channel_external_id"),
    )
    op.create_index("ix_conversations_agent_id", "conversations", ["agent_id"], unique=False)
    op.create_index("ix_conversations_customer_id", "conversations", ["customer_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("channel_user", sa.String(length=200), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("linked_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_identities_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sa.UniqueConstraint("brand", "channel", "channel_user", name="uq_identities_brand_channel_channel_user"),
    )
    op.create_index("ix_identities_customer_id", "identities", ["customer_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'agent')", name="ck_memberships_role"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_memberships_account_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_memberships_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("account_id", "customer_id", name="uq_memberships_account_id_customer_id"),
    )
    op.create_index("ix_memberships_account_id", "memberships", ["account_id"], unique=False)
    op.create_index("ix_memberships_customer_id", "memberships", ["customer_id"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("deleted_at", _TIME, nullable=True),
        sa.CheckConstraint("count >= 0", name="ck_recordings_count"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_recordings_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.UniqueConstraint("account_id", name="uq_recordings_account_id"),
    )
    op.create_table(
        "registrations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.CheckConstraint("status IN ('pending', 'active', 'ended')", name="ck_registrations_status"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_registrations_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_registrations"),
    )
    op.create_index("ix_registrations_account_id", "registrations", ["account_id"], unique=False)
    op.create_table(
        "scheduled_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("send_at", _TIME, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.CheckConstraint("kind IN ('sms', 'rvm')", name="ck_scheduled_messages_kind"),
        sa.CheckConstraint("status IN ('scheduled', 'sent', 'credited')", name="ck_scheduled_messages_status"),
        sa.CheckConstraint("quantity > 0 AND unit_price_minor >= 0", name="ck_scheduled_messages_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_scheduled_messages_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_scheduled_messages"),
    )
    op.create_index("ix_scheduled_messages_account_id", "scheduled_messages", ["account_id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("product", sa.String(length=40), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("provisioning", sa.String(length=20), nullable=False),
        sa.Column("price_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("interval_months", sa.Integer(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("period_start", _TIME, nullable=False),
        sa.Column("period_end", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.CheckConstraint("provisioning IN ('ok', 'pending', 'failed')", name="ck_subscriptions_provisioning"),
        sa.CheckConstraint("status IN ('active', 'not_renewing', 'ended', 'failed')", name="ck_subscriptions_status"),
        sa.CheckConstraint("period_end > period_start", name="ck_subscriptions_period"),
        sa.CheckConstraint("price_minor >= 0", name="ck_subscriptions_price"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_subscriptions_account_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["subscriptions.id"], name="fk_subscriptions_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_account_id", "subscriptions", ["account_id"], unique=False)
    op.create_index("ix_subscriptions_parent_id", "subscriptions", ["parent_id"], unique=False)
    op.create_table(
        "wallets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("balance_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.CheckConstraint("balance_minor >= 0", name="ck_wallets_balance"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_wallets_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallets"),
        sa.UniqueConstraint("account_id", name="uq_wallets_account_id"),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=True),
        sa.Column("account_id", sa.String(length=40), nullable=True),
        sa.Column("conversation_id", sa.String(length=40), nullable=True),
        sa.Column("subject", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("matter", sa.String(length=40), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("rule_id", sa.String(length=40), nullable=False),
        sa.Column("policy_version", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("decision", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name="ck_decisions_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_decisions_account_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_decisions_conversation_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_decisions_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.UniqueConstraint("idempotency_key", name="uq_decisions_idempotency_key"),
    )
    op.create_index("ix_decisions_account_id", "decisions", ["account_id"], unique=False)
    op.create_index("ix_decisions_conversation_id", "decisions", ["conversation_id"], unique=False)
    op.create_index("ix_decisions_customer_id", "decisions", ["customer_id"], unique=False)
    op.create_index("ix_decisions_rule_id", "decisions", ["rule_id"], unique=False)
    op.create_table(
        "handoffs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("from_owner", sa.String(length=10), nullable=False),
        sa.Column("to_owner", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_handoffs_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_handoffs"),
        sa.UniqueConstraint("idempotency_key", name="uq_handoffs_idempotency_key"),
    )
    op.create_index("ix_handoffs_conversation_id", "handoffs", ["conversation_id"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=40), nullable=True),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("period_start", _TIME, nullable=True),
        sa.Column("period_end", _TIME, nullable=True),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.CheckConstraint("status IN ('open', 'paid', 'void')", name="ck_invoices_status"),
        sa.CheckConstraint("amount_minor >= 0", name="ck_invoices_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_invoices_account_id"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name="fk_invoices_subscription_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
    )
    op.create_index("ix_invoices_account_id", "invoices", ["account_id"], unique=False)
    op.create_index("ix_invoices_subscription_id", "invoices", ["subscription_id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("button_id", sa.String(length=40), nullable=True),
        sa.Column("buttons", _JSON, nullable=False),
        sa.Column("attachments", _JSON, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=250), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("in_reply_to", sa.String(length=40), nullable=True),
        sa.Column("understanding", _JSON, nullable=True),
        sa.Column("outcomes", _JSON, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("answered_at", _TIME, nullable=True),
        sa.CheckConstraint("author IN ('customer', 'bot', 'agent', 'system')", name="ck_messages_author"),
        sa.CheckConstraint("status IN ('received', 'answered', 'relayed', 'final')", name="ck_messages_status"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_messages_conversation_id"),
        sa.ForeignKeyConstraint(["in_reply_to"], ["messages.id"], name="fk_messages_in_reply_to"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("channel", "external_id", name="uq_messages_channel_external_id"),
        sa.UniqueConstraint("conversation_id", "seq", name="uq_messages_conversation_id_seq"),
    )
    op.create_index("ix_messages_in_reply_to", "messages", ["in_reply_to"], unique=False)
    op.create_index(
        "ix_messages_unanswered",
        "messages",
        ["status"],
        unique=False,
        sqlite_where=sa.text("status = 'received'"),
        postgresql_where=sa.text("status = 'received'"),
    )
    op.create_table(
        "one_time_codes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_try_key", sa.String(length=200), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_one_time_codes_conversation_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_one_time_codes_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_codes"),
        sa.UniqueConstraint("idempotency_key", name="uq_one_time_codes_idempotency_key"),
    )
    op.create_index("ix_one_time_codes_conversation_id", "one_time_codes", ["conversation_id"], unique=False)
    op.create_index("ix_one_time_codes_customer_id", "one_time_codes", ["customer_id"], unique=False)
    op.create_index("ix_one_time_codes_email", "one_time_codes", ["email"], unique=False)
    op.create_table(
        "phone_numbers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=40), nullable=True),
        sa.Column("e164", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("monthly_fee_minor", sa.Integer(), nullable=False),
        sa.Column("activated_at", _TIME, nullable=True),
        sa.Column("released_at", _TIME, nullable=True),
        sa.Column("ported_out_at", _TIME, nullable=True),
        sa.CheckConstraint(
            "status IN ('active', 'releasing', 'released', 'removed', 'ported_out', 'provisioning_failed')",
            name="ck_phone_numbers_status",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_phone_numbers_account_id"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name="fk_phone_numbers_subscription_id"),
        sa.PrimaryKeyConstraint("id", name="pk_phone_numbers"),
    )
    op.create_index("ix_phone_numbers_account_id", "phone_numbers", ["account_id"], unique=False)
    op.create_index("ix_phone_numbers_subscription_id", "phone_numbers", ["subscription_id"], unique=False)
    op.create_index(
        "uq_phone_numbers_held",
        "phone_numbers",
        ["e164"],
        unique=True,
        sqlite_where=sa.text("status IN ('active', 'releasing')"),
        postgresql_where=sa.text("status IN ('active', 'releasing')"),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=True),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("plain", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_receipts_conversation_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_receipts_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
        sa.UniqueConstraint("idempotency_key", name="uq_receipts_idempotency_key"),
        sa.UniqueConstraint("reference", name="uq_receipts_reference"),
    )
    op.create_index("ix_receipts_conversation_id", "receipts", ["conversation_id"], unique=False)
    op.create_index("ix_receipts_customer_id", "receipts", ["customer_id"], unique=False)
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=True),
        sa.Column("contact_email", sa.String(length=320), nullable=True),
        sa.Column("conversation_id", sa.String(length=40), nullable=True),
        sa.Column("assignee_id", sa.String(length=40), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.String(length=10), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="ck_tickets_priority"),
        sa.CheckConstraint("status IN ('open', 'pending', 'resolved', 'closed')", name="ck_tickets_status"),
        sa.ForeignKeyConstraint(["assignee_id"], ["agents.id"], name="fk_tickets_assignee_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_tickets_conversation_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_tickets_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sa.UniqueConstraint("idempotency_key", name="uq_tickets_idempotency_key"),
        sa.UniqueConstraint("reference", name="uq_tickets_reference"),
    )
    op.create_index("ix_tickets_assignee_id", "tickets", ["assignee_id"], unique=False)
    op.create_index("ix_tickets_conversation_id", "tickets", ["conversation_id"], unique=False)
    op.create_index("ix_tickets_customer_id", "tickets", ["customer_id"], unique=False)
    op.create_table(
        "wallet_entries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("wallet_id", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name="fk_wallet_entries_wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_entries"),
        sa.UniqueConstraint("idempotency_key", name="uq_wallet_entries_idempotency_key"),
    )
    op.create_index("ix_wallet_entries_wallet_id", "wallet_entries", ["wallet_id"], unique=False)
    op.create_table(
        "widget_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_widget_sessions_conversation_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_widget_sessions"),
    )
    op.create_index("ix_widget_sessions_conversation_id", "widget_sessions", ["conversation_id"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_attachments_conversation_id"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_attachments_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attachments"),
    )
    op.create_index("ix_attachments_conversation_id", "attachments", ["conversation_id"], unique=False)
    op.create_index("ix_attachments_message_id", "attachments", ["message_id"], unique=False)
    op.create_table(
        "cancellations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("effective_at", _TIME, nullable=False),
        sa.Column("undo_until", _TIME, nullable=True),
        sa.Column("undone_at", _TIME, nullable=True),
        sa.Column("reason_id", sa.String(length=40), nullable=True),
        sa.Column("reason_text", sa.String(length=1000), nullable=True),
        sa.Column("consents", _JSON, nullable=False),
        sa.Column("offers", _JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("status IN ('scheduled', 'effective', 'undone')", name="ck_cancellations_status"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_cancellations_account_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_cancellations_customer_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_cancellations_decision_id"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name="fk_cancellations_subscription_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cancellations"),
        sa.UniqueConstraint("idempotency_key", name="uq_cancellations_idempotency_key"),
        sa.UniqueConstraint("reference", name="uq_cancellations_reference"),
    )
    op.create_index("ix_cancellations_account_id", "cancellations", ["account_id"], unique=False)
    op.create_index("ix_cancellations_customer_id", "cancellations", ["customer_id"], unique=False)
    op.create_index("ix_cancellations_decision_id", "cancellations", ["decision_id"], unique=False)
    op.create_index("ix_cancellations_subscription_id", "cancellations", ["subscription_id"], unique=False)
    op.create_index(
        "uq_cancellations_open",
        "cancellations",
        ["subscription_id"],
        unique=True,
        sqlite_where=sa.text("status = 'scheduled'"),
        postgresql_where=sa.text("status = 'scheduled'"),
    )
    op.create_table(
        "charges",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("invoice_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("charged_at", _TIME, nullable=False),
        sa.Column("refunded_minor", sa.Integer(), nullable=False),
        sa.Column("credited_minor", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('subscription', 'one_time', 'fee')", name="ck_charges_kind"),
        sa.CheckConstraint("amount_minor > 0", name="ck_charges_amount"),
        sa.CheckConstraint(
            "refunded_minor >= 0 AND credited_minor >= 0 AND refunded_minor + credited_minor <= amount_minor",
            name="ck_charges_remedied",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_charges_account_id"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name="fk_charges_invoice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_charges"),
    )
    op.create_index("ix_charges_account_id", "charges", ["account_id"], unique=False)
    op.create_index("ix_charges_invoice_id", "charges", ["invoice_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(length=250), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.Column("delivered_at", _TIME, nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="ck_deliveries_status"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_deliveries_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("message_id", name="uq_deliveries_message_id"),
    )
    op.create_table(
        "inbound_sms",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("phone_number_id", sa.String(length=40), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("sender_kind", sa.String(length=20), nullable=False),
        sa.CheckConstraint("sender_kind IN ('mobile', 'platform')", name="ck_inbound_sms_sender_kind"),
        sa.ForeignKeyConstraint(["phone_number_id"], ["phone_numbers.id"], name="fk_inbound_sms_phone_number_id"),
        sa.PrimaryKeyConstraint("id", name="pk_inbound_sms"),
    )
    op.create_index("ix_inbound_sms_phone_number_id", "inbound_sms", ["phone_number_id"], unique=False)
    op.create_table(
        "investigations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("ticket_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("phone_number_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("had_fair_chance", sa.Boolean(), nullable=False),
        sa.Column("restored", sa.Boolean(), nullable=False),
        sa.Column("replaced", sa.Boolean(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.CheckConstraint(
            "cause IN ('unknown', 'ours', 'provider', 'platform', 'customer')", name="ck_investigations_cause"
        ),
        sa.CheckConstraint("status IN ('open', 'closed')", name="ck_investigations_status"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_investigations_account_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_investigations_customer_id"),
        sa.ForeignKeyConstraint(["phone_number_id"], ["phone_numbers.id"], name="fk_investigations_phone_number_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_investigations_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_investigations"),
    )
    op.create_index("ix_investigations_account_id", "investigations", ["account_id"], unique=False)
    op.create_index("ix_investigations_customer_id", "investigations", ["customer_id"], unique=False)
    op.create_index("ix_investigations_phone_number_id", "investigations", ["phone_number_id"], unique=False)
    op.create_index("ix_investigations_ticket_id", "investigations", ["ticket_id"], unique=False)
    op.create_index(
        "uq_investigations_open",
        "investigations",
        ["phone_number_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "ticket_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("ticket_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_ticket_events_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_events"),
        sa.UniqueConstraint("idempotency_key", name="uq_ticket_events_idempotency_key"),
    )
    op.create_index("ix_ticket_events_ticket_id", "ticket_events", ["ticket_id"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("ticket_id", sa.String(length=40), nullable=True),
        sa.Column("charge_id", sa.String(length=40), nullable=True),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("approvers_needed", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("choice", sa.String(length=20), nullable=True),
        sa.Column("first_agent_id", sa.String(length=40), nullable=True),
        sa.Column("first_at", _TIME, nullable=True),
        sa.Column("second_agent_id", sa.String(length=40), nullable=True),
        sa.Column("second_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("choice IS NULL OR choice IN ('refund', 'credit')", name="ck_approvals_choice"),
        sa.CheckConstraint("status IN ('pending', 'approved', 'denied')", name="ck_approvals_status"),
        sa.CheckConstraint("approvers_needed IN (1, 2)", name="ck_approvals_approvers"),
        sa.CheckConstraint(
            "second_agent_id IS NULL OR second_agent_id <> first_agent_id", name="ck_approvals_two_people"
        ),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name="fk_approvals_charge_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_approvals_decision_id"),
        sa.ForeignKeyConstraint(["first_agent_id"], ["agents.id"], name="fk_approvals_first_agent_id"),
        sa.ForeignKeyConstraint(["second_agent_id"], ["agents.id"], name="fk_approvals_second_agent_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_approvals_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.UniqueConstraint("decision_id", name="uq_approvals_decision_id"),
    )
    op.create_index("ix_approvals_charge_id", "approvals", ["charge_id"], unique=False)
    op.create_index("ix_approvals_first_agent_id", "approvals", ["first_agent_id"], unique=False)
    op.create_index("ix_approvals_second_agent_id", "approvals", ["second_agent_id"], unique=False)
    op.create_index("ix_approvals_ticket_id", "approvals", ["ticket_id"], unique=False)
    op.create_index(
        "uq_approvals_open_charge",
        "approvals",
        ["charge_id"],
        unique=True,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "credits",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("charge_id", sa.String(length=40), nullable=True),
        sa.Column("decision_id", sa.String(length=40), nullable=True),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="ck_credits_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_credits_account_id"),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name="fk_credits_charge_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_credits_decision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_credits"),
        sa.UniqueConstraint("charge_id", name="uq_credits_charge_id"),
        sa.UniqueConstraint("idempotency_key", name="uq_credits_idempotency_key"),
        sa.UniqueConstraint("reference", name="uq_credits_reference"),
    )
    op.create_index("ix_credits_account_id", "credits", ["account_id"], unique=False)
    op.create_index("ix_credits_decision_id", "credits", ["decision_id"], unique=False)
    op.create_table(
        "lifecycle_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("cancellation_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("rule_id", sa.String(length=40), nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("done_at", _TIME, nullable=True),
        sa.Column("result", _JSON, nullable=True),
        sa.CheckConstraint("status IN ('scheduled', 'done', 'called_off')", name="ck_lifecycle_events_status"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_lifecycle_events_account_id"),
        sa.ForeignKeyConstraint(["cancellation_id"], ["cancellations.id"], name="fk_lifecycle_events_cancellation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lifecycle_events"),
        sa.UniqueConstraint(
            "cancellation_id",
            "kind",
            "subject_id",
            "due_at",
            name="uq_lifecycle_events_cancellation_id_kind_subject_id_due_at",
        ),
    )
    op.create_index("ix_lifecycle_events_account_id", "lifecycle_events", ["account_id"], unique=False)
    op.create_index("ix_lifecycle_events_cancellation_id", "lifecycle_events", ["cancellation_id"], unique=False)
    op.create_index("ix_lifecycle_events_due", "lifecycle_events", ["status", "due_at"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("charge_id", sa.String(length=40), nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.CheckConstraint("status IN ('issued', 'paid')", name="ck_refunds_status"),
        sa.CheckConstraint("amount_minor > 0", name="ck_refunds_amount"),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name="fk_refunds_charge_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_refunds_customer_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_refunds_decision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_refunds"),
        sa.UniqueConstraint("charge_id", name="uq_refunds_charge_id"),
        sa.UniqueConstraint("idempotency_key", name="uq_refunds_idempotency_key"),
        sa.UniqueConstraint("reference", name="uq_refunds_reference"),
    )
    op.create_index("ix_refunds_customer_id", "refunds", ["customer_id"], unique=False)
    op.create_index("ix_refunds_decision_id", "refunds", ["decision_id"], unique=False)

    _protect_audit_log(op.get_bind().dialect.name)


def _protect_audit_log(dialect: str) -> None:
    if dialect == "postgresql":
        op.execute(
            """
            CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'restrict_violation';
            END $$
            """
        )
        op.execute(
            "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log "
            "FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only()"
        )
        op.execute(
            "CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_log_no_{verb.lower()} BEFORE {verb} ON audit_log "
            "BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END"
        )


def downgrade() -> None:
    """Drop everything this step created."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_log_no_change ON audit_log")
        op.execute("DROP TRIGGER audit_log_no_truncate ON audit_log")
        op.execute("DROP FUNCTION audit_log_is_append_only()")
    for table in (
        "refunds",
        "lifecycle_events",
        "credits",
        "approvals",
        "ticket_events",
        "investigations",
        "inbound_sms",
        "deliveries",
        "charges",
        "cancellations",
        "attachments",
        "widget_sessions",
        "wallet_entries",
        "tickets",
        "receipts",
        "phone_numbers",
        "one_time_codes",
        "messages",
        "invoices",
        "handoffs",
        "decisions",
        "wallets",
        "subscriptions",
        "scheduled_messages",
        "registrations",
        "recordings",
        "memberships",
        "identities",
        "conversations",
        "agent_sessions",
        "rate_limits",
        "outbox",
        "demo_mails",
        "customers",
        "counters",
        "audit_log",
        "agents",
        "accounts",
    ):
        op.drop_table(table)
