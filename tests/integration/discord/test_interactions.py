"""Commands, forms and what is only for one person's eyes: acknowledged in time, checked, answered in private."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update

from bot.app import App
from bot.channels.discord.reception import _STORE_SECONDS
from bot.conversation.engine import DialogueState, EngineReply, EngineResult, EngineTurn
from bot.conversation.messages import Reply
from bot.dialogue.asking import Asking, Expect, FlowState
from bot.services import agents, handoff
from bot.store.tables import Conversation, Delivery
from tests.fakes.clock import FakeClock
from tests.fakes.discord_rules import File
from tests.fakes.discord_server import ACKNOWLEDGE_SECONDS, DiscordServer
from tests.fakes.engine import ScriptedEngine, said
from tests.integration.discord.conftest import Starts, messages


def asks(text: str, *expects: Expect, step: str = "code", flow: str = "cancel") -> EngineResult:
    """A result that leaves a question of a flow open."""
    front = FlowState(flow, "m1", asking=Asking(step, expects))
    state = DialogueState({"version": 1, "slots": {"flows": [front.to_json()]}, "loop": None})
    return EngineResult((EngineReply(text=text),), state, (), "inform", 1.0)


def in_server(server: DiscordServer) -> tuple[Any, Any, Any]:
    """Two people and a server that has the bot."""
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    return ava, bob, server.add_guild("Jolt", ava, bob)


async def test_commands_on_a_server_are_answered_for_one_pair_of_eyes(server: DiscordServer, starts: Starts) -> None:
    ava, bob, guild = in_server(server)
    async with starts(server, guilds={guild.id: "joltsms"}, brand=None):
        assert {c["name"] for c in server.commands} == {"support", "cancel", "refund", "ticket", "human", "unlink"}
        asked = await ava.command("cancel", guild, about="the number ending 0107")
        await ava.hears("You said: I want to cancel the number ending 0107", guild)
        assert asked.response == 5
        await ava.command("refund", guild, file=File("virus.exe", b"MZ\x90\0"))
        await ava.hears("You said: I want my money back", guild)
        await ava.hears("We cannot take this kind of file", guild)  # beside the answer, in either order
        assert bob.heard(guild) == []
        assert ava.heard() == []


async def test_in_direct_messages_commands_are_answered_there(server: DiscordServer, starts: Starts) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.command("ticket", about="no texts", file=File("log.txt", b"nothing came\n"))
        await ava.hears("You said: I want to report a problem: no texts")
        (asked,) = [m for m in messages(app) if m.author == "customer"]
        assert [a["name"] for a in asked.attachments] == ["log.txt"]


async def test_a_code_is_entered_in_a_form_that_survives_a_restart(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine
) -> None:
    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said("Thank you") if turn.text == "123 456" else asks("Which code did you get?", Expect.CODE)

    scripted.script = script
    ava, bob, guild = in_server(server)
    async with starts(server, guilds={guild.id: "joltsms"}):
        await ava.command("support", guild)
        await ava.hears("Which code", guild)
    async with starts(server, guilds={guild.id: "joltsms"}):
        form = await ava.press("Enter the code", guild)
        assert form.modal is not None
        assert form.modal["title"] == "Confirm that it is you"
    async with starts(server, guilds={guild.id: "joltsms"}):
        await ava.fill_in(form, code="123 456")
        await ava.hears("Thank you", guild)
        assert bob.heard(guild) == []
        await ava.press("Write an answer", guild)  # nobody can type unseen on a server


async def test_the_investigation_is_one_form(server: DiscordServer, starts: Starts, scripted: ScriptedEngine) -> None:
    steps = iter(["description", "since", "attachments"])
    texts: list[tuple[str, int]] = []

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        texts.append((turn.text, len(turn.metadata["attachments"])))
        step = next(steps, None)
        return asks(f"Tell {step}", Expect.TEXT, step=step, flow="not_receiving") if step else said("Opened")

    scripted.script = script
    ava = server.add_person("Ava")
    async with starts(server):
        await ava.write("my number gets no texts")
        await ava.hears("Tell description")
        form = await ava.press("Fill in the form")
        await ava.fill_in(form, File("log.txt", b"empty\n"), what_goes_wrong="Nothing arrives", since_when="Monday")
        await ava.hears("Opened")
        assert "Tell since" not in ava.text(), "what the form has answered is not asked"
        await ava.fill_in(form, what_goes_wrong="Again", since_when="Monday")
        await ava.hears("no longer open")
        assert texts == [("my number gets no texts", 0), ("Nothing arrives", 0), ("Monday", 0), ("", 1)]


async def test_what_could_not_be_stored_is_said_and_can_be_done_again(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.script = with_a_button
    ava, _, guild = in_server(server)
    async with starts(server, guilds={guild.id: "joltsms"}) as app:
        await ava.command("support", guild)
        await ava.hears("Heard", guild)
        with monkeypatch.context() as broken:
            broken.setattr(app.gateway, "accept", _fails)
            clicked = await ava.press("Go on", guild)
            await server.until(lambda: "try that again" in " ".join(clicked.texts))
            asked = await ava.command("refund", guild)
            await server.until(lambda: "try that again" in " ".join(asked.texts))
        await ava.press("Go on", guild)
        await ava.hears("Heard goon", guild)
        assert [m.text for m in messages(app) if m.author == "customer"] == ["Hello", "Go on"]


@pytest.mark.parametrize("recorded", ["pending", "delivered"])
async def test_a_click_while_nobody_listens_is_asked_for_again_once(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine, clock: FakeClock, recorded: str
) -> None:
    """Discord shows that it failed, and never says it to the next session. `recorded` is what a process that died knew
    of the buttons' message, which had arrived.
    """
    scripted.script = with_a_button
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    async with starts(server) as app:
        for person in (bob, ava):
            await person.write("hello")
            await person.hears("Heard")
            clock.advance(minutes=10)
    with app.store.write() as uow:
        uow.session.execute(update(Delivery).values(status=recorded, attempts=1))
        uow.commit()
    clock.advance(minutes=1)  # Bob was asked 21 minutes ago
    server.gateway.sessions.clear()
    server.acknowledge_within = -0.7
    with pytest.raises(AssertionError, match="did not respond"):
        await ava.press("Go on")
    server.acknowledge_within = 20.0
    for _ in range(2):
        async with starts(server):
            await ava.hears("press it again")
            await server.until(lambda: not server.gateway.sessions or server.gateway.connected)
        clock.advance(minutes=1)
    async with starts(server) as app:
        await ava.press("Go on")
        await ava.hears("Heard goon")
        assert [m.text for m in messages(app) if m.author == "customer"].count("Go on") == 1
    assert ava.text().count("press it again") == 1
    assert "press it again" not in bob.text()


async def test_a_click_during_a_cut_is_done_once_when_the_session_resumes(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine
) -> None:
    scripted.script = with_a_button
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.write("hello")
        await ava.hears("Heard")
        server.gateway.cut()
        await server.until(lambda: not server.gateway.connected)
        await ava.press("Go on")
        await ava.hears("Heard goon")
        assert server.gateway.resumed >= 1
        assert [m.text for m in messages(app) if m.author == "customer"] == ["hello", "Go on"]
        assert "press it again" not in ava.text()


async def with_a_button(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
    """Says what it heard, with something to press."""
    return said(f"Heard {turn.intent}", buttons=({"title": "Go on", "payload": {"intent": "goon"}},))


async def _fails(*_: Any, **__: Any) -> Any:
    raise OSError("the disk is full")


async def test_an_interaction_is_acknowledged_in_time_however_slow_the_database_is(
    server: DiscordServer, starts: Starts
) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        free, held = threading.Event(), threading.Event()

        def hold() -> None:
            with app.store.write():
                held.set()
                free.wait(10)

        holding = threading.Thread(target=hold)
        holding.start()
        held.wait(10)
        asked = await ava.command("human")  # the write lock is taken all the while
        assert asked.response == 5
        assert not free.is_set()
        assert _STORE_SECONDS < ACKNOWLEDGE_SECONDS / 2 + 0.1
        free.set()
        holding.join()
        await ava.hears("You said: I want to talk to a person")


async def test_an_interaction_that_ran_out_is_answered_directly(server: DiscordServer, starts: Starts) -> None:
    ava, _, guild = in_server(server)
    async with starts(server, guilds={guild.id: "joltsms"}):
        server.fail("POST /interactions/.*/callback", 404, body={"code": 10062, "message": "Unknown interaction"})
        server.acknowledge_within = -0.7  # people wait one second more
        with pytest.raises(AssertionError, match="did not respond"):
            await ava.command("refund", guild)
        await ava.hears("You said: I want my money back")
        assert ava.heard(guild) == []


async def test_a_person_takes_over_and_their_answer_comes_directly(server: DiscordServer, starts: Starts) -> None:
    ava, _, guild = in_server(server)
    async with starts(server, guilds={guild.id: "joltsms"}) as app:
        await ava.command("human", guild)
        await ava.hears("You said", guild)
        conversation_id = _hand_over(app)
        silent = await ava.command("support", guild, about="are you there?")
        await server.until(lambda: "with our team" in " ".join(silent.texts))
        await app.gateway.say(conversation_id, [Reply("[Hello](https://x.example) @here")], author="agent", name="Mo")
        await ava.hears("**Mo:**")
        assert r"\[Hello\]" in ava.text()


def _hand_over(app: App) -> str:
    """A person has the conversation; its id."""
    now = app.clock.now()
    with app.store.write() as uow:
        conversation_id = str(uow.session.query(Conversation.id).filter_by(channel="discord").scalar())
        agent = agents.ensure_demo_agent(uow, password="a long enough one", brands=["joltsms"], now=now)
        for owner, agent_id in (("queued", None), ("human", agent.id)):
            handoff.change_owner(
                uow,
                conversation_id=conversation_id,
                to_owner=owner,
                reason="asked",
                actor="customer",
                note="",
                agent_id=agent_id,
                key=owner,
                now=now,
            )
        uow.commit()
        return conversation_id


async def test_with_several_brands_the_right_one_is_asked_for(server: DiscordServer, starts: Starts) -> None:
    ava, _, guild = in_server(server)
    async with starts(server, brand=None) as app:
        await ava.write("hello")
        await ava.hears("Which company")
        await ava.press("smrtPhone")
        await ava.hears("You said: hello")
        await ava.write("again")
        await ava.hears("You said: again")
        nowhere = await ava.command("support", guild)
        await server.until(lambda: nowhere.texts)
        assert "use the command again" in nowhere.texts[0]
        await ava.command("support", guild, brand="joltsms")
        await ava.hears("You said: Hello", guild)
        with app.store.read() as uow:
            brands = {row.brand for row in uow.session.query(Conversation).filter_by(channel="discord")}
        assert brands == {"smrtphone", "joltsms"}
        gone = await ava.command("unlink")
        await server.until(lambda: gone.texts)
        assert gone.texts == ["You are not linked to any account here."]
