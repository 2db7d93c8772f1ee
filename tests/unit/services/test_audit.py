"""What is put on record stays, and names nobody."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from bot.services import audit
from bot.store.tables import AuditLog
from bot.store.unit_of_work import Store
from tests.fakes.clock import START


def _recorded(store: Store, **given: Any) -> AuditLog:
    with store.write() as uow:
        audit.record(uow, **{"actor": "bot", "action": "refund.issued", "subject": "RFD-000001", "now": START, **given})
        uow.commit()
    with store.read() as uow:
        line: AuditLog = uow.session.execute(select(AuditLog)).scalar_one()
        return line


def test_a_line_says_who_did_what_to_what_and_when(store: Store) -> None:
    line = _recorded(store, data={"amount_minor": 1500, "rule": "J-R1"})
    assert (line.actor, line.action, line.subject, line.at) == ("bot", "refund.issued", "RFD-000001", START)
    assert line.data == {"amount_minor": 1500, "rule": "J-R1"}


@pytest.mark.parametrize("personal", ["ava@jolt.example", "+14155550101", "+1 (415) 555-0101", "<ava@jolt.example>"])
def test_addresses_and_numbers_are_removed_however_deep(store: Store, personal: str) -> None:
    line = _recorded(store, actor=personal, subject=personal, data={"why": [f"asked by {personal}", {"who": personal}]})
    assert "jolt.example" not in f"{line.actor}{line.subject}{line.data}"
    assert "555" not in f"{line.actor}{line.subject}{line.data}"


@pytest.mark.parametrize("harmless", ["J-R1", "TCK-000123", "2026-03-16T15:00:00+00:00", "+5", "USD 1,500.00"])
def test_what_is_harmless_stays(store: Store, harmless: str) -> None:
    assert _recorded(store, data={"value": harmless}).data == {"value": harmless}


def test_what_was_rolled_back_is_not_on_record(store: Store) -> None:
    with store.write() as uow:
        audit.record(uow, actor="bot", action="x", subject="y", now=START)
    with store.read() as uow:
        assert uow.session.execute(select(AuditLog)).first() is None
