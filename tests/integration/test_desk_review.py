"""The desk's review page over HTTP: what is shown, one click, and what bad input gets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from bot.desk.routes import DeskDeps, routes
from bot.services import agents
from bot.services.agents import Role
from bot.store import tables as t
from bot.store.unit_of_work import Store
from bot.web.pages import security_headers
from tests.fakes.clock import START, FakeClock
from tests.unit.services.test_review import TORN, said
from tests.unit.services.usecases import all_packs, conversation

PASSWORD = "correct horse battery"
TEXT = "smth with my bill, mail ava@jolt.example"


@pytest.fixture
def message(sqlite_demo_store: Store, cheap_passwords: None) -> str:
    """A message that the model was unsure of, and two people at the desk."""
    with sqlite_demo_store.write() as uow:
        for name, brand in (("Amy", "joltsms"), ("Pia", "smrtphone")):
            agents.add_agent(
                uow,
                email=f"{name.lower()}@desk.example",
                name=name,
                password=PASSWORD,
                role=Role.AGENT,
                brands=[brand],
                known_brands=["joltsms", "smrtphone"],
                now=START,
            )
        found = said(uow, conversation(uow), TEXT, TORN)
        uow.commit()
        return found


@pytest.fixture
async def browser(sqlite_demo_store: Store, message: str) -> AsyncIterator[httpx.AsyncClient]:
    clock = FakeClock()
    clock.advance(hours=1)
    deps = DeskDeps(store=sqlite_demo_store, packs=all_packs(), clock=clock, gateway=None, secure_cookies=False)  # type: ignore[arg-type]
    app = security_headers(Starlette(routes=routes(deps)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk.test") as client:
        yield client


async def _sign_in(browser: httpx.AsyncClient, name: str) -> str:
    """Sign in and open the page; its token for forms."""
    page = await browser.get("/desk")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert csrf
    form = {"csrf": csrf[1], "email": f"{name}@desk.example", "password": PASSWORD}
    assert (await browser.post("/desk/sign-in", data=form)).status_code == 303
    page = await browser.get("/desk/review")
    assert page.status_code == 200
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def test_one_click_gives_the_right_intent(
    browser: httpx.AsyncClient, sqlite_demo_store: Store, message: str
) -> None:
    csrf = await _sign_in(browser, "amy")
    page = (await browser.get("/desk/review")).text
    assert "smth with my bill, mail name@example.com" in page
    assert "ava@jolt.example" not in page
    assert "My charges and invoices" in page
    assert "None of these" in page
    form = {"csrf": csrf, "message": message, "intent": "check_invoices", "other": "greet"}
    answer = await browser.post("/desk/review", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/review?done=reviewed")
    page = (await browser.get("/desk/review?done=reviewed")).text
    assert "kept for the next training" in page
    assert "smth with my bill" not in page
    with sqlite_demo_store.read() as uow:
        assert uow.session.execute(select(t.Review.intent)).scalar_one() == "check_invoices"
    again = await browser.post("/desk/review", data={**form, "intent": "skip"})
    assert again.status_code == 409
    assert "reviewed this message already" in again.text


async def test_nobody_sees_or_labels_another_brands_messages_or_without_a_token(
    browser: httpx.AsyncClient, sqlite_demo_store: Store, message: str
) -> None:
    csrf = await _sign_in(browser, "pia")
    assert "Nothing to review" in (await browser.get("/desk/review")).text
    form = {"csrf": csrf, "message": message, "intent": "check_invoices"}
    assert (await browser.post("/desk/review", data=form)).status_code == 404
    assert (await browser.post("/desk/review", data={**form, "csrf": "x"})).status_code == 403
    browser.cookies.clear()
    assert (await browser.get("/desk/review")).status_code == 401
    with sqlite_demo_store.read() as uow:
        assert uow.session.execute(select(t.Review.id)).all() == []
