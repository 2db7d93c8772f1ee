"""The supervisor's page: a brand's figures for today or the last days, as charts with their numbers and as CSV."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk.base import Desk, NavItem
from bot.desk.figures import as_csv, charts, tiles
from bot.errors import NotFound
from bot.policy.pack import Pack
from bot.services import audit, figures
from bot.services.agents import Role, SignedIn
from bot.services.figures import DEFINITIONS, PERIODS, Figures
from bot.store.unit_of_work import UnitOfWork

NAV = (NavItem("Figures", "/desk/figures", "figures", Role.SUPERVISOR),)


def routes(desk: Desk) -> list[Route]:
    """The page, and its numbers for a spreadsheet."""
    pages = _Supervisor(desk)
    return [
        Route("/desk/figures", desk.guarded(pages.show)),
        Route("/desk/figures.csv", desk.guarded(pages.csv)),
    ]


class _Supervisor:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        def show(found: tuple[Figures, Pack, int], me: SignedIn, now: datetime) -> Response:
            numbers, pack, days = found
            return self._desk.page(
                "figures.html",
                me=me,
                now=now,
                found=numbers,
                pack=pack,
                days=days,
                periods=PERIODS,
                tiles=tiles(numbers),
                charts=charts(numbers, pack),
                definitions=DEFINITIONS,
                zone=pack.brand.zone,
            )

        return await self._desk.look(request, self._read(request), show, least=Role.SUPERVISOR)

    async def csv(self, request: Request) -> Response:
        def show(found: tuple[Figures, Pack, int], me: SignedIn, now: datetime) -> Response:
            numbers, pack, days = found
            name = f"figures-{pack.brand.id}-{now.astimezone(pack.brand.zone):%Y-%m-%d}-{days}d.csv"
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            return Response(as_csv(numbers, pack), media_type="text/csv; charset=utf-8", headers=headers)

        return await self._desk.look(request, self._read(request), show, least=Role.SUPERVISOR)

    def _read(self, request: Request) -> Callable[[UnitOfWork, SignedIn, datetime], tuple[Figures, Pack, int]]:
        query, packs = request.query_params, self._desk.deps.packs

        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[Figures, Pack, int]:
            mine = [brand for brand in me.agent.brands if brand in packs]
            brand = query.get("brand") or (mine[0] if mine else "")
            if brand not in mine:
                raise NotFound("There is no such brand among yours.")
            given = query.get("days", "1")
            days = int(given) if given in {str(each) for each in PERIODS} else PERIODS[0]
            audit.record(uow, actor=me.agent.id, action="figures.viewed", subject=brand, data={"days": days}, now=now)
            return figures.collect(uow, pack=packs[brand], days=days, now=now), packs[brand], days

        return read
