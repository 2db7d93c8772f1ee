"""How desks, on the web and in Slack, write times, amounts, facts and names of states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bot.policy.facts import FACTS, FactKind, parse_moment
from bot.policy.money import Money
from bot.services.summaries import PROOFS

_WORDS = {
    "handoff": "Asked for a person",
    "refund_or_credit": "Refund or credit, a person chooses",
    "need_evidence": "Needs more from the customer",
    "ok": "OK",
    **{name: f"{said[:1].upper()}{said[1:]}" for name, said in PROOFS.items()},
}
_OWNERS = {"bot": "With the bot", "queued": "Waiting", "human": "With a person", "closed": "Resolved"}
_REASONS = {
    "asked": "Asked for a person",
    "misses": "Not understood",
    "anger": "Angry",
    "loop": "Going in circles",
    "limit": "Over a policy limit",
    "law": "The law may require more",
    "taken": "Taken over",
    "released": "Put back",
    "agent_left": "Agent left",
    "human": "With a person",
    "bot": "With the bot",
}
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def words(name: str) -> str:
    """A state's or kind's name as people write it: `not_renewing` becomes `Not renewing`."""
    plain = name.removesuffix("_minor").replace("_", " ").replace("sms", "SMS")
    return _WORDS.get(name, plain[:1].upper() + plain[1:])


def moment(at: datetime) -> str:
    """Such as `3 Nov 2026, 09:05 UTC`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def short(at: datetime) -> str:
    """Such as `3 Nov, 09:05 UTC`, where the year goes without saying."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b, %H:%M} UTC"


def day(at: datetime) -> str:
    """Such as `3 Nov 2026`, in UTC."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y}"


def age(at: datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit: `under a minute`, `5 min`, `3 h`, `12 days`."""
    seconds = int((now - at).total_seconds())
    if seconds < _MINUTE:
        return "under a minute"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h"
    days = seconds // _DAY
    return "1 day" if days == 1 else f"{days} days"


def due(at: datetime, now: datetime) -> str:
    """When something is due, or how late it is: `in 5 min`, `late by 3 h`."""
    return f"late by {age(at, now)}" if at <= now else f"in {age(now, at)}"


def owner(name: str) -> str:
    """Who has a conversation."""
    return _OWNERS.get(name, words(name))


def reason(name: str) -> str:
    """Why people have a conversation."""
    return _REASONS.get(name, words(name))


def size(count: int) -> str:
    """Bytes as `812 B`, `34 kB` or `2.1 MB`."""
    if count < 1_000:
        return f"{count} B"
    return f"{count / 1_000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def facts(values: Mapping[str, Any], currency: str) -> list[tuple[str, str, str]]:
    """Facts of a decision in the registry's order: the name, the value in words, and what the fact means."""
    currency = str(values.get("currency") or currency)
    known = [name for name in FACTS if name in values]
    return [
        *((words(name), _fact(name, values[name], currency), FACTS[name].doc) for name in known),
        *((words(name), _plain(values[name]), "") for name in sorted(values.keys() - FACTS.keys())),
    ]


def _fact(name: str, value: Any, currency: str) -> str:
    kind = FACTS[name].kind
    if kind is FactKind.MONEY_MINOR:
        return Money(value, currency).format()
    if kind is FactKind.DATETIME:
        return moment(parse_moment(value))
    return words(value) if kind is FactKind.ENUM else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
