"""A process of an installation with Discord, for `test_two_processes.py` to kill; its settings are in the environment.

Argument: how long a lease of its locks lasts, in seconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
from unittest import mock

from bot.app import build
from bot.channels.discord.channel import DiscordChannel
from bot.conversation import locks
from bot.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine


async def serve() -> None:
    """Serve until killed."""
    app = build(Settings.from_env(os.environ), clock=FakeClock(), engine=ScriptedEngine())
    (channel,) = [each for each in app.channels if isinstance(each, DiscordChannel)]
    channel.identify_seconds = 0.0
    async with app.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    with mock.patch.object(locks.RedisLocks.__init__, "__kwdefaults__", {"lease_seconds": float(sys.argv[1])}):
        asyncio.run(serve())
