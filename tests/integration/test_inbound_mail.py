"""The webhook for incoming mail: only what is signed is taken, once, and bad input gets a sentence."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette

from bot.channels.mail.inbound import PATH, SIGNATURE, InboundDeps, routes, sign
from bot.channels.problems import on_error
from bot.errors import SupportBotError
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock
from tests.unit.services.usecases import all_packs

SECRET = "s" * 40
MAIL = (Path(__file__).parents[1] / "payloads" / "mail" / "postmark_inbound.json").read_bytes()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def told() -> list[str]:
    """Cases that desks were told of."""
    return []


@pytest.fixture
async def client(sqlite_store: Store, clock: FakeClock, told: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A mail service."""

    async def tell(ticket_id: str) -> None:
        told.append(ticket_id)

    deps = InboundDeps(store=sqlite_store, packs=all_packs(), clock=clock, secret=SECRET, tell=tell)
    app = Starlette(routes=routes(deps), exception_handlers={SupportBotError: on_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mail.test") as found:
        yield found


def signed(body: bytes, clock: FakeClock, *, secret: str = SECRET) -> dict[str, str]:
    """The headers of a signed mail."""
    return {**JSON, SIGNATURE: sign(secret, body, now=clock.now())}


def cases(store: Store) -> int:
    """How many cases there are."""
    with store.read() as uow:
        return int(uow.session.execute(select(func.count()).select_from(t.Ticket)).scalar_one())


async def test_a_signed_mail_is_taken_once(
    client: httpx.AsyncClient, sqlite_store: Store, clock: FakeClock, told: list[str]
) -> None:
    first = await client.post(PATH, content=MAIL, headers=signed(MAIL, clock))
    again = await client.post(PATH, content=MAIL, headers=signed(MAIL, clock))
    assert (first.status_code, first.json()["outcome"], again.json()["outcome"]) == (200, "opened", "known")
    assert first.json()["ticket"] == again.json()["ticket"] == "TCK-000001"
    assert (cases(sqlite_store), len(told)) == (1, 1)


async def test_a_service_that_cannot_sign_sends_the_secret_as_password(
    client: httpx.AsyncClient, sqlite_store: Store
) -> None:
    basic = base64.b64encode(f"mail:{SECRET}".encode()).decode()
    answer = await client.post(PATH, content=MAIL, headers={**JSON, "Authorization": f"Basic {basic}"})
    assert (answer.status_code, cases(sqlite_store)) == (200, 1)


async def test_what_is_not_signed_is_not_taken(
    client: httpx.AsyncClient, sqlite_store: Store, clock: FakeClock
) -> None:
    wrong_password = base64.b64encode(b"mail:guess").decode()
    old = signed(MAIL, clock)
    clock.advance(seconds=301)
    for headers in (
        JSON,
        old,
        signed(MAIL, clock, secret="x" * 40),
        signed(MAIL + b" ", clock),
        {**JSON, SIGNATURE: "t=1,v1=nonsense"},
        {**JSON, "Authorization": f"Basic {wrong_password}"},
        {**JSON, "Authorization": "Basic %%%"},
        {**JSON, "Authorization": f"Bearer {SECRET}"},
    ):
        answer = await client.post(PATH, content=MAIL, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unsigned-mail")
    assert cases(sqlite_store) == 0


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [(b"{", "application/json", 422), (b"<p>", "text/html", 422), (b"Subject: x\n\nx", "message/rfc822", 422)],
)
async def test_what_is_no_mail_gets_a_sentence(
    client: httpx.AsyncClient, clock: FakeClock, body: bytes, media_type: str, status: int
) -> None:
    headers = {**signed(body, clock), "Content-Type": media_type}
    answer = await client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


async def test_without_a_secret_there_is_no_such_address(sqlite_store: Store, clock: FakeClock) -> None:
    async def tell(ticket_id: str) -> None:
        raise AssertionError

    deps = InboundDeps(store=sqlite_store, packs=all_packs(), clock=clock, secret=None, tell=tell)
    app = Starlette(routes=routes(deps), exception_handlers={SupportBotError: on_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mail.test") as found:
        answer = await found.post(PATH, content=MAIL, headers=signed(MAIL, clock, secret="x"))
    assert answer.status_code == 404


def test_a_signature_is_tied_to_its_moment(clock: FakeClock) -> None:
    assert sign(SECRET, MAIL, now=clock.now()) != sign(SECRET, MAIL, now=clock.now() + timedelta(seconds=1))
