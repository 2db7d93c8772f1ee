"""What can be said about conditions without facts: which one makes another needless, and which can never hold."""

from __future__ import annotations

from bot.policy.conditions import AllOf, AnyOf, Condition, Operator, Test
from bot.policy.facts import FACTS, FactKind

_POSITIVE = tuple(operator for operator in Operator if operator is not Operator.UNKNOWN)


def conjuncts(condition: Condition) -> frozenset[Condition]:
    """Return the parts that must all hold; none for a condition that always does."""
    if isinstance(condition, AllOf):
        return frozenset(part for below in condition.parts for part in conjuncts(below))
    return frozenset({condition})


def implies(stronger: Condition, weaker: Condition) -> bool:
    """Tell whether `weaker` certainly holds whenever `stronger` does. May say no where the answer is yes."""
    given = conjuncts(stronger)
    return all(
        any(_part_implies(have, part) or _every_option_implies(have, part) for have in given) or _any_of(stronger, part)
        for part in conjuncts(weaker)
    )


def known_facts(condition: Condition) -> frozenset[str]:
    """Return the facts that must be known for the condition to hold."""
    known: set[str] = set()
    for part in conjuncts(condition):
        if isinstance(part, Test) and (part.operator in _POSITIVE or part.value is False):
            known.add(part.fact)
        elif isinstance(part, AnyOf):
            known.update(frozenset.intersection(*(known_facts(option) for option in part.parts)))
    return frozenset(known)


def contradicts_itself(condition: Condition) -> str | None:
    """Return the fact whose tests can never hold together, None when none is found."""
    tests: dict[str, list[Test]] = {}
    for part in conjuncts(condition):
        if isinstance(part, Test):
            tests.setdefault(part.fact, []).append(part)
    return next((fact for fact, its in sorted(tests.items()) if not _possible(fact, its)), None)


def _any_of(stronger: Condition, part: Condition) -> bool:
    return isinstance(part, AnyOf) and any(implies(stronger, option) for option in part.parts)


def _every_option_implies(have: Condition, part: Condition) -> bool:
    return isinstance(have, AnyOf) and all(implies(option, part) for option in have.parts)


def _part_implies(have: Condition, wanted: Condition) -> bool:
    if have == wanted:
        return True
    if not isinstance(have, Test) or not isinstance(wanted, Test) or have.fact != wanted.fact:
        return False
    if wanted.operator is Operator.UNKNOWN:
        return wanted.value is False and have.operator in _POSITIVE
    left, right = _allowed(have), _allowed(wanted)
    if left is not None and right is not None:
        return left <= right
    low, high = _range([have])
    wanted_low, wanted_high = _range([wanted])
    numeric = FACTS[have.fact].kind in (FactKind.INT, FactKind.MONEY_MINOR)
    bounded = wanted.operator in (Operator.AT_LEAST, Operator.AT_MOST, Operator.IS)
    return numeric and bounded and have.operator in _POSITIVE and wanted_low <= low and high <= wanted_high


def _allowed(test: Test) -> frozenset[object] | None:
    """Return the values a test of a bool or enum lets through, or those an exact test names; None if not a list."""
    spec = FACTS[test.fact]
    every = {FactKind.BOOL: (True, False), FactKind.ENUM: spec.values}.get(spec.kind)
    named = frozenset(test.value) if isinstance(test.value, tuple) else frozenset({test.value})
    if test.operator in (Operator.IS, Operator.IN):
        return named
    if test.operator in (Operator.IS_NOT, Operator.NOT_IN) and every is not None:
        return frozenset(every) - named
    return None


def _range(tests: list[Test]) -> tuple[float, float]:
    low, high = float("-inf"), float("inf")
    for test in tests:
        if isinstance(test.value, int) and test.operator in (Operator.AT_LEAST, Operator.IS):
            low = max(low, test.value)
        if isinstance(test.value, int) and test.operator in (Operator.AT_MOST, Operator.IS):
            high = min(high, test.value)
    return low, high


def _possible(fact: str, tests: list[Test]) -> bool:
    unknown = [test.value for test in tests if test.operator is Operator.UNKNOWN]
    if True in unknown and (False in unknown or len(unknown) < len(tests)):
        return False
    allowed = [values for values in map(_allowed, tests) if values is not None]
    if allowed and not frozenset.intersection(*allowed):
        return False
    if FACTS[fact].kind in (FactKind.INT, FactKind.MONEY_MINOR):
        low, high = _range(tests)
        return low <= high and high >= 0
    return True
