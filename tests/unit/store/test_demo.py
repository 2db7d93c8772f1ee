"""The demo data is what DESIGN.md's table says, and can be seeded again and again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.store import tables as t
from bot.store.demo import demo_customers, months_later, seed, show
from bot.store.erased import address_digest
from bot.store.unit_of_work import Store
from tests.fakes.clock import START

BRANDS = ("joltsms", "smartercontact", "smrtphone")
EVERYBODY = [customer.email for brand in BRANDS for customer in demo_customers(brand)]


def _ago(days: int) -> str:
    return (START - timedelta(days=days)).isoformat()


def _ahead(days: int) -> str:
    return (START + timedelta(days=days)).isoformat()


def _kept(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_seeding_again_adds_nothing(demo_store: Store) -> None:
    before = {email: show(demo_store, email) for email in EVERYBODY}
    assert seed(demo_store, now=START + timedelta(days=3)) == 0
    assert {email: show(demo_store, email) for email in EVERYBODY} == before


@pytest.mark.parametrize(("before", "after"), [(b"", b"key"), (b"key", b""), (b"key", b"another"), (b"key", b"key")])
def test_an_erased_customer_is_known_whatever_keys_his_address(store: Store, before: bytes, after: bytes) -> None:
    assert seed(Store(store.engine, address_key=before), now=START) == 14
    again = Store(store.engine, address_key=after)
    assert [seed(again, now=START + timedelta(days=1)) for _ in range(2)] == [0, 0]
    with again.read() as uow:
        assert uow.session.query(t.Customer).count() == 14


def test_a_missing_customer_is_added_without_touching_the_others(demo_store: Store) -> None:
    with demo_store.write() as uow:
        lee = uow.session.query(t.Customer).filter_by(email="lee@smrt.example").one()
        uow.session.query(t.Membership).filter_by(customer_id=lee.id).delete()
        uow.session.delete(lee)
        uow.commit()
    assert seed(demo_store, now=START) == 1
    assert show(demo_store, "lee@smrt.example")["accounts"][0]["role"] == "agent"


@pytest.mark.parametrize("day", [datetime(2024, 2, 29, 23, 59, 59, 5, tzinfo=timezone.utc), START])
def test_it_can_be_seeded_on_any_day(store: Store, day: datetime) -> None:
    assert seed(store, now=day) == len(EVERYBODY) == 14


@pytest.mark.parametrize("email", EVERYBODY)
def test_everything_shown_is_json(demo_store: Store, email: str) -> None:
    shown = show(demo_store, f" {email.upper()} ")
    assert json.loads(json.dumps(shown)) == shown
    with demo_store.read() as uow:
        digest = address_digest(uow, "smrtphone", email)
    assert shown["customer"]["email"] == (digest if email.startswith("ned@") else email)


def test_every_charge_belongs_to_an_invoice_of_its_amount_and_every_wallet_to_its_entries(demo_store: Store) -> None:
    for email in EVERYBODY:
        shown = show(demo_store, email)
        invoices = {invoice["id"]: invoice["amount_minor"] for invoice in shown["invoices"]}
        assert all(charge["amount_minor"] == invoices[charge["invoice_id"]] for charge in shown["charges"])
        for wallet in shown["wallets"]:
            assert wallet["balance_minor"] == sum(entry["amount_minor"] for entry in shown["wallet_entries"])


def test_ava_has_a_working_number_renewed_ten_days_ago(demo_store: Store) -> None:
    ava = show(demo_store, "ava@jolt.example")
    assert _kept(ava["subscriptions"], "id", "status", "price_minor", "currency", "period_start") == [
        ("SUB-1001", "active", 1500, "USD", _ago(10))
    ]
    assert _kept(ava["phone_numbers"], "e164", "status") == [("+14155550101", "active")]
    assert ava["inbound_sms"][-1]["received_at"] == _ago(1)
    assert ava["charges"][-1]["charged_at"] == _ago(10)
    assert len(ava["charges"]) == len(ava["invoices"]) == 4


def test_ben_was_charged_twice_two_minutes_apart(demo_store: Store) -> None:
    charges = [
        charge for charge in show(demo_store, "ben@jolt.example")["charges"] if charge["invoice_id"] == "INV-2002"
    ]
    first, second = (datetime.fromisoformat(charge["charged_at"]) for charge in charges)
    assert second - first == timedelta(minutes=2)
    assert charges[0]["amount_minor"] == charges[1]["amount_minor"]


def test_caras_number_never_received_anything(demo_store: Store) -> None:
    cara = show(demo_store, "cara@jolt.example")
    assert _kept(cara["phone_numbers"], "status") == [("active",)]
    assert cara["inbound_sms"] == cara["investigations"] == cara["tickets"] == []


def test_dans_investigation_was_closed_in_his_favour(demo_store: Store) -> None:
    dan = show(demo_store, "dan@jolt.example")
    assert _kept(dan["investigations"], "status", "cause", "had_fair_chance", "restored", "replaced", "ticket_id") == [
        ("closed", "ours", True, False, False, dan["tickets"][0]["id"])
    ]
    assert dan["inbound_sms"] == []


def test_eve_paid_for_a_number_that_could_not_be_set_up(demo_store: Store) -> None:
    eve = show(demo_store, "eve@jolt.example")
    assert _kept(eve["invoices"], "id", "status") == [("INV-2005", "paid")]
    assert _kept(eve["subscriptions"], "status", "provisioning") == [("failed", "failed")]
    assert len(eve["charges"]) == 1
    assert eve["phone_numbers"] == []


def test_finn_has_three_numbers_one_not_renewing(demo_store: Store) -> None:
    finn = show(demo_store, "finn@jolt.example")
    assert _kept(finn["phone_numbers"], "e164", "subscription_id", "status") == [
        ("+14155550105", "SUB-1006", "active"),
        ("+14155550106", "SUB-1007", "active"),
        ("+14155550107", "SUB-1008", "active"),
    ]
    assert _kept(finn["subscriptions"], "id", "status") == [
        ("SUB-1006", "not_renewing"),
        ("SUB-1007", "active"),
        ("SUB-1008", "active"),
    ]
    ends = finn["subscriptions"][0]["period_end"]
    assert _kept(finn["cancellations"], "subscription_id", "status", "effective_at") == [
        ("SUB-1006", "scheduled", ends)
    ]
    assert {event["status"] for event in finn["lifecycle_events"]} == {"scheduled"}
    assert {event["due_at"] for event in finn["lifecycle_events"] if event["kind"] != "remind"} == {ends}


def test_gias_number_was_released(demo_store: Store) -> None:
    gia = show(demo_store, "gia@jolt.example")
    assert _kept(gia["phone_numbers"], "status", "released_at") == [("released", _ago(6))]
    assert _kept(gia["subscriptions"], "status", "ended_at") == [("ended", _ago(6))]
    assert {event["status"] for event in gia["lifecycle_events"]} == {"done"}


def test_hal_has_two_plans_four_numbers_a_wallet_and_messages_scheduled_past_the_period(demo_store: Store) -> None:
    hal = show(demo_store, "hal@smarter.example")
    assert sorted(_kept(hal["subscriptions"], "plan", "status")) == [("Calling", "active"), ("Messaging", "active")]
    assert len(hal["phone_numbers"]) == 4
    assert _kept(hal["wallets"], "balance_minor", "currency") == [(4210, "USD")]
    assert sorted(_kept(hal["scheduled_messages"], "kind", "quantity", "unit_price_minor", "status")) == [
        ("rvm", 15, 5, "scheduled"),
        ("sms", 120, 2, "scheduled"),
    ]
    ends = max(plan["period_end"] for plan in hal["subscriptions"])
    assert all(message["send_at"] > ends for message in hal["scheduled_messages"])
    assert _kept(hal["registrations"], "kind", "status") == [("10dlc", "active")]


def test_iris_cancelled_five_days_before_the_period_ends(demo_store: Store) -> None:
    iris = show(demo_store, "iris@smarter.example")
    assert _kept(iris["subscriptions"], "status", "period_end") == [("not_renewing", _ahead(5))]
    assert _kept(iris["cancellations"], "status", "undo_until") == [("scheduled", _ahead(5))]


def test_jons_cancellation_took_effect_ten_days_ago(demo_store: Store) -> None:
    jon = show(demo_store, "jon@smarter.example")
    assert _kept(jon["cancellations"], "status", "effective_at") == [("effective", _ago(10))]
    events = [event for event in jon["lifecycle_events"] if event["kind"] != "remind"]
    assert {event["kind"]: (event["status"], event["due_at"]) for event in events} == {
        "end_subscription": ("done", _ago(10)),
        "take_number_fees": ("done", _ago(10)),
        "credit_unsent": ("done", _ago(10)),
        "release_number": ("scheduled", _ahead(4)),
        "end_10dlc": ("scheduled", _ahead(20)),
        "erase_data": ("scheduled", "2027-03-06T15:00:00+00:00"),
    }


def test_kim_owns_both_products_and_lee_is_an_agent_there(demo_store: Store) -> None:
    kim, lee = show(demo_store, "kim@smrt.example"), show(demo_store, "lee@smrt.example")
    assert sorted(_kept(kim["subscriptions"], "product", "status")) == [
        ("smrtdialer", "active"),
        ("smrtphone", "active"),
    ]
    assert sorted(_kept(kim["phone_numbers"], "status")) == [("active",), ("active",), ("ported_out",)]
    assert _kept(kim["recordings"], "count") == [(40,)]
    assert _kept(kim["wallets"], "balance_minor") == [(1875,)]
    assert _kept(kim["accounts"], "role", "crm_connected") == [("owner", True)]
    assert _kept(lee["accounts"], "id", "role") == [(kim["accounts"][0]["id"], "agent")]


def test_mona_can_still_change_her_mind(demo_store: Store) -> None:
    mona = show(demo_store, "mona@smrt.example")
    phone, dialer = sorted(mona["subscriptions"], key=lambda each: str(each["id"]))
    assert (phone["product"], dialer["product"], dialer["parent_id"]) == ("smrtphone", "smrtdialer", phone["id"])
    assert sorted(_kept(mona["cancellations"], "subscription_id", "requested_at", "undo_until", "status")) == [
        (phone["id"], _ago(30), _ahead(60), "effective"),
        (dialer["id"], _ago(30), _ago(12), "effective"),
    ]


def test_ned_was_erased(demo_store: Store) -> None:
    ned = show(demo_store, "ned@smrt.example")
    assert _kept(ned["cancellations"], "requested_at", "undo_until") == [(_ago(91), _ago(1))]
    assert _kept(ned["accounts"], "status", "name") == [("erased", "")]
    assert (ned["customer"]["name"], ned["customer"]["erased_at"]) == ("", _ago(1))
    assert {event["status"] for event in ned["lifecycle_events"]} == {"done"}


def test_an_unknown_address_is_not_found(demo_store: Store) -> None:
    with pytest.raises(NotFound, match=r"nobody@jolt\.example"):
        show(demo_store, "nobody@jolt.example")


def test_an_address_of_two_brands_needs_the_brand(demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.add(t.Customer(id=new_id("cus"), brand="smrtphone", email="ava@jolt.example", name="", created_at=START))
        uow.commit()
    with pytest.raises(InvalidInput, match="joltsms, smrtphone"):
        show(demo_store, "ava@jolt.example")
    assert show(demo_store, "ava@jolt.example", brand="joltsms")["customer"]["name"] == "Ava Moreno"


def test_a_brand_without_demo_customers_has_none() -> None:
    assert demo_customers("acme") == []


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [((2026, 1, 31), 1, (2026, 2, 28)), ((2024, 1, 31), 1, (2024, 2, 29)), ((2026, 1, 15), -1, (2025, 12, 15))],
)
def test_a_month_too_short_ends_on_its_last_day(
    day: tuple[int, int, int], months: int, later: tuple[int, int, int]
) -> None:
    assert months_later(datetime(*day, tzinfo=timezone.utc), months) == datetime(*later, tzinfo=timezone.utc)


def test_what_will_be_lost_for_good_is_reminded_of_a_week_and_a_day_before(demo_store: Store) -> None:
    jon = show(demo_store, "jon@smarter.example")
    due = {event["id"]: event["due_at"] for event in jon["lifecycle_events"]}
    reminders = [event for event in jon["lifecycle_events"] if event["kind"] == "remind"]
    assert {(due[each["subject_id"]], each["due_at"], each["status"]) for each in reminders} >= {
        (_ahead(4), _ahead(3), "scheduled"),
        (_ahead(20), _ahead(13), "scheduled"),
        (_ahead(20), _ahead(19), "scheduled"),
    }
