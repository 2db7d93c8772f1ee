"""The desk's page about an approval: the facts, the rule, the ledger and the buttons."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk import cases
from bot.desk.base import SHOWN_ON_THE_PAGE, Desk, check_csrf, done, read_form, redirect
from bot.services import approvals
from bot.services import desk_words as words
from bot.services.agents import SignedIn
from bot.store.unit_of_work import UnitOfWork


def routes(desk: Desk) -> list[Route]:
    """An approval, and where its form goes."""
    pages = _Approvals(desk)
    return [
        Route("/desk/approvals/{approval}", desk.guarded(pages.approval)),
        Route("/desk/approvals/{approval}", desk.guarded(pages.decide), methods=["POST"]),
    ]


class _Approvals:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def approval(self, request: Request) -> Response:
        return await self._approval(request)

    async def _approval(
        self, request: Request, *, problem: str | None = None, draft: str = "", status: int = 200
    ) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> cases.ApprovalPage:
            approval_id = request.path_params["approval"]
            return cases.view_approval(
                uow, agent=me.agent, approval_id=approval_id, packs=self._desk.deps.packs, now=now
            )

        def show(shown: cases.ApprovalPage, me: SignedIn, now: datetime) -> Response:
            return self._desk.page(
                "approval.html",
                status=status,
                me=me,
                now=now,
                shown=shown,
                facts=words.facts(shown.facts, shown.approval.amount.currency),
                problem=problem,
                draft=draft,
                done=done(request),
                longest_note=approvals.LONGEST_NOTE,
                events=f"/desk/events?approval={shown.approval.id}&state={shown.state}",
            )

        return await self._desk.look(request, read, show)

    async def decide(self, request: Request) -> Response:
        form = await read_form(request)
        approval_id, note = request.path_params["approval"], form.get("note", "")

        def check(uow: UnitOfWork, me: SignedIn, now: datetime) -> str:
            check_csrf(me, form)
            return me.agent.id

        try:
            agent_id = await self._desk.inside(request, check)
            await self._desk.deps.gateway.decide(
                approval_id, agent_id=agent_id, choice=form.get("choice", ""), note=note
            )
        except SHOWN_ON_THE_PAGE as error:
            return await self._approval(request, problem=str(error), draft=note, status=error.status)
        return redirect(f"/desk/approvals/{approval_id}?done=decided")
