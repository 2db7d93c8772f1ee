"""The reference of the pack format names everything that a pack may use."""

from __future__ import annotations

import pytest

from bot.policy.conditions import Operator
from bot.policy.decision import EventKind, Outcome, RequestKind
from bot.policy.facts import CHARGES, FACTS
from bot.policy.intents import MUST_BE_ANSWERED
from bot.policy.pack import Pack, Question
from bot.policy.schema import REQUIRED_TEXTS
from tests.unit.policy.conftest import ROOT

NAMES = [
    *FACTS,
    *CHARGES,
    *MUST_BE_ANSWERED,
    *REQUIRED_TEXTS,
    *(member.value for kind in (Operator, EventKind, Outcome, RequestKind, Question) for member in kind),
]


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs/policy-packs.md").read_text(encoding="utf-8")


def test_every_name_of_the_format_is_documented(reference: str) -> None:
    assert [name for name in NAMES if f"`{name}`" not in reference] == []


def test_every_rule_is_documented_with_its_title(reference: str, jolt: Pack) -> None:
    assert [rule.id for rule in jolt.all_rules() if f"| `{rule.id}` | {rule.title} |" not in reference] == []
