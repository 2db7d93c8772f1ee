"""The migrations make exactly the tables, and the database itself keeps the promises that matter."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bot.ids import new_id
from bot.store import schema
from bot.store import tables as t
from bot.store.unit_of_work import Store, make_engine
from tests.fakes.clock import START


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    """Columns, types, keys and indexes; a table changed without a migration fails here."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []


def test_the_migrations_make_every_check(store: Store) -> None:
    """Alembic does not compare checks, so their names and their number are compared here."""
    declared = {
        (table.name, check.name)
        for table in t.metadata.tables.values()
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    inspector = inspect(store.engine)
    made = {
        (name, check["name"]) for name in inspector.get_table_names() for check in inspector.get_check_constraints(name)
    }
    assert made == declared


def test_a_fresh_database_is_not_current_until_upgraded(blank_url: str) -> None:
    """And upgrading twice is harmless."""
    engine = make_engine(blank_url)
    assert not schema.is_current(engine)
    schema.upgrade(engine)
    schema.upgrade(engine)
    assert schema.is_current(engine)
    engine.dispose()


def test_the_migration_can_be_undone(blank_url: str) -> None:
    """Down to nothing, and up again."""
    engine = make_engine(blank_url)
    schema.upgrade(engine)
    with engine.begin() as connection:
        command.downgrade(schema._config(connection), "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    schema.upgrade(engine)
    assert schema.is_current(engine)
    engine.dispose()


def _upgrade(url: str, ready: Any) -> None:
    engine = make_engine(url)
    ready.wait()
    schema.upgrade(engine)
    assert schema.is_current(engine)
    engine.dispose()


def test_two_processes_may_upgrade_at_once(blank_url: str) -> None:
    """One does the work, the other waits and finds it done."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    processes = [spawn.Process(target=_upgrade, args=(blank_url, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"])
def test_the_audit_log_is_append_only(store: Store, statement: str) -> None:
    """The database refuses, whatever the program tries."""
    with store.write() as uow:
        uow.add(t.AuditLog(at=START, actor="bot", action="refund", subject="RFD-000001", data={}))
        uow.commit()
    with store.write() as uow, pytest.raises(DBAPIError, match="append-only"):
        uow.session.execute(text(statement))
    with store.read() as uow:
        assert uow.session.execute(text("SELECT count(*) FROM audit_log")).scalar_one() == 1


def _first(uow: Any, table: Any, **equals: Any) -> Any:
    return uow.session.query(table).filter_by(**equals).order_by(table.id).first()


def _refund(uow: Any, charge: Any, **changes: Any) -> t.Refund:
    decision = _first(uow, t.Decision)
    customer = _first(uow, t.Customer)
    values = {
        "id": new_id("rfd"),
        "reference": new_id("R")[-20:],
        "charge_id": charge.id,
        "decision_id": decision.id,
        "customer_id": customer.id,
        "amount_minor": charge.amount_minor,
        "currency": "USD",
        "status": "issued",
        "created_at": START,
        "idempotency_key": new_id("key"),
    }
    return t.Refund(**{**values, **changes})


def _two_refunds_of_one_charge(uow: Any) -> None:
    charge = _first(uow, t.Charge)
    uow.add(_refund(uow, charge))
    uow.add(_refund(uow, charge))


def _more_back_than_was_taken(uow: Any) -> None:
    charge = _first(uow, t.Charge)
    charge.refunded_minor, charge.credited_minor = charge.amount_minor, 1
    uow.session.flush()


def _a_refund_of_nothing(uow: Any) -> None:
    uow.add(_refund(uow, _first(uow, t.Charge), amount_minor=0))


def _a_number_held_twice(uow: Any) -> None:
    held = _first(uow, t.PhoneNumber, status="active")
    uow.add(t.PhoneNumber(id=new_id("num"), account_id=held.account_id, e164=held.e164, status="active"))


def _two_open_cancellations(uow: Any) -> None:
    first = _first(uow, t.Cancellation, status="scheduled")
    same = {column.name: getattr(first, column.name) for column in t.Cancellation.__table__.columns}
    uow.add(t.Cancellation(**{**same, "id": new_id("can"), "reference": "CAN-X", "idempotency_key": "other"}))


def _a_wallet_below_zero(uow: Any) -> None:
    _first(uow, t.Wallet).balance_minor = -1
    uow.session.flush()


def _an_upper_case_address(uow: Any) -> None:
    uow.add(t.Customer(id=new_id("cus"), brand="joltsms", email="Ava@jolt.example", name="", created_at=START))


def _a_human_without_an_agent(uow: Any) -> None:
    uow.add(
        t.Conversation(
            id=new_id("cnv"),
            brand="joltsms",
            channel="widget",
            external_id="x",
            owner="human",
            created_at=START,
            updated_at=START,
        )
    )


def _an_orphan(uow: Any) -> None:
    uow.add(t.Wallet(id=new_id("wal"), account_id="acc_nobody", balance_minor=0, currency="USD"))


@pytest.mark.parametrize(
    "wrong",
    [
        _two_refunds_of_one_charge,
        _more_back_than_was_taken,
        _a_refund_of_nothing,
        _a_number_held_twice,
        _two_open_cancellations,
        _a_wallet_below_zero,
        _an_upper_case_address,
        _a_human_without_an_agent,
        _an_orphan,
    ],
    ids=lambda wrong: wrong.__name__.strip("_"),
)
def test_the_schema_itself_refuses(demo_store: Store, wrong: Callable[[Any], None]) -> None:
    """What must never be true cannot be stored, whatever the program does."""
    with demo_store.write() as uow, pytest.raises(IntegrityError):
        wrong(uow)
