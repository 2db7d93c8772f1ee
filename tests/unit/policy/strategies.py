"""Hypothesis strategies: any facts the registry allows, and any request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from random import Random
from typing import Any

from hypothesis import strategies as st

from bot.policy.decision import Matter, Request, RequestKind
from bot.policy.facts import FACTS, FactKind, FactOrigin, Facts, FactSpec

_SECONDS = range(1_704_067_200, 1_924_905_600)
_EVIDENCE = ("name", "since", "+1 415 555 0101")
_PATTERNED = {"currency": ("USD", "EUR"), "country": ("US", "DE", "NO")}


def _moment(chance: Random) -> datetime:
    return datetime.fromtimestamp(chance.choice(_SECONDS), timezone.utc)


def _number(chance: Random, most: int) -> int:
    return chance.choice((0, 1, most, chance.randint(0, most)))  # what is at an edge as often as all between


def value_of(spec: FactSpec, chance: Random) -> Any:
    """One of the values that the registry allows for a fact."""
    if spec.name in _PATTERNED:
        return chance.choice(_PATTERNED[spec.name])
    kinds: dict[FactKind, Callable[[], Any]] = {
        FactKind.BOOL: lambda: chance.random() < 0.5,
        FactKind.INT: lambda: _number(chance, 400),
        FactKind.MONEY_MINOR: lambda: _number(chance, 100_000),
        FactKind.TEXT: lambda: chance.choice(("x", "CA")),
        FactKind.TEXT_LIST: lambda: tuple(chance.sample(_EVIDENCE, chance.randint(0, 3))),
        FactKind.DATETIME: lambda: _moment(chance),
        FactKind.DATETIME_LIST: lambda: tuple(_moment(chance) for _ in range(chance.randint(0, 3))),
        FactKind.DATE: lambda: _moment(chance).date(),
        FactKind.ENUM: lambda: chance.choice(spec.values or ("",)),
    }
    return kinds[spec.kind]()


def some_facts(seed: int) -> Facts:
    """Few facts, half of all, or most of them, with any values.

    From a seed: to draw each of eighty facts takes Hypothesis twenty times as long as to decide by them.
    """
    chance = Random(seed)
    share = chance.choice((0.1, 0.5, 0.9))
    known = [spec for spec in FACTS.values() if spec.origin is not FactOrigin.REQUEST and chance.random() < share]
    return Facts({spec.name: value_of(spec, chance) for spec in known})


moments = st.integers(_SECONDS.start, _SECONDS.stop).map(lambda at: datetime.fromtimestamp(at, timezone.utc))
facts = st.integers(0, 2**32).map(some_facts)

requests = st.builds(
    Request,
    kind=st.sampled_from(RequestKind),
    now=moments,
    matter=st.none() | st.sampled_from(Matter),
    product=st.none() | st.just("number"),
)

refund_requests = st.builds(
    Request, kind=st.just(RequestKind.REFUND), now=moments, matter=st.sampled_from(Matter), product=st.none()
)
