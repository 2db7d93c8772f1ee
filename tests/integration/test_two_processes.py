"""Two applications on one PostgreSQL and one Valkey, as two machines would be: one conversation, one order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.app import App, build
from bot.conversation import history
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.messages import InboundMessage, MessageView, Reply
from bot.errors import Unavailable
from bot.settings import Settings
from bot.store.unit_of_work import Store
from tests.conftest import Databases
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine, said, turns_of
from tests.valkey import Valkey

SOON = 15.0  # seconds


@pytest.fixture
def postgresql_store(databases: Databases) -> Iterator[Store]:
    """The demo customers on PostgreSQL."""
    with databases.store("postgresql", "demo") as seeded:
        yield seeded


async def slowly(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
    """Counts turns, and gives others every opportunity to come in between."""
    await asyncio.sleep(0.002)
    return said(f"{turn.text} was turn {turns_of(state)}", "and more", turns=turns_of(state) + 1)


@pytest.fixture
async def two(
    postgresql_store: Store, settings: Settings, valkey_server: Valkey, clock: FakeClock
) -> AsyncIterator[tuple[App, App]]:
    """Two applications that share nothing but their servers."""
    url = postgresql_store.engine.url.render_as_string(hide_password=False)
    shared = replace(settings, database_url=url, redis_url=valkey_server.url)
    pair = tuple(build(shared, clock=clock, engine=ScriptedEngine(slowly)) for _ in range(2))
    yield pair[0], pair[1]
    for app in pair:
        await app.bus.close()
        app.close()


def open_conversation(app: App) -> str:
    """A conversation on the widget."""
    with app.store.write() as uow:
        opened = history.open_conversation(
            uow,
            brand="joltsms",
            channel="widget",
            external_id="web-1",
            greeting=[Reply("Hello.")],
            name="JoltSMS",
            now=app.clock.now(),
        )
        uow.commit()
    return opened.id


def messages(app: App, conversation_id: str) -> list[MessageView]:
    """Everything said."""
    with app.store.read() as uow:
        return history.messages_after(uow, conversation_id, 0, limit=1000)


def check_order(rows: list[MessageView], turns: int) -> None:
    """Numbered without gaps; each message answered once, in its order, from the state that the one before it left."""
    assert [row.seq for row in rows] == list(range(1, 3 * turns + 2))
    asked = [row.text for row in rows if row.author == "customer"]
    answers = [row.text for row in rows if " was turn " in row.text]
    assert answers == [f"{text} was turn {place}" for place, text in enumerate(asked)]


async def test_messages_to_either_are_answered_once_in_one_order(two: tuple[App, App]) -> None:
    conversation_id = open_conversation(two[0])
    inbound = [InboundMessage(conversation_id, "widget", f"m-{number}", f"m{number}") for number in range(12)]
    await asyncio.gather(*[app.gateway.receive(message) for message in inbound for app in two])
    check_order(messages(two[1], conversation_id), len(inbound))
    engines: list[Any] = [app.engine for app in two]
    assert sum(len(engine.asked) for engine in engines) == len(inbound)  # the lock kept each turn to one of them


async def test_what_one_says_wakes_the_listeners_of_the_other(two: tuple[App, App]) -> None:
    conversation_id = open_conversation(two[0])
    async with two[1].bus.listen(conversation_id) as hints:
        assert await asyncio.wait_for(hints.get(), SOON) == "message"  # once, when the connection stands
        await two[0].gateway.receive(InboundMessage(conversation_id, "widget", "m-1", "hi"))
        assert [await asyncio.wait_for(hints.get(), SOON) for _ in range(3)] == ["message", "typing", "message"]


async def test_an_outage_of_the_lock_server_loses_nothing(two: tuple[App, App], valkey_server: Valkey) -> None:
    conversation_id = open_conversation(two[0])
    inbound = InboundMessage(conversation_id, "widget", "m-1", "hi")
    valkey_server.stop()
    with pytest.raises(Unavailable):
        await two[0].gateway.receive(inbound)
    assert [row.text for row in messages(two[0], conversation_id)] == ["Hello.", "hi"]
    valkey_server.start()
    assert await two[1].gateway.repair() == 1
    exchange = await two[0].gateway.receive(inbound)
    assert exchange.replies[0].text == "hi was turn 0"
    check_order(messages(two[0], conversation_id), 1)


async def test_leases_lost_in_the_middle_of_turns_change_no_answer(two: tuple[App, App], valkey_server: Valkey) -> None:
    """Every lock is taken away again and again while both work."""
    conversation_id = open_conversation(two[0])
    inbound = [InboundMessage(conversation_id, "widget", f"m-{number}", f"m{number}") for number in range(10)]

    async def take_locks_away() -> None:
        while True:
            await asyncio.to_thread(valkey_server.start)  # empties it
            await asyncio.sleep(0.003)

    taking = asyncio.create_task(take_locks_away())
    try:
        await asyncio.gather(*[app.gateway.receive(message) for message in inbound for app in two])
    finally:
        taking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await taking
    check_order(messages(two[0], conversation_id), len(inbound))
