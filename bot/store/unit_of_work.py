"""One transaction a use case: rolled back unless told to commit; and the engine it runs on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import create_engine, event, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from bot.store.tables import Counter

_BUSY_SECONDS = 15
T = TypeVar("T")


def make_engine(url: str) -> Engine:
    """An engine for a SQLite file (WAL, foreign keys on, one writer at a time) or PostgreSQL, from a database URL."""
    if not url.startswith("sqlite"):
        return create_engine(url, future=True, pool_size=10, max_overflow=10, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(
        url,
        future=True,
        poolclass=QueuePool,
        pool_size=16,
        hide_parameters=True,  # an error must not carry what customers wrote into the log
        connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
    )

    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see Store.write
        cursor = connection.cursor()
        _turn_on_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")  # a refund that was told must survive a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    def _begin(connection: Any) -> None:
        # IMMEDIATE takes the write lock at once: two writers queue instead of failing half-way.
        mode = connection.get_execution_options().get("sqlite_begin", "BEGIN")
        # Straight to the driver: it is said several times a turn, and there is nothing in it to be compiled.
        try:
            connection.connection.dbapi_connection.execute(mode)
        except sqlite3.OperationalError as error:
            raise OperationalError(mode, None, error) from error

    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _turn_on_wal(cursor: Any) -> None:
    # Turning a new file to WAL needs it alone and, unlike all else, does not wait for others that try the same.
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)


class _Session(Session):  # type: ignore[misc]  # SQLAlchemy 1.4 has no types
    """A session with a memory of what was read, which is lost with every change and every lock."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.memory: dict[Hashable, Any] = {}

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        only_reads = getattr(statement, "is_select", False) and statement._for_update_arg is None
        if self.memory and not only_reads:
            self.memory.clear()
        return super().execute(statement, *arguments, **options)


class UnitOfWork:
    """A session in one transaction. Leaving the block without `commit()` undoes everything."""

    def __init__(self, session: Session, address_key: bytes = b"") -> None:
        self.session = session
        self.address_key = address_key

    def commit(self) -> None:
        """Make everything of this unit of work durable."""
        self.session.commit()

    def rollback(self) -> None:
        """Undo everything of this unit of work."""
        self.session.rollback()

    def add(self, *rows: object) -> None:
        """Add rows and send them to the database at once, so that a broken rule shows here."""
        self.session.add_all(rows)
        self.session.flush()

    def get(self, table: Any, key: str) -> Any:
        """The row with that primary key, or None."""
        return self.session.get(table, key)

    def remembered(self, what: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives, read once as long as nothing is changed or locked in this unit of work.

        The value is shared: it must not be changed. Use it for what is asked again and again within one decision; who
        locks a row reads anew, for others may have changed it before.
        """
        self.session.flush()
        memory: dict[Hashable, Any] = self.session.memory
        if what not in memory:
            value = read()
            memory[what] = value
        known: T = memory[what]
        return known

    def next_number(self, series: str) -> int:
        """The next number of a series, without gaps from concurrency and without repeats."""
        dialect = self.session.get_bind().dialect.name
        insert = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(Counter)
        self.session.execute(insert.values(name=series, value=0).on_conflict_do_nothing())
        self.session.execute(update(Counter).where(Counter.name == series).values(value=Counter.value + 1))
        return int(self.session.execute(text("SELECT value FROM counters WHERE name = :n"), {"n": series}).scalar_one())


class Store:
    """Gives out units of work on one database; `address_key` keys what stays of erased customers' addresses."""

    def __init__(self, engine: Engine, *, address_key: bytes = b"") -> None:
        self.engine = engine
        self._address_key = address_key
        self._sessions = sessionmaker(engine, class_=_Session, future=True, expire_on_commit=False)
        event.listen(self._sessions, "before_flush", lambda session, *_: session.memory.clear())
        # SQLite lets one writer in and has the others look again and again; waiting here costs no looking.
        self._turnstile: AbstractContextManager[Any] = (
            threading.RLock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """A unit of work that may change things."""
        with self._turnstile:
            session = self._sessions()
            try:
                session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
                yield UnitOfWork(session, self._address_key)
            finally:
                session.close()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit of work for reading; nothing is kept."""
        session = self._sessions()
        try:
            yield UnitOfWork(session, self._address_key)
        finally:
            session.close()

    async def writing(self, work: Callable[[UnitOfWork], T]) -> T:
        """Do the work in a thread, as one unit of work that is committed unless it raises."""

        def run() -> T:
            with self.write() as uow:
                result = work(uow)
                uow.commit()
                return result

        return await asyncio.to_thread(run)

    async def reading(self, work: Callable[[UnitOfWork], T]) -> T:
        """Look something up in a thread."""

        def run() -> T:
            with self.read() as uow:
                return work(uow)

        return await asyncio.to_thread(run)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()
