"""Telling another language from English that was not understood."""

from __future__ import annotations

import pytest
import yaml

from bot.dialogue.language import language_of
from bot.settings import PROJECT


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("quiero cancelar mi número por favor", "es"),
        ("¿cuándo me devuelven el dinero? gracias", "es"),
        ("no recibo mensajes desde el martes", "es"),
        ("hola", "es"),
        ("je voudrais annuler, merci", "fr"),
        ("on m'a prélevé deux fois", "fr"),
        ("ich möchte meine nummer kündigen", "de"),
        ("não quero mais, obrigado", "pt"),
        ("quanto custa um número", "pt"),
        ("vorrei annullare il mio numero, grazie", "it"),
        ("помогите пожалуйста", "ru"),
        ("我想取消", "zh"),
        ("番号をキャンセルしたい", "ja"),
        ("ما هو رقمي", "ar"),
        ("میں اپنا نمبر منسوخ کرنا چاہتا ہوں", "ur"),
        ("मैं अपना नंबर रद्द करना चाहता हूँ", "hi"),
        ("mera number band karo", "hi-latn"),
        ("আমি আমার নম্বর বাতিল করতে চাই", "bn"),
        ("번호를 취소하고 싶어요", "other"),
    ],
)
def test_another_language_is_noticed(text: str, language: str) -> None:
    assert language_of(text) == language


def _english() -> list[str]:
    """All training messages in Latin letters but those that are in another language on purpose."""
    found = []
    for file in sorted((PROJECT / "data" / "nlu").glob("*.yml")):
        for topic in yaml.safe_load(file.read_text(encoding="utf-8"))["nlu"]:
            if topic["intent"] not in ("out_of_scope", "greet", "thank"):
                found += [line.removeprefix("- ").strip() for line in topic["examples"].splitlines()]
    return [text for text in found if text]


def _mistyped(text: str) -> str:
    """Two neighbours swapped in every other word, and the last letter of the others dropped."""
    words = text.split()
    for place, word in enumerate(words):
        middle = len(word) // 2
        if place % 2 == 0 and len(word) > 3:
            words[place] = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
        elif len(word) > 3:
            words[place] = word[:-1]
    return " ".join(words)


def test_no_english_training_message_is_taken_for_foreign_however_short_or_mistyped() -> None:
    english = _english()
    assert len(english) > 5000
    assert [text for text in english if language_of(text)] == []
    assert [text for text in map(_mistyped, english) if language_of(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "🙂🙂",
        "12345",
        "what about my number",
        "café números are out",
        "asdf qwer",
        "I will not pay for a number in Les Halles that I never got to use at all",
        "please cancel my number for José",
    ],
)
def test_english_gibberish_and_signs_are_not(text: str) -> None:
    assert language_of(text) is None
