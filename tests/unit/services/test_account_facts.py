"""What an account's plans, numbers, wallet, scheduled messages and promises come to, seen from one plan or from all."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.policy.loader import load_pack
from bot.services import cancellations
from bot.services.facts import collect
from bot.services.questions import answer
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START

PACK = load_pack(Path(__file__).parents[3] / "data/policies/smartercontact.yml")
ENDS = datetime(2026, 4, 4, 15, 0, tzinfo=timezone.utc)
BOTH = ["SUB-1010", "SUB-1011"]


def who(uow: UnitOfWork, name: str) -> CustomerRef:
    """A Smarter Contact demo customer."""
    row = uow.session.execute(select(t.Customer).where(t.Customer.email == f"{name}@smarter.example")).scalar_one()
    return CustomerRef(row.id, row.brand, row.email, row.name)


def facts_of(uow: UnitOfWork, name: str = "hal", *, now: datetime = START, **about: Any) -> dict[str, Any]:
    """The facts of a demo customer as JSON values."""
    return collect(uow, pack=PACK, customer=who(uow, name), now=now, **about).to_json()


def cancel(uow: UnitOfWork, *ids: str, key: str = "key") -> None:
    """Cancel Hal's plans."""
    result = cancellations.cancel(
        uow,
        pack=PACK,
        customer=who(uow, "hal"),
        subscription_ids=ids,
        reason_id=None,
        reason_text=None,
        consents=[(consent.id, consent.version, consent.wording) for consent in PACK.cancel.consents],
        offers=(),
        conversation_id=None,
        key=key,
        now=START,
    )
    assert len(result.cancelled) == len(ids)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (
            {"subscription_id": "SUB-1010"},
            {"other_plan_active": True, "other_plans": ["Calling"], "other_products": ["calling"]},
        ),
        ({"subscription_id": "SUB-1010"}, {"account_ends_at": None, "account_could_end_at": ENDS.isoformat()}),
        (
            {"subscription_id": "SUB-1010", "leaving": BOTH},
            {"other_plan_active": False, "other_plans": [], "account_ends_at": ENDS.isoformat()},
        ),
        ({}, {"plans": ["Messaging", "Calling"], "other_plan_active": False, "account_ends_at": ENDS.isoformat()}),
        ({}, {"subscription_status": "active", "period_end": ENDS.isoformat(), "plan": None, "price_minor": None}),
        ({}, {"number_count": 4, "number_fee_minor": 200, "number_fees_minor": 800, "wallet_minor": 4210}),
        ({}, {"unsent_sms_count": 120, "unsent_sms_minor": 240, "unsent_rvm_count": 15, "unsent_rvm_minor": 75}),
        ({}, {"unsent_minor": 315, "unsent_credited_minor": 0, "registration_status": "active"}),
        ({}, {"numbers_release_at": None, "registration_ends_at": None, "data_deleted_at": None}),
    ],
)
def test_hals_account(demo_store: Store, about: dict[str, Any], expected: dict[str, Any]) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, **about)
    assert {name: facts.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "release", "registration", "data"),
    [("iris", "2026-04-04", "2026-04-20", "2027-03-21"), ("jon", "2026-03-20", "2026-04-05", "2027-03-06")],
)
def test_what_was_promised_is_known_with_its_dates(
    demo_store: Store, name: str, release: str, registration: str, data: str
) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, name)
    known = [facts[fact][:10] for fact in ("numbers_release_at", "registration_ends_at", "data_deleted_at")]
    assert known == [release, registration, data]


def test_what_is_due_counts_as_done_however_late_the_lifecycle_runs(demo_store: Store) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, "jon", now=START + timedelta(days=21))
    assert (facts["number_count"], facts["numbers"]) == (0, [])
    assert facts["registration_status"] == "ended"
    assert facts["numbers_release_at"] < facts["registration_ends_at"]


def test_fees_fall_on_the_monthly_days_until_the_end(demo_store: Store) -> None:
    """A yearly plan that began on 31 October: the days keep to the end of shorter months, and to local time."""
    with demo_store.write() as uow:
        plan = uow.get(t.Subscription, "SUB-1010")
        plan.period_start = datetime(2025, 10, 31, 16, 0, tzinfo=timezone.utc)
        plan.period_end = datetime(2026, 6, 30, 16, 0, tzinfo=timezone.utc)
        uow.session.flush()
        facts = facts_of(uow, subscription_id="SUB-1010", leaving=BOTH)
    assert [day[:10] for day in facts["number_fee_dates"]] == ["2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]
    assert facts["number_fee_dates"][-1] <= facts["account_ends_at"]


def test_the_last_fee_is_not_lost_when_clocks_change_within_the_period(demo_store: Store) -> None:
    """Nine in the morning is an hour later in UTC after summer: the day counts, never past the end."""
    with demo_store.write() as uow:
        for subscription_id in BOTH:
            plan = uow.get(t.Subscription, subscription_id)
            plan.period_start = datetime(2026, 10, 20, 16, 0, tzinfo=timezone.utc)
            plan.period_end = datetime(2026, 11, 20, 16, 0, tzinfo=timezone.utc)
        uow.session.flush()
        facts = facts_of(uow, now=datetime(2026, 10, 25, tzinfo=timezone.utc))
    assert facts["number_fee_dates"] == ["2026-11-20T16:00:00+00:00"]


def test_without_fees_there_are_no_dates(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for number in uow.session.execute(select(t.PhoneNumber)).scalars():
            number.monthly_fee_minor = 0
        uow.session.flush()
        facts = facts_of(uow)
    assert (facts["number_fees_minor"], facts["number_count"]) == (0, 4)
    assert "number_fee_dates" not in facts


def test_numbers_that_are_given_up_no_longer_count(demo_store: Store) -> None:
    with demo_store.read() as uow:
        held = select(t.PhoneNumber.id).where(t.PhoneNumber.e164.in_(("+12125550111", "+12125550113")))
        facts = facts_of(uow, removing=uow.session.execute(held).scalars().all())
    assert facts["numbers"] == ["+1 212-555-0112", "+1 212-555-0114"]
    assert (facts["number_count"], facts["number_fees_minor"]) == (2, 400)


def test_only_what_is_scheduled_after_the_end_is_unsent(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for message in uow.session.execute(select(t.ScheduledMessage)).scalars():
            message.send_at = ENDS - timedelta(seconds=1) if message.kind == "sms" else ENDS
        uow.session.flush()
        facts = facts_of(uow)
    assert (facts["unsent_minor"], facts["unsent_rvm_minor"]) == (75, 75)
    assert "unsent_sms_count" not in facts


def test_what_was_credited_is_not_waiting_any_more(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for message in uow.session.execute(select(t.ScheduledMessage)).scalars():
            message.status = "credited" if message.kind == "sms" else "scheduled"
        uow.session.flush()
        facts = facts_of(uow)
    assert (facts["unsent_minor"], facts["unsent_credited_minor"]) == (315, 240)
    assert "unsent_sms_count" not in facts


def test_amounts_of_another_currency_stay_unknown(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for table in (t.Wallet, t.ScheduledMessage):
            for row in uow.session.execute(select(table)).scalars():
                row.currency = "EUR"
        uow.session.flush()
        facts = facts_of(uow)
    assert {"wallet_minor", "unsent_minor", "unsent_sms_count"}.isdisjoint(facts)


def test_plans_that_are_cancelled_together_promise_the_end_of_the_account_once_for_all(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, *BOTH)
        facts = facts_of(uow)
    assert facts["subscription_status"] == "not_renewing"
    assert facts["data_deleted_at"] == "2027-04-04T15:00:00+00:00"
    assert facts["numbers_release_at"] == "2026-04-18T15:00:00+00:00"


def test_one_of_two_plans_promises_nothing_of_the_account(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, "SUB-1010")
        facts = facts_of(uow)
        ending = facts_of(uow, subscription_id="SUB-1010")
    assert facts["other_plan_active"] is ending["other_plan_active"] is True
    assert facts["other_plans"] == ["Calling"]
    assert facts["registration_ends_at"] == "2026-05-04T15:00:00+00:00"
    assert {"numbers_release_at", "data_deleted_at", "account_ends_at", "subscription_status"}.isdisjoint(facts)


def test_the_second_plan_to_go_ends_the_account(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, "SUB-1010", key="first")
        cancel(uow, "SUB-1011", key="second")
        facts = facts_of(uow)
    assert facts["data_deleted_at"] == "2027-04-04T15:00:00+00:00"
    assert facts["account_ends_at"] == ENDS.isoformat()


def test_an_answer_knows_of_which_product_it_speaks(demo_store: Store) -> None:
    with demo_store.read() as uow:
        given = answer(
            uow,
            pack=PACK,
            customer=who(uow, "hal"),
            intent="ask_cancellation_effects",
            now=START,
            subscription_id="SUB-1011",
        )
    assert given is not None
    assert "dialer" in given.says[0]
