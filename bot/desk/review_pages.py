"""The desk's review page: messages the model was unsure of, or wrong about, each given its intent by one click."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk.base import SHOWN_ON_THE_PAGE, Desk, NavItem, check_csrf, done, read_form, redirect
from bot.dialogue.wishes import LEARNABLE
from bot.services import audit, review
from bot.services.agents import SignedIn
from bot.services.review import ReviewItem
from bot.store.unit_of_work import UnitOfWork

NAV = (NavItem("Review", "/desk/review", "review"),)
_SKIP = "skip"
_GUESSES = 4


def routes(desk: Desk) -> list[Route]:
    """The page, and where its form goes."""
    pages = _Review(desk)
    return [
        Route("/desk/review", desk.guarded(pages.show)),
        Route("/desk/review", desk.guarded(pages.decide), methods=["POST"]),
    ]


class _Review:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        return await self._show(request)

    async def _show(self, request: Request, *, problem: str | None = None, status: int = 200) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> list[ReviewItem]:
            audit.record(uow, actor=me.agent.id, action="review.listed", subject="desk", now=now)
            return review.waiting(uow, brands=me.agent.brands, now=now)

        def page(items: list[ReviewItem], me: SignedIn, now: datetime) -> Response:
            return self._desk.page(
                "review.html",
                status=status,
                me=me,
                now=now,
                items=[(item, _offered(item)) for item in items],
                intents=LEARNABLE,
                problem=problem,
                done=done(request),
            )

        return await self._desk.look(request, read, page)

    async def decide(self, request: Request) -> Response:
        form = await read_form(request)
        intent = form.get("intent") or form.get("other", "")

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            check_csrf(me, form)
            review.decide(
                uow,
                agent_id=me.agent.id,
                brands=me.agent.brands,
                message_id=form.get("message", ""),
                intent=None if intent == _SKIP else intent,
                known=LEARNABLE,
                now=now,
            )

        try:
            await self._desk.inside(request, work)
        except SHOWN_ON_THE_PAGE as error:
            return await self._show(request, problem=str(error), status=error.status)
        return redirect("/desk/review?done=reviewed")


def _offered(item: ReviewItem) -> list[str]:
    """The intents to offer as buttons; "none of these" has a button of its own."""
    return [guess for guess in item.guesses if guess in LEARNABLE and guess != "out_of_scope"][:_GUESSES]
