"""Reads what people type as they meant it: "cancle my numbr 👍" as "cancel my number (thumbs up sign)"."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from bot.nlu.lexicon import Lexicon

MIN_LENGTH = 4
LONG = 7
MOST_ERRORS = 2
# A word of the training data is something to mend towards if this many messages have it.
MIN_TEXTS = 3
# A word that the lexicon lacks, beside one that is this many times as frequent, is a misspelling in the training data.
RARER = 10

_WORD = re.compile(rf"[^\W\d_]{{{MIN_LENGTH},}}")
# Pictographs, dingbats and symbols; the marks that only change their look are dropped.
_PICTURE = re.compile(r"[\u2190-\u2bff\U0001f000-\U0001faff]\ufe0f?|[\ufe0f\u200d]|[\U0001f3fb-\U0001f3ff]")
_SUFFIXES = ("s", "es", "d", "ed", "r", "er", "ing", "ly", "able")
_CONTRACTED = frozenset(
    """isnt arent wasnt werent dont doesnt didnt cant couldnt wont wouldnt shouldnt havent hasnt hadnt aint youre theyre
    weve youve theyve whats wheres whos hows thats theres heres lets gonna wanna gotta""".split()  # noqa: SIM905
)


class Speller:
    """Mends words that neither the lexicon nor the training data has, if a known word is near enough.

    Near enough: the same first letter and one typing error (two in words of seven letters and more). Capitalised words
    within a message stay, as names do. A message of which most words are unknown may be in another language: there
    only the words of the training data count as known ones.
    """

    def __init__(self, frequency: Mapping[str, int], lexicon: Lexicon) -> None:
        self.frequency = dict(frequency)
        self._lexicon = lexicon
        self._near: defaultdict[str, list[str]] = defaultdict(list)
        known = sorted({*self.frequency, *(word for word in lexicon.common if len(word) >= MIN_LENGTH)})
        for word in known:
            for key in _deletions(word):
                self._near[key].append(word)
        self._longest = max(map(len, known), default=0) + MOST_ERRORS

    @classmethod
    def fit(cls, texts: Iterable[str], lexicon: Lexicon) -> Speller:
        """Learn from training messages which words to mend towards first."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(set(_WORD.findall(text.lower())))
        frequent = {word: count for word, count in counts.items() if count >= MIN_TEXTS}
        rough = cls(frequent, lexicon)
        return cls({word: count for word, count in frequent.items() if not rough._is_misspelling(word, count)}, lexicon)

    def mend(self, text: str) -> str:
        """The text with its misspelled words mended and its pictures named, everything else as it was."""
        text = _PICTURE.sub(_name, text)
        words = list(_WORD.finditer(text))
        unknown = [match for match in words if not self._knows(match[0].lower())]
        foreign = len(unknown) * 2 > len(words)
        parts: list[str] = []
        end = 0
        for match in unknown:
            if match[0][0].isupper() and not match[0].isupper() and match.start() > 0:
                continue
            better = self._nearest(match[0].lower())
            if better is not None and (better in self.frequency or not foreign):
                parts += [text[end : match.start()], better]
                end = match.end()
        return "".join([*parts, text[end:]])

    def _knows(self, word: str) -> bool:
        if self._is_right(word):
            return True
        return any(word.endswith(suffix) and self._is_right(word[: -len(suffix)]) for suffix in _SUFFIXES)

    def _is_right(self, word: str) -> bool:
        return word in self._lexicon.words or word in self.frequency or word in _CONTRACTED

    def _is_misspelling(self, word: str, count: int) -> bool:
        if word in self._lexicon.words or word in _CONTRACTED:
            return False
        better = self._nearest(word, besides=word)
        return better is not None and self.frequency.get(better, 0) >= RARER * count

    def _nearest(self, word: str, besides: str | None = None) -> str | None:
        if len(word) > self._longest:  # near nothing, and what could be left out of it would fill the memory
            return None
        best: tuple[float, int, int, str] | None = None
        for candidate in {near for key in _deletions(word) for near in self._near.get(key, ())}:
            if candidate[0] != word[0] or candidate == besides:
                continue
            errors = _errors(word, candidate)
            if errors <= (MOST_ERRORS if min(len(word), len(candidate)) >= LONG else 1):
                rank = (errors, -self.frequency.get(candidate, 0), self._lexicon.common.get(candidate, 0), candidate)
                best = rank if best is None or rank < best else best
        return best[-1] if best else None


def _name(picture: re.Match[str]) -> str:
    name = unicodedata.name(picture[0][0], "").lower()
    return " " if not name or name.startswith(("emoji modifier", "variation selector", "zero width")) else f" {name} "


def _deletions(word: str) -> set[str]:
    """The word with up to one letter left out, or two if it is long: what two near words have in common."""
    once = {word[:i] + word[i + 1 :] for i in range(len(word))}
    twice = {short[:i] + short[i + 1 :] for short in once for i in range(len(short))} if len(word) >= LONG else set()
    return {word} | once | twice


def _errors(typed: str, meant: str) -> float:
    """How many typing errors lie between two words: a missing, added, wrong or swapped letter.

    In words of four letters a wrong letter makes another word too easily, and counts as two.
    """
    wrong = 1.0 if len(typed) > MIN_LENGTH else 2.0
    before: list[float] = []
    row: list[float] = [float(j) for j in range(len(meant) + 1)]
    for i, letter in enumerate(typed, 1):
        last, before_last, row = row, before, [float(i)]
        before = last
        for j, other in enumerate(meant, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (wrong if letter != other else 0.0))
            if i > 1 and j > 1 and letter == meant[j - 2] and typed[i - 2] == other:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
    return row[-1]
