"""The one click in a reminder: what it would keep, and keeping it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.errors import NotAuthenticated
from bot.policy.decision import Outcome
from bot.policy.pack import Pack
from bot.services import cancellations
from bot.services.cancellations import ResumeResult
from bot.services.reminders import KeepLinks
from bot.services.rows import rows
from bot.services.views import CustomerRef, SubscriptionView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_GONE = "There is nothing left to keep: the account was erased."


@dataclass(frozen=True)
class KeepOffer:
    """What a reminder's link would keep. `kept` was kept already; `possible` says whether anything still can be.

    `says` are the pack's sentences about it, `not_undone` what has happened for good already.
    """

    pack: Pack
    customer_name: str
    subscriptions: tuple[SubscriptionView, ...]
    possible: bool
    kept: bool
    says: tuple[str, ...]
    not_undone: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """What came of the click, for the page that says so."""

    pack: Pack
    result: ResumeResult


def offer(uow: UnitOfWork, *, packs: Mapping[str, Pack], links: KeepLinks, token: str, now: datetime) -> KeepOffer:
    """Say what a link would keep; nothing changes. Raises NotAuthenticated for a link that is forged or over."""
    customer, pack, ids = _read(uow, packs, links, token, now)
    found = cancellations.preview_resume(uow, pack=pack, customer=customer, subscription_ids=ids, now=now)
    says = (sentence for each in found for sentence in (*each.decision.reasons, *each.decision.next_steps))
    return KeepOffer(
        pack=pack,
        customer_name=customer.name,
        subscriptions=tuple(each.subscription for each in found),
        possible=any(each.decision.outcome is Outcome.ALLOW for each in found),
        kept=all(each.subscription.status == "active" for each in found),
        says=tuple(dict.fromkeys(says)),
        not_undone=tuple(dict.fromkeys(line for each in found for line in each.not_undone)),
    )


def keep(uow: UnitOfWork, *, packs: Mapping[str, Pack], links: KeepLinks, token: str, now: datetime) -> Kept:
    """Undo the cancellations that a link names, once for each link. Raises NotAuthenticated as `offer` does."""
    customer, pack, ids = _read(uow, packs, links, token, now)
    result = cancellations.resume(
        uow,
        pack=pack,
        customer=customer,
        subscription_ids=ids,
        conversation_id=None,
        key=f"keep:{hashlib.sha256(token.encode()).hexdigest()}",
        now=now,
    )
    return Kept(pack, result)


def _read(
    uow: UnitOfWork, packs: Mapping[str, Pack], links: KeepLinks, token: str, now: datetime
) -> tuple[CustomerRef, Pack, list[str]]:
    """Who clicked, by which pack, and the subscriptions that it is about."""
    claim = links.read(token, now=now)
    customer = uow.get(t.Customer, claim.customer_id)
    if customer is None or customer.erased_at is not None or customer.brand not in packs:
        raise NotAuthenticated(_GONE)
    named = select(t.Cancellation.subscription_id).where(t.Cancellation.id.in_(claim.cancellation_ids))
    ids = rows(uow, named.order_by(t.Cancellation.reference))
    ref = CustomerRef(customer.id, customer.brand, customer.email, customer.name)
    return ref, packs[customer.brand], ids
