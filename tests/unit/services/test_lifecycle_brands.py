"""What Smarter Contact and smrtPhone promise for a date happens then: fees, credits, release, deletion, and undoing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.policy.decision import Outcome
from bot.services import cancellations, lifecycle, numbers
from bot.services.lifecycle import TickReport
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import all_packs, cancel, count, person, resume, served

HAL, KIM, MONA, JON = "hal@smarter.example", "kim@smrt.example", "mona@smrt.example", "jon@smarter.example"
BOTH = ("SUB-1010", "SUB-1011")
LONG_AFTER = START + timedelta(days=800)


def tick(store: Store, now: datetime) -> TickReport:
    """Run what is due, of all brands; nothing may fail."""
    report = lifecycle.tick(store, now=now, packs=all_packs())
    assert report.failed == ()
    return report


def account_of(uow: UnitOfWork, email: str) -> str:
    found = select(t.Membership.account_id).where(t.Membership.customer_id == person(uow, email).customer_id)
    return str(uow.session.execute(found).scalar_one())


def events(uow: UnitOfWork, account_id: str, kind: str, status: str | None = None) -> list[Any]:
    wanted = select(t.LifecycleEvent).where(t.LifecycleEvent.account_id == account_id, t.LifecycleEvent.kind == kind)
    if status is not None:
        wanted = wanted.where(t.LifecycleEvent.status == status)
    return list(uow.session.execute(wanted.order_by(t.LifecycleEvent.due_at, t.LifecycleEvent.id)).scalars())


def statuses(uow: UnitOfWork, account_id: str) -> list[str]:
    found = select(t.PhoneNumber.status).where(t.PhoneNumber.account_id == account_id).order_by(t.PhoneNumber.e164)
    return list(uow.session.execute(found).scalars())


def balance(uow: UnitOfWork, account_id: str) -> int:
    wallet = uow.session.execute(select(t.Wallet).where(t.Wallet.account_id == account_id)).scalar_one()
    entries = uow.session.execute(select(t.WalletEntry.amount_minor).where(t.WalletEntry.wallet_id == wallet.id))
    assert sum(entries.scalars()) == wallet.balance_minor, "the entries add up to the balance"
    return int(wallet.balance_minor)


def due(uow: UnitOfWork, account_id: str, kind: str) -> datetime:
    """The one moment at which events of a kind are due."""
    (moment,) = {event.due_at for event in events(uow, account_id, kind, "scheduled")}
    return moment


# --- Smarter Contact -------------------------------------------------------------------------------------------------


@pytest.fixture
def hal_leaves(demo_store: Store) -> Store:
    """Hal has cancelled both plans."""
    with demo_store.write() as uow:
        result = cancel(uow, person(uow, HAL), *BOTH)
        assert len(result.cancelled) == 2
        uow.commit()
    return demo_store


def test_a_whole_leaving_happens_in_order_also_after_being_off_for_years(hal_leaves: Store) -> None:
    tick(hal_leaves, LONG_AFTER)
    with hal_leaves.read() as uow:
        done = select(t.AuditLog).where(t.AuditLog.action.like("lifecycle.%")).order_by(t.AuditLog.id)
        account_id = uow.get(t.Subscription, "SUB-1010").account_id
        mine = {
            event.id
            for event in uow.session.execute(select(t.LifecycleEvent)).scalars()
            if event.account_id == account_id
        }
        lines = [line for line in uow.session.execute(done).scalars() if line.data["event_id"] in mine]
        dates = [line.data["due_at"] for line in lines]
        assert dates == sorted(dates)
        kinds = list(dict.fromkeys(line.data["kind"] for line in lines if line.action != "lifecycle.called_off"))
        assert kinds == [
            "take_number_fees",
            "end_subscription",
            "credit_unsent",
            "release_number",
            "end_10dlc",
            "erase_data",
        ]
    assert tick(hal_leaves, LONG_AFTER) == TickReport(0, 0, ())


def test_numbers_go_14_days_after_and_10dlc_30_days_after_and_data_a_year_after(hal_leaves: Store) -> None:
    with hal_leaves.read() as uow:
        account_id = account_of(uow, HAL)
        ends = uow.get(t.Subscription, "SUB-1010").period_end
        moments = {kind: due(uow, account_id, kind) for kind in ("release_number", "end_10dlc", "erase_data")}
    zone = served("smartercontact").brand.zone
    days = {kind: (at.astimezone(zone).date() - ends.astimezone(zone).date()).days for kind, at in moments.items()}
    assert days == {"release_number": 14, "end_10dlc": 30, "erase_data": 365}
    tick(hal_leaves, ends)
    with hal_leaves.read() as uow:
        assert statuses(uow, account_id) == ["releasing"] * 4
    tick(hal_leaves, moments["release_number"] - timedelta(seconds=1))
    with hal_leaves.read() as uow:
        assert statuses(uow, account_id) == ["releasing"] * 4, "nothing goes early"
    tick(hal_leaves, moments["release_number"])
    with hal_leaves.read() as uow:
        assert statuses(uow, account_id) == ["released"] * 4
        registration = uow.session.execute(select(t.Registration).where(t.Registration.account_id == account_id))
        assert registration.scalar_one().status == "active"
    tick(hal_leaves, moments["end_10dlc"])
    with hal_leaves.read() as uow:
        registration = uow.session.execute(select(t.Registration).where(t.Registration.account_id == account_id))
        assert registration.scalar_one().status == "ended"
        assert uow.get(t.Account, account_id).status == "active"
    tick(hal_leaves, moments["erase_data"])
    with hal_leaves.read() as uow:
        assert uow.get(t.Account, account_id).status == "erased"


def test_unsent_messages_are_credited_once_on_the_cancellation_date(hal_leaves: Store) -> None:
    with hal_leaves.read() as uow:
        account_id, ends = account_of(uow, HAL), uow.get(t.Subscription, "SUB-1010").period_end
        before = balance(uow, account_id)
    tick(hal_leaves, ends)
    tick(hal_leaves, ends + timedelta(days=1))
    with hal_leaves.read() as uow:
        credits = uow.session.execute(select(t.Credit).where(t.Credit.account_id == account_id)).scalars().all()
        assert [(credit.amount_minor, credit.reason) for credit in credits] == [(315, "S-R1")]
        assert balance(uow, account_id) == before - 800 + 315, "one month of fees, and the credit"
        assert count(uow, t.ScheduledMessage, t.ScheduledMessage.status == "scheduled") == 0
        decision = uow.get(t.Decision, credits[0].decision_id)
        assert (decision.rule_id, decision.outcome, decision.matter) == ("S-R1", "credit", "unsent_messages")
        receipt = uow.session.execute(select(t.Receipt).where(t.Receipt.kind == "credit")).scalar_one()
        assert "USD 3.15" in receipt.plain
        assert count(uow, t.Outbox, t.Outbox.recipient == HAL) == 2, "the receipts of cancelling and of the credit"


def test_a_credit_above_the_limit_waits_for_a_person(hal_leaves: Store) -> None:
    with hal_leaves.write() as uow:
        account_id, ends = account_of(uow, HAL), uow.get(t.Subscription, "SUB-1010").period_end
        uow.add(
            t.ScheduledMessage(
                id="sch_many", account_id=account_id, kind="sms", quantity=9000, unit_price_minor=2, currency="USD",
                send_at=ends,
            )
        )  # fmt: skip
        uow.commit()
    tick(hal_leaves, ends)
    with hal_leaves.read() as uow:
        approval = uow.session.execute(select(t.Approval)).scalar_one()
        assert (approval.amount_minor, approval.charge_id, approval.status) == (18315, None, "pending")
        assert count(uow, t.Credit) == 0
        assert count(uow, t.ScheduledMessage, t.ScheduledMessage.status == "scheduled") == 3


def test_an_approved_credit_is_given_once(hal_leaves: Store) -> None:
    from bot.services import approvals
    from tests.unit.services.usecases import agent

    test_a_credit_above_the_limit_waits_for_a_person(hal_leaves)
    with hal_leaves.write() as uow:
        who = agent(uow, "pat", brands=("smartercontact",))
        approval_id = uow.session.execute(select(t.Approval.id)).scalar_one()
        for _ in range(2):
            view = approvals.decide_approval(
                uow,
                pack=served("smartercontact"),
                approval_id=approval_id,
                agent_id=who,
                choice="credit",
                note="",
                now=START + timedelta(days=40),
            )
        assert view.given is not None
        assert (view.given.kind, view.given.amount.minor) == ("credit", 18315)
        uow.commit()
    with hal_leaves.read() as uow:
        assert count(uow, t.Credit) == 1
        assert count(uow, t.ScheduledMessage, t.ScheduledMessage.status == "credited") == 3


def test_what_the_wallet_cannot_pay_is_noted_and_not_owed(hal_leaves: Store) -> None:
    with hal_leaves.write() as uow:
        account_id = account_of(uow, HAL)
        wallet = uow.session.execute(select(t.Wallet).where(t.Wallet.account_id == account_id)).scalar_one()
        uow.add(
            t.WalletEntry(
                id="wle_spent", wallet_id=wallet.id, amount_minor=450 - wallet.balance_minor, kind="messages", at=START,
                idempotency_key="spent",
            )
        )  # fmt: skip
        wallet.balance_minor = 450
        uow.commit()
        moment = due(uow, account_id, "take_number_fees")
    tick(hal_leaves, moment - timedelta(seconds=1))
    with hal_leaves.read() as uow:
        assert balance(uow, account_id) == 450
    tick(hal_leaves, moment)
    with hal_leaves.read() as uow:
        (taken,) = events(uow, account_id, "take_number_fees", "done")
        assert (taken.result["taken_minor"], taken.result["not_taken_minor"]) == (400, 400)
        assert (len(taken.result["taken"]), len(taken.result["not_taken"])) == (2, 2)
        fees = select(t.WalletEntry).where(
            t.WalletEntry.wallet_id == wallet.id, t.WalletEntry.idempotency_key.like("number-fee:%")
        )
        assert [entry.amount_minor for entry in uow.session.execute(fees).scalars()] == [-200, -200]
    tick(hal_leaves, LONG_AFTER)
    with hal_leaves.read() as uow:
        assert balance(uow, account_id) == 450 - 400 + 315


def test_resuming_calls_everything_off(hal_leaves: Store) -> None:
    with hal_leaves.write() as uow:
        hal = person(uow, HAL)
        result = resume(uow, hal, *BOTH, now=START + timedelta(days=1))
        assert [each.status for each in result.resumed] == ["active", "active"]
        assert (result.not_undone, result.left_cancelled) == ((), ())
        uow.commit()
    assert tick(hal_leaves, LONG_AFTER).done > 0, "others' events"
    with hal_leaves.read() as uow:
        account_id = account_of(uow, HAL)
        assert events(uow, account_id, "release_number", "scheduled") == []
        not_called_off = t.LifecycleEvent.status != "called_off"
        assert count(uow, t.LifecycleEvent, t.LifecycleEvent.account_id == account_id, not_called_off) == 0
        assert statuses(uow, account_id) == ["active"] * 4
        assert balance(uow, account_id) == 4210


@pytest.mark.parametrize("kept", BOTH)
def test_resuming_one_plan_keeps_what_both_share(hal_leaves: Store, kept: str) -> None:
    """Whichever of the two cancellations had promised it."""
    with hal_leaves.write() as uow:
        resume(uow, person(uow, HAL), kept, now=START + timedelta(days=1))
        uow.commit()
    tick(hal_leaves, LONG_AFTER)
    with hal_leaves.read() as uow:
        account_id = account_of(uow, HAL)
        assert statuses(uow, account_id) == ["active"] * 4
        assert uow.get(t.Account, account_id).status == "active"
        assert uow.get(t.Subscription, kept).status == "active"
        assert {uow.get(t.Subscription, each).status for each in BOTH if each != kept} == {"ended"}
        registration = uow.session.execute(select(t.Registration).where(t.Registration.account_id == account_id))
        ended = registration.scalar_one().status == "ended"
        assert ended == (kept == "SUB-1011"), "10DLC goes with Messaging"
        assert balance(uow, account_id) == 4210 + (315 if kept == "SUB-1011" else 0)


def test_numbers_on_their_way_out_stay_when_a_plan_that_still_runs_is_resumed(demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.get(t.Subscription, "SUB-1011").period_end += timedelta(days=9)
        uow.session.flush()
        cancel(uow, person(uow, HAL), *BOTH)
        uow.commit()
        first, account_id = uow.get(t.Subscription, "SUB-1010").period_end, account_of(uow, HAL)
        last = uow.get(t.Subscription, "SUB-1011").period_end
        assert {event.due_at - last for event in events(uow, account_id, "release_number", "scheduled")} == {
            timedelta(days=14)
        }
    tick(demo_store, first)
    with demo_store.write() as uow:
        assert statuses(uow, account_id) == ["releasing"] * 4
        resume(uow, person(uow, HAL), "SUB-1011", now=first + timedelta(days=1))
        assert statuses(uow, account_id) == ["active"] * 4
        uow.commit()
    tick(demo_store, LONG_AFTER)
    with demo_store.read() as uow:
        assert statuses(uow, account_id) == ["active"] * 4


def test_a_key_used_again_for_more_does_not_count_what_was_resumed_as_leaving(demo_store: Store) -> None:
    with demo_store.write() as uow:
        hal, account_id = person(uow, HAL), account_of(uow, HAL)
        cancel(uow, hal, "SUB-1010", key="one")
        resume(uow, hal, "SUB-1010")
        cancel(uow, hal, *BOTH, key="one")
        assert uow.get(t.Subscription, "SUB-1010").status == "active"
        assert events(uow, account_id, "release_number", "scheduled") == []
        assert events(uow, account_id, "erase_data", "scheduled") == []


def test_cancelling_one_plan_touches_nothing_that_the_other_needs(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, person(uow, HAL), "SUB-1011")
        uow.commit()
    tick(demo_store, LONG_AFTER)
    with demo_store.read() as uow:
        account_id = account_of(uow, HAL)
        assert statuses(uow, account_id) == ["active"] * 4
        assert balance(uow, account_id) == 4210
        assert count(uow, t.ScheduledMessage, t.ScheduledMessage.status == "credited") == 0


def test_a_plan_bought_again_by_itself_keeps_numbers_and_data(hal_leaves: Store) -> None:
    """Subscribing again is the billing system's: a new row appears, and what was promised is not meant any more."""
    with hal_leaves.write() as uow:
        account_id, ends = account_of(uow, HAL), uow.get(t.Subscription, "SUB-1010").period_end
    tick(hal_leaves, ends)
    with hal_leaves.write() as uow:
        uow.add(
            t.Subscription(
                id="SUB-2000", account_id=account_id, product="messaging", plan="Messaging", status="active",
                price_minor=9900, currency="USD", started_at=ends, period_start=ends,
                period_end=ends + timedelta(days=30),
            )
        )  # fmt: skip
        uow.commit()
    tick(hal_leaves, LONG_AFTER)
    with hal_leaves.read() as uow:
        assert "released" not in statuses(uow, account_id)
        assert uow.get(t.Account, account_id).status == "active"


def test_numbers_removed_before_cancelling_are_on_its_receipt_and_cost_nothing_more(demo_store: Store) -> None:
    with demo_store.write() as uow:
        hal = person(uow, HAL)
        mine = numbers.held(uow, hal.customer_id)
        assert [number.monthly_fee.minor for number in mine if number.monthly_fee] == [200] * 4
        chosen = [number.id for number in mine[:3]]
        (shown, _) = cancellations.preview(
            uow, pack=served("smartercontact"), customer=hal, subscription_ids=BOTH, remove_numbers=chosen, now=START
        )
        assert any("USD 2.00" in effect.text for effect in shown.plan.effects)
        for _ in range(2):
            result = cancel(uow, hal, *BOTH, remove_numbers=chosen, key="one")
        assert [number.id for number in result.removed] == chosen
        assert result.receipt is not None
        assert all(number.label in result.receipt.plain for number in result.removed)
        decision = uow.session.execute(select(t.Decision).where(t.Decision.kind == "remove_numbers")).scalar_one()
        assert (decision.rule_id, decision.outcome) == ("S-C5-remove", "allow")
        account_id = account_of(uow, HAL)
        assert statuses(uow, account_id) == ["removed"] * 3 + ["active"]
        assert len(events(uow, account_id, "release_number", "scheduled")) == 1
        uow.commit()
    tick(demo_store, LONG_AFTER)
    with demo_store.read() as uow:
        assert balance(uow, account_id) == 4210 - 200 + 315


def test_all_numbers_removed_after_cancelling_call_the_fees_off(hal_leaves: Store) -> None:
    with hal_leaves.write() as uow:
        hal = person(uow, HAL)
        mine = [number.id for number in numbers.held(uow, hal.customer_id)]
        given = {"pack": served("smartercontact"), "customer": hal, "conversation_id": None, "now": START}
        first = numbers.remove(uow, number_ids=mine, key="a", **given)
        again = numbers.remove(uow, number_ids=mine, key="a", **given)
        other = numbers.remove(uow, number_ids=mine, key="b", **given)
        assert first.decision.outcome is Outcome.ALLOW
        assert (first.removed, first.already) == (again.removed, again.already)
        assert first.receipt is not None
        assert again.receipt is not None
        assert first.receipt.id == again.receipt.id
        assert (other.removed, other.receipt) == ((), None)
        assert [number.id for number in other.already] == mine
        account_id = account_of(uow, HAL)
        assert events(uow, account_id, "take_number_fees", "scheduled") == []
        assert events(uow, account_id, "release_number", "scheduled") == []
        result = resume(uow, hal, *BOTH, now=START + timedelta(days=1))
        assert len(result.not_undone) == 1, "both plans, one sentence"
        assert "cannot be undone" in result.not_undone[0]
        uow.commit()
    with hal_leaves.read() as uow:
        assert statuses(uow, account_id) == ["removed"] * 4


# --- smrtPhone -------------------------------------------------------------------------------------------------------


@pytest.fixture
def kim_leaves(demo_store: Store) -> Store:
    """Kim has cancelled smrtPhone, and smrtDialer with it."""
    with demo_store.write() as uow:
        result = cancel(uow, person(uow, KIM), "SUB-1014")
        assert {item.subscription.product for item in result.cancelled} == {"smrtphone", "smrtdialer"}
        uow.commit()
    return demo_store


def test_the_same_wish_again_tells_the_same_about_what_went_along(kim_leaves: Store) -> None:
    with kim_leaves.write() as uow:
        result = cancel(uow, person(uow, KIM), "SUB-1014")
    assert {item.subscription.product for item in result.cancelled} == {"smrtphone", "smrtdialer"}


def test_numbers_go_at_the_end_and_everything_after_90_days(kim_leaves: Store) -> None:
    with kim_leaves.read() as uow:
        account_id, ends = account_of(uow, KIM), uow.get(t.Subscription, "SUB-1014").period_end
        gone = due(uow, account_id, "erase_data")
    assert gone == START + timedelta(days=90)
    tick(kim_leaves, ends)
    with kim_leaves.read() as uow:
        assert statuses(uow, account_id) == ["released", "released", "ported_out"]
        assert (
            uow.session.execute(select(t.Recordings.count).where(t.Recordings.account_id == account_id)).scalar() == 40
        )
        assert balance(uow, account_id) == 1875, "no fee is taken where none is promised"
    tick(kim_leaves, gone)
    with kim_leaves.read() as uow:
        recordings = uow.session.execute(select(t.Recordings).where(t.Recordings.account_id == account_id)).scalar_one()
        assert (recordings.count, recordings.deleted_at) == (0, gone)
        assert uow.get(t.Account, account_id).status == "erased"
        assert count(uow, t.Customer, t.Customer.email.in_([KIM, "lee@smrt.example"])) == 0, "agents are erased, too"


def test_coming_back_before_the_end_leaves_the_dialer_cancelled(kim_leaves: Store) -> None:
    with kim_leaves.write() as uow:
        kim = person(uow, KIM)
        result = resume(uow, kim, "SUB-1014", now=START + timedelta(days=2))
        assert [each.id for each in result.resumed] == ["SUB-1014"]
        assert [each.id for each in result.left_cancelled] == ["SUB-1015"]
        assert result.not_undone == ()
        assert result.receipt is not None
        assert "smrtDialer" in result.receipt.plain
        second = resume(uow, kim, "SUB-1015", now=START + timedelta(days=2))
        assert [each.status for each in second.resumed] == ["active"]
        uow.commit()
    tick(kim_leaves, LONG_AFTER)
    with kim_leaves.read() as uow:
        account_id = account_of(uow, KIM)
        assert statuses(uow, account_id) == ["active", "active", "ported_out"]


@pytest.mark.parametrize("ticked", [True, False], ids=["lifecycle ran", "lifecycle was off"])
def test_coming_back_after_the_end_starts_a_new_period_and_says_what_is_lost(kim_leaves: Store, ticked: bool) -> None:
    back = START + timedelta(days=60)
    if ticked:
        tick(kim_leaves, back)
    with kim_leaves.write() as uow:
        kim = person(uow, KIM)
        result = resume(uow, kim, "SUB-1014", now=back)
        (phone,) = result.resumed
        assert (phone.status, phone.period_start, phone.cancellation) == ("active", back, None)
        assert phone.period_end > back + timedelta(days=27)
        assert len(result.not_undone) == 1
        assert "+1 602-555-0121 and +1 602-555-0122" in result.not_undone[0]
        assert [each.id for each in result.left_cancelled] == ["SUB-1015"]
        assert uow.get(t.Subscription, "SUB-1014").ended_at is None
        uow.commit()
    tick(kim_leaves, LONG_AFTER)
    with kim_leaves.read() as uow:
        account_id = account_of(uow, KIM)
        assert uow.get(t.Subscription, "SUB-1014").status == "active"
        assert uow.get(t.Subscription, "SUB-1015").status == "ended"
        assert uow.get(t.Account, account_id).status == "active"
        assert statuses(uow, account_id) == ["released", "released", "ported_out"]
        assert (
            uow.session.execute(select(t.Recordings.count).where(t.Recordings.account_id == account_id)).scalar() == 40
        )


def test_a_number_that_was_ported_out_in_time_is_not_released(kim_leaves: Store) -> None:
    with kim_leaves.write() as uow:
        number = uow.session.execute(select(t.PhoneNumber).where(t.PhoneNumber.e164 == "+16025550121")).scalar_one()
        number.status, number.ported_out_at = "ported_out", START
        uow.commit()
    tick(kim_leaves, START + timedelta(days=60))
    with kim_leaves.read() as uow:
        assert statuses(uow, account_of(uow, KIM)) == ["ported_out", "released", "ported_out"]


def test_cancelling_the_dialer_alone_ends_the_dialer_alone(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, person(uow, KIM), "SUB-1015")
        uow.commit()
    tick(demo_store, LONG_AFTER)
    with demo_store.read() as uow:
        account_id = account_of(uow, KIM)
        assert uow.get(t.Subscription, "SUB-1014").status == "active"
        assert uow.get(t.Subscription, "SUB-1015").status == "ended"
        assert statuses(uow, account_id) == ["active", "active", "ported_out"]


def test_mona_comes_back_within_the_90_days_and_not_after(demo_store: Store) -> None:
    with demo_store.write() as uow:
        mona = person(uow, MONA)
        (shown,) = cancellations.preview_resume(
            uow, pack=served("smrtphone"), customer=mona, subscription_ids=["SUB-1016"], now=START
        )
        assert shown.decision.outcome is Outcome.ALLOW
        assert any("+1 602-555-0124" in line for line in shown.not_undone)
        late = resume(uow, mona, "SUB-1016", now=START + timedelta(days=61), key="late")
        assert late.resumed == ()
        assert resume(uow, mona, "SUB-1016").resumed != ()


def test_a_failing_event_within_a_resumption_stays_due(kim_leaves: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be carried out must not keep somebody from coming back."""
    from bot.services import carrying_out

    def fail(_due: object) -> None:
        raise RuntimeError("the provider does not answer")

    monkeypatch.setattr(carrying_out, "_HANDLERS", {**carrying_out._HANDLERS, "release_number": fail})
    back = START + timedelta(days=60)
    with kim_leaves.write() as uow:
        result = resume(uow, person(uow, KIM), "SUB-1014", now=back)
        uow.commit()
    assert [each.status for each in result.resumed] == ["active"]
    assert result.not_undone == ()
