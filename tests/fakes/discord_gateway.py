"""The fake server's gateway: version 10 over a real WebSocket, with sessions that can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.fakes.discord_rules import documented

if TYPE_CHECKING:
    from tests.fakes.discord_server import DiscordServer

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 0, 1 << 9, 1 << 12
GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT = 1 << 1, 1 << 8, 1 << 15
PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
_PIECE = 700  # bytes of a binary frame: longer messages come in several, as the client must expect


@dataclass
class Session:
    """What was sent since a client identified; kept for resuming after the connection is gone."""

    id: str
    shard: tuple[int, int]
    intents: int
    events: list[dict[str, Any]] = field(default_factory=list)
    connection: Connection | None = None


class Connection:
    """One WebSocket of a client."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, *, compressed: bool) -> None:
        self._request = request
        self._socket = socket
        self._zlib = zlib.compressobj() if compressed else None
        self._sending = asyncio.Lock()

    async def send(self, op: int, data: Any = None, **more: Any) -> None:
        """Send one payload; a connection that is gone loses it."""
        text = json.dumps({"op": op, "d": data, "s": more.get("s"), "t": more.get("t")})
        async with self._sending:
            with contextlib.suppress(ConnectionError):
                if self._zlib is None:
                    await self._socket.send_str(text)
                    return
                whole = self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
                for start in range(0, len(whole), _PIECE):
                    await self._socket.send_bytes(whole[start : start + _PIECE])

    async def close(self, code: int) -> None:
        """Close with a code of Discord's."""
        await self._socket.close(code=code)

    def abort(self) -> None:
        """As if a cable had been cut."""
        if self._request.transport is not None:
            self._request.transport.abort()


class FakeGateway:
    """Sessions, and who gets which event."""

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.heartbeats = 0
        self.most_connected = 0  # at one time
        self._connections: set[Connection] = set()

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    # --- what tests do to clients ---------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut every connection without a word; sessions can be resumed."""
        for connection in tuple(self._connections):
            connection.abort()

    async def ask_to_reconnect(self) -> None:
        """Opcode 7."""
        for connection in tuple(self._connections):
            await connection.send(7)

    async def invalidate(self, *, resumable: bool) -> None:
        """Opcode 9; if not resumable, the sessions are forgotten."""
        if not resumable:
            self.sessions.clear()
        for connection in tuple(self._connections):
            await connection.send(9, resumable)

    async def close(self) -> None:
        """Hang up on everybody."""
        for connection in tuple(self._connections):
            await connection.close(WSCloseCode.GOING_AWAY)

    # --- events ---------------------------------------------------------------------------------------------------

    async def dispatch(
        self, event: str, data: Mapping[str, Any], *, intent: int = 0, guild_id: int | None = None
    ) -> None:
        """Give an event to the sessions that want it; those without a connection get it when they resume."""
        for session in tuple(self.sessions.values()):
            shard, shards = session.shard
            if (intent and not session.intents & intent) or ((guild_id or 0) >> 22) % shards != shard:
                continue
            await self._give(session, event, data)

    async def _give(self, session: Session, event: str, data: Mapping[str, Any]) -> None:
        number = len(session.events) + 1
        session.events.append({"t": event, "s": number, "d": data})
        if session.connection is not None:
            await session.connection.send(0, data, t=event, s=number)

    # --- a connection ---------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The route of the WebSocket."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if request.query.get("v") != "10" or request.query.get("encoding") != "json":
            await socket.close(code=4012)
            return socket
        connection = Connection(request, socket, compressed=request.query.get("compress") == "zlib-stream")
        self._connections.add(connection)
        self.most_connected = max(self.most_connected, len(self._connections))
        session: Session | None = None
        try:
            await connection.send(10, {"heartbeat_interval": self._server.heartbeat_ms, "_trace": []})
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                payload = json.loads(message.data)
                if payload["op"] == 1:
                    self.heartbeats += 1
                    await connection.send(11)
                elif payload["op"] == 2:
                    session = await self._identify(connection, payload["d"])
                elif payload["op"] == 6:
                    session = await self._resume(connection, payload["d"])
                self._server.happened()
        finally:
            self._connections.discard(connection)
            if session is not None and session.connection is connection:
                session.connection = None
            self._server.happened()
        return socket

    async def _identify(self, connection: Connection, asked: Mapping[str, Any]) -> Session | None:
        if asked["token"] != self._server.token:
            await connection.close(4004)
            return None
        if asked["intents"] & PRIVILEGED & ~self._server.privileged:
            await connection.close(4014)
            return None
        number, count = asked.get("shard", (0, 1))
        session = Session(f"session-{self._server.snowflake()}", (number, count), asked["intents"])
        session.connection = connection
        self.sessions[session.id] = session
        self.identified += 1
        guilds = [guild for guild in self._server.guilds.values() if (guild.id >> 22) % count == number]
        ready = documented(
            "ready",
            user=self._server.me,
            guilds=[{"id": str(guild.id), "unavailable": True} for guild in guilds],
            session_id=session.id,
            resume_gateway_url=self._server.gateway_url,
            shard=[number, count],
        )
        await self._give(session, "READY", ready)
        for guild in guilds if session.intents & GUILDS else ():
            await self._give(session, "GUILD_CREATE", self._server.guild_payload(guild))
        return session

    async def _resume(self, connection: Connection, asked: Mapping[str, Any]) -> Session | None:
        session = self.sessions.get(asked["session_id"])
        if asked["token"] != self._server.token or session is None:
            await connection.send(9, False)
            return None
        self.resumed += 1
        session.connection = connection
        for event in session.events[asked["seq"] :]:
            await connection.send(0, event["d"], t=event["t"], s=event["s"])
        await self._give(session, "RESUMED", {"_trace": []})
        return session
