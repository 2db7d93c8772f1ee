"""Decisions on record: kept once, read back, replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.errors import Conflict, NotFound
from bot.policy.decide import decide
from bot.policy.decision import Matter, Outcome, Request, RequestKind
from bot.services import decisions
from bot.services.facts import collect
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import count, customer, jolt


def keep(uow: UnitOfWork, name: str, *, key: str, kind: RequestKind = RequestKind.REFUND) -> str:
    """Decide and keep a request of a demo customer."""
    who = customer(uow, name)
    facts = collect(uow, pack=jolt(), customer=who, now=START)
    request = Request(kind, START, matter=Matter.DUPLICATE_CHARGE)
    return decisions.record(
        uow,
        pack=jolt(),
        customer=who,
        conversation_id=None,
        subject="SUB-1002",
        request=request,
        facts=facts,
        decision=decide(jolt(), facts, request),
        key=key,
        now=START,
    )


def test_a_decision_is_kept_once_for_each_key(demo_store: Store) -> None:
    with demo_store.write() as uow:
        before = count(uow, t.Decision)
        first = keep(uow, "ben", key="k")
        assert keep(uow, "ben", key="k") == first
        assert keep(uow, "ben", key="other") != first
        assert count(uow, t.Decision) == before + 2
        uow.commit()
    with demo_store.read() as uow:
        found = decisions.stored(uow, "k")
        assert found is not None
        assert found[0] == first
        assert (found[1].outcome, found[1].rule_id, found[1].amount) == (Outcome.REFUND, "J-R1", 1500)
        assert decisions.stored(uow, "unknown") is None


def test_a_kept_decision_replays_to_the_same(demo_store: Store) -> None:
    with demo_store.write() as uow:
        decision_id = keep(uow, "ben", key="k")
        uow.commit()
    with demo_store.read() as uow:
        found = decisions.stored(uow, "k")
        assert found is not None
        assert decisions.replay(uow, decision_id, jolt()) == found[1]


def test_another_version_of_the_pack_does_not_replay_it(demo_store: Store) -> None:
    with demo_store.write() as uow:
        decision_id = keep(uow, "ben", key="k")
        with pytest.raises(Conflict):
            decisions.replay(uow, decision_id, replace(jolt(), version="another"))
        with pytest.raises(NotFound):
            decisions.replay(uow, "dec_unknown", jolt())


def test_a_key_serves_one_customer_and_one_kind_of_request(demo_store: Store) -> None:
    with demo_store.write() as uow:
        keep(uow, "ben", key="k")
        with pytest.raises(Conflict):
            keep(uow, "ava", key="k")
        with pytest.raises(Conflict):
            keep(uow, "ben", key="k", kind=RequestKind.CANCEL)
