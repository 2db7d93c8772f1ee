"""Asking for money back, on both databases: proven from the store, given once, never more than was charged."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from bot.errors import Conflict, NotFound
from bot.ids import new_id
from bot.policy.decision import Decision, Matter, Outcome
from bot.policy.money import Money
from bot.services import approvals, decisions, payouts, refunds
from bot.services.facts import gather
from bot.services.refunds import RefundResult
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.conftest import DIALECTS, Databases
from tests.fakes.clock import START
from tests.unit.services.test_approvals import PACK
from tests.unit.services.usecases import agent, charge, count, customer, jolt


def ask(uow: UnitOfWork, name: str, matter: Matter, *, key: str = "k", **more: Any) -> RefundResult:
    """Ask for money as a demo customer."""
    given: dict[str, Any] = {"conversation_id": None, "now": START, "pack": jolt(), **more}
    return refunds.request(uow, customer=customer(uow, name), matter=matter, key=key, **given)


def test_a_duplicate_charge_is_refunded_once(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "ben", Matter.DUPLICATE_CHARGE)
        uow.commit()
    assert (result.decision.outcome, result.decision.rule_id) == (Outcome.REFUND, "J-R1")
    assert result.refund is not None
    assert (result.refund.reference, result.refund.amount) == ("RFD-000001", Money(1500, "USD"))
    assert result.receipt is not None
    assert "USD 15.00" in result.receipt.plain
    with demo_store.write() as uow:
        again = ask(uow, "ben", Matter.DUPLICATE_CHARGE, key="another")
        assert again.decision.outcome is Outcome.ALREADY_DONE
        assert again.refund is None
        assert again.existing == result.refund
        charges = uow.session.execute(
            select(t.Charge.refunded_minor).where(t.Charge.invoice_id == "INV-2002").order_by(t.Charge.charged_at)
        )
        assert charges.scalars().all() == [0, 1500]
        assert count(uow, t.Outbox, t.Outbox.recipient == "ben@jolt.example") == 1
        assert count(uow, t.AuditLog, t.AuditLog.action == "refund.issued") == 1


def test_the_same_request_again_shows_the_same_and_does_nothing(demo_store: Store) -> None:
    results = []
    for _ in range(2):
        with demo_store.write() as uow:
            results.append(ask(uow, "ben", Matter.DUPLICATE_CHARGE))
            uow.commit()
    assert results[0] == results[1]
    with demo_store.read() as uow:
        assert count(uow, t.Refund) == count(uow, t.Receipt) == count(uow, t.Outbox) == 1


def test_every_answer_about_money_is_on_record_with_its_facts(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for matter in Matter:
            result = ask(uow, "ava", matter, key=matter.value)
            facts, request = decisions.basis(uow, result.decision_id)
            assert facts["verified"] is True
            assert request.matter is matter
            assert decisions.replay(uow, result.decision_id, jolt()) == result.decision
            assert (result.refund, result.approval_ticket, result.restored) == (None, None, None)
        assert count(uow, t.Refund) == 0


def test_a_claim_that_the_ledger_does_not_show_is_refused(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "ava", Matter.DUPLICATE_CHARGE)
    assert (result.decision.outcome, result.decision.rule_id) == (Outcome.REFUSE, "J-R1-unproven")


def test_an_order_that_got_no_number_is_refunded_by_its_invoice(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005")
        again = ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005", key="again")
    assert result.decision.rule_id == "J-R2"
    assert result.refund is not None
    assert result.refund.invoice_id == "INV-2005"
    assert (again.decision.outcome, again.existing) == (Outcome.ALREADY_DONE, result.refund)


def test_somebody_elses_invoice_is_asked_for_again(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "ava", Matter.MISSING_NUMBER, invoice_id="INV-2005")
    assert (result.decision.outcome, result.decision.rule_id) == (Outcome.NEED_EVIDENCE, "J-R2-not-found")


def test_somebody_elses_subscription_is_not_found(demo_store: Store) -> None:
    with demo_store.write() as uow, pytest.raises(NotFound):
        ask(uow, "ava", Matter.GENERAL, subscription_id="SUB-1002")


def test_a_number_that_can_still_be_had_is_restored(demo_store: Store) -> None:
    with demo_store.write() as uow:
        eve = uow.get(t.Subscription, "SUB-1005")
        uow.add(
            t.PhoneNumber(
                id=new_id("num"),
                account_id=eve.account_id,
                subscription_id=eve.id,
                e164="+14155550199",
                status="provisioning_failed",
            )
        )
        result = ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005")
        assert ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005") == result
        later = ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005", key="later")
        assert count(uow, t.AuditLog, t.AuditLog.action == "number.restored") == 1
    assert result.restored is not None
    assert (result.restored.status, result.restored.number_status) == ("active", "active")
    assert result.restored.label == "+1 415-555-0199"
    assert result.receipt is not None
    assert (later.decision.outcome, later.decision.rule_id) == (Outcome.REFUSE, "J-R2-found")


def test_what_the_company_chooses_goes_to_a_person_once(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "dan", Matter.NOT_RECEIVING)
        assert ask(uow, "dan", Matter.NOT_RECEIVING) == result
        again = ask(uow, "dan", Matter.NOT_RECEIVING, key="again")
        assert count(uow, t.Approval) == 1
        assert count(uow, t.Refund) == count(uow, t.Credit) == 0
    assert (result.decision.outcome, result.refund, result.receipt) == (Outcome.REFUND_OR_CREDIT, None, None)
    ticket = result.approval_ticket
    assert ticket is not None
    assert (ticket.kind, ticket.priority.value) == ("approval", "high")
    attached = ticket.events[0].data["details"]
    assert attached["facts"]["investigation_cause"] == "ours"
    assert attached["decision"]["rule_id"] == "J-R3"
    assert attached["ledger"][0]["amount"] == "USD 15.00"
    assert again.decision.outcome is Outcome.ALREADY_DONE
    assert again.existing is not None
    assert (again.existing.kind, again.existing.reference) == ("pending", ticket.reference)


def test_a_test_message_that_arrived_settles_it(demo_store: Store) -> None:
    extra: Mapping[str, Any] = {"test_sms_sent": True, "test_sms_arrived": True}
    with demo_store.write() as uow:
        result = ask(uow, "cara", Matter.NOT_RECEIVING, extra=extra)
    assert (result.decision.outcome, result.decision.rule_id) == (Outcome.REFUSE, "J-R7-receiving")


def test_a_large_refund_waits_for_a_person_and_a_very_large_one_for_two(demo_store: Store) -> None:
    with demo_store.write() as uow:
        invoice = uow.get(t.Invoice, "INV-2001")
        for amount, needed in ((6000, 1), (30000, 2)):
            invoice.amount_minor = amount
            for row in uow.session.execute(select(t.Charge).where(t.Charge.invoice_id == "INV-2001")).scalars():
                row.amount_minor = amount
            duplicate = charge(uow, "INV-2001", amount)
            result = ask(uow, "ava", Matter.DUPLICATE_CHARGE, key=str(amount))
            assert result.refund is None
            assert result.approval_ticket is not None
            (waiting,) = approvals.pending(uow, brand="joltsms")
            assert (waiting.charge_id, waiting.approvers_needed) == (duplicate, needed)
            uow.session.delete(uow.get(t.Approval, waiting.id))
            uow.session.delete(uow.get(t.Charge, duplicate))
            uow.session.flush()


def test_what_is_taken_beyond_an_invoice_comes_back(demo_store: Store) -> None:
    with demo_store.write() as uow:
        row = uow.session.execute(select(t.Charge).where(t.Charge.invoice_id == "INV-2001")).scalar_one()
        row.amount_minor = 1900
        uow.session.flush()
        result = ask(uow, "ava", Matter.DUPLICATE_CHARGE)
        again = ask(uow, "ava", Matter.DUPLICATE_CHARGE, key="again")
    assert result.decision.rule_id == "J-R1-amount"
    assert result.refund is not None
    assert result.refund.amount == Money(400, "USD")
    assert (again.decision.outcome, again.existing) == (Outcome.ALREADY_DONE, result.refund)


def test_what_is_due_after_a_partial_refund_is_left_to_a_person(demo_store: Store) -> None:
    """A charge has one refund: Dan was charged 4 too much, got that back, and then the number never worked."""
    with demo_store.write() as uow:
        row = uow.session.execute(select(t.Charge).where(t.Charge.invoice_id == "INV-2004")).scalar_one()
        row.amount_minor = 1900
        uow.session.flush()
        assert ask(uow, "dan", Matter.DUPLICATE_CHARGE, key="first").refund is not None
        uow.session.execute(select(t.Refund)).scalar_one().status = "paid"
        result = ask(uow, "dan", Matter.NOT_RECEIVING)
        (waiting,) = approvals.pending(uow, brand="joltsms")
        who = agent(uow, "amy")
        with pytest.raises(Conflict):
            approvals.decide_approval(
                uow, pack=PACK, approval_id=waiting.id, agent_id=who, choice="refund", note="", now=START
            )
    assert result.approval_ticket is not None
    assert result.decision.amount == 1500


def test_an_automatic_refund_after_a_partial_one_is_left_to_a_person_too(demo_store: Store) -> None:
    """Eve was charged 4 too much for an order that failed: what was too much came back first, the rest as credit."""
    with demo_store.write() as uow:
        row = uow.session.execute(select(t.Charge).where(t.Charge.invoice_id == "INV-2005")).scalar_one()
        row.amount_minor = 1900
        uow.session.flush()
        ask(uow, "eve", Matter.DUPLICATE_CHARGE, key="first")
        uow.session.execute(select(t.Refund)).scalar_one().status = "paid"
        result = ask(uow, "eve", Matter.MISSING_NUMBER, invoice_id="INV-2005")
        (waiting,) = approvals.pending(uow, brand="joltsms")
        decided = approvals.decide_approval(
            uow, pack=PACK, approval_id=waiting.id, agent_id=agent(uow, "amy"), choice="credit", note="", now=START
        )
    assert (result.decision.outcome, result.refund) == (Outcome.REFUND, None)
    assert result.approval_ticket is not None
    assert decided.given is not None
    assert (decided.given.kind, decided.given.amount) == ("credit", Money(1500, "USD"))


def test_two_at_once_get_one_refund(demo_store: Store) -> None:
    """Both read a ledger with a duplicate in it; whoever comes second is shown the first one's refund."""
    barrier = threading.Barrier(2)
    results: list[RefundResult] = []

    def click(key: str) -> None:
        with demo_store.write() as uow:
            if uow.session.get_bind().dialect.name == "postgresql":
                gather(uow, pack=jolt(), customer=customer(uow, "ben"), now=START)
                barrier.wait(10)
            results.append(ask(uow, "ben", Matter.DUPLICATE_CHARGE, key=key))
            uow.commit()

    threads = [threading.Thread(target=click, args=(key,)) for key in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (given,) = [result.refund for result in results if result.refund]
    (told,) = [result.existing for result in results if result.existing]
    assert told == given
    assert {result.decision.outcome for result in results} == {Outcome.REFUND, Outcome.ALREADY_DONE}


def test_the_database_itself_refuses_a_second_refund_and_too_much(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = ask(uow, "ben", Matter.DUPLICATE_CHARGE)
        assert result.refund is not None
        uow.commit()
    with demo_store.write() as uow, pytest.raises(IntegrityError):
        uow.add(
            t.Refund(
                id=new_id("rfd"),
                reference="RFD-000009",
                charge_id=result.refund.charge_id,
                decision_id=result.decision_id,
                customer_id=customer(uow, "ben").customer_id,
                amount_minor=1,
                currency="USD",
                status="issued",
                created_at=START,
                idempotency_key="x",
            )
        )
    with demo_store.write() as uow:
        uow.get(t.Charge, result.refund.charge_id).refunded_minor = 1501
        with pytest.raises(IntegrityError):
            uow.session.flush()


def test_a_decision_from_a_ledger_that_changed_gives_nothing(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ben = customer(uow, "ben")
        charge_id = gather(uow, pack=jolt(), customer=ben, now=START).charges["duplicate"]
        refused = ask(uow, "ben", Matter.PRORATED)
        decision = Decision.from_json({**refused.decision.to_json(), "outcome": "refund", "amount": 1000})
        uow.get(t.Charge, charge_id).credited_minor = 800
        uow.session.flush()
        with pytest.raises(Conflict):
            payouts.give(
                uow,
                pack=jolt(),
                customer=ben,
                choice="refund",
                charge_id=charge_id,
                decision_id=refused.decision_id,
                decision=decision,
                conversation_id=None,
                actor="bot",
                key="x",
                now=START,
            )


# --- any sequence ----------------------------------------------------------------------------------------------------

_INVOICES = {"ava": "INV-2001", "ben": "INV-2002", "dan": "INV-2004"}
_ASK = st.tuples(
    st.just("ask"), st.sampled_from(sorted(_INVOICES)), st.sampled_from(Matter), st.booleans(), st.integers(0, 3)
)
_DECIDE = st.tuples(
    st.just("decide"), st.sampled_from(("refund", "credit", "deny")), st.sampled_from(("amy", "bo")), st.integers(0, 3)
)
_CHARGE = st.tuples(st.just("charge"), st.sampled_from(sorted(_INVOICES)), st.sampled_from((300, 1500, 6000, 25000)))
_PAID = st.tuples(st.just("paid"))


@pytest.mark.parametrize(("dialect", "examples"), zip(DIALECTS, (25, 5), strict=True))
def test_no_sequence_of_requests_and_approvals_returns_more_than_was_charged(
    databases: Databases, dialect: str, examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(_ASK, _DECIDE, _CHARGE, _PAID), max_size=12))
    def run(steps: list[tuple[Any, ...]]) -> None:
        with databases.store(dialect, "demo") as store:
            with store.write() as uow:
                people = {name: agent(uow, name) for name in ("amy", "bo")}
                uow.commit()
            for number, step in enumerate(steps):
                _step(store, step, people, number)
                _check_ledger(store)

    run()


def _step(store: Store, step: tuple[Any, ...], people: Mapping[str, str], number: int) -> None:
    moment = START + timedelta(minutes=number)
    with store.write() as uow:
        if step[0] == "ask":
            _, name, matter, by_invoice, key = step
            invoice_id = _INVOICES[name] if by_invoice else None
            ask(uow, name, matter, key=f"{name}:{matter.value}:{by_invoice}:{key}", invoice_id=invoice_id, now=moment)
        elif step[0] == "charge":
            charge(uow, _INVOICES[step[1]], step[2], at=moment)
        elif step[0] == "paid":
            for refund in uow.session.execute(select(t.Refund)).scalars():
                refund.status = "paid"
        else:
            _, choice, who, which = step
            known = uow.session.execute(select(t.Approval.id).order_by(t.Approval.created_at)).scalars().all()
            if not known:
                return
            try:
                approvals.decide_approval(
                    uow,
                    pack=PACK,
                    approval_id=known[which % len(known)],
                    agent_id=people[who],
                    choice=choice,
                    note="",
                    now=moment,
                )
            except Conflict:
                return
        uow.commit()


def _check_ledger(store: Store) -> None:
    with store.read() as uow:
        charges = (
            uow.session.execute(select(t.Charge).where(t.Charge.invoice_id.in_(_INVOICES.values()))).scalars().all()
        )
        for row in charges:
            refunded, credited = (
                uow.session.execute(
                    select(func.coalesce(func.sum(table.amount_minor), 0)).where(table.charge_id == row.id)
                ).scalar_one()
                for table in (t.Refund, t.Credit)
            )
            assert (refunded, credited) == (row.refunded_minor, row.credited_minor)
            waiting = uow.session.execute(
                select(func.coalesce(func.sum(t.Approval.amount_minor), 0)).where(
                    t.Approval.charge_id == row.id, t.Approval.status == "pending"
                )
            ).scalar_one()
            assert refunded + credited + waiting <= row.amount_minor
        paid = {
            *uow.session.execute(select(t.Refund.decision_id)).scalars(),
            *uow.session.execute(select(t.Credit.decision_id)).scalars(),
        }
        for decision_id in paid:
            assert Outcome(uow.get(t.Decision, decision_id).outcome).pays
        receipts = count(uow, t.Receipt, t.Receipt.kind.in_(("refund", "credit")))
        assert receipts == len(paid) == count(uow, t.Refund) + count(uow, t.Credit)
