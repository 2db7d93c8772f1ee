"""A conversation in three lines from the records, in the words of people who work at a desk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from bot.errors import NotFound
from bot.policy.decision import Approval, Matter, Outcome, RequestKind
from bot.policy.money import Money
from bot.services.rows import row, rows
from bot.services.views import show_number
from bot.services.wish_words import as_colleagues_say
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

PROOFS: Mapping[str, str] = {
    "token": "signed in at the brand's site",
    "code": "typed the code sent by e-mail",
    "link": "linked channel account",
}
"""How somebody proved who they are."""
_CHANNELS: Mapping[str, str] = {"widget": "in the site's chat", "slack": "on Slack", "discord": "on Discord"}
_REQUESTS: Mapping[str, str] = {
    RequestKind.CANCEL: "cancelling",
    RequestKind.RESUME: "undoing a cancellation",
    RequestKind.PAUSE: "pausing",
    RequestKind.CHANGE_RENEWAL: "moving the renewal date",
    RequestKind.REMOVE_NUMBERS: "removing numbers",
    RequestKind.REFUND: "money back",
    RequestKind.INVESTIGATE: "an investigation",
}
_MATTERS: Mapping[str, str] = {
    Matter.DUPLICATE_CHARGE: "charged twice or wrongly",
    Matter.MISSING_NUMBER: "charged, but no number",
    Matter.NOT_RECEIVING: "no texts arrive",
    Matter.PLATFORM_REJECTION: "an app rejected the number",
    Matter.CHANGE_OF_MIND: "changed their mind",
    Matter.PRORATED: "unused days",
    Matter.UNUSED_CREDITS: "unused credits",
    Matter.UNSENT_MESSAGES: "messages that were not sent",
}
_OUTCOMES: Mapping[str, str] = {
    Outcome.ALLOW: "allowed",
    Outcome.REFUSE: "refused",
    Outcome.REFUND: "{amount} refunded",
    Outcome.CREDIT: "{amount} given as credit",
    Outcome.REFUND_OR_CREDIT: "{amount}, a person chooses refund or credit",
    Outcome.RESTORE: "put right",
    Outcome.INVESTIGATE: "to be looked into",
    Outcome.NEED_EVIDENCE: "more is needed from the customer",
    Outcome.ALREADY_DONE: "was done before",
    Outcome.HANDOFF: "left to a person",
    Outcome.INFORM: "explained",
}
_TO_BE_RELEASED = "{amount}, to be released by a person"
_NOT_A_WISH = frozenset({"talk_to_human", "send_transcript", "rate_service"})
_INTERNAL = re.compile(r"[a-z]{3}_[0-9a-z]{20,}")
_LAST_SHOWN = 5
_LONGEST_QUOTE = 200


def summary(uow: UnitOfWork, conversation_id: str) -> str:
    """Three lines: who it is, what they want, what was decided or tried. Raises NotFound."""
    conversation = row(uow, select(t.Conversation).where(t.Conversation.id == conversation_id))
    if conversation is None:
        raise NotFound("This conversation does not exist.")
    return "\n".join(
        (
            f"Who: {_who(uow, conversation)}",
            f"Wants: {_wants(uow, conversation_id)}",
            f"Decided: {_decided(uow, conversation_id)}",
        )
    )


def _who(uow: UnitOfWork, conversation: Any) -> str:
    where = _CHANNELS.get(conversation.channel, f"on {conversation.channel}")
    customer = row(uow, select(t.Customer).where(t.Customer.id == conversation.customer_id))
    if customer is None:
        return f"not identified, {where}"
    proof = PROOFS.get(conversation.proof_method, "proved") if conversation.proof_at else "not proved"
    return f"{customer.name} <{customer.email}>, {proof}, {where}"


def _wants(uow: UnitOfWork, conversation_id: str) -> str:
    said = rows(
        uow,
        select(t.Message)
        .where(t.Message.conversation_id == conversation_id, t.Message.author == "customer")
        .order_by(t.Message.seq),
    )
    intents = dict.fromkeys(message.understanding["intent"] for message in said if message.understanding)
    wishes = [wish for intent in intents if intent not in _NOT_A_WISH and (wish := as_colleagues_say(intent))]
    words = [" ".join(message.text.split()) for message in said if not message.button_id]
    quote = max(words[-_LAST_SHOWN:], key=len, default="")
    shown = quote if len(quote) <= _LONGEST_QUOTE else f"{quote[: _LONGEST_QUOTE - 1]}…"
    wanted = ", ".join(wishes[-_LAST_SHOWN:]) or "not clear yet"
    return f"{wanted}; in their words: “{shown}”" if shown else wanted


def _decided(uow: UnitOfWork, conversation_id: str) -> str:
    latest = rows(
        uow,
        select(t.Decision)
        .where(t.Decision.conversation_id == conversation_id)
        .order_by(t.Decision.created_at.desc(), t.Decision.id.desc())
        .limit(_LAST_SHOWN),
    )
    return "; ".join(_in_short(uow, decision) for decision in reversed(latest)) or "nothing yet"


def _in_short(uow: UnitOfWork, decision: Any) -> str:
    """Such as `money back (charged twice or wrongly), invoice INV-2002: USD 15.00 refunded, J-R1`."""
    what = _REQUESTS.get(decision.kind, decision.kind)
    matter = _MATTERS.get(decision.matter)
    subjects = (named for each in (decision.subject or "").split(",") if (named := _named(uow, each)))
    about = ", ".join([f"{what} ({matter})" if matter else what, *subjects])
    waits = decision.outcome in (Outcome.REFUND, Outcome.CREDIT) and decision.decision.get("approval") in (
        Approval.ONE,
        Approval.TWO,
    )
    outcome = _TO_BE_RELEASED if waits else _OUTCOMES.get(decision.outcome, decision.outcome)
    amount = Money(decision.amount_minor, decision.currency).format()
    return f"{about}: {outcome.format(amount=amount)}, {decision.rule_id}"


def _named(uow: UnitOfWork, subject: str) -> str:
    """What a decision is about as agents call it: a charge by its invoice, a subscription by its number."""
    invoice = row(uow, select(t.Charge.invoice_id).where(t.Charge.id == subject))
    if invoice is not None:
        return f"invoice {invoice}"
    number = row(uow, select(t.PhoneNumber.e164).where(t.PhoneNumber.subscription_id == subject))
    if number is not None:
        return f"{show_number(number)} ({subject})"
    return "" if _INTERNAL.fullmatch(subject) or subject == "subscription" else subject
