"""Any interleaving of customers, people, time-outs and restarts: one owner, nothing lost, all once and in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from bot.conversation import history
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.gateway import Gateway
from bot.conversation.locks import LocalBus, LocalLocks
from bot.conversation.messages import InboundMessage, Reply
from bot.errors import Conflict, SupportBotError
from bot.ids import new_id
from bot.services import handoff, presence
from bot.services.handoff import TRANSITIONS
from bot.store import tables as t
from tests.conftest import Databases
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine, said
from tests.unit.services.usecases import agent, all_packs

EXAMPLES, STEPS = 41, 50  # at least 2,000 steps in all
WORDS = (  # what is looked at after every step, as columns: making objects of them takes a third of the time
    t.Message.id,
    t.Message.conversation_id,
    t.Message.seq,
    t.Message.author,
    t.Message.external_id,
    t.Message.text,
    t.Message.in_reply_to,
    t.Message.status,
)
CHANGE = (t.Handoff.id, t.Handoff.conversation_id, t.Handoff.from_owner, t.Handoff.to_owner)
PEOPLE = st.integers(min_value=0, max_value=1)
CHATS = st.integers(min_value=0, max_value=1)
TEXTS = st.sampled_from(["hello", "a person, please", "how long?", "never mind", "cancel my number", "thanks"])


class Killed(BaseException):
    """The end of the process: nothing catches it."""


class Ownership(RuleBasedStateMachine):
    """Two conversations, two people and one process that dies now and then, on the real gateway and database."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.exit = contextlib.ExitStack()
        self.store = self.exit.enter_context(self.databases.store("sqlite", "empty"))
        self.loop = asyncio.new_event_loop()
        self.clock, self.packs, self.bus = FakeClock(), all_packs(), LocalBus()
        self.engine = ScriptedEngine(self.turn)
        self.sent: list[tuple[int, str, str]] = []  # conversation, the client's id, text
        self.agent_words: list[tuple[int, str]] = []
        self.meanwhile: Any = None  # what happens while a turn is under way
        self.numbers = 0
        self.people: list[str] = []
        self.chats: list[str] = []

    @initialize()
    def open(self) -> None:
        """The cast."""
        self.start_process()
        with self.store.write() as uow:
            self.people = [agent(uow, name) for name in ("amy", "bo")]
            self.chats = [
                history.open_conversation(
                    uow,
                    brand="joltsms",
                    channel="widget",
                    external_id=new_id("web"),
                    greeting=[Reply("Hello.")],
                    name="JoltSMS",
                    now=self.clock.now(),
                ).id
                for _ in range(2)
            ]
            uow.commit()

    def teardown(self) -> None:
        """Give everything back."""
        self.loop.close()
        self.exit.close()

    def start_process(self) -> None:
        """A gateway with nothing in memory."""
        self.gateway = Gateway(
            store=self.store,
            engine=self.engine,
            packs=self.packs,
            locks=LocalLocks(),
            bus=self.bus,
            clock=self.clock,
        )

    def run(self, work: Any) -> Any:
        """One thing after the other, as far as the machine itself is concerned."""
        return self.loop.run_until_complete(work)

    def key(self, name: str) -> str:
        """A new key."""
        self.numbers += 1
        return f"{name}-{self.numbers}"

    async def turn(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        """The bot's turn: echoes, and queues up when asked for a person; something else may happen before it ends."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if turn.text == "a person, please":
            self.queue_up(turn)
        if meanwhile is not None:
            await meanwhile(turn.conversation_id)
        return said(f"bot: {turn.text}")

    def queue_up(self, turn: EngineTurn) -> None:
        """As the dialogue does it: one transaction that also keeps what is to be said."""
        with self.store.write() as uow:
            message = uow.get(t.Message, turn.message_id)
            if message.status != "relayed":
                handoff.queue_up(
                    uow,
                    pack=self.packs["joltsms"],
                    conversation_id=turn.conversation_id,
                    reason="asked",
                    message_id=turn.message_id,
                    now=self.clock.now(),
                )
                message.outcomes = {"action": "queued"}
            uow.commit()

    # --- customers -----------------------------------------------------------------------------------------------

    @rule(chat=CHATS, text=TEXTS)
    def write(self, chat: int, text: str) -> None:
        """A customer writes."""
        self.sent.append((chat, self.key("m"), text))
        self.deliver(-1)

    @rule(chat=CHATS, who=PEOPLE, text=TEXTS)
    def write_while_somebody_claims(self, chat: int, who: int, text: str) -> None:
        """A person takes the conversation while the bot is at it."""

        async def claim(conversation_id: str) -> None:
            with contextlib.suppress(SupportBotError):
                await self.gateway.claim(conversation_id, agent_id=self.people[who], key=self.key("c"))

        self.meanwhile = claim
        self.write(chat, text)
        self.meanwhile = None

    @rule(chat=CHATS, text=TEXTS)
    def write_and_the_process_dies(self, chat: int, text: str) -> None:
        """The server is killed in the middle of a turn, and started again."""

        async def die(_: str) -> None:
            raise Killed

        self.sent.append((chat, self.key("m"), text))
        self.meanwhile = die
        with contextlib.suppress(Killed):
            self.deliver(-1)
        self.meanwhile = None
        self.restart()

    @precondition(lambda self: self.sent)
    @rule(place=st.integers(min_value=0, max_value=30))
    def send_again(self, place: int) -> None:
        """A client repeats what it is not sure of."""
        self.deliver(place % len(self.sent))

    def deliver(self, place: int) -> None:
        """Hand a message in."""
        chat, client_id, text = self.sent[place]
        self.run(self.gateway.receive(InboundMessage(self.chats[chat], "widget", client_id, text)))

    @rule(chat=CHATS, choice=st.sampled_from(["Keep waiting", "Never mind", "Answer me by e-mail", "5 – Great"]))
    def press(self, chat: int, choice: str) -> None:
        """A customer presses a button that was shown, however old it is."""
        with self.store.read() as uow:
            shown = history.messages_after(uow, self.chats[chat], 0, limit=1000)
        buttons = [button.id for message in shown for button in message.buttons if button.title == choice]
        if buttons:
            client_id = self.key("m")
            self.sent.append((chat, client_id, choice))
            self.run(self.gateway.receive(InboundMessage(self.chats[chat], "widget", client_id, button_id=buttons[-1])))

    # --- people --------------------------------------------------------------------------------------------------

    @rule(chat=CHATS, who=PEOPLE)
    def claim(self, chat: int, who: int) -> None:
        """Somebody takes a conversation; who is too late is told."""
        claim = self.gateway.claim(self.chats[chat], agent_id=self.people[who], key=self.key("c"))
        if self.owner(chat) == ("human", self.people[1 - who]):
            with pytest.raises(Conflict, match=("Bo", "Amy")[who]):
                self.run(claim)
            assert self.owner(chat) == ("human", self.people[1 - who])
        else:
            self.run(claim)
            assert self.owner(chat) == ("human", self.people[who])

    @rule(chat=CHATS)
    def both_claim(self, chat: int) -> None:
        """Two claim at once."""

        async def race() -> list[Any]:
            claims = [self.gateway.claim(self.chats[chat], agent_id=one, key=self.key("c")) for one in self.people]
            return await asyncio.gather(*claims, return_exceptions=True)

        results = self.run(race())
        assert sum(isinstance(result, Conflict) for result in results) == 1

    @rule(chat=CHATS, who=PEOPLE, twice=st.booleans())
    def talk(self, chat: int, who: int, twice: bool) -> None:
        """Somebody says something, perhaps twice under the same key."""
        key = self.key("w")
        for _ in range(1 + twice):
            if (
                self.by_who_has_it(
                    chat, who, self.gateway.agent_says(self.chats[chat], agent_id=self.people[who], text=key, key=key)
                )
                and (chat, key) not in self.agent_words
            ):
                self.agent_words.append((chat, key))

    @rule(chat=CHATS, who=PEOPLE, how=st.sampled_from(["release", "hand_back", "resolve", "transfer", "team"]))
    def pass_on(self, chat: int, who: int, how: str) -> None:
        """Somebody gives a conversation away."""
        me, key = self.people[who], self.key(how)
        if how == "transfer":
            move = self.gateway.transfer(self.chats[chat], agent_id=me, to_agent_id=self.people[1 - who], key=key)
            if self.owner(chat)[0] == "queued":  # one that waits is assigned
                self.run(move)
                assert self.owner(chat) == ("human", self.people[1 - who])
                return
        elif how == "team":
            move = self.gateway.transfer(self.chats[chat], agent_id=me, to_team="", key=key)
        elif how == "release":
            move = self.gateway.release(self.chats[chat], agent_id=me, key=key)
        else:
            move = getattr(self.gateway, how)(self.chats[chat], agent_id=me, note="cancel it", key=key)
        self.by_who_has_it(chat, who, move)

    def by_who_has_it(self, chat: int, who: int, move: Any) -> bool:
        """What only the owner may do: refused to everybody else, with nothing changed."""
        before, said_before = self.owner(chat), self.last_seq(chat)
        try:
            self.run(move)
        except Conflict:
            assert before != ("human", self.people[who])
            assert (self.owner(chat), self.last_seq(chat)) == (before, said_before)
            return False
        assert before == ("human", self.people[who])
        return True

    @rule(who=PEOPLE)
    def leave_the_desk(self, who: int) -> None:
        """Somebody goes; what they had waits again."""
        with self.store.write() as uow:
            left = handoff.let_go(uow, agent_id=self.people[who], now=self.clock.now())
            presence.gone(uow, agent_id=self.people[who])
            uow.commit()
        self.run(self.gateway.agents_changed(left))

    # --- time and trouble ----------------------------------------------------------------------------------------

    @rule(minutes=st.integers(min_value=1, max_value=9))
    def time_passes(self, minutes: int) -> None:
        """Promised times run out."""
        self.clock.advance(minutes=minutes)
        self.run(self.gateway.keep_promises())

    @rule()
    def restart(self) -> None:
        """The process is gone, another starts and takes up what is left."""
        self.start_process()
        self.run(self.gateway.repair())

    # --- what must hold ------------------------------------------------------------------------------------------

    def owner(self, chat: int) -> tuple[str, str | None]:
        """Who has a conversation."""
        with self.store.read() as uow:
            row = uow.get(t.Conversation, self.chats[chat])
            return row.owner, row.agent_id

    def last_seq(self, chat: int) -> int:
        """The number of what was said last."""
        with self.store.read() as uow:
            return int(uow.get(t.Conversation, self.chats[chat]).last_seq)

    @invariant()
    def one_owner_and_every_word_once_and_in_order(self) -> None:
        """The whole record is looked at after every step."""
        if not self.chats:
            return
        with self.store.read() as uow:
            messages = uow.session.execute(select(*WORDS).order_by(t.Message.conversation_id, t.Message.seq))
            by_chat: dict[str, list[Any]] = {}
            for message in messages:
                by_chat.setdefault(message.conversation_id, []).append(message)
            changes: dict[str, list[Any]] = {}
            for change in uow.session.execute(select(*CHANGE).order_by(t.Handoff.id)):
                changes.setdefault(change.conversation_id, []).append(change)
            owners = dict(uow.session.execute(select(t.Conversation.id, t.Conversation.owner)).all())
        for place, conversation_id in enumerate(self.chats):
            said_here = by_chat[conversation_id]
            assert [message.seq for message in said_here] == list(range(1, len(said_here) + 1))
            self.check_owners(owners[conversation_id], changes.get(conversation_id, []))
            inbound = [m.external_id for m in said_here if m.author == "customer"]
            assert inbound == [client_id for chat, client_id, _ in self.sent if chat == place]
            words = [m.text for m in said_here if m.author == "agent"]
            assert words == [text for chat, text in self.agent_words if chat == place]
            answers = [m.in_reply_to for m in said_here if m.author == "bot" and m.in_reply_to]
            assert len(answers) == len(set(answers))
            assert all(m.status != "received" for m in said_here)
            silent = {m.id for m in said_here if m.status == "relayed"}
            assert silent.isdisjoint(answers)
            self.check_silence(said_here, changes.get(conversation_id, []))

    def check_owners(self, owner: str, changes: list[Any]) -> None:
        """Each change begins where the one before ended, along an allowed way, and the last is how it stands."""
        now = "bot"
        for change in changes:
            assert change.from_owner == now
            assert change.to_owner in TRANSITIONS[now]
            now = change.to_owner
        assert owner == now

    def check_silence(self, said_here: list[Any], changes: list[Any]) -> None:
        """Between somebody's coming and their leaving, each told to the customer, the bot says nothing."""
        told = {f"said:0:{change.id}": change for change in changes}
        with_person = False
        for message in said_here:
            change = told.get(message.external_id)
            if change is not None:
                with_person = change.to_owner == "human"
            elif message.author == "agent":
                assert with_person
            elif message.author == "bot":
                assert not with_person


class Quiet:
    """Takes a log's lines and writes none: thousands of them are half of the machine's time."""

    def info(self, *_: object, **__: object) -> None:
        """Nothing."""

    def exception(self, *_: object, **__: object) -> None:
        """Nothing."""


@pytest.fixture
def machine(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> type[Ownership]:
    """The machine on databases of this run."""
    monkeypatch.setattr("bot.conversation.gateway.log", Quiet())
    Ownership.databases = databases
    return Ownership


def test_whatever_happens_in_whatever_order(machine: type[Ownership]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],  # what it finds is plain enough; making it shorter takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
