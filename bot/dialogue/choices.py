"""Which of the offered choices a customer's words name: "the one ending 0107", "all of them", "not that, the other"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.dialogue.asking import Choice

_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "last": -1}
# "the second one please" names a place in the list; with any other word, "last" may be last Tuesday.
_BESIDE_A_PLACE = "the one number please only just it yes no ok oh sorry my i mean meant want cancel keep and not but"
_WITH_A_PLACE = frozenset(_BESIDE_A_PLACE.split())
_ALL = re.compile(r"\b(all|both|every(thing| one|one)?|each|the (whole )?lot)\b", re.I)
_OTHER = re.compile(r"\bthe (?:others|other ones|other|rest)\b", re.I)
_BUT = re.compile(r"\b(except|but not|apart from|other than|not|keep|do(?:n'?t| not) cancel|leave)\b", re.I)
_UP_TO_A_COMMA = ("not", "keep", "leave")  # "not 0106, 0107" and "keep 0105, cancel 0106" turn round at the comma
_TURNED = re.compile(r",|\b(?:but|and)\b", re.I)
_DIGITS = re.compile(r"\+?\d[\d\s().-]*\d")
_FILLER = re.compile(r"[^\w\s]+")


def choose(
    text: str, choices: Sequence[Choice], *, many: bool, chosen: Sequence[str] = (), by_place: bool = True
) -> tuple[str, ...]:
    """Values of the choices that the text names, in the order offered; empty if it names none or too many.

    `chosen` is what is chosen so far: "the other" then means everything else. `by_place`: "the second one" counts.
    """
    plain = plain_words(text)
    if not choices or not plain:
        return ()
    for choice in choices:
        if plain in _names(choice):
            return choice.values
    turned_away = [choice for choice in choices if any(_BUT.search(w) and _says(plain, w) for w in _worded(choice))]
    if len(turned_away) == 1 and not _DIGITS.search(text):
        return turned_away[0].values
    everything = tuple(dict.fromkeys(value for choice in choices for value in choice.values))
    single = [choice for choice in choices if len(choice.values) == 1]
    wanted, unwanted, before = _wanted_and_not(text, single, by_place)
    if other := _OTHER.search(text):
        known = unwanted or tuple(chosen)
        others = tuple(value for value in everything if value not in known)
        return _at_most(others, many and other[0].endswith(("s", "rest"))) if known else ()
    if unwanted and wanted:
        return _at_most(tuple(value for value in wanted if value not in unwanted), many)
    if unwanted:
        meant = _ALL.search(before) or len(everything) - len(unwanted) == 1
        return _at_most(tuple(value for value in everything if value not in unwanted), many) if meant else ()
    if wanted:
        return _at_most(wanted, many)
    return _at_most(everything, many) if _ALL.search(text) else ()


def plain_words(text: str) -> str:
    """A text in lower case, without punctuation, with single blanks."""
    return " ".join(_FILLER.sub(" ", text.lower()).split())


def _wanted_and_not(
    text: str, choices: Sequence[Choice], by_place: bool
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Values that a text asks for, values that it excepts, and the part of it that asks."""
    kept_out = _BUT.search(text)
    before, after = (text[: kept_out.start()], text[kept_out.end() :]) if kept_out else (text, "")
    if kept_out and kept_out[0].lower() in _UP_TO_A_COMMA and (turn := _TURNED.search(after)):
        after, before = after[: turn.start()], f"{before} {after[turn.end() :]}"
    return _named(before, choices, by_place), _named(after, choices, by_place), before


def _at_most(values: tuple[str, ...], many: bool) -> tuple[str, ...]:
    return values if many or len(values) == 1 else ()


def _named(text: str, choices: Sequence[Choice], by_place: bool) -> tuple[str, ...]:
    """Choices that a piece of text points at, by the end of their digits, by a distinctive word or by position."""
    groups = [re.sub(r"\D", "", group)[-11:] for group in _DIGITS.findall(text)]
    plain = plain_words(text)
    found = [
        choice.value
        for choice in choices
        if any(len(g) >= 3 and d.endswith(g) for g in groups for d in _digits(choice))
        or any(_says(plain, name) for name in _worded(choice))
    ]
    if found or not by_place:
        return tuple(found)
    words = plain.split()
    if not _WITH_A_PLACE.issuperset(word for word in words if word not in _ORDINALS):
        return ()
    places = [place for word, place in _ORDINALS.items() if word in words and place < len(choices)]
    return (choices[places[0]].value,) if places else ()


def _names(choice: Choice) -> set[str]:
    return {plain_words(name) for name in (choice.title, *choice.words)}


def _worded(choice: Choice) -> list[str]:
    """Its names that are words of some length, not digits alone."""
    names = (choice.title, *choice.words)
    return [name for name in names if not name.strip("+").isdecimal() and len(plain_words(name)) >= 3]


def _digits(choice: Choice) -> list[str]:
    return [re.sub(r"\D", "", name) for name in choice.words or (choice.title,)]


def _says(plain: str, name: str) -> bool:
    return f" {plain_words(name)} " in f" {plain} "
