"""The fake Discord, held against the real client library: what it does is what an unmodified discord.py expects."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import discord
import pytest
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.discord_gateway import MESSAGE_CONTENT
from tests.fakes.discord_limits import Limits
from tests.fakes.discord_rules import File
from tests.fakes.discord_server import DiscordServer


class Echo(discord.AutoShardedClient):
    """Says what was said, and answers one command, a button and a modal."""

    def __init__(self, *, intents: discord.Intents | None = None) -> None:
        intents = intents or discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        super().__init__(intents=intents, guild_ready_timeout=0.01)
        self.heard: list[str] = []
        self.edits: list[str] = []
        self.deletions = 0
        self.connects = 0
        self.resumes = 0
        self.tree = app_commands.CommandTree(self)

        @self.tree.command(name="hello", description="Says hello.")
        async def hello(interaction: discord.Interaction, name: str = "you") -> None:
            view = discord.ui.View(timeout=None)
            view.add_item(discord.ui.Button(label="Fill in", custom_id="fill"))
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.followup.send(f"Hello {name}", view=view, ephemeral=True)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No pause: the fake has no limit on starts."""

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def on_connect(self) -> None:
        self.connects += 1

    async def on_resumed(self) -> None:
        self.resumes += 1

    async def on_message(self, message: discord.Message) -> None:
        if message.author.bot:
            return
        contents = [await attachment.read() for attachment in message.attachments]
        self.heard.append(message.content)
        files = [discord.File(io.BytesIO(content[::-1]), "back.txt") for content in contents]
        await message.channel.send(f"You said: {message.content}", files=files)

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        self.edits.append(event.message.content)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        self.deletions += 1

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        if interaction.type is discord.InteractionType.component:
            modal = discord.ui.Modal(title="A form", custom_id="form", timeout=60)
            modal.add_item(discord.ui.TextInput(label="Your name", custom_id="name"))
            await interaction.response.send_modal(modal)
        elif interaction.type is discord.InteractionType.modal_submit:
            assert interaction.data is not None
            (field,) = interaction.data["components"]  # type: ignore[typeddict-item]
            await interaction.response.send_message(f"You are {field['component']['value']}", ephemeral=True)


@contextlib.asynccontextmanager
async def logged_in(server: DiscordServer, client: discord.Client) -> AsyncIterator[None]:
    """The client, connected to the fake."""
    Route.BASE = server.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = type(DiscordWebSocket.DEFAULT_GATEWAY)(server.gateway_url)
    async with client:
        await client.login(server.token)
        running = asyncio.create_task(client.connect())
        await server.until(lambda: server.gateway.identified)
        yield
        await client.close()
        await running


@pytest.fixture(autouse=True)
def _addresses_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


async def test_messages_files_edits_and_deletions_go_both_ways() -> None:
    async with DiscordServer() as server:
        ava, client = server.add_person("Ava"), Echo()
        guild = server.add_guild("Jolt", ava)
        async with logged_in(server, client):
            sent = await ava.write("hello", File("a.txt", b"abc", "text/plain"))
            await ava.hears("You said: hello")
            (attachment,) = ava.heard()[-1]["attachments"]
            assert server.files[int(attachment["id"])] == File("back.txt", b"cba")
            await ava.edit(sent, "hello there")
            await ava.delete(sent)
            await server.until(lambda: client.deletions)
            assert client.edits == ["hello there"]
            await ava.write(f"<@{server.me['id']}> mentioned", guild=guild)
            await ava.write("not for the bot", guild=guild)
            await server.until(lambda: len(client.heard) == 3)
            assert client.heard[1:] == [f"<@{server.me['id']}> mentioned", ""]  # the content of others is not given out


async def test_commands_components_and_modals_are_answered_in_private() -> None:
    async with DiscordServer() as server:
        ava, bob, client = server.add_person("Ava"), server.add_person("Bob"), Echo()
        guild = server.add_guild("Jolt", ava, bob)
        async with logged_in(server, client):
            await ava.command("hello", guild, name="Ava")
            await ava.hears("Hello Ava", guild)
            assert bob.heard(guild) == []
            asked = await ava.press("Fill in", guild)
            done = await ava.fill_in(asked, your_name="Ava Jolt")
            assert done.texts == ["You are Ava Jolt"]


async def test_what_happens_during_a_cut_comes_once_after_resuming() -> None:
    async with DiscordServer() as server:
        ava, client = server.add_person("Ava"), Echo()
        async with logged_in(server, client):
            await ava.write("one")
            await ava.hears("You said: one")
            server.gateway.cut()
            await ava.write("two")
            await ava.hears("You said: two")
            await server.gateway.ask_to_reconnect()
            await ava.write("three")
            await ava.hears("You said: three")
            await server.gateway.invalidate(resumable=True)
            await server.until(lambda: client.resumes == 3)
            await server.gateway.invalidate(resumable=False)
            await server.until(lambda: server.gateway.identified == 2)
            await ava.write("four")
            await ava.hears("You said: four")
            assert client.heard == ["one", "two", "three", "four"]


async def test_limits_are_told_in_headers_and_obeyed() -> None:
    async with DiscordServer(limits=Limits(per_window=2, window=0.3)) as server:
        ava, client = server.add_person("Ava"), Echo()
        async with logged_in(server, client):
            for number in range(5):
                await ava.write(f"message {number}")
            await ava.hears("message 4")
            assert sum("You said" in message["content"] for message in ava.heard()) == 5
            body = {"message": "You are being rate limited.", "retry_after": 0.05, "global": True}
            server.fail("POST /channels/.*/messages", 429, body=body)
            await ava.write("after a global limit")
            await ava.hears("after a global limit")


async def test_wrong_tokens_and_intents_are_refused_as_discord_does() -> None:
    async with DiscordServer() as server:
        Route.BASE = server.api_url
        async with Echo() as client:
            with pytest.raises(discord.LoginFailure):
                await client.login("wrong")
        intents = discord.Intents(guilds=True, message_content=True)
        client = Echo(intents=intents)
        async with client:
            await client.login(server.token)
            with pytest.raises(discord.PrivilegedIntentsRequired):
                await client.connect()
        assert not server.privileged & MESSAGE_CONTENT


async def test_bad_messages_are_refused() -> None:
    async with DiscordServer() as server:
        ava, client = server.add_person("Ava"), Echo()
        async with logged_in(server, client):
            channel = await client.create_dm(discord.Object(ava.id))
            for wrong in ("x" * 2001, ""):
                with pytest.raises(discord.HTTPException) as refused:
                    await channel.send(wrong)
                assert refused.value.status == 400
            view = discord.ui.View()
            view.add_item(discord.ui.Button(label="y" * 81, custom_id="a"))
            with pytest.raises(discord.HTTPException):
                await channel.send("a button with too long a title", view=view)
            ava.closed_to_bots = True
            with pytest.raises(discord.Forbidden):
                await channel.send("hello")
            again = await client.http.request(
                Route("POST", "/channels/{channel_id}/messages", channel_id=server.direct(server.add_person("C")).id),
                json={"content": "@everyone", "nonce": "n", "enforce_nonce": True},
            )
            assert again["mention_everyone"]
            assert server.notified == [{"everyone"}]
