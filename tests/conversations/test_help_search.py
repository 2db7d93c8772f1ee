"""The search of the help centers on labelled questions: what is quoted is right, what fits nothing is not quoted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bot.dialogue.conduct import _FITS as FITS
from bot.dialogue.conduct import _MAY_FIT as MAY_FIT
from bot.dialogue.meaning import KeptMeanings
from bot.nlu.encoder import shared_encoder
from bot.services.help_center import HelpCenter
from bot.settings import PROJECT

pytestmark = pytest.mark.conversation
QUESTIONS = Path(__file__).parents[1] / "data" / "help_questions.yml"


@dataclass(frozen=True)
class Asked:
    """A question, its best passages by falling score, and those that answer it (none if no article does)."""

    question: str
    found: tuple[tuple[float, str], ...]
    right: frozenset[str]

    def quoted(self, least: float) -> str | None:
        return self.found[0][1] if self.found and self.found[0][0] >= least else None


@pytest.fixture(scope="module")
def help_center(tmp_path_factory: pytest.TempPathFactory) -> HelpCenter:
    file = tmp_path_factory.mktemp("meanings") / "help.npz"
    return HelpCenter.load(PROJECT / "data" / "help_center", meanings=KeptMeanings(shared_encoder, file))


@pytest.fixture(scope="module")
def asked(help_center: HelpCenter) -> list[Asked]:
    def ask() -> Iterator[Asked]:
        for brand, group in yaml.safe_load(QUESTIONS.read_text(encoding="utf-8")).items():
            for question, right in [*group["answered"], *((each, []) for each in group["unanswered"])]:
                found = help_center.search(brand, question, 3)
                named = tuple((each.score, f"{each.article.slug}#{each.section.id}") for each in found)
                yield Asked(question, named, frozenset(right))

    return list(ask())


def test_most_questions_find_their_passage_first_and_nearly_all_among_three(asked: list[Asked]) -> None:
    answered = [each for each in asked if each.right]
    first = [each for each in answered if each.found and each.found[0][1] in each.right]
    three = [each for each in answered if any(name in each.right for _, name in each.found)]
    assert len(first) >= 0.82 * len(answered)
    assert len(three) >= 0.94 * len(answered)


@pytest.mark.parametrize("half", [0, 1], ids=["even", "odd"])
@pytest.mark.parametrize(("least", "quoted", "wrong", "made_up"), [(FITS, 0.5, 0.1, 0.07), (MAY_FIT, 0.65, 0.14, 0.14)])
def test_what_is_quoted_is_right_and_what_fits_nothing_is_not_quoted(
    asked: list[Asked], half: int, least: float, quoted: float, wrong: float, made_up: float
) -> None:
    answered = [each for each in asked if each.right][half::2]
    unanswered = [each for each in asked if not each.right][half::2]
    assert len([e for e in answered if e.quoted(least) in e.right]) >= quoted * len(answered)
    assert len([e for e in answered if e.quoted(least) and e.quoted(least) not in e.right]) <= wrong * len(answered)
    assert len([e for e in unanswered if e.quoted(least)]) <= made_up * len(unanswered)


def test_a_search_never_finds_another_brands_article(help_center: HelpCenter) -> None:
    for brand in ("joltsms", "smartercontact", "smrtphone"):
        for question in ("what is the wallet for", "how does a port out work", "is it a voip number"):
            assert {each.article.brand for each in help_center.search(brand, question)} <= {brand}


def test_meanings_are_kept_in_a_file_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    made: list[str] = []

    class Counting:
        sha256 = "x"

        def encode(self, text: str):  # type: ignore[no-untyped-def]
            made.append(text)
            return shared_encoder().encode(text)

    texts, file = [f"text {number}" for number in range(9)], tmp_path / "kept.npz"
    first = KeptMeanings(Counting, file).vectors(texts)
    assert (KeptMeanings(Counting, file).vectors(texts) == first).all()
    assert len(made) == 9
    file.write_bytes(b"broken")
    assert (KeptMeanings(Counting, file).vectors(texts) == first).all()
    assert len(made) == 18
