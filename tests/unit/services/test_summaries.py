"""The three lines that people read first: in words, without names of the program and ids that nobody uses."""

from __future__ import annotations

import re

import pytest

from bot.dialogue.wishes import TITLES
from bot.policy.decision import Matter, Outcome, RequestKind
from bot.services import refunds, summaries
from bot.services.wish_words import PHRASES, as_colleagues_say
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.usecases import conversation, customer, jolt, message


def test_everything_that_can_be_decided_has_words() -> None:
    assert set(summaries._REQUESTS) == set(RequestKind)
    assert set(summaries._OUTCOMES) == set(Outcome)
    assert set(summaries._MATTERS) == set(Matter) - {Matter.GENERAL}


def test_every_wish_that_has_a_button_has_words_for_colleagues() -> None:
    assert set(PHRASES) >= set(TITLES) - {"ask_capabilities"}
    for intent in PHRASES:
        said = as_colleagues_say(intent)
        assert said
        assert "your" not in said
        assert "_" not in said
    assert as_colleagues_say("complain") == "is not happy with the service"
    assert as_colleagues_say("affirm") is None


@pytest.mark.parametrize(
    ("who", "matter", "subscription", "line"),
    [
        (
            "ben",
            Matter.DUPLICATE_CHARGE,
            None,
            "money back (charged twice or wrongly), invoice INV-2002: USD 15.00 refunded, J-R1",
        ),
        (
            "dan",
            Matter.NOT_RECEIVING,
            "SUB-1004",
            "money back (no texts arrive), invoice INV-2004: USD 15.00, a person chooses refund or credit, J-R3",
        ),
        (
            "ava",
            Matter.CHANGE_OF_MIND,
            "SUB-1001",
            "money back (changed their mind), +1 415-555-0101 (SUB-1001): refused",
        ),
    ],
)
def test_a_decision_is_told_in_words(
    demo_store: Store, who: str, matter: Matter, subscription: str | None, line: str
) -> None:
    with demo_store.write() as uow:
        somebody = customer(uow, who)
        talk = conversation(uow, somebody)
        message(uow, talk, "give me my money back", intent="request_refund")
        refunds.request(
            uow,
            pack=jolt(),
            customer=somebody,
            matter=matter,
            subscription_id=subscription,
            conversation_id=talk,
            key=who,
            now=START,
        )
        _, wants, decided = summaries.summary(uow, talk).splitlines()
    assert wants == "Wants: their money back; in their words: “give me my money back”"
    assert decided.startswith(f"Decided: {line}"), decided
    assert not re.search(r"[a-z]{3}_[0-9a-z]{10}|[a-z]_[a-z]", decided)


def test_what_waits_for_one_or_two_people_is_not_said_to_be_done(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ben = customer(uow, "ben")
        talk = conversation(uow, ben)
        refunds.request(
            uow, pack=jolt(), customer=ben, matter=Matter.DUPLICATE_CHARGE, conversation_id=talk, key="b", now=START
        )
        (decision,) = uow.session.query(t.Decision).filter_by(conversation_id=talk)
        decision.decision = {**decision.decision, "approval": "one"}
        uow.session.flush()
        decided = summaries.summary(uow, talk).splitlines()[2]
    assert "USD 15.00, to be released by a person" in decided
    assert "refunded" not in decided
