"""Small pieces that several flows say or ask in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.dialogue.asking import Choice
from bot.dialogue.choices import choose
from bot.dialogue.turn import Turn, Wish, wish
from bot.dialogue.wishes import PERSON_WANTED, TITLES, wish_buttons
from bot.policy.pack import Pack
from bot.services import accounts, handoff
from bot.services.receipts import ReceiptView
from bot.services.views import SubscriptionView, called, show_number

_ENDING = re.compile(r"\b(?:ending|ends|ended)\b(?:\s+(?:in|on|with))?\s*:?\s*(\d{2,10})\b", re.I)
_WISHES_FOR: Mapping[str, set[str]] = {
    "cancel_subscription": {"active"},
    "resume_subscription": {"not_renewing", "ended"},
}
"""Wishes that make sense only to somebody with a subscription of one of these statuses."""


def join(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def lines(parts: Iterable[str]) -> str:
    """A list, an item a line."""
    return "\n".join(f"- {part}" for part in parts)


def sentences(parts: Iterable[str]) -> str:
    """One paragraph."""
    return " ".join(filter(None, parts))


def more(*paragraphs: str) -> str:
    """The end of a response: paragraphs of their own, or nothing."""
    return "".join(f"\n\n{paragraph}" for paragraph in paragraphs if paragraph)


def every(months: int) -> str:
    """How often something is paid: `a month`, `a year`, `every 3 months`."""
    return {1: "a month", 12: "a year"}.get(months, f"every {months} months")


def subscription_choices(pack: Pack, subscriptions: Sequence[SubscriptionView]) -> list[Choice]:
    """A choice for each subscription, named by its number, plan or product."""
    choices = []
    for subscription in subscriptions:
        product = pack.product(subscription.product)
        words = (subscription.number or "", subscription.plan, product.title if product else "", subscription.id)
        shared = [s for s in subscriptions if s is not subscription]
        own = [w for w in words if w and all(w not in (s.plan, s.product) for s in shared)]
        choices.append(Choice(subscription.id, called(pack, subscription), tuple(own)))
    titles = [word for choice in choices for word in choice.words]
    return [Choice(c.value, c.title, tuple(w for w in c.words if titles.count(w) == 1)) for c in choices]


def all_of(choices: Sequence[Choice]) -> Choice:
    """The choice of everything on offer."""
    return Choice(",".join(choice.value for choice in choices), "All of them", ("all", "both", "everything"))


def named_in(wish: Wish, choices: Sequence[Choice], *, many: bool, by_place: bool = True) -> tuple[str, ...]:
    """Values of the choices that a wish names, by what it came with or in its words; see `choose`."""
    given = (wish.entity("subscription_id") or "").upper().split(",")
    found = tuple(choice.value for choice in choices if choice.value.upper() in given)
    if found and (many or len(found) == 1):
        return found
    return choose(wish.words, choices, many=many, by_place=by_place)


def unknown_number(wish: Wish, subscriptions: Sequence[SubscriptionView]) -> str | None:
    """The number or subscription id that a wish names and that none of these has, as it may be shown."""
    if (named := wish.entity("subscription_id")) and named.upper() not in {s.id.upper() for s in subscriptions}:
        return named.upper()
    numbers = [re.sub(r"\D", "", s.number or "") for s in subscriptions]
    if (named := wish.entity("phone_number")) and re.sub(r"\D", "", named) not in numbers:
        return show_number(named)
    if (ending := _ENDING.search(wish.words)) and not any(number.endswith(ending[1]) for number in numbers):
        return f"…{ending[1]}"
    return None


def offer_buttons(turn: Turn, intents: Iterable[str]) -> list[dict[str, Any]]:
    """Buttons for what a rule or an answer offers, less what this customer has no use for."""
    offered = list(intents)
    if turn.customer is not None and not _WISHES_FOR.keys().isdisjoint(offered):
        statuses = {s.status for s in accounts.subscriptions(turn.uow, turn.customer.customer_id)}
        offered = [intent for intent in offered if intent not in _WISHES_FOR or _WISHES_FOR[intent] & statuses]
    return wish_buttons(offered)


def person_for(turn: Turn, reason: str) -> list[dict[str, Any]]:
    """The button that fetches a person for that reason; none if people have settled it for that reason before."""
    settled = handoff.settled_reasons(turn.uow, turn.conversation_id)
    return [] if reason in settled else [wish(PERSON_WANTED, TITLES[PERSON_WANTED], reason=reason)]


def receipt_attachment(receipt: ReceiptView) -> dict[str, Any]:
    """A receipt as it goes with a message."""
    return {
        "id": receipt.id,
        "name": f"Receipt {receipt.reference}.html",
        "media_type": "text/html",
        "size": len(receipt.html.encode()),
        "kind": "receipt",
    }
