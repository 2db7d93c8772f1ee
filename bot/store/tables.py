"""The tables: what is kept, what must be unique and what can never be true, stated in the schema itself."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declarative_base
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
if TYPE_CHECKING:

    class Base:
        """What a type checker needs to know: a row is made from its columns by name."""

        def __init__(self, **columns: Any) -> None: ...

else:
    Base = declarative_base(metadata=metadata)


class UtcDateTime(TypeDecorator):  # type: ignore[misc]
    """An aware UTC time. SQLite forgets zones, so the zone is put back on reading; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was about to be stored; times are aware UTC")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _id() -> Column[str]:
    return Column(String(40), primary_key=True)


def _ref(target: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    return Column(String(40), ForeignKey(target), nullable=nullable, index=index)


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _unique_where(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, unique=True, sqlite_where=sql(where), postgresql_where=sql(where))


# --- who -----------------------------------------------------------------------------------------------------------


class Customer(Base):
    """A person known to one brand by e-mail. Erasing empties the personal columns and keeps the row."""

    __tablename__ = "customers"
    id = _id()
    brand = Column(String(40), nullable=False)
    email = Column(String(320), nullable=False)
    name = Column(String(200), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    erased_at = Column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("brand", "email"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )


class Account(Base):
    """What a brand bills: owns subscriptions, numbers and a wallet."""

    __tablename__ = "accounts"
    id = _id()
    brand = Column(String(40), nullable=False)
    name = Column(String(200), nullable=False)
    country = Column(String(2), nullable=False, default="US")
    state = Column(String(3))
    crm_connected = Column(Boolean, nullable=False, default=False)
    status = Column(String(20), nullable=False, default="active")
    created_at = Column(UtcDateTime, nullable=False)
    erased_at = Column(UtcDateTime)
    __table_args__ = (_one_of("status", "active", "closed", "erased"),)


class Membership(Base):
    """A customer's role in an account."""

    __tablename__ = "memberships"
    id = _id()
    account_id = _ref("accounts.id")
    customer_id = _ref("customers.id")
    role = Column(String(20), nullable=False)
    __table_args__ = (UniqueConstraint("account_id", "customer_id"), _one_of("role", "owner", "admin", "agent"))


# --- what they have ------------------------------------------------------------------------------------------------


class Subscription(Base):
    """One thing that renews: a rented number, a plan or a product, as the brand's pack names it."""

    __tablename__ = "subscriptions"
    id = _id()  # public, such as SUB-1042
    account_id = _ref("accounts.id")
    product = Column(String(40), nullable=False)
    plan = Column(String(80), nullable=False)
    status = Column(String(20), nullable=False)
    provisioning = Column(String(20), nullable=False, default="ok")
    price_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    interval_months = Column(Integer, nullable=False, default=1)
    started_at = Column(UtcDateTime, nullable=False)
    period_start = Column(UtcDateTime, nullable=False)
    period_end = Column(UtcDateTime, nullable=False)
    ended_at = Column(UtcDateTime)
    parent_id = _ref("subscriptions.id", nullable=True)
    __table_args__ = (
        _one_of("status", "active", "not_renewing", "ended", "failed"),
        _one_of("provisioning", "ok", "pending", "failed"),
        CheckConstraint("price_minor >= 0", name="price"),
        CheckConstraint("period_end > period_start", name="period"),
    )


class PhoneNumber(Base):
    """A phone number held for an account; the same number may be held again by another after release."""

    __tablename__ = "phone_numbers"
    id = _id()
    account_id = _ref("accounts.id")
    subscription_id = _ref("subscriptions.id", nullable=True)
    e164 = Column(String(16), nullable=False)
    status = Column(String(20), nullable=False)
    monthly_fee_minor = Column(Integer, nullable=False, default=0)
    activated_at = Column(UtcDateTime)
    released_at = Column(UtcDateTime)
    ported_out_at = Column(UtcDateTime)
    __table_args__ = (
        _one_of("status", "active", "releasing", "released", "removed", "ported_out", "provisioning_failed"),
        _unique_where("uq_phone_numbers_held", "e164", where="status IN ('active', 'releasing')"),
    )


class InboundSms(Base):
    """That a number received a text, from what kind of sender; never the text."""

    __tablename__ = "inbound_sms"
    id = _id()
    phone_number_id = _ref("phone_numbers.id")
    received_at = Column(UtcDateTime, nullable=False)
    sender_kind = Column(String(20), nullable=False)
    __table_args__ = (_one_of("sender_kind", "mobile", "platform"),)


class Wallet(Base):
    """Prepaid balance of an account; it never goes below zero."""

    __tablename__ = "wallets"
    id = _id()
    account_id = Column(String(40), ForeignKey("accounts.id"), nullable=False, unique=True)
    balance_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    __table_args__ = (CheckConstraint("balance_minor >= 0", name="balance"),)


class WalletEntry(Base):
    """One movement of a wallet, with its idempotency key."""

    __tablename__ = "wallet_entries"
    id = _id()
    wallet_id = _ref("wallets.id")
    amount_minor = Column(Integer, nullable=False)
    kind = Column(String(40), nullable=False)
    note = Column(String(200), nullable=False, default="")
    at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)


class ScheduledMessage(Base):
    """Text messages or ringless voicemails waiting to be sent, already paid for."""

    __tablename__ = "scheduled_messages"
    id = _id()
    account_id = _ref("accounts.id")
    kind = Column(String(10), nullable=False)
    quantity = Column(Integer, nullable=False)
    unit_price_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    send_at = Column(UtcDateTime, nullable=False)
    status = Column(String(20), nullable=False, default="scheduled")
    __table_args__ = (
        _one_of("kind", "sms", "rvm"),
        _one_of("status", "scheduled", "sent", "credited"),
        CheckConstraint("quantity > 0 AND unit_price_minor >= 0", name="amount"),
    )


class Registration(Base):
    """A carrier registration (10DLC) of an account."""

    __tablename__ = "registrations"
    id = _id()
    account_id = _ref("accounts.id")
    kind = Column(String(20), nullable=False, default="10dlc")
    status = Column(String(20), nullable=False)
    ended_at = Column(UtcDateTime)
    __table_args__ = (_one_of("status", "pending", "active", "ended"),)


class Recordings(Base):
    """How many call recordings an account holds."""

    __tablename__ = "recordings"
    id = _id()
    account_id = Column(String(40), ForeignKey("accounts.id"), nullable=False, unique=True)
    count = Column(Integer, nullable=False)
    deleted_at = Column(UtcDateTime)
    __table_args__ = (CheckConstraint("count >= 0", name="count"),)


# --- money ---------------------------------------------------------------------------------------------------------


class Invoice(Base):
    """A bill for one period of one subscription."""

    __tablename__ = "invoices"
    id = _id()  # public, such as INV-2005
    account_id = _ref("accounts.id")
    subscription_id = _ref("subscriptions.id", nullable=True)
    amount_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    status = Column(String(20), nullable=False)
    period_start = Column(UtcDateTime)
    period_end = Column(UtcDateTime)
    issued_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (
        _one_of("status", "open", "paid", "void"),
        CheckConstraint("amount_minor >= 0", name="amount"),
    )


class Charge(Base):
    """Money taken for an invoice. What went back can never exceed what was taken."""

    __tablename__ = "charges"
    id = _id()
    account_id = _ref("accounts.id")
    invoice_id = _ref("invoices.id")
    kind = Column(String(20), nullable=False, default="subscription")
    amount_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    charged_at = Column(UtcDateTime, nullable=False)
    refunded_minor = Column(Integer, nullable=False, default=0)
    credited_minor = Column(Integer, nullable=False, default=0)
    __table_args__ = (
        _one_of("kind", "subscription", "one_time", "fee"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint(
            "refunded_minor >= 0 AND credited_minor >= 0 AND refunded_minor + credited_minor <= amount_minor",
            name="remedied",
        ),
    )


class Decision(Base):
    """What the policy decided, with the facts and the pack's version, so that it can be replayed."""

    __tablename__ = "decisions"
    id = _id()
    brand = Column(String(40), nullable=False)
    customer_id = _ref("customers.id", nullable=True)
    account_id = _ref("accounts.id", nullable=True)
    conversation_id = _ref("conversations.id", nullable=True)
    subject = Column(String(40))  # the subscription, charge or invoice it is about
    kind = Column(String(40), nullable=False)
    matter = Column(String(40))
    outcome = Column(String(40), nullable=False)
    rule_id = Column(String(40), nullable=False, index=True)
    policy_version = Column(String(40), nullable=False)
    amount_minor = Column(Integer, nullable=False, default=0)
    currency = Column(String(3), nullable=False)
    request = Column(Json, nullable=False)
    facts = Column(Json, nullable=False)
    decision = Column(Json, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (CheckConstraint("amount_minor >= 0", name="amount"),)


class Approval(Base):
    """What the policy leaves to a person: one row a decision, decided at most once."""

    __tablename__ = "approvals"
    id = _id()
    decision_id = Column(String(40), ForeignKey("decisions.id"), nullable=False, unique=True)
    ticket_id = _ref("tickets.id", nullable=True)
    charge_id = _ref("charges.id", nullable=True)
    amount_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    approvers_needed = Column(Integer, nullable=False, default=1)
    status = Column(String(20), nullable=False, default="pending")
    choice = Column(String(20))
    first_agent_id = _ref("agents.id", nullable=True)
    first_at = Column(UtcDateTime)
    second_agent_id = _ref("agents.id", nullable=True)
    second_at = Column(UtcDateTime)
    created_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (
        _one_of("status", "pending", "approved", "denied"),
        CheckConstraint("choice IS NULL OR choice IN ('refund', 'credit')", name="choice"),
        CheckConstraint("second_agent_id IS NULL OR second_agent_id <> first_agent_id", name="two_people"),
        CheckConstraint("approvers_needed IN (1, 2)", name="approvers"),
        # One open request for money per charge: asking again shows the first.
        _unique_where("uq_approvals_open_charge", "charge_id", where="status = 'pending'"),
    )


class Refund(Base):
    """Money going back for one charge: at most one, by a unique key."""

    __tablename__ = "refunds"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)  # RFD-000123
    charge_id = Column(String(40), ForeignKey("charges.id"), nullable=False, unique=True)
    decision_id = _ref("decisions.id")
    customer_id = _ref("customers.id")
    amount_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    status = Column(String(20), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (_one_of("status", "issued", "paid"), CheckConstraint("amount_minor > 0", name="amount"))


class Credit(Base):
    """Service credit given to an account; for a charge at most one."""

    __tablename__ = "credits"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)  # CRD-000123
    account_id = _ref("accounts.id")
    charge_id = Column(String(40), ForeignKey("charges.id"), unique=True)
    decision_id = _ref("decisions.id", nullable=True)
    amount_minor = Column(Integer, nullable=False)
    currency = Column(String(3), nullable=False)
    reason = Column(String(200), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount"),)


# --- cancelling and what follows -----------------------------------------------------------------------------------


class Cancellation(Base):
    """A subscription will end; at most one open cancellation a subscription."""

    __tablename__ = "cancellations"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)  # CAN-000123
    account_id = _ref("accounts.id")
    subscription_id = _ref("subscriptions.id")
    customer_id = _ref("customers.id")
    decision_id = _ref("decisions.id")
    status = Column(String(20), nullable=False)
    requested_at = Column(UtcDateTime, nullable=False)
    effective_at = Column(UtcDateTime, nullable=False)
    undo_until = Column(UtcDateTime)
    undone_at = Column(UtcDateTime)
    reason_id = Column(String(40))
    reason_text = Column(String(1000))
    consents = Column(Json, nullable=False)  # [{id, version, wording, at}]
    offers = Column(Json, nullable=False)  # alternatives that were shown
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (
        _one_of("status", "scheduled", "effective", "undone"),
        _unique_where("uq_cancellations_open", "subscription_id", where="status = 'scheduled'"),
    )


class Pause(Base):
    """A subscription rests for a while and costs nothing; at most one that is to come or under way a subscription.

    `ended_at` is when it ended, by itself or earlier; one that was called off before it began is `undone`.
    """

    __tablename__ = "pauses"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)  # PAU-000123
    account_id = _ref("accounts.id")
    subscription_id = _ref("subscriptions.id")
    customer_id = _ref("customers.id")
    decision_id = _ref("decisions.id")
    status = Column(String(20), nullable=False)
    length_id = Column(String(40), nullable=False)
    requested_at = Column(UtcDateTime, nullable=False)
    starts_at = Column(UtcDateTime, nullable=False)
    resumes_at = Column(UtcDateTime, nullable=False)
    ended_at = Column(UtcDateTime)
    instead_of_cancelling = Column(Boolean, nullable=False, default=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (
        _one_of("status", "scheduled", "active", "over", "undone"),
        CheckConstraint("resumes_at > starts_at AND starts_at >= requested_at", name="dates"),
        CheckConstraint("(status IN ('over', 'undone')) = (ended_at IS NOT NULL)", name="ended"),
        _unique_where("uq_pauses_open", "subscription_id", where="status IN ('scheduled', 'active')"),
    )


class LifecycleEvent(Base):
    """Something that a cancellation or a pause promised for a date; done once, or called off."""

    __tablename__ = "lifecycle_events"
    id = _id()
    cancellation_id = _ref("cancellations.id", nullable=True)
    pause_id = _ref("pauses.id", nullable=True)
    account_id = _ref("accounts.id")
    kind = Column(String(40), nullable=False)
    subject_id = Column(String(40), nullable=False)
    rule_id = Column(String(40), nullable=False)
    due_at = Column(UtcDateTime, nullable=False)
    status = Column(String(20), nullable=False, default="scheduled")
    done_at = Column(UtcDateTime)
    result = Column(Json)
    __table_args__ = (
        _one_of("status", "scheduled", "done", "called_off"),
        CheckConstraint("(cancellation_id IS NULL) <> (pause_id IS NULL)", name="cause"),
        UniqueConstraint("cancellation_id", "kind", "subject_id", "due_at"),
        UniqueConstraint("pause_id", "kind", "due_at"),
        Index("ix_lifecycle_events_due", "status", "due_at"),
    )


class Investigation(Base):
    """Why a number does not work: opened by a customer's report, closed by our engineers."""

    __tablename__ = "investigations"
    id = _id()
    ticket_id = _ref("tickets.id")
    account_id = _ref("accounts.id")
    customer_id = _ref("customers.id")
    phone_number_id = _ref("phone_numbers.id")
    status = Column(String(20), nullable=False)
    details = Column(Json, nullable=False)  # what was collected, by the pack's field names
    cause = Column(String(20), nullable=False, default="unknown")
    had_fair_chance = Column(Boolean, nullable=False, default=False)
    restored = Column(Boolean, nullable=False, default=False)
    replaced = Column(Boolean, nullable=False, default=False)
    opened_at = Column(UtcDateTime, nullable=False)
    closed_at = Column(UtcDateTime)
    __table_args__ = (
        _one_of("status", "open", "closed"),
        _one_of("cause", "unknown", "ours", "provider", "platform", "customer"),
        _unique_where("uq_investigations_open", "phone_number_id", where="status = 'open'"),
    )


class Receipt(Base):
    """Durable record of something done, as the customer got it."""

    __tablename__ = "receipts"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)
    brand = Column(String(40), nullable=False)
    kind = Column(String(40), nullable=False)
    customer_id = _ref("customers.id")
    conversation_id = _ref("conversations.id", nullable=True)
    data = Column(Json, nullable=False)
    html = Column(Text, nullable=False)
    plain = Column(Text, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)


# --- tickets -------------------------------------------------------------------------------------------------------


class Ticket(Base):
    """A case with a number, TCK-000123."""

    __tablename__ = "tickets"
    id = _id()
    reference = Column(String(20), nullable=False, unique=True)
    brand = Column(String(40), nullable=False)
    kind = Column(String(40), nullable=False)
    customer_id = _ref("customers.id", nullable=True)
    contact_email = Column(String(320))
    conversation_id = _ref("conversations.id", nullable=True)
    assignee_id = _ref("agents.id", nullable=True)
    subject = Column(String(200), nullable=False)
    summary = Column(Text, nullable=False)
    status = Column(String(20), nullable=False, default="open")
    priority = Column(String(10), nullable=False, default="normal")
    created_at = Column(UtcDateTime, nullable=False)
    updated_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (
        _one_of("status", "open", "pending", "resolved", "closed"),
        _one_of("priority", "low", "normal", "high", "urgent"),
    )


class TicketEvent(Base):
    """One thing that happened to a ticket."""

    __tablename__ = "ticket_events"
    id = _id()
    ticket_id = _ref("tickets.id")
    kind = Column(String(40), nullable=False)
    actor = Column(String(80), nullable=False)
    body = Column(Text, nullable=False, default="")
    data = Column(Json, nullable=False)
    at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)


class TicketMail(Base):
    """A mail of a case, in or out. `message_id` is the sender's own, or the outbox id of one that we sent."""

    __tablename__ = "ticket_mails"
    id = _id()
    ticket_id = _ref("tickets.id")
    direction = Column(String(3), nullable=False)
    kind = Column(String(10), nullable=False)
    message_id = Column(String(250), nullable=False, unique=True)
    sender = Column(String(320), nullable=False)
    recipient = Column(String(320), nullable=False)
    subject = Column(String(300), nullable=False)
    text = Column(Text, nullable=False)
    files = Column(Json, nullable=False)  # [{refused: name}]: what came with it and was not taken
    is_other = Column(Boolean, nullable=False, default=False)  # from an address that the case did not know
    at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(250), nullable=False, unique=True)
    __table_args__ = (
        _one_of("direction", "in", "out"),
        _one_of("kind", "reply", "auto", "bounce"),
    )


class TicketFile(Base):
    """A file that came with a mail of a case."""

    __tablename__ = "ticket_files"
    id = _id()
    ticket_id = _ref("tickets.id")
    mail_id = _ref("ticket_mails.id")
    name = Column(String(200), nullable=False)
    media_type = Column(String(100), nullable=False)
    size = Column(Integer, nullable=False)
    content = Column(LargeBinary, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)


class TicketMerge(Base):
    """A case that goes on in another one."""

    __tablename__ = "ticket_merges"
    ticket_id = Column(String(40), ForeignKey("tickets.id"), primary_key=True)
    into_id = _ref("tickets.id")
    agent_id = _ref("agents.id")
    at = Column(UtcDateTime, nullable=False)
    __table_args__ = (CheckConstraint("ticket_id <> into_id", name="another"),)


class BookedCall(Base):
    """A call that a customer booked with the brand's team; a slot is booked at most once by a customer."""

    __tablename__ = "booked_calls"
    id = _id()
    customer_id = _ref("customers.id")
    ticket_id = _ref("tickets.id")
    starts_at = Column(UtcDateTime, nullable=False)
    ends_at = Column(UtcDateTime, nullable=False)
    calendar_id = _ref("attachments.id", nullable=True, index=False)
    created_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (
        UniqueConstraint("customer_id", "starts_at"),
        CheckConstraint("ends_at > starts_at", name="length"),
    )


# --- conversations -------------------------------------------------------------------------------------------------


class Conversation(Base):
    """One thread of one customer on one channel, with exactly one owner."""

    __tablename__ = "conversations"
    id = _id()
    brand = Column(String(40), nullable=False)
    channel = Column(String(20), nullable=False)
    external_id = Column(String(200), nullable=False)  # the channel's own name for the thread
    channel_user = Column(String(200))  # whom messages are pushed to, where the channel has users of its own
    customer_id = _ref("customers.id", nullable=True)
    proof_at = Column(UtcDateTime)  # when the customer last proved who they are
    proof_method = Column(String(20))
    owner = Column(String(10), nullable=False, default="bot")
    agent_id = _ref("agents.id", nullable=True)
    last_seq = Column(Integer, nullable=False, default=0)
    dialogue = Column(Json)  # the engine's snapshot after the last answered message
    handed_over_at = Column(UtcDateTime)  # since when people have it: the bot asked for one, or one took it
    handoff_reason = Column(String(40))  # why people have it
    priority = Column(String(10), nullable=False, default="normal", server_default="normal")
    team = Column(String(40))  # the role it waits for, where not anybody will do
    promised_until = Column(UtcDateTime)  # when somebody who waits is asked whether to go on waiting
    choose_until = Column(UtcDateTime)  # when somebody who was asked and does not answer gets a ticket instead
    first_reply_at = Column(UtcDateTime)  # a person's first words since `handed_over_at`
    unanswered_since = Column(UtcDateTime)  # the oldest message that the person has not answered
    snoozed_until = Column(UtcDateTime)
    agent_read_seq = Column(Integer, nullable=False, default=0, server_default="0")
    customer_read_seq = Column(Integer, nullable=False, default=0, server_default="0")
    created_at = Column(UtcDateTime, nullable=False)
    updated_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        _one_of("owner", "bot", "queued", "human", "closed"),
        CheckConstraint("(owner = 'human') = (agent_id IS NOT NULL)", name="human_has_agent"),
        CheckConstraint("(owner IN ('queued', 'human')) = (handed_over_at IS NOT NULL)", name="people_have_it_since"),
        _one_of("priority", "low", "normal", "high", "urgent"),
        Index(
            "ix_conversations_with_people",
            "brand",
            "owner",
            sqlite_where=sql("owner IN ('queued', 'human')"),
            postgresql_where=sql("owner IN ('queued', 'human')"),
        ),
    )


class Message(Base):
    """One message in or out, numbered within its conversation; an inbound one is answered once."""

    __tablename__ = "messages"
    id = _id()
    conversation_id = _ref("conversations.id", index=False)
    seq = Column(Integer, nullable=False)
    author = Column(String(10), nullable=False)
    name = Column(String(80), nullable=False, default="")
    text = Column(Text, nullable=False)
    button_id = Column(String(40))  # inbound: the button that was pressed
    buttons = Column(Json, nullable=False)  # outbound: [{id, title, payload}]; the payload never leaves the server
    attachments = Column(Json, nullable=False)  # [{id, name, media_type, size, url_path}]
    channel = Column(String(20), nullable=False)
    external_id = Column(String(250))  # inbound: the channel's id, for deduplication
    status = Column(String(10), nullable=False)
    in_reply_to = _ref("messages.id", nullable=True)
    agent_id = _ref("agents.id", nullable=True)  # who at the desk said it
    understanding = Column(Json)  # inbound: intent, confidence, verdict; no text
    outcomes = Column(Json)  # inbound, while unanswered: what actions did and said, for a turn that is run again
    attempts = Column(Integer, nullable=False, default=0)
    created_at = Column(UtcDateTime, nullable=False)
    answered_at = Column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        UniqueConstraint("channel", "external_id"),
        _one_of("author", "customer", "bot", "agent", "system"),
        _one_of("status", "received", "answered", "relayed", "final"),
        Index(
            "ix_messages_unanswered",
            "status",
            sqlite_where=sql("status = 'received'"),
            postgresql_where=sql("status = 'received'"),
        ),
    )


class Delivery(Base):
    """That an outbound message reached its channel."""

    __tablename__ = "deliveries"
    id = _id()
    message_id = Column(String(40), ForeignKey("messages.id"), nullable=False, unique=True)
    status = Column(String(10), nullable=False, default="pending")
    attempts = Column(Integer, nullable=False, default=0)
    external_id = Column(String(250))
    error = Column(String(300))
    delivered_at = Column(UtcDateTime)
    __table_args__ = (
        _one_of("status", "pending", "delivered", "failed"),
        Index(
            "ix_deliveries_pending",
            "status",
            sqlite_where=sql("status = 'pending'"),
            postgresql_where=sql("status = 'pending'"),
        ),
    )


class ChannelEvent(Base):
    """Something a channel told us of, kept before it is acknowledged; what it says is forgotten once it is handled."""

    __tablename__ = "channel_events"
    id = _id()
    channel = Column(String(20), nullable=False)
    external_id = Column(String(250), nullable=False)  # the channel's id of what happened, not of its telling us
    sender = Column(String(200), nullable=False)  # events of one sender are handled in order
    kind = Column(String(60), nullable=False)
    payload = Column(Json)
    received_at = Column(UtcDateTime, nullable=False)
    attempts = Column(Integer, nullable=False, default=0)
    done_at = Column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        Index(
            "ix_channel_events_waiting",
            "channel",
            "sender",
            sqlite_where=sql("done_at IS NULL"),
            postgresql_where=sql("done_at IS NULL"),
        ),
    )


class MessageChange(Base):
    """That a customer edited or deleted a message on their side; what was answered stays answered."""

    __tablename__ = "message_changes"
    id = _id()
    message_id = _ref("messages.id")
    kind = Column(String(10), nullable=False)
    text = Column(Text, nullable=False, default="")
    at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(250), nullable=False, unique=True)
    __table_args__ = (_one_of("kind", "edited", "deleted"),)


class ChannelInstallation(Base):
    """A workspace that installed our app, with the token it gave us, encrypted."""

    __tablename__ = "channel_installations"
    id = _id()
    channel = Column(String(20), nullable=False)
    workspace = Column(String(40), nullable=False)
    name = Column(String(200), nullable=False, default="")
    bot_user = Column(String(40), nullable=False)
    token = Column(Text, nullable=False)  # Fernet, with a key derived from the server's secret
    scopes = Column(Text, nullable=False, default="")
    installed_by = Column(String(40), nullable=False, default="")
    installed_at = Column(UtcDateTime, nullable=False)
    revoked_at = Column(UtcDateTime)
    __table_args__ = (UniqueConstraint("channel", "workspace"),)


class AgentLink(Base):
    """An agent's user on a channel that serves as a desk."""

    __tablename__ = "agent_links"
    id = _id()
    agent_id = _ref("agents.id")
    channel = Column(String(20), nullable=False)
    channel_user = Column(String(200), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (UniqueConstraint("channel", "channel_user"),)


class DeskThread(Base):
    """A card on a channel that serves as a desk: a handed-over conversation, with its thread, or an approval."""

    __tablename__ = "desk_threads"
    id = _id()
    handoff_id = _ref("handoffs.id", nullable=True, index=False)
    approval_id = _ref("approvals.id", nullable=True, index=False)
    conversation_id = _ref("conversations.id", nullable=True)
    channel = Column(String(20), nullable=False)
    room = Column(String(80), nullable=False)
    thread = Column(String(80))  # the card's own id there, once it is posted
    shown = Column(String(64), nullable=False, default="")  # digest of the card as it was shown last
    last_seq = Column(Integer, nullable=False, default=0)  # the customer's side is in the thread up to there
    last_change = Column(String(40), nullable=False, default="")  # and edits and deletions up to that one
    created_at = Column(UtcDateTime, nullable=False)
    closed_at = Column(UtcDateTime)
    __table_args__ = (
        CheckConstraint("(handoff_id IS NULL) <> (approval_id IS NULL)", name="about"),
        UniqueConstraint("handoff_id", "channel"),
        UniqueConstraint("approval_id", "channel"),
    )


class Handoff(Base):
    """One change of a conversation's owner: who, why and when."""

    __tablename__ = "handoffs"
    id = _id()
    conversation_id = _ref("conversations.id")
    from_owner = Column(String(10), nullable=False)
    to_owner = Column(String(10), nullable=False)
    reason = Column(String(40), nullable=False)
    actor = Column(String(80), nullable=False)
    note = Column(String(1000), nullable=False, default="")
    agent_id = _ref("agents.id", nullable=True)  # whose it became
    position = Column(Integer)  # in the queue, when it joined it
    staff = Column(Integer)  # how many people took conversations of the brand, when it joined the queue
    waited_seconds = Column(Integer)  # in the queue, when somebody took it
    at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)


class Rating(Base):
    """What a customer was asked after a person resolved a matter, and how they rated it."""

    __tablename__ = "ratings"
    id = _id()
    brand = Column(String(40), nullable=False, index=True)
    conversation_id = _ref("conversations.id")
    handoff_id = Column(String(40), ForeignKey("handoffs.id"), nullable=False, unique=True)
    agent_id = _ref("agents.id")
    score = Column(Integer)
    words = Column(String(2000))
    asked_at = Column(UtcDateTime, nullable=False)
    rated_at = Column(UtcDateTime)
    __table_args__ = (
        CheckConstraint("score BETWEEN 1 AND 5", name="score"),
        CheckConstraint("(score IS NULL) = (rated_at IS NULL)", name="rated"),
    )


class Note(Base):
    """What an agent wrote about a conversation for colleagues; the customer never sees it."""

    __tablename__ = "notes"
    id = _id()
    conversation_id = _ref("conversations.id")
    agent_id = _ref("agents.id", index=False)
    after_seq = Column(
        Integer, nullable=False
    )  # the last message when it was written: where it stands in the transcript
    body = Column(Text, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    idempotency_key = Column(String(200), nullable=False, unique=True)


class Review(Base):
    """What a person says a customer's message meant, for the model to learn from; once a message."""

    __tablename__ = "reviews"
    id = _id()
    message_id = Column(String(40), ForeignKey("messages.id"), nullable=False, unique=True)
    brand = Column(String(40), nullable=False)
    agent_id = _ref("agents.id", index=False)
    intent = Column(String(60))  # None: nothing to learn from it
    decided_at = Column(UtcDateTime, nullable=False)
    exported_at = Column(UtcDateTime)


class CannedReply(Base):
    """A reply that a brand's agents have ready; `name` is what they type after a slash."""

    __tablename__ = "canned_replies"
    id = _id()
    brand = Column(String(40), nullable=False)
    name = Column(String(40), nullable=False)
    body = Column(Text, nullable=False)
    updated_by = _ref("agents.id", index=False)
    updated_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (UniqueConstraint("brand", "name"),)


class Macro(Base):
    """Several steps that a brand's agents take in one click."""

    __tablename__ = "macros"
    id = _id()
    brand = Column(String(40), nullable=False)
    name = Column(String(40), nullable=False)
    steps = Column(Json, nullable=False)  # [{kind, value}], in order
    updated_by = _ref("agents.id", index=False)
    updated_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (UniqueConstraint("brand", "name"),)


class Attachment(Base):
    """A file sent in a conversation."""

    __tablename__ = "attachments"
    id = _id()
    conversation_id = _ref("conversations.id")
    message_id = _ref("messages.id", nullable=True)
    name = Column(String(200), nullable=False)
    media_type = Column(String(100), nullable=False)
    size = Column(Integer, nullable=False)
    sha256 = Column(String(64), nullable=False)
    content = Column(LargeBinary, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)


class WidgetSession(Base):
    """A browser's right to one conversation; the token itself is not kept."""

    __tablename__ = "widget_sessions"
    token_hash = Column(String(64), primary_key=True)
    conversation_id = _ref("conversations.id")
    created_at = Column(UtcDateTime, nullable=False)
    expires_at = Column(UtcDateTime, nullable=False)


# --- identity ------------------------------------------------------------------------------------------------------


class Identity(Base):
    """A channel user linked to a customer."""

    __tablename__ = "identities"
    id = _id()
    brand = Column(String(40), nullable=False)
    channel = Column(String(20), nullable=False)
    channel_user = Column(String(200), nullable=False)
    customer_id = _ref("customers.id")
    linked_at = Column(UtcDateTime, nullable=False)
    expires_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (UniqueConstraint("brand", "channel", "channel_user"),)


class OneTimeCode(Base):
    """A six-digit code that was sent; kept for unknown addresses too, so that both answer alike."""

    __tablename__ = "one_time_codes"
    id = _id()
    brand = Column(String(40), nullable=False)
    email = Column(String(320), nullable=False, index=True)
    conversation_id = _ref("conversations.id")
    customer_id = _ref("customers.id", nullable=True)
    code_hash = Column(String(64), nullable=False)
    tries = Column(Integer, nullable=False, default=0)
    last_try_key = Column(String(200))  # the message of the last try: replayed, it is not counted again
    created_at = Column(UtcDateTime, nullable=False)
    expires_at = Column(UtcDateTime, nullable=False)
    used_at = Column(UtcDateTime)
    idempotency_key = Column(String(200), nullable=False, unique=True)


class RateLimit(Base):
    """How often something was tried in the current window."""

    __tablename__ = "rate_limits"
    key = Column(String(200), primary_key=True)
    window_start = Column(UtcDateTime, nullable=False)
    count = Column(Integer, nullable=False)


class Agent(Base):
    """A person who works at the desk."""

    __tablename__ = "agents"
    id = _id()
    email = Column(String(320), nullable=False, unique=True)
    name = Column(String(80), nullable=False)
    password_hash = Column(String(200), nullable=False)
    role = Column(String(20), nullable=False)
    brands = Column(Json, nullable=False)
    active = Column(Boolean, nullable=False, default=True)
    created_at = Column(UtcDateTime, nullable=False)
    __table_args__ = (_one_of("role", "agent", "supervisor", "admin"),)


class Presence(Base):
    """When an agent was last at the desk, and whether they take new conversations."""

    __tablename__ = "presence"
    agent_id = Column(String(40), ForeignKey("agents.id"), primary_key=True)
    seen_at = Column(UtcDateTime, nullable=False)
    away = Column(Boolean, nullable=False, default=False)


class AgentSession(Base):
    """An agent's signed-in browser; the token itself is not kept."""

    __tablename__ = "agent_sessions"
    token_hash = Column(String(64), primary_key=True)
    agent_id = _ref("agents.id")
    csrf = Column(String(64), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    expires_at = Column(UtcDateTime, nullable=False)


# --- leaving the system, and the record ------------------------------------------------------------------------------


class Outbox(Base):
    """What still has to leave the system, with retries; a dead letter stays visible."""

    __tablename__ = "outbox"
    id = _id()
    kind = Column(String(20), nullable=False)
    recipient = Column(String(320), nullable=False)
    payload = Column(Json, nullable=False)
    status = Column(String(10), nullable=False, default="pending")
    attempts = Column(Integer, nullable=False, default=0)
    next_try_at = Column(UtcDateTime, nullable=False)
    last_error = Column(String(300))
    created_at = Column(UtcDateTime, nullable=False)
    sent_at = Column(UtcDateTime)
    idempotency_key = Column(String(200), nullable=False, unique=True)
    __table_args__ = (
        _one_of("kind", "email", "webhook", "channel"),
        _one_of("status", "pending", "sent", "dead"),
        Index("ix_outbox_due", "status", "next_try_at"),
    )


class DemoMail(Base):
    """The demo mailbox: what would have been mailed, in demo mode without SMTP."""

    __tablename__ = "demo_mails"
    id = _id()
    message_id = Column(String(250), nullable=False, unique=True)
    sender = Column(String(500), nullable=False)
    recipient = Column(String(320), nullable=False, index=True)
    subject = Column(String(300), nullable=False)
    plain = Column(Text, nullable=False)
    html = Column(Text)
    sent_at = Column(UtcDateTime, nullable=False)


class AuditLog(Base):
    """What was done, by whom, to what; rows are never changed or deleted (triggers in the migration)."""

    __tablename__ = "audit_log"
    id = Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at = Column(UtcDateTime, nullable=False)
    actor = Column(String(80), nullable=False)
    action = Column(String(80), nullable=False)
    subject = Column(String(80), nullable=False)
    data = Column(Json, nullable=False)


class Counter(Base):
    """The last number given out of a series (tickets, refunds, ...)."""

    __tablename__ = "counters"
    name = Column(String(40), primary_key=True)
    value = Column(Integer, nullable=False)
