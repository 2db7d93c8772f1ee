"""A rule explained: its words, its source and law, and who it applied to, under the version that decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import NotFound, UnknownBrand
from bot.policy.decide import decide
from bot.policy.decision import Matter, Request, RequestKind
from bot.policy.loader import load_pack
from bot.policy.pack import Pack
from bot.services import decisions
from bot.services.explain import explain
from bot.services.facts import collect
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import customer, jolt

LUMO = load_pack(Path(__file__).parents[1] / "policy/packs/lumo.yml")
PACKS = {"joltsms": jolt(), "lumo": LUMO}


def ask_for_money(uow: UnitOfWork, name: str, pack: Pack, *, key: str, days: int = 0) -> str:
    """A demo customer says that they were charged twice; returns the customer's id."""
    who, now = customer(uow, name), START + timedelta(days=days)
    facts = collect(uow, pack=pack, customer=who, now=now)
    request = Request(RequestKind.REFUND, now, matter=Matter.DUPLICATE_CHARGE)
    decisions.record(
        uow,
        pack=pack,
        customer=who,
        conversation_id=None,
        subject=None,
        request=request,
        facts=facts,
        decision=decide(pack, facts, request),
        key=key,
        now=now,
    )
    return who.customer_id


def test_a_decision_shows_the_version_it_was_made_under(demo_store: Store) -> None:
    """Also when the pack has changed since."""
    with demo_store.write() as uow:
        ben = ask_for_money(uow, "ben", replace(jolt(), version="before"), key="1")
        ask_for_money(uow, "ben", replace(jolt(), version="after"), key="2", days=1)
        ask_for_money(uow, "ava", jolt(), key="3")
        uow.commit()
    with demo_store.read() as uow:
        (rule,) = explain(uow, packs=PACKS, rule_id="J-R1")

    assert rule.version == jolt().version
    assert [
        (each.at, each.customer_id, each.outcome, each.amount.format(), each.policy_version) for each in rule.applied
    ] == [
        (START + timedelta(days=1), ben, "refund", "USD 15.00", "after"),
        (START, ben, "refund", "USD 15.00", "before"),
    ]
    assert "ben@jolt.example" not in repr(rule)


def test_only_the_latest_decisions_are_listed(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for day in range(5):
            ask_for_money(uow, "ben", jolt(), key=str(day), days=day)
        uow.commit()
    with demo_store.read() as uow:
        (rule,) = explain(uow, packs=PACKS, rule_id="j-r1", limit=2)

    assert [each.at for each in rule.applied] == [START + timedelta(days=4), START + timedelta(days=3)]


def test_a_rule_is_put_in_words_with_its_source_and_law(sqlite_store: Store) -> None:
    with sqlite_store.read() as uow:
        (rule,) = explain(uow, packs=PACKS, rule_id="L-R1")

    assert (rule.brand, rule.kind, rule.outcome, rule.applied) == ("lumo", "refund", "refund", ())
    assert rule.conditions == (
        "country is one of DE, AT, NO",
        "now is before started_at plus 15 days, at the start of that day",
    )
    assert rule.says == ("You can withdraw, and {amount} comes back.",)
    assert (rule.article, rule.section) == ("refunds", "withdrawal")
    assert rule.law is not None
    assert (rule.law.name, rule.law.since.isoformat()) == ("Directive (EU) 2023/2673", "2026-06-19")


@pytest.mark.parametrize(
    ("rule_id", "conditions"),
    [
        ("L-C0", ("it is known not to be so that verified is true",)),
        ("L-E1", ("product is line", "numbers is known")),
        ("L-R9", ()),
        ("J-C1-verify", ("verified is false or verified is not known",)),
        ("J-R1-amount", ("matter is one of duplicate_charge, general", "amount_disagrees is true",
                         "wrong_charge_minor is at least 1")),
    ],
)  # fmt: skip
def test_conditions_are_put_in_words(sqlite_store: Store, rule_id: str, conditions: tuple[str, ...]) -> None:
    with sqlite_store.read() as uow:
        (rule,) = explain(uow, packs=PACKS, rule_id=rule_id)

    assert rule.conditions == conditions


def test_every_rule_of_every_served_pack_can_be_explained(sqlite_store: Store) -> None:
    packs = {path.stem: load_pack(path) for path in (Path(__file__).parents[3] / "data/policies").glob("*.yml")}
    with sqlite_store.read() as uow:
        for brand, pack in packs.items():
            for one in pack.all_rules():
                (rule,) = explain(uow, packs=packs, rule_id=one.id, brand=brand)
                assert (rule.rule_id, rule.title) == (one.id, one.title)


def test_one_id_in_two_brands_is_explained_for_both(sqlite_store: Store) -> None:
    packs = {**PACKS, "lumo2": replace(LUMO, brand=replace(LUMO.brand, id="lumo2"))}
    with sqlite_store.read() as uow:
        assert [rule.brand for rule in explain(uow, packs=packs, rule_id="L-R2")] == ["lumo", "lumo2"]
        assert [rule.brand for rule in explain(uow, packs=packs, rule_id="L-R2", brand="lumo2")] == ["lumo2"]


def test_an_unknown_rule_gets_those_that_come_near(sqlite_store: Store) -> None:
    with sqlite_store.read() as uow:
        with pytest.raises(NotFound, match=r"There is no rule J-R11\. Near it: J-R1"):
            explain(uow, packs=PACKS, rule_id="J-R11")
        with pytest.raises(NotFound, match=r"There is no rule J-R1 of lumo\. Near it: L-R1"):
            explain(uow, packs=PACKS, rule_id="J-R1", brand="lumo")
        with pytest.raises(NotFound, match=r"no rule whatever\. docs/policy-packs\.md lists"):
            explain(uow, packs=PACKS, rule_id="whatever")


def test_an_unknown_brand_is_named_with_those_there_are(sqlite_store: Store) -> None:
    with sqlite_store.read() as uow, pytest.raises(UnknownBrand, match="Known: joltsms, lumo"):
        explain(uow, packs=PACKS, rule_id="J-R1", brand="acme")
