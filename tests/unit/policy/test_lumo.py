"""A made-up brand whose promises are unlike the real ones needs its pack only, and no code."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from bot.policy.decide import alternatives, consents, decide, plan_cancellation
from bot.policy.decision import Approval, EventKind, Matter, Outcome, Request, RequestKind
from bot.policy.errors import UnknownDateError
from bot.policy.facts import Facts
from bot.policy.pack import Pack

YEARLY: dict[str, Any] = {
    "verified": True,
    "role": "owner",
    "country": "FR",
    "currency": "EUR",
    "interval_months": 12,
    "price_minor": 12000,
    "numbers": ["+49 30 5550101", "+49 30 5550102"],
    "started_at": "2026-01-31T12:00:00Z",
    "period_start": "2026-01-31T12:00:00Z",
    "period_end": "2027-01-31T12:00:00Z",
    "latest_charge_minor": 12000,
    "latest_charge_refunded_minor": 0,
}
MONTHLY = YEARLY | {"interval_months": 1, "period_end": "2026-02-28T12:00:00Z"}


def _ask(kind: RequestKind, now: str, matter: Matter | None = None) -> Request:
    return Request(
        kind=kind, now=datetime.fromisoformat(now).replace(tzinfo=timezone.utc), matter=matter, product="line"
    )


@pytest.mark.parametrize(
    ("now", "outcome"),
    [("2026-02-14T22:59:59", Outcome.REFUND), ("2026-02-14T23:00:00", Outcome.REFUSE)],
)
def test_fourteen_days_end_at_midnight_where_the_brand_is(lumo: Pack, now: str, outcome: Outcome) -> None:
    """The fourteenth day after 31 January is 14 February in Berlin, whose midnight is 23:00 UTC."""
    asked = _ask(RequestKind.REFUND, now, Matter.CHANGE_OF_MIND)

    assert decide(lumo, Facts.from_json(YEARLY), asked).outcome is outcome


def test_a_regional_right_comes_first_and_goes_to_a_person(lumo: Pack) -> None:
    asked = _ask(RequestKind.REFUND, "2026-08-01T00:00:00", Matter.CHANGE_OF_MIND)
    facts = YEARLY | {"country": "NO", "started_at": "2026-07-31T12:00:00Z"}
    decision = decide(lumo, Facts.from_json(facts), asked)

    assert (decision.rule_id, decision.approval, decision.amount) == ("L-R1", Approval.ONE, 12000)
    assert lumo.rules[RequestKind.REFUND][0].law is not None


@pytest.mark.parametrize(("now", "rule_id"), [("2026-06-18T21:59:59", "L-R2"), ("2026-06-18T22:00:00", "L-R1")])
def test_a_law_applies_from_its_day_on_where_the_brand_is(lumo: Pack, now: str, rule_id: str) -> None:
    """19 June begins in Berlin when it is 22:00 UTC."""
    facts = Facts.from_json(YEARLY | {"country": "NO", "started_at": "2026-06-10T12:00:00Z"})

    assert decide(lumo, facts, _ask(RequestKind.REFUND, now, Matter.CHANGE_OF_MIND)).rule_id == rule_id


@pytest.mark.parametrize(
    ("now", "returned", "outcome", "amount"),
    [
        ("2026-12-28T12:00:00", 0, Outcome.CREDIT, 1117),
        ("2026-02-01T12:00:00", 0, Outcome.CREDIT, 11967),
        ("2026-12-28T12:00:00", 1000, Outcome.CREDIT, 117),
        ("2026-12-28T12:00:00", 1117, Outcome.ALREADY_DONE, 0),
        ("2027-02-01T12:00:00", 0, Outcome.REFUSE, 0),
    ],
)
def test_the_unused_part_of_a_year_is_credited_once(
    lumo: Pack, now: str, returned: int, outcome: Outcome, amount: int
) -> None:
    """34 of 365 days of EUR 120.00 are EUR 11.17, rounded down."""
    facts = Facts.from_json(YEARLY | {"latest_charge_refunded_minor": returned})
    decision = decide(lumo, facts, _ask(RequestKind.REFUND, now, Matter.PRORATED))

    assert (decision.outcome, decision.amount) == (outcome, amount)


@pytest.mark.parametrize(("facts", "rule_id"), [(YEARLY, "L-P1"), (MONTHLY, "L-P2")])
def test_pausing_depends_on_the_plan(lumo: Pack, facts: dict[str, Any], rule_id: str) -> None:
    assert decide(lumo, Facts.from_json(facts), _ask(RequestKind.PAUSE, "2026-02-01T00:00:00")).rule_id == rule_id


@pytest.mark.parametrize(
    ("facts", "now", "effective_at"),
    [
        (YEARLY, "2026-06-01T08:00:00", "2027-01-31T12:00:00+00:00"),
        (YEARLY, "2027-01-20T08:00:00", "2027-02-19T23:00:00+00:00"),
        # Notice over the change to summer time ends at the local midnight of the thirtieth day.
        (MONTHLY, "2026-03-10T08:00:00", "2026-04-09T22:00:00+00:00"),
        (MONTHLY | {"country": "US", "state": "CA"}, "2026-03-10T08:00:00", "2026-03-10T08:00:00+00:00"),
    ],
)
def test_notice_is_thirty_days_and_the_paid_term_is_kept(
    lumo: Pack, facts: dict[str, Any], now: str, effective_at: str
) -> None:
    plan = plan_cancellation(lumo, Facts.from_json(facts), _ask(RequestKind.CANCEL, now))

    assert plan.effective_at.isoformat() == effective_at


def test_events_follow_in_order_with_month_ends_kept(lumo: Pack) -> None:
    plan = plan_cancellation(lumo, Facts.from_json(YEARLY), _ask(RequestKind.CANCEL, "2026-06-01T08:00:00"))

    assert [(event.kind, event.at.isoformat()) for event in plan.events] == [
        (EventKind.RELEASE_NUMBER, "2027-02-27T23:00:00+00:00"),
        (EventKind.ERASE_DATA, "2028-01-31T12:00:00+00:00"),
    ]
    assert plan.effects[0].text == "Your numbers +49 30 5550101 and +49 30 5550102 go on 28 February 2027."
    assert (plan.undo_until, plan.undo_says) == (None, ())


def test_effects_that_do_not_apply_are_left_out(lumo: Pack) -> None:
    facts = Facts.from_json(YEARLY).with_(numbers=None)
    plan = plan_cancellation(lumo, facts, _ask(RequestKind.CANCEL, "2026-06-01T08:00:00"))

    assert [effect.rule_id for effect in plan.effects] == ["L-E2"]


def test_undoing_ends_with_the_earlier_of_two_dates(lumo: Pack) -> None:
    plan = plan_cancellation(lumo, Facts.from_json(MONTHLY), _ask(RequestKind.CANCEL, "2026-02-10T08:00:00"))

    assert plan.undo_until == datetime(2026, 2, 17, 8, tzinfo=timezone.utc)
    assert plan.undo_says == ("You can come back until 17 February 2026.",)


def test_a_date_that_rests_on_something_unknown_is_refused_by_name(lumo: Pack) -> None:
    facts = Facts.from_json(YEARLY).with_(period_end=None)
    with pytest.raises(UnknownDateError, match="L-C1: its date needs `period_end`") as caught:
        plan_cancellation(lumo, facts, _ask(RequestKind.CANCEL, "2026-06-01T08:00:00"))

    assert (caught.value.rule_id, caught.value.facts) == ("L-C1", ("period_end",))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(MONTHLY, ["pause", "smaller"]), (YEARLY, ["smaller", "talk"]), ({"interval_months": 1}, ["pause", "talk"])],
)
def test_two_alternatives_that_fit_and_can_be_said(lumo: Pack, facts: dict[str, Any], expected: list[str]) -> None:
    offers = alternatives(lumo, Facts.from_json(facts), _ask(RequestKind.CANCEL, "2026-06-01T08:00:00"))

    assert [offer.id for offer in offers] == expected


def test_consents_can_be_regional(lumo: Pack) -> None:
    asked = _ask(RequestKind.CANCEL, "2026-06-01T08:00:00")
    californian = Facts.from_json(YEARLY | {"country": "US", "state": "CA"})

    assert [consent.id for consent in consents(lumo, Facts.from_json(YEARLY), asked)] == ["terms"]
    assert [consent.version for consent in consents(lumo, californian, asked)] == ["3", "1"]


def test_facts_given_outright_are_not_derived_again(lumo: Pack) -> None:
    """A decision that is replayed from stored facts rests on those, not on what would be derived today."""
    facts = Facts.from_json(
        YEARLY | {"days_left": 73, "period_days": 365, "may_cancel": False, "evidence_complete": True}
    )
    asked = _ask(RequestKind.REFUND, "2026-12-28T12:00:00", Matter.PRORATED)

    assert decide(lumo, facts, asked).amount == 2400
