"""A Slack on this machine: Web API, Socket Mode, signed requests and files, real enough for unmodified clients."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.fakes.slack_limits import Limits, RefusedError, check_message, check_view, links, pings

PAYLOADS = Path(__file__).parents[1] / "payloads" / "slack"
SIGNING_SECRET = "a-signing-secret-of-no-value-outside-of-tests"
APP_TOKEN = "xapp-1-A0SUPPORT-1-of-no-value"
CLIENT_ID, CLIENT_SECRET = "111.222", "a-client-secret-of-no-value"
ACKNOWLEDGE_SECONDS = 3.0
PATIENCE = 30.0
_tick = itertools.count(1)


def payload(name: str) -> dict[str, Any]:
    """A documented payload, to be filled in."""
    filled: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return filled


def new_ts() -> str:
    """A message's timestamp, each later than the one before."""
    return f"{int(time.time())}.{next(_tick):06d}"


def shown(message: Mapping[str, Any]) -> str:
    """What a person reads in a message: its blocks, or its text where there are none."""
    parts: list[str] = []
    for block in message.get("blocks") or ():
        if block["type"] == "rich_text":
            for section in block["elements"]:
                parts.append("".join(e.get("text") or e.get("url") or "" for e in section["elements"]))
        elif block["type"] in ("section", "header"):
            parts.append((block.get("text") or {}).get("text", ""))
            parts += [each["text"] for each in block.get("fields", ())]
        elif block["type"] == "context":
            parts += [each["text"] for each in block["elements"]]
    text = "\n".join(parts) if parts else message.get("text", "")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def choices(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Buttons of a message, and options of its selects, as {title, action}."""
    found = []
    for block in message.get("blocks") or ():
        for element in block.get("elements", ()) if block["type"] == "actions" else ():
            base = {"block_id": block.get("block_id", "b"), "action_id": element["action_id"], "type": element["type"]}
            if element["type"] == "button":
                action = {**base, "text": element["text"], "value": element.get("value", "")}
                found.append({"title": element["text"]["text"], "action": action, "style": element.get("style")})
            else:
                for option in element["options"]:
                    found.append({"title": option["text"]["text"], "action": {**base, "selected_option": option}})
    return found


@dataclass
class Room:
    """A channel or a direct message conversation of a workspace, with all its messages."""

    id: str
    members: tuple[str, ...] = ()
    messages: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Delivered:
    """Something that was sent to the app: when, and how soon it was acknowledged."""

    kind: str
    body: dict[str, Any]
    at: float
    acknowledged_after: float | None = None
    response: Any = None


@dataclass
class Workspace:
    """A team with its users, rooms and the bot's token."""

    id: str
    token: str
    bot: str
    name: str = "Example"
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    revoked: bool = False


@dataclass
class Trouble:
    """What goes wrong with the next calls of a method."""

    status: int
    retry_after: int = 0
    times: int = 1
    acts: bool = False  # whether the call has its effect in spite of the error
    drop: bool = False  # the connection ends without an answer
    error: str = "internal_error"


class SlackServer:
    """Speaks Slack's protocols over loopback. `mode` says how the app is told of things: `socket` or `http`."""

    def __init__(self, mode: str = "socket", *, strict: bool = False, port: int = 0) -> None:
        self.mode = mode
        self.limits = Limits(strict)
        self.workspaces: dict[str, Workspace] = {}
        self.events_url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.delivered: list[Delivered] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.ephemeral: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.troubles: defaultdict[str, list[Trouble]] = defaultdict(list)
        self.oauth_codes: dict[str, str] = {}
        self.changed = asyncio.Condition()
        self._sockets: list[web.WebSocketResponse] = []
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._triggers: dict[str, float] = {}
        self._port = port
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.workspace("T0EXAMPLE")

    # --- the world -----------------------------------------------------------------------------------------------

    def workspace(self, team: str) -> Workspace:
        """A workspace with the app installed, made when first named."""
        if team not in self.workspaces:
            made = Workspace(team, token=f"xoxb-{team}-of-no-value", bot=f"UBOT{team[1:]}")
            made.users[made.bot] = {"id": made.bot, "is_bot": True, "profile": {}}
            self.workspaces[team] = made
            self.room(team, f"C0GENERAL{team[1:]}")
        return self.workspaces[team]

    def room(self, team: str, room: str, *members: str) -> Room:
        """A room of a workspace, made when first named."""
        return self.workspaces[team].rooms.setdefault(room, Room(room, members))

    def person(self, user: str, *, team: str = "T0EXAMPLE", email: str | None = None, name: str = "") -> Person:
        """A member of a workspace."""
        space = self.workspace(team)
        space.users.setdefault(
            user,
            {
                "id": user,
                "team_id": team,
                "name": (name or user).lower(),
                "real_name": name or user,
                "deleted": False,
                "is_bot": False,
                "profile": {"real_name": name or user, "display_name": name, "email": email},
            },
        )
        return Person(self, team, user)

    def dm(self, team: str, user: str) -> Room:
        """The bot's direct messages with a user."""
        return self.room(team, f"D0{user}{team[1:]}", user)

    @property
    def api_url(self) -> str:
        """What clients take as `base_url`."""
        return f"{self.address}/api/"

    @property
    def address(self) -> str:
        """This server's own address."""
        return f"http://127.0.0.1:{self._port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SlackServer]:
        """Serve while the block lasts."""
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/api/{method}", self._api)
        application.router.add_get("/api/{method}", self._api)
        application.router.add_get("/link", self._socket)
        application.router.add_post("/upload/{id}", self._upload)
        application.router.add_get("/files-pri/{id}/{name}", self._download)
        application.router.add_post("/response/{id}", self._response_url)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._session = aiohttp.ClientSession()
        try:
            yield self
        finally:
            await self._session.close()
            for socket in self._sockets:
                await socket.close()
            await self._runner.cleanup()

    async def until(self, true: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
        """Wait until something is true; returns it."""

        async def wait() -> Any:
            async with self.changed:
                while not (found := true()):
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self.changed.wait(), 0.05)  # some truths are not ours to notice
                return found

        return await asyncio.wait_for(wait(), seconds)

    async def _changed(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # --- telling the app -----------------------------------------------------------------------------------------

    async def connected(self, sockets: int = 1) -> None:
        """Wait for the app's sockets."""
        await self.until(lambda: len([s for s in self._sockets if not s.closed]) >= sockets)

    async def drop_sockets(self) -> None:
        """End all connections without a word."""
        for socket in self._sockets:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self._sockets.clear()

    async def ask_to_reconnect(self) -> None:
        """What Slack does every few hours: the client is to connect anew."""
        for socket in list(self._sockets):
            if not socket.closed:
                await socket.send_json(payload("socket_disconnect"))
        self._sockets.clear()

    async def tell(self, kind: str, body: dict[str, Any], *, retry: int = 0) -> Delivered:
        """Bring a payload to the app and wait for its acknowledgement (3 seconds at most, as Slack does)."""
        told = Delivered(kind, body, time.monotonic())
        self.delivered.append(told)
        try:
            send = self._tell_socket if self.mode == "socket" else self._tell_http
            told.response = await asyncio.wait_for(send(kind, body, retry), ACKNOWLEDGE_SECONDS)
            told.acknowledged_after = time.monotonic() - told.at
        except (asyncio.TimeoutError, aiohttp.ClientError):
            told.acknowledged_after = None
        await self._changed()
        return told

    async def _tell_socket(self, kind: str, body: dict[str, Any], retry: int) -> Any:
        await self.connected()
        socket = next(s for s in reversed(self._sockets) if not s.closed)
        names = {"event": "events_api", "interaction": "interactive", "command": "slash_commands"}
        envelope = {
            **payload("socket_envelope"),
            "envelope_id": str(uuid.uuid4()),
            "type": names[kind],
            "payload": body,
            "accepts_response_payload": kind != "event",
        }
        if kind == "event":
            envelope |= {"retry_attempt": retry, "retry_reason": "timeout" if retry else ""}
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = future
        await socket.send_json(envelope)
        return await future

    async def _tell_http(self, kind: str, body: dict[str, Any], retry: int) -> Any:
        if kind == "event":
            raw, media_type = json.dumps(body), "application/json"
        else:
            form = {"payload": json.dumps(body)} if kind == "interaction" else body
            raw, media_type = urlencode(form), "application/x-www-form-urlencoded"
        more = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
        status, answer = await self.post(raw, media_type, **more)
        if status != 200:
            raise aiohttp.ClientError(f"status {status}")
        return answer

    async def post(
        self, raw: str, media_type: str, *, secret: str = SIGNING_SECRET, at: int | None = None, **headers: str
    ) -> tuple[int, Any]:
        """One signed request to the app; status and body."""
        moment = str(int(time.time()) if at is None else at)
        digest = hmac.new(secret.encode(), f"v0:{moment}:{raw}".encode(), hashlib.sha256).hexdigest()
        signed = {
            "Content-Type": media_type,
            "X-Slack-Request-Timestamp": moment,
            "X-Slack-Signature": f"v0={digest}",
            **headers,
        }
        assert self._session is not None
        async with self._session.post(self.events_url, data=raw, headers=signed) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    def trigger(self) -> str:
        """An id that may open a view, for three seconds."""
        made = f"{next(_tick)}.{time.time_ns()}.{uuid.uuid4().hex[:8]}"
        self._triggers[made] = time.monotonic()
        return made

    # --- the Web API ---------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        values = await _values(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or values.pop("token", "")
        self.calls.append((method, values))
        trouble = self._trouble(method)
        if trouble is not None and not trouble.acts:
            return await self._fail(request, trouble)
        try:
            answer = await self._answer(method, values, token, request)
        except RefusedError as refusal:
            return web.json_response({"ok": False, "error": refusal.code})
        except _TooOften as often:
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers={"Retry-After": str(often.seconds)})
        await self._changed()
        if trouble is not None:
            return await self._fail(request, trouble)
        return web.json_response({"ok": True, **answer})

    def _trouble(self, method: str) -> Trouble | None:
        for name in (method, "*"):
            for trouble in self.troubles[name]:
                if trouble.times > 0:
                    trouble.times -= 1
                    return trouble
        return None

    @staticmethod
    async def _fail(request: web.Request, trouble: Trouble) -> web.StreamResponse:
        if trouble.drop and request.transport is not None:
            request.transport.abort()
        headers = {"Retry-After": str(trouble.retry_after)} if trouble.status == 429 else {}
        error = "ratelimited" if trouble.status == 429 else trouble.error
        return web.json_response({"ok": False, "error": error}, status=trouble.status, headers=headers)

    async def _answer(self, method: str, values: dict[str, Any], token: str, request: web.Request) -> dict[str, Any]:
        if method == "apps.connections.open":
            if token != APP_TOKEN:
                raise RefusedError("invalid_auth")
            return {"url": f"ws://127.0.0.1:{self._port}/link?ticket={uuid.uuid4()}&app_id=A0"}
        if method == "oauth.v2.access":
            return self._oauth(values, request)
        space = next((each for each in self.workspaces.values() if each.token == token), None)
        if space is None:
            raise RefusedError("invalid_auth" if token else "not_authed")
        if space.revoked:
            raise RefusedError("token_revoked")
        if wait := self.limits.wait(space.id, method, values.get("channel", "")):
            raise _TooOften(wait)
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            raise RefusedError("unknown_method")
        answer: dict[str, Any] = handler(space, values)
        return answer

    def _oauth(self, values: dict[str, Any], request: web.Request) -> dict[str, Any]:
        authorization = request.headers.get("Authorization", "")
        given = aiohttp.BasicAuth.decode(authorization) if authorization.startswith("Basic") else None
        client = (given.login, given.password) if given else (values.get("client_id"), values.get("client_secret"))
        if client != (CLIENT_ID, CLIENT_SECRET):
            raise RefusedError("invalid_client_id")
        team = self.oauth_codes.pop(values.get("code", ""), None)
        if team is None:
            raise RefusedError("invalid_code")
        space = self.workspace(team)
        return {
            "access_token": space.token,
            "token_type": "bot",
            "scope": "chat:write,im:history",
            "bot_user_id": space.bot,
            "app_id": "A0",
            "team": {"id": team, "name": space.name},
            "enterprise": None,
            "authed_user": {"id": "U0INSTALLER"},
            "is_enterprise_install": False,
        }

    def _auth_test(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://example.slack.com/",
            "team": space.name,
            "user": "supportbot",
            "team_id": space.id,
            "user_id": space.bot,
            "bot_id": f"B{space.id}",
        }

    def _chat_postMessage(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        check_message(values)
        room = self._room(space, values["channel"])
        message = {
            "type": "message",
            "user": space.bot,
            "bot_id": f"B{space.id}",
            "app_id": "A0",
            "team": space.id,
            "ts": new_ts(),
            "text": values.get("text", ""),
            "blocks": values.get("blocks", []),
            "at": time.monotonic(),
        }
        for name in ("thread_ts", "metadata"):
            if values.get(name):
                message[name] = values[name]
        room.messages.append(message)
        return {"channel": room.id, "ts": message["ts"], "message": message}

    def _chat_update(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        check_message(values)
        room = self._room(space, values["channel"])
        message = next((m for m in room.messages if m["ts"] == values["ts"]), None)
        if message is None:
            raise RefusedError("message_not_found")
        message |= {"text": values.get("text", ""), "blocks": values.get("blocks", []), "updated": True}
        return {"channel": room.id, "ts": message["ts"], "text": message["text"]}

    def _chat_postEphemeral(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        check_message(values)
        self._room(space, values["channel"])
        self.ephemeral.append(values)
        return {"message_ts": new_ts()}

    def _conversations_open(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        user = values["users"]
        if user not in space.users:
            raise RefusedError("user_not_found")
        return {"channel": {"id": self.dm(space.id, user).id}}

    def _conversations_history(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        room = self._room(space, values["channel"])
        oldest = float(values.get("oldest") or 0)
        found = [m for m in room.messages if not m.get("thread_ts") and float(m["ts"]) >= oldest]
        return {"messages": self._page(found[::-1], values), "has_more": False}

    def _conversations_replies(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        room = self._room(space, values["channel"])
        found = [m for m in room.messages if values["ts"] in (m["ts"], m.get("thread_ts"))]
        start = int(values.get("cursor") or 0)  # a thread is told from its beginning on
        page = self._page(found[start:], values)
        more = start + len(page) < len(found)
        following = {"response_metadata": {"next_cursor": str(start + len(page))}} if more else {}
        return {"messages": page, "has_more": more, **following}

    @staticmethod
    def _page(found: Sequence[dict[str, Any]], values: dict[str, Any]) -> list[dict[str, Any]]:
        page = copy.deepcopy(list(found[: int(values.get("limit") or 100)]))
        if str(values.get("include_all_metadata", "")).lower() not in ("1", "true"):
            for message in page:
                message.pop("metadata", None)
        return page

    def _users_info(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        user = space.users.get(values["user"])
        if user is None:
            raise RefusedError("user_not_found")
        return {"user": user}

    def _views_open(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        opened = self._triggers.pop(values["trigger_id"], None)
        if opened is None or time.monotonic() - opened > ACKNOWLEDGE_SECONDS:
            raise RefusedError("expired_trigger_id")
        check_view(values["view"])
        view = {**_view_of(space.id), **values["view"], "id": f"V{uuid.uuid4().hex[:10].upper()}"}
        self.views[view["id"]] = view
        return {"view": view}

    def _views_publish(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        check_view(values["view"])
        self.homes[values["user_id"]] = values["view"]
        return {"view": values["view"]}

    def _assistant_threads_setStatus(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        self.statuses.append(values)
        return {}

    def _files_getUploadURLExternal(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        file_id = f"F{uuid.uuid4().hex[:10].upper()}"
        self.files[file_id] = {"id": file_id, "name": values["filename"], "length": int(values["length"])}
        return {"file_id": file_id, "upload_url": f"{self.address}/upload/{file_id}"}

    def _files_completeUploadExternal(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        done = []
        for named in values["files"]:
            kept = self.files.get(named["id"])
            if kept is None or "content" not in kept:
                raise RefusedError("file_not_found")
            kept["title"] = named.get("title") or kept["name"]
            done.append(self._shown_file(kept))
        if values.get("channel_id"):
            message = {
                "type": "message",
                "subtype": "file_share",
                "user": space.bot,
                "bot_id": f"B{space.id}",
                "ts": new_ts(),
                "text": values.get("initial_comment") or "",
                "files": done,
                "at": time.monotonic(),
            }
            if values.get("thread_ts"):
                message["thread_ts"] = values["thread_ts"]
            self._room(space, values["channel_id"]).messages.append(message)
        return {"files": [{"id": each["id"], "title": each["title"]} for each in done]}

    def _files_info(self, space: Workspace, values: dict[str, Any]) -> dict[str, Any]:
        kept = self.files.get(values["file"])
        if kept is None:
            raise RefusedError("file_not_found")
        return {"file": self._shown_file(kept)}

    def _shown_file(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        address = f"{self.address}/files-pri/{kept['id']}/{kept['name']}"
        shown_file = copy.deepcopy(payload("message_file_share")["event"]["files"][0])
        return {
            **shown_file,
            "id": kept["id"],
            "name": kept["name"],
            "title": kept.get("title", kept["name"]),
            "size": kept["length"],
            "mimetype": kept.get("mimetype", "application/octet-stream"),
            "url_private": address,
            "url_private_download": address,
        }

    def _room(self, space: Workspace, room: str) -> Room:
        if room in space.users and room != space.bot:
            return self.dm(space.id, room)
        if room not in space.rooms:
            raise RefusedError("channel_not_found")
        return space.rooms[room]

    # --- files, sockets, response addresses ----------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        kept = self.files[request.match_info["id"]]
        content = await request.read()
        if len(content) != kept["length"]:
            return web.Response(status=400, text="length differs")
        kept["content"] = content
        return web.Response(text=f"OK - {len(content)}")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if all(space.token != token for space in self.workspaces.values()):
            return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")
        kept = self.files.get(request.match_info["id"])
        if kept is None:
            return web.Response(status=404)
        return web.Response(body=kept["content"], content_type=kept.get("mimetype", "application/octet-stream"))

    async def _response_url(self, request: web.Request) -> web.StreamResponse:
        self.ephemeral.append(await request.json())
        await self._changed()
        return web.Response(text="ok")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(payload("socket_hello"))
        self._sockets.append(socket)
        await self._changed()
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                body = json.loads(frame.data)
                waiting = self._waiting.pop(body["envelope_id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(body.get("payload"))
        return socket


def _view_of(team: str) -> dict[str, Any]:
    view: dict[str, Any] = payload("view_submission")["view"]
    return {**view, "team_id": team, "app_installed_team_id": team}


class _TooOften(Exception):
    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


async def _values(request: web.Request) -> dict[str, Any]:
    """What a method was called with, sent as JSON or as a form with JSON in it."""
    if request.content_type == "application/json":
        return dict(await request.json())
    form: dict[str, Any] = {**(await request.post()), **request.query}
    for name in ("blocks", "metadata", "view", "files"):
        if isinstance(form.get(name), str):
            form[name] = json.loads(form[name])
    return form


@dataclass
class Person:
    """Somebody who uses Slack."""

    server: SlackServer
    team: str
    id: str
    read: int = 0  # of the direct messages

    @property
    def dm(self) -> Room:
        """Their direct messages with the bot."""
        return self.server.dm(self.team, self.id)

    def heard(self) -> list[dict[str, Any]]:
        """What the bot has said to them directly, in order."""
        bot = self.server.workspaces[self.team].bot
        return [message for message in self.dm.messages if message["user"] == bot]

    def texts(self) -> list[str]:
        """The words of what they heard."""
        return [shown(message) for message in self.heard()]

    # --- saying --------------------------------------------------------------------------------------------------

    async def says(
        self, text: str, *, room: str | None = None, thread: str | None = None, files: Sequence[Mapping[str, Any]] = ()
    ) -> Delivered:
        """Write to the bot directly."""
        body = self.message(text, thread=thread, files=files)
        return await self.server.tell("event", body)

    def message(
        self, text: str, *, thread: str | None = None, files: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """The event of a direct message."""
        ts = new_ts()
        body = self._event("message_file_share" if files else "message_im", ts)
        body["event"] |= {"text": escaped(text), "channel": self.dm.id, "team": self.team}
        if files:
            body["event"]["files"] = [self._file(file) for file in files]
        if thread:
            body["event"]["thread_ts"] = thread
        said = {"type": "message", "user": self.id, "ts": ts, "text": text}
        self.dm.messages.append({**said, "thread_ts": thread} if thread else said)
        return body

    async def mentions(self, text: str, *, thread: str | None = None, room: str | None = None) -> Delivered:
        """Mention the bot in a channel."""
        space = self.server.workspaces[self.team]
        where = self.server.room(self.team, room or f"C0GENERAL{self.team[1:]}")
        ts = new_ts()
        body = self._event("app_mention", ts)
        body["event"] |= {"text": f"<@{space.bot}> {escaped(text)}", "channel": where.id, "team": self.team}
        if thread:
            body["event"]["thread_ts"] = thread
        where.messages.append({"type": "message", "user": self.id, "ts": ts, "text": text, "thread_ts": thread})
        return await self.server.tell("event", body)

    async def writes_in(
        self, room: str, text: str, *, thread: str | None = None, files: Sequence[Mapping[str, Any]] = ()
    ) -> Delivered:
        """Write in a channel that the bot is a member of."""
        where = self.server.room(self.team, room)
        ts = new_ts()
        body = self._event("message_file_share" if files else "message_channel", ts)
        body["event"] |= {"text": escaped(text), "channel": where.id, "team": self.team, "channel_type": "channel"}
        if files:
            body["event"]["files"] = [self._file(file) for file in files]
        said: dict[str, Any] = {"type": "message", "user": self.id, "ts": ts, "text": text}
        if thread:
            body["event"]["thread_ts"] = said["thread_ts"] = thread
        where.messages.append(said)
        return await self.server.tell("event", body)

    async def edits(self, ts: str, before: str, after: str, *, room: str | None = None) -> Delivered:
        """Edit a message, a direct one unless a room is named."""
        body = self._event("message_changed", new_ts())
        body["event"]["channel"] = room or self.dm.id
        body["event"]["message"] |= {"user": self.id, "text": escaped(after), "ts": ts}
        body["event"]["previous_message"] |= {"user": self.id, "text": escaped(before), "ts": ts}
        body["event"].pop("user", None)
        return await self.server.tell("event", body)

    async def deletes(self, ts: str, text: str) -> Delivered:
        """Delete a direct message."""
        body = self._event("message_deleted", new_ts())
        body["event"] |= {"channel": self.dm.id, "deleted_ts": ts}
        body["event"]["previous_message"] |= {"user": self.id, "text": escaped(text), "ts": ts}
        body["event"].pop("user", None)
        return await self.server.tell("event", body)

    async def commands(self, text: str = "", *, room: str | None = None) -> Delivered:
        """Use /support."""
        body = {
            **payload("slash_command"),
            "team_id": self.team,
            "user_id": self.id,
            "text": text,
            "channel_id": room or f"C0GENERAL{self.team[1:]}",
            "trigger_id": self.server.trigger(),
            "response_url": f"{self.server.address}/response/{uuid.uuid4().hex}",
        }
        return await self.server.tell("command", body)

    async def opens_home(self) -> dict[str, Any]:
        """Look at the app's home; returns the view."""
        body = self._event("app_home_opened", new_ts())
        body["event"]["channel"] = self.dm.id
        self.server.homes.pop(self.id, None)
        await self.server.tell("event", body)
        view: dict[str, Any] = await self.server.until(lambda: self.server.homes.get(self.id))
        return view

    # --- pressing ------------------------------------------------------------------------------------------------

    def choice(self, title: str, messages: Sequence[Mapping[str, Any]] | None = None) -> tuple[Any, dict[str, Any]]:
        """The latest message with a button or option whose title starts like that, and the action of it."""
        for message in reversed(self.heard() if messages is None else messages):
            for each in choices(message):
                if each["title"].lower().startswith(title.lower()):
                    return copy.deepcopy(message), each["action"]
        raise AssertionError(f"no button “{title}” in " + repr([(shown(m), choices(m)) for m in self.heard()[-3:]]))

    async def presses(self, title: str, *, room: Room | None = None) -> Delivered:
        """Press the latest button, or choose the option, whose title starts like that."""
        bot = self.server.workspaces[self.team].bot
        messages = None if room is None else [m for m in room.messages if m["user"] == bot]
        message, action = self.choice(title, messages)
        return await self.acts(message, action, room=room)

    async def acts(
        self, message: Mapping[str, Any], action: Mapping[str, Any], *, room: Room | None = None
    ) -> Delivered:
        """Use an element of a message."""
        return await self.server.tell("interaction", self.action(message, action, room=room))

    def action(
        self, message: Mapping[str, Any], action: Mapping[str, Any], *, room: Room | None = None
    ) -> dict[str, Any]:
        """The payload of using an element of a message."""
        body = payload("block_actions")
        where = (room or self.dm).id
        body["user"] |= {"id": self.id, "team_id": self.team}
        body["team"]["id"] = self.team
        body["channel"]["id"] = body["container"]["channel_id"] = where
        body["container"]["message_ts"] = message["ts"]
        if message.get("thread_ts"):
            body["container"]["thread_ts"] = message["thread_ts"]
        body["message"] = {k: v for k, v in message.items() if k != "at"}
        body["trigger_id"] = self.server.trigger()
        body["response_url"] = f"{self.server.address}/response/{uuid.uuid4().hex}"
        body["actions"] = [{**action, "action_ts": new_ts()}]
        return body

    async def presses_in_home(self, title: str) -> Delivered:
        """Press a button of the app's home."""
        view = self.server.homes[self.id]
        action = next(c["action"] for c in choices(view) if c["title"].lower().startswith(title.lower()))
        body = payload("block_actions")
        for name in ("channel", "message", "response_url"):
            body.pop(name)
        body["container"] = {"type": "view", "view_id": "VHOME"}
        body["view"] = {**_view_of(self.team), **view, "id": "VHOME"}
        body["user"] |= {"id": self.id, "team_id": self.team}
        body["team"]["id"] = self.team
        body["trigger_id"] = self.server.trigger()
        body["actions"] = [{**action, "action_ts": new_ts()}]
        return await self.server.tell("interaction", body)

    async def opened(self, action: Callable[[], Any]) -> dict[str, Any]:
        """The view that opens because of what `action` does."""
        before = set(self.server.views)
        await action()
        fresh = await self.server.until(lambda: [v for k, v in self.server.views.items() if k not in before])
        view: dict[str, Any] = fresh[0]
        return view

    async def submits(self, view: Mapping[str, Any], **values: Any) -> Delivered:
        """Send a view, its inputs filled in by block id; a list is files."""
        state: dict[str, Any] = {}
        for block in view["blocks"]:
            if block["type"] != "input":
                continue
            element, given = block["element"], values.get(block["block_id"])
            if element["type"] == "file_input":
                value: dict[str, Any] = {"type": "file_input", "files": [self._file(each) for each in given or ()]}
            elif element["type"] == "datepicker":
                value = {"type": "datepicker", "selected_date": given}
            else:
                value = {"type": element["type"], "value": given}
            state[block["block_id"]] = {element["action_id"]: value}
        body = payload("view_submission")
        body["user"] |= {"id": self.id, "team_id": self.team}
        body["team"]["id"] = self.team
        body["trigger_id"] = self.server.trigger()
        body["view"] = {**view, "state": {"values": state}}
        return await self.server.tell("interaction", body)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _event(self, name: str, ts: str) -> dict[str, Any]:
        body = payload(name)
        space = self.server.workspaces[self.team]
        body |= {"team_id": self.team, "event_id": f"Ev{uuid.uuid4().hex[:12].upper()}", "event_time": int(time.time())}
        body["authorizations"][0] |= {"team_id": self.team, "user_id": space.bot}
        body["event"] |= {"user": self.id, "ts": ts, "event_ts": ts}
        if "client_msg_id" in body["event"]:
            body["event"]["client_msg_id"] = str(uuid.uuid4())
        body["event"].pop("blocks", None)
        return body

    def _file(self, given: Mapping[str, Any]) -> dict[str, Any]:
        file_id = f"F{uuid.uuid4().hex[:10].upper()}"
        content = given["content"]
        self.server.files[file_id] = {
            "id": file_id,
            "name": given["name"],
            "length": given.get("size", len(content)),
            "content": content,
            "mimetype": given.get("mimetype", "application/octet-stream"),
        }
        return self.server._shown_file(self.server.files[file_id])


def escaped(text: str) -> str:
    """As Slack sends what people type: three characters escaped, e-mail addresses and links marked."""
    import re

    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"\bhttps?://[^\s|&<>]+", lambda m: f"<{m[0]}>", safe)
    return re.sub(r"(?<![\w<|])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", lambda m: f"<mailto:{m[0]}|{m[0]}>", safe)


def anybody_pinged(server: SlackServer) -> list[str]:
    """Everybody whom the bot's messages would notify, and links in what is meant to be plain."""
    found = []
    for method, values in server.calls:
        if method in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
            texts = [values.get("text") or ""]
            for block in values.get("blocks") or ():
                if block["type"] in ("section", "context"):
                    given = [block["text"]] if "text" in block else []
                    given += [e for e in block.get("elements", ()) if "text" in e] + block.get("fields", [])
                    texts += [each["text"] for each in given if each["type"] == "mrkdwn"]
            found += [ping for text in texts for ping in pings(text)]
            found += [link for text in texts for link in links(text)]
    return found
