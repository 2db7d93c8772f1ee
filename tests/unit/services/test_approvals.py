"""What people decide about money: by one, by two, once, and the customer is told."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlalchemy import select

from bot.errors import Conflict, Forbidden, InvalidInput, NotFound
from bot.policy.decision import Matter, Outcome
from bot.policy.money import Money
from bot.services import accounts, approvals, refunds, tickets
from bot.services.approvals import ApprovalView
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, conversation, count, customer, jolt

_TEXTS = {
    "approval_refund": ("A colleague has approved your refund.",),
    "approval_credit": ("A colleague has given you credit.",),
    "approval_deny": ("A colleague has looked at it and cannot give it back.",),
}
PACK = replace(jolt(), texts=MappingProxyType({**jolt().texts, **_TEXTS}))


@pytest.fixture
def asked(demo_store: Store) -> Store:
    """A store in which Dan's remedy waits for a person; Amy and Bo work at the desk."""
    with demo_store.write() as uow:
        dan = customer(uow, "dan")
        refunds.request(
            uow,
            pack=PACK,
            customer=dan,
            matter=Matter.NOT_RECEIVING,
            conversation_id=conversation(uow, dan),
            key="k",
            now=START,
        )
        for name in ("amy", "bo"):
            agent(uow, name)
        uow.commit()
    return demo_store


def decide(uow: UnitOfWork, who: str, choice: str, note: str = "") -> ApprovalView:
    """Let somebody decide the only request there is."""
    approval_id = uow.session.execute(select(t.Approval.id)).scalar_one()
    agent_id = uow.session.execute(select(t.Agent.id).where(t.Agent.email == f"{who}@desk.example")).scalar_one()
    return approvals.decide_approval(
        uow,
        pack=PACK,
        approval_id=approval_id,
        agent_id=agent_id,
        choice=choice,  # type: ignore[arg-type]
        note=note,
        now=START,
    )


def two_needed(uow: UnitOfWork) -> None:
    """As if the amount were above the second limit."""
    uow.session.execute(select(t.Approval)).scalar_one().approvers_needed = 2
    uow.session.flush()


@pytest.mark.parametrize(("choice", "reference"), [("refund", "RFD-000001"), ("credit", "CRD-000001")])
def test_a_person_chooses_refund_or_credit_and_the_customer_gets_it(asked: Store, choice: str, reference: str) -> None:
    with asked.write() as uow:
        view = decide(uow, "amy", choice, "The SIM is dead.")
        uow.commit()
    assert (view.status, view.choice) == ("approved", choice)
    assert view.given is not None
    assert (view.given.kind, view.given.reference, view.given.amount) == (choice, reference, Money(1500, "USD"))
    assert view.says == _TEXTS[f"approval_{choice}"]
    assert view.conversation_id is not None
    with asked.read() as uow:
        dan = customer(uow, "dan").customer_id
        assert accounts.refunds(uow, dan) == [view.given]
        ticket = tickets.ticket_view(uow, view.ticket_reference, customer_id=dan)
        assert ticket.status.value == "resolved"
        assert [event.body for event in ticket.events if event.kind == "approval"] == ["The SIM is dead."]
        assert count(uow, t.Outbox, t.Outbox.recipient == "dan@jolt.example") == 1
        assert count(uow, t.AuditLog, t.AuditLog.action == f"{choice}.issued") == 1
        assert approvals.pending(uow, brand="joltsms") == []


def test_a_denial_gives_nothing_and_is_mailed(asked: Store) -> None:
    with asked.write() as uow:
        view = decide(uow, "amy", "deny", "Not ours.")
        assert (view.status, view.choice, view.given) == ("denied", None, None)
        assert view.says == _TEXTS["approval_deny"]
        mail = uow.session.execute(select(t.Outbox)).scalar_one()
        assert mail.recipient == "dan@jolt.example"
        assert mail.payload["plain"] == _TEXTS["approval_deny"][0]
        assert "Not ours." not in str(mail.payload), "the note is for colleagues"
        assert count(uow, t.Refund) == count(uow, t.Credit) == 0


@pytest.mark.parametrize("choice", ["refund", "credit", "deny"])
def test_the_same_decision_again_changes_nothing(asked: Store, choice: str) -> None:
    with asked.write() as uow:
        first = decide(uow, "amy", choice)
        assert decide(uow, "amy", choice) == first
        assert decide(uow, "bo", choice) == first
        assert count(uow, t.Outbox) == 1
        assert count(uow, t.Refund) + count(uow, t.Credit) == (choice != "deny")


@pytest.mark.parametrize(("first", "second"), [("refund", "credit"), ("refund", "deny"), ("deny", "refund")])
def test_what_was_decided_is_not_decided_otherwise(asked: Store, first: str, second: str) -> None:
    with asked.write() as uow:
        decide(uow, "amy", first)
        with pytest.raises(Conflict):
            decide(uow, "bo", second)


def test_a_large_amount_needs_a_second_person(asked: Store) -> None:
    with asked.write() as uow:
        two_needed(uow)
        first = decide(uow, "amy", "refund")
        assert (first.status, first.given, first.says, len(first.approvers)) == ("pending", None, (), 1)
        again = decide(uow, "amy", "refund")
        assert again == first, "the same person is not a second one"
        assert count(uow, t.Refund) == 0
        second = decide(uow, "bo", "refund")
        assert (second.status, len(second.approvers)) == ("approved", 2)
        assert count(uow, t.Refund) == 1


def test_two_people_who_disagree_give_nothing(asked: Store) -> None:
    with asked.write() as uow:
        two_needed(uow)
        decide(uow, "amy", "refund")
        with pytest.raises(Conflict):
            decide(uow, "bo", "credit")
        assert decide(uow, "bo", "deny").status == "denied"
        assert count(uow, t.Refund) == count(uow, t.Credit) == 0


def test_after_a_denial_the_customer_may_ask_again(asked: Store) -> None:
    with asked.write() as uow:
        decide(uow, "amy", "deny")
        result = refunds.request(
            uow,
            pack=PACK,
            customer=customer(uow, "dan"),
            matter=Matter.NOT_RECEIVING,
            conversation_id=None,
            key="again",
            now=START,
        )
        assert result.decision.outcome is Outcome.REFUND_OR_CREDIT
        assert len(approvals.pending(uow, brand="joltsms")) == 1


def test_people_of_other_brands_and_former_colleagues_do_not_decide(asked: Store) -> None:
    with asked.write() as uow:
        agent(uow, "cy", brands=("smrtphone",))
        agent(uow, "di", active=False)
        for who in ("cy", "di"):
            with pytest.raises(Forbidden):
                decide(uow, who, "refund")


def test_what_does_not_exist_is_not_decided(asked: Store) -> None:
    with asked.write() as uow:
        approval_id = approvals.pending(uow, brand="joltsms")[0].id
        who = uow.session.execute(select(t.Agent.id).where(t.Agent.email == "amy@desk.example")).scalar_one()
        for wrong in ({"approval_id": "apr_unknown"}, {"agent_id": "agt_unknown"}):
            with pytest.raises(NotFound):
                approvals.decide_approval(
                    uow,
                    pack=PACK,
                    choice="refund",
                    note="",
                    now=START,
                    **{"approval_id": approval_id, "agent_id": who, **wrong},
                )
        with pytest.raises(InvalidInput):
            decide(uow, "amy", "maybe")


def test_the_packs_brand_must_be_the_decisions(asked: Store) -> None:
    other = replace(PACK, brand=replace(PACK.brand, id="other"))
    with asked.write() as uow:
        approval_id = approvals.pending(uow, brand="joltsms")[0].id
        who = agent(uow, "ed", brands=("joltsms", "other"))
        with pytest.raises(Conflict):
            approvals.decide_approval(
                uow, pack=other, approval_id=approval_id, agent_id=who, choice="refund", note="", now=START
            )
