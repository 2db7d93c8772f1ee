"""Finds and normalises what a customer names: addresses, numbers, ids, amounts, dates, platforms, plans, brands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bot.nlu.dates import find_dates
from bot.nlu.names import Names, served
from bot.nlu.numbers import SPELLED, quantity

MAX_CHARACTERS = 4000
REGION = "US"


@dataclass(frozen=True)
class Entity:
    """A stretch of a message and what it stands for.

    `value` is normalised: e-mail in lower case, number in E.164, id in its own spelling, date in ISO 8601, money in
    minor units. `detail` says more: the currency of money, the grain of a date (day, week, month, year).
    """

    entity: str
    value: str | int
    text: str
    start: int
    end: int
    extractor: str
    detail: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The shape that Rasa and `supportbot parse` use."""
        return {
            "entity": self.entity,
            "value": self.value,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "extractor": self.extractor,
            **dict(self.detail),
        }


# It begins where a run of letters begins: tried at each of them, a long run would take a second.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9_%+-])[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
_IDS = (
    (
        "invoice_id",
        "INV-{}",
        re.compile(
            r"\b(?:inv|invoice)\b(?:\s+(?:id|no\.?|nr\.?|number|num))?(?:\s+is)?[\s:#_-]*(\d{3,12})\b", re.IGNORECASE
        ),
    ),
    (
        "subscription_id",
        "SUB-{}",
        re.compile(
            r"\b(?:sub|subscription)\b(?:\s+(?:id|no\.?|nr\.?|number|num))?(?:\s+is)?[\s:#_-]*(\d{3,12})\b",
            re.IGNORECASE,
        ),
    ),
    (
        "ticket_id",
        "TCK-{:0>6}",
        re.compile(
            r"\b(?:tck|ticket|case)\b(?:\s+(?:id|no\.?|nr\.?|number|num))?(?:\s+is)?[\s:#_-]*(\d{1,12})\b",
            re.IGNORECASE,
        ),
    ),
    ("invoice_id", "INV-{}", re.compile(r"\bINV(\d{3,12})\b", re.IGNORECASE)),
    ("subscription_id", "SUB-{}", re.compile(r"\bSUB(\d{3,12})\b", re.IGNORECASE)),
    ("ticket_id", "TCK-{:0>6}", re.compile(r"\bTCK(\d{1,12})\b", re.IGNORECASE)),
)
_CODE = re.compile(r"(?<![\w$€£+#-])\d{3}[ -]?\d{3}(?![\w-]|[.,]\d)")

_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP"}
_CURRENCIES = {
    "usd": "USD", "dollar": "USD", "dollars": "USD", "buck": "USD", "bucks": "USD", "eur": "EUR", "euro": "EUR",
    "euros": "EUR", "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "quid": "GBP", "cad": "CAD", "aud": "AUD",
}  # fmt: skip
_AMOUNT = r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?|\d+,\d{2}"
_UNIT = "|".join(sorted(_CURRENCIES, key=len, reverse=True))
_MONEY = (
    # Before the others, which would take the amount without its thousands.
    re.compile(
        rf"(?P<symbol>[$€£])\s?(?P<thousands>\d+(?:\.\d{{1,3}})?)\s?k\b(?:\s?(?P<unit>{_UNIT})\b)?", re.IGNORECASE
    ),
    re.compile(
        rf"(?<![\w.,])(?P<thousands>\d+(?:\.\d{{1,3}})?)\s?(?:k\s?(?P<unit>{_UNIT})|grand(?:\s+(?P<after>{_UNIT}))?)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"(?P<symbol>[$€£])\s?(?P<amount>{_AMOUNT})(?![\d])(?:\s?(?P<unit>{_UNIT})\b)?", re.IGNORECASE),
    re.compile(rf"\b(?P<unit>usd|eur|gbp|cad|aud)\s?\$?(?P<amount>{_AMOUNT})(?!\d)", re.IGNORECASE),
    re.compile(rf"(?<![\w.,])(?P<amount>{_AMOUNT})\s?(?:(?P<unit>{_UNIT})\b|(?P<symbol>[$€£]))", re.IGNORECASE),
    re.compile(
        rf"\b(?P<words>{SPELLED})\s+(?P<unit>{_UNIT})\b(?:\s+(?:and\s+)?(?P<cents>\d{{1,2}}|{SPELLED})(?:\s+cents?)?\b)?",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?P<words>a)\s+(?P<unit>buck)\s+(?P<cents>{SPELLED}|\d{{2}})\b", re.IGNORECASE),
    re.compile(r"\bhalf\s+a\s+(?P<half>dollar|buck|euro|pound)\b", re.IGNORECASE),
    re.compile(rf"(?<![\w.,])(?P<small>\d{{1,2}}|{SPELLED})\s?(?:cents?\b|¢)", re.IGNORECASE),
)

# Names that are also everyday words ("signal", "line", "match") are left to the classifier. Those of brands, plans and
# products come from the packs (bot/nlu/names.py).
_LOOKUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "platform": {
        "WhatsApp": ("whatsapp", "whats app", "whatsap", "watsapp", "whatsup", "wa business"),
        "Telegram": ("telegram", "telegramm", "tele gram"),
        "Google": ("google", "gmail", "google voice", "youtube", "google ads"),
        "Discord": ("discord",),
        "Slack": ("slack",),
        "Tinder": ("tinder",),
        "Bumble": ("bumble",),
        "Hinge": ("hinge",),
        "Facebook": ("facebook", "fb", "meta business", "messenger"),
        "Instagram": ("instagram", "insta", "ig"),
        "TikTok": ("tiktok", "tik tok"),
        "Twitter": ("twitter", "x.com"),
        "Snapchat": ("snapchat",),
        "LinkedIn": ("linkedin", "linked in"),
        "Uber": ("uber", "uber eats"),
        "Lyft": ("lyft",),
        "Airbnb": ("airbnb",),
        "Amazon": ("amazon", "aws"),
        "eBay": ("ebay",),
        "Craigslist": ("craigslist",),
        "PayPal": ("paypal", "pay pal"),
        "Venmo": ("venmo",),
        "Cash App": ("cash app", "cashapp"),
        "Coinbase": ("coinbase",),
        "Binance": ("binance",),
        "Apple": ("apple", "apple id", "icloud", "imessage"),
        "Microsoft": ("microsoft", "outlook", "hotmail"),
        "OpenAI": ("openai", "chatgpt", "chat gpt"),
        "WeChat": ("wechat", "we chat"),
        "Viber": ("viber",),
        "Steam": ("steam",),
        "Netflix": ("netflix",),
        "DoorDash": ("doordash", "door dash"),
        "Twilio": ("twilio",),
    },
}


def _lookup(names: Mapping[str, tuple[str, ...]]) -> tuple[re.Pattern[str], dict[str, str]]:
    values = {spelling: value for value, spellings in names.items() for spelling in spellings}
    spelled = "|".join(re.escape(spelling).replace(r"\ ", r"\s+") for spelling in sorted(values, key=len, reverse=True))
    return re.compile(rf"(?<![\w@.-])(?:{spelled})(?![\w@]|\.\w)", re.IGNORECASE), values


_TABLES = {entity: _lookup(names) for entity, names in _LOOKUPS.items()}
_tables_of: dict[int, tuple[Names, dict[str, tuple[re.Pattern[str], dict[str, str]]]]] = {}


def _tables() -> dict[str, tuple[re.Pattern[str], dict[str, str]]]:
    """The tables of all names, made once for the packs that are served."""
    known = served()
    kept = _tables_of.get(0)
    if kept is None or kept[0] is not known:
        kept = (known, {**_TABLES, **{entity: _lookup(names) for entity, names in known.items() if names}})
        _tables_of[0] = kept
    return kept[1]


def known_names() -> frozenset[str]:
    """Every word of the names of platforms, plans, products and brands, in lower case."""
    return frozenset(
        word
        for names in (*_LOOKUPS.values(), *served().values())
        for spellings in names.values()
        for name in spellings
        for word in name.split()
    )


def find_entities(text: str, now: datetime) -> list[Entity]:
    """All entities of a message, from left to right. `now` is aware, in the customer's or brand's zone.

    No two entities overlap, except that a name can be both product and brand.
    """
    text = text[:MAX_CHARACTERS]
    taken: list[tuple[int, int]] = []
    found: list[Entity] = []

    def take(candidates: Iterable[Entity]) -> None:
        for one in candidates:
            if all(one.end <= start or one.start >= end for start, end in taken):
                taken.append((one.start, one.end))
                found.append(one)

    take(_emails(text))
    if any(character.isdigit() for character in text):
        take(_ids(text))
        take(_dates(text, now, with_digits=True))
        take(_phone_numbers(text))
    take(_money(text))
    take(_dates(text, now, with_digits=False))
    take(_pattern("code", _CODE, text))
    names = [one for entity, table in _tables().items() for one in _named(entity, *table, text)]
    found.extend(one for one in names if all(one.end <= start or one.start >= end for start, end in taken))
    return sorted(found, key=lambda one: (one.start, one.end, one.entity))


def _entity(kind: str, value: str | int, match: re.Match[str], *, extractor: str = "patterns", **detail: str) -> Entity:
    return Entity(kind, value, match[0], match.start(), match.end(), extractor, tuple(detail.items()))


def _emails(text: str) -> Iterator[Entity]:
    return (_entity("email", match[0].lower(), match) for match in _EMAIL.finditer(text))


def _ids(text: str) -> Iterator[Entity]:
    for kind, spelling, pattern in _IDS:
        for match in pattern.finditer(text):
            yield _entity(kind, spelling.format(match[1]), match)


def _pattern(kind: str, pattern: re.Pattern[str], text: str) -> Iterator[Entity]:
    return (_entity(kind, re.sub(r"\D", "", match[0]), match) for match in pattern.finditer(text))


def _phone_numbers(text: str) -> Iterator[Entity]:
    if sum(character.isdigit() for character in text) < 10:
        return
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(text, REGION, leniency=phonenumbers.Leniency.POSSIBLE):
        number = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        # Leniency "possible" also takes seven digits without an area code, which no E.164 number can be made of.
        if match.number.country_code != 1 or len(number) == len("+12125550123"):
            yield Entity("phone_number", number, match.raw_string, match.start, match.end, "phonenumbers")


def _money(text: str) -> Iterator[Entity]:
    for pattern in _MONEY:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            minor = _minor_units(parts)
            if minor is not None:
                unit = parts.get("unit") or parts.get("half") or parts.get("after") or ""
                currency = _CURRENCIES.get(unit.lower()) or _SYMBOLS.get(parts.get("symbol") or "$", "USD")
                yield _entity("money", minor, match, currency=currency)


def _minor_units(parts: dict[str, str | None]) -> int | None:
    """All currencies that we name have a hundredth."""
    if parts.get("half"):
        return 50
    if thousands := parts.get("thousands"):
        return int(Decimal(thousands) * 100_000)
    if small := parts.get("small"):
        return quantity(small)
    if words := parts.get("words"):
        whole = quantity(words)
        cents = quantity(parts["cents"]) if parts.get("cents") else 0
        return None if whole is None or cents is None else whole * 100 + cents
    amount = str(parts["amount"])
    if re.fullmatch(r"\d+,\d{2}", amount):
        amount = amount.replace(",", ".")
    return int(Decimal(amount.replace(",", "")) * 100)


def _dates(text: str, now: datetime, *, with_digits: bool) -> Iterator[Entity]:
    for one in find_dates(text, now):
        span = text[one.start : one.end]
        if with_digits == any(character.isdigit() for character in span):
            yield Entity("date", one.value.isoformat(), span, one.start, one.end, "dates", (("grain", one.grain),))


def _named(kind: str, pattern: re.Pattern[str], values: dict[str, str], text: str) -> Iterator[Entity]:
    for match in pattern.finditer(text):
        yield _entity(kind, values[" ".join(match[0].lower().split())], match, extractor="lookup")
