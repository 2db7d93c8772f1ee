"""The desk's pages about cases: the list, and one case with everything needed to work on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk import cases, ticket_data
from bot.desk.base import (
    SHOWN_ON_THE_PAGE,
    Desk,
    NavItem,
    check_csrf,
    done,
    file_response,
    form_key,
    read_form,
    redirect,
)
from bot.errors import InvalidInput
from bot.ids import new_id
from bot.services.agents import SignedIn
from bot.services.attachments import AttachmentView
from bot.services.tickets import TicketStatus
from bot.store.unit_of_work import UnitOfWork

NAV = (NavItem("Cases", "/desk/cases", "cases"),)


def routes(desk: Desk) -> list[Route]:
    """The list, a case, its files, and where its forms go."""
    pages = _Cases(desk)
    return [
        Route("/desk/cases", desk.guarded(pages.list)),
        Route("/desk/cases/{reference}", desk.guarded(pages.case)),
        Route("/desk/cases/{reference}/status", desk.guarded(pages.change_status), methods=["POST"]),
        Route("/desk/cases/{reference}/notes", desk.guarded(pages.add_note), methods=["POST"]),
        Route("/desk/cases/{reference}/files/{attachment}", desk.guarded(pages.file)),
    ]


async def case_page(
    desk: Desk,
    request: Request,
    *,
    problem: str | None = None,
    draft: str = "",
    reply_draft: str = "",
    status: int = 200,
) -> Response:
    """One case; `draft` is a note and `reply_draft` an answer that could not be kept."""

    def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[cases.CasePage, ticket_data.Extras]:
        reference = request.path_params["reference"]
        shown = cases.view_case(uow, agent=me.agent, reference=reference, packs=desk.deps.packs, now=now)
        return shown, ticket_data.extras(uow, agent=me.agent, reference=reference)

    def show(found: tuple[cases.CasePage, ticket_data.Extras], me: SignedIn, now: datetime) -> Response:
        shown, ticket = found
        return desk.page(
            "case.html",
            status=status,
            me=me,
            now=now,
            shown=shown,
            ticket=ticket,
            problem=problem,
            draft=draft,
            reply_draft=reply_draft,
            done=done(request),
            form_key=new_id("frm"),
            longest_note=cases.LONGEST_NOTE,
        )

    return await desk.look(request, read, show)


class _Cases:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, request: Request) -> Response:
        query = request.query_params
        number = int(query["page"]) if re.fullmatch(r"[1-9]\d{0,3}", query.get("page", "")) else 1

        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> cases.CaseList:
            return cases.list_cases(
                uow, agent=me.agent, filters=_filters(query, me), page=number, packs=self._desk.deps.packs, now=now
            )

        def show(found: cases.CaseList, me: SignedIn, now: datetime) -> Response:
            filters = _filters(query, me)
            return self._desk.page(
                "cases.html",
                me=me,
                now=now,
                found=found,
                filters=filters,
                number=number,
                pages=max(1, -(-found.total // cases.PAGE)),
                link=partial(_link, filters),
            )

        return await self._desk.look(request, read, show)

    async def case(self, request: Request) -> Response:
        return await self._case(request)

    async def _case(
        self, request: Request, *, problem: str | None = None, draft: str = "", status: int = 200
    ) -> Response:
        return await case_page(self._desk, request, problem=problem, draft=draft, status=status)

    async def file(self, request: Request) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[AttachmentView, bytes]:
            names = request.path_params
            return cases.read_file(
                uow, agent=me.agent, reference=names["reference"], attachment_id=names["attachment"], now=now
            )

        return file_response(*await self._desk.inside(request, read))

    async def change_status(self, request: Request) -> Response:
        form = await read_form(request)
        reference = request.path_params["reference"]

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            check_csrf(me, form)
            cases.change_status(
                uow,
                agent=me.agent,
                reference=reference,
                status=_status(form.get("status", "")),
                shown=_status(form.get("shown", "")),
                key=form_key(me, form, form.get("status", "")),
                now=now,
            )

        try:
            await self._desk.inside(request, work)
        except SHOWN_ON_THE_PAGE as error:
            return await self._case(request, problem=str(error), status=error.status)
        return redirect(f"/desk/cases/{reference}?done=status")

    async def add_note(self, request: Request) -> Response:
        form = await read_form(request)
        reference, body = request.path_params["reference"], form.get("body", "")

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            check_csrf(me, form)
            cases.add_note(uow, agent=me.agent, reference=reference, body=body, key=form_key(me, form, body), now=now)

        try:
            await self._desk.inside(request, work)
        except SHOWN_ON_THE_PAGE as error:
            return await self._case(request, problem=str(error), draft=body, status=error.status)
        return redirect(f"/desk/cases/{reference}?done=note#activity")


def _status(name: str) -> TicketStatus:
    try:
        return TicketStatus(name)
    except ValueError:
        raise InvalidInput(f"A case is {', '.join(TicketStatus)}, nothing else.") from None


def _filters(query: Mapping[str, str], me: SignedIn) -> cases.Filters:
    """What the address asks for; what it cannot mean is left out."""
    status = query.get("status", TicketStatus.OPEN.value)
    brand, kind = query.get("brand", ""), query.get("kind", "")
    return cases.Filters(
        status=TicketStatus(status) if status in {each.value for each in TicketStatus} else None,
        brand=brand if brand in me.agent.brands else None,
        kind=kind if re.fullmatch(r"[\w-]{1,40}", kind) else None,
    )


def _link(filters: cases.Filters, **changed: object) -> str:
    """The address of the list under these filters, some of them changed; an empty one is left out."""
    asked: dict[str, object] = {"status": filters.status.value if filters.status else "all"}
    asked |= {"brand": filters.brand, "kind": filters.kind} | changed
    return "/desk/cases?" + urlencode({name: value for name, value in asked.items() if value})
