"""What leaves the system: written down with the change that caused it, then delivered until it arrives or is given up.

Delivery is at least once: a process killed between sending and noting it sends again. Each row keeps its id for all
attempts (a mail its Message-ID), so that a receiver can tell a repetition; nothing here can promise more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import structlog
from sqlalchemy import select, update

from bot.errors import Conflict, NotFound
from bot.ids import new_id
from bot.services.ports import Clock, Undeliverable
from bot.store.tables import Outbox
from bot.store.unit_of_work import Store, UnitOfWork

MAX_TRIES = 10
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LEASE = timedelta(minutes=2)  # longer than any handler may take

_log = structlog.get_logger(__name__)


class OutboxKind(str, Enum):
    """How something leaves."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    CHANNEL = "channel"


@dataclass(frozen=True)
class OutboxItem:
    """One thing to deliver; `id` is the same at every attempt."""

    id: str
    kind: OutboxKind
    recipient: str
    payload: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class DeadLetter:
    """Something that was given up, and why."""

    id: str
    kind: OutboxKind
    recipient: str
    attempts: int
    error: str
    created_at: datetime


@dataclass(frozen=True)
class DispatchResult:
    """What one run did: delivered, failed but to be tried again, given up."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


Handler = Callable[[OutboxItem], None]
"""Delivers one item. Raises Undeliverable when refused for good, any other exception when worth another try."""


def enqueue(
    uow: UnitOfWork,
    *,
    kind: OutboxKind,
    recipient: str,
    payload: Mapping[str, Any],
    idempotency_key: str,
    now: datetime,
) -> str:
    """Write down something to deliver, once for each key; returns its id. `payload` is JSON."""
    known = uow.session.execute(select(Outbox.id).where(Outbox.idempotency_key == idempotency_key)).scalar()
    if known is not None:
        return str(known)
    row = Outbox(
        id=new_id("out"),
        kind=kind.value,
        recipient=recipient,
        payload=dict(payload),
        next_try_at=now,
        created_at=now,
        idempotency_key=idempotency_key,
    )
    uow.add(row)
    return str(row.id)


def dead_letters(uow: UnitOfWork, *, limit: int = 100) -> list[DeadLetter]:
    """What was given up, latest first."""
    rows = uow.session.execute(
        select(Outbox).where(Outbox.status == "dead").order_by(Outbox.created_at.desc(), Outbox.id.desc()).limit(limit)
    ).scalars()
    return [
        DeadLetter(row.id, OutboxKind(row.kind), row.recipient, row.attempts, row.last_error or "", row.created_at)
        for row in rows
    ]


def retry(uow: UnitOfWork, outbox_id: str, *, now: datetime) -> None:
    """Give a dead letter all its tries again. Raises NotFound, or Conflict if it is not dead."""
    row = uow.session.get(Outbox, outbox_id, with_for_update=True)
    if row is None:
        raise NotFound(f"There is nothing in the outbox with the id {outbox_id}.")
    if row.status != "dead":
        raise Conflict(f"{outbox_id} is {row.status}; only what was given up can be tried again.")
    row.status, row.attempts, row.next_try_at = "pending", 0, now
    uow.session.flush()


class Dispatcher:
    """Delivers what is due. Any number of them may run at once, in any number of processes."""

    def __init__(self, store: Store, handlers: Mapping[OutboxKind, Handler], clock: Clock) -> None:
        self._store = store
        self._handlers = dict(handlers)
        self._clock = clock

    def run_due(self, *, limit: int = 50) -> DispatchResult:
        """Deliver up to `limit` due items, oldest first, each claimed, sent and noted by itself."""
        sent = failed = dead = 0
        for _ in range(limit):
            item = self._claim()
            if item is None:
                break
            if item.attempts > MAX_TRIES:  # each try ended with the process: the item may be why
                self._bury(item, "gave up: every try was cut off")
                dead += 1
                continue
            try:
                self._handlers[item.kind](item)
            except Undeliverable as error:
                self._bury(item, _describe(error))
                dead += 1
            except Exception as error:
                if item.attempts >= MAX_TRIES:
                    self._bury(item, _describe(error))
                    dead += 1
                else:
                    self._postpone(item, error)
                    failed += 1
            else:
                self._note(item, status="sent", sent_at=self._clock.now(), payload={}, last_error=None)
                sent += 1
        return DispatchResult(sent, failed, dead)

    def _claim(self) -> OutboxItem | None:
        """Take the next due item for the length of a lease; when the lease ends without news, it is due again."""
        now = self._clock.now()
        with self._store.write() as uow:
            row = uow.session.execute(
                select(Outbox)
                .where(
                    Outbox.status == "pending",
                    Outbox.next_try_at <= now,
                    Outbox.kind.in_([kind.value for kind in self._handlers]),
                )
                .order_by(Outbox.next_try_at, Outbox.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).scalar()
            if row is None:
                return None
            row.attempts += 1
            row.next_try_at = now + LEASE
            item = OutboxItem(row.id, OutboxKind(row.kind), row.recipient, row.payload, row.attempts)
            uow.commit()
            return item

    def _postpone(self, item: OutboxItem, error: Exception) -> None:
        pause = min(FIRST_PAUSE * 2 ** (item.attempts - 1), LONGEST_PAUSE)
        _log.warning(
            "outbox.failed", id=item.id, kind=item.kind.value, attempt=item.attempts, error=type(error).__name__
        )
        self._note(item, next_try_at=self._clock.now() + pause, last_error=_describe(error))

    def _bury(self, item: OutboxItem, reason: str) -> None:
        _log.error("outbox.dead", id=item.id, kind=item.kind.value, attempts=item.attempts)
        self._note(item, status="dead", last_error=reason)

    def _note(self, item: OutboxItem, **values: Any) -> None:
        """Write the result, unless the lease ran out and somebody else has claimed the item meanwhile."""
        mine = (Outbox.id == item.id, Outbox.attempts == item.attempts, Outbox.status == "pending")
        with self._store.write() as uow:
            uow.session.execute(update(Outbox).where(*mine).values(**values))
            uow.commit()


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
