"""What keeps the desk's pages live: one stream of events a page, ended as soon as its agent may not look any more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.conversation import history
from bot.conversation.locks import next_hints
from bot.conversation.people import DESK
from bot.desk import cases, conversations
from bot.desk.base import SESSION, Desk, signed_in
from bot.desk.conversations import Entry, Marks
from bot.desk.queue_pages import queue_filters, queue_link
from bot.errors import InvalidInput, NotFound, SupportBotError
from bot.services import presence
from bot.services.agents import SignedIn
from bot.store.unit_of_work import UnitOfWork

_CHECK_SECONDS = 1.5
_CHECK_AGE = 0.4  # together with the above: at most two seconds after a session has ended its streams end too
_TICK_SECONDS = 15.0  # clocks go on
_PRESENT_SECONDS = 30.0
_CLOCKS_AGE = 5.0  # so far behind may be what pages show without a hint
_GATHER_SECONDS = 0.15  # hints come in crowds
_OTHERS_SECONDS = 0.75  # for what a page's lists do not show yet, which is mostly other people's chats
_LOOK_SECONDS = 60.0  # a hint may have got lost
_RETRY_MILLISECONDS = 1_000
_CACHED = 200
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def routes(desk: Desk) -> list[Route]:
    """The stream."""
    live = _Live(desk)
    return [Route("/desk/events", desk.guarded(live.events))]


@dataclass
class _Watch:
    """What one page follows, and what it has been told so far."""

    token: str
    me: SignedIn
    conversation: str | None
    approval: str | None
    queue: Mapping[str, str] | None
    after: int
    since: datetime
    state: str
    told: set[str] = field(default_factory=set)
    marks: Marks | None = None
    lists: str = ""
    hinted: float = 0.0  # when the desk was last told of something, by the monotonic clock


class _Shared(Generic[T]):
    """Something that many pages ask for at the same time, made once for all of them."""

    def __init__(self) -> None:
        self._begun = -1.0
        self._value: T | None = None
        self._lock = asyncio.Lock()

    async def get(self, make: Callable[[], Awaitable[T]], *, since: float) -> T:
        """What was begun to be made at that moment (of the monotonic clock) or later."""
        async with self._lock:
            if self._value is None or self._begun < since:
                begun = time.monotonic()
                self._value = await make()
                self._begun = begun
            return self._value


class _Gone(Exception):
    """The session is not as it was when the page was opened."""


class _Live:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.deps.store
        self._making = asyncio.Semaphore(1)  # lists wait for each other, so that messages do not wait for them
        self._lists: dict[object, _Shared[str]] = {}
        self._checks: dict[str, _Shared[bool]] = {}
        self._present: dict[str, _Shared[bool]] = {}

    async def events(self, request: Request) -> Response:
        query = request.query_params
        conversation, approval = query.get("conversation") or None, query.get("approval") or None
        after = request.headers.get("last-event-id") or query.get("after", "0")
        if not after.isdecimal() or len(after) > 9:
            raise InvalidInput("“after” is the number of a message.")
        queue = dict(parse_qsl(query["queue"])) if "queue" in query else None
        since = _moment(query.get("since", "")) or self._desk.deps.clock.now()

        def open_watch(uow: UnitOfWork, me: SignedIn, now: datetime) -> _Watch:
            if conversation:
                conversations.watch(uow, agent=me.agent, conversation_id=conversation, now=now)
            presence.seen(uow, agent_id=me.agent.id, now=now)
            token = request.cookies[SESSION]
            if approval:
                cases.approval_state(uow, agent=me.agent, approval_id=approval)
            return _Watch(token, me, conversation, approval, queue, int(after), since, query.get("state", ""))

        watch = await self._desk.inside(request, open_watch)
        return EventSourceResponse(self._tell(watch), ping=20)

    async def _tell(self, watch: _Watch) -> AsyncIterator[dict[str, str | int]]:
        """Tell what is new until the page is closed, the server stops, or its agent may not look any more."""
        bus = self._desk.deps.gateway.bus
        yield {"event": "hello", "data": "", "retry": _RETRY_MILLISECONDS}
        async with contextlib.AsyncExitStack() as stack:
            queues = [await stack.enter_async_context(bus.listen(DESK))]
            if watch.conversation:
                queues.append(await stack.enter_async_context(bus.listen(watch.conversation)))
            hints = await stack.enter_async_context(_merged(queues))
            lists_at = present_at = check_at = look_at = watch.hinted = time.monotonic()
            try:
                while True:
                    if time.monotonic() >= check_at:
                        check_at = time.monotonic() + _CHECK_SECONDS
                        await self._check(watch)
                    if time.monotonic() >= look_at:
                        look_at = time.monotonic() + _LOOK_SECONDS
                        for event in await self._news(watch):
                            yield event
                    if time.monotonic() >= lists_at:
                        lists_at = time.monotonic() + _TICK_SECONDS
                        html = await self._lists_of(watch)
                        if html != watch.lists:
                            watch.lists = html
                            yield {"event": "lists", "data": html}
                    if time.monotonic() >= present_at + _PRESENT_SECONDS:
                        present_at = time.monotonic()
                        await self._be_present(watch.me.agent.id)
                    wait = max(0.01, min(check_at, lists_at, look_at) - time.monotonic())
                    for where, hint in await next_hints(hints, wait):
                        if hint == "closing":
                            return
                        if where == 0:
                            watch.hinted = time.monotonic()
                            soon = _GATHER_SECONDS if hint in watch.lists else _OTHERS_SECONDS
                            lists_at = min(lists_at, watch.hinted + soon)
                        elif hint in ("typing", "customer-typing"):
                            yield {"event": "typing", "data": "bot" if hint == "typing" else "customer"}
                        if _may_concern(watch, hint) if where == 0 else hint in ("message", "state", "note"):
                            look_at = time.monotonic()
            except _Gone:
                yield {"event": "gone", "data": ""}

    async def _be_present(self, agent_id: str) -> None:
        """Put down that an agent is at the desk, once for all of their pages."""

        async def put_down() -> bool:
            await self._store.writing(partial(presence.seen, agent_id=agent_id, now=self._desk.deps.clock.now()))
            return True

        await _kept(self._present, agent_id).get(put_down, since=time.monotonic() - _PRESENT_SECONDS / 2)

    async def _check(self, watch: _Watch) -> None:
        """Look whether the session still is as it was; pages of one browser share a look. Raises _Gone."""
        check = _kept(self._checks, watch.token).get(
            lambda: self._store.reading(lambda uow: self._stands(uow, watch)), since=time.monotonic() - _CHECK_AGE
        )
        if not await check:
            raise _Gone

    def _stands(self, uow: UnitOfWork, watch: _Watch) -> bool:
        """Whether the session is as it was when the page was opened: a changed role or brand needs a new page."""
        try:
            return signed_in(uow, watch.token, now=self._desk.deps.clock.now()) == watch.me
        except SupportBotError:
            return False

    async def _news(self, watch: _Watch) -> list[dict[str, str | int]]:
        """What the page must be told now, apart from the lists. Raises _Gone."""
        if watch.conversation:
            return await self._news_of(watch, watch.conversation)
        if watch.approval and await self._decided_since(watch, watch.approval):
            return [{"event": "refresh", "data": watch.state}]
        await self._check(watch)
        return []

    async def _news_of(self, watch: _Watch, conversation_id: str) -> list[dict[str, str | int]]:
        def look(uow: UnitOfWork) -> tuple[list[Entry], Marks, str]:
            if not self._stands(uow, watch):
                raise _Gone
            return conversations.news(
                uow,
                agent=watch.me.agent,
                conversation_id=conversation_id,
                after_seq=watch.after,
                since=watch.since,
            )

        told: list[dict[str, str | int]] = []
        try:
            entries, marks, state = await self._store.reading(look)
        except NotFound:
            return [{"event": "refresh", "data": ""}]
        for entry in entries:
            if (told_as := f"{entry.id}:{len(entry.changes)}") in watch.told:
                continue
            watch.told.add(told_as)
            if entry.kind == "message":
                watch.after = max(watch.after, entry.seq)
            html = self._desk.render("_entry.html", entry=entry, conversation_id=conversation_id)
            data = json.dumps({"id": entry.id, "seq": entry.seq, "author": entry.author, "html": html})
            told.append({"event": "entry", "id": str(watch.after), "data": data})
        if marks != watch.marks:
            watch.marks = marks
            data = {"delivered": marks.delivered, "read": marks.read, "failed": marks.failed}
            told.append({"event": "marks", "data": json.dumps(data)})
        if state != watch.state:
            watch.state = state
            told.append({"event": "refresh", "data": state})
        return told

    async def _decided_since(self, watch: _Watch, approval: str) -> bool:
        """Whether an approval stands otherwise than the page was last told."""

        def look(uow: UnitOfWork) -> str:
            if not self._stands(uow, watch):
                raise _Gone
            return cases.approval_state(uow, agent=watch.me.agent, approval_id=approval)

        before, watch.state = watch.state, await self._store.reading(look)
        return watch.state != before

    async def _lists_of(self, watch: _Watch) -> str:
        """The lists as they are now, made once for all pages of a browser that show the same. Raises _Gone."""
        shared = _kept(self._lists, (watch.token, json.dumps(watch.queue, sort_keys=True)))
        since = max(watch.hinted, time.monotonic() - _CLOCKS_AGE)

        async def make() -> str:
            async with self._making:
                return await self._store.reading(partial(self._render_lists, watch))

        html = await shared.get(make, since=since)
        if not html:
            raise _Gone
        return html

    def _render_lists(self, watch: _Watch, uow: UnitOfWork) -> str:
        """The lists, which say nothing of the page that they are on; empty for a session that has changed."""
        if not self._stands(uow, watch):
            return ""
        now = self._desk.deps.clock.now()
        shared: dict[str, Any] = {"agent": watch.me.agent, "packs": self._desk.deps.packs, "now": now}
        rail = conversations.read_rail(uow, **shared)
        found: dict[str, Any] = {"queue": None}
        if watch.queue is not None:
            filters = queue_filters(watch.queue, watch.me)
            queue = conversations.read_queue(uow, filters=filters, **shared)
            found = {"queue": queue, "filters": filters, "link": partial(queue_link, filters)}
        return self._desk.render("_lists.html", rail=rail, now=now, me=watch.me, current=None, **found)


def _may_concern(watch: _Watch, hint: str) -> bool:
    """Whether what a desk is told of may change the page beside the lists: it may unless it is another conversation."""
    return hint == watch.conversation or not history.is_conversation(hint)


def _kept(shared: dict[K, _Shared[T]], key: K) -> _Shared[T]:
    if len(shared) > _CACHED:
        shared.clear()
    return shared.setdefault(key, _Shared())


@contextlib.asynccontextmanager
async def _merged(queues: list[asyncio.Queue[str]]) -> AsyncIterator[asyncio.Queue[tuple[int, str]]]:
    """One queue of what comes in several, each hint with the place of its queue."""
    merged: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def pass_on(place: int, queue: asyncio.Queue[str]) -> None:
        while True:
            await merged.put((place, await queue.get()))

    tasks = [asyncio.create_task(pass_on(place, queue)) for place, queue in enumerate(queues)]
    try:
        yield merged
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _moment(text: str) -> datetime | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{5,15}\+00:00", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
