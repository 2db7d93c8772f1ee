"""A server that is killed in the middle of a Slack customer's turn: a real process, a real SIGKILL, a new start."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.fakes.slack_server import APP_TOKEN, SlackServer
from tests.integration.test_restart import DIES, RUNS, Installation

pytestmark = pytest.mark.conversation
FATAL = "what is your refund policy?"


async def test_a_kill_in_the_middle_of_an_answer_neither_loses_nor_doubles_it(tmp_path, models, demo_file) -> None:
    server = SlackServer("socket")
    ava = server.person("U0AVA")
    async with server.running():
        installation = Installation(tmp_path, models, demo_file)
        installation.environment |= {
            "SUPPORTBOT_SLACK_BOT_TOKEN": server.workspaces["T0EXAMPLE"].token,
            "SUPPORTBOT_SLACK_APP_TOKEN": APP_TOKEN,
            "SUPPORTBOT_SLACK_API_URL": server.api_url,
            "SUPPORTBOT_SLACK_BRANDS": "joltsms",
        }
        first = installation.server(str(DIES), "after", FATAL)
        process = await asyncio.to_thread(first.__enter__)
        await ava.says("hello")
        await server.until(lambda: len(ava.heard()) >= 2)
        told = await ava.says(FATAL)
        assert told.acknowledged_after is not None
        assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
        first.__exit__(None, None, None)
        second = installation.server(*RUNS)
        await asyncio.to_thread(second.__enter__)
        await server.until(lambda: any("refund" in text for text in ava.texts()[2:]))
        await server.tell("event", told.body, retry=1)
        await ava.says("thank you")
        before = len(ava.heard())
        await server.until(lambda: len(ava.heard()) > before or "thank" in ava.texts()[-1].lower())
        second.__exit__(None, None, None)
        installation.store.close()
    texts = ava.texts()
    assert len(texts) == len(set(texts)), "nothing twice"
