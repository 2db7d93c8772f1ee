"""Money, facts, requests and decisions: what they accept, refuse and keep."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bot.policy.decide import decide, decide_from_json
from bot.policy.decision import Decision, Matter, Outcome, Request, RequestKind
from bot.policy.errors import FactError, PolicyError, RequestError
from bot.policy.facts import CHARGES, FACTS, FactKind, Facts
from bot.policy.money import CurrencyMismatchError, Money
from bot.policy.pack import Pack
from tests.unit.policy.examples import BEN, NOW


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1500, "USD"), "USD 15.00"),
        (Money(5, "USD"), "USD 0.05"),
        (Money(123_456_789, "EUR"), "EUR 1,234,567.89"),
        (Money(-240, "USD"), "USD -2.40"),
        (Money(1500, "JPY"), "JPY 1,500"),
        (Money(1500, "KWD"), "KWD 1.500"),
        (Money(0, "USD"), "USD 0.00"),
    ],
)
def test_money_is_shown_with_the_decimals_of_its_currency(money: Money, text: str) -> None:
    assert money.format() == str(money) == text


def test_money_of_one_currency_adds_and_compares() -> None:
    one, two = Money(100, "USD"), Money(200, "USD")

    assert (one + two, two - one, -one, one * 3) == (Money(300, "USD"), one, Money(-100, "USD"), Money(300, "USD"))
    assert one < two <= two
    assert two > one >= one
    assert not Money(0, "USD")


@pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_money_of_two_currencies_does_not_mix(operation: str) -> None:
    with pytest.raises(CurrencyMismatchError, match="cannot combine USD with EUR"):
        getattr(Money(1, "USD"), operation)(Money(1, "EUR"))


def test_a_currency_is_three_capital_letters() -> None:
    with pytest.raises(ValueError, match="usd"):
        Money(1, "usd")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("colour", "red", "there is no such fact"),
        ("colour", None, "there is no such fact"),
        ("verified", 1, "must be of kind bool, not 1"),
        ("verified", "yes", "must be of kind bool, not 'yes'"),
        ("days_left", True, "must be of kind int, not True"),
        ("days_left", -1, "must not be negative, is -1"),
        ("price_minor", 15.0, "must be of kind money_minor, not 15.0"),
        ("role", "boss", "must be one of owner, admin, agent, none, not 'boss'"),
        ("currency", "usd", "must look like"),
        ("country", "USA", "must look like"),
        ("number", "", "must be of kind text, not ''"),
        ("numbers", "+1", "must be of kind text_list, not '+1'"),
        ("numbers", ["+1", 2], "must be of kind text_list"),
        ("period_end", "tomorrow", "must be a datetime in ISO 8601, not 'tomorrow'"),
        ("period_end", "2026-12-01T00:00:00", "names no offset"),
        ("period_end", 5, "must be a datetime in ISO 8601, not 5"),
    ],
)
def test_a_fact_that_is_wrong_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(FactError, match=f"fact `{name}`") as caught:
        Facts.from_json({name: value})

    assert message in str(caught.value)
    assert caught.value.fact == name


def test_a_naive_moment_is_no_fact() -> None:
    with pytest.raises(FactError, match="naive"):
        Facts({"period_end": datetime(2026, 12, 1)})  # noqa: DTZ001


def test_facts_must_be_an_object() -> None:
    with pytest.raises(FactError, match="must be an object"):
        Facts.from_json(["verified"])  # type: ignore[arg-type]


def test_facts_that_are_unknown_are_absent() -> None:
    known = Facts({"verified": None, "role": "owner"})

    assert dict(known) == {"role": "owner"}
    assert known.get("verified") is None
    assert known.with_(role=None, verified=True) == Facts({"verified": True})


def test_facts_cannot_be_changed() -> None:
    known = Facts({"verified": False})

    with pytest.raises((TypeError, AttributeError)):
        known._values["verified"] = True  # type: ignore[index]
    with pytest.raises(TypeError):
        known["verified"] = True  # type: ignore[index]


def test_facts_are_kept_in_utc_and_as_plain_values() -> None:
    berlin = timezone(timedelta(hours=1))
    known = Facts({"period_end": datetime(2026, 12, 1, 1, tzinfo=berlin), "role": "owner"})

    assert known.to_json() == {"period_end": "2026-12-01T00:00:00+00:00", "role": "owner"}
    assert Facts({"matter": Matter.PRORATED})["matter"] == "prorated"
    assert type(Facts({"matter": Matter.PRORATED})["matter"]) is str


def test_a_list_of_moments_is_kept_in_utc_and_as_plain_values() -> None:
    berlin = timezone(timedelta(hours=1))
    known = Facts({"number_fee_dates": [datetime(2026, 12, 1, 1, tzinfo=berlin)]})

    assert known.moments("number_fee_dates") == (datetime(2026, 12, 1, tzinfo=timezone.utc),)
    assert known.to_json() == {"number_fee_dates": ["2026-12-01T00:00:00+00:00"]}
    assert Facts.from_json(known.to_json()) == known
    assert known.moments("numbers") == ()


@pytest.mark.parametrize("value", ["2026-12-01T00:00:00Z", [5], ["soon"], ["2026-12-01T00:00:00"]])
def test_what_is_no_list_of_moments_is_refused(value: object) -> None:
    with pytest.raises(FactError, match="number_fee_dates"):
        Facts.from_json({"number_fee_dates": value})


def test_every_fact_is_documented_and_every_charge_has_its_facts() -> None:
    assert all(spec.doc for spec in FACTS.values())
    assert all(spec.values for spec in FACTS.values() if spec.kind is FactKind.ENUM)
    for charge in CHARGES.values():
        assert FACTS[charge.charged].kind is FACTS[charge.refunded].kind is FactKind.MONEY_MINOR


def test_each_matter_is_a_value_of_its_fact() -> None:
    assert FACTS["matter"].values == tuple(matter.value for matter in Matter)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], "(all)"),
        ({"now": "2026-11-22T00:00:00Z"}, "kind"),
        ({"kind": "dance", "now": "2026-11-22T00:00:00Z"}, "kind"),
        ({"kind": "cancel"}, "now"),
        ({"kind": "cancel", "now": "soon"}, "now"),
        ({"kind": "cancel", "now": "2026-11-22T00:00:00"}, "now"),
        ({"kind": "cancel", "now": 5}, "now"),
        ({"kind": "refund", "now": "2026-11-22T00:00:00Z", "matter": "luck"}, "matter"),
        ({"kind": "cancel", "now": "2026-11-22T00:00:00Z", "product": ""}, "product"),
        ({"kind": "cancel", "now": "2026-11-22T00:00:00Z", "subscription_id": 5}, "subscription_id"),
        ({"kind": "cancel", "now": "2026-11-22T00:00:00Z", "amount": 5}, "amount"),
    ],
)
def test_a_request_that_is_wrong_names_its_part(values: Any, key: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request.from_json(values)

    assert caught.value.key == key


def test_a_request_needs_an_aware_moment() -> None:
    with pytest.raises(RequestError, match="naive"):
        Request(kind=RequestKind.CANCEL, now=datetime(2026, 12, 1))  # noqa: DTZ001


def test_a_product_the_brand_does_not_have_is_refused(jolt: Pack) -> None:
    with pytest.raises(RequestError, match="must be one of number, not 'dialer'"):
        decide(jolt, Facts(), Request(kind=RequestKind.CANCEL, now=NOW, product="dialer"))


def test_a_decision_survives_being_stored(jolt: Pack) -> None:
    asked = Request(kind=RequestKind.REFUND, now=NOW, matter=Matter.DUPLICATE_CHARGE)
    decision = decide(jolt, Facts.from_json(BEN), asked)

    assert Decision.from_json(decision.to_json()) == decision


def test_json_in_gives_json_out(jolt: Pack) -> None:
    """The moment may be left to the caller."""
    values = {"request": {"kind": "refund", "matter": "duplicate_charge"}, "facts": BEN}
    decided = decide_from_json(jolt, values, now=NOW)

    assert (decided["outcome"], decided["rule_id"], decided["amount"]) == (Outcome.REFUND.value, "J-R1", 1500)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "must be an object with"),
        ({}, "is missing"),
        ({"request": 5}, "must be an object"),
        ({"request": {"kind": "cancel", "now": "2026-11-22T00:00:00Z"}, "fact": {}}, "`fact`"),
        ({"request": {"kind": "cancel"}, "facts": {}}, "`now`"),
        ({"request": {"kind": "cancel", "now": "2026-11-22T00:00:00Z"}, "facts": {"x": 1}}, "fact `x`"),
        ({"request": {"kind": "cancel", "now": "2026-11-22T00:00:00Z"}, "facts": []}, "must be an object"),
    ],
)
def test_json_that_is_wrong_is_told_what_is_wrong(jolt: Pack, values: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        decide_from_json(jolt, values)
