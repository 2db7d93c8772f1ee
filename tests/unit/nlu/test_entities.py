"""Entities are found as people write them, and normalised."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.nlu.entities import find_entities

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=ZoneInfo("America/New_York"))  # a Saturday


def found(text: str, kind: str) -> list[Any]:
    return [entity.value for entity in find_entities(text, NOW) if entity.entity == kind]


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("it's Ava@Jolt.example.", "email", ["ava@jolt.example"]),
        ("a.b+c@mail.co.example, thanks", "email", ["a.b+c@mail.co.example"]),
        ("+1 415 555 0107", "phone_number", ["+14155550107"]),
        ("(415) 555-0107 and 415.555.0142", "phone_number", ["+14155550107", "+14155550142"]),
        ("4155550107", "phone_number", ["+14155550107"]),
        ("+44 20 7946 0958", "phone_number", ["+442079460958"]),
        ("555-0107", "phone_number", []),
        ("INV-2005", "invoice_id", ["INV-2005"]),
        ("inv 2005", "invoice_id", ["INV-2005"]),
        ("invoice number 2005", "invoice_id", ["INV-2005"]),
        ("inv2005", "invoice_id", ["INV-2005"]),
        ("sub-1042", "subscription_id", ["SUB-1042"]),
        ("my subscription #1042", "subscription_id", ["SUB-1042"]),
        ("tck-000123 or ticket 124", "ticket_id", ["TCK-000123", "TCK-000124"]),
        ("my code is 482913", "code", ["482913"]),
        ("482 913", "code", ["482913"]),
        ("INV-200512", "code", []),
        ("4155550107", "code", []),
        ("$482913", "code", []),
        ("$15", "money", [1500]),
        ("$1,234.50 and 15 usd", "money", [123450, 1500]),
        ("fifteen bucks", "money", [1500]),
        ("two hundred and fifty dollars", "money", [25000]),
        ("a hundred bucks", "money", [10000]),
        ("two dollars and fifty cents", "money", [250]),
        ("50 cents", "money", [50]),
        ("$1.5k gone", "money", [150000]),
        ("2 grand", "money", [200000]),
        ("a buck fifty", "money", [150]),
        ("half a dollar", "money", [50]),
        ("USD 15.00", "money", [1500]),
        ("12,50 euro", "money", [1250]),
        ("whats app and google voice refused it", "platform", ["WhatsApp", "Google"]),
        ("tinder flagged me", "platform", ["Tinder"]),
        ("ava@google.example", "platform", []),
        ("stop the calling plan", "plan", ["calling"]),
        ("only smrtDialer", "product", ["smrtdialer"]),
        ("smarter contact", "brand", ["smartercontact"]),
        ("Jolt SMS", "brand", ["joltsms"]),
    ],
)
def test_what_is_found(text: str, kind: str, values: list[Any]) -> None:
    assert found(text, kind) == values


@pytest.mark.parametrize(
    ("text", "day", "grain"),
    [
        ("today", "2026-11-21", "day"),
        ("since yesterday", "2026-11-20", "day"),
        ("the day before yesterday", "2026-11-19", "day"),
        ("since last Tuesday", "2026-11-17", "day"),
        ("it broke on friday", "2026-11-20", "day"),
        ("wait until friday", "2026-11-27", "day"),
        ("next friday", "2026-11-27", "day"),
        ("last saturday", "2026-11-14", "day"),
        ("I was charged on the 3rd", "2026-11-03", "day"),
        ("please move it to the 3rd", "2026-12-03", "day"),
        ("it stopped on the 31st", "2026-10-31", "day"),
        ("the 5th of next month", "2026-12-05", "day"),
        ("about a week ago", "2026-11-14", "day"),
        ("a couple of days ago", "2026-11-19", "day"),
        ("twenty-one days ago", "2026-10-31", "day"),
        ("nothing for three weeks now", "2026-10-31", "day"),
        ("in 10 days", "2026-12-01", "day"),
        ("in two months", "2027-01-21", "day"),
        ("Nov 3rd", "2026-11-03", "day"),
        ("renewed december 24", "2025-12-24", "day"),
        ("it renews december 24", "2026-12-24", "day"),
        ("12 november '25", "2025-11-12", "day"),
        ("2026-11-01", "2026-11-01", "day"),
        ("12-Nov-2025", "2025-11-12", "day"),
        ("11/02", "2026-11-02", "day"),
        ("25/12/2025", "2025-12-25", "day"),
        ("3/5/26", "2026-03-05", "day"),
        ("end of the month", "2026-11-30", "day"),
        ("end of next month", "2026-12-31", "day"),
        ("last week", "2026-11-09", "week"),
        ("next month", "2026-12-01", "month"),
        ("since january", "2026-01-01", "month"),
        ("last december", "2025-12-01", "month"),
        ("last year", "2025-01-01", "year"),
        ("a fortnight ago", "2026-11-07", "day"),
        ("half a year ago", "2026-05-21", "day"),
        ("a year and a half ago", "2025-05-21", "day"),
        ("two and a half weeks ago", "2026-11-03", "day"),
        ("Monday last week", "2026-11-09", "day"),
        ("the Friday before last", "2026-11-13", "day"),
        ("two Fridays ago", "2026-11-13", "day"),
        ("a week from Friday", "2026-12-04", "day"),
        ("March the 5th", "2026-03-05", "day"),
        ("the twenty-first of March", "2026-03-21", "day"),
        ("nothing since the third.", "2026-11-03", "day"),
        ("since Christmas", "2025-12-25", "day"),
        ("until new year's eve", "2026-12-31", "day"),
    ],
)
def test_dates_are_resolved(text: str, day: str, grain: str) -> None:
    (entity,) = (one for one in find_entities(text, NOW) if one.entity == "date")
    assert (entity.value, dict(entity.detail)) == (day, {"grain": grain})


@pytest.mark.parametrize(
    "text",
    [
        "the second one",
        "may I cancel",
        "99/99",
        "February 31",
        "the first time",
        "999999 years ago",
        "call at 12",
        "march out of here",
    ],
)
def test_what_is_no_date_is_left_alone(text: str) -> None:
    assert found(text, "date") == []


def test_today_depends_on_the_time_zone() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    assert find_entities("today", late)[0].value == "2026-11-21"
    assert find_entities("today", late.astimezone(ZoneInfo("UTC")))[0].value == "2026-11-22"


def test_positions_give_the_words_back() -> None:
    text = "Charged $15 on Nov 3rd for +1 415 555 0107 (INV-2005), says ava@jolt.example"
    entities = find_entities(text, NOW)
    assert [entity.entity for entity in entities] == ["money", "date", "phone_number", "invoice_id", "email"]
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)


def test_a_name_can_be_product_and_brand() -> None:
    assert [(one.entity, one.value) for one in find_entities("smrtPhone", NOW)] == [
        ("brand", "smrtphone"),
        ("product", "smrtphone"),
    ]


def test_a_very_long_message_is_read_in_part() -> None:
    assert find_entities("9" * 10_000, NOW) == []
    assert found("$15 " + "so angry " * 2000, "money") == [1500]
