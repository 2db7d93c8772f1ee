"""What a customer sees of their own accounts."""

from __future__ import annotations

from datetime import timedelta

from bot.policy.decision import Matter
from bot.policy.money import Money
from bot.services import accounts, refunds
from bot.services.views import show_number
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.usecases import customer, jolt


def test_subscriptions_are_shown_oldest_first_with_their_numbers(demo_store: Store) -> None:
    with demo_store.read() as uow:
        held = accounts.subscriptions(uow, customer(uow, "finn").customer_id)
    assert [(each.id, each.label, each.status) for each in held] == [
        ("SUB-1006", "+1 415-555-0105", "not_renewing"),
        ("SUB-1007", "+1 415-555-0106", "active"),
        ("SUB-1008", "+1 415-555-0107", "active"),
    ]
    assert held[0].cancellation is not None
    assert held[0].cancellation.status == "scheduled"
    assert held[1].cancellation is None
    assert held[1].price == Money(1500, "USD")


def test_a_subscription_without_a_number_is_called_by_its_plan(demo_store: Store) -> None:
    with demo_store.read() as uow:
        held = accounts.subscriptions(uow, customer(uow, "eve").customer_id)
    assert [(each.label, each.number, each.status) for each in held] == [("US number, monthly", None, "failed")]


def test_the_number_that_is_held_counts_before_one_that_is_gone(demo_store: Store) -> None:
    with demo_store.write() as uow:
        old = uow.get(t.Subscription, "SUB-1001")
        uow.add(
            t.PhoneNumber(
                id="num_zzz",
                account_id=old.account_id,
                subscription_id=old.id,
                e164="+14155550190",
                status="released",
                activated_at=START,
            )
        )
        held = accounts.subscriptions(uow, customer(uow, "ava").customer_id)
    assert held[0].number == "+14155550101"


def test_somebody_elses_subscription_and_invoice_are_not_there(demo_store: Store) -> None:
    with demo_store.read() as uow:
        ava = customer(uow, "ava").customer_id
        assert accounts.subscription(uow, ava, "SUB-1002") is None
        assert accounts.subscription(uow, ava, "SUB-1001") is not None
        assert accounts.find_invoice(uow, ava, "INV-2002") is None
        assert accounts.find_invoice(uow, ava, "INV-2001") is not None


def test_invoices_come_newest_first_with_every_charge(demo_store: Store) -> None:
    with demo_store.read() as uow:
        shown = accounts.invoices(uow, customer(uow, "ben").customer_id)
        latest = accounts.invoices(uow, customer(uow, "ben").customer_id, limit=1)
    assert [invoice.issued_at for invoice in shown] == sorted((each.issued_at for each in shown), reverse=True)
    assert len(shown) == 3
    assert [invoice.id for invoice in latest] == ["INV-2002"]
    first, second = latest[0].charges
    assert second.charged_at - first.charged_at == timedelta(minutes=2)
    assert {charge.amount for charge in latest[0].charges} == {Money(1500, "USD")}
    assert latest[0].charges[0].subscription_id == "SUB-1002"


def test_refunds_and_what_waits_for_approval_are_shown(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ben, dan = customer(uow, "ben"), customer(uow, "dan")
        for who, matter in ((ben, Matter.DUPLICATE_CHARGE), (dan, Matter.NOT_RECEIVING)):
            refunds.request(
                uow, pack=jolt(), customer=who, matter=matter, conversation_id=None, key=who.name, now=START
            )
        given = accounts.refunds(uow, ben.customer_id)
        waiting = accounts.refunds(uow, dan.customer_id)
        nothing = accounts.refunds(uow, customer(uow, "ava").customer_id)
    assert [(each.kind, each.reference, each.amount, each.invoice_id, each.rule_id) for each in given] == [
        ("refund", "RFD-000001", Money(1500, "USD"), "INV-2002", "J-R1")
    ]
    assert [(each.kind, each.status, each.reference[:4], each.rule_id) for each in waiting] == [
        ("pending", "pending", "TCK-", "J-R3")
    ]
    assert nothing == []


def test_credit_without_a_charge_is_shown_too(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ava = customer(uow, "ava")
        uow.add(
            t.Credit(
                id="crd_1",
                reference="CRD-000009",
                account_id=uow.get(t.Subscription, "SUB-1001").account_id,
                amount_minor=500,
                currency="USD",
                reason="goodwill",
                created_at=START,
                idempotency_key="goodwill",
            )
        )
        shown = accounts.refunds(uow, ava.customer_id)
    assert [(each.kind, each.reference, each.charge_id, each.rule_id) for each in shown] == [
        ("credit", "CRD-000009", None, None)
    ]


def test_a_number_is_shown_as_people_write_it() -> None:
    assert show_number("+14155550101") == "+1 415-555-0101"
    assert show_number("12") == "12"
