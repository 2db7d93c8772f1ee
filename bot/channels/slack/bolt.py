"""The Bolt app: keeps what comes in before it is acknowledged, and says which listener sees to what."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.channels.slack import incoming as kinds
from bot.channels.slack import words
from bot.channels.slack.desk.cards import opens_form
from bot.channels.slack.desk.desk import SlackDesk
from bot.channels.slack.forms import CODE, REPORT
from bot.channels.slack.inbox import Handler, Inbox
from bot.channels.slack.incoming import incoming
from bot.channels.slack.kit import Kit
from bot.channels.slack.listeners.actions.choose import choose
from bot.channels.slack.listeners.actions.open_form import open_form
from bot.channels.slack.listeners.actions.shortcut import shortcut
from bot.channels.slack.listeners.commands.support import support, unlink
from bot.channels.slack.listeners.events.app_home_opened import app_home_opened
from bot.channels.slack.listeners.events.app_mention import app_mention
from bot.channels.slack.listeners.events.message import message
from bot.channels.slack.listeners.events.message_changed import message_changed
from bot.channels.slack.listeners.views.form import form
from bot.channels.slack.places import Place

_STORE_SECONDS = 2.0  # of the three that Slack waits; a store that takes longer stores it a little later
log = structlog.get_logger("supportbot.slack")
_library = logging.getLogger("supportbot.slack.library")
_library.setLevel(logging.WARNING)


def handlers(kit: Kit, desk: SlackDesk) -> dict[str, Handler]:
    """What is done with each kind of thing that is kept."""

    def bound(handle: Callable[[Kit, Mapping[str, Any]], Awaitable[None]]) -> Handler:
        return lambda payload: handle(kit, payload)

    return {
        kinds.MESSAGE: bound(message),
        kinds.MENTION: bound(app_mention),
        kinds.CHANGE: bound(message_changed),
        kinds.PRESS: bound(choose),
        kinds.SHORT: bound(shortcut),
        kinds.FORM: bound(form),
        kinds.COMMAND: bound(support),
        kinds.DESK_MESSAGE: desk.wrote,
        kinds.DESK_CHANGE: desk.changed,
        kinds.DESK_PRESS: desk.pressed,
        kinds.DESK_FORM: desk.sent,
    }


def give_up(kit: Kit) -> Handler:
    """Tells a sender that something was not taken in."""

    async def tell(payload: Mapping[str, Any]) -> None:
        place = Place(payload["team"], payload.get("room", ""), payload.get("thread", ""), "")
        await kit.tell(payload["user"], place, words.TROUBLE)

    return tell


def build(kit: Kit, inbox: Inbox, desk: SlackDesk, *, signing_secret: str | None) -> AsyncApp:
    """The app, for HTTP and for Socket Mode alike."""

    async def authorize(team_id: str | None) -> AuthorizeResult | None:
        installation = await kit.installation(team_id or "")
        if installation is None:
            return None
        return AuthorizeResult(
            enterprise_id=None,
            team_id=installation.team,
            bot_user_id=installation.bot_user,
            bot_id=installation.bot_id or None,
            bot_token=installation.token,
        )

    app = AsyncApp(
        name="supportbot",
        logger=_library,
        client=kit.api.client(),
        authorize=authorize,
        signing_secret=signing_secret or "not in use: requests come by Socket Mode only",
    )
    _register(app, kit, inbox, desk)
    return app


def _register(app: AsyncApp, kit: Kit, inbox: Inbox, desk: SlackDesk) -> None:
    @app.middleware  # type: ignore[untyped-decorator]
    async def keep(body: dict[str, Any], next: Callable[[], Awaitable[None]]) -> BoltResponse | None:
        """Store before acknowledging: should we die now, nothing is lost. What is known already needs nothing more."""
        found = incoming(body, rooms=kit.settings.rooms.values())
        if found is None:
            await next()
            return None
        storing = asyncio.create_task(inbox.keep(found))
        storing.add_done_callback(lambda done: _kept(inbox, found.sender, done))
        try:
            await asyncio.wait_for(asyncio.shield(storing), _STORE_SECONDS)
        except asyncio.TimeoutError:
            log.warning("acknowledged before it was stored", kind=found.kind)
        await next()
        return None

    async def acknowledge(ack: Callable[..., Awaitable[None]]) -> None:
        """What was kept is handled from the inbox."""
        await ack()

    app.event("message")(acknowledge)
    app.event("app_mention")(acknowledge)
    app.action(re.compile(r"^choose(:\d+)?$"))(acknowledge)
    app.action(re.compile(r"^shortcut:"))(acknowledge)
    app.view(f"form:{CODE}")(acknowledge)
    app.view(f"form:{REPORT}")(acknowledge)
    app.view(re.compile(r"^desk:"))(acknowledge)

    @app.action(re.compile(r"^desk:"))  # type: ignore[untyped-decorator]
    async def at_desk(ack: Callable[..., Awaitable[None]], body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        if opens_form(action["action_id"]):
            *_, payload = kinds.pressed(body, kinds.DESK_PRESS)
            await desk.asked(payload, body["trigger_id"])

    @app.event("app_home_opened")  # type: ignore[untyped-decorator]
    async def home(event: dict[str, Any], body: dict[str, Any]) -> None:
        if event.get("tab") == "home":
            await app_home_opened(kit, body["team_id"], event["user"])

    @app.event("assistant_thread_started")  # type: ignore[untyped-decorator]
    async def begun(event: dict[str, Any], body: dict[str, Any]) -> None:
        thread = event["assistant_thread"]
        place = Place(body["team_id"], thread["channel_id"], thread["thread_ts"], "")
        kit.note(thread["user_id"], place)
        await kit.conversation(body["team_id"], thread["user_id"])

    app.event("assistant_thread_context_changed")(acknowledge)

    @app.event("app_uninstalled")  # type: ignore[untyped-decorator]
    async def uninstalled(body: dict[str, Any]) -> None:
        await kit.revoked(body["team_id"])

    @app.event("tokens_revoked")  # type: ignore[untyped-decorator]
    async def revoked(event: dict[str, Any], body: dict[str, Any]) -> None:
        if (event.get("tokens") or {}).get("bot"):
            await kit.revoked(body["team_id"])

    @app.action(re.compile(r"^form:"))  # type: ignore[untyped-decorator]
    async def wants_form(ack: Callable[..., Awaitable[None]], body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        await open_form(
            kit,
            team=(body.get("team") or {}).get("id") or body["user"]["team_id"],
            user=body["user"]["id"],
            room=(body.get("channel") or {}).get("id", ""),
            trigger=body["trigger_id"],
            conversation_id=action["value"],
        )

    @app.command("/support")  # type: ignore[untyped-decorator]
    async def command(ack: Callable[..., Awaitable[None]], body: dict[str, Any]) -> None:
        text = body.get("text", "").strip()
        if text == "unlink":
            await ack(await unlink(kit, body["team_id"], body["user_id"]))
        elif text in ("", "help"):
            await ack(words.USAGE)
        else:
            await ack(words.TAKEN_DIRECTLY)

    @app.error  # type: ignore[untyped-decorator]
    async def failed(error: Exception, body: dict[str, Any]) -> BoltResponse:
        log.error("listener failed", kind=body.get("type"), exc_info=error)
        return BoltResponse(status=500, body="")


def _kept(inbox: Inbox, sender: str, done: asyncio.Task[bool]) -> None:
    if not done.cancelled() and done.exception() is None:
        inbox.wake(sender)
