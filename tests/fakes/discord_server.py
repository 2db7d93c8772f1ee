"""A Discord on this machine: gateway, REST, interactions and files, real enough for an unmodified discord.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from aiohttp import web

from tests.fakes.discord_gateway import DIRECT_MESSAGES, GUILD_MESSAGES, MESSAGE_CONTENT, FakeGateway
from tests.fakes.discord_limits import Limits
from tests.fakes.discord_people import Person
from tests.fakes.discord_rules import (
    EPHEMERAL,
    File,
    RefusedError,
    check_commands,
    check_message,
    check_modal,
    documented,
    pings,
)

TOKEN = "MTcyMTUwMTgzMjYwMzIzODQw.Gr0uNd.a-token-of-no-value-outside-of-tests"
ACKNOWLEDGE_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0
_EPOCH = 1_420_070_400_000
_APP = 172_150_183_260_323_840
T = TypeVar("T")


@dataclass
class Channel:
    """A text channel of a guild, or a person's direct messages with the bot; `messages` as the API shows them."""

    id: int
    guild: Guild | None = None
    person: Person | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    typing: int = 0


@dataclass
class Guild:
    """A server with one channel."""

    id: int
    name: str
    channel: Channel
    members: list[Person] = field(default_factory=list)


@dataclass
class Interaction:
    """Something a person did with the bot's commands or components, and what the bot answered."""

    id: int
    token: str
    person: Person
    channel: Channel
    payload: dict[str, Any]
    at: float = field(default_factory=time.monotonic)
    source: dict[str, Any] | None = None  # the message whose component was used
    response: int | None = None  # type of the callback
    answered_after: float | None = None  # seconds
    modal: dict[str, Any] | None = None
    original: dict[str, Any] | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    expired: bool = False

    @property
    def texts(self) -> list[str]:
        """What the bot said because of it, in order."""
        return [message["content"] for message in self.messages if not message["flags"] & 1 << 7]


@dataclass
class Fault:
    """Requests that fail: the next `times` whose method and path match."""

    pattern: re.Pattern[str]
    status: int
    times: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    after: bool = False  # after the request was carried out: only its answer gets lost


class DiscordServer:
    """Discord for one bot. People act through `Person`; `faults` and the gateway's methods make things go wrong."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        privileged: int = 0,
        shards: int = 1,
        heartbeat_ms: int = 41_250,
        port: int = 0,
    ) -> None:
        """`privileged` are the intents that the developer portal has turned on."""
        self.token = TOKEN
        self.limits = limits or Limits()
        self.privileged = privileged
        self.acknowledge_within = ACKNOWLEDGE_SECONDS  # more on machines that do much else
        self.shards = shards
        self.heartbeat_ms = heartbeat_ms
        self.gateway = FakeGateway(self)
        self.people: dict[int, Person] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.files: dict[int, File] = {}
        self.interactions: dict[str, Interaction] = {}
        self.commands: list[dict[str, Any]] = []
        self.guild_commands: dict[int, list[dict[str, Any]]] = {}
        self.requests: list[tuple[float, str]] = []
        self.faults: list[Fault] = []
        self.notified: list[set[str]] = []  # whom each of the bot's messages pinged, where it pinged anybody
        self.me = documented("user", id=str(_APP), username="support", global_name=None, bot=True, avatar=None)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._snowflakes = 0
        self._last_snowflake = 0
        self._nonces: dict[tuple[int, str], dict[str, Any]] = {}
        self._pulse = asyncio.Event()

    # --- running --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> DiscordServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on a loopback port; after `stop`, on the same one."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/attachments/{channel}/{file}/{name}", self._download)
        for method, path, handler in self._routes():
            app.router.add_route(method, f"/api/v10{path}", self._rest(handler, f"{method} {path}"))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on everybody and stop listening; the world is kept."""
        await self.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def api_url(self) -> str:
        """What `discord.http.Route.BASE` must be."""
        return f"http://127.0.0.1:{self._port}/api/v10"

    @property
    def gateway_url(self) -> str:
        """What `DiscordWebSocket.DEFAULT_GATEWAY` must be."""
        return f"ws://127.0.0.1:{self._port}/gateway/"

    def happened(self) -> None:
        """Something changed: have everybody look who waits."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def until(self, condition: Callable[[], T], *, within: float = 20.0) -> T:
        """Wait until a condition holds, and return what it returned."""
        give_up = time.monotonic() + within
        while True:
            pulse = self._pulse
            found = condition()
            if found:
                return found
            left = give_up - time.monotonic()
            assert left > 0, "what was waited for did not happen"
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(pulse.wait(), min(left, 0.05))

    # --- the world ------------------------------------------------------------------------------------------------

    def snowflake(self) -> int:
        """A new id, larger than all before."""
        self._snowflakes += 1
        made = (int(time.time() * 1000) - _EPOCH) << 22 | self._snowflakes & 0xFFF
        self._last_snowflake = max(made, self._last_snowflake + 1)
        return self._last_snowflake

    def add_person(self, name: str) -> Person:
        """Somebody with a Discord account."""
        number = self.snowflake()
        person = Person(self, number, documented("user", id=str(number), username=name.lower(), global_name=name))
        self.people[number] = person
        return person

    def add_guild(self, name: str, *members: Person) -> Guild:
        """A server that has the bot, with one channel; before the bot identifies."""
        number = self.snowflake()
        guild = Guild(number, name, Channel(self.snowflake()), list(members))
        guild.channel.guild = guild
        self.guilds[number] = guild
        self.channels[guild.channel.id] = guild.channel
        return guild

    def direct(self, person: Person) -> Channel:
        """A person's direct messages with the bot."""
        for channel in self.channels.values():
            if channel.person is person:
                return channel
        channel = Channel(self.snowflake(), person=person)
        self.channels[channel.id] = channel
        return channel

    def fail(
        self,
        pattern: str,
        status: int,
        *,
        times: int = 1,
        body: Mapping[str, Any] | None = None,
        after: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Have the next requests fail whose `METHOD /path` matches; `after`: they are carried out all the same."""
        given = body or {"code": 0, "message": f"{status}: failed by the test"}
        self.faults.append(Fault(re.compile(pattern), status, times, given, headers or {}, after))

    # --- payloads -------------------------------------------------------------------------------------------------

    def guild_payload(self, guild: Guild) -> dict[str, Any]:
        """As in GUILD_CREATE."""
        payload = documented("guild", id=str(guild.id), name=guild.name, member_count=len(guild.members) + 1)
        payload["roles"][0]["id"] = str(guild.id)
        payload["channels"] = [self.channel_payload(guild.channel)]
        payload["members"] = [documented("member", user=self.me)]
        return payload

    def channel_payload(self, channel: Channel) -> dict[str, Any]:
        """A channel as the API shows it."""
        if channel.guild is not None:
            return documented("text_channel", id=str(channel.id), guild_id=str(channel.guild.id))
        assert channel.person is not None
        return documented("dm_channel", id=str(channel.id), recipients=[channel.person.payload])

    def message_payload(
        self, channel: Channel, author: Mapping[str, Any], given: Mapping[str, Any], files: Sequence[File]
    ) -> dict[str, Any]:
        """A new message of the channel, not yet in it."""
        number = self.snowflake()
        found = pings(given)
        payload = documented(
            "message",
            id=str(number),
            channel_id=str(channel.id),
            author=dict(author),
            content=given.get("content") or "",
            timestamp=datetime.fromtimestamp(((number >> 22) + _EPOCH) / 1000, timezone.utc).isoformat(),
            components=given.get("components") or [],
            embeds=given.get("embeds") or [],
            flags=given.get("flags") or 0,
            mention_everyone="everyone" in found,
            mentions=[person.payload for key, person in self.people.items() if str(key) in found],
            attachments=[self._attach(channel, file) for file in files],
        )
        if str(_APP) in found:
            payload["mentions"].append(self.me)
        if given.get("nonce"):
            payload["nonce"] = given["nonce"]
        return payload

    def _attach(self, channel: Channel, file: File) -> dict[str, Any]:
        number = self.snowflake()
        self.files[number] = file
        url = f"http://127.0.0.1:{self._port}/attachments/{channel.id}/{number}/{file.name}?ex=6&is=5&hm=4"
        return documented(
            "attachment",
            id=str(number),
            filename=file.name,
            size=len(file.content),
            url=url,
            proxy_url=url,
            content_type=file.media_type,
        )

    async def announce(self, event: str, channel: Channel, message: Mapping[str, Any]) -> None:
        """Tell the gateway of a message, in as many words as the intents allow."""
        if channel.guild is None:
            await self.gateway.dispatch(event, message, intent=DIRECT_MESSAGES)
            return
        data = {**message, "guild_id": str(channel.guild.id), "member": documented("member")}
        mentions_me = any(each["id"] == str(_APP) for each in message.get("mentions", ()))
        if not (self.privileged & MESSAGE_CONTENT or mentions_me or message["author"]["id"] == str(_APP)):
            data |= {"content": "", "attachments": [], "components": [], "embeds": []}
        await self.gateway.dispatch(event, data, intent=GUILD_MESSAGES, guild_id=channel.guild.id)

    # --- REST: what every request goes through -----------------------------------------------------------------------

    def _rest(
        self, handler: Callable[[web.Request], Awaitable[Any]], route: str
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        open_to_all = "/interactions/" in route or "/webhooks/" in route
        limited = route.startswith("POST") and route.endswith(("/messages", "/typing", "/webhooks/{app}/{token}"))

        async def handle(request: web.Request) -> web.Response:
            asked = f"{request.method} {request.path.removeprefix('/api/v10')}"
            self.requests.append((time.monotonic(), asked))
            major = request.match_info.get("channel") or request.match_info.get("token") or ""
            verdict = self.limits.ask(route, major, limited=limited, counted=not open_to_all)
            if verdict.retry_after:
                body = documented("rate_limited", retry_after=round(verdict.retry_after, 3))
                body["global"] = verdict.everywhere
                headers = {**verdict.headers, "Retry-After": str(int(verdict.retry_after) + 1)}
                return _json(body, 429, headers)
            if not open_to_all and request.headers.get("Authorization") != f"Bot {self.token}":
                return _json({"message": "401: Unauthorized", "code": 0}, 401, verdict.headers)
            fault = self._fault(asked)
            if fault is not None and not fault.after:
                await request.read()  # what is left of it would be taken for the connection's next request
                return _json(fault.body, fault.status, {**verdict.headers, **fault.headers})
            try:
                result = await handler(request)
            except RefusedError as refused:
                return _json(refused.body, refused.status, verdict.headers)
            finally:
                self.happened()
            if fault is not None:
                return _json(fault.body, fault.status, {**verdict.headers, **fault.headers})
            if result is None:
                return web.Response(status=204, headers=verdict.headers)
            return _json(result, 200, verdict.headers)

        return handle

    def _fault(self, request: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.pattern.search(request):
                fault.times -= 1
                return fault
        return None

    def _routes(self) -> list[tuple[str, str, Callable[[web.Request], Awaitable[Any]]]]:
        app = "/applications/{app}"
        hook = "/webhooks/{app}/{token}"
        return [
            ("GET", "/users/@me", self._me),
            ("GET", "/users/{user}", self._user),
            ("POST", "/users/@me/channels", self._open_direct),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/gateway", self._gateway),
            ("GET", "/gateway/bot", self._gateway),
            ("GET", f"{app}/commands", self._list_commands),
            ("PUT", f"{app}/commands", self._put_commands),
            ("PUT", app + "/guilds/{guild}/commands", self._put_guild_commands),
            ("GET", "/channels/{channel}", self._channel),
            ("POST", "/channels/{channel}/messages", self._send),
            ("GET", "/channels/{channel}/messages", self._history),
            ("GET", "/channels/{channel}/messages/{message}", self._one),
            ("PATCH", "/channels/{channel}/messages/{message}", self._edit),
            ("DELETE", "/channels/{channel}/messages/{message}", self._delete),
            ("POST", "/channels/{channel}/typing", self._typing),
            ("POST", "/interactions/{interaction}/{token}/callback", self._callback),
            ("POST", hook, self._follow_up),
            ("GET", hook + "/messages/{message}", self._get_follow_up),
            ("PATCH", hook + "/messages/{message}", self._edit_follow_up),
            ("DELETE", hook + "/messages/{message}", self._delete_follow_up),
        ]

    # --- REST: the bot itself -------------------------------------------------------------------------------------

    async def _me(self, request: web.Request) -> Any:
        return {**self.me, "mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}

    async def _user(self, request: web.Request) -> Any:
        person = self.people.get(int(request.match_info["user"]))
        if person is None:
            raise RefusedError(404, 10013, "Unknown User")
        return person.payload

    async def _application(self, request: web.Request) -> Any:
        owner = documented("user", id="53908232506183680", username="owner", global_name="Owner")
        return documented("application", id=str(_APP), owner=owner)

    async def _gateway(self, request: web.Request) -> Any:
        return documented("gateway_bot", url=self.gateway_url, shards=self.shards)

    async def _list_commands(self, request: web.Request) -> Any:
        return self.commands

    async def _put_commands(self, request: web.Request) -> Any:
        self.commands = await self._register(request)
        return self.commands

    async def _put_guild_commands(self, request: web.Request) -> Any:
        made = self.guild_commands[int(request.match_info["guild"])] = await self._register(request)
        return made

    async def _register(self, request: web.Request) -> list[dict[str, Any]]:
        commands = await request.json()
        check_commands(commands)
        known = {"application_id": str(_APP), "version": str(self.snowflake())}
        return [{"id": str(self.snowflake()), "type": 1, **known, **command} for command in commands]

    # --- REST: channels and messages --------------------------------------------------------------------------------

    async def _open_direct(self, request: web.Request) -> Any:
        person = self.people.get(int((await request.json())["recipient_id"]))
        if person is None:
            raise RefusedError(400, 50033, "Invalid Recipient(s)")
        return self.channel_payload(self.direct(person))

    def _channel_of(self, request: web.Request) -> Channel:
        channel = self.channels.get(int(request.match_info["channel"]))
        if channel is None:
            raise RefusedError(404, 10003, "Unknown Channel")
        return channel

    async def _channel(self, request: web.Request) -> Any:
        return self.channel_payload(self._channel_of(request))

    async def _send(self, request: web.Request) -> Any:
        channel = self._channel_of(request)
        given, files = await _read(request)
        if channel.person is not None and channel.person.closed_to_bots:
            raise RefusedError(403, 50007, "Cannot send messages to this user")
        check_message(given, files)
        nonce = (channel.id, str(given.get("nonce")))
        if given.get("enforce_nonce") and nonce in self._nonces:
            return self._nonces[nonce]
        message = self.message_payload(channel, self.me, given, files)
        self._note_pings(given)
        channel.messages.append(message)
        if given.get("nonce"):
            self._nonces[nonce] = message
        await self.announce("MESSAGE_CREATE", channel, message)
        return message

    def _note_pings(self, given: Mapping[str, Any]) -> None:
        found = pings(given)
        if found:
            self.notified.append(found)

    async def _history(self, request: web.Request) -> Any:
        messages = self._channel_of(request).messages
        after, before = request.query.get("after"), request.query.get("before")
        limit = int(request.query.get("limit", 50))
        if after is not None:
            newer = [message for message in messages if int(message["id"]) > int(after)]
            return list(reversed(newer[:limit]))
        if before is not None:
            messages = [message for message in messages if int(message["id"]) < int(before)]
        return list(reversed(messages[-limit:]))

    def _message_of(self, messages: Sequence[dict[str, Any]], number: str) -> dict[str, Any]:
        for message in messages:
            if message["id"] == number:
                return message
        raise RefusedError(404, 10008, "Unknown Message")

    async def _one(self, request: web.Request) -> Any:
        return self._message_of(self._channel_of(request).messages, request.match_info["message"])

    async def _edit(self, request: web.Request) -> Any:
        channel = self._channel_of(request)
        message = self._message_of(channel.messages, request.match_info["message"])
        if message["author"]["id"] != str(_APP):
            raise RefusedError(403, 50005, "Cannot edit a message authored by another user")
        self._change(channel, message, *await _read(request))
        await self.announce("MESSAGE_UPDATE", channel, message)
        return message

    def _change(
        self, channel: Channel, message: dict[str, Any], given: Mapping[str, Any], files: Sequence[File]
    ) -> None:
        changed = {**message, **{key: given[key] for key in ("content", "components", "embeds") if key in given}}
        check_message(changed, files or [File("kept", b"")] * len(message["attachments"]))
        self._note_pings(given)
        message.update(changed, edited_timestamp=datetime.now(timezone.utc).isoformat())
        message["attachments"] += [self._attach(channel, file) for file in files]

    async def _delete(self, request: web.Request) -> Any:
        channel = self._channel_of(request)
        channel.messages.remove(self._message_of(channel.messages, request.match_info["message"]))

    async def _typing(self, request: web.Request) -> Any:
        self._channel_of(request).typing += 1

    async def _download(self, request: web.Request) -> web.Response:
        file = self.files.get(int(request.match_info["file"]))
        if file is None or "hm" not in request.query:
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=file.content, content_type=file.media_type)

    # --- REST: interactions -----------------------------------------------------------------------------------------

    async def _callback(self, request: web.Request) -> Any:
        interaction = self.interactions.get(request.match_info["token"])
        if interaction is None or str(interaction.id) != request.match_info["interaction"]:
            raise RefusedError(404, 10062, "Unknown interaction")
        if interaction.response is not None:
            raise RefusedError(400, 40060, "Interaction has already been acknowledged.")
        waited = time.monotonic() - interaction.at
        if waited > self.acknowledge_within:
            raise RefusedError(404, 10062, "Unknown interaction")
        given, files = await _read(request)
        kind, data = given["type"], given.get("data") or {}
        asked = interaction.payload["type"]
        if kind in (6, 7) and (asked == 2 or (asked == 5 and interaction.source is None)):
            raise RefusedError(400, 50035, "Invalid Form Body")
        message: dict[str, Any] | None = None
        if kind == 4:
            check_message(data, files)
            message = self._say_in(interaction, data, files)
        elif kind == 5:
            flags = data.get("flags", 0) | 1 << 7  # LOADING
            message = self._say_in(interaction, {"content": "", "flags": flags}, ())
        elif kind == 7:
            assert interaction.source is not None
            self._change(interaction.channel, interaction.source, data, files)
            message = interaction.source
        elif kind == 9:
            if asked == 5:
                raise RefusedError(400, 50035, "Invalid Form Body")
            check_modal(data)
            interaction.modal = data
        elif kind != 6:
            raise RefusedError(400, 50035, "Invalid Form Body")
        interaction.response, interaction.answered_after = kind, waited
        interaction.original = message
        if request.query.get("with_response") not in ("1", "true"):
            return None
        return self._callback_answer(interaction, kind, message)

    def _callback_answer(self, interaction: Interaction, kind: int, message: dict[str, Any] | None) -> Any:
        told: dict[str, Any] = {"id": str(interaction.id), "type": interaction.payload["type"]}
        if message is None:
            return {"interaction": told}
        told["response_message_id"] = message["id"]
        told["response_message_loading"] = kind == 5
        told["response_message_ephemeral"] = bool(message["flags"] & EPHEMERAL)
        return {"interaction": told, "resource": {"type": kind, "message": message}}

    def _say_in(self, interaction: Interaction, given: Mapping[str, Any], files: Sequence[File]) -> dict[str, Any]:
        message = self.message_payload(interaction.channel, self.me, given, files)
        message |= {"webhook_id": str(_APP), "application_id": str(_APP)}
        self._note_pings(given)
        interaction.messages.append(message)
        if not message["flags"] & EPHEMERAL:
            interaction.channel.messages.append(message)
        return message

    def _answered(self, request: web.Request) -> Interaction:
        interaction = self.interactions.get(request.match_info["token"])
        if interaction is None:
            raise RefusedError(404, 10015, "Unknown Webhook")
        if interaction.expired or time.monotonic() - interaction.at > TOKEN_SECONDS:
            raise RefusedError(401, 50027, "Invalid Webhook Token")
        if interaction.response is None:
            raise RefusedError(404, 10015, "Unknown Webhook")
        return interaction

    async def _follow_up(self, request: web.Request) -> Any:
        interaction = self._answered(request)
        given, files = await _read(request)
        check_message(given, files)
        waiting = interaction.original
        if waiting is not None and waiting["flags"] & 1 << 7:  # the first one fills in what was deferred
            waiting["flags"] &= ~(1 << 7)
            self._change(interaction.channel, waiting, given, files)
            return waiting
        return self._say_in(interaction, given, files)

    def _follow_up_of(self, request: web.Request) -> tuple[Interaction, dict[str, Any]]:
        interaction = self._answered(request)
        number = request.match_info["message"]
        if number == "@original":
            if interaction.original is None:
                raise RefusedError(404, 10008, "Unknown Message")
            return interaction, interaction.original
        return interaction, self._message_of(interaction.messages, number)

    async def _get_follow_up(self, request: web.Request) -> Any:
        return self._follow_up_of(request)[1]

    async def _edit_follow_up(self, request: web.Request) -> Any:
        interaction, message = self._follow_up_of(request)
        message["flags"] &= ~(1 << 7)
        self._change(interaction.channel, message, *await _read(request))
        return message

    async def _delete_follow_up(self, request: web.Request) -> Any:
        interaction, message = self._follow_up_of(request)
        for messages in (interaction.messages, interaction.channel.messages):
            if message in messages:
                messages.remove(message)


def _json(body: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    # Exactly this type and no charset, or discord.py takes it for text; without Via, a 429 is Cloudflare's to it.
    given = {**headers, "Content-Type": "application/json", "Via": "1.1 google"}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=given)


async def _read(request: web.Request) -> tuple[dict[str, Any], list[File]]:
    """The JSON of a request and the files that came with it."""
    if not request.content_type.startswith("multipart/"):
        return (await request.json() if request.can_read_body else {}), []
    given: dict[str, Any] = {}
    files: dict[int, File] = {}
    async for part in await request.multipart():
        assert part.name is not None
        if part.name == "payload_json":
            given = json.loads(await part.text())
        elif found := re.fullmatch(r"files\[(\d+)\]", part.name):
            files[int(found[1])] = File(part.filename or "file", bytes(await part.read()))
    data = given.get("data", given)
    named = {int(each["id"]): each.get("filename") for each in data.get("attachments", ())}
    return given, [File(named.get(key) or file.name, file.content) for key, file in sorted(files.items())]
