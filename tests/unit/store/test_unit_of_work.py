"""A unit of work keeps everything or nothing, and numbers never repeat."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from bot.ids import new_id
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork, make_engine
from tests.fakes.clock import START


def _customer(email: str = "zoe@jolt.example", at: datetime = START) -> t.Customer:
    return t.Customer(id=new_id("cus"), brand="joltsms", email=email, name="Zoe", created_at=at)


def test_what_is_not_committed_is_undone(store: Store) -> None:
    with store.write() as uow:
        uow.add(_customer())
    with store.read() as uow:
        assert uow.session.execute(select(t.Customer)).first() is None


def test_an_error_undoes_everything(store: Store) -> None:
    def fail_half_way() -> None:
        with store.write() as uow:
            uow.add(_customer())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with store.read() as uow:
        assert uow.session.execute(select(t.Customer)).first() is None


def test_what_is_committed_stays(store: Store) -> None:
    made = _customer()
    with store.write() as uow:
        uow.add(made)
        uow.commit()
    with store.read() as uow:
        assert uow.get(t.Customer, made.id).email == "zoe@jolt.example"


async def test_work_in_a_thread_is_committed_unless_it_raises(store: Store) -> None:
    made = _customer()

    def fail(uow: UnitOfWork) -> None:
        uow.add(_customer("yara@jolt.example"))
        raise ZeroDivisionError

    assert await store.writing(lambda uow: uow.add(made) or threading.get_ident()) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await store.writing(fail)
    assert await store.reading(lambda uow: uow.session.execute(select(t.Customer.id)).scalars().all()) == [made.id]


def test_times_come_back_as_aware_utc(store: Store) -> None:
    """Whatever zone they were given in."""
    elsewhere = START.astimezone(timezone(timedelta(hours=-7)))
    made = _customer(at=elsewhere)
    with store.write() as uow:
        uow.add(made)
        uow.commit()
    with store.read() as uow:
        kept = uow.get(t.Customer, made.id).created_at
    assert kept == START
    assert kept.tzinfo is timezone.utc


def test_a_naive_time_is_refused(store: Store) -> None:
    with store.write() as uow, pytest.raises(StatementError, match="naive datetime"):
        uow.add(_customer(at=datetime(2026, 3, 16)))  # noqa: DTZ001


def test_numbers_start_at_one_and_never_repeat_between_threads(store: Store) -> None:
    def take(_: int) -> int:
        with store.write() as uow:
            number = uow.next_number("TCK")
            uow.commit()
            return number

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, range(20))) == list(range(1, 21))


def test_series_are_independent(store: Store) -> None:
    with store.write() as uow:
        assert [uow.next_number(series) for series in ("TCK", "RFD", "TCK")] == [1, 1, 2]


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    """Turning on WAL needs the file alone; who comes second waits instead of failing."""

    def first_use(url: str) -> str:
        engine = make_engine(url)
        with engine.connect() as connection:
            mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
        engine.dispose()
        return mode

    with ThreadPoolExecutor(6) as pool:
        for index in range(10):
            assert set(pool.map(first_use, [f"sqlite:///{tmp_path / str(index)}"] * 6)) == {"wal"}
