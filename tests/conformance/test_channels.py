"""Every scenario on every channel, on the trained model."""

from __future__ import annotations

import pytest

from bot.conversation.engine import RasaEngine
from bot.settings import Settings
from tests.conformance.discord import DiscordDriver
from tests.conformance.driver import Driver
from tests.conformance.scenarios import SCENARIOS, Scenario
from tests.conformance.slack import SlackDriver, SlackHttpDriver
from tests.conformance.widget import WidgetDriver
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
DRIVERS: tuple[type[Driver], ...] = (WidgetDriver, SlackHttpDriver, SlackDriver, DiscordDriver)


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_a_customer_gets_everything_on_every_channel(
    driver: type[Driver],
    scenario: Scenario,
    settings: Settings,
    engine: RasaEngine,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver.hurry(monkeypatch)
    async with driver(settings, engine, clock).running() as customer:
        await scenario(customer)
