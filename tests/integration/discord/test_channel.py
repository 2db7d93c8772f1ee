"""The channel as a part of the application: off without a token, clear about what is wrong, no harm to the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.app import build, web
from bot.channels.discord.config import DiscordSettings
from bot.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.discord_gateway import MESSAGE_CONTENT
from tests.fakes.discord_server import DiscordServer
from tests.fakes.engine import ScriptedEngine
from tests.integration.discord.conftest import Starts


@pytest.mark.parametrize(
    ("configured", "why"),
    [
        ({"token": "not-the-token-that-discord-gave-out"}, "Discord does not accept SUPPORTBOT_DISCORD_TOKEN"),
        ({"message_content": True}, "Message Content intent"),
        ({"brand": "nobody"}, "names nobody. Brands here: joltsms"),
    ],
)
async def test_what_is_wrong_is_said_and_the_other_channels_run(
    configured: dict[str, Any],
    why: str,
    server: DiscordServer,
    settings: Settings,
    clock: FakeClock,
    scripted: ScriptedEngine,
) -> None:
    given = {"token": server.token, "brand": "joltsms", **configured}
    discord = DiscordSettings(api_url=server.api_url, gateway_url=server.gateway_url, **given)
    app = build(replace(settings, discord=discord), clock=clock, engine=scripted)
    with capture_logs() as logs:
        async with app.running():
            told = await server.until(lambda: [line for line in logs if line["event"] == "channel is off"])
            assert why in told[0]["why"]
            transport = httpx.ASGITransport(app=web(app))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                answer = await client.post("/api/widget/v1/sessions", json={"brand": "joltsms"})
            assert answer.status_code == 201
    app.close()


def test_without_a_token_one_line_says_that_it_is_off(
    settings: Settings, clock: FakeClock, scripted: ScriptedEngine
) -> None:
    with capture_logs() as logs:
        app = build(settings, clock=clock, engine=scripted)
    app.close()
    assert "discord is off, for SUPPORTBOT_DISCORD_TOKEN is not set" in [line["event"] for line in logs]
    assert [channel.name for channel in app.channels if channel.name == "discord"] == []


async def test_privileged_intents_are_asked_for_only_if_configured(server: DiscordServer, starts: Starts) -> None:
    server.privileged = MESSAGE_CONTENT
    ava = server.add_person("Ava")
    guild = server.add_guild("Jolt", ava)
    async with starts(server):
        assert [session.intents for session in server.gateway.sessions.values()] == [1 | 1 << 9 | 1 << 12]
    async with starts(server, message_content=True):
        assert list(server.gateway.sessions.values())[-1].intents & MESSAGE_CONTENT
        await ava.write(f"<@{server.me['id']}> hello", guild=guild)
        await ava.hears("You said: hello", guild)


async def test_as_many_shards_as_discord_advises(server: DiscordServer, starts: Starts) -> None:
    server.shards = 2
    ava = server.add_person("Ava")
    async with starts(server):
        await server.until(lambda: server.gateway.identified == 2)
        assert sorted(session.shard for session in server.gateway.sessions.values()) == [(0, 2), (1, 2)]
        await ava.write("hello")
        await ava.hears("You said: hello")
        assert len(ava.heard()) == 2  # a greeting, and the answer


async def test_stopping_lets_what_is_under_way_end_and_hangs_up(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine
) -> None:
    ava = server.add_person("Ava")
    async with starts(server):
        await ava.write("hello")
        await server.until(lambda: scripted.asked)
    await server.until(lambda: all(session.connection is None for session in server.gateway.sessions.values()))
    async with starts(server):
        await ava.hears("You said: hello")
