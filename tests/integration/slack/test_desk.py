"""Agents who answer in Slack: cards, threads, and what is the same on the web at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.channels.slack import words
from bot.conversation import history
from bot.conversation.messages import InboundMessage, Reply
from bot.errors import Conflict
from bot.policy.decision import Matter
from bot.services import agents, handoff, refunds
from bot.services.attachments import read_attachment, store_attachment
from bot.settings import Settings
from bot.store.tables import (
    Agent,
    Approval,
    Conversation,
    DeskThread,
    Handoff,
    Message,
    Note,
    Refund,
    TicketEvent,
)
from tests.fakes.brands import customer_id_of
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.fakes.slack_server import Person, Room, SlackServer, Trouble, anybody_pinged, choices, shown
from tests.integration.slack.conftest import Town, started
from tests.integration.slack.test_customers import NASTY, rows
from tests.unit.services.usecases import customer

DESK = "C0DESK"


@dataclass
class Counter:
    """The desk's room, two agents in it, and a customer of the widget who waits."""

    town: Town
    room: Room
    zoe: Person
    max: Person
    conversation_id: str

    def cards(self) -> list[dict[str, Any]]:
        return [m for m in self.room.messages if not m.get("thread_ts")]

    def thread(self) -> list[str]:
        return [shown(m) for m in self.room.messages if m.get("thread_ts")]

    async def card(self, part: str) -> dict[str, Any]:
        """The first card, once it says that."""
        found: dict[str, Any] = await self.town.server.until(
            lambda: next((c for c in self.cards()[:1] if part in shown(c)), None)
        )
        return found

    async def press(self, person: Person, title: str) -> None:
        message, action = person.choice(title, self.cards()[:1])
        await person.acts(message, action, room=self.room)

    async def fill_in(self, person: Person, title: str, note: str | None, cards: list[Any] | None = None) -> None:
        """Press a button that opens a form, and send it."""
        message, action = person.choice(title, self.cards()[:1] if cards is None else cards)
        view = await person.opened(lambda: person.acts(message, action, room=self.room))
        await person.submits(view, note=note)

    def uploads(self) -> list[dict[str, Any]]:
        """Files in the thread, as they arrived there."""
        found = [file for m in self.room.messages if m.get("thread_ts") for file in m.get("files", ())]
        return [self.town.server.files[file["id"]] for file in found]

    def attach(self, name: str, content: bytes) -> str:
        """A file of the customer's, kept with the conversation."""
        with self.town.app.store.write() as uow:
            kept = store_attachment(
                uow, conversation_id=self.conversation_id, filename=name, content=content,
                now=self.town.clock.now(), max_bytes=2**20, kinds=("text/plain", "image/png"),
            )  # fmt: skip
            uow.commit()
        return kept.id

    async def write(self, person: Person, text: str, **more: Any) -> None:
        await person.writes_in(DESK, text, thread=self.cards()[0]["ts"], **more)

    async def customer(self, text: str, *files: str) -> None:
        inbound = InboundMessage(self.conversation_id, "widget", f"w-{text}", text=text, attachment_ids=files)
        await self.town.app.gateway.receive(inbound)

    async def told(self, person: Person, part: str) -> None:
        await self.town.server.until(
            lambda: [e for e in self.town.server.ephemeral if e.get("user") == person.id and part in e["text"]]
        )

    def said(self, author: str) -> list[str]:
        return [row.text for row in rows(self.town, Message, author=author, conversation_id=self.conversation_id)]

    def owner(self) -> str:
        (row,) = rows(self.town, Conversation, id=self.conversation_id)
        return str(row.owner)


async def a_customer_waits(town: Town) -> Counter:
    """Ava asks for a person on the widget; Zoe and Max are agents of her brand."""
    zoe = town.server.person("U0ZOE", name="Zoe", email="zoe@desk.example")
    other = town.server.person("U0MAX", name="Max", email="max@desk.example")
    now = town.clock.now()
    with town.app.store.write() as uow:
        for name in ("zoe", "max"):
            uow.add(
                Agent(
                    id=f"agt_{name}", email=f"{name}@desk.example", name=name.title(), password_hash="-",
                    role="agent", brands=["joltsms"], created_at=now,
                )
            )  # fmt: skip
        opened = history.open_conversation(
            uow, brand="joltsms", channel="widget", external_id="web_1", greeting=[Reply("Hi.")], name="JoltSMS",
            now=now,
        )  # fmt: skip
        uow.get(Conversation, opened.id).customer_id = customer_id_of(uow, "ava@jolt.example")
        uow.commit()
    counter = Counter(town, town.server.room("T0EXAMPLE", DESK), zoe, other, opened.id)
    await counter.customer(NASTY)
    with town.app.store.write() as uow:
        message = uow.session.query(Message).filter_by(author="customer").one()
        handoff.queue_up(
            uow, pack=town.app.packs["joltsms"], conversation_id=opened.id, reason="asked", message_id=message.id,
            now=now,
        )  # fmt: skip
        uow.commit()
    await town.app.bus.publish("desk", opened.id)
    return counter


@pytest.fixture
async def counter(settings: Settings, clock: FakeClock) -> AsyncIterator[Counter]:
    server = SlackServer("socket")
    server.room("T0EXAMPLE", DESK)
    async with server.running(), started(settings, server, ScriptedEngine(), clock, rooms={"joltsms": DESK}) as town:
        yield await a_customer_waits(town)


async def test_a_card_says_who_why_and_how_soon_and_follows_in_place(counter: Counter) -> None:
    card = await counter.card("asked for a person")
    text = shown(card)
    for part in ("Ava Moreno", "JoltSMS", "widget", "Wants:", "Decided:", "First reply due in"):
        assert part in text
    assert [c["title"] for c in choices(card)] == ["Claim"]
    await counter.town.app.gateway.claim(counter.conversation_id, agent_id="agt_max", key="web")
    card = await counter.card("Max has it")
    assert [c["title"] for c in choices(card)] == ["Resolve", "Hand back"]
    assert len(counter.cards()) == 1
    assert anybody_pinged(counter.town.server) == []


async def test_the_first_to_claim_has_it_on_slack_and_on_the_web(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    with pytest.raises(Conflict, match="Zoe"):
        await counter.town.app.gateway.claim(counter.conversation_id, agent_id="agt_max", key="web")
    card, action = {"ts": counter.cards()[0]["ts"]}, {
        "action_id": "desk:claim", "block_id": "b", "type": "button", "text": {"type": "plain_text", "text": "Claim"},
        "value": counter.conversation_id,
    }  # fmt: skip
    await counter.max.acts(card, action, room=counter.room)
    await counter.told(counter.max, "Zoe")


async def test_the_thread_is_the_conversation_and_notes_stay_inside(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.write(counter.zoe, "// she has been here before")
    await counter.write(counter.zoe, "Hello Ava, this is Zoe & friends.")
    await counter.town.server.until(lambda: counter.said("agent") == ["Hello Ava, this is Zoe & friends."])
    assert [row.body for row in rows(counter.town, Note)] == ["she has been here before"]
    await counter.customer("thank you, Zoe")
    await counter.town.server.until(lambda: any("thank you, Zoe" in text for text in counter.thread()))
    assert not any("this is Zoe & friends" in text for text in counter.thread() if "Zoe\n" in text), "no echo"
    assert any(NASTY in text for text in counter.thread())
    assert anybody_pinged(counter.town.server) == []


async def test_who_has_not_claimed_it_says_nothing_to_the_customer(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.write(counter.max, "Hello?")
    await counter.told(counter.max, "The customer was not told this")
    assert counter.said("agent") == []


@pytest.mark.parametrize("how", ["nobody", "another brand", "deactivated", "guest"])
async def test_anybody_elses_buttons_do_nothing_but_say_so(counter: Counter, how: str) -> None:
    await counter.card("asked for a person")
    person = counter.zoe
    if how == "nobody":
        person = counter.town.server.person("U0EVE", name="Eve", email="eve@elsewhere.example")
    elif how == "guest":
        counter.town.server.workspaces["T0EXAMPLE"].users["U0ZOE"]["is_restricted"] = True
    else:
        with counter.town.app.store.write() as uow:
            agent = uow.get(Agent, "agt_zoe")
            agent.active = how != "deactivated"
            agent.brands = ["smrtphone"] if how == "another brand" else agent.brands
            uow.commit()
    await counter.press(person, "Claim")
    await counter.told(person, words.NO_AGENT[:40])
    await counter.write(person, "Hello")
    await counter.town.server.until(lambda: len(counter.town.server.ephemeral) == 2)
    assert (counter.owner(), counter.said("agent")) == ("queued", [])


async def test_an_agent_with_another_address_in_slack_is_linked(counter: Counter) -> None:
    await counter.card("asked for a person")
    counter.town.server.workspaces["T0EXAMPLE"].users["U0ZOE"]["profile"]["email"] = "z@private.example"
    with counter.town.app.store.write() as uow:
        now = counter.town.clock.now()
        for _ in range(2):
            agents.link_user(
                uow, agent_id="agt_zoe", channel="slack", channel_user="T0EXAMPLE/U0ZOE", actor="system", now=now
            )
        uow.commit()
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")


@pytest.mark.parametrize(
    ("button", "owner", "says"), [("Resolve", "closed", "Resolved"), ("Hand back", "bot", "Handed")]
)
async def test_it_ends_here_as_on_the_web_and_the_next_time_is_a_new_card(
    counter: Counter, button: str, owner: str, says: str
) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.fill_in(counter.zoe, button, None)
    card = await counter.card(says)
    assert counter.owner() == owner
    assert choices(card) == []
    await counter.town.server.until(lambda: all(row.closed_at for row in rows(counter.town, DeskThread)))
    with counter.town.app.store.write() as uow:
        handoff.change_owner(
            uow, conversation_id=counter.conversation_id, to_owner="bot" if owner == "closed" else "queued",
            reason="asked", actor="customer", note="", key="again", now=counter.town.clock.advance(minutes=1),
        )  # fmt: skip
        if owner == "closed":
            handoff.change_owner(
                uow, conversation_id=counter.conversation_id, to_owner="queued", reason="asked", actor="customer",
                note="", key="again2", now=counter.town.clock.advance(minutes=1),
            )  # fmt: skip
        uow.commit()
    await counter.town.app.bus.publish("desk", counter.conversation_id)
    await counter.town.server.until(lambda: len(counter.cards()) == 2)


async def test_what_waits_for_approval_is_decided_on_the_card_once(counter: Counter) -> None:
    app, now = counter.town.app, counter.town.clock.now()
    with app.store.write() as uow:
        dan = customer(uow, "dan")
        theirs = history.open_conversation(
            uow, brand="joltsms", channel="widget", external_id="web_dan", greeting=[], name="JoltSMS", now=now
        ).id
        uow.get(Conversation, theirs).customer_id = dan.customer_id
        handoff.change_owner(
            uow, conversation_id=theirs, to_owner="queued", reason="limit", actor="bot", note="", key="dan", now=now
        )
        refunds.request(
            uow, pack=app.packs["joltsms"], customer=dan, matter=Matter.NOT_RECEIVING, subscription_id="SUB-1004",
            conversation_id=theirs, key="dan", now=now,
        )  # fmt: skip
        uow.commit()
    await app.bus.publish("desk", theirs)

    def card() -> Any:
        return next((c for c in counter.cards() if "Dan" in shown(c) and choices(c)), None)

    shows = await counter.town.server.until(card)
    assert "USD 15.00 wait for a decision, by rule J-R3" in shown(shows)
    message, action = counter.zoe.choice("Approve as refund", [shows])
    eve = counter.town.server.person("U0EVE", email="eve@elsewhere.example")
    await eve.acts(message, action, room=counter.room)
    await counter.told(eve, words.NO_AGENT[:40])
    assert rows(counter.town, Refund) == []
    for person in (counter.zoe, counter.max):
        await person.acts(message, action, room=counter.room)
    await counter.town.server.until(lambda: "wait for a decision" not in shown(card()))
    (refund,) = rows(counter.town, Refund)
    assert refund.amount_minor == 1500
    await counter.fill_in(counter.max, "Deny", "too late", [message])
    await counter.told(counter.max, "decided before")
    told = [row for row in rows(counter.town, Message, conversation_id=theirs) if "decided on a refund" in row.text]
    assert len(told) == 1


async def test_two_who_claim_at_once_are_one_owner(counter: Counter) -> None:
    await counter.card("asked for a person")
    with contextlib.suppress(Conflict):
        await asyncio.gather(
            counter.press(counter.zoe, "Claim"),
            counter.press(counter.max, "Claim"),
            counter.town.app.gateway.claim(counter.conversation_id, agent_id="agt_max", key="web"),
        )
    await counter.card(" has it")
    assert counter.owner() == "human"


async def waits_for_approval(counter: Counter, *, conversation: bool) -> None:
    """Dan's refund, asked for while the bot has the conversation, or in none."""
    app, now = counter.town.app, counter.town.clock.now()
    with app.store.write() as uow:
        theirs = None
        if conversation:
            theirs = history.open_conversation(
                uow, brand="joltsms", channel="widget", external_id="web_dan", greeting=[], name="JoltSMS", now=now
            ).id
        refunds.request(
            uow, pack=app.packs["joltsms"], customer=customer(uow, "dan"), matter=Matter.NOT_RECEIVING,
            subscription_id="SUB-1004", conversation_id=theirs, key="dan", now=now,
        )  # fmt: skip
        uow.commit()
    await app.bus.publish("desk", "TCK")


@pytest.mark.parametrize("conversation", [True, False])
@pytest.mark.parametrize("where", ["here", "on the web"])
async def test_an_approval_without_a_handover_has_a_card_of_its_own(
    counter: Counter, conversation: bool, where: str
) -> None:
    await counter.card("asked for a person")
    await waits_for_approval(counter, conversation=conversation)

    def card() -> Any:
        return next((c for c in counter.cards() if "USD 15.00 for Dan" in shown(c)), None)

    text = shown(await counter.town.server.until(card))
    for part in ("Rule J-R3", "Policy 20", "The customer was told", "Decided from", "Investigation", "TCK-"):
        assert part in text, part
    if where == "here":
        await counter.zoe.acts(*counter.zoe.choice("Approve as credit", [card()]), room=counter.room)
    else:
        (approval,) = rows(counter.town, Approval)
        await counter.town.app.gateway.decide(approval.id, agent_id="agt_zoe", choice="credit", note="")
    await counter.town.server.until(lambda: "Approved as credit by Zoe" in shown(card()))
    assert choices(card()) == []
    assert len([c for c in counter.cards() if "for Dan" in shown(c)]) == 1
    told = [row for row in rows(counter.town, Message, author="bot") if "credit" in row.text]
    assert len(told) == (1 if conversation else 0)
    await counter.town.app.bus.publish("desk", "TCK")
    await counter.town.server.until(
        lambda: all(row.closed_at for row in rows(counter.town, DeskThread) if row.approval_id)
    )


async def test_a_denial_has_a_reason_and_is_refused_without(counter: Counter) -> None:
    await counter.card("asked for a person")
    await waits_for_approval(counter, conversation=True)
    (card,) = await counter.town.server.until(lambda: [c for c in counter.cards() if "for Dan" in shown(c)])
    await counter.fill_in(counter.zoe, "Deny", "  ", [card])  # Slack lets spaces pass
    await counter.told(counter.zoe, "Say in the note why")
    await counter.fill_in(counter.zoe, "Deny", "The log shows texts.", [card])
    await counter.town.server.until(lambda: [c for c in counter.cards() if "Denied by Zoe" in shown(c)])
    events = rows(counter.town, TicketEvent, kind="approval")
    assert [(row.actor, row.body) for row in events] == [("agt_zoe", "The log shows texts.")]
    assert rows(counter.town, Refund) == []


async def test_an_approval_on_the_card_of_its_conversation_has_no_other(counter: Counter) -> None:
    await counter.card("asked for a person")
    app, now = counter.town.app, counter.town.clock.now()
    with app.store.write() as uow:
        dan = customer(uow, "dan")
        uow.get(Conversation, counter.conversation_id).customer_id = dan.customer_id
        refunds.request(
            uow, pack=app.packs["joltsms"], customer=dan, matter=Matter.NOT_RECEIVING, subscription_id="SUB-1004",
            conversation_id=counter.conversation_id, key="dan", now=now,
        )  # fmt: skip
        uow.commit()
    await app.bus.publish("desk", "TCK")
    await counter.card("by rule J-R3 of policy")
    assert len(rows(counter.town, DeskThread)) == 1


async def test_what_was_done_and_what_the_bot_should_do_is_said_in_a_form(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.fill_in(counter.zoe, "Hand back", "cancel the subscription")
    await counter.card("Handed back to the bot by Zoe")
    (change,) = rows(counter.town, Handoff, to_owner="bot", conversation_id=counter.conversation_id)
    assert (change.actor, change.note) == ("agt_zoe", "cancel the subscription")


async def test_nobody_else_gets_a_form_and_one_that_comes_late_says_so(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    card = await counter.card("Zoe has it")
    eve = counter.town.server.person("U0EVE", email="eve@elsewhere.example")
    message, action = eve.choice("Resolve", [card])
    await eve.acts(message, action, room=counter.room)
    await counter.told(eve, words.NO_AGENT[:40])
    assert counter.town.server.views == {}
    counter.town.server.troubles["views.open"].append(Trouble(200))
    await counter.zoe.acts(message, action, room=counter.room)
    await counter.told(counter.zoe, "press the button again")
    await counter.fill_in(counter.zoe, "Resolve", "Sent a new SIM.")
    await counter.card("Resolved by Zoe")


async def test_files_go_both_ways(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.customer("this is what I see", counter.attach("log.txt", b"no texts"))
    await counter.town.server.until(lambda: any("this is what I see" in text for text in counter.thread()))
    (there,) = counter.uploads()
    assert (there["name"], there["content"]) == ("log.txt", b"no texts")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.write(counter.zoe, "Try this.", files=[{"name": "steps.txt", "content": b"1. restart"}])
    await counter.town.server.until(lambda: "Try this." in counter.said("agent"))
    (row,) = rows(counter.town, Message, author="agent")
    (file,) = row.attachments
    with counter.town.app.store.read() as uow:
        _, content = read_attachment(uow, file["id"], conversation_id=counter.conversation_id)
    assert (file["name"], content) == ("steps.txt", b"1. restart")


async def test_a_file_of_a_kind_that_the_brand_does_not_take_is_not_sent_to_the_customer(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.write(counter.zoe, "", files=[{"name": "tool.exe", "content": b"MZ\x90\x00\x03"}])
    await counter.told(counter.zoe, "tool.exe")
    await counter.write(counter.zoe, "// see this", files=[{"name": "a.txt", "content": b"a"}])
    await counter.told(counter.zoe, "A note has no files")
    assert counter.said("agent") == []


@pytest.mark.parametrize("trouble", [Trouble(500, times=5), Trouble(500, times=5, drop=True)])
async def test_a_file_that_slack_does_not_take_is_named_with_a_link(counter: Counter, trouble: Trouble) -> None:
    await counter.card("asked for a person")
    counter.town.server.troubles["files.getUploadURLExternal"].append(trouble)
    await counter.customer("look", counter.attach("log.txt", b"no texts"))
    link = f"/desk/conversations/{counter.conversation_id}"
    said = await counter.town.server.until(lambda: [t for t in counter.thread() if "log.txt could not be put" in t])
    assert len(said) == 1
    assert "look" in said[0]
    assert link in said[0]
    assert counter.uploads() == []


async def test_a_file_that_has_to_wait_comes_once_and_before_what_follows(counter: Counter) -> None:
    await counter.card("asked for a person")
    counter.town.server.troubles["files.completeUploadExternal"].append(Trouble(429, retry_after=1))
    await counter.customer("look", counter.attach("log.txt", b"no texts"))
    await counter.customer("and?")
    await counter.town.app.bus.publish("desk", "again")
    await counter.town.server.until(lambda: any("and?" in text for text in counter.thread()))
    assert len(counter.uploads()) == 1


async def test_what_a_process_left_half_done_is_not_done_twice(settings: Settings, clock: FakeClock) -> None:
    """It died after Slack had the card, the file and the message, and before it noted so."""
    server = SlackServer("socket")
    server.room("T0EXAMPLE", DESK)
    async with server.running():
        async with started(settings, server, ScriptedEngine(), clock, rooms={"joltsms": DESK}) as town:
            counter = await a_customer_waits(town)
            await counter.customer("look", counter.attach("log.txt", b"no texts"))
            await town.server.until(lambda: any("look" in text for text in counter.thread()))
            with town.app.store.write() as uow:
                uow.session.query(DeskThread).update({"thread": None, "shown": "", "last_seq": 1})
                uow.commit()
            before = [message["ts"] for message in counter.room.messages]
        async with started(settings, server, ScriptedEngine(), clock, rooms={"joltsms": DESK}) as town:
            counter.town = town
            await counter.customer("still there?")
            await town.server.until(lambda: any("still there?" in text for text in counter.thread()))
        fresh = [shown(m) for m in counter.room.messages if m["ts"] not in before]
        assert len(fresh) == 1, fresh


async def test_of_two_files_of_one_name_the_second_is_not_taken_for_the_first(
    settings: Settings, clock: FakeClock
) -> None:
    """It died after Slack had the first one's file, and before it had its message."""
    server = SlackServer("socket")
    server.room("T0EXAMPLE", DESK)
    async with server.running():
        async with started(settings, server, ScriptedEngine(), clock, rooms={"joltsms": DESK}) as town:
            counter = await a_customer_waits(town)
            await counter.customer("hello?")
            await server.until(lambda: any("hello?" in text for text in counter.thread()))
            server.troubles["chat.postMessage"].append(Trouble(429, retry_after=60, times=9))
            await counter.customer("look", counter.attach("log.txt", b"one"))
            await server.until(lambda: len(counter.uploads()) == 1)
            await counter.customer("and this", counter.attach("log.txt", b"two"))
        server.troubles.clear()
        async with started(settings, server, ScriptedEngine(), clock, rooms={"joltsms": DESK}) as town:
            counter.town = town
            await server.until(lambda: any("and this" in text for text in counter.thread()))
        assert len(counter.uploads()) == 2
        assert [sum(part in text for text in counter.thread()) for part in ("look", "and this")] == [1, 1]


async def test_what_the_customer_edited_or_deleted_is_told_in_the_thread(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.customer("my number is 0107")
    await counter.customer("it is the blue one")
    await counter.town.server.until(lambda: any("it is the blue one" in text for text in counter.thread()))
    gateway, at = counter.town.app.gateway, counter.town.clock.now()
    for _ in range(2):  # however often it is told
        await gateway.changed("widget", "w-my number is 0107", kind="edited", text="my number is 0108", at=at)
        await gateway.changed("widget", "w-it is the blue one", kind="deleted", text="", at=at)
    await counter.town.server.until(lambda: any("deleted" in text for text in counter.thread()))
    edited, deleted = [text for text in counter.thread() if "at 15:00 UTC what they had written" in text]
    assert edited == "Ava Moreno edited at 15:00 UTC what they had written (“my number is 0107”) to: my number is 0108"
    assert deleted == "Ava Moreno deleted at 15:00 UTC what they had written: “it is the blue one”"
    assert anybody_pinged(counter.town.server) == []


async def test_when_slack_says_to_wait_no_card_is_tried_before(counter: Counter) -> None:
    await counter.card("asked for a person")
    await waits_for_approval(counter, conversation=True)
    await counter.town.server.until(lambda: [c for c in counter.cards() if "for Dan" in shown(c)])
    counter.town.server.troubles["chat.update"].append(Trouble(429, retry_after=2))
    before = [method for method, _ in counter.town.server.calls].count("chat.update")
    began = time.monotonic()
    await counter.town.app.gateway.claim(counter.conversation_id, agent_id="agt_max", key="web")
    (approval,) = rows(counter.town, Approval)
    await counter.town.app.gateway.decide(approval.id, agent_id="agt_zoe", choice="credit", note="")
    await counter.card("Max has it")
    assert time.monotonic() - began >= 2
    await counter.town.server.until(lambda: [c for c in counter.cards() if "Approved as credit" in shown(c)])
    tried = [method for method, _ in counter.town.server.calls].count("chat.update") - before
    assert tried <= 4  # once in vain, and once or twice for each card


async def test_who_edits_what_was_said_to_the_customer_hears_that_it_stays_said(counter: Counter) -> None:
    await counter.card("asked for a person")
    await counter.press(counter.zoe, "Claim")
    await counter.card("Zoe has it")
    await counter.write(counter.zoe, "It costs USD 15.")
    await counter.write(counter.zoe, "// she is kind")
    await counter.town.server.until(lambda: rows(counter.town, Note) and counter.said("agent"))
    mine = [m for m in counter.room.messages if m["user"] == "U0ZOE"]
    await counter.zoe.edits(mine[1]["ts"], mine[1]["text"], "// she is very kind", room=DESK)
    await counter.zoe.edits(mine[0]["ts"], mine[0]["text"], "It costs USD 10.", room=DESK)
    await counter.told(counter.zoe, "as you first wrote it")
    assert len([e for e in counter.town.server.ephemeral if "as you first wrote it" in e["text"]]) == 1
    assert counter.said("agent") == ["It costs USD 15."]
