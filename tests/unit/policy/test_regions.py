"""The customer's rights, by region: in every pack, from the law's day on, to a person; the record is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.decide import alternatives, decide
from bot.policy.decision import Matter, Outcome, Request, RequestKind
from bot.policy.errors import PackError
from bot.policy.facts import Facts
from bot.policy.loader import load_pack, load_packs, parse_pack
from bot.policy.pack import Pack, Question, Rule
from bot.services import cancellations, erasure, refunds, statements
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.demo import demo_customers, seed
from bot.store.erased import find
from bot.store.unit_of_work import Store, UnitOfWork
from tests.unit.policy.conftest import ROOT

PACKS = load_packs(ROOT / "data/policies")
MEMBERS = re.findall("..", "ATBEBGHRCYCZDKEEFIFRDEGRHUIEITLVLTLUMTNLPLPTROSKSIESSE")
NOW = datetime(2026, 7, 6, 15, 0, tzinfo=timezone.utc)
WITHDRAWAL = {"joltsms": "J-R6-withdrawal", "smartercontact": "S-R2-withdrawal", "smrtphone": "P-R0-withdrawal"}
MINE = {"joltsms": "ava", "smartercontact": "hal", "smrtphone": "kim"}


def facts(country: str, started_at: datetime) -> Facts:
    return Facts(
        {
            "verified": True,
            "role": "owner",
            "country": country,
            "subscription_status": "active",
            "number_status": "active",
            "number": "+1 415-555-0101",
            "plan": "Monthly",
            "started_at": started_at,
            "period_end": started_at + timedelta(days=30),
            "sms_ever_received": True,
        }
    )


def decided(
    pack: Pack, country: str, *, now: datetime = NOW, days: float = 5, matter: Matter = Matter.CHANGE_OF_MIND
) -> str:
    known = facts(country, now - timedelta(days=days))
    return decide(pack, known, Request(RequestKind.REFUND, now, matter=matter)).rule_id


@pytest.fixture(params=sorted(PACKS))
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


# --- the European Union ---------------------------------------------------------------


@pytest.mark.parametrize("matter", [Matter.CHANGE_OF_MIND, Matter.PRORATED, Matter.GENERAL])
def test_a_withdrawal_within_fourteen_days_goes_to_a_person_with_the_law_named(pack: Pack, matter: Matter) -> None:
    request = Request(RequestKind.REFUND, NOW, matter=matter)
    decision = decide(pack, facts("IE", NOW - timedelta(days=5)), request)
    rule = pack.rule(decision.rule_id)

    assert (decision.rule_id, decision.outcome) == (WITHDRAWAL[pack.brand.id], Outcome.HANDOFF)
    assert decision.statement is not None
    assert decision.statement.startswith(f"I withdraw from my contract with {pack.brand.name}.")
    assert "Directive (EU) 2023/2673" in " ".join(decision.reasons)
    assert isinstance(rule, Rule)
    assert rule.law is not None
    assert rule.law.name.startswith("Directive (EU) 2023/2673")
    assert rule.law.since.isoformat() == "2026-06-19"


def test_every_member_state_has_it_and_no_other_country(pack: Pack) -> None:
    mine = WITHDRAWAL[pack.brand.id]

    assert [country for country in MEMBERS if decided(pack, country) != mine] == []
    assert [country for country in ("US", "CA", "GB", "CH", "BR") if decided(pack, country) == mine] == []


def test_the_law_applies_from_its_day_on(pack: Pack) -> None:
    midnight = datetime(2026, 6, 19, tzinfo=pack.brand.zone)

    assert decided(pack, "IE", now=midnight) == WITHDRAWAL[pack.brand.id]
    assert decided(pack, "IE", now=midnight - timedelta(seconds=1)) != WITHDRAWAL[pack.brand.id]


def test_the_fourteenth_day_counts_to_its_end(pack: Pack) -> None:
    started = datetime(2026, 7, 1, 12, 0, tzinfo=pack.brand.zone)
    end = datetime(2026, 7, 16, tzinfo=pack.brand.zone)
    last, late = (
        decide(pack, facts("IE", started), Request(RequestKind.REFUND, at, matter=Matter.CHANGE_OF_MIND)).rule_id
        for at in (end - timedelta(seconds=1), end)
    )

    assert last == WITHDRAWAL[pack.brand.id]
    assert late != WITHDRAWAL[pack.brand.id]


def test_what_the_ledger_proves_comes_before_it() -> None:
    """A charge that was taken twice comes back at once, whatever region it was taken in."""
    known = facts("IE", NOW - timedelta(days=5)).with_(
        duplicate_charge_found=True, duplicate_charge_minor=1500, duplicate_charge_refunded_minor=0
    )
    request = Request(RequestKind.REFUND, NOW, matter=Matter.GENERAL)

    assert decide(PACKS["joltsms"], known, request).rule_id == "J-R1"


def test_a_statement_is_receipted_once_with_its_date_and_law(store: Store) -> None:
    """The receipt is mailed: that is the durable medium."""
    seed(store, now=NOW)
    pack = PACKS["joltsms"]
    for _ in range(2):
        with store.write() as uow:
            who = _customer(uow, "joltsms")
            (account,) = _accounts(uow, who)
            account.country = "IE"
            line = uow.session.query(t.Subscription).filter_by(account_id=account.id).one()
            line.started_at = NOW - timedelta(days=5)
            asked = refunds.request(
                uow,
                pack=pack,
                customer=who,
                matter=Matter.CHANGE_OF_MIND,
                subscription_id=line.id,
                conversation_id=None,
                key="wish",
                now=NOW,
            )
            declared = statements.declare(
                uow,
                pack=pack,
                customer=who,
                decision=asked.decision,
                decision_id=asked.decision_id,
                conversation_id=None,
                key="statement",
                now=NOW,
            )
            uow.commit()
    with store.read() as uow:
        (receipt,) = uow.session.query(t.Receipt).filter_by(customer_id=who.customer_id, kind="statement").all()
        (mail,) = uow.session.query(t.Outbox).filter_by(recipient="ava@jolt.example").all()
        assert uow.session.query(t.Ticket).filter_by(kind="statement").count() == 1
    assert receipt.reference == declared.receipt.reference
    for part in ("6 July 2026", "I withdraw from my contract with JoltSMS.", "applies from 2026-06-19"):
        assert part in receipt.plain
    assert mail.idempotency_key == f"receipt:{receipt.id}"


# --- California ---------------------------------------------------------------


def _customer(uow: UnitOfWork, brand: str) -> CustomerRef:
    email = next(one.email for one in demo_customers(brand) if one.email.startswith(MINE[brand]))
    found = find(uow, brand, email)
    assert found is not None
    return CustomerRef(found.id, brand, found.email, found.name)


def _accounts(uow: UnitOfWork, who: CustomerRef) -> Iterator[t.Account]:
    for member in uow.session.query(t.Membership).filter_by(customer_id=who.customer_id):
        yield uow.get(t.Account, member.account_id)


def test_whoever_offers_something_instead_asks_about_it_before_cancelling(pack: Pack) -> None:
    """The question with the offers is the one that always has the choice to go on cancelling."""
    assert not pack.cancel.alternatives or Question.ALTERNATIVES in pack.cancel.questions
    offered = alternatives(pack, facts("US", NOW).with_(state="CA"), Request(RequestKind.CANCEL, NOW))
    assert len(offered) <= 2


def test_consents_and_offers_outlast_the_erased_account_without_saying_whose_they_were(
    demo_store: Store, pack: Pack
) -> None:
    """Three years on they are still there: nothing deletes them."""
    agreed = [("terms", "1", "I know what I lose.")]
    with demo_store.write() as uow:
        who = _customer(uow, pack.brand.id)
        held = [
            line.id
            for account in _accounts(uow, who)
            for line in uow.session.query(t.Subscription).filter_by(account_id=account.id, status="active")
        ]
        wanted = [(consent.id, consent.version, consent.wording) for consent in pack.cancel.consents] or agreed
        cancellations.cancel(
            uow,
            pack=pack,
            customer=who,
            subscription_ids=held,
            reason_id=None,
            reason_text=f"It is me, {who.name}",
            consents=wanted,
            offers=["new_date"],
            conversation_id=None,
            key="leave",
            now=NOW,
        )
        uow.commit()
    later = NOW + timedelta(days=366)
    with demo_store.write() as uow:
        for account in _accounts(uow, who):
            erasure.erase_account(uow, brand=pack.brand, account_id=account.id, now=later)
        uow.commit()
    with demo_store.read() as uow:
        kept = uow.session.query(t.Cancellation).filter(t.Cancellation.subscription_id.in_(held)).all()
        erased = uow.get(t.Customer, who.customer_id)
        assert len(kept) == len(held)
        for cancellation in kept:
            assert [(c["id"], c["version"], c["wording"]) for c in cancellation.consents] == wanted
            assert all(consent["at"] for consent in cancellation.consents)
            assert cancellation.offers == ["new_date"]
            assert cancellation.reason_text is None
        assert (erased.name, who.email in erased.email) == ("", False)


# --- how regional terms are written ---------------------------------------------------------------


def test_a_law_has_a_day_that_exists() -> None:
    path = ROOT / "data/policies/joltsms.yml"
    text = path.read_text(encoding="utf-8").replace("since: 2026-06-19", "since: 2026-06-31", 1)
    with pytest.raises(PackError, match="there is no day 2026-06-31"):
        parse_pack(text, "joltsms.yml")
    assert load_pack(path).rules[RequestKind.REFUND]


def test_the_page_about_regions_names_every_rule_with_a_law() -> None:
    page = (ROOT / "docs/rights-by-region.md").read_text(encoding="utf-8")
    rules = [rule for pack in PACKS.values() for rules in pack.rules.values() for rule in rules if rule.law]

    assert sorted(rule.id for rule in rules) == sorted(WITHDRAWAL.values())
    assert [rule.id for rule in rules if f"`{rule.id}`" not in page] == []
    assert "not legal advice" in page
