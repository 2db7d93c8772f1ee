"""What can be done with a ticket at the desk: answered by mail, given on, exported; and what bad input gets."""

# ruff: noqa: F811 - fixtures are used by their names
from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from bot.store import tables as t
from tests.integration.test_desk import Desk, amy, desk, enter  # noqa: F401


async def post(browser: httpx.AsyncClient, desk: Desk, action: str, **fields: str) -> httpx.Response:
    """Send one of the ticket's forms."""
    page = (await browser.get(f"/desk/cases/{desk.case}")).text
    csrf, key = (re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("csrf", "key"))  # type: ignore[index]
    data = {"csrf": csrf, "key": key, **fields}
    return await browser.post(f"/desk/tickets/{desk.case}/{action}", data=data, follow_redirects=False)


async def test_a_ticket_is_answered_assigned_and_exported_from_its_page(desk: Desk, amy: httpx.AsyncClient) -> None:
    bo = desk.agent_id("Bo")
    for action, fields, done in (
        ("reply", {"text": "Which number is it?", "then": "pending"}, "replied"),
        ("priority", {"priority": "urgent"}, "priority"),
        ("assign", {"to": bo}, "assigned"),
    ):
        answer = await post(amy, desk, action, **fields)
        assert answer.status_code == 303, answer.text
        assert f"done={done}" in answer.headers["location"]
    page = (await amy.get(f"/desk/cases/{desk.case}")).text
    assert "Which number is it?" in page
    assert "On its way" in page
    assert f'<option value="{bo}" selected>Bo</option>' in page
    exported = await amy.get(f"/desk/tickets/{desk.case}/export.json")
    assert exported.headers["content-disposition"] == f'attachment; filename="{desk.case}.json"'
    assert (exported.json()["priority"], exported.json()["assignee"], exported.json()["status"]) == (
        "urgent",
        "Bo",
        "pending",
    )
    assert exported.json()["mails"][0]["text"] == "Which number is it?"
    subjects = {
        subject
        for action in ("replied", "priority", "assigned", "exported")
        for _, subject in desk.audited(f"ticket.{action}")
    }
    assert subjects == {desk.case}


@pytest.mark.parametrize(
    ("action", "fields", "why"),
    [
        ("reply", {"text": " ", "then": "open"}, "The answer is empty"),
        ("reply", {"text": "Hello", "then": "closed"}, "Choose what the case is"),
        ("priority", {"priority": "wild"}, "Choose one of low, normal, high, urgent"),
        ("assign", {"to": "agt_nobody"}, "does not work for this brand"),
    ],
)
async def test_what_a_ticket_cannot_become_is_said_and_nothing_changes(
    desk: Desk, amy: httpx.AsyncClient, action: str, fields: dict[str, str], why: str
) -> None:
    answer = await post(amy, desk, action, **fields)
    assert answer.status_code == 422
    assert why in unescape(answer.text)
    assert desk.count(t.TicketMail) == 0


async def test_a_ticket_of_another_brand_does_not_exist(desk: Desk) -> None:
    async with desk.client() as pia:
        await enter(pia, "pia")
        for action in ("reply", "priority", "assign", "merge", "link"):
            answer = await pia.post(f"/desk/tickets/{desk.case}/{action}", data={"csrf": "x", "key": "y"})
            assert answer.status_code in (403, 404)
        assert (await pia.get(f"/desk/tickets/{desk.case}/export.json")).status_code == 404
