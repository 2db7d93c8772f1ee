"""People in conversations: one owner at every moment, each thing said once, and the customer told what happens."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.dialogue.waiting_room import choices
from bot.errors import Conflict, InvalidInput, TooLarge
from bot.services import csat, handoff
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock
from tests.fakes.engine import echo
from tests.unit.conversation.test_gateway import Door
from tests.unit.services.usecases import agent, all_packs


@pytest.fixture
def door(sqlite_store: Store, clock: FakeClock) -> Door:
    """A gateway with one conversation."""
    return Door(sqlite_store, all_packs(), clock)


def hire(door: Door, *names: str) -> list[str]:
    """People of the conversation's brand."""
    with door.store.write() as uow:
        ids = [agent(uow, name) for name in names]
        uow.commit()
    return ids


def wait_for_a_person(door: Door, message_id: str = "msg_1") -> None:
    """Put the conversation into the queue, as the bot does when it is asked to."""
    with door.store.write() as uow:
        handoff.queue_up(
            uow,
            pack=door.packs["joltsms"],
            conversation_id=door.conversation_id,
            reason="asked",
            message_id=message_id,
            now=door.clock.now(),
        )
        uow.commit()


def press(door: Door, title: str) -> str:
    """The id of the button with that title that was shown last."""
    return next(b.id for m in reversed(door.messages()) for b in m.buttons if b.title == title)


async def test_a_person_takes_over_talks_and_settles_it(door: Door) -> None:
    (amy,) = hire(door, "amy")

    wait_for_a_person(door)
    assert (await door.say("hello?")).replies == ()
    change = await door.gateway.claim(door.conversation_id, agent_id=amy, key="c1")
    assert change == await door.gateway.claim(door.conversation_id, agent_id=amy, key="c1")
    assert (await door.say("are you a person?")).replies == ()
    first = await door.gateway.agent_says(door.conversation_id, agent_id=amy, text=" Yes, Amy. ", key="m1")
    assert first == await door.gateway.agent_says(door.conversation_id, agent_id=amy, text="Yes, Amy.", key="m1")
    assert (first.author, first.name, first.text) == ("agent", "Amy", "Yes, Amy.")
    await door.gateway.resolve(door.conversation_id, agent_id=amy, note="", key="r1")
    await door.gateway.resolve(door.conversation_id, agent_id=amy, note="", key="r1")
    assert [reply.text for reply in (await door.say("one more thing")).replies] == ["You said: one more thing"]

    assert door.texts() == [
        "hello?",
        "Amy is here now and can read everything said so far.",
        "are you a person?",
        "Yes, Amy.",
        "Amy has marked this as settled. How was it? If anything is still open, just write.",
        "one more thing",
        "You said: one more thing",
    ]


async def test_while_somebody_waits_the_bot_says_how_long_and_lets_them_change_their_mind(door: Door) -> None:
    wait_for_a_person(door)
    place = (await door.say("how long will it take?")).replies
    assert place[0].text.startswith("You are number 1 in the queue. It usually takes about 5 minutes")
    assert (await door.say("my number is broken")).replies == ()
    back = (await door.say("ok, never mind")).replies
    assert back[0].text.startswith("All right, nobody will be fetched.")
    assert door.row().owner == "bot"
    assert (await door.say("hi")).replies[0].text == "You said: hi"


async def test_after_the_promised_time_the_customer_chooses(door: Door) -> None:
    wait_for_a_person(door)
    assert await door.gateway.keep_promises() == 0
    door.clock.advance(minutes=5)
    assert await door.gateway.keep_promises() == 1
    assert await door.gateway.keep_promises() == 0
    titles = [button.title for button in door.messages()[-1].buttons]
    assert titles == [button["title"] for button in choices()]
    stay = await door.say("", button_id=press(door, "Keep waiting"))
    assert stay.replies[0].text.startswith("All right, thank you. You are number 1")
    door.clock.advance(minutes=5)
    assert await door.gateway.keep_promises() == 1
    by_email = await door.say("", button_id=press(door, "Answer me by e-mail"))
    assert [reply.text for reply in by_email.replies] == ["You said: Answer me by e-mail"]  # the bot takes it up
    assert door.row().owner == "bot"


def tickets(door: Door) -> list[tuple[str, str | None]]:
    """The tickets of the conversation: their kind, and where the answer goes."""
    with door.store.read() as uow:
        found = uow.session.execute(select(t.Ticket).where(t.Ticket.conversation_id == door.conversation_id))
        return [(ticket.kind, ticket.contact_email) for ticket in found.scalars()]


async def asked_how_to_go_on(door: Door) -> None:
    """Somebody waits longer than promised and is asked."""
    wait_for_a_person(door)
    door.clock.advance(minutes=5)
    assert await door.gateway.keep_promises() == 1
    assert "within 30 minutes" in door.messages()[-1].text


async def test_who_does_not_choose_gets_a_case_and_the_bot_back_once(door: Door) -> None:
    """However often, and by however many processes, it is looked at."""
    await asked_how_to_go_on(door)
    door.clock.advance(minutes=29)
    assert await door.gateway.keep_promises() == 0
    door.clock.advance(minutes=1)
    assert sum(await asyncio.gather(*(door.gateway.keep_promises() for _ in range(4)))) == 1
    told = door.messages()[-1].text
    assert told.startswith("I didn't hear from you, so I have ended the waiting.")
    assert "TCK-" in told
    assert tickets(door) == [("handoff", None)]
    assert (door.row().owner, door.row().choose_until) == ("bot", None)
    assert (await door.say("hello?")).replies[0].text == "You said: hello?"
    door.clock.advance(hours=5)
    assert await door.gateway.keep_promises() == 0
    with door.store.read() as uow:
        changes = uow.session.execute(select(t.Handoff.reason).where(t.Handoff.to_owner == "bot")).scalars().all()
    assert changes == ["no_answer"]


async def test_who_writes_on_is_there_and_waits_on(door: Door) -> None:
    await asked_how_to_go_on(door)
    door.clock.advance(minutes=20)
    await door.say("my number is still dead")
    door.clock.advance(minutes=20)
    assert await door.gateway.keep_promises() == 0
    door.clock.advance(minutes=10)
    assert await door.gateway.keep_promises() == 1
    assert door.row().owner == "bot"


async def test_who_is_taken_in_time_gets_no_case(door: Door) -> None:
    (amy,) = hire(door, "amy")
    await asked_how_to_go_on(door)
    door.clock.advance(minutes=29)
    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c1")
    door.clock.advance(hours=1)
    assert await door.gateway.keep_promises() == 0
    assert tickets(door) == []
    assert door.row().owner == "human"


async def test_who_is_put_back_into_the_queue_is_asked_too(door: Door) -> None:
    """Nobody waits without end because the person who had them is gone."""
    (amy,) = hire(door, "amy")
    wait_for_a_person(door)
    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c1")
    await door.gateway.release(door.conversation_id, agent_id=amy, key="r1")
    assert await door.gateway.keep_promises() == 0
    door.clock.advance(minutes=5)
    assert await door.gateway.keep_promises() == 1
    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c2")
    await door.gateway.release(door.conversation_id, agent_id=amy, key="r1")  # an old form again changes nothing
    assert (door.row().owner, door.row().promised_until) == ("human", None)


async def test_a_turn_under_way_says_nothing_once_a_person_has_taken_over(door: Door) -> None:
    """The customer's message reaches the person instead."""
    (amy,) = hire(door, "amy")

    async def claimed_meanwhile(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        await door.gateway.claim(door.conversation_id, agent_id=amy, key="c1")
        return await echo(turn, state)

    door.engine.script = claimed_meanwhile

    assert (await door.say("cancel my number")).replies == ()

    assert door.texts() == ["cancel my number", "Amy is here now and can read everything said so far."]
    with door.store.read() as uow:
        relayed = select(t.Message.status).where(t.Message.author == "customer")
        assert uow.session.execute(relayed).scalar_one() == "relayed"
        assert uow.get(t.Conversation, door.conversation_id).unanswered_since is not None


async def test_two_people_cannot_both_take_it(door: Door) -> None:
    amy, bo = hire(door, "amy", "bo")

    wait_for_a_person(door)
    results = await asyncio.gather(
        door.gateway.claim(door.conversation_id, agent_id=amy, key="a"),
        door.gateway.claim(door.conversation_id, agent_id=bo, key="b"),
        return_exceptions=True,
    )

    refused = [str(result) for result in results if isinstance(result, Conflict)]
    assert len(refused) == 1
    assert refused[0] in ("Amy has taken this conversation.", "Bo has taken this conversation.")


async def test_what_cannot_be_said_changes_nothing(door: Door) -> None:
    (amy,) = hire(door, "amy")

    says = door.gateway.agent_says
    with pytest.raises(Conflict, match="The bot has this conversation"):
        await says(door.conversation_id, agent_id=amy, text="hi", key="1")
    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c")
    with pytest.raises(InvalidInput):
        await says(door.conversation_id, agent_id=amy, text=" \n", key="2")
    with pytest.raises(TooLarge):
        await says(door.conversation_id, agent_id=amy, text="x" * 10_000_000, key="3")
    await door.gateway.resolve(door.conversation_id, agent_id=amy, note="", key="r")
    said = door.texts()
    with pytest.raises(Conflict, match="This conversation was resolved"):
        await says(door.conversation_id, agent_id=amy, text="too late", key="4")
    assert door.texts() == said


async def test_a_tap_rates_and_a_later_one_counts(door: Door) -> None:
    """Also while people have the conversation again; the bot stays silent then."""
    (amy,) = hire(door, "amy")

    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c")
    await door.gateway.resolve(door.conversation_id, agent_id=amy, note="", key="r")
    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c2")
    assert (await door.say("", button_id=press(door, "2 – Poor"))).replies == ()
    assert (await door.say("", button_id=press(door, "5 – Great"))).replies == ()

    with door.store.read() as uow:
        (rating,) = csat.ratings(uow, brand="joltsms", since=door.clock.now())
    assert (rating.score, rating.agent_id) == (5, amy)


async def test_everybody_who_looks_on_hears_of_it(door: Door) -> None:
    (amy,) = hire(door, "amy")

    async with door.bus.listen(door.conversation_id) as chat, door.bus.listen("desk") as desk:
        wait_for_a_person(door)
        await door.say("hello?")
        await door.gateway.claim(door.conversation_id, agent_id=amy, key="c")
        await door.gateway.agent_typing(door.conversation_id, amy)
        await door.gateway.customer_typing(door.conversation_id)
        await door.gateway.customer_read(door.conversation_id, 2)
        heard = _all(chat), _all(desk)

    chat, desk_heard = heard
    assert chat == {"message", "state", "agent-typing", "customer-typing"}
    assert desk_heard == {door.conversation_id}
    assert door.row().customer_read_seq == 2


def _all(queue: asyncio.Queue[str]) -> set[str]:
    return {queue.get_nowait() for _ in range(queue.qsize())}


async def test_somebody_handed_back_hears_of_it(door: Door) -> None:
    (amy,) = hire(door, "amy")

    await door.gateway.claim(door.conversation_id, agent_id=amy, key="c")
    await door.gateway.hand_back(door.conversation_id, agent_id=amy, note="cancel it for her", key="b")
    assert (await door.say("ok")).replies[0].text == "You said: ok"

    assert "Amy has handed you back to the assistant. Just write what you need." in door.texts()
    with door.store.read() as uow:
        back = uow.session.execute(select(t.Handoff).where(t.Handoff.to_owner == "bot")).scalar_one()
    assert back.note == "cancel it for her"
