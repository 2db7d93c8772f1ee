"""Conditions over named facts in three-valued logic: what is unknown satisfies nothing, its negation neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from zoneinfo import ZoneInfo

from bot.policy.dates import DateExpression, resolve
from bot.policy.facts import Facts, FactValue


class Operator(str, Enum):
    """How a test compares its fact with its value."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    NOT_IN = "not_in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    BEFORE = "before"
    AFTER = "after"
    HAS = "has"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Test:
    """One fact compared with one value: a tuple for `in`, a date expression for `before` and `after`."""

    __test__ = False  # not a test case of ours

    fact: str
    operator: Operator
    value: FactValue | DateExpression


@dataclass(frozen=True)
class AllOf:
    """Holds when every part does; with no parts, always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class AnyOf:
    """Holds when at least one part does."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """Holds when its part is known not to."""

    part: Condition


Condition = Test | AllOf | AnyOf | Not
ALWAYS = AllOf()


def holds(condition: Condition, facts: Facts, zone: ZoneInfo) -> bool:
    """Tell whether the condition is known to be true. `zone` is the brand's, for dates."""
    return _truth(condition, facts, zone) is True


def _truth(condition: Condition, facts: Facts, zone: ZoneInfo) -> bool | None:
    if isinstance(condition, Test):
        return _test(condition, facts, zone)
    if isinstance(condition, Not):
        truth = _truth(condition.part, facts, zone)
        return None if truth is None else not truth
    truths = [_truth(part, facts, zone) for part in condition.parts]
    decisive = isinstance(condition, AnyOf)
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def _test(test: Test, facts: Facts, zone: ZoneInfo) -> bool | None:
    actual = facts.get(test.fact)
    expected = test.value
    operator = test.operator
    if operator is Operator.UNKNOWN:
        return (actual is None) is expected
    if actual is None:
        return None
    if operator in (Operator.IS, Operator.IS_NOT):
        return (actual == expected) is (operator is Operator.IS)
    if operator in (Operator.IN, Operator.NOT_IN):
        return (actual in _texts(expected)) is (operator is Operator.IN)
    if operator is Operator.HAS:
        return expected in _texts(actual)
    if operator in (Operator.BEFORE, Operator.AFTER):
        return _compare_moments(operator, actual, expected, facts, zone)
    if not isinstance(actual, int) or not isinstance(expected, int):
        raise TypeError(f"{operator.value} compares numbers, not {test.fact}")  # the loader lets no such test through
    return actual >= expected if operator is Operator.AT_LEAST else actual <= expected


def _compare_moments(
    operator: Operator, actual: FactValue, expected: FactValue | DateExpression, facts: Facts, zone: ZoneInfo
) -> bool | None:
    moment = resolve(expected, facts, zone)  # type: ignore[arg-type]  # the loader puts a date expression here
    if moment is None:
        return None
    if isinstance(actual, datetime):
        return actual < moment if operator is Operator.BEFORE else actual > moment
    if isinstance(actual, date):
        day = moment.astimezone(zone).date()
        return actual < day if operator is Operator.BEFORE else actual > day
    raise TypeError(f"{operator.value} compares moments, not {actual!r}")


def _texts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
