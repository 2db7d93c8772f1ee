"""Who is there, who waits how long, what is due when, and how it was afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.errors import InvalidInput, NotFound
from bot.services import agents, csat, handoff, presence, waiting
from bot.services.agents import Role
from bot.services.waiting import SlaState
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, all_packs, conversation, jolt, message

MINUTE = timedelta(minutes=1)


def queue_up(uow: UnitOfWork, *, reason: str = "asked", minutes: int = 0) -> str:
    """A conversation that waits since so many minutes after the start."""
    talk = conversation(uow)
    handoff.queue_up(
        uow, pack=jolt(), conversation_id=talk, reason=reason, message_id=f"m-{talk}", now=START + minutes * MINUTE
    )
    return talk


def take(uow: UnitOfWork, talk: str, who: str, *, minutes: int) -> None:
    """Somebody takes it, so many minutes after the start."""
    handoff.claim(uow, conversation_id=talk, agent_id=who, key=f"c-{talk}", now=START + minutes * MINUTE)


def test_somebody_is_there_for_a_minute_and_a_half_unless_away_or_gone(store: Store) -> None:
    with store.write() as uow:
        amy = agent(uow, "amy")
        agent(uow, "bo")
        assert not presence.availability(uow, pack=jolt(), now=START).somebody
        presence.seen(uow, agent_id=amy, now=START)
        presence.seen(uow, agent_id=amy, now=START)
        assert presence.availability(uow, pack=jolt(), now=START + MINUTE).somebody
        assert not presence.availability(uow, pack=jolt(), now=START + 2 * MINUTE).somebody
        presence.set_away(uow, agent_id=amy, away=True, now=START)
        assert presence.is_away(uow, agent_id=amy)
        there = presence.availability(uow, pack=jolt(), now=START)
        assert (there.open, there.online) == (True, 0)
        assert [each.name for each in presence.online(uow, brand="joltsms", now=START)] == ["Amy"]
        assert presence.online(uow, brand="smrtphone", now=START) == []
        presence.gone(uow, agent_id=amy)
        assert presence.online(uow, brand="joltsms", now=START) == []
        with pytest.raises(NotFound):
            presence.seen(uow, agent_id="agt_x", now=START)


def test_the_queue_serves_the_urgent_first_and_then_who_waits_longest(store: Store) -> None:
    with store.write() as uow:
        first, angry, last = queue_up(uow), queue_up(uow, reason="anger", minutes=1), queue_up(uow, minutes=2)
        message(uow, first, "hello?", seq=1)
        uow.get(t.Conversation, first).last_seq = 1
        lines = waiting.queue(uow, brands=["joltsms"], packs=all_packs(), now=START + 3 * MINUTE)
        assert [(line.conversation_id, line.position) for line in lines] == [(angry, 1), (first, 2), (last, 3)]
        assert (lines[1].unread, lines[1].last_text, lines[0].priority) == (1, "hello?", "high")
        assert lines[0].summary.startswith("Who: not identified")
        assert waiting.position(uow, first) == 2
        amy = agent(uow, "amy")
        take(uow, angry, amy, minutes=3)
        assert waiting.position(uow, angry) is None
        (mine,) = waiting.taken(uow, brands=["joltsms"], packs=all_packs(), now=START, agent_id=amy)
        assert (mine.conversation_id, mine.agent_name) == (angry, "Amy")
        assert waiting.queue(uow, brands=["smrtphone"], packs=all_packs(), now=START) == []
        with pytest.raises(NotFound):
            waiting.position(uow, "cnv_x")


def test_the_estimate_is_measured_and_says_nothing_before_three_waits(store: Store) -> None:
    with store.write() as uow:
        amy = agent(uow, "amy")
        for number, minutes in enumerate((2, 4, 60)):
            talk = queue_up(uow)
            assert waiting.estimate(uow, brand="joltsms", position=1, now=START) is None, number
            take(uow, talk, amy, minutes=minutes)
        now = START + 60 * MINUTE
        assert waiting.estimate(uow, brand="joltsms", position=1, now=now) == 4 * MINUTE
        assert waiting.estimate(uow, brand="joltsms", position=3, now=now) == 12 * MINUTE
        assert waiting.estimate(uow, brand="smrtphone", position=1, now=now) is None


def test_the_estimate_goes_by_how_many_are_there(store: Store) -> None:
    """A place took each of two people four minutes: with four it goes twice as fast, with nobody left half as fast."""
    with store.write() as uow:
        people = [agent(uow, name) for name in ("amy", "bo", "cy", "di")]
        for who in people[:2]:
            presence.seen(uow, agent_id=who, now=START)
        for _ in range(3):
            take(uow, queue_up(uow), people[0], minutes=4)

        def minutes(*, position: int, there: int, at: int) -> float:
            for who in people:
                presence.gone(uow, agent_id=who)
            for who in people[:there]:
                presence.seen(uow, agent_id=who, now=START + at * MINUTE)
            found = waiting.estimate(uow, brand="joltsms", position=position, now=START + at * MINUTE)
            assert found is not None
            return found / MINUTE

        assert minutes(position=1, there=2, at=10) == 4
        assert minutes(position=1, there=4, at=10) == 2
        assert minutes(position=3, there=4, at=10) == 6
        assert minutes(position=1, there=1, at=10) == 8
        assert minutes(position=1, there=0, at=10) == 8
        presence.seen(uow, agent_id=people[0], now=START + 10 * MINUTE)
        presence.seen(uow, agent_id=people[1], now=START + 10 * MINUTE)
        presence.set_away(uow, agent_id=people[1], away=True, now=START + 10 * MINUTE)
        assert waiting.estimate(uow, brand="joltsms", position=1, now=START + 10 * MINUTE) == 8 * MINUTE


def test_what_is_due_grows_late_and_is_met(store: Store) -> None:
    with store.write() as uow:
        talk, amy = queue_up(uow), agent(uow, "amy")

        def due(minutes: int) -> tuple[str, SlaState]:
            clock = waiting.sla(jolt(), uow.get(t.Conversation, talk), START + minutes * MINUTE).next
            assert clock is not None
            return clock.what, clock.state

        assert due(1) == ("first_reply", SlaState.FINE)
        assert due(4) == ("first_reply", SlaState.SOON)
        assert due(6) == ("first_reply", SlaState.LATE)
        take(uow, talk, amy, minutes=6)
        handoff.said(uow, conversation_id=talk, now=START + 7 * MINUTE)
        assert due(8) == ("resolve", SlaState.FINE)
        uow.get(t.Conversation, talk).unanswered_since = START + 8 * MINUTE
        assert due(14) == ("next_reply", SlaState.LATE)
        assert due(60 * 5)[1] is SlaState.LATE


def test_a_rating_is_asked_once_and_the_later_answer_counts(store: Store) -> None:
    with store.write() as uow:
        talk, amy = conversation(uow), agent(uow, "amy")
        take(uow, talk, amy, minutes=0)
        done = handoff.resolve(uow, conversation_id=talk, agent_id=amy, note="", key="r", now=START)
        rating = csat.ask(uow, handoff_id=done.id, now=START)
        assert csat.ask(uow, handoff_id=done.id, now=START) == rating
        for score in (2, 5):
            csat.rate(uow, rating_id=rating.id, conversation_id=talk, score=score, now=START)
        csat.add_words(uow, rating_id=rating.id, conversation_id=talk, words="quick")
        (kept,) = csat.ratings(uow, brand="joltsms", since=START)
        assert (kept.score, kept.words, kept.agent_id) == (5, "quick", amy)
        with pytest.raises(InvalidInput):
            csat.rate(uow, rating_id=rating.id, conversation_id=talk, score=6, now=START)
        with pytest.raises(NotFound):
            csat.rate(uow, rating_id=rating.id, conversation_id=conversation(uow), score=5, now=START)


def test_who_leaves_or_loses_a_brand_gives_back_what_they_had(store: Store) -> None:
    with store.write() as uow:
        amy, bo = agent(uow, "amy"), agent(uow, "bo")
        hers, his = queue_up(uow), queue_up(uow)
        take(uow, hers, amy, minutes=0)
        take(uow, his, bo, minutes=0)
        presence.seen(uow, agent_id=amy, now=START)
        assert agents.deactivate(uow, agent_id=amy, actor="system", now=START) == [hers]
        assert agents.deactivate(uow, agent_id=amy, actor="system", now=START) == []
        assert presence.online(uow, brand="joltsms", now=START) == []
        moved = agents.change_agent(
            uow, agent_id=bo, actor="system", known_brands=["joltsms", "smrtphone"], brands=["smrtphone"], now=START
        )
        assert moved == [his]
        assert {uow.get(t.Conversation, each).owner for each in (hers, his)} == {"queued"}
        assert not agents.change_agent(
            uow, agent_id=bo, actor="system", known_brands=["smrtphone"], role=Role.SUPERVISOR, now=START
        )
