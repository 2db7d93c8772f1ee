"""Calls to Slack's Web API: one client a workspace, within the published limits, with errors said in our terms."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.delivery import CannotDeliver, RetryLater
from bot.channels.slack.tokens import Installation

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
# https://docs.slack.dev/apis/web-api/rate-limits: a message a second and channel, several hundred a minute and team
ROOM_PACE = (1.0, 3)  # seconds between messages of one channel, and how many may come together
TEAM_PACE = (0.25, 40)
NOT_ACCEPTED = frozenset(
    {"account_inactive", "invalid_auth", "not_allowed_token_type", "not_authed", "token_expired", "token_revoked"}
)
_PLACES = 10_000
# What will not get better by waiting. A token that is not valid may: the operator mends it.
_FOR_GOOD = frozenset(
    {
        "as_user_not_supported",
        "cannot_dm_bot",
        "channel_not_found",
        "file_uploads_disabled",
        "invalid_arguments",
        "invalid_blocks",
        "is_archived",
        "message_not_found",
        "messages_tab_disabled",
        "msg_too_long",
        "no_text",
        "not_in_channel",
        "restricted_action",
        "storage_limit_reached",
        "user_disabled",
        "user_not_found",
    }
)


class Pace:
    """Says how long to wait so that calls come no faster than allowed, some at once at first (GCRA)."""

    def __init__(self, seconds: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._tolerance = seconds * (burst - 1)
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> float:
        """Count one call; how many seconds to wait before making it."""
        now = self._clock()
        due = max(self._due.get(name, now), now)
        self._due[name] = due + self._seconds
        self._due.move_to_end(name)
        while len(self._due) > _PLACES:
            self._due.popitem(last=False)
        return max(0.0, due - self._tolerance - now)


class Api:
    """The Web API of every workspace that the app is installed in."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self.session = session
        self._clients: dict[str, AsyncWebClient] = {}
        self._rooms: dict[str, str] = {}
        self._room_pace = Pace(*ROOM_PACE)
        self._team_pace = Pace(*TEAM_PACE)

    def client(self, token: str | None = None) -> AsyncWebClient:
        """A client with that token, on the shared connections."""
        key = token or ""
        if key not in self._clients:
            self._clients[key] = AsyncWebClient(
                token=token, base_url=self.base_url, session=self.session, retry_handlers=[]
            )
        return self._clients[key]

    async def post(self, installation: Installation, room: str, **message: Any) -> str:
        """Post a message, not before its turn; its timestamp."""
        team = installation.team
        await asyncio.sleep(max(self._room_pace.take(f"{team}/{room}"), self._team_pace.take(team)))
        client = self.client(installation.token)
        quiet = {"unfurl_links": False, "unfurl_media": False, "parse": "none", "link_names": False}
        answer = await call(lambda: client.chat_postMessage(channel=room, **quiet, **message))
        return str(answer["ts"])

    async def direct_room(self, installation: Installation, user: str) -> str:
        """The room of a user's direct messages with the bot."""
        key = f"{installation.team}/{user}"
        if key not in self._rooms:
            client = self.client(installation.token)
            answer = await call(lambda: client.conversations_open(users=user))
            self.remember_room(installation.team, user, answer["channel"]["id"])
        return self._rooms[key]

    def remember_room(self, team: str, user: str, room: str) -> None:
        """Note a room that was seen, which saves asking for it."""
        if len(self._rooms) >= _PLACES:
            self._rooms.clear()
        self._rooms[f"{team}/{user}"] = room


async def call(method: Callable[[], Awaitable[Any]]) -> Any:
    """Call a method of the API. Raises RetryLater and CannotDeliver where Slack says so, or what the client raises."""
    try:
        return await method()
    except SlackApiError as error:
        response = error.response
        if getattr(response, "status_code", None) == 429:
            raise RetryLater(float(response.headers.get("Retry-After", 1))) from None
        code = response.get("error", "") if hasattr(response, "get") else ""
        if code in _FOR_GOOD:
            raise CannotDeliver(code) from None
        raise
