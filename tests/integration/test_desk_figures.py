"""The supervisor's page: who may see it, what it shows, and the same numbers as CSV."""
# ruff: noqa: F811 - fixtures are used by their names

from __future__ import annotations

import csv
import io

import pytest
from sqlalchemy import select

from bot.desk.figures import as_csv, length, percent
from bot.services import figures
from bot.services.agents import Role
from bot.store import tables as t
from tests.fakes.clock import START
from tests.integration.test_desk import Desk, desk, enter  # noqa: F401
from tests.unit.services.usecases import jolt


def promote(desk: Desk, name: str = "Amy") -> None:
    """Make somebody a supervisor."""
    desk.change(t.Agent, desk.agent_id(name), role=Role.SUPERVISOR.value)


async def test_only_supervisors_see_the_figures_and_only_of_their_brands(desk: Desk) -> None:
    async with desk.client() as browser:
        assert (await browser.get("/desk/figures")).status_code == 401
        await enter(browser)
        for path in ("/desk/figures", "/desk/figures.csv"):
            assert (await browser.get(path)).status_code == 403
        assert "/desk/figures" not in (await browser.get("/desk/cases")).text
        promote(desk)
        assert (await browser.get("/desk/figures")).status_code == 200
        assert (await browser.get("/desk/figures?brand=smrtphone")).status_code == 404
        assert "/desk/figures" in (await browser.get("/desk/cases")).text


async def test_the_page_has_each_number_beside_its_bar(desk: Desk) -> None:
    promote(desk)
    async with desk.client() as browser:
        await enter(browser)
        page = (await browser.get("/desk/figures?days=30")).text
    for title in ("Waiting now", "First reply", "CSAT", "Settled by the bot alone", "Refunds and credits by rule"):
        assert title in page
    assert "Coming back with the same matter within 7 days takes that back" in page
    assert page.count("<svg") > page.count('role="img"') > 0
    assert desk.audited("figures.viewed") == [(desk.agent_id("Amy"), "joltsms")]


@pytest.mark.parametrize("days", ["2", "x", "-1", "999999999999"])
async def test_a_period_that_is_not_offered_is_today(desk: Desk, days: str) -> None:
    promote(desk)
    async with desk.client() as browser:
        await enter(browser)
        page = await browser.get(f"/desk/figures?days={days}")
    assert (page.status_code, "today, days of" in page.text) == (200, True)


async def test_the_csv_is_a_number_a_line(desk: Desk) -> None:
    promote(desk)
    async with desk.client() as browser:
        await enter(browser)
        answer = await browser.get("/desk/figures.csv?days=7")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "figures-joltsms-" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert {line["brand"] for line in lines} == {"joltsms"}
    assert {"waiting", "first_reply", "resolution", "csat", "by_bot", "leaving"} <= {line["figure"] for line in lines}
    assert all(line["value"] == "" or float(line["value"]) >= 0 for line in lines)


def test_a_name_is_no_formula_in_the_csv(desk: Desk) -> None:
    """A spreadsheet would run what begins with an equals sign."""
    amy = desk.agent_id("Amy")
    desk.change(t.Agent, amy, name='=HYPERLINK("x")')
    with desk.store.write() as uow:
        uow.add(t.Presence(agent_id=amy, seen_at=START, away=False))
        found = figures.collect(uow, pack=jolt(), days=1, now=START)
        assert uow.session.execute(select(t.Presence.agent_id)).scalar_one() == amy
    assert "'=HYPERLINK" in as_csv(found, jolt())


@pytest.mark.parametrize(("seconds", "shown"), [(45, "45 s"), (90, "2 min"), (5400, "1.5 h"), (181_440, "2.1 days")])
def test_how_long_something_took_is_said_in_one_unit(seconds: float, shown: str) -> None:
    assert length(seconds) == shown


def test_a_share_of_nothing_is_not_zero() -> None:
    assert (percent(None), percent(0.0), percent(2 / 3)) == ("–", "0 %", "67 %")
