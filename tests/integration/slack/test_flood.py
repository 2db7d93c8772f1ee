"""Fifty people write at once: nothing is lost, each is answered in order, and Slack's published limits are kept."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict

from bot.settings import Settings
from bot.store.tables import ChannelEvent, Delivery, Message
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.fakes.slack_server import SlackServer, Trouble, shown
from tests.integration.slack.conftest import started
from tests.integration.slack.test_customers import rows

PEOPLE, ROUNDS = 50, 2
_BURST = 3


async def test_fifty_people_at_once(settings: Settings, clock: FakeClock) -> None:
    """Each sends several messages without waiting, some are told of twice, and Slack now and then says 429 or 500."""
    server = SlackServer("socket", strict=True)
    people = [server.person(f"U0P{number:02}") for number in range(PEOPLE)]
    async with server.running(), started(settings, server, ScriptedEngine(), clock) as town:
        server.troubles["chat.postMessage"] += [Trouble(429, retry_after=1, times=5), Trouble(500, times=5)]
        began = time.monotonic()

        async def chatter(place: int) -> None:
            for number in range(ROUNDS):
                body = people[place].message(f"{place}:{number}")
                await server.tell("event", body)
                if place % 5 == 0:
                    await server.tell("event", {**body, "event_id": f"Ev0AGAIN{place}{number}"}, retry=1)

        await asyncio.gather(*(chatter(place) for place in range(PEOPLE)))
        await server.until(lambda: all(len(person.heard()) >= 1 + ROUNDS for person in people), seconds=90)
        took = time.monotonic() - began
        for place, person in enumerate(people):
            answers = [text for text in person.texts() if text.startswith("You said")]
            assert answers == [f"You said: {place}:{number}" for number in range(ROUNDS)]
        await server.until(lambda: not rows(town, ChannelEvent, done_at=None))
        assert len(rows(town, Message, author="customer")) == PEOPLE * ROUNDS
        assert {row.status for row in rows(town, Delivery)} == {"delivered"}
    late = [told for told in server.delivered if told.acknowledged_after is None]
    assert late == [], "each was acknowledged within three seconds"
    assert server.limits.refused == 0, "no limit of Slack's was reached"
    assert took < 60
    _check_pace(server)


def _check_pace(server: SlackServer) -> None:
    """A message a second and channel, but for a short burst."""
    posted = defaultdict(list)
    for room in server.workspaces["T0EXAMPLE"].rooms.values():
        posted[room.id] = [message["at"] for message in room.messages if "at" in message and shown(message)]
    for times in posted.values():
        for (place, first), (later, last) in itertools.combinations(enumerate(times), 2):
            assert later - place + 1 <= _BURST + 1 + (last - first), "more than a message a second"
