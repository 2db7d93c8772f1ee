"""The packs that policy tests decide by: the real JoltSMS one and a made-up brand with unlike promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.policy.loader import load_pack
from bot.policy.pack import Pack

ROOT = Path(__file__).parents[3]
JOLT_FILE = ROOT / "data/policies/joltsms.yml"
LUMO_FILE = Path(__file__).parent / "packs/lumo.yml"


@pytest.fixture(scope="session")
def jolt() -> Pack:
    """The pack that is served."""
    return load_pack(JOLT_FILE)


@pytest.fixture(scope="session")
def lumo() -> Pack:
    """A brand with 14-day money-back, pausing, notice, yearly plans and regional terms."""
    return load_pack(LUMO_FILE)
