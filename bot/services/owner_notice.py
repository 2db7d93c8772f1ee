"""Telling those who may decide that somebody in their account, who may not, has asked for something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import select

from bot.errors import NotFound, TooMany
from bot.policy.facts import Facts
from bot.policy.pack import Pack
from bot.policy.wording import render
from bot.services import audit, limits
from bot.services.mail import enqueue_mail
from bot.services.rows import lock_accounts, roles, row, rows
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

ONCE_IN = timedelta(days=30)


class NoticeStatus(str, Enum):
    """What came of it: mailed now, mailed not long ago, or nobody to mail."""

    SENT = "sent"
    SENT_BEFORE = "sent_before"
    NOBODY = "nobody"


@dataclass(frozen=True)
class OwnerNotice:
    """What came of telling; `told` are the names of those who know."""

    status: NoticeStatus
    told: tuple[str, ...]


def tell(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    account_id: str,
    what: str,
    conversation_id: str | None,
    key: str,
    now: datetime,
    role: str = "owner",
) -> OwnerNotice:
    """Mail everybody of that role in the account, in the pack's words, who asked (`customer`) and for what.

    Once for each key, and for each asker and account at most once in 30 days, so that nobody can flood anybody. Raises
    NotFound for an account that the customer is not in.
    """
    if account_id not in roles(uow, customer.customer_id):
        raise NotFound("There is no such account.")
    lock_accounts(uow, account_id)
    people = _members(uow, account_id, role, but=customer.customer_id)
    told = tuple(person.name for person in people)
    if not people:
        return OwnerNotice(NoticeStatus.NOBODY, ())
    if row(uow, select(t.Outbox.id).where(t.Outbox.idempotency_key == _mail_key(key, people[0]))) is not None:
        return OwnerNotice(NoticeStatus.SENT, told)
    try:
        limits.spend(
            uow,
            f"owner-notice:{account_id}:{customer.customer_id}",
            limit=1,
            per=ONCE_IN,
            now=now,
            sentence="They were told not long ago.",
        )
    except TooMany:
        return OwnerNotice(NoticeStatus.SENT_BEFORE, told)
    words = {"who": customer.name or customer.email, "what": what}
    for person in people:
        enqueue_mail(
            uow,
            brand=pack.brand,
            to=person.email,
            subject=" ".join(render(pack.texts["tell_subject"], pack.brand, Facts(), words)),
            plain="\n\n".join(render(pack.texts["tell_message"], pack.brand, Facts(), words)) + "\n",
            idempotency_key=_mail_key(key, person),
            now=now,
        )
    audit.record(
        uow,
        actor=customer.customer_id,
        action="owner.told",
        subject=account_id,
        data={"told": [person.id for person in people], "conversation_id": conversation_id},
        now=now,
    )
    return OwnerNotice(NoticeStatus.SENT, told)


def _members(uow: UnitOfWork, account_id: str, role: str, *, but: str) -> list[Any]:
    wanted = (
        select(t.Customer)
        .join(t.Membership, t.Membership.customer_id == t.Customer.id)
        .where(
            t.Membership.account_id == account_id,
            t.Membership.role == role,
            t.Customer.id != but,
            t.Customer.erased_at.is_(None),
        )
    )
    return rows(uow, wanted.order_by(t.Customer.id))


def _mail_key(key: str, person: Any) -> str:
    return f"{key}:tell:{person.id}"
