"""Fill the placeholders of a pack's sentences with dates, amounts and names, and leave out what is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from bot.policy.dates import format_date
from bot.policy.facts import FACTS, FactKind, Facts
from bot.policy.money import Money
from bot.policy.pack import Brand

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

BRAND_PLACEHOLDERS = frozenset({"brand", "help_center", "support_email"})
"""Placeholders that every sentence of a pack may use."""

TELL_PLACEHOLDERS = frozenset({"who", "what"})
"""Placeholders of the sentences that tell another member of the account who asked for what."""

SHOWABLE = frozenset(
    name for name, spec in FACTS.items() if spec.kind not in (FactKind.BOOL, FactKind.ENUM) and name != "evidence_given"
)
"""Facts that may stand in a sentence: the others are states, to be put in words by the pack."""


def placeholders(sentence: str) -> tuple[str, ...]:
    """Return the names between braces, in order."""
    return tuple(PLACEHOLDER.findall(sentence))


def currency_of(brand: Brand, facts: Facts) -> str:
    """Return the currency of the facts' amounts: the account's if known, otherwise the brand's."""
    return facts.text("currency") or brand.currency


def render(
    sentences: Iterable[str], brand: Brand, facts: Facts, extra: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Fill each sentence from the brand, the facts and `extra`; one that mentions something unknown is dropped."""
    named = {"brand": brand.name, "help_center": brand.contacts.help_center, "support_email": brand.contacts.email}
    filled = []
    for sentence in sentences:
        for name in placeholders(sentence):
            shown = extra.get(name) or named.get(name) or _shown(name, brand, facts)
            if not shown:
                break
            sentence = sentence.replace(f"{{{name}}}", shown)
        else:
            filled.append(sentence)
    return tuple(filled)


def _shown(name: str, brand: Brand, facts: Facts) -> str | None:
    value = facts.get(name)
    if value is None:
        return None
    if isinstance(value, datetime):
        return format_date(value, brand.zone)
    if isinstance(value, tuple):
        return join_words(tuple(format_date(v, brand.zone) if isinstance(v, datetime) else v for v in value))
    if isinstance(value, int) and FACTS[name].kind is FactKind.MONEY_MINOR:
        return Money(value, currency_of(brand, facts)).format()
    return str(value)


def join_words(words: tuple[str, ...]) -> str:
    """Join words as a sentence does: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
