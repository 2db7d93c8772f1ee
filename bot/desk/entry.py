"""Signing in to the desk and out of it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.desk.base import FORM, SESSION, Desk, check_csrf, page_path, read_form, redirect, same
from bot.errors import InvalidInput, SupportBotError
from bot.services import agents
from bot.services.agents import SESSION_LIFETIME, SignedIn
from bot.store.unit_of_work import UnitOfWork

_SIGN_INS_AT_ONCE = 2  # each needs 19 MiB


def routes(desk: Desk) -> list[Route]:
    """Where the forms go."""
    pages = _Entry(desk)
    return [
        Route("/desk/sign-in", pages.sign_in, methods=["POST"]),
        Route("/desk/sign-out", desk.guarded(pages.sign_out), methods=["POST"]),
    ]


class _Entry:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._signing_in = asyncio.Semaphore(_SIGN_INS_AT_ONCE)

    async def sign_in(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except InvalidInput as error:
            return self._desk.sign_in_page(request, problem=str(error), status=error.status)
        email, leads_to = form.get("email", ""), form.get("next", "")
        if not same(form.get("csrf", ""), request.cookies.get(FORM, "")):
            sentence = "This sign-in page was too old, or cookies are blocked for this site. Please try again."
            return self._desk.sign_in_page(request, email=email, leads_to=leads_to, problem=sentence, status=403)
        work = partial(
            agents.sign_in,
            self._desk.deps.store,
            email=email,
            password=form.get("password", ""),
            address=request.client.host if request.client else "",
            now=self._desk.deps.clock.now(),
        )
        try:
            async with self._signing_in:
                token = await run_in_threadpool(work)
        except SupportBotError as error:
            page = self._desk.sign_in_page(
                request, email=email, leads_to=leads_to, problem=str(error), status=error.status
            )
            if "retry_after" in error.data:
                page.headers["Retry-After"] = str(error.data["retry_after"])
            return page
        response = redirect(page_path(leads_to) or "/desk")
        self._desk.set_cookie(response, SESSION, token, int(SESSION_LIFETIME.total_seconds()))
        response.delete_cookie(FORM, path="/desk")
        return response

    async def sign_out(self, request: Request) -> Response:
        form = await read_form(request)

        def work(uow: UnitOfWork, me: SignedIn, now: datetime) -> None:
            check_csrf(me, form)
            agents.sign_out(uow, request.cookies[SESSION], now=now)

        await self._desk.inside(request, work)
        response = redirect("/desk")
        response.delete_cookie(SESSION, path="/desk")
        return response
