"""The Slack channel as the application runs it: connections, delivery, and addresses for Slack's requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.channels.channel import ChannelDeps
from bot.channels.slack import bolt
from bot.channels.slack.api import NOT_ACCEPTED, TIMEOUT, Api
from bot.channels.slack.desk.desk import SlackDesk
from bot.channels.slack.inbox import Inbox
from bot.channels.slack.kit import Kit
from bot.channels.slack.oauth import INSTALL, REDIRECT, Installing
from bot.channels.slack.outlet import SlackOutlet
from bot.channels.slack.settings import SlackSettings
from bot.channels.slack.tokens import Installation, Tokens
from bot.errors import InvalidInput

EVENTS = "/slack/events"
_MOST = 1024 * 1024  # bytes of a request; Slack's are far smaller
log = structlog.get_logger("supportbot.slack")


class SlackChannel:
    """Implements `bot.channels.channel.Channel`."""

    name = "slack"

    def __init__(self, settings: SlackSettings, deps: ChannelDeps) -> None:
        self._settings = settings
        self._deps = deps
        self._app: AsyncApp | None = None
        self.kit: Kit | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """Where Slack sends events, presses and commands in HTTP mode, and the pages of an installation."""
        installing = Installing(lambda: self.kit)
        pages = [Route(INSTALL, installing.begin), Route(REDIRECT, installing.end)] if self._settings.installs else []
        requests = [Route(EVENTS, self._request, methods=["POST"])] if self._settings.signing_secret else []
        return [*requests, *pages]

    async def run(self) -> None:
        """Serve until cancelled. Raises InvalidInput for tokens that Slack does not accept."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            api = Api(self._settings.api_url, session)
            kit = Kit(self._deps, self._settings, api, Tokens(self._deps.secret))
            await self._sign_in(kit)
            desk = SlackDesk(kit)
            inbox = Inbox(
                store=self._deps.store,
                locks=self._deps.locks,
                clock=self._deps.clock,
                handlers=bolt.handlers(kit, desk),
                give_up=bolt.give_up(kit),
            )
            app = bolt.build(kit, inbox, desk, signing_secret=self._settings.signing_secret)
            delivery = self._deps.delivery(SlackOutlet(kit))
            socket = await self._connect(app) if self._settings.app_token else None
            self.kit, self._app = kit, app
            log.info("slack is on", socket_mode=socket is not None, http=self._settings.signing_secret is not None)
            try:
                await _together(inbox.run(), delivery.run(), *([desk.run()] if self._settings.rooms else []))
            finally:
                self.kit = self._app = None
                if socket is not None:
                    await socket.close_async()

    async def _sign_in(self, kit: Kit) -> None:
        token = self._settings.bot_token
        if token is None:
            return
        try:
            answer = await kit.api.client(token).auth_test()
        except SlackApiError as error:
            raise _refused("SUPPORTBOT_SLACK_BOT_TOKEN", error) from error
        team = answer["team_id"]
        kit.installations[team] = Installation(
            team=team, bot_user=answer["user_id"], bot_id=answer.get("bot_id") or "", token=token, name=answer["team"]
        )
        if kit.pack(team) is None:
            known = ", ".join(sorted(self._deps.packs))
            raise InvalidInput(
                f"The Slack workspace {team} has no brand: set SUPPORTBOT_SLACK_BRANDS={team}=BRAND, one of {known}."
            )

    async def _connect(self, app: AsyncApp) -> AsyncSocketModeHandler:
        handler = AsyncSocketModeHandler(app, self._settings.app_token)
        try:
            handler.client.wss_uri = await handler.client.issue_new_wss_url()
            await handler.connect_async()
        except SlackApiError as error:
            await handler.close_async()
            raise _refused("SUPPORTBOT_SLACK_APP_TOKEN", error) from error
        except BaseException:
            await handler.close_async()
            raise
        return handler

    async def _request(self, request: Request) -> Response:
        """One of Slack's signed requests; Bolt checks the signature and that it is at most five minutes old."""
        if self._app is None:
            return PlainTextResponse("Not connected to Slack yet.", 503)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST:
                return PlainTextResponse("Too large.", 413)
        try:
            asked = to_async_bolt_request(request, body)
        except (UnicodeDecodeError, ValueError):
            return PlainTextResponse("Not a request of Slack's.", 400)
        return to_starlette_response(await self._app.async_dispatch(asked))


def _refused(variable: str, error: SlackApiError) -> InvalidInput | SlackApiError:
    """What is wrong with a token; anything else may pass, and is tried again."""
    code = error.response.get("error", "") if hasattr(error.response, "get") else ""
    if code in NOT_ACCEPTED:
        return InvalidInput(f"Slack does not accept {variable} ({code}). docs/slack.md says where to get it.")
    return error


async def _together(*parts: object) -> None:
    """Run parts side by side; when one ends, all do."""
    tasks = [asyncio.ensure_future(part) for part in parts]  # type: ignore[arg-type,var-annotated]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
