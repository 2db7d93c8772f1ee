"""Three-valued conditions, and what can be concluded about them without facts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.conditions import ALWAYS, AllOf, AnyOf, Condition, Not, holds
from bot.policy.expressions import Reader
from bot.policy.facts import Facts
from bot.policy.logic import contradicts_itself, implies, known_facts
from bot.policy.yaml_source import Document
from tests.unit.policy.strategies import facts

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


def _read(value: Any) -> Condition:
    document = Document("test.yml")
    condition = Reader(document, {"number"}, {"name"}).condition(value, ())
    assert document.problems == []
    return condition


@pytest.mark.parametrize(
    ("when", "known", "expected"),
    [
        (None, {}, True),
        ({"verified": True}, {"verified": True}, True),
        ({"verified": True}, {"verified": False}, False),
        ({"verified": True}, {}, False),
        ({"not": {"verified": True}}, {"verified": False}, True),
        ({"not": {"verified": True}}, {}, False),
        ({"role": {"is_not": "owner"}}, {"role": "agent"}, True),
        ({"role": {"is_not": "owner"}}, {}, False),
        ({"role": {"in": ["owner", "admin"]}}, {"role": "admin"}, True),
        ({"role": {"not_in": ["owner", "admin"]}}, {"role": "agent"}, True),
        ({"role": {"not_in": ["owner", "admin"]}}, {}, False),
        ({"days_left": {"at_least": 3, "at_most": 5}}, {"days_left": 5}, True),
        ({"days_left": {"at_least": 3, "at_most": 5}}, {"days_left": 6}, False),
        ({"days_left": {"at_most": 5}}, {}, False),
        ({"verified": {"unknown": True}}, {}, True),
        ({"verified": {"unknown": True}}, {"verified": False}, False),
        ({"verified": {"unknown": False}}, {"verified": False}, True),
        ({"evidence_given": {"has": "name"}}, {"evidence_given": ("name",)}, True),
        ({"evidence_given": {"has": "name"}}, {"evidence_given": ()}, False),
        ({"not": {"evidence_given": {"has": "name"}}}, {}, False),
        ({"period_end": {"after": "now"}}, {"period_end": NOW, "now": NOW}, False),
        ({"period_end": {"after": {"from": "now", "days": -1}}}, {"period_end": NOW, "now": NOW}, True),
        ({"period_end": {"before": {"from": "now", "days": 1}}}, {"period_end": NOW, "now": NOW}, True),
        ({"period_end": {"before": "effective_at"}}, {"period_end": NOW}, False),
        ({"any": [{"verified": True}, {"role": "owner"}]}, {"role": "owner"}, True),
        ({"any": [{"verified": True}, {"role": "owner"}]}, {"role": "agent"}, False),
        ({"not": {"any": [{"verified": True}, {"role": "owner"}]}}, {"role": "agent"}, False),
        ({"all": [{"verified": True}, {"role": "owner"}]}, {"role": "owner"}, False),
        ({"not": {"all": [{"verified": True}, {"role": "owner"}]}}, {"role": "agent"}, True),
    ],
)
def test_what_is_unknown_satisfies_nothing(when: Any, known: dict[str, Any], expected: bool) -> None:
    assert holds(_read(when), Facts(known), ZONE) is expected


tests = st.sampled_from(
    [
        _read(when)
        for when in (
            {"verified": True},
            {"verified": {"is_not": True}},
            {"verified": {"unknown": True}},
            {"verified": {"unknown": False}},
            {"role": "owner"},
            {"role": {"in": ["owner", "admin"]}},
            {"role": {"not_in": ["owner", "none"]}},
            {"role": {"is_not": "agent"}},
            {"days_left": {"at_least": 10}},
            {"days_left": {"at_least": 200}},
            {"days_left": {"at_most": 50}},
            {"days_left": 30},
            {"days_left": {"is_not": 30}},
            {"days_left": {"in": [10, 30]}},
            {"country": {"is_not": "US"}},
            {"country": {"in": ["US", "DE"]}},
            {"now": {"before": "period_end"}},
        )
    ]
)
conditions = st.recursive(
    tests,
    lambda below: st.one_of(
        st.lists(below, min_size=1, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(below, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        below.map(Not),
    ),
    max_leaves=5,
)


@given(one=conditions, other=conditions, known=facts)
@settings(max_examples=500, deadline=None)
def test_what_is_said_about_conditions_is_true_of_all_facts(one: Condition, other: Condition, known: Facts) -> None:
    if holds(one, known, ZONE):
        assert contradicts_itself(one) is None
        assert known_facts(one) <= set(known)
        assert holds(other, known, ZONE) or not implies(one, other)


@given(condition=conditions, known=facts, name=st.sampled_from(["verified", "role", "days_left", "country"]))
@settings(max_examples=300, deadline=None)
def test_learning_a_fact_never_undoes_what_needed_none(condition: Condition, known: Facts, name: str) -> None:
    """Without `unknown` tests, a condition that holds with a fact missing holds whatever that fact turns out to be."""
    without = known.with_(**{name: None})
    if name in known and "UNKNOWN" not in repr(condition) and holds(condition, without, ZONE):
        assert holds(condition, known, ZONE)


@pytest.mark.parametrize(
    ("stronger", "weaker", "expected"),
    [
        ({"verified": True}, None, True),
        (None, {"verified": True}, False),
        ({"verified": True, "role": "owner"}, {"role": "owner"}, True),
        ({"role": "owner"}, {"role": {"in": ["owner", "admin"]}}, True),
        ({"role": {"in": ["owner", "admin"]}}, {"role": "owner"}, False),
        ({"role": "agent"}, {"role": {"is_not": "owner"}}, True),
        ({"days_left": {"at_least": 5}}, {"days_left": {"at_least": 3}}, True),
        ({"days_left": {"at_least": 3}}, {"days_left": {"at_least": 5}}, False),
        ({"days_left": 4}, {"days_left": {"at_most": 5}}, True),
        ({"role": "owner"}, {"role": {"unknown": False}}, True),
        ({"role": "owner"}, {"any": [{"verified": True}, {"role": {"in": ["owner", "admin"]}}]}, True),
    ],
)
def test_one_condition_implies_another(stronger: Any, weaker: Any, expected: bool) -> None:
    assert implies(_read(stronger), _read(weaker)) is expected


@pytest.mark.parametrize(
    ("when", "fact"),
    [
        ({"all": [{"verified": True}, {"verified": False}]}, "verified"),
        ({"all": [{"role": {"in": ["owner", "admin"]}}, {"role": {"not_in": ["owner", "admin"]}}]}, "role"),
        ({"days_left": {"at_least": 5, "at_most": 3}}, "days_left"),
        ({"days_left": {"at_most": -1}}, "days_left"),
        ({"all": [{"role": "owner"}, {"role": {"unknown": True}}]}, "role"),
        ({"verified": True, "role": "owner"}, None),
    ],
)
def test_tests_that_exclude_each_other_are_found(when: Any, fact: str | None) -> None:
    assert contradicts_itself(_read(when)) == fact


def test_conditions_are_values() -> None:
    """Equal conditions read twice are equal and can stand in sets, on which the checks rest."""
    when = {"verified": True, "period_end": {"after": {"from": "now", "days": 3}}}

    assert _read(when) == _read(when)
    assert len({_read(when), _read(when), ALWAYS}) == 2
