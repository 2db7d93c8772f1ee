"""A new brand starts from a commented template that says by itself what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.errors import Conflict, InvalidInput
from bot.policy.errors import Problem
from bot.policy.loader import check_pack, load_pack
from bot.policy.sources import check_sources
from bot.services.help_center import HelpCenter
from bot.services.new_brand import start_brand
from tests.unit.policy.conftest import LUMO_FILE

FILLED = {
    "name": "Acme Phone",
    "help_center": "help.acme.example",
    "email": "hello@acme.example",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "title": "line",
    "plural": "lines",
    "approve_above_minor": "5000",
    "second_approver_above_minor": "20000",
    "says": "It works until {help_center} says otherwise.",
    "steps": "[Open your account., Press Cancel.]",
}
"""The least that makes it a pack, by the last part of each key."""


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, Path]:
    return start_brand("acme-phone", packs=tmp_path / "policies", help_center=tmp_path / "help")


def fill(pack: Path, problems: list[Problem]) -> None:
    """Write something at the end, or at the empty `says`, of every line that a problem names."""
    lines = pack.read_text(encoding="utf-8").splitlines()
    for problem in problems:
        key = problem.key.rpartition(".")[2]
        line, value = lines[problem.line - 1], FILLED[key]
        empty = re.compile(rf"\b{key}:(?= *,| *$|  #)")
        assert empty.search(line), line
        written = f'"{value}"' if key == "says" else value
        lines[problem.line - 1] = empty.sub(f"{key}: {written}", line)
    pack.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_new_pack_is_refused_only_for_what_is_still_to_be_filled_in(started: tuple[Path, Path]) -> None:
    problems = check_pack(started[0])

    assert len(problems) == 28
    assert {problem.message.partition(":")[0] for problem in problems} == {"is not filled in yet"}
    text = started[0].read_text(encoding="utf-8").splitlines()
    assert all(problem.key.rpartition(".")[2] in text[problem.line - 1] for problem in problems)


def test_filled_in_it_is_a_pack_whose_sources_are_published(started: tuple[Path, Path]) -> None:
    pack, article = started
    fill(pack, check_pack(pack))
    articles = HelpCenter.load(article.parents[1]).articles("acme-phone")
    published = {one.slug: [section.id for section in one.sections] for one in articles}

    assert check_pack(pack) == []
    assert load_pack(pack).brand.id == "acme-phone"
    assert check_sources(pack.read_text(encoding="utf-8"), str(pack), published) == []


def test_every_part_of_the_format_is_in_the_template_with_a_comment(started: tuple[Path, Path]) -> None:
    text = started[0].read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)

    assert set(data) >= set(yaml.safe_load(LUMO_FILE.read_text(encoding="utf-8")))
    for section in data:
        before, own, _ = text.partition(f"\n{section}:")
        assert own, section
        commented = before.rstrip("\n").rpartition("\n")[2].startswith("#") or "#" in _block(text, section)
        assert commented, section


def _block(text: str, section: str) -> str:
    return re.split(r"\n(?=\w)", text.partition(f"\n{section}:")[2])[0]


def test_comments_of_the_article_are_not_shown(started: tuple[Path, Path]) -> None:
    article = HelpCenter.load(started[1].parents[1]).article("acme-phone", "leaving")

    assert "[//]: #" in started[1].read_text(encoding="utf-8")
    assert "not shown" not in " ".join(section.text for section in article.sections)


@pytest.mark.parametrize("name", ["", "Acme", "acme_phone", "1st", "acme--phone", "../acme", "acme phone", "a" * 41])
def test_a_name_that_cannot_be_an_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="small letters"):
        start_brand(name, packs=tmp_path / "policies", help_center=tmp_path / "help")
    assert list(tmp_path.iterdir()) == []


def test_a_brand_that_exists_is_not_overwritten(started: tuple[Path, Path], tmp_path: Path) -> None:
    started[0].write_text("mine", encoding="utf-8")
    with pytest.raises(Conflict, match="There is a brand acme-phone already"):
        start_brand("acme-phone", packs=tmp_path / "policies", help_center=tmp_path / "help")
    assert started[0].read_text(encoding="utf-8") == "mine"


def test_help_articles_alone_are_not_overwritten_either(tmp_path: Path) -> None:
    (tmp_path / "help" / "acme").mkdir(parents=True)
    with pytest.raises(Conflict):
        start_brand("acme", packs=tmp_path / "policies", help_center=tmp_path / "help")
    assert not (tmp_path / "policies").exists()


def test_a_source_that_is_not_published_is_named_with_its_line() -> None:
    text = LUMO_FILE.read_text(encoding="utf-8")
    published = dict.fromkeys(("leaving", "pausing", "refunds"), ("who", "notice", "staying", "numbers", "yearly"))
    problems = [
        problem for problem in check_sources(text, str(LUMO_FILE), published) if problem.key.startswith("rules.")
    ]

    assert [(problem.key, problem.message.partition(";")[0]) for problem in problems[:2]] == [
        ("rules.pause[1].source", "the help article `pausing` has no section `monthly`"),
        ("rules.investigate[0].source", "there is no help article `help`"),
    ]
    assert problems[0].line == text[: text.index("pausing#monthly")].count("\n") + 1
