"""Slack's forms on the trained model: the code and a whole investigation, with a file, in one go."""

from __future__ import annotations

import pytest

from bot.channels.slack import words
from bot.conversation.engine import RasaEngine
from bot.settings import Settings
from bot.store.tables import Delivery, Investigation
from tests.conformance.scenarios import CARA, PNG
from tests.conformance.slack import SlackDriver
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation


async def test_an_investigation_is_opened_by_one_form(
    settings: Settings, engine: RasaEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlackDriver.hurry(monkeypatch)
    async with SlackDriver(settings, engine, clock).running() as customer:
        assert isinstance(customer, SlackDriver)
        person = customer.person
        before = {row.id for row in customer.rows(Investigation)}
        await customer.says("my number gets no texts")
        await customer.listens()
        await customer.says(CARA)
        await customer.listens()
        view = await person.opened(lambda: person.presses(words.CODE_FORM))
        await person.submits(view, code=customer.code(CARA))
        await customer.listens()
        await customer.presses("I can't do that now")
        await customer.listens()
        heard = len(await customer.messages())
        view = await person.opened(lambda: person.presses(words.REPORT_FORM))
        fields = [block["block_id"] for block in view["blocks"]]
        assert {"description", "since", "attachments"} <= set(fields)
        values = {field: f"what I say about {field}" for field in fields}
        values |= {"since": "last Tuesday"}
        files = [{"name": "screen.png", "content": PNG, "mimetype": "image/png"}]
        await person.submits(view, **{**values, "attachments": files})
        told = await customer.listens()
        assert "“Last Tuesday”, so since 10 March 2026?" in told[-1].text
        await customer.presses("Yes")
        told = await customer.listens()
        (opened,) = [row for row in customer.rows(Investigation) if row.id not in before]
        assert opened.details["description"] == values["description"]
        assert (opened.details["since"], opened.details["since_date"]) == ("last Tuesday", "2026-03-10")
        assert opened.details["attachments"].startswith("1 file")
        assert "TCK-" in told[-1].text
        assert len(await customer.messages()) <= heard + 4, "the questions in between are not shown"
        assert {row.status for row in customer.rows(Delivery)} == {"delivered"}
