"""Plays conversations against anything that answers, and takes the time of every turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from bench.conversations import MIX, ROUND, TURNS_OF_MIX, Script, Step, endless
from bench.figures import median

_ALIKE = 12  # characters: hello, thank you


class Conversation(Protocol):
    """One conversation that is going on."""

    async def send(self, step: Step) -> None:
        """Say something and wait until it is answered. Raises when it is not."""


Open = Callable[[Script], Conversation]


@dataclass(frozen=True)
class Plan:
    """How much is measured. `long_turns` is 2 more than a multiple of the length of a round, or 0 for no long one."""

    repeats: int
    rounds: int
    clients: int
    long_turns: int

    @property
    def late_turn(self) -> int:
        """The turn that is held against turn 5."""
        return self.long_turns - 2


@dataclass(frozen=True)
class Growth:
    """Turn 5 and a late turn of one conversation, in seconds: each the median of five turns, the same messages."""

    early: float
    late: float

    @property
    def ratio(self) -> float:
        """How many times the early turn the late one takes."""
        return self.late / self.early


class Player:
    """Plays conversations that `start` opens."""

    def __init__(self, start: Open) -> None:
        self._start = start
        self._chance = Random(1)

    async def one_by_one(self, rounds: int) -> list[float]:
        """The mix, one conversation after the other: seconds of every turn."""
        conversations = [(self._start(script), script) for _ in range(rounds) for script in MIX]
        return [taken for conversation, script in conversations for taken in await self._play(conversation, script)]

    async def together(self, clients: int) -> float:
        """The mix by that many clients at the same time, each beginning elsewhere in it: turns a second."""
        shares = [
            [(self._start(script), script) for script in (*MIX[client % len(MIX) :], *MIX[: client % len(MIX)])]
            for client in range(clients)
        ]

        async def client(share: list[tuple[Conversation, Script]]) -> None:
            for conversation, script in share:
                await self._play(conversation, script)

        started = time.perf_counter()
        await asyncio.gather(*map(client, shares))
        return clients * TURNS_OF_MIX / (time.perf_counter() - started)

    async def growth(self, turns: int) -> Growth:
        """One long conversation."""
        script = endless(turns)
        seconds = await self._play(self._start(script), script)
        return Growth(early=median(seconds[2 : 2 + len(ROUND)]), late=median(seconds[-len(ROUND) :]))

    async def _play(self, conversation: Conversation, script: Script) -> list[float]:
        seconds = []
        for step in script.steps:
            said = step if step.button else replace(step, text=typed(step.text, self._chance))
            started = time.perf_counter()
            await conversation.send(said)
            seconds.append(time.perf_counter() - started)
        return seconds


def typed(text: str, chance: Random) -> str:
    """The text with three of its letters in the other case, unless it is one that everybody says alike.

    So that no bot profits from having met the very same text before, which with real customers it has not.
    """
    if len(text) < _ALIKE:
        return text
    letters = [place for place, letter in enumerate(text) if letter.isalpha()]
    swapped = set(chance.sample(letters, min(3, len(letters))))
    return "".join(letter.swapcase() if place in swapped else letter for place, letter in enumerate(text))
