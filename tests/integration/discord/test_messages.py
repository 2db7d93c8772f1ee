"""Direct messages, and messages on a server: in once and in order, out in Discord's shape."""

from __future__ import annotations

import asyncio

import pytest

from bot.channels.arrivals import keep_file
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.messages import Reply
from bot.services.attachments import store_attachment
from bot.store.tables import MessageChange
from tests.fakes.discord_rules import File
from tests.fakes.discord_server import DiscordServer
from tests.fakes.engine import ScriptedEngine, said
from tests.integration.discord.conftest import Starts, answers, deliveries, messages

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


async def test_direct_messages_are_answered_in_order_and_only_once(server: DiscordServer, starts: Starts) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        first = await ava.write("one")
        await ava.write("two")
        await ava.again(first)
        await ava.write("three")
        await ava.hears("You said: three")
        assert answers(ava) == ["You said: one", "You said: two", "You said: three"]
        assert len([m for m in messages(app) if m.author == "customer"]) == 3
        await server.until(lambda: {status for _, status in deliveries(app)} == {"delivered"})


async def test_a_long_answer_comes_in_parts_and_pings_nobody(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine
) -> None:
    long = "@everyone " + " ".join(f"Sentence {n} is here." for n in range(200)) + "\n```\n@here x\n```"

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said(long)

    scripted.script = script
    ava = server.add_person("Ava")
    async with starts(server):
        await ava.write("@everyone <@&1> tell me")
        await ava.hears("@here x")
        parts = ava.heard()
        assert len(parts) > 1
        assert all(part["flags"] & 1 << 2 for part in parts)  # no previews of links
        assert server.notified == []


async def test_buttons_are_pressed_once_each_by_whom_they_are_for(
    server: DiscordServer, starts: Starts, scripted: ScriptedEngine
) -> None:
    few = tuple({"title": f"Choice {n}", "payload": {"intent": f"wish{n}"}} for n in range(3))
    many = tuple({"title": f"Number {n}", "payload": {"intent": f"number{n}"}} for n in range(8))

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said(f"Heard {turn.intent}", buttons=many if turn.intent == "wish1" else few)

    scripted.script = script
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    async with starts(server):
        await ava.write("hello")
        await ava.hears("Heard")
        await ava.press("Choice 1")
        await ava.hears("Heard wish1")
        message, component, value = ava.find("Number 7")
        assert component["type"] == 3  # many are a list
        stolen = await bob.use(message, component, value)
        await server.until(lambda: stolen.texts)
        assert "somebody else" in stolen.texts[0]
        await ava.use(message, component, value)
        await ava.hears("Heard number7")
        assert [turn.intent for turn in scripted.asked][1:] == ["wish1", "number7"]


async def test_buttons_work_after_a_restart(server: DiscordServer, starts: Starts, scripted: ScriptedEngine) -> None:
    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said(f"Heard {turn.intent}", buttons=({"title": "Go on", "payload": {"intent": "goon"}},))

    scripted.script = script
    ava = server.add_person("Ava")
    async with starts(server):
        await ava.write("hello")
        await ava.hears("Heard")
    async with starts(server):
        await ava.press("Go on")
        await ava.hears("Heard goon")


async def test_files_come_in_within_limits(server: DiscordServer, starts: Starts, scripted: ScriptedEngine) -> None:
    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said(f"{len(turn.metadata['attachments'])} files with “{turn.text}”")

    scripted.script = script
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.write("look", File("a.png", PNG), File("b.txt", b"log line\n"), File("c.exe", b"MZ\x90\0"))
        await ava.hears("2 files with “look”")
        assert "We cannot take this kind of file" in ava.text()
        await ava.write("", File("big.png", PNG + b"\0" * 6_000_000))
        await ava.hears("the most we can take is")
        (stored,) = [m for m in messages(app) if m.author == "customer"]
        assert [a["name"] for a in stored.attachments] == ["a.png", "b.txt"]


async def test_no_more_files_are_kept_than_people_have(
    server: DiscordServer, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(keep_file.__kwdefaults__, "per_hour", 1)
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.write("look", File("a.png", PNG), File("b.png", PNG))
        await ava.hears("That is a lot of files in one hour")
        await ava.hears("You said: look")
        (stored,) = [m for m in messages(app) if m.author == "customer"]
        assert [a["name"] for a in stored.attachments] == ["a.png"]


@pytest.mark.parametrize("refused", [True, False])
async def test_files_of_an_agent_come_and_without_them_their_words_do(
    server: DiscordServer, starts: Starts, refused: bool
) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.write("hello")
        await ava.hears("You said: hello")
        conversation_id = messages(app)[0].conversation_id
        with app.store.write() as uow:
            kept = store_attachment(
                uow, conversation_id=conversation_id, filename="steps.txt", content=b"1. restart",
                now=app.clock.now(), max_bytes=2**20, kinds=("text/plain",),
            )  # fmt: skip
            uow.commit()
        if refused:
            server.fail("POST /channels/.*/messages", 413, body={"code": 40005, "message": "Request entity too large"})
        file = {"id": kept.id, "name": kept.name, "media_type": kept.media_type, "size": kept.size}
        await app.gateway.say(conversation_id, [Reply("Try this.", attachments=(file,))], author="agent", name="Zoe")
        await ava.hears("did not take steps.txt" if refused else "Try this.")
        sent = [each["filename"] for message in ava.heard() for each in message["attachments"]]
        assert sent == ([] if refused else ["steps.txt"])
        assert ava.text().count("Try this.") == 1
        await server.until(lambda: {status for _, status in deliveries(app)} == {"delivered"})


async def test_on_a_server_only_what_is_general_is_said_in_public(server: DiscordServer, starts: Starts) -> None:
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    guild = server.add_guild("Jolt", ava, bob)
    async with starts(server, guilds={guild.id: "joltsms"}):
        await ava.write("not for the bot", guild=guild)
        await ava.write(f"<@{server.me['id']}> how do I cancel?", guild=guild)
        await ava.hears("You said: how do I cancel?", guild)
        assert "how do I cancel?" in bob.text(guild)
        assert len(server.guilds[guild.id].channel.messages) == 3


async def test_messages_written_while_nobody_listened_are_found(server: DiscordServer, starts: Starts) -> None:
    ava = server.add_person("Ava")
    async with starts(server):
        await ava.write("one")
        await ava.hears("You said: one")
    await ava.write_unheard("two")
    await ava.write_unheard("three")
    async with starts(server):
        await ava.hears("You said: three")
        assert answers(ava) == ["You said: one", "You said: two", "You said: three"]


async def test_connections_come_and_go_and_nothing_is_lost_or_doubled(server: DiscordServer, starts: Starts) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        await ava.write("one")
        server.gateway.cut()
        await ava.write("two")
        await ava.hears("You said: two")
        await server.gateway.invalidate(resumable=False)
        await ava.write_unheard("three")  # between two sessions
        await server.until(lambda: server.gateway.identified == 2)
        await ava.hears("You said: three")
        await ava.write("four")
        await ava.hears("You said: four")
        assert [m.text for m in messages(app) if m.author == "customer"] == ["one", "two", "three", "four"]
        assert len(answers(ava)) == 4


async def test_refusals_and_failures_of_discord(server: DiscordServer, starts: Starts) -> None:
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    async with starts(server) as app:
        body = {"message": "You are being rate limited.", "retry_after": 0.05, "global": True}
        server.fail("POST /channels/.*/messages", 429, body=body, times=2)
        await ava.write("one")
        await ava.hears("You said: one")
        server.fail("POST /channels/.*/messages", 503, after=True)  # it arrived, and we are not told
        await ava.write("two")
        await server.until(lambda: [s for _, s in deliveries(app)].count("delivered") == 3)  # the greeting, too
        assert answers(ava) == ["You said: one", "You said: two"]
        bob.closed_to_bots = True
        await bob.write("hello")
        await server.until(lambda: "failed" in {status for _, status in deliveries(app)})
        await asyncio.sleep(0)
        assert bob.heard() == []


async def test_edits_and_deletions_are_noted_and_change_nothing(server: DiscordServer, starts: Starts) -> None:
    ava = server.add_person("Ava")
    async with starts(server) as app:
        sent = await ava.write("cancel it")
        await ava.hears("You said: cancel it")
        await ava.edit(sent, "do not cancel it")
        await ava.delete(sent)

        def noted() -> list[tuple[str, str]]:
            with app.store.read() as uow:
                return [(row.kind, row.text) for row in uow.session.query(MessageChange).order_by(MessageChange.id)]

        await server.until(lambda: len(noted()) == 2)
        assert sorted(noted()) == [("deleted", ""), ("edited", "do not cancel it")]
        assert answers(ava) == ["You said: cancel it"]
