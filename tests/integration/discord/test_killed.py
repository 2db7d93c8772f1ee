"""A process that is killed in the middle of a cancellation on Discord: a real SIGKILL, a new process, one receipt."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest

from bot.services.mail import caught_mails
from bot.store.tables import Cancellation, Delivery, Message
from tests.fakes.discord_limits import Limits
from tests.fakes.discord_server import DiscordServer
from tests.integration.test_restart import FATAL, RUNS, Installation, installation  # noqa: F401

pytestmark = pytest.mark.conversation


async def test_a_cancellation_cut_off_by_a_kill_is_done_and_told_once(installation: Installation) -> None:  # noqa: F811
    before = installation.count(Cancellation)
    async with DiscordServer(limits=Limits(window=0.2)) as server:
        installation.environment |= {
            "SUPPORTBOT_DISCORD_TOKEN": server.token,
            "SUPPORTBOT_DISCORD_BRAND": "joltsms",
            "SUPPORTBOT_DISCORD_API_URL": server.api_url,
            "SUPPORTBOT_DISCORD_GATEWAY_URL": server.gateway_url,
        }
        server.acknowledge_within = 20.0  # for machines that do much else
        ava = server.add_person("Ava")

        def code() -> str | None:
            with installation.store.read() as uow:
                mails = caught_mails(uow, recipient="ava@jolt.example")
            found = re.search(r"\b\d{6}\b", mails[0].plain) if mails else None
            return found[0] if found else None

        dying = installation.server("-m", "tests.integration.server_that_dies", "after", FATAL)
        process = await asyncio.to_thread(dying.__enter__)
        await server.until(lambda: server.gateway.identified, within=60)
        await ava.write("please cancel my number")
        await ava.hears("Which e-mail address", within=60)
        await ava.write("ava@jolt.example")
        await ava.write(str(await server.until(code, within=60)))
        for title in ("Continue", "Skip", FATAL):
            await server.until(lambda title=title: any(t.startswith(title) for t in ava.titles()), within=60)
            await ava.press(title)
        assert await asyncio.to_thread(process.wait, 30) == -signal.SIGKILL
        assert installation.count(Cancellation) == before + 1
        assert "CAN-" not in ava.text()
        await ava.write_unheard("is it cancelled?")

        running = installation.server(*RUNS)
        await asyncio.to_thread(running.__enter__)
        try:
            await ava.hears("CAN-", within=60)
            await server.until(
                lambda: (
                    not installation.count(Message, Message.status == "received")
                    and not installation.count(Delivery, Delivery.status == "pending")
                    and len([m for m in server.direct(ava).messages if m["author"]["id"] == str(ava.id)])
                    == installation.count(Message, Message.author == "customer", Message.channel == "discord") - 3
                ),
                within=60,
            )
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
            await asyncio.to_thread(dying.__exit__, None, None, None)
        assert installation.count(Cancellation) == before + 1
        assert ava.text().count("Done.") == 1
