"""The one door: each message answered once, in order, by whoever owns the conversation, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from bot.conversation import history
from bot.conversation.engine import DialogueState, EngineError, EngineResult, EngineTurn, UnusableState
from bot.conversation.gateway import Gateway
from bot.conversation.locks import LocalBus, LocalLocks
from bot.conversation.messages import Exchange, InboundMessage, MessageView, Reply
from bot.errors import InvalidInput, TooLarge, TooMany
from bot.ids import new_id
from bot.policy.loader import load_packs
from bot.policy.pack import Pack
from bot.services.handoff import change_owner
from bot.settings import PROJECT
from bot.store.tables import Conversation, Delivery, Message
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine, echo, said, turns_of

APOLOGY = "Something went wrong on our side"


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Door:
    """A gateway with a scripted engine, and one conversation."""

    store: Store
    packs: dict[str, Pack]
    clock: FakeClock
    engine: ScriptedEngine = field(default_factory=ScriptedEngine)
    lines: list[Any] = field(default_factory=list)
    bus: LocalBus = field(default_factory=LocalBus)
    turn_seconds: float = 30.0
    conversation_id: str = ""

    def __post_init__(self) -> None:
        self.gateway = self.another()
        self.conversation_id = self.open()

    def another(self) -> Gateway:
        """A gateway of another process."""
        return Gateway(
            store=self.store,
            engine=self.engine,
            packs=self.packs,
            locks=LocalLocks(),
            bus=self.bus,
            clock=self.clock,
            on_turn=self.lines.append,
            turn_seconds=self.turn_seconds,
        )

    def open(self, brand: str = "joltsms") -> str:
        """A new conversation."""
        with self.store.write() as uow:
            opened = history.open_conversation(
                uow,
                brand=brand,
                channel="widget",
                external_id=new_id("web"),
                greeting=[Reply("Hello.", buttons=({"title": "Yes", "payload": {"intent": "affirm"}},))],
                name="JoltSMS",
                now=self.clock.now(),
            )
            uow.commit()
        return opened.id

    def message(self, text: str = "hi", *, conversation_id: str | None = None, **more: Any) -> InboundMessage:
        """A message of the conversation, new unless it has an `external_id`."""
        external_id = more.pop("external_id", None) or new_id("m")
        return InboundMessage(conversation_id or self.conversation_id, "widget", external_id, text, **more)

    async def say(self, text: str = "hi", **more: Any) -> Exchange:
        """Hand a message in."""
        return await self.gateway.receive(self.message(text, **more))

    def messages(self, conversation_id: str | None = None) -> list[MessageView]:
        """Everything said so far."""
        with self.store.read() as uow:
            return history.messages_after(uow, conversation_id or self.conversation_id, 0, limit=10_000)

    def texts(self) -> list[str]:
        """All that was said after the greeting."""
        return [message.text for message in self.messages()][1:]

    def row(self) -> Any:
        """The conversation's row."""
        with self.store.read() as uow:
            return uow.get(Conversation, self.conversation_id)

    def give_to(self, owner: str, answering: str | None = None) -> None:
        """Give the conversation to another owner, because of the message that is being answered if one is named."""
        with self.store.write() as uow:
            change_owner(
                uow,
                conversation_id=self.conversation_id,
                to_owner=owner,
                reason="asked",
                actor="test",
                note="",
                key=new_id("key"),
                now=self.clock.now(),
                answering=answering,
            )
            uow.commit()


@pytest.fixture(scope="module")
def packs() -> dict[str, Pack]:
    return dict(load_packs(PROJECT / "data" / "policies"))


@pytest.fixture
def door(store: Store, packs: dict[str, Pack], clock: FakeClock) -> Door:
    """On both databases."""
    return Door(store, packs, clock)


@pytest.fixture
def sqlite_door(sqlite_store: Store, packs: dict[str, Pack], clock: FakeClock) -> Door:
    """On SQLite only, where the database does not matter."""
    return Door(sqlite_store, packs, clock)


async def silent(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
    """A script that says nothing."""
    return said()


def failing(times: int, error: Callable[[], BaseException] = lambda: RuntimeError("broken")) -> Any:
    """A script that raises so many times, then answers."""
    left = [times]

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        if left[0]:
            left[0] -= 1
            raise error()
        return await echo(turn, state)

    return script


# --- once ------------------------------------------------------------------------------------------------------------
async def test_a_message_is_answered(door: Door) -> None:
    exchange = await door.say("cancel my number")
    assert [reply.text for reply in exchange.replies] == ["You said: cancel my number"]
    assert (exchange.message.seq, exchange.replies[0].seq, exchange.repeated) == (2, 3, False)
    assert (exchange.replies[0].author, exchange.replies[0].name) == ("bot", "JoltSMS")


async def test_the_same_message_gets_the_same_answer_and_does_nothing(door: Door) -> None:
    first = await door.say("one", external_id="m-1")
    again = await door.say("two", external_id="m-1")
    assert again.repeated
    assert (again.message, again.replies) == (first.message, first.replies)
    assert len(door.engine.asked) == 1


async def test_the_same_message_many_times_at_once_is_answered_once(door: Door) -> None:
    exchanges = await asyncio.gather(*[door.say("one", external_id="m-1") for _ in range(8)])
    assert len({exchange.replies for exchange in exchanges}) == 1
    assert sum(not exchange.repeated for exchange in exchanges) == 1
    assert door.texts() == ["one", "You said: one"]


async def test_messages_at_once_are_answered_in_their_order(door: Door) -> None:
    async def count(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        await asyncio.sleep(0)
        return said(f"{turn.text} was turn {turns_of(state)}", "and more", turns=turns_of(state) + 1)

    door.engine.script = count
    await asyncio.gather(*[door.say(f"m{i}") for i in range(12)])
    messages = door.messages()
    assert [message.seq for message in messages] == list(range(1, 38))
    asked = [message.text for message in messages if message.author == "customer"]
    answers = [message.text for message in messages if message.text.startswith("m") and message.author == "bot"]
    assert answers == [f"{text} was turn {place}" for place, text in enumerate(asked)]


async def test_conversations_do_not_wait_for_each_other(sqlite_door: Door) -> None:
    other = sqlite_door.open()
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        if turn.text == "slow":
            waiting.set()
            await go_on.wait()
        return await echo(turn, state)

    sqlite_door.engine.script = slow
    first = asyncio.create_task(sqlite_door.say("slow"))
    await waiting.wait()
    assert (await sqlite_door.say("quick", conversation_id=other)).replies[0].text == "You said: quick"
    go_on.set()
    assert (await first).replies[0].text == "You said: slow"


async def test_replies_are_in_the_store_before_anybody_is_told(door: Door) -> None:
    seen: list[tuple[str, int]] = []
    publish = door.bus.publish

    async def look(topic: str, hint: str = "") -> None:
        seen.append((hint, len(door.messages())))
        await publish(topic, hint)

    door.bus.publish = look  # type: ignore[method-assign]
    await door.say("hi")
    assert seen == [("message", 2), ("typing", 2), ("message", 3)]
    with door.store.read() as uow:
        assert uow.session.execute(select(Delivery.status)).scalars().all() == ["pending", "pending"]


async def test_without_a_common_lock_nothing_is_stored_twice(door: Door) -> None:
    """A lost lease: several processes answer the same messages, and each answer is kept once."""
    gateways = [door.another() for _ in range(4)]
    messages = [door.message(f"m{i}") for i in range(6)]
    await asyncio.gather(*[gateway.receive(message) for message in messages for gateway in gateways])
    rows = door.messages()
    assert [row.seq for row in rows] == list(range(1, 14))
    asked = [row.text for row in rows if row.author == "customer"]
    assert [row.text for row in rows if row.author == "bot"][1:] == [f"You said: {text}" for text in asked]
    assert door.row().dialogue["slots"]["turns"] == 6
    assert sum(line["kept"] for line in door.lines) == 6


# --- by whom ---------------------------------------------------------------------------------------------------------
async def test_the_bot_is_silent_where_people_answer(door: Door) -> None:
    door.give_to("queued")
    exchange = await door.say("hello?")
    assert exchange.replies == ()
    assert door.engine.asked == []


async def test_the_engine_begins_with_a_message_while_it_is_stored(door: Door) -> None:
    await door.say(" cancel my number\x00, and where is my refund? ")
    assert door.engine.foreseen == [
        ["cancel my number, and where is my refund?", "cancel my number", "where is my refund?"]
    ]


async def test_the_engine_does_not_begin_with_what_people_read_or_nobody_takes(door: Door) -> None:
    door.give_to("queued")
    await door.say("to the queue")  # not known before it is stored
    door.engine.foreseen.clear()
    await door.say("hello?")
    with pytest.raises(TooLarge):
        await door.say("x" * 4001)
    assert door.engine.foreseen == []
    door.give_to("bot")
    await door.say("and now?")
    await door.say("and then?")
    assert door.engine.foreseen == [["and then?"]]


async def test_the_bot_answers_again_when_people_give_the_conversation_back(door: Door) -> None:
    door.give_to("queued")
    await door.say("hello?")
    door.give_to("bot")
    assert (await door.say("and now?")).replies[0].text == "You said: and now?"
    assert len(door.engine.asked) == 1


async def test_a_message_to_a_closed_conversation_is_answered_by_the_bot(door: Door) -> None:
    door.give_to("closed")
    assert (await door.say("one more thing")).replies
    assert door.row().owner == "bot"


async def test_messages_that_waited_while_the_owner_changed_go_to_people(door: Door) -> None:
    async def hand_over(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        await door.gateway.accept(door.message("my parcel is late"))  # stored while this turn is under way
        await asyncio.to_thread(door.give_to, "queued", turn.message_id)
        return said("A colleague will be with you.")

    door.engine.script = hand_over
    exchange = await door.say("a human please")
    with door.store.read() as uow:
        statuses = {row.text: row.status for row in uow.session.execute(select(Message)).scalars() if row.external_id}
    assert statuses == {"a human please": "answered", "my parcel is late": "relayed"}
    assert [reply.text for reply in exchange.replies] == ["A colleague will be with you."]
    assert len(door.engine.asked) == 1


async def test_people_speak_through_the_same_door(door: Door) -> None:
    async with door.bus.listen(door.conversation_id) as hints:
        (view,) = await door.gateway.say(door.conversation_id, [Reply("It is Mia here.")], author="agent", name="Mia")
        assert await hints.get() == "message"
    assert (view.author, view.name, view.seq) == ("agent", "Mia", 2)


# --- what breaks -----------------------------------------------------------------------------------------------------
async def test_a_turn_that_fails_is_tried_again(door: Door) -> None:
    door.engine.script = failing(2)
    assert (await door.say("hi")).replies[0].text == "You said: hi"
    assert len(door.engine.asked) == 3
    assert door.texts() == ["hi", "You said: hi"]


async def test_a_turn_that_always_fails_ends_with_an_apology_and_the_next_goes_on(door: Door) -> None:
    await door.say("first")
    door.engine.script = failing(3, lambda: EngineError("no"))
    exchange = await door.say("second")
    (apology,) = exchange.replies
    assert apology.text.startswith(APOLOGY)
    assert "no" not in [line["failure"] for line in door.lines]
    assert door.lines[-1]["failure"] == "EngineError"
    assert (await door.say("third")).replies[0].text == "You said: third"
    assert door.row().dialogue["slots"]["turns"] == 2  # it went on from where it was


async def test_a_turn_that_hangs_has_failed(sqlite_store: Store, packs: dict[str, Pack], clock: FakeClock) -> None:
    door = Door(sqlite_store, packs, clock, turn_seconds=0.01)

    async def hang(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        await asyncio.Event().wait()
        raise AssertionError

    door.engine.script = hang
    assert (await door.say("hi")).replies[0].text.startswith(APOLOGY)


async def test_a_state_that_breaks_every_turn_is_left_behind(door: Door) -> None:
    await door.say("first")

    async def broken_by_state(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        if state is not None:
            raise KeyError("a flow of an older release")
        return await echo(turn, state)

    door.engine.script = broken_by_state
    answers = [(await door.say(text)).replies[0].text for text in ("second", "third", "fourth")]
    assert [answer.startswith(APOLOGY) for answer in answers] == [True, True, False]


async def test_a_state_that_cannot_be_kept_is_left_at_once(door: Door) -> None:
    await door.say("first")
    door.engine.script = failing(3, lambda: UnusableState("too large"))
    assert (await door.say("second")).replies[0].text.startswith(APOLOGY)
    assert door.row().dialogue is None
    assert (await door.say("third")).replies[0].text == "You said: third"


async def test_a_crash_before_the_answer_is_repaired_and_answered_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_answer = history.keep_answer

    def die(*args: Any, **more: Any) -> None:
        keep_answer(*args, **more)
        raise Killed

    message = door.message("cancel it")
    monkeypatch.setattr(history, "keep_answer", die)
    with pytest.raises(Killed):
        await door.gateway.receive(message)
    monkeypatch.setattr(history, "keep_answer", keep_answer)
    assert door.texts() == ["cancel it"]

    restarted = door.another()
    assert await restarted.repair() == 1
    assert await restarted.repair() == 0
    assert door.texts() == ["cancel it", "You said: cancel it"]
    assert {turn.message_id for turn in door.engine.asked} == {door.messages()[1].id}
    again = await restarted.receive(message)
    assert [reply.text for reply in again.replies] == ["You said: cancel it"]
    assert len(door.texts()) == 2


async def test_several_messages_left_waiting_are_answered_in_order(door: Door) -> None:
    with door.store.write() as uow:
        for text in ("one", "two", "three"):
            history.take_in(uow, door.message(text), now=door.clock.now())
        uow.commit()
    assert await door.gateway.repair() == 3
    assert door.texts() == ["one", "two", "three", "You said: one", "You said: two", "You said: three"]


async def test_a_message_that_ends_the_process_each_time_gets_an_apology(door: Door) -> None:
    door.engine.script = failing(99, Killed)
    message = door.message("poison")
    for _ in range(history.MAX_STARTS):
        with pytest.raises(Killed):
            await door.gateway.receive(message)
    assert (await door.gateway.receive(message)).replies[0].text.startswith(APOLOGY)
    assert len(door.engine.asked) == history.MAX_STARTS
    door.engine.script = echo
    assert (await door.say("fine")).replies[0].text == "You said: fine"


async def test_repair_passes_over_what_it_cannot_answer(door: Door, packs: dict[str, Pack]) -> None:
    elsewhere = door.open(brand="gone")
    with door.store.write() as uow:
        history.take_in(uow, door.message("hi", conversation_id=elsewhere), now=door.clock.now())
        history.take_in(uow, door.message("hello"), now=door.clock.now())
        uow.commit()
    assert await door.gateway.repair() == 1
    assert door.texts() == ["hello", "You said: hello"]


async def test_repair_while_running_leaves_the_young_alone(door: Door) -> None:
    with door.store.write() as uow:
        history.take_in(uow, door.message("hi"), now=door.clock.now())
        uow.commit()
    assert await door.gateway.repair(waiting_for=timedelta(seconds=30)) == 0
    door.clock.advance(seconds=31)
    assert await door.gateway.repair(waiting_for=timedelta(seconds=30)) == 1


async def test_a_cancelled_request_leaves_its_message_for_later(sqlite_door: Door) -> None:
    started = asyncio.Event()

    async def slow(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    sqlite_door.engine.script = slow
    request = asyncio.create_task(sqlite_door.say("hi"))
    await started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    sqlite_door.engine.script = echo
    assert await sqlite_door.gateway.repair() == 1
    assert sqlite_door.texts() == ["hi", "You said: hi"]


async def test_a_refused_message_is_not_stored(door: Door) -> None:
    def refuse(uow: UnitOfWork) -> None:
        raise TooMany("Not so fast.", retry_after=3)

    with pytest.raises(TooMany):
        await door.gateway.receive(door.message("hi"), admit=refuse)
    with pytest.raises(InvalidInput):
        await door.say(" ")
    assert door.texts() == []


# --- what goes out ---------------------------------------------------------------------------------------------------
async def test_a_buttons_meaning_never_goes_out(door: Door) -> None:
    async def offer(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said("Sure?", buttons=({"title": "Yes", "payload": {"flow": "f-1", "step": "s", "values": ["secret"]}},))

    door.engine.script = offer
    exchange = await door.say("hi")
    assert "secret" not in repr(exchange)
    assert "secret" not in repr(door.messages())


async def test_a_pressed_button_reaches_the_engine_as_what_it_means(door: Door) -> None:
    await door.say("", button_id="b1.0")
    (turn,) = door.engine.asked
    assert (turn.intent, turn.text) == ("affirm", "Yes")


async def test_a_stale_button_is_taken_for_one(door: Door) -> None:
    async def ask(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        if turn.intent == "stale_button":
            return said("That question is over.")
        return said("Sure?", buttons=({"title": "Yes", "payload": {"flow": "f-1", "step": "s", "values": ["yes"]}},))

    door.engine.script = ask
    button = (await door.say("hi")).replies[0].buttons[0].id
    assert (await door.say("", button_id=button)).replies[0].text == "That question is over."


async def test_the_log_line_of_a_turn_has_no_words_of_the_customer(door: Door) -> None:
    await door.say("my number is +1 415 555 0107, mail ava@jolt.example")
    (line,) = door.lines
    assert {"conversation", "intent", "confidence", "owner", "decisions", "milliseconds"} <= line.keys()
    assert "0107" not in repr(line)
    assert "ava@" not in repr(line)


async def test_the_log_line_counts_what_was_said(door: Door) -> None:
    await door.say("hi")
    door.engine.script = silent
    assert (await door.say("hm")).replies == ()
    door.engine.script = failing(3)
    await door.say("oh")
    assert [line["replies"] for line in door.lines] == [1, 0, 1]  # the last one is an apology


# --- what it costs ---------------------------------------------------------------------------------------------------
async def test_a_turn_takes_two_commits_and_a_dozen_statements(sqlite_door: Door) -> None:
    """One that stores the message and begins its turn, one that stores the answer; every further one is a flush."""
    await sqlite_door.say("first")
    said: list[str] = []

    def listen(connection: Any) -> None:
        connection.connection.dbapi_connection.set_trace_callback(said.append)

    event.listen(sqlite_door.store.engine, "begin", listen)
    await sqlite_door.say("second")
    assert said.count("COMMIT") == 2
    assert len(said) <= 18, said


async def test_older_messages_that_wait_are_answered_before_a_new_one(door: Door) -> None:
    with door.store.write() as uow:
        history.take_in(uow, door.message("left by a crash"), now=door.clock.now())
        uow.commit()
    exchange = await door.say("new")
    assert [reply.text for reply in exchange.replies] == ["You said: new"]
    assert door.texts() == ["left by a crash", "new", "You said: left by a crash", "You said: new"]
    with door.store.read() as uow:
        attempts = uow.session.execute(select(Message.attempts).where(Message.author == "customer")).scalars().all()
    assert attempts == [1, 1]
