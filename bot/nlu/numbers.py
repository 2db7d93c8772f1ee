"""Numbers written as words, as far as people write them in amounts and spans of time."""

from __future__ import annotations

import re

_UNITS = (
    "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_UNITS.split())}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_VAGUE = {"a": 1, "an": 1, "couple": 2, "few": 3, "several": 3}

WORDS = "|".join(sorted([*_VALUES, "hundred", "thousand"], key=len, reverse=True))
SPELLED = rf"(?:an?\s+)?(?:{WORDS})(?:(?:\s+and\s+|[\s-]+)(?:{WORDS}))*"
QUANTITY = rf"(?:\d{{1,4}}|{SPELLED}|(?:a\s+)?(?:couple|few)(?:\s+of)?|several|an?)"


def quantity(text: str) -> int | None:
    """The whole number that digits, number words or "a couple of" stand for; None if they stand for none."""
    text = text.strip().lower()
    if text.isdecimal():
        return int(text)
    words = [word for word in re.split(r"[\s-]+", text) if word not in ("and", "of")]
    if len(words) > 1 and words[0] in ("a", "an"):
        words = words[1:] if words[1] in _VAGUE else ["one", *words[1:]]
    if len(words) == 1 and words[0] in _VAGUE:
        return _VAGUE[words[0]]
    total = current = 0
    for word in words:
        if word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total, current = total + (current or 1) * 1000, 0
        elif word in _VALUES:
            current += _VALUES[word]
        else:
            return None
    return total + current
