"""How Slack and we find each other: tokens, signatures, sockets that break, workspaces that come and go."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.app import build
from bot.channels.slack import words
from bot.channels.slack.channel import SlackChannel
from bot.channels.slack.places import channel_user
from bot.channels.slack.tokens import Installation, Tokens
from bot.channels.widget.api import PREFIX
from bot.errors import InvalidInput, Unavailable
from bot.settings import Settings
from bot.store.tables import ChannelEvent, ChannelInstallation, Message
from bot.store.unit_of_work import Store
from tests.conformance.slack import served, with_slack
from tests.fakes.clock import START, FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.fakes.slack_server import CLIENT_ID, CLIENT_SECRET, SlackServer
from tests.integration.slack.conftest import Town, started
from tests.integration.slack.test_customers import rows

SECRET = "a secret of the server's own, 32 bytes"


# --- tokens


@pytest.mark.parametrize(
    ("wrong", "variable"),
    [
        ({"bot_token": "xoxb-wrong"}, "SUPPORTBOT_SLACK_BOT_TOKEN"),
        ({"app_token": "xapp-wrong"}, "SUPPORTBOT_SLACK_APP_TOKEN"),
        ({"brand": "nobody"}, "SUPPORTBOT_SLACK_BRANDS"),
    ],
)
async def test_a_wrong_token_is_named_and_the_widget_runs_on(
    settings: Settings, clock: FakeClock, capsys: pytest.CaptureFixture[str], wrong: dict[str, str], variable: str
) -> None:
    server = SlackServer("socket")
    async with server.running():
        app = build(with_slack(settings, server, **wrong), clock=clock, engine=ScriptedEngine())
        with pytest.raises(InvalidInput, match=variable):
            await app.channels[0].run()
        async with app.running(), served(app) as address, httpx.AsyncClient() as client:
            answer = await client.post(f"{address}{PREFIX}/sessions", json={"brand": "joltsms"})
            assert answer.status_code == 201
        app.close()


def test_without_tokens_slack_is_off_and_one_line_says_so(
    settings: Settings, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    app = build(settings, clock=clock, engine=ScriptedEngine())
    assert not any(isinstance(channel, SlackChannel) for channel in app.channels)
    assert capsys.readouterr().out.count("slack is off") == 1
    app.close()


# --- HTTP


@pytest.fixture
async def http_town(settings: Settings, clock: FakeClock):
    """Over signed requests."""
    server = SlackServer("http")
    async with server.running(), started(settings, server, ScriptedEngine(), clock) as town:
        yield town


async def test_only_slack_itself_is_heard_and_only_now(http_town: Town) -> None:
    raw = json.dumps(http_town.ava.message("hello"))
    assert (await http_town.server.post(raw, "application/json", secret="another"))[0] == 401
    for age in (301, -301):
        assert (await http_town.server.post(raw, "application/json", at=int(time.time()) - age))[0] == 401
    async with httpx.AsyncClient() as client:
        assert (await client.post(http_town.server.events_url, content=raw)).status_code == 401
        assert (await client.post(http_town.server.events_url, content=b"\xff\xfe")).status_code == 400
        assert (await client.post(http_town.server.events_url, content=b"x" * (2**20 + 1))).status_code == 413
    assert rows(http_town, ChannelEvent) == []
    assert (await http_town.server.post(raw, "application/json"))[0] == 200
    assert (await http_town.server.post(raw, "application/json"))[0] == 200, "replayed within the window"
    await http_town.heard(http_town.ava, 2)
    assert len(rows(http_town, Message, author="customer")) == 1


async def test_slacks_check_of_the_address_is_answered(http_town: Town) -> None:
    raw = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"})
    status, body = await http_town.server.post(raw, "application/json")
    assert (status, body) == (200, {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"})


# --- Socket Mode


async def test_a_socket_that_slack_renews_or_that_breaks_is_opened_again(socket_town: Town) -> None:
    town = socket_town
    await town.ava.says("one")
    await town.server.ask_to_reconnect()
    await town.server.connected()
    await town.ava.says("two")
    texts = await town.heard(town.ava, 3)
    assert texts[1:] == ["You said: one", "You said: two"]


async def test_what_was_stored_and_not_handled_is_handled_by_the_next_process(
    settings: Settings, clock: FakeClock
) -> None:
    server = SlackServer("socket")
    async with server.running():
        ava = server.person("U0AVA")
        async with started(settings, server, ScriptedEngine(), clock) as town:
            with town.app.store.write() as uow:
                event = ava.message("left behind")["event"]
                uow.add(
                    ChannelEvent(
                        id="evt_1", channel="slack", external_id="message:left", sender=channel_user(ava.team, ava.id),
                        kind="message", received_at=clock.now(),
                        payload={
                            "team": ava.team, "user": ava.id, "room": event["channel"], "thread": "", "ts": event["ts"],
                            "text": "left behind", "files": [], "at": float(event["ts"]),
                        },
                    )
                )  # fmt: skip
                uow.commit()
        async with started(settings, server, ScriptedEngine(), clock) as town:
            assert (await town.heard(ava, 2))[1] == "You said: left behind"


# --- workspaces


def test_tokens_rest_encrypted_and_only_our_secret_opens_them(sqlite_store: Store) -> None:
    tokens = Tokens(SECRET)
    with sqlite_store.write() as uow:
        for token in ("xoxb-old", "xoxb-1"):
            installation = Installation("T1", "UBOT", token, "Example")
            tokens.keep(uow, installation, scopes="chat:write", installed_by="U1", now=START)
        (row,) = uow.session.query(ChannelInstallation).all()
        assert "xoxb" not in row.token
        assert tokens.find(uow, "T1") == installation
        with pytest.raises(Unavailable, match="install the app there again"):
            Tokens(SECRET + "!").find(uow, "T1")
        assert tokens.revoke(uow, "T1", now=START)
        assert not tokens.revoke(uow, "T1", now=START)
        assert tokens.find(uow, "T1") is None
        assert row.token == ""


async def test_another_workspace_installs_the_app_and_removes_it(settings: Settings, clock: FakeClock) -> None:
    server = SlackServer("http")
    server.workspace("T0OTHER")
    server.oauth_codes["good"] = "T0OTHER"
    more = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "brands": {"T0OTHER": "smrtphone"}}
    async with server.running(), started(settings, server, ScriptedEngine(), clock, **more) as town:
        base = server.events_url.removesuffix("/slack/events")
        async with httpx.AsyncClient(base_url=base) as browser:
            begun = await browser.get("/slack/install")
            asked = {k: v[0] for k, v in parse_qs(urlsplit(begun.headers["location"]).query).items()}
            assert asked["client_id"] == CLIENT_ID
            assert "chat:write" in asked["scope"]
            callback = "/slack/oauth_redirect"
            good = {"code": "good", "state": asked["state"]}
            async with httpx.AsyncClient(base_url=base) as another:
                assert (await another.get(callback, params=good)).status_code == 400, "begun in another browser"
            assert (await browser.get(callback, params={**good, "state": "forged"})).status_code == 400
            assert (await browser.get(callback, params={**good, "code": "bad"})).status_code == 502
            assert (await browser.get(callback, params={"state": good["state"], "error": "denied"})).status_code == 400
            done = await browser.get(callback, params=good)
            assert (done.status_code, "Installed" in done.text) == (200, True)
            clock.advance(minutes=11)
            assert (await browser.get(callback, params=good)).status_code == 400, "too long ago"
        kim = server.person("U0KIM", team="T0OTHER")
        await kim.says("hello")
        assert "smrtPhone" in (await town.heard(kim, 2))[0]
        gone = kim._event("app_uninstalled", "1.1")
        await server.tell("event", gone)
        await server.until(lambda: rows(town, ChannelInstallation)[0].revoked_at)
        (row,) = rows(town, ChannelInstallation)
        assert row.token == ""


async def test_a_workspace_without_a_brand_is_told_so(settings: Settings, clock: FakeClock) -> None:
    server = SlackServer("socket")
    space = server.workspace("T0OTHER")
    async with server.running():
        full = with_slack(settings, server)
        slack = replace(full.slack, brand=None, brands={"T0EXAMPLE": "joltsms"}, client_id="1", client_secret="2")
        app = build(replace(full, slack=slack), clock=clock, engine=ScriptedEngine())
        with app.store.write() as uow:
            installation = Installation("T0OTHER", space.bot, space.token)
            Tokens(app.settings.secret or "").keep(uow, installation, scopes="", installed_by="", now=clock.now())
            uow.commit()
        async with app.running():
            await server.connected()
            kim = server.person("U0KIM", team="T0OTHER")
            await kim.says("hello")
            await server.until(lambda: kim.texts() == [words.NO_BRAND])
        app.close()
