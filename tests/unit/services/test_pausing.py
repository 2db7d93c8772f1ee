"""A pause begins and ends on its dates, costs nothing, happens once, and can be ended early."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bot.errors import Conflict, InvalidInput, NotFound
from bot.policy.decision import Outcome
from bot.policy.loader import load_pack
from bot.policy.pack import Pack
from bot.services import accounts, cancellations, erasure, lifecycle, pausing
from bot.services.facts import collect
from bot.services.pausing import PauseResult
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.conftest import Databases
from tests.fourth_brand import BRANDS, NOW, OLE, YAN, seed
from tests.unit.services.usecases import count, jolt, person

DAY = timedelta(days=1)
STARTS = NOW + 27 * DAY  # 2 August 2026, when Ole's month is over
RESUMES = datetime(2026, 10, 2, 15, 0, tzinfo=NOW.tzinfo)  # two months later, at the same time of day in Berlin


@lru_cache
def tandem() -> Pack:
    """The made-up brand's pack."""
    return load_pack(BRANDS / "policies" / "tandem.yml")


@pytest.fixture
def shop(store: Store) -> Iterator[Store]:
    """A store with the made-up brand's customers."""
    seed(store)
    return store


def pause(uow: UnitOfWork, who: CustomerRef, subscription_id: str, *, now: datetime = NOW, **more: Any) -> PauseResult:
    """Pause for two months."""
    given = {"length_id": "two", "instead_of_cancelling": True, "conversation_id": None, "key": f"p-{now}"}
    return pausing.pause(
        uow, pack=tandem(), customer=who, subscription_id=subscription_id, now=now, **{**given, **more}
    )


def end(uow: UnitOfWork, who: CustomerRef, subscription_id: str, *, now: datetime, key: str = "end") -> PauseResult:
    """End it early."""
    return pausing.end(
        uow, pack=tandem(), customer=who, subscription_id=subscription_id, conversation_id=None, key=key, now=now
    )


def cancel(uow: UnitOfWork, who: CustomerRef, subscription_id: str, *, now: datetime, key: str = "c") -> Any:
    """Cancel with every consent."""
    return cancellations.cancel(
        uow,
        pack=tandem(),
        customer=who,
        subscription_ids=[subscription_id],
        reason_id=None,
        reason_text=None,
        consents=[(each.id, each.version, each.wording) for each in tandem().cancel.consents],
        offers=(),
        conversation_id=None,
        key=key,
        now=now,
    )


def resume(uow: UnitOfWork, who: CustomerRef, subscription_id: str, *, now: datetime, key: str = "r") -> Any:
    """Undo the cancellation."""
    return cancellations.resume(
        uow,
        pack=tandem(),
        customer=who,
        subscription_ids=[subscription_id],
        conversation_id=None,
        key=key,
        now=now,
    )


def tick(store: Store, now: datetime) -> lifecycle.TickReport:
    """Carry out what is due."""
    report = lifecycle.tick(store, now=now, packs={"tandem": tandem()})
    assert report.failed == ()
    return report


def facts(uow: UnitOfWork, who: CustomerRef, subscription_id: str, now: datetime) -> dict[str, Any]:
    """What is known about the pause."""
    known = collect(uow, pack=tandem(), customer=who, subscription_id=subscription_id, now=now)
    return {name: known.get(name) for name in ("pause_status", "pauses_last_year", "auto_renew")}


def do(store: Store, act: Callable[[UnitOfWork], Any]) -> Any:
    """One committed unit of work."""
    with store.write() as uow:
        result = act(uow)
        uow.commit()
    return result


def test_a_pause_begins_when_the_paid_month_is_over_and_ends_by_itself(shop: Store) -> None:
    """Each event once, the new month from the day it resumes; its end is announced a week before."""
    result = do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    assert result.pause is not None
    assert result.receipt is not None
    assert (result.pause.starts_at, result.pause.resumes_at) == (STARTS, RESUMES)
    assert (result.decision.rule_id, result.pause.reference) == ("T-P2", "PAU-000001")
    assert "2 October 2026" in result.receipt.plain
    for moment, status in (
        (STARTS - DAY, "scheduled"),
        (STARTS, "active"),
        (RESUMES - 8 * DAY, "active"),
        (RESUMES, "over"),
    ):
        tick(shop, moment)
        assert tick(shop, moment) == lifecycle.TickReport(0, 0, ())
        with shop.read() as uow:
            assert uow.session.execute(select(t.Pause.status)).scalar_one() == status
    with shop.read() as uow:
        line = uow.get(t.Subscription, "SUB-ole")
        assert (line.status, line.period_start) == ("active", RESUMES)
        assert line.period_end == datetime(2026, 11, 2, 16, 0, tzinfo=NOW.tzinfo)
        assert count(uow, t.Charge, t.Charge.invoice_id == "INV-ole") == 1


def test_its_end_is_announced_a_week_before(shop: Store) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    tick(shop, RESUMES - 7 * DAY)
    with shop.read() as uow:
        subjects = [
            mail.payload["subject"]
            for mail in uow.session.execute(select(t.Outbox).order_by(t.Outbox.created_at)).scalars()
        ]
    assert subjects == ["Pause (PAU-000001)", "Tandem Lines: your pause ends on Friday, 2 October 2026"]


def test_a_lifecycle_that_was_off_for_months_catches_up(shop: Store) -> None:
    """It resumes as of the promised date, and nobody is told late that it will."""
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    report = tick(shop, RESUMES + 10 * DAY)
    assert (report.done, report.skipped) == (2, 1)
    with shop.read() as uow:
        assert uow.get(t.Subscription, "SUB-ole").period_start == RESUMES


@pytest.mark.parametrize(
    ("after", "status", "renews"),
    [
        (timedelta(hours=-1), "scheduled", True),
        (timedelta(), "paused", False),
        (RESUMES - STARTS, "over", True),
    ],
)
def test_the_facts_are_those_of_the_moment_however_late_the_lifecycle_is(
    shop: Store, after: timedelta, status: str, renews: bool
) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    with shop.read() as uow:
        known = facts(uow, person(uow, OLE), "SUB-ole", STARTS + after)
    assert (known["pause_status"], known["auto_renew"]) == (status, renews)
    assert known["pauses_last_year"] == (0 if status == "scheduled" else 1)


def test_the_same_wish_again_pauses_once(shop: Store) -> None:
    first = do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    again = do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    other = do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole", key="another"))
    assert again == first
    assert (other.decision.outcome, other.receipt) == (Outcome.ALREADY_DONE, None)
    with shop.read() as uow:
        assert count(uow, t.Pause) == count(uow, t.Receipt) == 1
        assert count(uow, t.Decision) == 2


def test_the_database_allows_one_open_pause(shop: Store) -> None:
    with shop.write() as uow:
        pause(uow, person(uow, OLE), "SUB-ole")
        (row,) = uow.session.execute(select(t.Pause)).scalars()
        columns = {name: getattr(row, name) for name in t.Pause.__table__.columns.keys()}  # noqa: SIM118
        twin = t.Pause(**{**columns, "id": "pau_2", "reference": "PAU-2", "idempotency_key": "2"})
        with pytest.raises(IntegrityError):
            uow.add(twin)


def test_what_the_rules_refuse_is_on_record_and_changes_nothing(shop: Store) -> None:
    result = do(shop, lambda uow: pause(uow, person(uow, YAN), "SUB-yan"))
    assert (result.decision.rule_id, result.pause, result.receipt) == ("T-P1", None, None)
    with shop.read() as uow:
        assert count(uow, t.Pause) == 0
        assert uow.session.execute(select(t.Decision.outcome)).scalar_one() == "refuse"


def test_somebody_elses_an_unknown_length_and_a_brand_that_does_not_pause(shop: Store) -> None:
    with shop.write() as uow:
        ole = person(uow, OLE)
        with pytest.raises(NotFound):
            pause(uow, ole, "SUB-yan")
        with pytest.raises(InvalidInput):
            pause(uow, ole, "SUB-ole", length_id="forever")
        with pytest.raises(Conflict):
            end(uow, ole, "SUB-ole", now=NOW)
        with pytest.raises(InvalidInput):
            pausing.preview(uow, pack=jolt(), customer=ole, subscription_id="SUB-ole", length_id="two", now=NOW)


def test_a_pause_that_has_not_begun_is_called_off(shop: Store) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    first = do(shop, lambda uow: end(uow, person(uow, OLE), "SUB-ole", now=NOW + DAY))
    again = do(shop, lambda uow: end(uow, person(uow, OLE), "SUB-ole", now=NOW + DAY))
    assert (first.pause.status, first.decision.rule_id, again.receipt) == ("undone", "T-P3", first.receipt)
    assert tick(shop, RESUMES + DAY) == lifecycle.TickReport(0, 0, ())
    with shop.read() as uow:
        assert uow.get(t.Subscription, "SUB-ole").period_end == STARTS
        assert facts(uow, person(uow, OLE), "SUB-ole", NOW + DAY)["pause_status"] == "none"


def test_coming_back_early_starts_a_new_month_that_day(shop: Store) -> None:
    """Also when the lifecycle has not run since it began."""
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    back = STARTS + 10 * DAY
    result = do(shop, lambda uow: end(uow, person(uow, OLE), "SUB-ole", now=back))
    assert (result.pause.status, result.pause.ended_at) == ("over", back)
    assert result.subscription.period_start == back
    assert tick(shop, RESUMES).done == 0


def test_paid_days_that_were_left_are_used_after_the_pause(shop: Store) -> None:
    """Somebody was charged for a month that the pause then interrupted."""
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    with shop.write() as uow:
        uow.get(t.Subscription, "SUB-ole").period_end = STARTS + 5 * DAY
        uow.commit()
    tick(shop, RESUMES)
    with shop.read() as uow:
        assert uow.get(t.Subscription, "SUB-ole").period_end == RESUMES + 5 * DAY


def test_cancelling_calls_off_a_pause_that_has_not_begun(shop: Store) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    do(shop, lambda uow: cancel(uow, person(uow, OLE), "SUB-ole", now=NOW + DAY))
    with shop.read() as uow:
        assert uow.session.execute(select(t.Pause.status)).scalar_one() == "undone"
    tick(shop, NOW + 400 * DAY)
    with shop.read() as uow:
        assert uow.get(t.Subscription, "SUB-ole").status == "ended"


def test_cancelling_while_paused_ends_it_without_another_charge(shop: Store) -> None:
    """It stays paused until it ends, and does not start again on the day it would have."""
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    tick(shop, STARTS)
    result = do(shop, lambda uow: cancel(uow, person(uow, OLE), "SUB-ole", now=RESUMES - DAY))
    tick(shop, RESUMES)
    with shop.read() as uow:
        line = uow.get(t.Subscription, "SUB-ole")
        assert (line.status, line.period_end) == ("not_renewing", STARTS)
    tick(shop, result.cancelled[0].cancellation.effective_at)
    with shop.read() as uow:
        assert uow.get(t.Subscription, "SUB-ole").status == "ended"
        assert uow.session.execute(select(t.Pause.status)).scalar_one() == "over"


def test_keeping_it_after_all_starts_a_new_month_if_the_pause_is_over(shop: Store) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    tick(shop, STARTS)
    do(shop, lambda uow: cancel(uow, person(uow, OLE), "SUB-ole", now=RESUMES - DAY))
    back = RESUMES + 3 * DAY
    do(shop, lambda uow: resume(uow, person(uow, OLE), "SUB-ole", now=back))
    with shop.read() as uow:
        line = uow.get(t.Subscription, "SUB-ole")
        assert (line.status, line.period_start) == ("active", back)


def test_erasing_an_account_ends_its_pause(shop: Store) -> None:
    do(shop, lambda uow: pause(uow, person(uow, OLE), "SUB-ole"))
    with shop.write() as uow:
        account_id = uow.get(t.Subscription, "SUB-ole").account_id
        erasure.erase_account(uow, brand=tandem().brand, account_id=account_id, now=NOW + DAY)
        uow.commit()
    assert tick(shop, RESUMES) == lifecycle.TickReport(0, 0, ())
    with shop.read() as uow:
        assert uow.session.execute(select(t.Pause.status)).scalar_one() == "undone"


class Resting(RuleBasedStateMachine):
    """Ole pauses, comes back, cancels and changes his mind, and time passes."""

    databases: Databases
    dialect: str

    @initialize()
    def open_store(self) -> None:
        """A fresh store."""
        self._context = self.databases.store(self.dialect, "empty")
        self.store: Store = self._context.__enter__()
        seed(self.store)
        self.now, self.keys = NOW, 0

    def teardown(self) -> None:
        """Drop the database."""
        if hasattr(self, "store"):
            self._context.__exit__(None, None, None)

    def _do(self, act: Callable[..., Any], repeat: bool, **more: Any) -> None:
        self.keys += 0 if repeat else 1
        key = f"{act.__name__}-{self.keys}"

        def run(uow: UnitOfWork) -> Any:
            ole = uow.get(t.Customer, self.ole_id(uow))
            if ole.erased_at is not None:
                return None
            who = CustomerRef(ole.id, ole.brand, ole.email, ole.name)
            return act(uow, who, "SUB-ole", now=self.now, key=key, **more)

        with contextlib.suppress(Conflict):  # there was no pause to end, and nothing was done
            do(self.store, run)

    @staticmethod
    def ole_id(uow: UnitOfWork) -> str:
        """Also once he is erased."""
        account_id = uow.get(t.Subscription, "SUB-ole").account_id
        found = select(t.Membership.customer_id).where(t.Membership.account_id == account_id)
        return str(uow.session.execute(found).scalar_one())

    @rule(length=st.sampled_from(["one", "two", "three"]), repeat=st.booleans())
    def rest(self, length: str, repeat: bool) -> None:
        """Pause."""
        self._do(pause, repeat, length_id=length)

    @rule(repeat=st.booleans())
    def come_back(self, repeat: bool) -> None:
        """End the pause."""
        self._do(end, repeat)

    @rule(repeat=st.booleans())
    def leave(self, repeat: bool) -> None:
        """Cancel."""
        self._do(cancel, repeat)

    @rule(repeat=st.booleans())
    def stay(self, repeat: bool) -> None:
        """Undo the cancellation."""
        self._do(resume, repeat)

    @rule(days=st.sampled_from([0, 1, 5, 27, 31, 61, 370]), sleeps=st.booleans())
    def wait(self, days: int, sleeps: bool) -> None:
        """Time passes, and the lifecycle runs or does not."""
        self.now += timedelta(days=days)
        if not sleeps:
            tick(self.store, self.now)
            assert tick(self.store, self.now) == lifecycle.TickReport(0, 0, ())

    @invariant()
    def the_records_agree(self) -> None:
        """One open pause at most, nothing early, nothing of what was called off, and no charge at all."""
        if not hasattr(self, "store"):
            return
        with self.store.read() as uow:
            line = uow.get(t.Subscription, "SUB-ole")
            found = list(uow.session.execute(select(t.Pause)).scalars())
            events = list(
                uow.session.execute(select(t.LifecycleEvent).where(t.LifecycleEvent.pause_id.is_not(None))).scalars()
            )
            assert count(uow, t.Charge, t.Charge.invoice_id == "INV-ole") == 1
            view = accounts.subscription(uow, self.ole_id(uow), "SUB-ole")
        closed = {each.id for each in found if each.status in ("over", "undone")}
        assert len(found) - len(closed) <= 1
        assert line.period_end > line.period_start
        assert not (line.status == "ended" and len(found) > len(closed))
        assert view is not None
        assert view.open_pause is None or view.status in ("active", "not_renewing")
        for event in events:
            assert event.status != "done" or event.done_at >= event.due_at, "nothing happens early"
            assert event.status != "scheduled" or event.pause_id not in closed, "nothing hangs over from a closed one"
        for each in found:
            assert each.ended_at is None or each.status == "undone" or each.ended_at >= each.starts_at
            assert each.status != "over" or line.period_start >= each.ended_at or line.period_end <= each.ended_at


@pytest.mark.parametrize(("dialect", "examples"), [("sqlite", 10), ("postgresql", 1)])
def test_any_interleaving_of_pausing_and_leaving_keeps_the_records_true(
    databases: Databases, dialect: str, examples: int
) -> None:
    machine = type("Machine", (Resting,), {"databases": databases, "dialect": dialect})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
