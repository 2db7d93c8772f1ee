"""The desk, put together from its areas; rendered on the server, working without JavaScript."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Mount

from bot.desk import (
    approval_pages,
    canned_pages,
    case_pages,
    conversation_pages,
    entry,
    live,
    queue_pages,
    review_pages,
    supervisor,
    tickets,
)
from bot.desk.base import DemoAgent, Desk, DeskDeps, Static

__all__ = ["DemoAgent", "DeskDeps", "routes"]
_STATIC = Path(__file__).parent / "static"
_AREAS = (
    entry,
    queue_pages,
    live,
    conversation_pages,
    case_pages,
    approval_pages,
    canned_pages,
    tickets,
    review_pages,
    supervisor,
)  # a module each, with `routes(desk)`
_NAV = (
    *queue_pages.NAV,
    *case_pages.NAV,
    *canned_pages.NAV,
    *review_pages.NAV,
    *supervisor.NAV,
)  # in the order of the header


def routes(deps: DeskDeps) -> list[BaseRoute]:
    """The desk's routes, under `/desk`, to be put into an application behind `bot.web.pages.security_headers`."""
    desk = Desk(deps, _NAV)
    found: list[BaseRoute] = [route for area in _AREAS for route in area.routes(desk)]
    return [*found, Mount("/desk/static", Static(directory=_STATIC), name="desk-static")]
