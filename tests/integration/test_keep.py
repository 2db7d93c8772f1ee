"""The one click in a reminder: a page that shows, a button that keeps."""

from __future__ import annotations

import re

import httpx
import pytest

from bot.app import App, keep_links, web
from bot.services import accounts, lifecycle
from bot.services.mail import caught_mails
from bot.store.tables import Customer
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation


async def _reminded(app: App, clock: FakeClock) -> str:
    """Ava cancels; a week before her number goes, a mail reminds her. The path of its link."""
    chat = Chat(app, as_email="ava@jolt.example")
    await chat.say("cancel my number")
    for title in ("Continue cancelling", "Skip", "Yes, cancel"):
        await chat.press(title)
    clock.advance(days=15)
    lifecycle.tick(app.store, now=clock.now(), packs=app.packs, links=keep_links(app.settings))
    app.dispatcher.run_due()
    with app.store.read() as uow:
        mails = caught_mails(uow, recipient="ava@jolt.example")
    found = [link for mail in mails if (link := re.search(r"/keep/[\w.-]+", mail.plain))]
    assert len(found) == 1
    return found[0][0]


def _status(app: App) -> str:
    with app.store.read() as uow:
        ava = uow.session.query(Customer).filter_by(email="ava@jolt.example").one()
        return accounts.subscriptions(uow, ava.id)[0].status


async def test_looking_changes_nothing_and_the_button_keeps_once(app: App, clock: FakeClock) -> None:
    path = await _reminded(app, clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web(app)), base_url="http://test") as client:
        shown = await client.get(path)
        assert shown.status_code == 200
        assert "+1 415-555-0101" in shown.text
        assert "Yes, keep it" in shown.text
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert _status(app) == "not_renewing"
        kept = await client.post(path)
        assert "you keep it" in kept.text
        assert _status(app) == "active"
        again = await client.post(path)
        assert again.status_code == 200
        assert "Yes, keep it" not in (await client.get(path)).text
    assert _status(app) == "active"


async def test_a_forged_link_is_a_clear_page(app: App, clock: FakeClock) -> None:
    path = await _reminded(app, clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web(app)), base_url="http://test") as client:
        forged = await client.post(path[:-3] + "abc")
    assert forged.status_code == 410
    assert "no longer works" in forged.text
    assert _status(app) == "not_renewing"
