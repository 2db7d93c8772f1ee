"""What an account holds besides its plans, and which of its products go along with which."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.policy.loader import load_pack
from bot.policy.pack import Pack
from bot.services import accounts
from bot.services.belongings import heads
from bot.services.facts import collect
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START

KEPT = ("account_status", "crm_connected", "recordings_count", "ported_numbers", "lost_numbers", "numbers")
FAMILY = ("parent_status", "dependents", "stopped_dependents")


@pytest.fixture(scope="module")
def smrt() -> Pack:
    return load_pack(Path(__file__).parents[3] / "data/policies/smrtphone.yml")


def who(uow: UnitOfWork, name: str) -> CustomerRef:
    row = uow.session.execute(select(t.Customer).where(t.Customer.email == f"{name}@smrt.example")).scalar_one()
    return CustomerRef(row.id, row.brand, row.email, row.name)


def told(uow: UnitOfWork, pack: Pack, name: str, subscription_id: str, **asked: object) -> dict[str, object]:
    """The facts as JSON values, at the start unless another moment is asked for."""
    asked = {"now": START, **asked}
    facts = collect(uow, pack=pack, customer=who(uow, name), subscription_id=subscription_id, **asked)  # type: ignore[arg-type]
    return facts.to_json()


def test_an_account_tells_what_it_holds(smrt: Pack, demo_store: Store) -> None:
    with demo_store.read() as uow:
        facts = told(uow, smrt, "kim", "SUB-1014")
    assert {name: facts.get(name) for name in KEPT} == {
        "account_status": "active",
        "crm_connected": True,
        "recordings_count": 40,
        "ported_numbers": ["+1 602-555-0123"],
        "lost_numbers": None,
        "numbers": ["+1 602-555-0121", "+1 602-555-0122"],
    }


@pytest.mark.parametrize(
    ("subscription_id", "leaving", "expected"),
    [
        ("SUB-1014", (), ("none", ["smrtDialer"], None)),
        ("SUB-1015", (), ("active", None, None)),
        ("SUB-1015", ("SUB-1014", "SUB-1015"), ("not_renewing", None, None)),
    ],
)
def test_a_product_knows_what_it_takes_along_and_what_takes_it(
    smrt: Pack, demo_store: Store, subscription_id: str, leaving: tuple[str, ...], expected: tuple[object, ...]
) -> None:
    with demo_store.read() as uow:
        facts = told(uow, smrt, "kim", subscription_id, leaving=leaving)
    assert tuple(facts.get(name) for name in FAMILY) == expected


def test_what_was_taken_along_stays_stopped(smrt: Pack, demo_store: Store) -> None:
    with demo_store.read() as uow:
        phone, dialer = (told(uow, smrt, "mona", id_) for id_ in ("SUB-1016", "SUB-1018"))
    assert (phone["stopped_dependents"], phone.get("dependents")) == (["smrtDialer"], None)
    assert phone["lost_numbers"] == ["+1 602-555-0124"]
    assert phone["undo_until"] == (START + timedelta(days=60)).isoformat()
    assert dialer["parent_status"] == "ended"


def test_what_was_promised_for_a_moment_that_passed_is_gone(smrt: Pack, demo_store: Store) -> None:
    """Nobody ran the lifecycle since Mona's 90 days ended."""
    with demo_store.read() as uow:
        facts = told(uow, smrt, "mona", "SUB-1016", now=START + timedelta(days=60))
    assert (facts["account_status"], facts["recordings_count"]) == ("erased", 0)


def test_a_number_that_came_back_is_not_lost(smrt: Pack, demo_store: Store) -> None:
    with demo_store.write() as uow:
        uow.session.execute(update(t.PhoneNumber).where(t.PhoneNumber.e164 == "+16025550124").values(status="active"))
        facts = told(uow, smrt, "mona", "SUB-1016", now=START)
    assert facts["numbers"] == ["+1 602-555-0124"]
    assert "lost_numbers" not in facts


def test_speaking_of_all_means_what_nothing_else_takes_along(smrt: Pack, demo_store: Store) -> None:
    with demo_store.read() as uow:
        held = accounts.subscriptions(uow, who(uow, "kim").customer_id)
    assert [each.id for each in heads(smrt, held)] == ["SUB-1014"]
    assert [each.id for each in heads(smrt, held[1:])] == ["SUB-1015"]
