"""What smrtPhone promises: every rule reached, every question answered for Kim, Lee, Mona and Ned and for anyone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bot.policy.decide import alternatives, answer, consents, decide, message_to_member, plan_cancellation
from bot.policy.decision import Decision, EventKind, Matter, Outcome, Request, RequestKind
from bot.policy.errors import PackError
from bot.policy.facts import Facts
from bot.policy.intents import MUST_BE_ANSWERED
from bot.policy.loader import load_pack, parse_pack
from bot.policy.pack import Pack, Question
from bot.services import accounts, questions
from bot.services.facts import collect
from bot.services.help_center import HelpCenter
from bot.services.views import CustomerRef
from bot.store.demo import demo_customers
from bot.store.erased import find
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START

ROOT = Path(__file__).parents[3]
FILE = ROOT / "data/policies/smrtphone.yml"
DESIGNED = [*(f"P-C{n}" for n in range(1, 10)), "P-R1"]

KIM: dict[str, Any] = {
    "verified": True,
    "role": "owner",
    "country": "US",
    "currency": "USD",
    "account_status": "active",
    "subscription_status": "active",
    "cancellation_status": "none",
    "auto_renew": True,
    "plan": "Pro",
    "price_minor": 14900,
    "period_start": "2026-03-07T15:00:00Z",
    "period_end": "2026-04-07T15:00:00Z",
    "parent_status": "none",
    "dependents": ["smrtDialer"],
    "numbers": ["+1 602-555-0121", "+1 602-555-0122"],
    "ported_numbers": ["+1 602-555-0123"],
    "number_count": 2,
    "recordings_count": 40,
    "crm_connected": True,
    "wallet_minor": 1875,
    "duplicate_charge_found": False,
    "amount_disagrees": False,
    "refund_pending": False,
}
LEE = KIM | {"role": "agent"}
DIALER = {key: value for key, value in KIM.items() if key != "dependents"} | {
    "plan": "smrtDialer",
    "price_minor": 9900,
    "parent_status": "active",
}
LEAVING = KIM | {
    "subscription_status": "not_renewing",
    "cancellation_status": "scheduled",
    "cancelled_at": "2026-03-10T15:00:00Z",
    "effective_at": "2026-04-07T15:00:00Z",
    "undo_until": "2026-06-08T15:00:00Z",
}
ALONE = {key: value for key, value in LEAVING.items() if key != "dependents"}
WITH_STOPPED = ALONE | {"stopped_dependents": ["smrtDialer"]}
ENDED = ALONE | {
    "subscription_status": "ended",
    "cancellation_status": "effective",
    "cancelled_at": "2026-02-14T15:00:00Z",
    "effective_at": "2026-03-04T15:00:00Z",
    "period_end": "2026-03-04T15:00:00Z",
    "undo_until": "2026-05-15T15:00:00Z",
    "lost_numbers": ["+1 602-555-0124"],
    "numbers": [],
    "number_count": 0,
}
MONA = ENDED | {"stopped_dependents": ["smrtDialer"]}
ERASED = ENDED | {"account_status": "erased", "undo_until": "2026-03-15T15:00:00Z"}
DIALER_LEAVING = DIALER | {"subscription_status": "not_renewing", "cancellation_status": "scheduled"}
DIALER_ENDED = DIALER | {"subscription_status": "ended", "cancellation_status": "effective"}


@dataclass(frozen=True)
class Example:
    """What must be decided."""

    rule_id: str
    outcome: Outcome
    kind: RequestKind
    facts: dict[str, Any]
    product: str | None = "smrtphone"
    matter: Matter | None = None
    missing: tuple[str, ...] = field(default=())
    now: datetime = START

    def decide(self, pack: Pack) -> Decision:
        request = Request(kind=self.kind, now=self.now, matter=self.matter, product=self.product)
        return decide(pack, Facts.from_json(self.facts), request)


def _cancel(rule_id: str, outcome: Outcome, facts: dict[str, Any], product: str | None = "smrtphone") -> Example:
    return Example(rule_id, outcome, RequestKind.CANCEL, facts, product)


def _resume(rule_id: str, outcome: Outcome, facts: dict[str, Any], product: str = "smrtphone") -> Example:
    return Example(rule_id, outcome, RequestKind.RESUME, facts, product)


def _refund(rule_id: str, outcome: Outcome, matter: Matter, facts: dict[str, Any]) -> Example:
    return Example(rule_id, outcome, RequestKind.REFUND, facts, None, matter)


UNPROVEN = ("identity",)
EXAMPLES = (
    Example("P-C1-verify", Outcome.NEED_EVIDENCE, RequestKind.CANCEL, {}, missing=UNPROVEN),
    Example("P-C1-verify", Outcome.NEED_EVIDENCE, RequestKind.CANCEL, KIM | {"verified": False}, missing=UNPROVEN),
    _cancel("P-C5-gone", Outcome.ALREADY_DONE, ERASED),
    _cancel("P-C9-none", Outcome.REFUSE, {"verified": True, "subscription_status": "none"}),
    _cancel("P-C1", Outcome.REFUSE, LEE),
    _cancel("P-C1", Outcome.REFUSE, KIM | {"role": "admin"}),
    _cancel("P-C1", Outcome.REFUSE, DIALER | {"role": "agent"}, "smrtdialer"),
    _cancel("P-C9-ended", Outcome.ALREADY_DONE, ENDED),
    _cancel("P-C9-scheduled", Outcome.ALREADY_DONE, LEAVING),
    _cancel("P-C9", Outcome.ALLOW, KIM),
    _cancel("P-C9", Outcome.ALLOW, KIM | {"cancellation_status": "undone"}),
    _cancel("P-C6-alone", Outcome.ALLOW, DIALER, "smrtdialer"),
    _cancel("P-C2", Outcome.INFORM, {"verified": True, "role": "owner"}, None),
    _cancel("P-C2-person", Outcome.HANDOFF, {"verified": True, "role": "owner"}),
    Example("P-C5-verify", Outcome.NEED_EVIDENCE, RequestKind.RESUME, {}, missing=UNPROVEN),
    _resume("P-C5-erased", Outcome.REFUSE, ERASED),
    _resume("P-C5-erased", Outcome.REFUSE, ENDED | {"undo_until": "2026-03-16T14:59:59Z"}),
    _resume("P-C1-resume", Outcome.REFUSE, LEAVING | {"role": "agent"}),
    _resume("P-C5-active", Outcome.ALREADY_DONE, KIM),
    _resume("P-C7-first", Outcome.REFUSE, DIALER_LEAVING | {"parent_status": "not_renewing"}, "smrtdialer"),
    _resume("P-C7-first", Outcome.REFUSE, DIALER_ENDED | {"parent_status": "ended"}, "smrtdialer"),
    _resume("P-C7-dialer", Outcome.ALLOW, DIALER_LEAVING, "smrtdialer"),
    _resume("P-C7-dialer-ended", Outcome.ALLOW, DIALER_ENDED, "smrtdialer"),
    _resume("P-C7", Outcome.ALLOW, WITH_STOPPED),
    _resume("P-C7-ended", Outcome.ALLOW, MONA),
    _resume("P-C5-resume", Outcome.ALLOW, ALONE),
    _resume("P-C5-resume-ended", Outcome.ALLOW, ENDED),
    _resume("P-C5-person", Outcome.HANDOFF, {"verified": True, "role": "owner"}),
    Example("P-C8", Outcome.INFORM, RequestKind.PAUSE, KIM),
    Example("P-S1-renewal", Outcome.HANDOFF, RequestKind.CHANGE_RENEWAL, KIM),
    Example("P-C3-remove", Outcome.INFORM, RequestKind.REMOVE_NUMBERS, KIM),
    Example("P-S1-fault", Outcome.HANDOFF, RequestKind.INVESTIGATE, KIM),
    Example("P-R0-verify", Outcome.NEED_EVIDENCE, RequestKind.REFUND, {}, None, Matter.GENERAL, UNPROVEN),
    _refund("P-R1", Outcome.REFUSE, Matter.UNUSED_CREDITS, KIM),
    _refund("P-R1-none", Outcome.REFUSE, Matter.UNUSED_CREDITS, KIM | {"wallet_minor": 0}),
    _refund(
        "P-R0-pending", Outcome.ALREADY_DONE, Matter.DUPLICATE_CHARGE, KIM | {"duplicate_refund_status": "pending"}
    ),
    _refund("P-R0-wrong", Outcome.HANDOFF, Matter.DUPLICATE_CHARGE, KIM | {"duplicate_charge_found": True}),
    _refund("P-R0-wrong", Outcome.HANDOFF, Matter.GENERAL, KIM | {"amount_disagrees": True}),
    replace(
        _refund(
            "P-R0-withdrawal",
            Outcome.HANDOFF,
            Matter.CHANGE_OF_MIND,
            KIM | {"country": "IE", "started_at": "2026-07-01T15:00:00Z"},
        ),
        now=datetime(2026, 7, 2, 15, 0, tzinfo=timezone.utc),
    ),
    *(_refund("P-R0-person", Outcome.HANDOFF, matter, KIM) for matter in Matter if matter is not Matter.UNUSED_CREDITS),
)

WHO = ("kim", "lee", "mona", "ned")

# What the article answers: the question, the intent it is, who asks (None: anyone), and what the answer must say.
QUESTIONS: tuple[tuple[str, str, str | None, tuple[str, ...]], ...] = (
    ("Who can cancel?", "ask_who_can_cancel", None, ("Only the Account Owner", "smrtPhone or smrtDialer")),
    ("Can I cancel, as the owner?", "ask_who_can_cancel", "kim", ("You can",)),
    ("May I cancel?", "ask_who_can_cancel", "lee", ("You cannot", "not the Account Owner")),
    (
        "How do I cancel?",
        "ask_how_to_cancel",
        None,
        ("Account Menu, Billing & Logs, then Products", "Cancel Subscription"),
    ),
    (
        "How do I cancel my account?",
        "ask_how_to_cancel",
        "kim",
        ("next to smrtPhone", "smrtDialer too", "7 April 2026"),
    ),
    ("How do I cancel it?", "ask_how_to_cancel", "lee", ("not the Account Owner", "Products")),
    ("How do I cancel?", "ask_how_to_cancel", "mona", ("cancelled already", "4 March 2026")),
    ("How can I end only smrtDialer?", "ask_how_to_cancel", "kim", ("only smrtDialer, use the button next to it",)),
    ("Does cancelling take smrtDialer along?", "ask_cancellation_effects", None, ("smrtDialer is cancelled along",)),
    ("What happens to smrtDialer?", "ask_cancellation_effects", "kim", ("smrtDialer is cancelled along with it",)),
    ("What happens to my numbers?", "ask_number_release", None, ("not ported out", "cannot be recovered")),
    (
        "Which numbers do I lose?",
        "ask_number_release",
        "kim",
        (
            "+1 602-555-0121 and +1 602-555-0122",
            "7 April 2026",
            "Ported out already, and not affected: +1 602-555-0123",
        ),
    ),
    ("Where is my number?", "ask_number_release", "mona", ("+1 602-555-0124", "4 March 2026", "Nobody can recover")),
    ("Can I have my number back?", "ask_number_release", "ned", ("gone", "A new account gets new numbers")),
    ("How do I keep my numbers?", "port_number", None, ("take it over", "cancel only then")),
    ("How do I port my numbers out?", "port_number", "kim", ("+1 602-555-0121", "Moved already: +1 602-555-0123")),
    ("Can I still port it?", "port_number", "mona", ("too late to move", "+1 602-555-0124")),
    ("What becomes of my recordings?", "ask_cancellation_effects", "kim", ("14 June 2026", "40 recordings")),
    ("What happens to the CRM?", "ask_cancellation_effects", None, ("What is in your CRM stays",)),
    ("Does my CRM keep the call logs?", "ask_data_retention", "kim", ("call logs and texts in your CRM would stay",)),
    ("Which data is deleted?", "ask_data_retention", None, ("agents, call flows, call logs, recordings", "90 days")),
    ("How long are my recordings kept?", "ask_data_retention", "mona", ("12 recordings", "15 May 2026")),
    ("Is my data still there?", "ask_data_retention", "ned", ("15 March 2026", "cannot be restored")),
    ("Do I get my credits back?", "ask_unused_credits", None, ("not refundable",)),
    ("What about my credits?", "ask_unused_credits", "kim", ("USD 18.75", "not refundable", "7 April 2026")),
    ("Is anything refundable?", "ask_refund_policy", "kim", ("USD 18.75", "not refundable")),
    ("How long can I use it?", "ask_cancellation_effects", None, ("until the end of the subscription",)),
    ("Until when can I use my account?", "ask_cancellation_effects", "kim", ("use smrtPhone until 7 April 2026",)),
    ("Am I charged again?", "ask_fees_after_cancel", "kim", ("USD 149.00", "7 April 2026", "not taken")),
    ("Is anything still charged?", "ask_fees_after_cancel", "mona", ("Nothing is charged any more", "4 March 2026")),
    ("Can I change my mind?", "resume_subscription", None, ("90 days", "reactivated separately", "new account")),
    ("Until when could I change my mind?", "resume_subscription", "kim", ("14 June 2026",)),
    ("Can I come back?", "resume_subscription", "mona", ("until 15 May 2026", "smrtDialer does not come back with it")),
    ("Can I have my account back?", "resume_subscription", "ned", ("cannot be reactivated", "open a new account")),
    ("What remains of my account?", "ask_cancellation_effects", "ned", ("erased", "CRM is still there")),
    ("Could I change my plan instead?", "change_plan", None, ("move up, move down", "smrtDialer can be adjusted")),
    ("Which plan could I change to?", "change_plan", "kim", ("Pro", "USD 149.00", "smrtDialer can be adjusted")),
    ("Can I talk to somebody first?", "book_call", None, ("Customer Success Team", "cancel without it")),
)


@pytest.fixture(scope="module")
def smrt() -> Pack:
    return load_pack(FILE)


def customer(uow: UnitOfWork, name: str) -> CustomerRef:
    """A demo customer of smrtPhone by first name, erased or not."""
    email = next(each.email for each in demo_customers("smrtphone") if each.email.startswith(f"{name}@"))
    row = find(uow, "smrtphone", email)
    assert row is not None
    return CustomerRef(row.id, row.brand, row.email, row.name)


def facts_of(uow: UnitOfWork, pack: Pack, name: str, product: str = "smrtphone", **asked: Any) -> Facts:
    """The facts of one of a demo customer's subscriptions, from the store."""
    who = customer(uow, name)
    held = {each.product: each.id for each in accounts.subscriptions(uow, who.customer_id)}
    return collect(uow, pack=pack, customer=who, subscription_id=held[product], now=asked.pop("now", START), **asked)


def ask(kind: RequestKind, product: str = "smrtphone", **more: Any) -> Request:
    return Request(kind=kind, now=more.pop("now", START), product=product, **more)


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.kind.value}-{e.rule_id}-{e.product}")
def test_each_example_is_decided_by_its_rule(smrt: Pack, example: Example) -> None:
    decision = example.decide(smrt)

    assert (decision.rule_id, decision.outcome, decision.amount) == (example.rule_id, example.outcome, 0)
    assert decision.missing_evidence == example.missing
    assert decision.reasons
    assert not re.search(r"[{}]", " ".join(decision.reasons + decision.next_steps))


def test_every_rule_is_reached(smrt: Pack) -> None:
    """Effects of cancelling are reached by a plan, everything else by a decision."""
    planned = [
        plan_cancellation(smrt, Facts.from_json(facts), ask(RequestKind.CANCEL, product)).rule_ids
        for facts, product in (
            (KIM, "smrtphone"),
            (KIM | {"crm_connected": False}, "smrtphone"),
            (DIALER, "smrtdialer"),
        )
    ]
    reached = {example.decide(smrt).rule_id for example in EXAMPLES} | {rule for rules in planned for rule in rules}

    assert {rule.id for rule in smrt.all_rules()} == reached


@pytest.mark.parametrize("rule_id", DESIGNED)
def test_every_promised_rule_exists(smrt: Pack, rule_id: str) -> None:
    assert smrt.rule(rule_id) is not None


def test_every_rule_is_documented_with_its_title(smrt: Pack) -> None:
    reference = (ROOT / "docs/policy-packs.md").read_text(encoding="utf-8")

    assert [rule.id for rule in smrt.all_rules() if f"| `{rule.id}` | {rule.title} |" not in reference] == []


def test_nothing_is_paid_without_a_person(smrt: Pack) -> None:
    """The article promises no money at all, so no rule gives any."""
    assert not [rule.id for rules in smrt.rules.values() for rule in rules if rule.outcome.pays]


# --- cancelling ------------------------------------------------------------------------------------------------------


def test_kim_is_told_what_she_loses_with_her_own_numbers_dates_and_credits(
    smrt: Pack, sqlite_demo_store: Store
) -> None:
    with sqlite_demo_store.read() as uow:
        plan = plan_cancellation(smrt, facts_of(uow, smrt, "kim"), ask(RequestKind.CANCEL))
    told = {effect.rule_id: effect for effect in plan.effects}

    assert "until 7 April 2026" in told["P-C9-use"].text
    assert "smrtDialer is cancelled too" in told["P-C6"].text
    assert "lose +1 602-555-0121 and +1 602-555-0122, for good" in told["P-C3"].text
    assert "not affected: +1 602-555-0123" in told["P-C3"].text
    assert told["P-C3"].offers == ("port_number",)
    assert "14 June 2026" in told["P-C4"].text
    assert "40 call recordings" in told["P-C4"].text
    assert "Your CRM keeps" in told["P-C4-crm"].text
    assert "until 14 June 2026" in told["P-C5"].text
    assert "USD 18.75 of credits are not refunded" in told["P-R1-leaving"].text
    assert plan.undo_until is not None
    assert plan.undo_until.date().isoformat() == "2026-06-14"


def test_kims_account_ends_on_its_dates_and_smrtdialer_with_it(smrt: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        both = [each.id for each in accounts.subscriptions(uow, customer(uow, "kim").customer_id)]
        phone = plan_cancellation(smrt, facts_of(uow, smrt, "kim", leaving=both), ask(RequestKind.CANCEL))
        facts = facts_of(uow, smrt, "kim", "smrtdialer", leaving=both)
        dialer = plan_cancellation(smrt, facts, ask(RequestKind.CANCEL, "smrtdialer"))

    ends, gone = phone.effective_at, phone.undo_until
    assert [(event.kind, event.at, event.rule_id) for event in phone.events] == [
        (EventKind.END_SUBSCRIPTION, ends, "P-C9"),
        (EventKind.RELEASE_NUMBER, ends, "P-C3"),
        (EventKind.DELETE_RECORDINGS, gone, "P-C4"),
        (EventKind.ERASE_DATA, gone, "P-C5"),
    ]
    assert [event.kind for event in dialer.events] == [EventKind.END_SUBSCRIPTION]
    assert not [effect for effect in dialer.effects if effect.rule_id == "P-C6-stays"], "smrtPhone does not go on"


def test_smrtdialer_alone_ends_without_touching_smrtphone(smrt: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        facts = facts_of(uow, smrt, "kim", "smrtdialer")
    plan = plan_cancellation(smrt, facts, ask(RequestKind.CANCEL, "smrtdialer"))

    assert [event.kind for event in plan.events] == [EventKind.END_SUBSCRIPTION]
    assert [effect.rule_id for effect in plan.effects] == ["P-C6-use", "P-C6-stays"]
    assert plan.undo_until == plan.effective_at


def test_a_subscription_longer_than_the_90_days_is_not_erased_while_it_can_be_used(smrt: Pack) -> None:
    plan = plan_cancellation(
        smrt, Facts.from_json(KIM | {"period_end": "2027-01-31T15:00:00Z"}), ask(RequestKind.CANCEL)
    )

    assert {event.at for event in plan.events} == {plan.effective_at}
    assert plan.undo_until == plan.effective_at


def test_ninety_days_are_days_of_the_brands_calendar(smrt: Pack) -> None:
    """From half past eleven on 31 January, in winter, to half past eleven on 1 May, in summer."""
    asked = ask(RequestKind.CANCEL, now=START.replace(month=2, day=1, hour=7, minute=30))
    plan = plan_cancellation(smrt, Facts.from_json(KIM), asked)

    assert plan.undo_until is not None
    assert plan.undo_until.isoformat() == "2026-05-02T06:30:00+00:00"


def test_an_account_without_numbers_recordings_or_credits_is_told_no_such_loss(smrt: Pack) -> None:
    facts = Facts.from_json(KIM | {"numbers": [], "wallet_minor": 0}).with_(
        ported_numbers=None, recordings_count=None, dependents=None
    )
    told = {effect.rule_id: effect.text for effect in plan_cancellation(smrt, facts, ask(RequestKind.CANCEL)).effects}

    assert not told.keys() & {"P-C3", "P-C6", "P-R1-leaving"}
    assert "recordings" not in told["P-C4"]


@pytest.mark.parametrize(
    ("facts", "product", "expected"), [(KIM, "smrtphone", "plan"), (DIALER, "smrtdialer", "dialer")]
)
def test_two_alternatives_and_no_more_are_on_offer(
    smrt: Pack, facts: dict[str, Any], product: str, expected: str
) -> None:
    offered = alternatives(smrt, Facts.from_json(facts), ask(RequestKind.CANCEL, product))

    assert [(offer.id, offer.intent) for offer in offered] == [(expected, "change_plan"), ("call", "book_call")]


def test_the_loss_is_acknowledged_with_wording_and_version(smrt: Pack) -> None:
    [consent] = consents(smrt, Facts.from_json(KIM), ask(RequestKind.CANCEL))

    assert (consent.id, consent.version) == ("loss", "2026-11-22")
    assert "not ported out" in consent.wording


def test_the_survey_is_short_and_comes_before_the_acknowledgement(smrt: Pack) -> None:
    asked = smrt.cancel.questions

    assert asked.index(Question.EFFECTS) < asked.index(Question.REASON) < asked.index(Question.CONSENTS)
    assert 0 < len(smrt.cancel.reasons) <= 8


# --- who may, and telling the owner ----------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["smrtphone", "smrtdialer"])
def test_lee_is_refused_with_the_reason_and_may_have_the_owner_told(
    smrt: Pack, sqlite_demo_store: Store, product: str
) -> None:
    with sqlite_demo_store.read() as uow:
        decision = decide(smrt, facts_of(uow, smrt, "lee", product), ask(RequestKind.CANCEL, product))

    assert (decision.rule_id, decision.outcome, decision.tell) == ("P-C1", Outcome.REFUSE, "owner")
    assert "Only the Account Owner" in decision.reasons[0]
    assert Decision.from_json(decision.to_json()) == decision


def test_a_decision_of_before_somebody_could_be_told_is_still_read(smrt: Pack) -> None:
    values = decide(smrt, Facts.from_json(KIM), ask(RequestKind.CANCEL)).to_json()
    del values["tell"]

    assert Decision.from_json(values).tell is None


def test_the_owners_message_names_who_asked_and_for_what(smrt: Pack) -> None:
    message = message_to_member(smrt, who="Lee Sandoval (lee@smrt.example)", what="cancelling smrtPhone")

    assert message.subject == "Lee Sandoval (lee@smrt.example) asked about cancelling smrtPhone"
    assert "Lee Sandoval (lee@smrt.example)" in message.body[0]
    assert "Nothing has been changed" in " ".join(message.body)
    assert not re.search(r"[{}]", " ".join(message.body))


def test_a_brand_that_tells_nobody_has_no_message(jolt: Pack) -> None:
    with pytest.raises(ValueError, match="joltsms"):
        message_to_member(jolt, who="Lee", what="it")


@pytest.mark.parametrize("name", ["tell_offer", "tell_done", "tell_subject", "tell_message"])
def test_a_rule_that_tells_needs_the_words_for_it(name: str) -> None:
    text = FILE.read_text(encoding="utf-8").replace(f"\n  {name}:", f"\n  x_{name}:")

    with pytest.raises(PackError) as refused:
        parse_pack(text, "smrtphone.yml")
    assert f"texts.{name}" in {problem.key for problem in refused.value.problems}


# --- coming back -----------------------------------------------------------------------------------------------------


def test_mona_reactivates_smrtphone_and_hears_that_smrtdialer_is_separate(smrt: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        phone = decide(smrt, facts_of(uow, smrt, "mona"), ask(RequestKind.RESUME))
        dialer = decide(smrt, facts_of(uow, smrt, "mona", "smrtdialer"), ask(RequestKind.RESUME, "smrtdialer"))

    said = " ".join(phone.reasons)
    assert (phone.rule_id, phone.outcome) == ("P-C7-ended", Outcome.ALLOW)
    assert "until 15 May 2026" in said
    assert "+1 602-555-0124" in said
    assert "smrtDialer does not come back with it" in said
    assert phone.offers == ("resume_subscription",)
    assert (dialer.rule_id, dialer.outcome) == ("P-C7-first", Outcome.REFUSE)


@pytest.mark.parametrize(("days", "outcome"), [(59, Outcome.ALLOW), (60, Outcome.REFUSE), (61, Outcome.REFUSE)])
def test_the_90_days_are_kept_even_when_nobody_ran_the_lifecycle(
    smrt: Pack, sqlite_demo_store: Store, days: int, outcome: Outcome
) -> None:
    """Mona asked 30 days ago."""
    later = START + timedelta(days=days)
    with sqlite_demo_store.read() as uow:
        decision = decide(smrt, facts_of(uow, smrt, "mona", now=later), ask(RequestKind.RESUME, now=later))

    assert decision.outcome is outcome


def test_ned_learns_what_cannot_come_back_and_how_to_start_fresh(smrt: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        decision = decide(smrt, facts_of(uow, smrt, "ned"), ask(RequestKind.RESUME))

    said = " ".join(decision.reasons)
    assert (decision.rule_id, decision.outcome) == ("P-C5-erased", Outcome.REFUSE)
    assert "15 March 2026" in said
    assert "Numbers, recordings, call logs" in said
    assert "new smrtPhone account" in decision.next_steps[0]


def test_kims_credits_are_refused_with_the_amount(smrt: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        facts = collect(uow, pack=smrt, customer=customer(uow, "kim"), now=START)
    decision = decide(smrt, facts, Request(RequestKind.REFUND, START, Matter.UNUSED_CREDITS))

    assert (decision.rule_id, decision.outcome) == ("P-R1", Outcome.REFUSE)
    assert "USD 18.75" in decision.reasons[0]


# --- questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("question", "intent", "who", "facts"), QUESTIONS, ids=lambda value: str(value)[:40])
def test_what_the_article_answers_is_answered(
    smrt: Pack, sqlite_demo_store: Store, question: str, intent: str, who: str | None, facts: tuple[str, ...]
) -> None:
    with sqlite_demo_store.read() as uow:
        known = customer(uow, who) if who else None
        given = questions.answer(uow, pack=smrt, customer=known, intent=intent, now=START)

    assert given is not None
    assert given.personal is (who is not None), question
    said = " ".join(given.says)
    assert [fact for fact in facts if fact not in said] == [], said


def test_at_least_25_questions_are_in_the_table() -> None:
    assert len({(intent, who) for _, intent, who, _ in QUESTIONS}) >= 25


@pytest.mark.parametrize("intent", sorted(MUST_BE_ANSWERED))
def test_every_question_has_an_answer_for_anyone(smrt: Pack, intent: str) -> None:
    given = answer(smrt, Facts(), ask(RequestKind.CANCEL), intent)

    assert given is not None
    assert given.says
    assert not given.personal


@pytest.mark.parametrize("who", WHO)
def test_no_answer_has_an_open_placeholder(smrt: Pack, sqlite_demo_store: Store, who: str) -> None:
    with sqlite_demo_store.read() as uow:
        known = customer(uow, who)
        said = {
            intent: questions.answer(uow, pack=smrt, customer=known, intent=intent, now=START)
            for intent in smrt.answers
        }

    assert [intent for intent, given in said.items() if given is None or re.search(r"[{}]", " ".join(given.says))] == []


@pytest.mark.parametrize("facts", [KIM, DIALER, LEAVING, WITH_STOPPED, ENDED, ERASED], ids=lambda facts: facts["plan"])
def test_a_question_about_an_account_in_any_state_is_answered(smrt: Pack, facts: dict[str, Any]) -> None:
    product = "smrtdialer" if facts is DIALER else "smrtphone"
    for intent in smrt.answers:
        given = answer(smrt, Facts.from_json(facts), ask(RequestKind.CANCEL, product), intent)
        assert given is not None
        assert given.says


# --- words and articles ----------------------------------------------------------------------------------------------


def test_every_source_is_a_section_of_a_help_article(smrt: Pack) -> None:
    articles = HelpCenter.load(ROOT / "data/help_center").articles("smrtphone")
    sections = {(article.slug, section.id) for article in articles for section in article.sections}
    sources = {rule.source for rule in smrt.all_rules()} | {given.source for given in smrt.answers.values()}
    sources |= {smrt.cancel.who_may.source, smrt.cancel.self_service.source, smrt.investigation.source}

    assert {(source.article, source.section) for source in sources} <= sections


def test_links_between_articles_lead_somewhere() -> None:
    articles = HelpCenter.load(ROOT / "data/help_center").articles("smrtphone")
    known = {article.slug for article in articles} | {
        f"{article.slug}#{section.id}" for article in articles for section in article.sections
    }
    linked = {
        target
        for article in articles
        for section in article.sections
        for target in re.findall(r"\]\(([^)]+)\)", section.markdown)
        if "://" not in target and not target.startswith("mailto:")
    }

    assert linked <= known


def test_no_sentence_of_the_pack_shouts(smrt: Pack) -> None:
    words = [*smrt.texts.values(), *(rule.says + getattr(rule, "next_steps", ()) for rule in smrt.all_rules())]

    assert not [says for group in words for says in group if "!" in says]


def test_the_colours_are_readable_and_its_own(smrt: Pack, jolt: Pack) -> None:
    theme = smrt.brand.theme

    assert _contrast(theme.primary, theme.on_primary) >= 4.5
    assert _contrast(theme.primary_dark, theme.on_primary_dark) >= 4.5
    assert theme.primary != jolt.brand.theme.primary


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
