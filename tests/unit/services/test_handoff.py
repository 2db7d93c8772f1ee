"""Who owns a conversation, and how a person is asked for."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.errors import Conflict, Forbidden, NotFound
from bot.policy.decision import Matter
from bot.services import handoff, refunds, summaries
from bot.services.handoff import TRANSITIONS, HandoffView
from bot.services.tickets import TicketStatus, TicketView, set_status
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, conversation, count, customer, jolt, message

OWNERS = tuple(TRANSITIONS)


def give(uow: UnitOfWork, talk: str, to: str, *, key: str = "k", agent_id: str | None = None) -> HandoffView:
    """Give a conversation another owner."""
    return handoff.change_owner(
        uow,
        conversation_id=talk,
        to_owner=to,
        reason="test",
        actor="system",
        note="",
        key=key,
        now=START,
        agent_id=agent_id,
    )


def ask(uow: UnitOfWork, talk: str, *, who: CustomerRef | None = None, key: str = "k") -> TicketView:
    """Ask for a person."""
    return handoff.ask_person(
        uow,
        pack=jolt(),
        conversation_id=talk,
        customer=who,
        contact_email=None if who else "somebody@mail.example",
        reason="asked",
        key=key,
        now=START,
    )


@pytest.mark.parametrize(("owner", "to"), itertools.product(OWNERS, OWNERS))
def test_a_conversation_passes_only_along_the_allowed_ways(sqlite_store: Store, owner: str, to: str) -> None:
    with sqlite_store.write() as uow:
        talk = conversation(uow)
        amy, bo = agent(uow, "amy"), agent(uow, "bo")
        if owner != "bot":
            give(uow, talk, owner, key="before", agent_id=amy if owner == "human" else None)
        new_person = bo if to == "human" else None
        if to in TRANSITIONS[owner]:
            view = give(uow, talk, to, agent_id=new_person)
            assert (view.from_owner, view.to_owner) == (owner, to)
            row = uow.get(t.Conversation, talk)
            assert (row.owner, row.agent_id) == (to, new_person)
        else:
            with pytest.raises(Conflict):
                give(uow, talk, to, agent_id=new_person)


def test_a_change_of_owner_happens_once_for_each_key(store: Store) -> None:
    with store.write() as uow:
        talk, other = conversation(uow), conversation(uow)
        first = give(uow, talk, "queued")
        assert give(uow, talk, "queued") == first
        assert count(uow, t.Handoff) == 1
        with pytest.raises(Conflict):
            give(uow, other, "queued")
        with pytest.raises(Conflict):
            give(uow, talk, "closed")


def test_a_person_is_named_when_it_becomes_theirs_and_only_then(store: Store) -> None:
    with store.write() as uow:
        talk, amy = conversation(uow), agent(uow, "amy")
        with pytest.raises(Conflict):
            give(uow, talk, "human")
        with pytest.raises(Conflict):
            give(uow, talk, "queued", agent_id=amy)
        give(uow, talk, "human", agent_id=amy)
        with pytest.raises(Conflict):
            give(uow, talk, "human", key="again", agent_id=amy)


def test_an_unknown_conversation_is_not_found(store: Store) -> None:
    with store.write() as uow:
        for call in (lambda: give(uow, "cnv_x", "queued"), lambda: ask(uow, "cnv_x")):
            with pytest.raises(NotFound):
                call()
        with pytest.raises(NotFound):
            summaries.summary(uow, "cnv_x")


def test_a_person_gets_a_ticket_with_summary_and_transcript(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ben = customer(uow, "ben")
        talk = conversation(uow, ben)
        message(uow, talk, "hello", intent="greet", seq=1)
        message(uow, talk, "I was charged twice, and nobody answers", intent="report_duplicate_charge", seq=2)
        message(uow, talk, "a human please", intent="talk_to_human", seq=3)
        refunds.request(
            uow,
            pack=jolt(),
            customer=ben,
            matter=Matter.DUPLICATE_CHARGE,
            conversation_id=talk,
            key="refund",
            now=START,
        )
        ticket = ask(uow, talk, who=ben)
        assert uow.get(t.Conversation, talk).owner == "bot"
    who, wants, decided = ticket.summary.splitlines()
    assert who == "Who: Ben Okafor <ben@jolt.example>, signed in at the brand's site, in the site's chat"
    assert wants.startswith("Wants: the wrong charge; in their words: “I was charged twice")
    assert decided == "Decided: money back (charged twice or wrongly), invoice INV-2002: USD 15.00 refunded, J-R1"
    assert (ticket.kind, ticket.priority.value) == ("handoff", "high")
    assert ticket.events[0].data["transcript"][0]["text"] == "hello"


def test_somebody_unknown_gets_a_ticket_with_an_address_to_answer_to(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        ticket = ask(uow, talk)
        row = uow.get(t.Ticket, ticket.id)
    assert (row.customer_id, row.contact_email) == (None, "somebody@mail.example")
    assert ticket.summary.splitlines() == [
        "Who: not identified, in the site's chat",
        "Wants: not clear yet",
        "Decided: nothing yet",
    ]


def test_asking_again_while_it_is_open_adds_to_the_same_ticket(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        first = ask(uow, talk, key="one")
        assert ask(uow, talk, key="one") == first
        second = ask(uow, talk, key="two")
        assert ask(uow, talk, key="two") == second
        assert second.reference == first.reference
        assert [event.kind for event in second.events] == ["opened", "asked_again"]
        set_status(uow, first.id, TicketStatus.RESOLVED, actor="agt", idempotency_key="done", now=START)
        assert ask(uow, talk, key="three").reference != first.reference


def queue_up(uow: UnitOfWork, talk: str, *, message_id: str = "msg_1", reason: str = "asked") -> HandoffView:
    """Let a conversation wait for a person."""
    return handoff.queue_up(uow, pack=jolt(), conversation_id=talk, reason=reason, message_id=message_id, now=START)


def taken(uow: UnitOfWork, name: str = "amy") -> tuple[str, str]:
    """A conversation, and the person who has it."""
    talk, person = conversation(uow), agent(uow, name)
    handoff.claim(uow, conversation_id=talk, agent_id=person, key=f"{name}-takes", now=START)
    return talk, person


@pytest.mark.parametrize("owner", ["bot", "closed"])
def test_a_conversation_waits_for_a_person_once_for_each_message(store: Store, owner: str) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        if owner != "bot":
            give(uow, talk, owner, key="before")
        waits = queue_up(uow, talk)
        assert queue_up(uow, talk) == waits
        assert queue_up(uow, talk, message_id="msg_2") == waits
        row = uow.get(t.Conversation, talk)
        assert (row.owner, waits.position, row.handoff_reason) == ("queued", 1, "asked")
        assert row.promised_until == START + timedelta(minutes=jolt().desk.promise_minutes)  # type: ignore[union-attr]
        assert count(uow, t.Handoff, t.Handoff.to_owner == "queued") == 1


def test_of_two_claims_the_second_is_told_who_won(store: Store) -> None:
    with store.write() as uow:
        talk, amy = taken(uow)
        bo = agent(uow, "bo")
        with pytest.raises(Conflict, match="Amy has taken this conversation"):
            handoff.claim(uow, conversation_id=talk, agent_id=bo, key="bo-takes", now=START)
        again = handoff.claim(uow, conversation_id=talk, agent_id=amy, key="another", now=START)
        assert again == handoff.claim(uow, conversation_id=talk, agent_id=amy, key="amy-takes", now=START)
        assert count(uow, t.Handoff, t.Handoff.to_owner == "human") == 1


def test_what_waits_for_the_bot_becomes_the_persons(store: Store) -> None:
    """A turn under way finds its message passed on, and says nothing."""
    with store.write() as uow:
        talk, amy = conversation(uow), agent(uow, "amy")
        one, two = (message(uow, talk, "hello?", seq=seq) for seq in (1, 2))
        uow.session.execute(update(t.Message).values(status="received"))
        handoff.queue_up(uow, pack=jolt(), conversation_id=talk, reason="asked", message_id=one, now=START)
        assert status(uow, one, two) == ["received", "relayed"]
        handoff.claim(uow, conversation_id=talk, agent_id=amy, key="k", now=START)
        assert status(uow, one, two) == ["relayed", "relayed"]


def status(uow: UnitOfWork, *ids: str) -> list[str]:
    """The state of messages."""
    found = dict(uow.session.execute(select(t.Message.id, t.Message.status)).all())
    return [found[each] for each in ids]


def test_only_who_has_it_may_pass_it_on(store: Store) -> None:
    with store.write() as uow:
        talk, _amy = taken(uow)
        bo = agent(uow, "bo")
        moves = {
            "release": lambda who: handoff.release(uow, conversation_id=talk, agent_id=who, key="r", now=START),
            "hand_back": lambda who: handoff.hand_back(
                uow, conversation_id=talk, agent_id=who, note="", key="b", now=START
            ),
            "resolve": lambda who: handoff.resolve(
                uow, conversation_id=talk, agent_id=who, note="", key="c", now=START
            ),
            "transfer": lambda who: handoff.transfer(
                uow, conversation_id=talk, agent_id=who, to_team="", key="t", now=START
            ),
            "speak": lambda who: handoff.speaks_for(uow, conversation_id=talk, agent_id=who),
            "snooze": lambda who: handoff.snooze(uow, conversation_id=talk, agent_id=who, until=None, now=START),
        }
        for move in moves.values():
            with pytest.raises(Conflict, match="Amy has this conversation now"):
                move(bo)
        assert uow.get(t.Conversation, talk).owner == "human"


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [("bot", "The bot has"), ("queued", "Nobody has taken"), ("closed", "was resolved. Take it again first")],
)
def test_what_nobody_has_cannot_be_worked_on(store: Store, owner: str, sentence: str) -> None:
    with store.write() as uow:
        talk, amy = conversation(uow), agent(uow, "amy")
        if owner != "bot":
            give(uow, talk, owner, key="before")
        for move in (
            lambda: handoff.speaks_for(uow, conversation_id=talk, agent_id=amy),
            lambda: handoff.resolve(uow, conversation_id=talk, agent_id=amy, note="", key="c", now=START),
        ):
            with pytest.raises(Conflict, match=sentence):
                move()
        assert uow.get(t.Conversation, talk).owner == owner


def test_released_it_keeps_its_place_and_what_is_known_of_it(store: Store) -> None:
    with store.write() as uow:
        first, second, amy = conversation(uow), conversation(uow), agent(uow, "amy")
        queue_up(uow, first, reason="anger")
        queue_up(uow, second, message_id="msg_2")
        handoff.claim(uow, conversation_id=first, agent_id=amy, key="a", now=START + timedelta(minutes=3))
        back = handoff.release(
            uow, conversation_id=first, agent_id=amy, key="r", now=START + timedelta(minutes=9), note="needs billing"
        )
        row = uow.get(t.Conversation, first)
        assert (back.position, back.note, row.priority, row.handed_over_at) == (1, "needs billing", "high", START)
        took = uow.session.execute(select(t.Handoff).where(t.Handoff.to_owner == "human")).scalar_one()
        assert took.waited_seconds == 180


def test_it_passes_to_a_colleague_of_the_brand_or_to_a_team(store: Store) -> None:
    with store.write() as uow:
        talk, amy = taken(uow)
        bo, elsewhere = agent(uow, "bo"), agent(uow, "zoe", brands=("smrtphone",))
        gone = agent(uow, "gus", active=False)

        def pass_on(who: str, **to: Any) -> HandoffView:
            return handoff.transfer(uow, conversation_id=talk, agent_id=who, key=f"{who}{to}", now=START, **to)

        for nobody in (elsewhere, gone, "agt_x"):
            with pytest.raises(Conflict, match="does not work for this brand"):
                pass_on(amy, to_agent_id=nobody)
        with pytest.raises(Conflict, match="Amy has this conversation already"):
            pass_on(amy, to_agent_id=amy)
        with pytest.raises(Conflict, match="one person, or a team"):
            pass_on(amy)
        assert pass_on(amy, to_agent_id=bo) == pass_on(amy, to_agent_id=bo)
        assert uow.get(t.Conversation, talk).agent_id == bo
        with pytest.raises(Conflict, match="no team"):
            pass_on(bo, to_team="billing")
        pass_on(bo, to_team="supervisor")
        row = uow.get(t.Conversation, talk)
        assert (row.owner, row.team, row.agent_id) == ("queued", "supervisor", None)
        pass_on(amy, to_agent_id=bo, note="yours")
        assert uow.get(t.Conversation, talk).team is None


def test_a_supervisor_may_pass_on_what_others_have(store: Store) -> None:
    with store.write() as uow:
        talk, _amy = taken(uow)
        sue, bo = agent(uow, "sue"), agent(uow, "bo")
        uow.get(t.Agent, sue).role = "supervisor"
        handoff.transfer(uow, conversation_id=talk, agent_id=sue, to_agent_id=bo, key="t", now=START)
        assert uow.get(t.Conversation, talk).agent_id == bo


def test_resolving_closes_and_settles_the_tickets_that_asked_for_a_person(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        amy, ticket = agent(uow, "amy"), ask(uow, talk)
        handoff.claim(uow, conversation_id=talk, agent_id=amy, key="a", now=START)
        change = handoff.resolve(uow, conversation_id=talk, agent_id=amy, note="explained", key="r", now=START)
        assert change == handoff.resolve(uow, conversation_id=talk, agent_id=amy, note="explained", key="r", now=START)
        row = uow.get(t.Conversation, talk)
        assert (row.owner, row.agent_id, row.handed_over_at) == ("closed", None, None)
        assert uow.get(t.Ticket, ticket.id).status == "resolved"


def test_what_people_settled_is_no_reason_to_fetch_them_again(store: Store) -> None:
    with store.write() as uow:
        talk, amy = conversation(uow), agent(uow, "amy")
        queue_up(uow, talk, reason="misses")
        assert handoff.settled_reasons(uow, talk) == frozenset()
        handoff.claim(uow, conversation_id=talk, agent_id=amy, key="a", now=START + timedelta(seconds=1))
        handoff.hand_back(uow, conversation_id=talk, agent_id=amy, note="", key="b", now=START + timedelta(seconds=2))
        assert handoff.settled_reasons(uow, talk) == {"misses"}


def test_other_brands_and_those_who_left_see_nothing(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        elsewhere, gone = agent(uow, "zoe", brands=("smrtphone",)), agent(uow, "gus", active=False)
        with pytest.raises(NotFound):
            handoff.claim(uow, conversation_id=talk, agent_id=elsewhere, key="a", now=START)
        with pytest.raises(Forbidden):
            handoff.claim(uow, conversation_id=talk, agent_id=gone, key="b", now=START)


def test_leaving_the_queue_gives_it_back_to_the_bot(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        queue_up(uow, talk)
        left = handoff.leave_queue(uow, conversation_id=talk, reason="changed_mind", key="l", now=START)
        assert left == handoff.leave_queue(uow, conversation_id=talk, reason="changed_mind", key="l", now=START)
        assert (left.actor, uow.get(t.Conversation, talk).owner) == ("customer", "bot")
        with pytest.raises(Conflict, match="does not wait"):
            handoff.leave_queue(uow, conversation_id=talk, reason="changed_mind", key="m", now=START)


def test_a_long_story_is_quoted_in_short(store: Store) -> None:
    with store.write() as uow:
        talk = conversation(uow)
        message(uow, talk, "my number\n\n" + "does not work " * 60, intent="complain")
        lines = summaries.summary(uow, talk).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("Wants: is not happy with the service; in their words: “my number does not work")
    assert len(lines[1]) < 260
