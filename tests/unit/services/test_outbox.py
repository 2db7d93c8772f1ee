"""Everything written down arrives, or is given up in plain sight; a killed process loses nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.errors import Conflict, NotFound
from bot.services.outbox import (
    FIRST_PAUSE,
    LEASE,
    LONGEST_PAUSE,
    MAX_TRIES,
    Dispatcher,
    DispatchResult,
    Handler,
    OutboxItem,
    OutboxKind,
    dead_letters,
    enqueue,
    retry,
)
from bot.services.ports import Undeliverable
from bot.store.tables import Outbox
from bot.store.unit_of_work import Store
from tests.fakes.clock import START, FakeClock


class Receiver:
    """Takes what is delivered; `errors` are raised first, one a delivery."""

    def __init__(self, *errors: BaseException) -> None:
        self.got: list[OutboxItem] = []
        self.errors = list(errors)

    def __call__(self, item: OutboxItem) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(item)


def put(store: Store, key: str = "k1", **changes: Any) -> str:
    """Write down one mail."""
    with store.write() as uow:
        made = enqueue(
            uow,
            **{
                "kind": OutboxKind.EMAIL,
                "recipient": "ava@jolt.example",
                "payload": {"subject": key},
                "idempotency_key": key,
                "now": START,
                **changes,
            },
        )
        uow.commit()
    return made


def row(store: Store, outbox_id: str) -> Outbox:
    """The row as it stands."""
    with store.read() as uow:
        return uow.get(Outbox, outbox_id)


def dispatcher(store: Store, handler: Handler, clock: FakeClock) -> Dispatcher:
    """A dispatcher of mail."""
    return Dispatcher(store, {OutboxKind.EMAIL: handler}, clock)


def test_what_is_due_is_delivered_once_and_its_content_forgotten(store: Store, clock: FakeClock) -> None:
    receiver, outbox_id = Receiver(), put(store)
    mail = dispatcher(store, receiver, clock)
    assert mail.run_due() == DispatchResult(sent=1)
    assert mail.run_due() == DispatchResult()
    assert receiver.got == [OutboxItem(outbox_id, OutboxKind.EMAIL, "ava@jolt.example", {"subject": "k1"}, 1)]
    kept = row(store, outbox_id)
    assert (kept.status, kept.sent_at, kept.payload) == ("sent", START, {})


def test_the_same_key_is_written_down_once(store: Store) -> None:
    assert put(store) == put(store)
    with store.read() as uow:
        assert uow.session.execute(select(func.count()).select_from(Outbox)).scalar_one() == 1


def test_what_was_not_committed_never_leaves(store: Store, clock: FakeClock) -> None:
    with store.write() as uow:
        enqueue(uow, kind=OutboxKind.EMAIL, recipient="a@b.c", payload={}, idempotency_key="k", now=START)
    receiver = Receiver()
    assert dispatcher(store, receiver, clock).run_due() == DispatchResult()


def test_the_oldest_goes_first_and_a_run_has_its_limit(store: Store, clock: FakeClock) -> None:
    for minutes in (2, 0, 1):
        put(store, key=f"k{minutes}", now=START + timedelta(minutes=minutes))
    clock.advance(minutes=5)
    receiver = Receiver()
    dispatcher(store, receiver, clock).run_due(limit=2)
    assert [item.payload["subject"] for item in receiver.got] == ["k0", "k1"]


def test_a_kind_that_nobody_handles_waits(store: Store, clock: FakeClock) -> None:
    outbox_id = put(store, kind=OutboxKind.WEBHOOK)
    assert dispatcher(store, Receiver(), clock).run_due() == DispatchResult()
    assert row(store, outbox_id).attempts == 0


def test_a_failure_is_tried_again_after_growing_pauses_until_it_is_given_up(store: Store, clock: FakeClock) -> None:
    outbox_id = put(store)
    mail = dispatcher(store, Receiver(*[OSError("no route")] * MAX_TRIES), clock)
    pauses = []
    for _ in range(MAX_TRIES - 1):
        assert mail.run_due() == DispatchResult(failed=1)
        assert mail.run_due() == DispatchResult()
        due = row(store, outbox_id).next_try_at
        pauses.append(due - clock.now())
        clock.set(due)
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert mail.run_due() == DispatchResult(dead=1)
    with store.read() as uow:
        (letter,) = dead_letters(uow)
    assert (letter.id, letter.attempts, letter.error) == (outbox_id, MAX_TRIES, "OSError: no route")


def test_a_refusal_for_good_is_given_up_at_once(store: Store, clock: FakeClock) -> None:
    outbox_id = put(store)
    assert dispatcher(store, Receiver(Undeliverable("550 no such user")), clock).run_due() == DispatchResult(dead=1)
    assert row(store, outbox_id).last_error == "Undeliverable: 550 no such user"


def test_one_failure_does_not_hold_up_the_others(store: Store, clock: FakeClock) -> None:
    for key in ("k1", "k2", "k3"):
        put(store, key=key)
    receiver = Receiver(OSError())
    assert dispatcher(store, receiver, clock).run_due() == DispatchResult(sent=2, failed=1)


def test_a_dead_letter_can_be_tried_again(store: Store, clock: FakeClock) -> None:
    outbox_id = put(store)
    receiver = Receiver(Undeliverable("550"))
    mail = dispatcher(store, receiver, clock)
    mail.run_due()
    with store.write() as uow:
        retry(uow, outbox_id, now=clock.now())
        uow.commit()
    assert mail.run_due() == DispatchResult(sent=1)
    assert receiver.got[0].payload == {"subject": "k1"}


def test_only_what_is_dead_is_tried_again(store: Store) -> None:
    outbox_id = put(store)
    with store.write() as uow:
        with pytest.raises(Conflict, match="is pending"):
            retry(uow, outbox_id, now=START)
        with pytest.raises(NotFound):
            retry(uow, "out_x", now=START)


def test_a_process_killed_while_sending_sends_again_after_the_lease_under_the_same_id(
    store: Store, clock: FakeClock
) -> None:
    outbox_id = put(store)
    with pytest.raises(KeyboardInterrupt):
        dispatcher(store, Receiver(KeyboardInterrupt()), clock).run_due()
    receiver = Receiver()
    survivor = dispatcher(store, receiver, clock)
    assert survivor.run_due() == DispatchResult()
    clock.advance(seconds=LEASE.total_seconds())
    assert survivor.run_due() == DispatchResult(sent=1)
    assert [(item.id, item.attempts) for item in receiver.got] == [(outbox_id, 2)]


def test_what_kills_every_process_is_given_up(store: Store, clock: FakeClock) -> None:
    put(store)
    for _ in range(MAX_TRIES):
        with pytest.raises(KeyboardInterrupt):
            dispatcher(store, Receiver(KeyboardInterrupt()), clock).run_due()
        clock.advance(seconds=LEASE.total_seconds())
    receiver = Receiver()
    assert dispatcher(store, receiver, clock).run_due() == DispatchResult(dead=1)
    assert receiver.got == []


def test_who_comes_back_after_the_lease_does_not_overwrite_the_successor(store: Store, clock: FakeClock) -> None:
    """A slow sender that fails at last must not revive what another has sent meanwhile."""
    outbox_id = put(store)
    successor = Receiver()

    def slow(item: OutboxItem) -> None:
        clock.advance(seconds=LEASE.total_seconds())
        dispatcher(store, successor, clock).run_due()
        raise OSError("too late")

    dispatcher(store, slow, clock).run_due(limit=1)
    assert len(successor.got) == 1
    assert row(store, outbox_id).status == "sent"


def test_several_workers_share_the_work(store: Store, clock: FakeClock) -> None:
    """Each item goes to exactly one of them."""
    for number in range(30):
        put(store, key=f"k{number}")
    got: list[str] = []
    lock = Lock()

    def take(item: OutboxItem) -> None:
        with lock:
            got.append(item.payload["subject"])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: dispatcher(store, take, clock).run_due(), range(4)))
    assert sum(result.sent for result in results) == 30
    assert sorted(got) == sorted(f"k{number}" for number in range(30))
