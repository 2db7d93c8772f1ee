"""Ten thousand random messages: nothing breaks, every message gets an answer, and the books still balance.

The number is `SUPPORTBOT_RANDOM_MESSAGES`, the seed `SUPPORTBOT_RANDOM_SEED`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import event, func, select, text

from bot.app import App, build, load_engine
from bot.conversation import history
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn, RasaEngine
from bot.conversation.messages import InboundMessage, MessageView
from bot.errors import InvalidInput, NotFound, TooLarge
from bot.settings import PROJECT, Settings
from bot.store.tables import Charge, Conversation, Message, Refund
from bot.store.unit_of_work import Store
from tests.conftest import Databases
from tests.conversations.chat import Chat
from tests.conversations.random_customers import SIGNED_IN, Typed, examples, texts
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
MESSAGES = int(os.environ.get("SUPPORTBOT_RANDOM_MESSAGES", "10000"))
SEED = int(os.environ.get("SUPPORTBOT_RANDOM_SEED", "1"))
DIFFERENT = 1_000  # texts; each is interpreted once, and said in many conversations and places
A_CONVERSATION = 40  # messages
A_DATABASE = 1_000  # messages; then all customers begin again with what they had
AT_ONCE = 3  # conversations
LARGEST_STATE = 32 * 1024  # bytes, of the 64 kB that the engine allows


class Remembering:
    """The real engine; what a text means it is asked once."""

    def __init__(self, engine: RasaEngine) -> None:
        self._engine = engine
        self._parsed: dict[tuple[str, str], Mapping[str, Any]] = {}

    async def parse(self, text: str, *, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the engine says, or said."""
        key = (text, str((metadata or {}).get("brand")))
        if key not in self._parsed:
            self._parsed[key] = await self._engine.parse(text, metadata=metadata)
        return json.loads(json.dumps(self._parsed[key]))  # type: ignore[no-any-return]

    def foresee(self, texts: Sequence[str]) -> None:
        """What was asked once is known."""

    async def answer(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        """The engine's answer."""
        return await self._engine.answer(turn, state)


@dataclass
class Customer:
    """One conversation of random messages."""

    app: App
    chance: random.Random
    pool: list[Typed]
    kinds: Counter[str]
    email: str | None
    buttons: list[str] = field(default_factory=list)
    place: int = 0

    async def talk(self, messages: int) -> None:
        """Say that many things."""
        self.chat = Chat(self.app, as_email=self.email)
        self._remember(self._messages())
        for self.place in range(messages):
            self.app.clock.advance(seconds=self.chance.choice((1, 5, 20, 20, 60)))  # type: ignore[attr-defined]
            await self._say_something()

    async def _say_something(self) -> None:
        if self.buttons and self.chance.random() < 0.35:
            recent = self.buttons[-6:] if self.chance.random() < 0.9 else self.buttons
            await self._send("button", button_id=self.chance.choice(recent))
            return
        kind = self.chance.random()
        if kind < 0.02:
            await self._refused("wrong button", NotFound, button_id=f"b{self.chance.randint(0, 99)}.77")
        elif kind < 0.05:
            await self._send("file", text=self.chance.choice(("", "here")), attachment_ids=(self._upload(),))
        else:
            typed = self.chance.choice(self.pool)
            if not typed.sendable:
                await self._refused("unsendable", (InvalidInput, TooLarge), text=typed.text)
            elif kind < 0.08:
                await self._twice(typed.text)
            else:
                await self._send("text", text=typed.text)

    async def _send(self, kind: str, *, message_id: str = "", **message: Any) -> None:
        self.kinds[kind] += 1
        exchange = await self.app.gateway.receive(self._inbound(message_id, message))
        assert exchange.replies, f"no answer to {message!r}"
        self._remember(exchange.replies)

    async def _twice(self, typed: str) -> None:
        message_id = f"{self.chat.conversation_id}:{self.place}"
        await asyncio.gather(*[self._send("the same twice", message_id=message_id, text=typed) for _ in range(2)])
        self.kinds["the same twice"] -= 1

    async def _refused(self, kind: str, error: Any, **message: Any) -> None:
        self.kinds[kind] += 1
        with pytest.raises(error):
            await self.app.gateway.receive(self._inbound("", message))

    def _inbound(self, message_id: str, message: Mapping[str, Any]) -> InboundMessage:
        external_id = message_id or f"{self.chat.conversation_id}:{self.place}"
        return InboundMessage(self.chat.conversation_id, "widget", external_id, **message)

    def _upload(self) -> str:
        return self.chat.upload("screenshot.png", b"\x89PNG\r\n\x1a\n" + self.chance.randbytes(20))

    def _messages(self) -> list[MessageView]:
        with self.app.store.read() as uow:
            return history.messages_after(uow, self.chat.conversation_id, 0)

    def _remember(self, messages: Any) -> None:
        self.buttons += [button.id for message in messages for button in message.buttons]


def test_ten_thousand_random_messages(models: Path, databases: Databases, tmp_path: Path) -> None:
    """Each thousand on a database of its own, as many at once as there are processors."""
    blocks = [(start, min(A_DATABASE, MESSAGES - start)) for start in range(0, MESSAGES, A_DATABASE)]
    with ExitStack() as kept, _processes(models) as pool:
        jobs = []
        for start, count in blocks:
            url = kept.enter_context(databases.url("sqlite", "demo"))
            jobs.append(pool.submit(_block, start, count, url, tmp_path / str(start)))
        tallies = [job.result() for job in jobs]
    kinds = sum((tally.kinds for tally in tallies), Counter[str]())
    assert kinds.total() == MESSAGES
    assert {"text", "button", "file", "the same twice", "unsendable", "wrong button"} <= kinds.keys()
    assert len(set().union(*[tally.intents for tally in tallies])) > 30
    assert len(set().union(*[tally.decisions for tally in tallies])) >= 8


def _processes(models: Path) -> ProcessPoolExecutor:
    # Processes, for Python runs one thread at a time; spawned, for a forked one would share what ours has open.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=spawn, initializer=_load, initargs=(models,))


@dataclass(frozen=True)
class Tally:
    """What came up in a block: kinds of messages, intents understood, decisions made."""

    kinds: Counter[str]
    intents: frozenset[str]
    decisions: frozenset[str]


_engines: list[Remembering] = []  # of a process: one


def _load(models: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    engine = load_engine(Settings.from_env({"SUPPORTBOT_MODELS": str(models)}))
    assert isinstance(engine, RasaEngine)
    _engines.append(Remembering(engine))


def _block(start: int, count: int, url: str, var: Path) -> Tally:
    """Some conversations on a fresh database; raises whatever is wrong."""
    return asyncio.run(_conversations(start, count, url, var))


async def _conversations(start: int, count: int, url: str, var: Path) -> Tally:
    settings = Settings.from_env({"SUPPORTBOT_DEMO": "1", "SUPPORTBOT_VAR": str(var), "DATABASE_URL": url})
    app = build(settings, clock=FakeClock(), engine=_engines[0])
    lines: list[Mapping[str, Any]] = []
    app.gateway._on_turn = lines.append
    event.listen(app.store.engine, "connect", _without_waiting_for_the_disk)
    kinds = Counter[str]()
    pool = texts(SEED, examples(PROJECT / "data" / "nlu"), DIFFERENT)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            chance = random.Random(f"{SEED}/{number}")
            customer = Customer(app, chance, pool, kinds, SIGNED_IN[number % len(SIGNED_IN)])
            await customer.talk(min(A_CONVERSATION, start + count - number * A_CONVERSATION))

    try:
        first = start // A_CONVERSATION
        await asyncio.gather(*[one(first + n) for n in range(-(-count // A_CONVERSATION))])
        assert not [line for line in lines if line["failure"]]
        check_books(app.store)
        check_conversations(app.store)
    finally:
        app.close()
    return Tally(
        kinds=kinds,
        intents=frozenset(str(line["intent"]) for line in lines),
        decisions=frozenset(decision for line in lines for decision in line["decisions"]),
    )


def _without_waiting_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # power cuts are not what is tested here


def check_books(store: Store) -> None:
    """Nobody got more than was taken, nothing was given or ended twice."""
    with store.read() as uow:
        session = uow.session
        for charge in session.execute(select(Charge)).scalars():
            assert 0 <= charge.refunded_minor <= charge.amount_minor
        repaid = select(Refund.charge_id, func.count(), func.sum(Refund.amount_minor)).group_by(Refund.charge_id)
        for charge_id, refunds, amount in session.execute(repaid):
            assert refunds == 1, charge_id
            assert amount <= session.get(Charge, charge_id).amount_minor
        for table, column, status in [
            ("cancellations", "subscription_id", "scheduled"),
            ("approvals", "charge_id", "pending"),
        ]:
            twice = text(f"SELECT {column} FROM {table} WHERE status = :s GROUP BY {column} HAVING count(*) > 1")
            assert session.execute(twice, {"s": status}).all() == [], table


def check_conversations(store: Store) -> None:
    """Every message has its answer and its number, and what is remembered stays small."""
    with store.read() as uow:
        assert uow.session.execute(select(func.count()).where(Message.status == "received")).scalar_one() == 0
        for conversation in uow.session.execute(select(Conversation)).scalars():
            messages = history.messages_after(uow, conversation.id, 0, limit=100_000)
            assert [message.seq for message in messages] == list(range(1, conversation.last_seq + 1))
            assert len(json.dumps(conversation.dialogue)) < LARGEST_STATE
            for message in messages:
                if message.author == "bot":
                    assert message.text.strip() or message.attachments
                    assert not re.search(r"\{\w+\}|Traceback|None\b", message.text) or "{name}" in message.text, message
        unanswered = text(
            "SELECT m.text FROM messages m WHERE m.author = 'customer' AND NOT EXISTS"
            " (SELECT 1 FROM messages r WHERE r.in_reply_to = m.id)"
        )
        assert uow.session.execute(unanswered).all() == []
