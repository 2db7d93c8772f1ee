"""Keeps the bot below Discord's limit on all requests together, so that it is never told to stop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiohttp

PER_SECOND = 40  # Discord allows 50; what runs over in one second must still fit
BURST = 8


class Pace:
    """Lets requests through in order, a few at once and then evenly. Discord does not count answers to interactions."""

    def __init__(self, *, per_second: float = PER_SECOND, burst: int = BURST) -> None:
        self._gap = 1 / per_second
        self._ahead = self._gap * (burst - 1)
        self._next = 0.0
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Wait for this request's turn.

        One after the other: were each to sleep until its own moment, a process that stood still for a while would
        send all whose moment has passed at once.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            if (early := self._next - self._ahead - loop.time()) > 0:
                await asyncio.sleep(early)
            self._next = max(self._next, loop.time()) + self._gap

    def trace(self) -> aiohttp.TraceConfig:
        """For a client's session: every request waits for its turn."""
        config = aiohttp.TraceConfig()

        async def before(
            session: aiohttp.ClientSession, context: SimpleNamespace, started: aiohttp.TraceRequestStartParams
        ) -> None:
            if not {"interactions", "webhooks", "attachments"} & set(started.url.parts):
                await self.wait()

        config.on_request_start.append(before)
        return config
