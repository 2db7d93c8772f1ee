"""Cancelling and undoing it, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.policy.decision import Outcome
from bot.policy.pack import Consent, Pack
from bot.services import accounts, cancellations, decisions, lifecycle
from bot.services.cancellations import CancelResult, ResumeResult
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import count, customer, jolt

SOON = START + timedelta(hours=1)


def cancel(
    uow: UnitOfWork,
    name: str,
    *ids: str,
    key: str = "c",
    now: datetime = START,
    pack: Pack | None = None,
    **more: Any,
) -> CancelResult:
    """Cancel as a demo customer."""
    given: dict[str, Any] = {
        "reason_id": None,
        "reason_text": None,
        "consents": (),
        "offers": (),
        "conversation_id": None,
        **more,
    }
    return cancellations.cancel(
        uow, pack=pack or jolt(), customer=customer(uow, name), subscription_ids=ids, key=key, now=now, **given
    )


def resume(uow: UnitOfWork, name: str, *ids: str, key: str = "r", now: datetime = SOON) -> ResumeResult:
    """Resume as a demo customer."""
    return cancellations.resume(
        uow,
        pack=jolt(),
        customer=customer(uow, name),
        subscription_ids=ids,
        conversation_id=None,
        key=key,
        now=now,
    )


def test_a_preview_tells_and_records_nothing(demo_store: Store) -> None:
    with demo_store.write() as uow:
        before = count(uow, t.Decision)
        (found,) = cancellations.preview(
            uow, pack=jolt(), customer=customer(uow, "ava"), subscription_ids=["SUB-1001"], now=START
        )
        assert count(uow, t.Decision) == before
    assert found.decision.outcome is Outcome.ALLOW
    assert found.plan.effective_at == found.subscription.period_end
    assert found.plan.effects
    assert [offer.id for offer in found.alternatives] == ["new_date"]
    assert found.consents == ()


def test_cancelling_stops_the_renewal_and_puts_the_end_on_the_calendar(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = cancel(uow, "ava", "SUB-1001", reason_id="other", reason_text="moving", offers=["new_date"])
        uow.commit()
    (item,) = result.cancelled
    assert (result.already, result.refused) == ((), ())
    assert (item.subscription.status, item.subscription.number_status) == ("not_renewing", "releasing")
    assert item.cancellation.effective_at == item.subscription.period_end == item.cancellation.undo_until
    assert result.receipt is not None
    assert item.cancellation.reference in result.receipt.plain
    with demo_store.read() as uow:
        row = uow.get(t.Cancellation, item.cancellation.id)
        assert (row.reason_id, row.reason_text, row.offers) == ("other", "moving", ["new_date"])
        events = uow.session.execute(
            select(t.LifecycleEvent.kind, t.LifecycleEvent.subject_id, t.LifecycleEvent.due_at).where(
                t.LifecycleEvent.cancellation_id == row.id, t.LifecycleEvent.kind != "remind"
            )
        ).all()
        assert {tuple(event) for event in events} == {
            ("end_subscription", "SUB-1001", item.plan.effective_at),
            ("release_number", item.subscription.number_id, item.plan.effective_at),
        }
        decision = uow.get(t.Decision, row.decision_id)
        assert (decision.rule_id, decision.subject, decision.outcome) == ("J-C1", "SUB-1001", "allow")
        assert decisions.replay(uow, decision.id, jolt()).outcome is Outcome.ALLOW
        assert count(uow, t.Outbox, t.Outbox.recipient == "ava@jolt.example") == 1
        assert count(uow, t.AuditLog, t.AuditLog.action == "cancellation.scheduled") == 1


def test_the_same_wish_again_shows_the_same_and_does_nothing(demo_store: Store) -> None:
    results = []
    for _ in range(2):
        with demo_store.write() as uow:
            results.append(cancel(uow, "ava", "SUB-1001"))
            uow.commit()
    assert results[0] == results[1]
    with demo_store.read() as uow:
        assert count(uow, t.Cancellation, t.Cancellation.subscription_id == "SUB-1001") == 1
        assert count(uow, t.Outbox) == 1


def test_cancelling_twice_is_already_done(demo_store: Store) -> None:
    with demo_store.write() as uow:
        first = cancel(uow, "ava", "SUB-1001", key="one")
        second = cancel(uow, "ava", "SUB-1001", key="two")
    assert second.cancelled == ()
    assert second.receipt is None
    assert second.already == (first.cancelled[0].cancellation,)


def test_several_are_cancelled_with_one_receipt_and_the_one_before_is_told(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = cancel(uow, "finn", "SUB-1006", "SUB-1007", "SUB-1008")
    assert [item.subscription.id for item in result.cancelled] == ["SUB-1007", "SUB-1008"]
    assert [each.subscription_id for each in result.already] == ["SUB-1006"]
    assert result.receipt is not None
    assert "+1 415-555-0106 and +1 415-555-0107" in result.receipt.plain
    assert all(item.cancellation.reference in result.receipt.plain for item in result.cancelled)


def test_what_is_released_is_already_cancelled(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = cancel(uow, "gia", "SUB-1009")
    assert [each.status for each in result.already] == ["effective"]


def test_a_refusal_is_on_record_with_its_facts(demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.session.execute(
            select(t.Membership).where(t.Membership.customer_id == customer(uow, "ava").customer_id)
        ).scalar_one().role = "agent"
        result = cancel(uow, "ava", "SUB-1001")
        assert result.cancelled == ()
        ((subscription, decision),) = result.refused
        assert (subscription.id, subscription.status, decision.rule_id) == ("SUB-1001", "active", "J-C1-who")
        stored = decisions.stored(uow, "c:SUB-1001")
        assert stored is not None
        assert stored[1] == decision
        assert decisions.basis(uow, stored[0])[0]["role"] == "agent"
        assert result.receipt is None


@pytest.mark.parametrize("subscription_id", ["SUB-1002", "SUB-9999"])
def test_somebody_elses_subscription_is_not_found(demo_store: Store, subscription_id: str) -> None:
    with demo_store.write() as uow:
        with pytest.raises(NotFound):
            cancel(uow, "ava", subscription_id)
        with pytest.raises(NotFound):
            resume(uow, "ava", subscription_id)
        assert uow.get(t.Subscription, "SUB-1002").status == "active"


def test_a_reason_outside_the_survey_is_refused(demo_store: Store) -> None:
    with demo_store.write() as uow, pytest.raises(InvalidInput):
        cancel(uow, "ava", "SUB-1001", reason_id="because")


def test_consents_that_the_pack_asks_for_are_kept_and_needed(demo_store: Store) -> None:
    asked = Consent("loss", "1", "I know that the number is lost.")
    pack = replace(jolt(), cancel=replace(jolt().cancel, consents=(asked,)))
    with demo_store.write() as uow, pytest.raises(InvalidInput):
        cancel(uow, "ava", "SUB-1001", pack=pack)
    with demo_store.write() as uow, pytest.raises(InvalidInput):
        cancel(uow, "ava", "SUB-1001", key="old", pack=pack, consents=[("loss", "0", "An older wording.")])
    with demo_store.write() as uow:
        result = cancel(uow, "ava", "SUB-1001", pack=pack, consents=[("loss", "1", asked.wording)])
        row = uow.get(t.Cancellation, result.cancelled[0].cancellation.id)
    assert [(each["id"], each["version"], each["wording"]) for each in row.consents] == [("loss", "1", asked.wording)]
    assert result.receipt is not None
    assert asked.wording in result.receipt.plain


def test_a_product_takes_along_what_the_pack_says(demo_store: Store) -> None:
    """As smrtPhone takes smrtDialer along: the shape holds for brands to come."""
    number, extra = jolt().products[0], replace(jolt().products[0], id="extra", also_cancels=())
    pack = replace(jolt(), products=(replace(number, also_cancels=("extra",)), extra))
    with demo_store.write() as uow:
        uow.get(t.Subscription, "SUB-1008").product = "extra"
        uow.session.flush()
        result = cancel(uow, "finn", "SUB-1007", pack=pack)
    assert [item.subscription.id for item in result.cancelled] == ["SUB-1007", "SUB-1008"]


def test_resuming_before_the_end_restores_everything(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancelled = cancel(uow, "ava", "SUB-1001").cancelled[0]
        result = resume(uow, "ava", "SUB-1001")
        uow.commit()
    (subscription,) = result.resumed
    assert (subscription.status, subscription.number_status, subscription.cancellation) == ("active", "active", None)
    assert result.not_possible == ()
    assert result.receipt is not None
    assert cancelled.cancellation.reference in result.receipt.plain
    report = lifecycle.tick(demo_store, now=START + timedelta(days=60), packs={"joltsms": jolt()})
    assert report.failed == ()
    with demo_store.read() as uow:
        assert uow.get(t.Subscription, "SUB-1001").status == "active"
        assert uow.get(t.Cancellation, cancelled.cancellation.id).status == "undone"
        assert (
            count(
                uow,
                t.LifecycleEvent,
                t.LifecycleEvent.cancellation_id == cancelled.cancellation.id,
                t.LifecycleEvent.status == "scheduled",
            )
            == 0
        )


def test_the_same_resumption_again_shows_the_same(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, "ava", "SUB-1001")
        first = resume(uow, "ava", "SUB-1001")
        assert resume(uow, "ava", "SUB-1001") == first
        assert count(uow, t.Receipt) == 2


def test_a_repeated_resumption_does_not_undo_a_later_cancellation(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, "ava", "SUB-1001", key="one")
        resume(uow, "ava", "SUB-1001", key="keep")
        again = cancel(uow, "ava", "SUB-1001", key="two", now=SOON)
        resume(uow, "ava", "SUB-1001", key="keep")
        assert uow.get(t.Subscription, "SUB-1001").status == "not_renewing"
        assert uow.get(t.Cancellation, again.cancelled[0].cancellation.id).status == "scheduled"


def test_a_demo_cancellation_can_be_resumed(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = resume(uow, "finn", "SUB-1006")
    assert [(each.id, each.status) for each in result.resumed] == [("SUB-1006", "active")]


@pytest.mark.parametrize("ticked", [True, False])
def test_after_release_it_is_explained_whether_the_lifecycle_ran_or_not(demo_store: Store, ticked: bool) -> None:
    late = START + timedelta(days=30)
    with demo_store.write() as uow:
        cancel(uow, "ava", "SUB-1001")
        uow.commit()
    if ticked:
        lifecycle.tick(demo_store, now=late, packs={"joltsms": jolt()})
    with demo_store.write() as uow:
        result = resume(uow, "ava", "SUB-1001", now=late)
    assert result.resumed == ()
    assert result.receipt is None
    ((subscription, sentence, rule_id),) = result.not_possible
    assert (subscription.id, rule_id) == ("SUB-1001", "J-C3-released")
    assert sentence


def test_what_renews_needs_no_resuming(demo_store: Store) -> None:
    with demo_store.write() as uow:
        result = resume(uow, "ava", "SUB-1001")
    assert [rule_id for _, _, rule_id in result.not_possible] == ["J-C1-resume-active"]


def test_the_status_lists_all_cancellations_newest_first(demo_store: Store) -> None:
    with demo_store.write() as uow:
        who = customer(uow, "finn").customer_id
        cancel(uow, "finn", "SUB-1007")
        shown = cancellations.status(uow, customer_id=who)
        assert cancellations.status(uow, customer_id=customer(uow, "ava").customer_id) == []
    assert [(each.subscription_id, each.status) for each in shown] == [
        ("SUB-1007", "scheduled"),
        ("SUB-1006", "scheduled"),
    ]


def test_two_at_once_cancel_once(demo_store: Store) -> None:
    """Both see an active number; whoever comes second is told that it is done."""
    barrier = threading.Barrier(2)
    results: list[CancelResult] = []

    def click(key: str) -> None:
        with demo_store.write() as uow:
            if uow.session.get_bind().dialect.name == "postgresql":
                accounts.subscriptions(uow, customer(uow, "ava").customer_id)  # read before the other one writes
                barrier.wait(10)
            results.append(cancel(uow, "ava", "SUB-1001", key=key))
            uow.commit()

    threads = [threading.Thread(target=click, args=(key,)) for key in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    done = [result for result in results if result.cancelled]
    already = [result for result in results if result.already]
    assert (len(done), len(already)) == (1, 1)
    assert already[0].already[0].reference == done[0].cancelled[0].cancellation.reference


def test_an_undone_unit_of_work_leaves_nothing(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, "ava", "SUB-1001")
    with demo_store.read() as uow:
        assert uow.get(t.Subscription, "SUB-1001").status == "active"
        assert count(uow, t.Receipt) == count(uow, t.Outbox) == 0
