"""A pack may offer calls, and hours that cannot be kept are refused with their line."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from bot.policy.errors import PackError
from bot.policy.loader import parse_pack

LUMO = (Path(__file__).parent / "packs" / "lumo.yml").read_text(encoding="utf-8")
CALLS = """
calls:
  {title: Talk, rule: L-C1, days: [fri, mon], from: "09:00", to: "17:30", minutes: 45, notice_hours: 24, days_ahead: 7}
"""


def test_a_pack_says_when_calls_can_be_booked() -> None:
    calls = parse_pack(LUMO + CALLS, "lumo.yml").calls
    assert calls is not None
    assert (calls.days, calls.opens, calls.closes, calls.minutes) == ((0, 4), time(9), time(17, 30), 45)


def test_a_pack_may_offer_none() -> None:
    assert parse_pack(LUMO, "lumo.yml").calls is None


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ('"17:30"', '"09:30"', "calls.to: leaves no room for a call of 45 minutes"),
        ("L-C1", "L-X1", "calls.rule: there is no rule L-X1"),
        ("notice_hours: 24", "notice_hours: 168", "calls.notice_hours: must be less than"),
        ("[fri, mon]", "[fri, someday]", "must be one of mon"),
        ('"09:00"', '"9"', "does not look like a time of day"),
    ],
)
def test_hours_that_cannot_be_kept_are_refused(wrong: str, right: str, complaint: str) -> None:
    with pytest.raises(PackError) as error:
        parse_pack(LUMO + CALLS.replace(wrong, right), "lumo.yml")
    assert complaint in str(error.value)
