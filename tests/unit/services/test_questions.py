"""Questions answered from the pack, for anyone and for one account."""

from __future__ import annotations

import pytest

from bot.policy.decide import Answered
from bot.policy.intents import MUST_BE_ANSWERED
from bot.services import cancellations, questions
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import customer, jolt


def answer(uow: UnitOfWork, intent: str, name: str | None = None, subscription_id: str | None = None) -> Answered:
    """Ask as a demo customer, or as nobody."""
    found = questions.answer(
        uow,
        pack=jolt(),
        customer=customer(uow, name) if name else None,
        intent=intent,
        now=START,
        subscription_id=subscription_id,
    )
    assert found is not None
    return found


@pytest.mark.parametrize("intent", sorted(MUST_BE_ANSWERED))
@pytest.mark.parametrize("name", [None, "ava", "ben", "eve", "finn", "gia"])
def test_every_question_is_answered_to_everybody(sqlite_demo_store: Store, intent: str, name: str | None) -> None:
    with sqlite_demo_store.read() as uow:
        found = answer(uow, intent, name)
    assert found.says
    assert found.source.article
    assert not any("{" in sentence for sentence in found.says)


def test_what_is_no_question_has_no_answer(demo_store: Store) -> None:
    with demo_store.read() as uow:
        assert questions.answer(uow, pack=jolt(), customer=None, intent="greet", now=START) is None


def test_a_known_customer_is_told_about_their_own_number(demo_store: Store) -> None:
    with demo_store.read() as uow:
        general = answer(uow, "ask_number_release")
        avas = answer(uow, "ask_number_release", "ava")
        gias = answer(uow, "ask_number_release", "gia")
    assert (general.personal, avas.personal, gias.personal) == (False, True, True)
    assert "+1 415-555-0101" in avas.says[0]
    assert "has been released" in gias.says[0]


def test_where_several_could_be_meant_the_answer_is_general_unless_one_is_named(demo_store: Store) -> None:
    with demo_store.read() as uow:
        assert not answer(uow, "ask_how_to_cancel", "finn").personal
        named = answer(uow, "ask_how_to_cancel", "finn", "SUB-1008")
    assert named.personal
    assert "+1 415-555-0107" in named.says[0]


def test_when_all_are_ending_the_next_to_end_is_meant(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancellations.cancel(
            uow,
            pack=jolt(),
            customer=customer(uow, "finn"),
            subscription_ids=["SUB-1007", "SUB-1008"],
            reason_id=None,
            reason_text=None,
            consents=(),
            offers=(),
            conversation_id=None,
            key="k",
            now=START,
        )
        assert "+1 415-555-0105" in answer(uow, "ask_number_release", "finn").says[0]
