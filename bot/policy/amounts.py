"""Amount expressions: which money a rule gives back, computed from facts in integer minor units, rounded down."""

from __future__ import annotations

from dataclasses import dataclass

from bot.policy.facts import CHARGES, Facts


@dataclass(frozen=True)
class Part:
    """A money fact or a fixed amount of minor units, times one number over another; numbers are ints or int facts."""

    of: str | int
    times: str | int = 1
    over: str | int = 1


@dataclass(frozen=True)
class Sum:
    """The sum of several."""

    parts: tuple[Amount, ...]


@dataclass(frozen=True)
class Least:
    """The smallest of several."""

    parts: tuple[Amount, ...]


Amount = Part | Sum | Least


def evaluate(amount: Amount, facts: Facts) -> int | None:
    """Return minor units, or None when a fact is unknown or a part of zero is asked for."""
    if isinstance(amount, Part):
        of, times, over = (_number(value, facts) for value in (amount.of, amount.times, amount.over))
        return None if of is None or times is None or not over else of * times // over
    values = [evaluate(part, facts) for part in amount.parts]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return sum(known) if isinstance(amount, Sum) else min(known)


def balance(charge: str, facts: Facts) -> tuple[int, int] | None:
    """Return what was charged and what was given back of it, in minor units; None when either is unknown."""
    spec = CHARGES[charge]
    charged, returned = facts.number(spec.charged), facts.number(spec.refunded)
    return None if charged is None or returned is None else (charged, returned)


def _number(value: str | int, facts: Facts) -> int | None:
    return facts.number(value) if isinstance(value, str) else value
