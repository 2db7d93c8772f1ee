"""Any interleaving of cancelling, resuming, removing, porting out, waiting and ticking keeps the store's promises.

Hal has two plans that share numbers and a wallet, Kim a product that takes another along, Finn numbers that each have a
subscription of their own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from bot.services import cancellations, keeping, lifecycle, numbers
from bot.services.accounts import HELD
from bot.services.reminders import Claim, KeepLinks
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.conftest import DIALECTS, Databases
from tests.fakes.clock import START
from tests.unit.services.usecases import all_packs, person, served

OWNED = {
    "finn@jolt.example": ("SUB-1006", "SUB-1007", "SUB-1008"),
    "hal@smarter.example": ("SUB-1010", "SUB-1011"),
    "kim@smrt.example": ("SUB-1014", "SUB-1015"),
}
EVERYBODY = tuple(OWNED)
KEEPERS = {"hal@smarter.example": ("SUB-1010", "SUB-1011"), "kim@smrt.example": ("SUB-1014",)}
"""While one of these is active, the account keeps its numbers and data."""
LOOKED_AT = (t.Subscription, t.Account, t.Customer)
SHARED = ("release_number", "take_number_fees", "delete_recordings", "erase_data")
LINKS = KeepLinks("s" * 40, "https://x.example")
PAID_FOR_UNSENT = 315

whose = st.integers(0, 9)  # mostly the one whom the run is about
some = st.integers(1, 7)  # which of somebody's things, as bits


def chosen(things: Any, bits: int) -> list[str]:
    """Some of these, at least one if there is any."""
    picked = [each for index, each in enumerate(things) if bits >> index & 1]
    return picked or list(things[:1])


class Leaving(RuleBasedStateMachine):
    """Three customers who leave and come back, a lifecycle that runs when it runs, and a clock that only goes on."""

    databases: Databases
    dialect: str
    about: str

    @initialize(stays=st.booleans())
    def open_store(self, stays: bool) -> None:
        """A fresh store as of START; perhaps with everything of the one it is about cancelled already."""
        self._context = self.databases.store(self.dialect, "demo")
        self.store: Store = self._context.__enter__()
        self.now = START
        self.keys = 0
        self.released: dict[str, datetime] = {}
        self.people: dict[str, CustomerRef] = {}
        self.accounts: dict[str, str] = {}
        with self.store.write() as uow:
            calling = uow.get(t.Subscription, "SUB-1011")  # Hal's plans end on different days
            calling.period_end += timedelta(days=9)
            uow.commit()
        with self.store.read() as uow:
            for email in EVERYBODY:
                self.people[email] = person(uow, email)
                subscription = uow.get(t.Subscription, OWNED[email][0])
                self.accounts[email] = subscription.account_id
            self.balance = {each: self._wallet(uow, each)[0] for each in KEEPERS}
        if not stays:
            self._cancel(self.about, list(OWNED[self.about]), False, self._key(False))

    def teardown(self) -> None:
        """Drop the database."""
        if hasattr(self, "store"):
            self._context.__exit__(None, None, None)

    def _key(self, repeat: bool) -> str:
        self.keys += 0 if repeat else 1
        return f"key-{self.keys}"

    def _whose(self, number: int) -> str:
        return EVERYBODY[number] if number < len(EVERYBODY) else self.about

    def _is_erased(self, uow: UnitOfWork, email: str) -> bool:
        return bool(uow.get(t.Account, self.accounts[email]).status == "erased")

    # --- what people do

    @rule(who=whose, bits=some, removing=st.booleans(), repeat=st.booleans())
    def cancel(self, who: int, bits: int, removing: bool, repeat: bool) -> None:
        """Each one named is cancelled, was before, or is refused by a rule; never nothing."""
        email = self._whose(who)
        self._cancel(email, chosen(OWNED[email], bits), removing, self._key(repeat))

    def _cancel(self, email: str, ids: list[str], removing: bool, key: str) -> None:
        customer = self.people[email]
        pack = served(customer.brand)
        with self.store.write() as uow:
            mine = numbers.held(uow, customer.customer_id) if removing else []
            result = cancellations.cancel(
                uow,
                pack=pack,
                customer=customer,
                subscription_ids=ids,
                reason_id=None,
                reason_text=None,
                consents=[(each.id, each.version, each.wording) for each in pack.cancel.consents],
                offers=(),
                conversation_id=None,
                key=f"cancel-{email}-{key}",
                now=self.now,
                remove_numbers=[number.id for number in mine[:1]],
            )
            uow.commit()
        assert len(result.cancelled) + len(result.already) + len(result.refused) >= len(ids)
        assert (result.receipt is not None) == bool(result.cancelled)

    @rule(who=whose, bits=some, repeat=st.booleans())
    def resume(self, who: int, bits: int, repeat: bool) -> None:
        """Each one named is resumed or it is said why not."""
        email = self._whose(who)
        ids, customer = chosen(OWNED[email], bits), self.people[email]
        with self.store.write() as uow:
            result = cancellations.resume(
                uow,
                pack=served(customer.brand),
                customer=customer,
                subscription_ids=ids,
                conversation_id=None,
                key=f"resume-{email}-{self._key(repeat)}",
                now=self.now,
            )
            uow.commit()
            erased = self._is_erased(uow, email)  # together with what was said then
        assert len(result.resumed) + len(result.not_possible) == len(ids)
        assert all(rule_id and (sentence or erased) for _, sentence, rule_id in result.not_possible)

    @rule(who=whose)
    def click_keep(self, who: int) -> None:
        """The link of a reminder undoes what still can be undone."""
        email = self._whose(who)
        with self.store.write() as uow:
            if self._is_erased(uow, email):
                return
            found = select(t.Cancellation.id).where(t.Cancellation.account_id == self.accounts[email])
            ids = tuple(uow.session.execute(found).scalars())
            if not ids:
                return
            claim = Claim(self.people[email].customer_id, ids)
            token = LINKS.token(claim, until=self.now + timedelta(days=1))
            keeping.keep(uow, packs=all_packs(), links=LINKS, token=token, now=self.now)
            uow.commit()

    @rule(bits=st.integers(1, 15), repeat=st.booleans())
    def remove(self, bits: int, repeat: bool) -> None:
        """Hal removes some numbers."""
        hal = self.people["hal@smarter.example"]
        with self.store.write() as uow:
            if self._is_erased(uow, hal.email):
                return
            mine = [number.id for number in numbers.held(uow, hal.customer_id)]
            if not mine:
                return
            result = numbers.remove(
                uow,
                pack=served(hal.brand),
                customer=hal,
                number_ids=chosen(mine, bits),
                conversation_id=None,
                key=f"remove-{self._key(repeat)}-{bits}",
                now=self.now,
            )
            uow.commit()
        assert bool(result.removed) == (result.receipt is not None)

    @rule(who=whose)
    def port_out(self, who: int) -> None:
        """A number goes to another provider: that is not ours to do, and it happens."""
        email = self._whose(who)
        with self.store.write() as uow:
            held = select(t.PhoneNumber.id).where(
                t.PhoneNumber.account_id == self.accounts[email], t.PhoneNumber.status.in_(HELD)
            )
            number_id = uow.session.execute(held.order_by(t.PhoneNumber.e164)).scalars().first()
            ported = {"status": "ported_out", "ported_out_at": self.now}
            uow.session.execute(update(t.PhoneNumber).where(t.PhoneNumber.id == number_id).values(**ported))
            uow.commit()

    @rule(days=st.one_of(st.integers(1, 12), st.sampled_from([14, 30, 45, 90, 400])))
    def wait(self, days: int) -> None:
        """Time passes, and nobody ticks."""
        self.now += timedelta(days=days)

    @rule(hours=st.integers(-6, 6), sleeps=st.booleans())
    def go_to_the_next_date(self, hours: int, sleeps: bool) -> None:
        """The clock jumps to just before, upon or just after something planned; the lifecycle may sleep through it."""
        with self.store.read() as uow:
            planned = select(t.LifecycleEvent.due_at).where(
                t.LifecycleEvent.status == "scheduled",
                t.LifecycleEvent.account_id.in_(self.accounts.values()),
                t.LifecycleEvent.due_at > self.now,
            )
            next_one = uow.session.execute(planned.order_by(t.LifecycleEvent.due_at)).scalars().first()
        if next_one is not None:
            self.now = max(self.now, next_one + timedelta(hours=hours) if hours else next_one)
        if not sleeps:
            self.tick()

    @rule()
    def tick(self) -> None:
        """Everything due is done, and done once; what is shared stays while something that needs it goes on."""
        packs = all_packs()
        with self.store.read() as uow:
            needed = {email: self._held(uow, email) for email in KEEPERS if self._goes_on(uow, email)}
        report = lifecycle.tick(self.store, now=self.now, packs=packs, links=LINKS)
        assert report.failed == ()
        again = lifecycle.tick(self.store, now=self.now, packs=packs, links=LINKS)
        assert again == lifecycle.TickReport(0, 0, ())
        with self.store.read() as uow:
            assert {email: self._held(uow, email) for email in needed} == needed

    def _goes_on(self, uow: UnitOfWork, email: str) -> bool:
        return any(uow.get(t.Subscription, each).status == "active" for each in KEEPERS[email])

    def _held(self, uow: UnitOfWork, email: str) -> list[str]:
        held = select(t.PhoneNumber.id).where(
            t.PhoneNumber.account_id == self.accounts[email], t.PhoneNumber.status.in_(HELD)
        )
        return sorted(uow.session.execute(held).scalars())

    # --- what must hold

    @invariant()
    def the_store_agrees_with_itself(self) -> None:
        """Statuses, numbers, cancellations, events and money of each account tell one story."""
        if not hasattr(self, "store"):
            return
        with self.store.read() as uow:
            kept = [
                uow.session.execute(select(table)).scalars().all() for table in LOOKED_AT
            ]  # at once, not row by row
            for email, ids in OWNED.items():
                for subscription_id in ids:
                    self._check_subscription(uow, subscription_id)
                self._check_numbers(uow, email)
                self._check_events(uow, email)
                self._check_erasing(uow, email)
            for email in KEEPERS:
                self._check_shared(uow, email)
                self._check_money(uow, email)
            del kept

    def _check_subscription(self, uow: UnitOfWork, subscription_id: str) -> None:
        subscription = uow.get(t.Subscription, subscription_id)
        found = uow.session.execute(
            select(t.Cancellation).where(t.Cancellation.subscription_id == subscription_id)
        ).scalars()
        standing = [each.status for each in found if each.status != "undone"]
        expected = {"active": [], "not_renewing": ["scheduled"], "ended": ["effective"]}
        assert standing == expected[subscription.status]
        assert (subscription.ended_at is not None) == (subscription.status == "ended")

    def _check_numbers(self, uow: UnitOfWork, email: str) -> None:
        account_id = self.accounts[email]
        done = uow.session.execute(
            select(t.LifecycleEvent.subject_id, t.LifecycleEvent.due_at).where(
                t.LifecycleEvent.account_id == account_id,
                t.LifecycleEvent.kind == "release_number",
                t.LifecycleEvent.status == "done",
            )
        ).all()
        promised = dict(done)
        for number in uow.session.execute(
            select(t.PhoneNumber).where(t.PhoneNumber.account_id == account_id)
        ).scalars():
            if number.status == "released":
                erased = self._is_erased(uow, email)
                assert erased or number.id in promised, "a number goes because it was promised"
                assert erased or number.released_at >= promised[number.id], "and never early"
            if number.status == "releasing":
                going = uow.session.execute(
                    select(t.LifecycleEvent.id).where(
                        t.LifecycleEvent.kind == "release_number",
                        t.LifecycleEvent.subject_id == number.id,
                        t.LifecycleEvent.status == "scheduled",
                    )
                ).first()
                assert going, "nothing is on its way out without a date"
            if number.subscription_id is not None and number.status == "active":
                assert uow.get(t.Subscription, number.subscription_id).status != "ended"

    def _check_events(self, uow: UnitOfWork, email: str) -> None:
        found = uow.session.execute(
            select(t.LifecycleEvent, t.Cancellation)
            .join(t.Cancellation, t.Cancellation.id == t.LifecycleEvent.cancellation_id)
            .where(t.LifecycleEvent.account_id == self.accounts[email])
        ).all()
        for event, cancellation in found:
            assert (event.status == "scheduled") <= (event.done_at is None)
            if event.status == "done":
                assert event.done_at >= event.due_at, "nothing happens early"
                if cancellation.status == "undone":
                    assert event.done_at <= cancellation.undone_at, "nothing happens that was undone"
            if cancellation.status == "undone":
                assert event.status != "scheduled"

    def _check_shared(self, uow: UnitOfWork, email: str) -> None:
        scheduled = select(t.LifecycleEvent).where(
            t.LifecycleEvent.account_id == self.accounts[email],
            t.LifecycleEvent.status == "scheduled",
            t.LifecycleEvent.kind.in_(SHARED),
        )
        events = uow.session.execute(scheduled).scalars().all()
        assert not (events and self._goes_on(uow, email)), "nothing shared is to go while something goes on"
        about = [(event.kind, event.subject_id, event.due_at) for event in events]
        assert len(about) == len(set(about)), "nothing is promised twice"
        standing = select(t.Cancellation.effective_at).where(
            t.Cancellation.account_id == self.accounts[email], t.Cancellation.status != "undone"
        )
        last = max(uow.session.execute(standing).scalars(), default=START)
        lost = [event.due_at for event in events if event.kind != "take_number_fees"]
        assert all(at >= last for at in lost), "what is shared stays until everything has ended"

    def _check_erasing(self, uow: UnitOfWork, email: str) -> None:
        running = [uow.get(t.Subscription, each).status for each in OWNED[email]]
        if self._is_erased(uow, email):
            assert "active" not in running, "nobody is erased who came back"
            assert uow.get(t.Customer, self.people[email].customer_id).erased_at is not None
        else:
            assert uow.get(t.Customer, self.people[email].customer_id).email == email

    def _wallet(self, uow: UnitOfWork, email: str) -> tuple[int, list[Any]]:
        wallet = uow.session.execute(select(t.Wallet).where(t.Wallet.account_id == self.accounts[email])).scalar_one()
        entries = uow.session.execute(select(t.WalletEntry).where(t.WalletEntry.wallet_id == wallet.id)).scalars().all()
        assert wallet.balance_minor == sum(entry.amount_minor for entry in entries) >= 0
        return wallet.balance_minor, entries

    def _check_money(self, uow: UnitOfWork, email: str) -> None:
        balance, entries = self._wallet(uow, email)
        fees = [entry for entry in entries if entry.idempotency_key.startswith("number-fee:")]
        credits = (
            uow.session.execute(select(t.Credit.amount_minor).where(t.Credit.account_id == self.accounts[email]))
            .scalars()
            .all()
        )
        assert sum(credits) <= PAID_FOR_UNSENT, "what was not sent is credited once"
        assert balance == self.balance[email] + sum(fee.amount_minor for fee in fees) + sum(credits)
        waiting = uow.session.execute(
            select(t.ScheduledMessage).where(t.ScheduledMessage.account_id == self.accounts[email])
        ).scalars()
        credited = sum(each.quantity * each.unit_price_minor for each in waiting if each.status == "credited")
        assert credited == sum(credits), "and exactly those messages are marked"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("about", "examples"), [("finn@jolt.example", 8), ("hal@smarter.example", 30), ("kim@smrt.example", 12)]
)
def test_any_interleaving_keeps_the_stores_promises(
    databases: Databases, dialect: str, about: str, examples: int
) -> None:
    machine = type("Machine", (Leaving,), {"databases": databases, "dialect": dialect, "about": about})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples if dialect == "sqlite" else 2,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
