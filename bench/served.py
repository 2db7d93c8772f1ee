"""Measures a server over HTTP, ours or stock, in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from bench.conversations import TURNS_OF_MIX, Script
from bench.load import Conversation, Growth, Plan, Player

_TIMEOUT = aiohttp.ClientTimeout(total=120)
_IDLE_SECONDS = 2  # the servers end a connection that was idle for five, perhaps just when it is wanted


class ServedBot(Protocol):
    """A running bot. `start_seconds` is from the start of its processes until they are ready."""

    start_seconds: float

    def conversation(self, http: aiohttp.ClientSession, script: Script) -> Conversation:
        """A new conversation."""

    def resident_bytes(self) -> int:
        """Memory of all its processes."""

    def processor_seconds(self) -> float:
        """Processor time that all its processes have used so far."""


@dataclass(frozen=True)
class ServedFigures:
    """Seconds, turns a second and bytes; a list entry a repeat."""

    starts: list[float]
    turns: list[list[float]]
    rates: list[float]
    processor: list[float]
    """Processor time of a turn, while `rates` were measured."""
    growths: list[Growth]
    resident_bytes: int


def measure(serve: Callable[[str], AbstractContextManager[ServedBot]], plan: Plan) -> ServedFigures:
    """Start the server once for every repeat, and measure the last one under load, its memory at the end."""
    starts = []
    for repeat in range(plan.repeats - 1):
        with serve(f"start-{repeat + 1}") as bot:
            starts.append(bot.start_seconds)
    with serve("served") as bot:
        starts.append(bot.start_seconds)
        return asyncio.run(_under_load(bot, starts, plan))


async def _under_load(bot: ServedBot, starts: list[float], plan: Plan) -> ServedFigures:
    connector = aiohttp.TCPConnector(limit=plan.clients, keepalive_timeout=_IDLE_SECONDS)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as http:

        def start(script: Script) -> Conversation:
            return bot.conversation(http, script)

        player = Player(start)
        await player.one_by_one(1)
        turns = [await player.one_by_one(plan.rounds) for _ in range(plan.repeats)]
        rates, processor = [], []
        for _ in range(plan.repeats):
            before = bot.processor_seconds()
            rates.append(await player.together(plan.clients))
            processor.append((bot.processor_seconds() - before) / (plan.clients * TURNS_OF_MIX))
        growths = [await player.growth(plan.long_turns) for _ in range(plan.repeats if plan.long_turns else 0)]
        return ServedFigures(starts, turns, rates, processor, growths, bot.resident_bytes())
