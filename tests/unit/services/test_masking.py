"""Personal data in many spellings never comes through the mask; what the model learns from does."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.conversation.messages import MAX_TEXT
from bot.services.masking import CARD, EMAIL, NUMBER, mask

_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_DIGITS = st.text("0123456789", min_size=7, max_size=15)
_AROUND = st.sampled_from(
    ["", "call me at ", "my number is ", "it's ", "please cancel ", "text ", "no texts on ", "(", "still charged, "]
)
_AFTER = st.sampled_from(["", " please", ".", ", thanks", " since Tuesday", ")", "!", " and refund me"])


def _spellings(digits: str) -> st.SearchStrategy[str]:
    separators = st.lists(st.sampled_from(["", "", " ", "-", ".", " - ", ") ", "/", "_"]), min_size=len(digits))
    spaced = separators.map(
        lambda between: "".join(f"{d}{s}" for d, s in zip(digits, between, strict=False)).strip(" -./_)")
    )
    spoken = st.just(" ".join(_WORDS[int(digit)] for digit in digits))
    return st.one_of(st.just(digits), st.just(f"+{digits}"), st.just(f"({digits[:3]}) {digits[3:]}"), spaced, spoken)


@given(_DIGITS.flatmap(lambda d: st.tuples(st.just(d), _spellings(d))), _AROUND, _AFTER)
@settings(max_examples=120, deadline=None)
def test_no_telephone_number_comes_through(number: tuple[str, str], before: str, after: str) -> None:
    _, spelled = number
    masked = mask(f"{before}{spelled}{after}").lower()
    for word, digit in zip(_WORDS, "0123456789", strict=True):
        masked = re.sub(rf"\b{word}\b", digit, masked)
    left = re.sub(r"\D", "", masked.replace(NUMBER, "").replace("0100", "").replace("000000", ""))
    assert len(left) <= 3, (spelled, masked)


def _with_check_digit(digits: str) -> str:
    total = sum(
        value - 9 if (value := int(digit) * (1 if place % 2 else 2)) > 9 else value
        for place, digit in enumerate(reversed(digits))
    )
    return digits + str(-total % 10)


@given(st.text("0123456789", min_size=12, max_size=18).map(_with_check_digit), st.sampled_from(["", " ", "-"]))
@settings(max_examples=50, deadline=None)
def test_no_card_number_comes_through(card: str, between: str) -> None:
    spelled = between.join(card[place : place + 4] for place in range(0, len(card), 4))
    assert mask(f"my card {spelled} was charged twice") == f"my card {CARD} was charged twice"


@given(
    st.from_regex(r"[a-z][a-z0-9._+-]{2,14}", fullmatch=True),
    st.from_regex(r"[a-z]{3,10}\.(com|org|example|co\.uk)", fullmatch=True),
    st.sampled_from(["{}@{}", "{} @ {}", "{}(at){}", "{} at {}", "<{}@{}>", "{}@{}."]),
)
@settings(max_examples=60, deadline=None)
def test_no_email_address_comes_through(local: str, domain: str, form: str) -> None:
    masked = mask(f"write to {form.format(local, domain)} thanks")
    assert local not in masked.replace(EMAIL, "").replace("write to", "").replace("thanks", "") or len(local) < 4
    assert domain not in masked.replace(EMAIL, "")


_NAME = st.from_regex(r"[A-Z][a-zäöüéß]{3,9}", fullmatch=True).filter(lambda name: name.lower() not in "thisisabout")


@given(_NAME, _NAME, st.sampled_from(["{} {} here", "it's {} {}", "{}'s number, {}", "for {}, {} and co", "{}-{}"]))
@settings(max_examples=50, deadline=None)
def test_no_name_of_the_account_comes_through_in_whatever_case(first: str, last: str, form: str) -> None:
    for change in (str, str.lower, str.upper):
        masked = mask(form.format(change(first), change(last)), names=[f"{first} {last}"]).lower()
        assert first.lower() not in masked.replace("alex", "")
        assert last.lower() not in masked.replace("alex", "")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("my name is Jane Doe and I was charged", "my name is Alex and I was charged"),
        ("I'm John Smith, cancel it", "I'm Alex, cancel it"),
        ("Please cancel. Best regards, Maria Lopez", "Please cancel. Best regards, Alex"),
        ("what about INV-2005 and TCK-000123", "what about INV-0100 and TCK-0100"),
        ("sub SUB-1001", "sub SUB-0100"),
        ("see https://evil.example/me?mail=a@b.example", "see a link"),
        ("the code is 123456", "the code is 000000"),
        ("cancel the one ending 0107", "cancel the one ending 0100"),
        ("conversation cnv_01m8deprmrqadp5ymnn1msw7ks", "conversation an id"),
        ("jane dot doe at mail dot example", "jane dot name@example.com"),
    ],
)
def test_what_is_masked_reads_like_a_message(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "I was charged $15.00 twice on March 3, 2026",
        "refund me 30 bucks since 2026-03-10",
        "why 1,500.00 in 2025",
        "I don't want to cancel, just tell me when it renews",
        "I'm so angry, nobody helps",
        "in 14 days",
        "my name is on the invoice",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("piece", ["1", "one ", "a@", "my name is ", "a.", "(", "INV-", " at "])
def test_the_longest_message_is_masked_at_once(piece: str) -> None:
    started = time.thread_time()
    mask((piece * MAX_TEXT)[:MAX_TEXT])
    assert time.thread_time() - started < 3
