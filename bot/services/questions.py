"""Answering questions from the pack: for the customer's own account where they are known, otherwise for anyone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.policy import decide as policy
from bot.policy.decide import Answered
from bot.policy.decision import Request, RequestKind
from bot.policy.facts import Facts
from bot.policy.pack import Pack
from bot.services import accounts
from bot.services.belongings import heads
from bot.services.facts import gather
from bot.services.views import CustomerRef, SubscriptionView
from bot.store.unit_of_work import UnitOfWork


def answer(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef | None,
    intent: str,
    now: datetime,
    subscription_id: str | None = None,
) -> Answered | None:
    """Answer an intent from the pack, None if the pack has no answer to it.

    With a customer it speaks about the subscription named, else about the one they can only mean; where several could
    be meant it stays general.
    """
    request = Request(RequestKind.REFUND, now)  # an answer needs a request's moment, not its kind
    if customer is None or intent not in pack.answers or not pack.answers[intent].for_account:
        return policy.answer(pack, Facts(), request, intent)
    wanted = subscription_id or _meant(pack, accounts.subscriptions(uow, customer.customer_id))
    known = gather(uow, pack=pack, customer=customer, subscription_id=wanted, now=now)
    if known.subscription is not None and pack.product(known.subscription.product) is not None:
        request = replace(request, product=known.subscription.product)
    return policy.answer(pack, known.facts, request, intent)


def _meant(pack: Pack, held: list[SubscriptionView]) -> str | None:
    """The only live subscription; if all live ones are ending, the next to end; if none lives, the last that ended.

    Those that another takes along are part of it and not counted.
    """
    live = heads(pack, [each for each in held if each.status in ("active", "not_renewing")])
    if len(live) == 1 or (live and all(each.status == "not_renewing" for each in live)):
        return min(live, key=lambda each: each.period_end).id
    if live or not held:
        return None
    return max(heads(pack, held), key=lambda each: each.period_end).id
