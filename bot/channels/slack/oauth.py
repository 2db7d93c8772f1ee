"""Installing the app in further workspaces: Slack's OAuth, its state sealed and bound to the browser that began."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urljoin

from slack_sdk.errors import SlackApiError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from bot.channels.slack.kit import Kit
from bot.channels.slack.tokens import Installation

SCOPES = (
    "app_mentions:read",
    "chat:write",
    "channels:history",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "im:history",
    "im:write",
    "users:read",
    "users:read.email",
)
INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
_STATE_SECONDS = 600
_COOKIE = "supportbot-slack-install"


class Installing:
    """The two pages of an installation; `kit` gives the running channel, or None."""

    def __init__(self, kit: Callable[[], Kit | None]) -> None:
        self._kit = kit

    async def begin(self, request: Request) -> Response:
        """Send the browser to Slack."""
        kit = self._kit()
        if kit is None:
            return _not_now()
        nonce = secrets.token_urlsafe(24)
        query = {
            "client_id": kit.settings.client_id or "",
            "scope": ",".join(SCOPES),
            "redirect_uri": kit.deps.public_url + REDIRECT,
            "state": kit.tokens.sealed({"nonce": nonce}, now=kit.deps.clock.now()),
        }
        address = urljoin(kit.settings.api_url, "/oauth/v2/authorize")
        response = RedirectResponse(f"{address}?{urlencode(query)}", 302)
        response.set_cookie(
            _COOKIE,
            nonce,
            max_age=_STATE_SECONDS,
            path="/slack/",
            httponly=True,
            secure=kit.deps.public_url.startswith("https:"),
            samesite="lax",
        )
        return response

    async def end(self, request: Request) -> Response:
        """Take the token that Slack gives for the code it sent the browser back with."""
        kit = self._kit()
        if kit is None:
            return _not_now()
        given = request.query_params
        now = kit.deps.clock.now()
        state = kit.tokens.opened(given.get("state", ""), seconds=_STATE_SECONDS, now=now)
        cookie = request.cookies.get(_COOKIE, "")
        if state is None or not hmac.compare_digest(state.get("nonce", "").encode(), cookie.encode()):
            return _page("This installation was not begun here, or too long ago. Please start again.", 400)
        if "code" not in given:
            return _page("The app was not installed: Slack was not given permission.", 400)
        client = kit.api.client()
        try:
            answer = await client.oauth_v2_access(
                client_id=kit.settings.client_id or "",
                client_secret=kit.settings.client_secret or "",
                code=given["code"],
                redirect_uri=kit.deps.public_url + REDIRECT,
            )
        except SlackApiError as error:
            return _page(f"Slack refused the installation ({error.response.get('error', 'unknown')}).", 502)
        team = answer["team"]
        installation = Installation(
            team=team["id"], bot_user=answer["bot_user_id"], token=answer["access_token"], name=team.get("name") or ""
        )
        await kit.deps.store.writing(
            lambda uow: kit.tokens.keep(
                uow,
                installation,
                scopes=answer.get("scope", ""),
                installed_by=(answer.get("authed_user") or {}).get("id", ""),
                now=now,
            )
        )
        kit.installations.pop(installation.team, None)
        if kit.pack(installation.team) is None:
            return _page(f"Installed. Now add {installation.team}=BRAND to SUPPORTBOT_SLACK_BRANDS and restart.", 200)
        return _page("Installed. You can close this page and write to the app in Slack.", 200)


def _not_now() -> Response:
    return _page("Slack is not connected right now. Please try again in a moment.", 503)


def _page(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, headers={"Cache-Control": "no-store"})


Page = Callable[[Request], Awaitable[Response]]
