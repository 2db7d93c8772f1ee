"""Fifty people at once, under Discord's real limits: nobody is forgotten, nothing is told twice or out of order."""

from __future__ import annotations

import asyncio
import os
import random
from bisect import bisect_left

from tests.fakes.discord_limits import Limits
from tests.fakes.discord_people import Person
from tests.fakes.discord_server import DiscordServer
from tests.integration.discord.conftest import Starts, answers, deliveries

PEOPLE = 50
ROUNDS = int(os.environ.get("FLOOD_ROUNDS", "2"))  # of messages by each of them; 12 take a minute
_PER_SECOND = 50
_NOT_COUNTED = ("POST /interactions/", "POST /webhooks/", "PATCH /webhooks/")


async def test_a_flood_is_answered_in_order_and_within_the_limits(starts: Starts) -> None:
    chance = random.Random(7)
    async with DiscordServer(limits=Limits()) as server:
        people = [server.add_person(f"P{number}") for number in range(PEOPLE)]

        async def talk(person: Person) -> None:
            for number in range(ROUNDS):
                said = await person.write(f"message {number}")
                if chance.random() < 0.2:
                    await person.again(said)
            await person.hears(f"You said: message {ROUNDS - 1}", within=90 + 5 * ROUNDS)

        async with starts(server) as app:
            talking = asyncio.gather(*(talk(person) for person in people))
            if ROUNDS > 1:
                server.gateway.cut()  # in the middle of it all
            await talking
            await server.until(lambda: {status for _, status in deliveries(app)} == {"delivered"})
        for person in people:
            assert answers(person) == [f"You said: message {number}" for number in range(ROUNDS)]
        assert server.limits.refused == 0
        assert _most_in_a_second(server) <= _PER_SECOND


def _most_in_a_second(server: DiscordServer) -> int:
    counted = [at for at, asked in server.requests if not asked.startswith(_NOT_COUNTED)]
    return max(bisect_left(counted, at + 1.0) - place for place, at in enumerate(counted))
