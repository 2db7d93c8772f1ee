"""A customer on a server, from a command to the receipt, on the trained model: nobody else sees anything of it."""

from __future__ import annotations

import re

import pytest

from bot.app import App
from bot.conversation.engine import RasaEngine
from bot.services.mail import caught_mails
from bot.store.tables import Cancellation, Investigation
from tests.fakes.discord_rules import File
from tests.fakes.discord_server import DiscordServer
from tests.integration.discord.conftest import Starts

pytestmark = pytest.mark.conversation
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


async def _code(app: App, server: DiscordServer, email: str) -> str:
    """The code from the mail, once it is there."""

    def found() -> str | None:
        app.dispatcher.run_due()
        with app.store.read() as uow:
            mails = caught_mails(uow, recipient=email)
        code = re.search(r"\b\d{6}\b", mails[0].plain) if mails else None
        return code[0] if code else None

    return str(await server.until(found))


async def test_a_cancellation_on_a_server(server: DiscordServer, starts: Starts, engine: RasaEngine) -> None:
    ava, bob = server.add_person("Ava"), server.add_person("Bob")
    guild = server.add_guild("Jolt", ava, bob)
    async with starts(server, engine=engine, brand=None, guilds={guild.id: "joltsms"}) as app:
        await ava.command("cancel", guild)
        await ava.hears("Which e-mail address", guild)
        await ava.fill_in(await ava.press("Enter your e-mail", guild), answer="ava@jolt.example")
        await ava.hears("What is the code", guild)
        code = await _code(app, server, "ava@jolt.example")
        await ava.fill_in(await ava.press("Enter the code", guild), code=code)
        await ava.hears("if you cancel", guild)
        for title in ("Continue", "Skip", "Yes, cancel"):
            await server.until(lambda title=title: _shows(ava, title, guild))
            await ava.press(title, guild)
        await ava.hears("CAN-", guild)
        (name,) = [a["filename"] for m in ava.heard(guild) for a in m["attachments"]]
        assert re.fullmatch(r"Receipt-RCP-\d{6}\.txt", name)
        with app.store.read() as uow:
            reference = uow.session.query(Cancellation).order_by(Cancellation.id.desc()).first().reference
        assert reference in ava.text(guild)
        assert bob.heard(guild) == []
        assert ava.heard() == []


async def test_an_investigation_by_one_form(server: DiscordServer, starts: Starts, engine: RasaEngine) -> None:
    cara = server.add_person("Cara")
    async with starts(server, engine=engine) as app:
        await cara.write("my number gets no texts")
        await cara.hears("Which e-mail address")
        await cara.write("cara@jolt.example")
        await cara.hears("What is the code")
        await cara.write(await _code(app, server, "cara@jolt.example"))
        await cara.hears("ordinary mobile phone")
        await cara.press("I can't do that now")
        await cara.hears("What exactly goes wrong")
        form = await cara.press("Fill in the form")
        await cara.fill_in(
            form,
            File("screen.png", PNG),
            what_goes_wrong="No text from FirstBank has come in, on two phones and with three senders.",
            since_when="last Tuesday",
        )
        await cara.hears("“Last Tuesday”, so since 10 March 2026?")
        assert "screenshots" not in cara.text(), "what the form has answered is not asked"
        await cara.press("Yes")
        await cara.hears("TCK-")
        with app.store.read() as uow:
            opened = uow.session.query(Investigation).order_by(Investigation.id.desc()).first()
        assert opened.details["attachments"].startswith("1 file")
        assert (opened.details["since"], opened.details["since_date"]) == ("last Tuesday", "2026-03-10")


def _shows(person: object, title: str, guild: object) -> bool:
    return any(each.startswith(title) for each in person.titles(guild))  # type: ignore[attr-defined]
