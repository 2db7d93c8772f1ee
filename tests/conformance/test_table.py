"""The table of docs/channels.md shows the scenarios and channels that there are."""

from __future__ import annotations

from bot.settings import PROJECT
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.test_channels import DRIVERS


def test_every_scenario_and_channel_is_in_the_table() -> None:
    """Each of the scenarios runs on each of the channels, or its test fails."""
    lines = (PROJECT / "docs" / "channels.md").read_text(encoding="utf-8").splitlines()
    header = "| scenario | " + " | ".join(driver.name for driver in DRIVERS) + " |"
    start = lines.index(header) + 2
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines[start:] if line.startswith("| ")]
    assert rows == [scenario.__name__.replace("_", " ") for scenario in SCENARIOS]
    assert all(line.count("✓") == len(DRIVERS) for line in lines[start : start + len(rows)])
