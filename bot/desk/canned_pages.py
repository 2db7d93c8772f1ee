"""The desk's page of canned replies and macros, managed per brand by its agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk.base import SHOWN_ON_THE_PAGE, Desk, NavItem, check_csrf, done, read_form, redirect
from bot.errors import Forbidden, InvalidInput
from bot.services import audit, canned
from bot.services.agents import SignedIn
from bot.services.canned import CannedView, MacroView
from bot.store.unit_of_work import UnitOfWork

NAV = (NavItem("Replies", "/desk/replies", "replies"),)
_KINDS = ("reply", "macro")


@dataclass(frozen=True)
class _Ready:
    """What the brands of an agent have ready."""

    replies: list[CannedView]
    macros: list[MacroView]


def routes(desk: Desk) -> list[Route]:
    """The page, and where its forms go."""
    pages = _Canned(desk)
    return [
        Route("/desk/replies", desk.guarded(pages.show)),
        Route("/desk/replies", desk.guarded(pages.save), methods=["POST"]),
        Route("/desk/replies/remove", desk.guarded(pages.remove), methods=["POST"]),
    ]


class _Canned:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        return await self._show(request)

    async def _show(
        self,
        request: Request,
        *,
        problem: str | None = None,
        draft: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> _Ready:
            audit.record(uow, actor=me.agent.id, action="replies.listed", subject="desk", now=now)
            brands = me.agent.brands
            return _Ready(canned.replies(uow, brands=brands), canned.macros(uow, brands=brands))

        def page(ready: _Ready, me: SignedIn, now: datetime) -> Response:
            return self._desk.page(
                "replies.html",
                status=status,
                me=me,
                now=now,
                ready=ready,
                problem=problem,
                draft=draft or {},
                done=done(request),
                placeholders=canned.PLACEHOLDERS,
                steps=canned.STEPS,
            )

        return await self._desk.look(request, read, page)

    async def save(self, request: Request) -> Response:
        form = await read_form(request)

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            kind, brand, kept_id = self._checked(me, form)
            name, body = form.get("name", ""), form.get("body", "")
            shown = form.get("shown") or None
            shared = {"brand": brand, "name": name, "agent_id": me.agent.id, "now": now, "shown": shown}
            if kind == "reply":
                canned.save_reply(uow, body=body, reply_id=kept_id, **shared)
            else:
                canned.save_macro(uow, text=body, macro_id=kept_id, **shared)

        try:
            await self._desk.inside(request, work)
        except SHOWN_ON_THE_PAGE as error:
            return await self._show(request, problem=str(error), draft=form, status=error.status)
        return redirect("/desk/replies?done=saved")

    async def remove(self, request: Request) -> Response:
        form = await read_form(request)

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            kind, brand, kept_id = self._checked(me, form)
            if kept_id is None:
                raise InvalidInput("Say which one to remove.")
            if kind == "reply":
                canned.remove_reply(uow, brand=brand, reply_id=kept_id, agent_id=me.agent.id, now=now)
            else:
                canned.remove_macro(uow, brand=brand, macro_id=kept_id, agent_id=me.agent.id, now=now)

        await self._desk.inside(request, work)
        return redirect("/desk/replies?done=removed")

    @staticmethod
    def _checked(me: SignedIn, form: Mapping[str, str]) -> tuple[str, str, str | None]:
        """The kind, the brand and the id that a form is about. Raises Forbidden, InvalidInput."""
        check_csrf(me, form)
        kind, brand = form.get("kind", ""), form.get("brand", "")
        if kind not in _KINDS:
            raise InvalidInput("This form is incomplete, so nothing was changed. Open the page again and repeat it.")
        if brand not in me.agent.brands:
            raise Forbidden("You do not work for this brand, so nothing was changed.")
        return kind, brand, form.get("id") or None
