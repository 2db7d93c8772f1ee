"""For which reason people get a conversation, as it is put down where their desk reads it; without the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bot.dialogue.conduct import Conducted, Conductor, Thread
from bot.dialogue.turn import Services
from bot.services import handoff, presence
from bot.services.identity import IdentityService
from bot.services.ports import SecretCodes
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, all_packs, conversation, customer, message

UNDERSTOOD: Mapping[str, Any] = {"verdict": "answer"}


class Talk:
    """A customer's conversation with the dialogue itself, told what each message means; somebody is at the desk."""

    def __init__(self, store: Store, who: str) -> None:
        self.store, self.packs = store, all_packs()
        identity = IdentityService(
            brands={name: pack.brand for name, pack in self.packs.items()},
            token_secrets={},
            code_secret="s" * 32,
            codes=SecretCodes(),
        )
        self._conductor = Conductor(store, self.packs, Services(identity, None, lambda *_: "https://help.example"))  # type: ignore[arg-type]
        self.slots: Mapping[str, Any] = {}
        with store.write() as uow:
            self.id = conversation(uow, customer(uow, who))
            self.agent = agent(uow, "amy")
            presence.seen(uow, agent_id=self.agent, now=START)
            uow.commit()

    def means(self, intent: str, text: str = "", *, entities: Mapping[str, str] | None = None, **how: Any) -> Conducted:
        """A message of that meaning, served."""
        with self.store.write() as uow:
            told = message(
                uow, self.id, text or intent, intent=intent, seq=uow.get(t.Conversation, self.id).last_seq + 1
            )
            uow.get(t.Conversation, self.id).last_seq += 1
            uow.commit()
        conducted = self._conductor.conduct(
            Thread.serve,
            action="action_serve_wish",
            metadata={
                "brand": "joltsms",
                "conversation_id": self.id,
                "message_id": told,
                "now": START.isoformat(),
                "understood": {**UNDERSTOOD, **how},
            },
            slots=self.slots,
            text=text,
            intent=intent,
            entities=[{"entity": name, "value": value} for name, value in (entities or {}).items()],
        )
        self.slots = conducted.slots
        return conducted

    def press_person(self, conducted: Conducted) -> None:
        """Press the button that fetches a person."""
        (payload,) = (
            button["payload"]
            for said in conducted.said
            for button in said.buttons
            if button["payload"].get("intent") == "talk_to_human"
        )
        self.means("talk_to_human", entities=payload.get("entities"))

    def stands(self) -> tuple[str, str | None, str]:
        """Who has it, why, and how urgent it is."""
        with self.store.read() as uow:
            row = uow.get(t.Conversation, self.id)
            return row.owner, row.handoff_reason, row.priority


@pytest.fixture
def ava(sqlite_demo_store: Store) -> Talk:
    """Ava's conversation."""
    return Talk(sqlite_demo_store, "ava")


def test_the_person_offered_with_a_soothing_sentence_is_for_the_anger(ava: Talk) -> None:
    told = ava.means("check_subscription", "this is ridiculous, when does it renew", angry=True)
    assert told.said[0].response == "utter_heard"
    ava.press_person(told)
    assert ava.stands() == ("queued", "anger", "high")


def test_who_asks_for_a_person_in_anger_is_angry(ava: Talk) -> None:
    ava.means("talk_to_human", "what a joke, get me a human", angry=True)
    assert ava.stands() == ("queued", "anger", "high")


def test_who_just_asks_has_asked(ava: Talk) -> None:
    ava.means("talk_to_human", "a person please")
    assert ava.stands() == ("queued", "asked", "normal")


def test_what_people_have_settled_once_is_not_offered_by_the_bot_again(ava: Talk) -> None:
    """Though soothing words are said: whoever asks still gets a person."""
    ava.means("talk_to_human", "get me a human, you clowns", angry=True)
    with ava.store.write() as uow:
        handoff.claim(uow, conversation_id=ava.id, agent_id=ava.agent, key="c", now=START)
        handoff.hand_back(uow, conversation_id=ava.id, agent_id=ava.agent, note="", key="b", now=START)
        uow.commit()
    ava.slots = {}
    told = ava.means("check_subscription", "this is ridiculous, when does it renew", angry=True)
    offered = [button["payload"].get("intent") for said in told.said for button in said.buttons]
    assert "talk_to_human" not in offered
    ava.means("talk_to_human", "a person please")
    assert ava.stands()[0] == "queued"


def test_beside_what_waits_for_an_approval_stands_a_person_for_that_limit(sqlite_demo_store: Store) -> None:
    dan = Talk(sqlite_demo_store, "dan")
    told = dan.means("request_refund", "I want my money back, my number receives nothing")
    with dan.store.read() as uow:
        assert uow.session.query(t.Approval).count() == 1
    dan.press_person(told)
    assert dan.stands() == ("queued", "limit", "high")
