"""Packs that change while a server runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.policy.errors import PackError
from bot.policy.shelf import PackShelf
from bot.settings import PROJECT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A folder with one good pack; this is its file."""
    pack = tmp_path / "joltsms.yml"
    pack.write_text((PROJECT / "data/policies/joltsms.yml").read_text(encoding="utf-8"), encoding="utf-8")
    return pack


def _rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    later = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(later, later))


def test_a_changed_pack_is_taken_up_once(file: Path) -> None:
    shelf = PackShelf(file.parent)
    before = shelf["joltsms"].version
    assert shelf.refresh().taken_up == ()
    _rewrite(file, f'version: "{before}"', 'version: "2030-01-01"')
    assert shelf.refresh().taken_up == ("joltsms",)
    assert shelf["joltsms"].version == "2030-01-01"
    assert shelf.refresh().taken_up == ()


def test_a_broken_pack_is_refused_with_its_line_and_the_last_good_one_stays(file: Path) -> None:
    shelf = PackShelf(file.parent)
    good = shelf["joltsms"]
    _rewrite(file, "time_zone: America/New_York", "time_zone: America/Gotham")
    refreshed = shelf.refresh()
    assert refreshed.taken_up == ()
    assert [problem.key for problem in refreshed.refused] == ["brand.time_zone"]
    assert refreshed.refused[0].line > 1
    assert shelf["joltsms"] is good
    assert set(shelf.refused) == {"joltsms"}
    assert shelf.refresh().refused == (), "each change is reported once"


def test_a_mended_pack_is_taken_up_again(file: Path) -> None:
    shelf = PackShelf(file.parent)
    _rewrite(file, "time_zone: America/New_York", "time_zone: America/Gotham")
    shelf.refresh()
    _rewrite(file, "time_zone: America/Gotham", "time_zone: America/Chicago")
    assert shelf.refresh().taken_up == ("joltsms",)
    assert shelf["joltsms"].brand.time_zone == "America/Chicago"
    assert shelf.refused == {}


def test_a_file_that_is_gone_or_names_another_brand_is_refused(file: Path) -> None:
    shelf = PackShelf(file.parent)
    _rewrite(file, "id: joltsms", "id: other")
    assert [problem.key for problem in shelf.refresh().refused] == ["brand.id"]
    file.unlink()
    assert shelf.refresh().refused != ()
    assert set(shelf) == {"joltsms"}


def test_a_broken_pack_at_the_start_is_an_error(file: Path) -> None:
    _rewrite(file, "time_zone: America/New_York", "time_zone: America/Gotham")
    with pytest.raises(PackError):
        PackShelf(file.parent)
