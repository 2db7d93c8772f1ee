"""The desk's first page: who waits, what must be approved, and the agent's own chats beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk import conversations
from bot.desk.base import Desk, NavItem
from bot.desk.conversations import Queue, QueueFilters, Rail
from bot.services.agents import SignedIn
from bot.store.unit_of_work import UnitOfWork

NAV = (NavItem("Queue", "/desk", "queue"),)
_VIEWS = {"waiting": "Waiting", "people": "With people", "recent": "Latest"}


def routes(desk: Desk) -> list[Route]:
    """The queue."""
    pages = _Queue(desk)
    return [Route("/desk", desk.guarded(pages.queue))]


class _Queue:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def queue(self, request: Request) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[Queue, Rail]:
            shared = {"agent": me.agent, "packs": self._desk.deps.packs, "now": now}
            return (
                conversations.list_queue(uow, filters=queue_filters(request.query_params, me), **shared),
                conversations.read_rail(uow, **shared),
            )

        def show(found: tuple[Queue, Rail], me: SignedIn, now: datetime) -> Response:
            filters = queue_filters(request.query_params, me)
            queue, rail = found
            return self._desk.page(
                "queue.html",
                me=me,
                now=now,
                queue=queue,
                rail=rail,
                filters=filters,
                views=_VIEWS,
                link=partial(queue_link, filters),
                current=None,
                events="/desk/events?" + urlencode({"queue": queue_link(filters).partition("?")[2]}),
            )

        return await self._desk.look(request, read, show)


def queue_filters(query: Mapping[str, str], me: SignedIn) -> QueueFilters:
    """What an address asks for; what it cannot mean is left out."""
    view, brand = query.get("view", ""), query.get("brand", "")
    channel, reason = query.get("channel", ""), query.get("reason", "")
    return QueueFilters(
        view=view if view in conversations.VIEWS else "waiting",
        brand=brand if brand in me.agent.brands else None,
        channel=channel if re.fullmatch(r"[\w-]{1,20}", channel) else None,
        reason=reason if re.fullmatch(r"[\w-]{1,40}", reason) else None,
    )


def queue_link(filters: QueueFilters, **changed: object) -> str:
    """The address of the queue under these filters, some of them changed; an empty one is left out."""
    asked: dict[str, object] = {**vars(filters), **changed}
    return "/desk?" + urlencode({name: value for name, value in asked.items() if value})
