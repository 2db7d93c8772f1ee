"""Erasing an account: everything personal goes, from every table; what is left tells that it happened, and not to whom.

Amounts, dates and ids stay, so that the books still add up: they belong to a row that no longer says who it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import formataddr
from typing import Any

from sqlalchemy import delete, or_, select, update

from bot.policy.facts import FACTS, FactKind
from bot.policy.pack import Brand
from bot.services import pauses
from bot.services.accounts import HELD
from bot.services.rows import row, rows
from bot.store import tables as t
from bot.store.erased import address_digest, is_digest
from bot.store.unit_of_work import UnitOfWork

ERASED = "[erased]"
"""What stands where a message was."""
_IMPERSONAL = frozenset({"product", "currency", "country", "plan", "plans", "other_plans", "other_products"})
"""Facts in words that say nothing about a person."""


def delete_recordings(uow: UnitOfWork, account_id: str, now: datetime) -> int:
    """Delete an account's call recordings; returns how many there were."""
    kept = row(uow, select(t.Recordings).where(t.Recordings.account_id == account_id))
    if kept is None or kept.count == 0:
        return 0
    count = int(kept.count)
    kept.count, kept.deleted_at = 0, now
    uow.session.flush()
    return count


def erase_account(uow: UnitOfWork, *, brand: Brand, account_id: str, now: datetime) -> Mapping[str, Any]:
    """Erase an account and everybody in it who has no other one; returns counts. Done twice, it finds nothing.

    Numbers that are still held are released: nobody is left whom they could belong to.
    """
    account = uow.get(t.Account, account_id)
    people = _only_here(uow, account_id)
    released = _account(uow, account, now)
    _cases(uow, account_id, people)
    for customer in people:
        _customer(uow, brand, customer, now)
    uow.session.flush()
    return {
        "customers": len(people),
        "numbers_released": released,
        "recordings": delete_recordings(uow, account_id, now),
    }


def _only_here(uow: UnitOfWork, account_id: str) -> list[Any]:
    """The members who are in no other account that is still there."""
    elsewhere = (
        select(t.Membership.customer_id)
        .join(t.Account, t.Account.id == t.Membership.account_id)
        .where(t.Account.id != account_id, t.Account.status != "erased")
    )
    members = (
        select(t.Customer)
        .join(t.Membership, t.Membership.customer_id == t.Customer.id)
        .where(t.Membership.account_id == account_id, t.Customer.id.not_in(elsewhere))
    )
    return rows(uow, members.order_by(t.Customer.id))


# --- the account -----------------------------------------------------------------------------------------------------


def _account(uow: UnitOfWork, account: Any, now: datetime) -> int:
    numbers = rows(uow, select(t.PhoneNumber).where(t.PhoneNumber.account_id == account.id))
    held = [number for number in numbers if number.status in HELD]
    for number in held:
        number.status, number.released_at = "released", now
    for number in numbers:
        number.e164 = ""
    account.name, account.state, account.status = "", None, "erased"
    account.erased_at = account.erased_at or now
    wallets = select(t.Wallet.id).where(t.Wallet.account_id == account.id)
    _set(uow, t.WalletEntry, t.WalletEntry.wallet_id.in_(wallets), note="")
    _set(uow, t.Cancellation, t.Cancellation.account_id == account.id, reason_text=None)
    for subscription_id in rows(uow, select(t.Subscription.id).where(t.Subscription.account_id == account.id)):
        pauses.stop(uow, subscription_id, at=now, reason="the account was erased")
    return len(held)


def _cases(uow: UnitOfWork, account_id: str, people: Iterable[Any]) -> None:
    """Decisions and investigations of the account and of its people."""
    ids = [customer.id for customer in people]
    decided = select(t.Decision).where(or_(t.Decision.account_id == account_id, t.Decision.customer_id.in_(ids)))
    for decision in rows(uow, decided):
        decision.facts = {name: value for name, value in decision.facts.items() if not _is_personal(name)}
        decision.decision = {**decision.decision, "reasons": [], "next_steps": [], "statement": None}
    investigated = or_(t.Investigation.account_id == account_id, t.Investigation.customer_id.in_(ids))
    _set(uow, t.Investigation, investigated, details={})


def _is_personal(name: str) -> bool:
    spec = FACTS.get(name)
    return spec is None or (spec.kind in (FactKind.TEXT, FactKind.TEXT_LIST) and name not in _IMPERSONAL)


# --- a person --------------------------------------------------------------------------------------------------------


def _customer(uow: UnitOfWork, brand: Brand, customer: Any, now: datetime) -> None:
    if is_digest(customer.email):
        return
    email = customer.email
    conversations = _conversations(uow, brand, customer.id, email)
    _conversation_texts(uow, conversations, now)
    _tickets(uow, brand, customer.id, email, conversations)
    receipts = or_(t.Receipt.customer_id == customer.id, t.Receipt.conversation_id.in_(conversations))
    _set(uow, t.Receipt, receipts, data={}, html="", plain="")
    uow.session.execute(_quietly(delete(t.Identity).where(t.Identity.customer_id == customer.id)))
    codes = or_(
        t.OneTimeCode.customer_id == customer.id,
        t.OneTimeCode.conversation_id.in_(conversations),
        (t.OneTimeCode.brand == brand.id) & (t.OneTimeCode.email == email),
    )
    uow.session.execute(_quietly(delete(t.OneTimeCode).where(codes)))
    _mails(uow, brand, email)
    customer.name, customer.email, customer.erased_at = "", address_digest(uow, brand.id, email), now


def _conversations(uow: UnitOfWork, brand: Brand, customer_id: str, email: str) -> list[str]:
    """The customer's conversations, and those nobody has proved to be theirs where that address was given."""
    named = select(t.OneTimeCode.conversation_id).where(t.OneTimeCode.brand == brand.id, t.OneTimeCode.email == email)
    asked = select(t.Ticket.conversation_id).where(t.Ticket.brand == brand.id, t.Ticket.contact_email == email)
    theirs = or_(
        t.Conversation.customer_id == customer_id,
        t.Conversation.customer_id.is_(None) & or_(t.Conversation.id.in_(named), t.Conversation.id.in_(asked)),
    )
    return rows(uow, select(t.Conversation.id).where(theirs))


def _conversation_texts(uow: UnitOfWork, ids: list[str], now: datetime) -> None:
    messages = select(t.Message.id).where(t.Message.conversation_id.in_(ids))
    _set(uow, t.Delivery, t.Delivery.message_id.in_(messages), external_id=None, error=None)
    _set(uow, t.Delivery, t.Delivery.message_id.in_(messages), t.Delivery.status == "pending", status="failed")
    attached = select(t.Attachment.id).where(t.Attachment.conversation_id.in_(ids))
    _set(uow, t.BookedCall, t.BookedCall.calendar_id.in_(attached), calendar_id=None)
    uow.session.execute(_quietly(delete(t.Attachment).where(t.Attachment.conversation_id.in_(ids))))
    uow.session.execute(_quietly(delete(t.WidgetSession).where(t.WidgetSession.conversation_id.in_(ids))))
    _set(uow, t.Handoff, t.Handoff.conversation_id.in_(ids), note="")
    _set(uow, t.Note, t.Note.conversation_id.in_(ids), body=ERASED)
    _set(
        uow,
        t.Message,
        t.Message.conversation_id.in_(ids),
        name="",
        text=ERASED,
        buttons=[],
        attachments=[],
        button_id=None,
        external_id=None,
        understanding=None,
        outcomes=None,
    )
    _set(uow, t.MessageChange, t.MessageChange.message_id.in_(messages), text="")
    unanswered = (t.Message.conversation_id.in_(ids), t.Message.status == "received")
    _set(uow, t.Message, *unanswered, status="answered", answered_at=now)
    for conversation in rows(uow, select(t.Conversation).where(t.Conversation.id.in_(ids))):
        if conversation.channel_user:
            told = t.ChannelEvent.channel == conversation.channel, t.ChannelEvent.sender == conversation.channel_user
            _set(uow, t.ChannelEvent, *told, sender="", payload=None, done_at=now)
        conversation.external_id = f"erased:{conversation.id}"
        conversation.channel_user = None
        conversation.dialogue = None
        conversation.proof_at = conversation.proof_method = None
    uow.session.flush()


def _tickets(uow: UnitOfWork, brand: Brand, customer_id: str, email: str, conversations: list[str]) -> None:
    theirs = or_(
        t.Ticket.customer_id == customer_id,
        t.Ticket.conversation_id.in_(conversations),
        (t.Ticket.brand == brand.id) & (t.Ticket.contact_email == email),
    )
    ids = rows(uow, select(t.Ticket.id).where(theirs))
    _set(uow, t.Ticket, t.Ticket.id.in_(ids), contact_email=None, subject=ERASED, summary=ERASED)
    _set(uow, t.TicketEvent, t.TicketEvent.ticket_id.in_(ids), body="", data={})
    uow.session.execute(_quietly(delete(t.TicketFile).where(t.TicketFile.ticket_id.in_(ids))))
    theirs_by_mail = (t.TicketMail.ticket_id.in_(ids),)
    _set(uow, t.TicketMail, *theirs_by_mail, sender="", recipient="", subject=ERASED, text=ERASED, files=[])
    for mail in rows(uow, select(t.TicketMail).where(*theirs_by_mail, t.TicketMail.direction == "in")):
        mail.message_id = mail.idempotency_key = f"erased:{mail.id}"


def _mails(uow: UnitOfWork, brand: Brand, email: str) -> None:
    """What was, or was to be, mailed by this brand; of mail sent long ago only the address is left, whoever sent it."""
    sender = formataddr((brand.name, brand.contacts.email))
    caught = delete(t.DemoMail).where(t.DemoMail.recipient == email, t.DemoMail.sender == sender)
    uow.session.execute(_quietly(caught))
    for mail in rows(uow, select(t.Outbox).where(t.Outbox.recipient == email)):
        if mail.status == "sent":
            mail.recipient = ""
        elif mail.payload.get("sender_name") == brand.name:
            uow.session.delete(mail)
    uow.session.flush()


def _set(uow: UnitOfWork, table: Any, *conditions: Any, **values: Any) -> None:
    uow.session.execute(_quietly(update(table).where(*conditions).values(**values)))


def _quietly(statement: Any) -> Any:
    """Rows that were read before are read again by whoever needs them: `rows` always does."""
    return statement.execution_options(synchronize_session=False)
