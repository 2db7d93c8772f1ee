"""Takes out of a text whatever points at a person, so that what is left may be learnt from, reported and logged."""

from __future__ import annotations

import re
from collections.abc import Iterable

EMAIL, NUMBER, CARD, LINK, NAME = "name@example.com", "555-0100", "a card number", "a link", "Alex"
"""What stands in their place: words that a customer could have written, so that the model learns the right thing."""

_FEWEST_DIGITS = 4  # a shorter number is an amount, a day or a count; four may be the end of a number
_CARD_DIGITS = (13, 19)
_WORDS_OF_DIGITS = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_DIGIT = rf"(?:\d|\b(?:double |triple )?(?:{_WORDS_OF_DIGITS})\b|(?<=\d)[oO](?=\d))"
_NUMBER = re.compile(rf"(?:(?<![\w])[+(])?{_DIGIT}(?:[\s().\-–/_,*#·•]{{0,3}}{_DIGIT})+", re.I)
_YEAR = re.compile(r"(?:19|20)\d\d")
_DATE = re.compile(
    r"\d{1,2},? (?:19|20)\d\d|(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:(?:19|20)\d\d|\d\d)"
)
_AMOUNT = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d{2})?|\d{1,5}\.\d{2}")
_EMAILS = re.compile(
    r"[^\s@<>()\[\],;:]+\s?(?:@|\(at\)|\[at\]|＠)\s?[^\s@<>()\[\],;:]+|"
    r"[\w.+-]+\s+at\s+[\w-]+(?:\s+(?:dot)\s+|\.)[a-z]{2,}(?:(?:\s+dot\s+|\.)[a-z]{2,})*",
    re.I,
)
_LINKS = re.compile(r"\b(?:https?://|www\.)\S+", re.I)
_REFERENCES = re.compile(r"\b([A-Z]{2,4})-?(\d{2,}|[A-Z]*\d[A-Z0-9-]+)\b", re.I)
_OUR_IDS = re.compile(r"\b[a-z]{2,4}_[0-9a-z]{16,}\b", re.I)
_TOKENS = re.compile(r"\b(?=\w*\d)(?=\w*[a-z])\w{12,}\b|\bey[\w-]{8,}\.[\w.-]+", re.I)
_NOT_A_NAME = (
    r"(?!(?:and|but|is|are|was|i|a|an|the|not|on|in|at|my|to|from|with|account|number|email|still|so|sorry|very|just|"
    r"please|calling|writing|trying|having|wondering|here|done|fed|sick|angry|sure|going|unable|also|for|of|it|that|who|new)\b)"
)
_ONE_NAME = rf"{_NOT_A_NAME}[^\W\d_][^\W\d_'’-]*(?:['’-][^\W\d_]+)*"
_INTRODUCED = re.compile(
    rf"\b((?:my|the|account|full|his|her|our)\s+(?:\w+\s+)?names?(?:\s+is|'s|’s|:|\s+was)|"
    rf"(?:this\s+is|it's|it’s)(?=\s+\S+\s+(?:here|from|again))|named|under the name(?:\s+of)?|"
    rf"mr\.?|mrs\.?|ms\.?|dr\.?)\s+({_ONE_NAME}(?:\s+{_ONE_NAME}){{0,2}})",
    re.I,
)
_I_AM = re.compile(r"\b(I(?:'m|’m| am))\s+((?:[A-Z][^\W\d_]+)(?:\s+[A-Z][^\W\d_]+)*)")
_SIGNED = re.compile(
    r"\b((?:best |kind |warm )?regards|sincerely|cheers|thanks|thank you|yours|best)\b([\s,.!-]+)"
    r"((?:[A-Z][^\W\d_]+)(?:\s+[A-Z][^\W\d_]+){0,2})\s*$",
    re.I,
)
_SHORTEST_NAME = 2
_LONGEST = 2000


def mask(text: str, *, names: Iterable[str] = ()) -> str:
    """The text without e-mail addresses, telephone and card numbers, ids, links and names.

    `names` are those known from the account; each word of them goes, in whatever case. Doubt is decided for masking:
    every number of four digits or more goes too, but for years, dates and amounts. What is longer than 2,000 characters
    is cut: no example, and no line of a report, needs more.
    """
    text = _LINKS.sub(LINK, text[:_LONGEST])
    for known in sorted({part for name in names for part in _parts(name)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(known)}(?:['’]s)?(?!\w)", NAME, text, flags=re.I)
    text = _EMAILS.sub(EMAIL, text)
    text = _OUR_IDS.sub("an id", text)
    text = _TOKENS.sub("an id", text)
    text = _REFERENCES.sub(lambda found: f"{found[1].upper()}-0100", text)
    text = _NUMBER.sub(_masked_number, text)
    text = _INTRODUCED.sub(lambda found: f"{found[1]} {NAME}", text)
    text = _I_AM.sub(lambda found: f"{found[1]} {NAME}", text)
    text = _SIGNED.sub(lambda found: f"{found[1]}{found[2]}{NAME}", text)
    return " ".join(text.split())


def _masked_number(found: re.Match[str]) -> str:
    said = found[0]
    spelled = re.sub(rf"\b(double|triple)\s+({_WORDS_OF_DIGITS})\b", r"\2 \2", said, flags=re.I)
    digits = len(re.findall(rf"\d|\b(?:{_WORDS_OF_DIGITS})\b", spelled, re.I))
    if digits < _FEWEST_DIGITS or (_YEAR.fullmatch(said) or _DATE.fullmatch(said)):
        return said
    if digits <= 6 and _AMOUNT.fullmatch(said) and not said.isdecimal():
        return said
    only = re.sub(r"\D", "", said)
    if _CARD_DIGITS[0] <= len(only) <= _CARD_DIGITS[1] and _luhn(only):
        return CARD
    if digits == 6 and said.isdecimal():
        return "000000"  # as a one-time code is written
    return "0100" if digits == _FEWEST_DIGITS else NUMBER


def _luhn(digits: str) -> bool:
    """Whether the last digit checks the others, as on every payment card."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[\s,.;@]+", name) if len(part) >= _SHORTEST_NAME and not part.isdecimal()]
