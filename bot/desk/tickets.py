"""What can be done with a ticket from its page: answer by mail, priority, who has it, merging, linking, export."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk import case_pages, ticket_data
from bot.desk.base import SHOWN_ON_THE_PAGE, Desk, check_csrf, form_key, read_form, redirect
from bot.services.agents import AgentView, SignedIn
from bot.services.mail_threads import FileView
from bot.store.unit_of_work import UnitOfWork

Change = Callable[..., None]


def routes(desk: Desk) -> list[Route]:
    """Where the forms of a ticket go, its export and the files of its mail."""
    pages = _Tickets(desk)
    at = "/desk/tickets/{reference}"
    return [
        Route("/desk/tickets", desk.guarded(pages.list)),
        Route(at, desk.guarded(pages.one)),
        Route(f"{at}/reply", desk.guarded(pages.reply), methods=["POST"]),
        Route(f"{at}/priority", desk.guarded(pages.priority), methods=["POST"]),
        Route(f"{at}/assign", desk.guarded(pages.assign), methods=["POST"]),
        Route(f"{at}/merge", desk.guarded(pages.merge), methods=["POST"]),
        Route(f"{at}/link", desk.guarded(pages.link), methods=["POST"]),
        Route(f"{at}/export.json", desk.guarded(pages.export)),
        Route(f"{at}/mail-files/{{file}}", desk.guarded(pages.file)),
    ]


class _Tickets:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, request: Request) -> Response:
        return redirect("/desk/cases")

    async def one(self, request: Request) -> Response:
        return redirect(f"/desk/cases/{request.path_params['reference']}")

    async def reply(self, request: Request) -> Response:
        def change(uow: UnitOfWork, agent: AgentView, form: dict[str, str], **about: Any) -> None:
            text, status = form.get("text", ""), form.get("then", "")
            ticket_data.reply(uow, agent=agent, text=text, status=status, packs=self._desk.deps.packs, **about)

        return await self._change(request, change, ("text", "then"), done="replied", at="mail")

    async def priority(self, request: Request) -> Response:
        def change(uow: UnitOfWork, agent: AgentView, form: dict[str, str], **about: Any) -> None:
            ticket_data.set_priority(uow, agent=agent, priority=form.get("priority", ""), **about)

        return await self._change(request, change, ("priority",), done="priority")

    async def assign(self, request: Request) -> Response:
        def change(uow: UnitOfWork, agent: AgentView, form: dict[str, str], **about: Any) -> None:
            ticket_data.assign(uow, agent=agent, to=form.get("to", ""), **about)

        return await self._change(request, change, ("to",), done="assigned")

    async def merge(self, request: Request) -> Response:
        def change(uow: UnitOfWork, agent: AgentView, form: dict[str, str], **about: Any) -> None:
            ticket_data.merge(uow, agent=agent, into=form.get("into", ""), **about)

        return await self._change(request, change, ("into",), done="merged")

    async def link(self, request: Request) -> Response:
        def change(uow: UnitOfWork, agent: AgentView, form: dict[str, str], **about: Any) -> None:
            ticket_data.link(uow, agent=agent, conversation_id=form.get("conversation", ""), **about)

        return await self._change(request, change, ("conversation",), done="linked")

    async def export(self, request: Request) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> dict[str, Any]:
            return ticket_data.export(uow, agent=me.agent, reference=request.path_params["reference"], now=now)

        found = await self._desk.inside(request, read)
        headers = {
            "Content-Disposition": f'attachment; filename="{found["reference"]}.json"',
            "Cache-Control": "no-store",
        }
        content = json.dumps(found, indent=2, ensure_ascii=False)
        return Response(content, media_type="application/json", headers=headers)

    async def file(self, request: Request) -> Response:
        names = request.path_params

        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[FileView, bytes]:
            return ticket_data.read_file(
                uow, agent=me.agent, reference=names["reference"], file_id=names["file"], now=now
            )

        view, content = await self._desk.inside(request, read)
        how = "inline" if view.media_type.startswith("image/") else "attachment"
        name = re.sub(r"[^ !#-\[\]-~]", "_", view.name)
        headers = {
            "Content-Disposition": f'{how}; filename="{name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "no-store",
        }
        return Response(content, media_type=view.media_type, headers=headers)

    async def _change(
        self, request: Request, change: Change, fields: tuple[str, ...], *, done: str, at: str = ""
    ) -> Response:
        """Do what a form asks for, once; what is wrong is said on the ticket's page, with what was written."""
        form = await read_form(request)
        reference = request.path_params["reference"]

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            check_csrf(me, form)
            key = form_key(me, form, "\0".join((done, *(form.get(name, "") for name in fields))))
            change(uow, me.agent, form, reference=reference, key=key, now=now)

        again: Callable[..., Awaitable[Response]] = case_pages.case_page
        try:
            await self._desk.inside(request, work)
        except SHOWN_ON_THE_PAGE as error:
            return await again(
                self._desk, request, problem=str(error), reply_draft=form.get("text", ""), status=error.status
            )
        return redirect(f"/desk/cases/{reference}?done={done}{f'#{at}' if at else ''}")
