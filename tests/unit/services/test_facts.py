"""The facts of the demo customers, and of ledgers and numbers in every other state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.ids import new_id
from bot.policy.errors import FactError
from bot.services.facts import collect, gather
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import charge, customer, jolt


def facts_of(uow: UnitOfWork, name: str, **asked: object) -> dict[str, object]:
    """The facts of a demo customer as JSON values."""
    return collect(uow, pack=jolt(), customer=customer(uow, name), now=START, **asked).to_json()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "ava",
            {
                "role": "owner",
                "country": "US",
                "currency": "USD",
                "subscription_status": "active",
                "number_status": "active",
                "number": "+1 415-555-0101",
                "price_minor": 1500,
                "auto_renew": True,
                "sms_ever_received": True,
                "last_sms_at": "2026-03-15T15:00:00+00:00",
                "latest_charge_minor": 1500,
                "latest_charge_refunded_minor": 0,
                "duplicate_charge_found": False,
                "amount_disagrees": False,
                "refund_pending": False,
                "investigation_status": "none",
                "cancellation_status": "none",
                "verified": True,
            },
        ),
        (
            "ben",
            {
                "duplicate_charge_found": True,
                "duplicate_charge_minor": 1500,
                "duplicate_charge_refunded_minor": 0,
                "duplicate_refund_status": "none",
                "latest_charge_minor": 1500,
                "amount_disagrees": False,
            },
        ),
        ("cara", {"sms_ever_received": False, "investigation_status": "none", "number_status": "active"}),
        (
            "dan",
            {
                "investigation_status": "closed",
                "investigation_cause": "ours",
                "had_fair_chance": True,
                "restored": False,
                "replaced": False,
                "sms_ever_received": False,
            },
        ),
        (
            "eve",
            {
                "subscription_status": "failed",
                "provisioning_status": "failed",
                "number_status": "provisioning_failed",
                "can_restore": False,
                "numbers": [],
            },
        ),
        (
            "gia",
            {
                "subscription_status": "ended",
                "number_status": "released",
                "cancellation_status": "effective",
                "auto_renew": False,
                "numbers": [],
            },
        ),
    ],
)
def test_the_store_tells_each_demo_customers_situation(
    demo_store: Store, name: str, expected: dict[str, object]
) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, name)
    assert {key: facts.get(key) for key in expected} == expected


def test_of_several_subscriptions_the_named_one_is_told(demo_store: Store) -> None:
    with demo_store.read() as uow:
        ending = facts_of(uow, "finn", subscription_id="SUB-1006")
        running = facts_of(uow, "finn", subscription_id="SUB-1008")
    assert (ending["subscription_status"], ending["cancellation_status"]) == ("not_renewing", "scheduled")
    assert (running["subscription_status"], running["number"]) == ("active", "+1 415-555-0107")


def test_of_several_subscriptions_none_is_guessed(demo_store: Store) -> None:
    """Finn has three: what differs between them stays unknown, what holds for all is known."""
    with demo_store.read() as uow:
        facts = facts_of(uow, "finn")
    assert "subscription_status" not in facts
    assert "latest_charge_minor" not in facts
    assert len(facts["numbers"]) == 3  # type: ignore[arg-type]
    assert facts["duplicate_charge_found"] is False
    assert facts["role"] == "owner"


def test_somebody_elses_subscription_and_invoice_are_as_if_unknown(demo_store: Store) -> None:
    with demo_store.read() as uow:
        theirs = facts_of(uow, "ava", subscription_id="SUB-1002")
        invoice = facts_of(uow, "ava", invoice_id="INV-2002")
        unknown = facts_of(uow, "ava", invoice_id="INV-9999")
    assert theirs["subscription_status"] == "none"
    assert theirs["duplicate_charge_found"] is False
    assert "latest_charge_minor" not in theirs
    assert invoice == unknown
    assert unknown["invoice_found"] is False


def test_an_invoice_points_at_its_subscription(demo_store: Store) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, "eve", invoice_id="INV-2005")
    assert facts["invoice_found"] is True
    assert facts["invoice_status"] == "paid"
    assert (facts["invoice_charge_minor"], facts["invoice_refunded_minor"]) == (1500, 0)
    assert facts["provisioning_status"] == "failed"


def test_the_ledger_points_at_the_subscription_with_the_wrong_charge(demo_store: Store) -> None:
    with demo_store.write() as uow:
        wrong = charge(uow, "INV-2007", 1500)
        gathered = gather(uow, pack=jolt(), customer=customer(uow, "finn"), now=START)
    assert gathered.subscription is not None
    assert gathered.subscription.id == "SUB-1007"
    assert gathered.charges["duplicate"] == wrong
    assert gathered.charges["latest"] != wrong


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], {"duplicate_charge_found": False, "amount_disagrees": False}),
        ([1500], {"duplicate_charge_found": True, "duplicate_charge_minor": 1500, "amount_disagrees": False}),
        ([500], {"duplicate_charge_found": True, "duplicate_charge_minor": 500}),
        ([1500, 1500], {"duplicate_charge_found": True, "duplicate_charge_minor": 1500}),
    ],
)
def test_what_is_charged_after_the_invoice_is_paid_is_a_duplicate(
    demo_store: Store, amounts: list[int], expected: dict[str, object]
) -> None:
    with demo_store.write() as uow:
        for minutes, amount in enumerate(amounts):
            charge(uow, "INV-2001", amount, at=START + timedelta(minutes=minutes))
        facts = facts_of(uow, "ava")
    assert {key: facts.get(key) for key in expected} == expected


def test_a_second_invoice_for_the_same_period_and_amount_is_a_duplicate(demo_store: Store) -> None:
    with demo_store.write() as uow:
        first = uow.get(t.Invoice, "INV-2001")
        uow.add(
            t.Invoice(
                id="INV-3001",
                account_id=first.account_id,
                subscription_id=first.subscription_id,
                amount_minor=first.amount_minor,
                currency=first.currency,
                status="paid",
                period_start=first.period_start,
                period_end=first.period_end,
                issued_at=START,
            )
        )
        again = charge(uow, "INV-3001", 1500)
        gathered = gather(uow, pack=jolt(), customer=customer(uow, "ava"), now=START)
    assert gathered.facts["duplicate_charge_found"] is True
    assert gathered.charges["duplicate"] == again


def test_parts_that_add_up_to_the_invoice_are_no_error(demo_store: Store) -> None:
    with demo_store.write() as uow:
        _recharge(uow, "INV-2001", 1000, 500)
        facts = facts_of(uow, "ava")
    assert facts["duplicate_charge_found"] is False
    assert facts["amount_disagrees"] is False
    assert "latest_charge_minor" not in facts, "which of the parts to give back is for a person to say"


@pytest.mark.parametrize(("taken", "wrong"), [(2100, 600), (1200, 0)])
def test_a_charge_that_differs_from_its_invoice_is_seen(demo_store: Store, taken: int, wrong: int) -> None:
    with demo_store.write() as uow:
        _recharge(uow, "INV-2001", taken)
        facts = facts_of(uow, "ava")
    assert facts["amount_disagrees"] is True
    assert facts["wrong_charge_minor"] == wrong
    assert facts["duplicate_charge_found"] is False


@pytest.mark.parametrize("change", ["void", "currency"])
def test_a_charge_without_anything_to_compare_it_with_settles_nothing(demo_store: Store, change: str) -> None:
    with demo_store.write() as uow:
        if change == "void":
            uow.get(t.Invoice, "INV-2001").status = "void"
        else:
            charge(uow, "INV-2001", 1500, currency="EUR")
        facts = facts_of(uow, "ava")
    assert "duplicate_charge_found" not in facts
    assert "amount_disagrees" not in facts


def test_what_waits_for_approval_counts_as_given_back(demo_store: Store) -> None:
    with demo_store.write() as uow:
        before = gather(uow, pack=jolt(), customer=customer(uow, "ben"), now=START)
        _decision(uow, before.charges["duplicate"])
        facts = facts_of(uow, "ben")
    assert facts["duplicate_charge_refunded_minor"] == 1500
    assert facts["duplicate_refund_status"] == "pending"


@pytest.mark.parametrize(("status", "state"), [("issued", "pending"), ("paid", "done")])
def test_a_refund_is_on_its_way_until_it_is_paid(demo_store: Store, status: str, state: str) -> None:
    with demo_store.write() as uow:
        who = customer(uow, "ben")
        charge_id = gather(uow, pack=jolt(), customer=who, now=START).charges["duplicate"]
        decision_id = _decision(uow, None)
        uow.get(t.Charge, charge_id).refunded_minor = 1500
        uow.add(
            t.Refund(
                id=new_id("rfd"),
                reference="RFD-000001",
                charge_id=charge_id,
                decision_id=decision_id,
                customer_id=who.customer_id,
                amount_minor=1500,
                currency="USD",
                status=status,
                created_at=START,
                idempotency_key="test",
            )
        )
        facts = facts_of(uow, "ben")
    assert facts["duplicate_refund_status"] == state
    assert facts["duplicate_charge_refunded_minor"] == 1500


def test_what_was_promised_for_a_moment_that_passed_counts_as_done(demo_store: Store) -> None:
    """Finn's first number ends in seven days; nobody ran the lifecycle since."""
    with demo_store.read() as uow:
        who = customer(uow, "finn")
        later = START + timedelta(days=7)
        facts = collect(uow, pack=jolt(), customer=who, subscription_id="SUB-1006", now=later).to_json()
    assert facts["subscription_status"] == "ended"
    assert facts["cancellation_status"] == "effective"
    assert facts["number_status"] == "released"


def test_a_number_whose_set_up_failed_can_be_restored_while_nobody_holds_it(demo_store: Store) -> None:
    with demo_store.write() as uow:
        eve = uow.get(t.Subscription, "SUB-1005")
        failed = t.PhoneNumber(
            id=new_id("num"),
            account_id=eve.account_id,
            subscription_id=eve.id,
            e164="+14155550199",
            status="provisioning_failed",
        )
        uow.add(failed)
        assert facts_of(uow, "eve")["can_restore"] is True
        failed.e164 = "+14155550101"  # Ava's
        uow.session.flush()
        assert facts_of(uow, "eve")["can_restore"] is False


def test_an_open_investigation_has_found_nothing_yet(demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.session.execute(select(t.Investigation)).scalar_one().status = "open"
        facts = facts_of(uow, "dan")
    assert facts["investigation_status"] == "open"
    assert "investigation_cause" not in facts
    assert "had_fair_chance" not in facts


def test_facts_of_the_conversation_win(demo_store: Store) -> None:
    with demo_store.read() as uow:
        facts = facts_of(uow, "ava", extra={"verified": False, "test_sms_sent": True})
        with pytest.raises(FactError):
            facts_of(uow, "ava", extra={"no_such_fact": 1})
    assert facts["verified"] is False
    assert facts["test_sms_sent"] is True


def test_somebody_without_an_account_has_nothing(demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.add(t.Customer(id="cus_new", brand="joltsms", email="new@jolt.example", name="New", created_at=START))
        facts = facts_of(uow, "new")
    assert facts["subscription_status"] == "none"
    assert facts["duplicate_charge_found"] is False
    assert "role" not in facts


def _recharge(uow: UnitOfWork, invoice_id: str, *amounts: int) -> None:
    """Replace an invoice's charges."""
    for old in uow.session.execute(select(t.Charge).where(t.Charge.invoice_id == invoice_id)).scalars().all():
        uow.session.delete(old)
    uow.session.flush()
    for minutes, amount in enumerate(amounts):
        charge(uow, invoice_id, amount, at=START + timedelta(minutes=minutes))


def _decision(uow: UnitOfWork, approval_for: str | None) -> str:
    """A decision to pay, waiting for approval if a charge is given."""
    row = t.Decision(
        id=new_id("dec"),
        brand="joltsms",
        kind="refund",
        outcome="refund",
        rule_id="J-R1",
        policy_version="test",
        currency="USD",
        request={},
        facts={},
        decision={},
        created_at=START,
        idempotency_key=new_id("key"),
    )
    uow.add(row)
    if approval_for:
        uow.add(
            t.Approval(
                id=new_id("apr"),
                decision_id=row.id,
                charge_id=approval_for,
                amount_minor=1500,
                currency="USD",
                created_at=START,
            )
        )
    return str(row.id)
