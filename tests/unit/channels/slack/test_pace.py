"""Calls come no faster than Slack allows."""

from __future__ import annotations

from bot.channels.slack.api import Pace
from bot.channels.slack.places import Place


def test_a_burst_is_let_through_and_then_one_a_second() -> None:
    now = [100.0]
    pace = Pace(1.0, 3, clock=lambda: now[0])
    assert [pace.take("a") for _ in range(5)] == [0, 0, 0, 1, 2]
    assert pace.take("b") == 0, "each by itself"
    now[0] += 10
    assert [pace.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_a_place_is_read_back_and_anything_else_is_none() -> None:
    place = Place("T1", "C1", "1.2", "press-3.4")
    assert Place.parse(str(place)) == place
    assert Place.parse("w-1") is Place.parse(None) is None
    assert not place.is_direct
    assert Place("T1", "D1", "", "1.2").is_direct
    assert Place("T1", "", "", "command-1").is_direct
