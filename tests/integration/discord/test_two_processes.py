"""Two applications on one PostgreSQL and one Valkey with the same bot: one is connected, everything happens once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.app import App, build
from bot.channels.discord.channel import DiscordChannel
from bot.channels.discord.config import DiscordSettings
from bot.conversation.locks import RedisLocks
from bot.conversation.messages import Reply
from bot.settings import PROJECT, Settings
from tests.conftest import Databases
from tests.fakes.clock import FakeClock
from tests.fakes.discord_server import DiscordServer
from tests.fakes.engine import ScriptedEngine
from tests.integration.discord.conftest import answers, deliveries, messages
from tests.valkey import Valkey

Machine = Callable[[], AbstractAsyncContextManager[App]]
_LEASE = 3.0  # seconds; half a minute in earnest


@pytest.fixture
def machine(
    databases: Databases, settings: Settings, valkey_server: Valkey, clock: FakeClock, server: DiscordServer
) -> Any:
    """Starts one more process of the installation."""
    discord = DiscordSettings(
        token=server.token, brand="joltsms", api_url=server.api_url, gateway_url=server.gateway_url
    )
    with databases.store("postgresql", "demo") as store:
        url = store.engine.url.render_as_string(hide_password=False)
        shared = replace(settings, database_url=url, redis_url=valkey_server.url, discord=discord)

        @contextlib.asynccontextmanager
        async def start() -> AsyncIterator[App]:
            app = build(shared, clock=clock, engine=ScriptedEngine())
            (channel,) = [each for each in app.channels if isinstance(each, DiscordChannel)]
            channel.identify_seconds, channel.look_seconds = 0.0, 0.05
            try:
                async with app.running():
                    yield app
            finally:
                app.close()

        yield start


async def test_one_is_connected_and_another_takes_over(server: DiscordServer, machine: Machine) -> None:
    ava = server.add_person("Ava")
    async with contextlib.AsyncExitStack() as second:
        async with machine() as first:
            await server.until(lambda: server.gateway.identified == 1)
            other = await second.enter_async_context(machine())
            await ava.write("one")
            await ava.hears("You said: one")
            (asked,) = [m for m in messages(first) if m.author == "customer"]
            await other.gateway.say(asked.conversation_id, [Reply("Said elsewhere")], author="agent", name="Mo")
            await ava.hears("Said elsewhere")  # by the process that is connected
            assert server.gateway.identified == 1
        await ava.write_unheard("two")
        await server.until(lambda: server.gateway.identified == 2)
        await ava.hears("You said: two")
        assert answers(ava) == ["You said: one", "**Mo:** Said elsewhere", "You said: two"]


async def test_even_both_connected_do_everything_once(
    server: DiscordServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an outage of the lock server: each is told of everything."""

    @contextlib.asynccontextmanager
    async def always(self: Any, name: str, **_: Any) -> AsyncIterator[bool]:
        yield True

    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    async with machine() as first:
        await server.until(lambda: server.gateway.identified == 1)
        with monkeypatch.context() as patched:
            patched.setattr("bot.conversation.locks.RedisLocks.hold_if_free", always)
            async with machine():
                await server.until(lambda: server.gateway.identified == 2)
                patched.undo()
                for number in range(5):
                    await ava.write(f"message {number}")
                    await bob.write(f"message {number}")
                await ava.command("refund")
                for person in (ava, bob):
                    await person.hears("message 4")
                await ava.hears("You said: I want my money back")
                await server.until(lambda: {status for _, status in deliveries(first)} == {"delivered"})
                assert answers(bob) == [f"You said: message {number}" for number in range(5)]
                told = [m["content"] for m in ava.heard() if m["content"].startswith("You said: message")]
                assert told == [f"You said: message {number}" for number in range(5)]
                assert ava.text().count("I want my money back") == 1


async def test_who_has_lost_the_lease_to_another_hangs_up(
    server: DiscordServer, machine: Machine, valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the lock server has forgotten everything, whichever asks first is connected, and soon it alone."""
    monkeypatch.setitem(RedisLocks.__init__.__kwdefaults__, "lease_seconds", _LEASE)
    ava = server.add_person("Ava")
    async with machine():
        await server.until(lambda: server.gateway.identified == 1)
        async with machine() as other:
            await asyncio.to_thread(valkey_server.start)  # empties it
            await server.until(lambda: server.gateway.identified == 2)
            await ava.write("one")
            await server.until(lambda: server.gateway.connected == 1)
            await ava.write("two")
            await ava.hears("You said: two")
            await server.until(lambda: {status for _, status in deliveries(other)} == {"delivered"})
            assert answers(ava) == ["You said: one", "You said: two"]
            assert (server.gateway.connected, server.gateway.identified) == (1, 2)


async def test_when_the_connected_process_is_killed_another_takes_over_when_its_lease_ends(
    databases: Databases,
    settings: Settings,
    valkey_server: Valkey,
    server: DiscordServer,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With messages in hand and some that nobody hears: each answered once, in order, and never two are connected."""
    monkeypatch.setitem(RedisLocks.__init__.__kwdefaults__, "lease_seconds", _LEASE)
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    async with machine() as second:
        await server.until(lambda: server.gateway.identified == 1)
        environment = {
            **os.environ,
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(tmp_path / "other"),
            "DATABASE_URL": second.store.engine.url.render_as_string(hide_password=False),
            "REDIS_URL": valkey_server.url,
            "SUPPORTBOT_DISCORD_TOKEN": server.token,
            "SUPPORTBOT_DISCORD_BRAND": "joltsms",
            "SUPPORTBOT_DISCORD_API_URL": server.api_url,
            "SUPPORTBOT_DISCORD_GATEWAY_URL": server.gateway_url,
        }
    log = (tmp_path / "other.log").open("wb")
    command = [sys.executable, "-m", "tests.integration.discord.process_to_kill", str(_LEASE)]
    first = await asyncio.to_thread(subprocess.Popen, command, env=environment, cwd=PROJECT, stdout=log, stderr=log)
    try:
        await server.until(lambda: server.gateway.identified == 2, within=60)
        async with machine() as app:
            for person in (ava, bob):
                await person.write("hello")
                await person.hears("You said: hello")
            for number in range(4):
                await ava.write(f"in hand {number}")
                await bob.write(f"in hand {number}")
            first.kill()
            assert await asyncio.to_thread(first.wait, 30) == -signal.SIGKILL
            killed_at = time.monotonic()
            await server.until(lambda: not server.gateway.connected)
            await ava.write_unheard("in the gap")
            await server.until(lambda: server.gateway.identified == 3)
            assert time.monotonic() - killed_at < _LEASE + 10  # a busy machine is slow
            await ava.hears("You said: in the gap")
            await bob.hears("You said: in hand 3")
            await server.until(lambda: {status for _, status in deliveries(app)} == {"delivered"})
            in_hand = ["You said: hello", *(f"You said: in hand {number}" for number in range(4))]
            assert answers(ava) == [*in_hand, "You said: in the gap"]
            assert answers(bob) == in_hand
            assert server.gateway.most_connected == 1
    finally:
        first.kill()
        first.wait()
        log.close()
