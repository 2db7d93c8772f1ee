"""What customers call things comes from the packs: a fourth brand's plans are found with no line of code."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from bot.nlu import names
from bot.nlu.entities import find_entities, known_names
from bot.policy.loader import load_pack
from tests.fourth_brand import BRANDS
from tests.unit.services.usecases import all_packs

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process knows is put back."""
    monkeypatch.setattr(names, "_served", None)


def found(text: str) -> list[tuple[str, str]]:
    """Names in a text, with what they stand for."""
    return [(one.entity, str(one.value)) for one in find_entities(text, NOW) if one.extractor == "lookup"]


def test_without_a_word_the_packs_folder_is_read() -> None:
    """In training, and for whoever parses by hand."""
    assert found("my smrt dialler, I mean smart dialer, at jolt") == [("product", "smrtdialer"), ("brand", "joltsms")]
    assert {"smrtdialler", "jolt", "messaging", "whatsapp"} <= known_names()


def test_a_fourth_brand_is_known_as_soon_as_it_is_served() -> None:
    assert found("I want to leave Tandem") == []
    names.serve([*all_packs().values(), load_pack(BRANDS / "policies" / "tandem.yml")])
    assert found("I want to leave Tandem") == [("brand", "tandem")]
    assert found("my Line at tandem lines") == [("plan", "line"), ("brand", "tandem")]
    assert found("smrtPhone") == [("brand", "smrtphone"), ("product", "smrtphone")]


def test_a_broken_pack_costs_its_names_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.yml").write_text("version: 1", encoding="utf-8")
    monkeypatch.setenv("SUPPORTBOT_PACKS", str(tmp_path))
    assert found("jolt on whatsapp") == [("platform", "WhatsApp")]
