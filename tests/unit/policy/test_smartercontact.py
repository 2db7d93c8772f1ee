"""What Smarter Contact promises: an example for every rule, the plans of its customers, and the questions they ask."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bot.policy.decide import (
    Answered,
    alternatives,
    answer,
    consents,
    decide,
    plan_cancellation,
    removal_offer,
)
from bot.policy.decision import CancellationPlan, EventKind, Matter, Outcome, Request, RequestKind
from bot.policy.facts import Facts
from bot.policy.intents import INTENTS, MUST_BE_ANSWERED
from bot.policy.loader import load_pack
from bot.policy.pack import Pack, Question
from bot.services.facts import gather
from bot.services.questions import answer as ask
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.policy.conftest import ROOT

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=timezone.utc)
DESIGNED = [*(f"S-C{n}" for n in range(1, 9)), "S-R1", "S-R2"]

HAL: dict[str, Any] = {
    "verified": True,
    "role": "owner",
    "country": "US",
    "state": "FL",
    "currency": "USD",
    "subscription_status": "active",
    "auto_renew": True,
    "cancellation_status": "none",
    "plan": "Messaging",
    "price_minor": 9900,
    "started_at": "2026-08-10T15:00:00Z",
    "period_start": "2026-11-10T16:00:00Z",
    "period_end": "2026-12-10T16:00:00Z",
    "duplicate_charge_found": False,
    "duplicate_refund_status": "none",
    "amount_disagrees": False,
    "plans": ["Messaging", "Calling"],
    "other_plan_active": True,
    "other_plans": ["Calling"],
    "other_products": ["calling"],
    "account_could_end_at": "2026-12-10T16:00:00Z",
    "number_count": 2,
    "numbers": ["+1 212-555-0111", "+1 212-555-0112"],
    "number_fee_minor": 200,
    "number_fees_minor": 400,
    "number_fee_dates": ["2026-12-10T16:00:00Z"],
    "wallet_minor": 4210,
    "unsent_sms_count": 120,
    "unsent_sms_minor": 240,
    "unsent_rvm_count": 15,
    "unsent_rvm_minor": 75,
    "unsent_minor": 315,
    "unsent_credited_minor": 0,
    "registration_status": "active",
}
CALLING = HAL | {"plan": "Calling", "price_minor": 7900, "other_plans": ["Messaging"], "other_products": ["messaging"]}
LAST = {key: value for key, value in HAL.items() if key != "other_plans"} | {
    "other_plan_active": False,
    "account_ends_at": HAL["account_could_end_at"],
}
LEAVING = LAST | {
    "subscription_status": "not_renewing",
    "cancellation_status": "scheduled",
    "effective_at": HAL["period_end"],
}
GONE = LAST | {
    "subscription_status": "ended",
    "cancellation_status": "effective",
    "period_end": "2026-11-12T16:00:00Z",
    "effective_at": "2026-11-12T16:00:00Z",
}
NEITHER = {"verified": True, "role": "owner"}
CHOSEN = {"chosen_numbers": ["+1 212-555-0112"]}
EVIDENCE = {"evidence_given": ["email", "description", "since"]}


@pytest.fixture(scope="module")
def smarter() -> Pack:
    """The pack that is served."""
    return load_pack(ROOT / "data/policies/smartercontact.yml")


def _request(kind: RequestKind, matter: Matter | None = None, product: str = "messaging") -> Request:
    return Request(kind=kind, now=NOW, matter=matter, product=product)


CANCEL = _request(RequestKind.CANCEL)

# --- rules ------------------------------------------------------------------------------------------------------------

C, R, X = RequestKind.CANCEL, RequestKind.RESUME, RequestKind.REMOVE_NUMBERS
EXAMPLES: list[tuple[str, Outcome, RequestKind, dict[str, Any], Matter | None]] = [
    ("S-C1-verify", Outcome.NEED_EVIDENCE, C, HAL | {"verified": False}, None),
    ("S-C1-none", Outcome.REFUSE, C, NEITHER | {"subscription_status": "none"}, None),
    ("S-C1-who", Outcome.REFUSE, C, HAL | {"role": "agent"}, None),
    ("S-C1-ended", Outcome.ALREADY_DONE, C, GONE, None),
    ("S-C1-scheduled", Outcome.ALREADY_DONE, C, LEAVING, None),
    ("S-C1", Outcome.ALLOW, C, HAL, None),
    ("S-C1", Outcome.ALLOW, C, LAST | {"role": "admin"}, None),
    ("S-C1-person", Outcome.HANDOFF, C, NEITHER, None),
    ("S-C3-verify", Outcome.NEED_EVIDENCE, R, {}, None),
    ("S-C3-who", Outcome.REFUSE, R, LEAVING | {"role": "agent"}, None),
    ("S-C3", Outcome.ALLOW, R, LEAVING, None),
    ("S-C3-ended", Outcome.INFORM, R, GONE, None),
    ("S-C3-active", Outcome.ALREADY_DONE, R, HAL, None),
    ("S-C3-person", Outcome.HANDOFF, R, LEAVING | {"period_end": "2026-11-22T14:59:59Z"}, None),
    ("S-C3-pause", Outcome.REFUSE, RequestKind.PAUSE, HAL, None),
    ("S-C2-date", Outcome.INFORM, RequestKind.CHANGE_RENEWAL, HAL, None),
    ("S-C5-remove-verify", Outcome.NEED_EVIDENCE, X, HAL | CHOSEN | {"verified": False}, None),
    ("S-C5-remove-who", Outcome.REFUSE, X, HAL | CHOSEN | {"role": "agent"}, None),
    ("S-C5-remove-none", Outcome.ALREADY_DONE, X, HAL | {"number_count": 0}, None),
    ("S-C5-remove", Outcome.ALLOW, X, HAL | CHOSEN, None),
    ("S-C5-remove-which", Outcome.INFORM, X, HAL, None),
    ("S-I1-open", Outcome.ALREADY_DONE, RequestKind.INVESTIGATE, HAL | {"investigation_status": "open"}, None),
    ("S-I1-complete", Outcome.INVESTIGATE, RequestKind.INVESTIGATE, HAL | EVIDENCE, None),
    ("S-I1", Outcome.NEED_EVIDENCE, RequestKind.INVESTIGATE, HAL, None),
]
REFUNDS: list[tuple[str, Outcome, Matter, dict[str, Any]]] = [
    ("S-R0-verify", Outcome.NEED_EVIDENCE, Matter.GENERAL, {}),
    ("S-R1", Outcome.CREDIT, Matter.UNSENT_MESSAGES, GONE),
    ("S-R1", Outcome.CREDIT, Matter.UNSENT_MESSAGES, HAL | {"cancellation_status": "effective"}),
    ("S-R1", Outcome.ALREADY_DONE, Matter.UNSENT_MESSAGES, GONE | {"unsent_credited_minor": 315}),
    ("S-R1-nothing", Outcome.INFORM, Matter.UNSENT_MESSAGES, GONE | {"unsent_minor": 0}),
    ("S-R1-nothing", Outcome.INFORM, Matter.UNSENT_MESSAGES, LEAVING),
    ("S-R1-done", Outcome.ALREADY_DONE, Matter.UNUSED_CREDITS, GONE | {"unsent_credited_minor": 315}),
    ("S-R1-planned", Outcome.INFORM, Matter.UNUSED_CREDITS, LEAVING),
    ("S-R1-if", Outcome.INFORM, Matter.UNUSED_CREDITS, HAL),
    ("S-R1-none", Outcome.INFORM, Matter.UNUSED_CREDITS, HAL | {"unsent_minor": 0}),
    ("S-R1-general", Outcome.INFORM, Matter.UNUSED_CREDITS, NEITHER),
    ("S-R2-settled", Outcome.ALREADY_DONE, Matter.GENERAL, HAL | {"duplicate_refund_status": "pending"}),
    ("S-R2-wrong", Outcome.HANDOFF, Matter.DUPLICATE_CHARGE, HAL | {"duplicate_charge_found": True}),
    ("S-R2-wrong", Outcome.HANDOFF, Matter.GENERAL, HAL | {"amount_disagrees": True}),
    ("S-R2-unproven", Outcome.REFUSE, Matter.DUPLICATE_CHARGE, HAL),
    ("S-R2-unclear", Outcome.HANDOFF, Matter.DUPLICATE_CHARGE, NEITHER),
    ("S-R2-fault", Outcome.HANDOFF, Matter.MISSING_NUMBER, HAL),
    ("S-R2-fault", Outcome.HANDOFF, Matter.NOT_RECEIVING, HAL),
    ("S-R2-platform", Outcome.REFUSE, Matter.PLATFORM_REJECTION, HAL),
    (
        "S-R2-withdrawal",
        Outcome.HANDOFF,
        Matter.CHANGE_OF_MIND,
        HAL | {"country": "DE", "started_at": "2026-11-09T15:00:00Z"},
    ),
    ("S-R2", Outcome.REFUSE, Matter.CHANGE_OF_MIND, HAL | {"country": "DE", "started_at": "2026-11-06T15:00:00Z"}),
    ("S-R2-ended", Outcome.REFUSE, Matter.GENERAL, GONE),
    ("S-R2", Outcome.REFUSE, Matter.PRORATED, HAL),
    ("S-R2", Outcome.REFUSE, Matter.GENERAL, HAL),
]
EXAMPLES += [(rule, outcome, RequestKind.REFUND, facts, matter) for rule, outcome, matter, facts in REFUNDS]


@pytest.mark.parametrize(("rule_id", "outcome", "kind", "facts", "matter"), EXAMPLES)
def test_each_example_is_decided_by_its_rule(
    smarter: Pack, rule_id: str, outcome: Outcome, kind: RequestKind, facts: dict[str, Any], matter: Matter | None
) -> None:
    decision = decide(smarter, Facts.from_json(facts), _request(kind, matter))

    assert (decision.rule_id, decision.outcome) == (rule_id, outcome)
    assert decision.amount == (315 if outcome is Outcome.CREDIT else 0)
    assert decision.reasons
    assert not re.search(r"[{}]", " ".join(decision.reasons + decision.next_steps))


def test_every_rule_is_reached(smarter: Pack) -> None:
    """Effects of cancelling are reached by plans, everything else by a decision."""
    decided = {decide(smarter, Facts.from_json(e[3]), _request(e[2], e[4])).rule_id for e in EXAMPLES}
    plans = [
        plan_cancellation(smarter, Facts.from_json(HAL), CANCEL),
        plan_cancellation(smarter, Facts.from_json(LAST), CANCEL),
        plan_cancellation(smarter, Facts.from_json(CALLING), _request(C, product="calling")),
    ]

    assert {rule.id for rule in smarter.all_rules()} == decided | {r for plan in plans for r in plan.rule_ids}


@pytest.mark.parametrize("rule_id", DESIGNED)
def test_every_promised_rule_exists(smarter: Pack, rule_id: str) -> None:
    assert smarter.rule(rule_id) is not None


def test_unsent_messages_are_credited_by_the_amount_that_is_left(smarter: Pack) -> None:
    facts = Facts.from_json(GONE | {"unsent_credited_minor": 240})
    decision = decide(smarter, facts, _request(RequestKind.REFUND, Matter.UNSENT_MESSAGES))

    assert (decision.outcome, decision.charge, decision.amount) == (Outcome.CREDIT, "unsent", 75)


def test_calling_alone_credits_nothing_that_messaging_still_sends(smarter: Pack) -> None:
    facts = Facts.from_json(CALLING | {"cancellation_status": "effective"})
    asked = _request(RequestKind.REFUND, Matter.UNSENT_MESSAGES, product="calling")

    assert decide(smarter, facts, asked).rule_id == "S-R1-nothing"


@pytest.mark.parametrize("matter", [Matter.CHANGE_OF_MIND, Matter.PRORATED, Matter.GENERAL])
def test_a_refusal_gives_its_reason_and_what_is_credited(smarter: Pack, matter: Matter) -> None:
    decision = decide(smarter, Facts.from_json(HAL), _request(RequestKind.REFUND, matter))
    told = " ".join(decision.reasons)

    assert "not refunded" in told
    assert "The reason is" in told
    assert "until 10 December 2026" in told
    assert "credited on the cancellation date" in told
    assert "talk_to_human" in decision.offers


# --- what cancelling does ---------------------------------------------------------------------------------------------


def test_the_last_plan_takes_numbers_registration_and_data_along(smarter: Pack) -> None:
    plan = plan_cancellation(smarter, Facts.from_json(LAST), CANCEL)

    assert [(event.kind, event.at.isoformat(), event.rule_id) for event in plan.events] == [
        (EventKind.END_SUBSCRIPTION, "2026-12-10T16:00:00+00:00", "S-C2"),
        (EventKind.CREDIT_UNSENT, "2026-12-10T16:00:00+00:00", "S-R1"),
        (EventKind.TAKE_NUMBER_FEES, "2026-12-10T16:00:00+00:00", "S-C5"),
        (EventKind.RELEASE_NUMBER, "2026-12-24T16:00:00+00:00", "S-C6"),
        (EventKind.END_10DLC, "2027-01-09T16:00:00+00:00", "S-C7"),
        (EventKind.ERASE_DATA, "2027-12-10T16:00:00+00:00", "S-C8"),
    ]
    assert plan.undo_until == plan.effective_at


@pytest.mark.parametrize(
    ("facts", "product", "kinds"),
    [
        (HAL, "messaging", [EventKind.END_SUBSCRIPTION, EventKind.CREDIT_UNSENT, EventKind.END_10DLC]),
        (CALLING, "calling", [EventKind.END_SUBSCRIPTION]),
    ],
)
def test_one_of_two_plans_leaves_numbers_and_data_alone(
    smarter: Pack, facts: dict[str, Any], product: str, kinds: list[EventKind]
) -> None:
    plan = plan_cancellation(smarter, Facts.from_json(facts), _request(C, product=product))
    told = _told(plan)

    assert [event.kind for event in plan.events] == kinds
    assert "stay with" in told["S-C5-goes-on"]
    assert "24 December 2026" in told["S-C5-goes-on"]
    assert "10 December 2027" in told["S-C8-goes-on"]
    assert {"S-C6", "S-C8"}.isdisjoint(told)


def test_the_effects_name_dates_amounts_and_numbers(smarter: Pack) -> None:
    told = _told(plan_cancellation(smarter, Facts.from_json(LAST), CANCEL))

    assert "USD 99.00" in told["S-C2"]
    assert "until 10 December 2026" in told["S-C2"]
    assert "your Messaging plan ends" in told["S-C4"]
    assert "SMS campaigns" in told["S-C4-messaging"]
    assert "S-C4-calling" not in told
    assert "USD 4.00 for your numbers, 2 in all, on 10 December 2026" in told["S-C5"]
    assert "24 December 2026" in told["S-C6"]
    assert "+1 212-555-0111 and +1 212-555-0112" in told["S-C6"]
    assert "9 January 2027" in told["S-C7"]
    assert "10 December 2027" in told["S-C8"]
    assert "120 SMS that is USD 2.40" in told["S-R1-unsent"]
    assert "15 ringless voicemails it is USD 0.75" in told["S-R1-unsent"]
    assert "not refunded" in told["S-R2-stay"]


def test_a_later_end_of_another_plan_moves_what_comes_after(smarter: Pack) -> None:
    """The other plan is cancelled too, and ends two weeks later: numbers and data wait for it, 10DLC does not."""
    facts = Facts.from_json(LAST | {"account_ends_at": "2026-12-24T16:00:00Z"})
    dates = {event.kind: event.at.date().isoformat() for event in plan_cancellation(smarter, facts, CANCEL).events}

    assert dates[EventKind.END_SUBSCRIPTION] == "2026-12-10"
    assert dates[EventKind.RELEASE_NUMBER] == "2027-01-07"
    assert dates[EventKind.END_10DLC] == "2027-01-09"
    assert dates[EventKind.ERASE_DATA] == "2027-12-24"


def test_every_fee_date_becomes_an_event(smarter: Pack) -> None:
    days = ["2026-12-10T16:00:00Z", "2027-01-10T16:00:00Z", "2027-02-10T16:00:00Z"]
    facts = Facts.from_json(LAST | {"period_end": days[-1], "account_ends_at": days[-1], "number_fee_dates": days})
    plan = plan_cancellation(smarter, facts, CANCEL)

    taken = [event.at.isoformat() for event in plan.events if event.kind is EventKind.TAKE_NUMBER_FEES]
    assert taken == [day.replace("Z", "+00:00") for day in days]
    assert "10 December 2026, 10 January 2027 and 10 February 2027" in _told(plan)["S-C5"]


def test_data_of_a_leap_day_is_deleted_on_the_last_of_february(smarter: Pack) -> None:
    leap = {"period_end": "2028-02-29T20:00:00Z", "account_ends_at": "2028-02-29T20:00:00Z", "number_fee_dates": []}
    plan = plan_cancellation(smarter, Facts.from_json(LAST | leap), CANCEL)

    assert "28 February 2029" in _told(plan)["S-C8"]


def test_without_numbers_there_are_no_fees_and_no_release(smarter: Pack) -> None:
    facts = Facts.from_json(LAST).with_(number_count=0, numbers=[], number_fees_minor=0, number_fee_dates=None)
    plan = plan_cancellation(smarter, facts, CANCEL)

    assert {"S-C5", "S-C6"}.isdisjoint(_told(plan))
    assert EventKind.TAKE_NUMBER_FEES not in {event.kind for event in plan.events}


def test_the_flow_asks_what_the_article_asks_in_its_order(smarter: Pack) -> None:
    questions = smarter.cancel.questions

    assert questions.index(Question.REASON) < questions.index(Question.CONSENTS)
    assert questions.index(Question.EFFECTS) < questions.index(Question.REMOVE_NUMBERS)
    given = consents(smarter, Facts.from_json(HAL), CANCEL)
    assert [(consent.id, consent.version) for consent in given] == [("disclosures", "1"), ("consequences", "1")]
    assert len(smarter.cancel.reasons) >= 5
    assert len(alternatives(smarter, Facts.from_json(HAL), CANCEL)) <= 2


def test_removing_numbers_is_offered_with_what_it_saves(smarter: Pack) -> None:
    offer = " ".join(removal_offer(smarter, Facts.from_json(LAST), CANCEL))

    for words in ("All, some, or none", "+1 212-555-0111", "USD 2.00 a month", "USD 42.10"):
        assert words in offer


@pytest.mark.parametrize("change", [{"number_count": 0}, {"number_fees_minor": 0}])
def test_there_is_no_offer_without_anything_to_save(smarter: Pack, change: dict[str, int]) -> None:
    assert removal_offer(smarter, Facts.from_json(LAST | change), CANCEL) == ()


def test_a_brand_without_the_question_offers_nothing(jolt: Pack) -> None:
    assert removal_offer(jolt, Facts.from_json(LAST), Request(C, NOW)) == ()


def test_a_removal_names_the_numbers(smarter: Pack) -> None:
    decision = decide(smarter, Facts.from_json(HAL | CHOSEN), _request(X))

    assert decision.reasons == ("Removed from your account: +1 212-555-0112. No further fee is taken for that.",)


# --- the questions its article answers --------------------------------------------------------------------------------

ANYONE, SUB_MESSAGING, SUB_CALLING = "anyone", "hal:SUB-1010", "hal:SUB-1011"
QUESTIONS: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("How do I cancel?", "ask_how_to_cancel", ANYONE, ("Membership page", "Unsubscribe", "reason", "disclosures")),
    ("How do I cancel?", "ask_how_to_cancel", "hal", ("Unsubscribe", "Messaging and Calling", "4 April 2026")),
    ("How do I cancel?", "ask_how_to_cancel", "iris", ("already cancelled", "21 March 2026")),
    ("Who can cancel?", "ask_who_can_cancel", ANYONE, ("owner or an admin",)),
    ("May I cancel?", "ask_who_can_cancel", "hal", ("You can.",)),
    ("What happens after I unsubscribe?", "ask_cancellation_effects", ANYONE, ("until the billing period ends",)),
    ("Do I lose texting?", "ask_cancellation_effects", ANYONE, ("cannot send messages or launch campaigns",)),
    ("Do I lose the dialer?", "ask_cancellation_effects", ANYONE, ("without Calling the dialer is closed",)),
    ("Can I still log in afterwards?", "ask_cancellation_effects", ANYONE, ("You can still log in",)),
    (
        "What happens if I cancel everything?",
        "ask_cancellation_effects",
        "hal",
        ("Messaging and Calling until 4 April 2026", "18 April 2026", "4 May 2026", "4 April 2027", "still log in"),
    ),
    (
        "And only Messaging?",
        "ask_cancellation_effects",
        SUB_MESSAGING,
        ("until 4 April 2026", "Because Calling goes on"),
    ),
    ("And only Calling?", "ask_cancellation_effects", SUB_CALLING, ("dialer is closed", "Because Messaging goes on")),
    (
        "What happens now that I cancelled?",
        "ask_cancellation_effects",
        "iris",
        ("works until 21 March 2026", "4 April 2026", "20 April 2026", "21 March 2027"),
    ),
    ("Can I still log in?", "ask_cancellation_effects", "jon", ("ended on 6 March 2026", "you can still log in")),
    ("Will my card be charged again?", "ask_fees_after_cancel", ANYONE, ("card is not charged any more",)),
    (
        "Are there number fees after cancelling?",
        "ask_fees_after_cancel",
        ANYONE,
        ("from your wallet", "Remove numbers"),
    ),
    ("How much, and when?", "ask_fees_after_cancel", "hal", ("USD 8.00", "4 in all", "4 April 2026", "USD 42.10")),
    ("What still comes off my wallet?", "ask_fees_after_cancel", "iris", ("USD 4.00", "21 March 2026", "USD 24.55")),
    ("Fees if I drop Calling?", "ask_fees_after_cancel", SUB_CALLING, ("USD 79.00", "USD 8.00 a month")),
    ("Is anything charged now?", "ask_fees_after_cancel", "jon", ("Nothing is charged",)),
    ("Can I reactivate?", "resume_subscription", ANYONE, ("resume", "subscribe again at any time")),
    ("Can I undo it?", "resume_subscription", "iris", ("until 21 March 2026", "subscribe again at any time")),
    ("How do I come back?", "resume_subscription", "jon", ("Membership page", "10DLC", "applied for again")),
    ("What happens to my numbers?", "ask_number_release", ANYONE, ("released 14 days after",)),
    ("When would my numbers go?", "ask_number_release", "hal", ("18 April 2026", "+1 212-555-0114")),
    ("When do my numbers go?", "ask_number_release", "iris", ("4 April 2026", "+1 212-555-0115")),
    ("Where are my numbers?", "ask_number_release", "jon", ("20 March 2026", "+1 212-555-0117")),
    ("Do I keep them with Calling?", "ask_number_release", SUB_MESSAGING, ("stay", "Calling", "14 days after")),
    ("What about my 10DLC?", "ask_10dlc", ANYONE, ("30 days", "apply for it again")),
    ("When would my 10DLC end?", "ask_10dlc", "hal", ("4 May 2026", "apply for it again")),
    ("What does 10DLC need if I return?", "ask_10dlc", "jon", ("5 April 2026", "apply for it again")),
    ("10DLC if I drop Calling only?", "ask_10dlc", SUB_CALLING, ("stays with Messaging",)),
    ("What happens to my data?", "ask_data_retention", ANYONE, ("campaigns", "contacts", "one year", "for good")),
    ("When would my data go?", "ask_data_retention", "hal", ("4 April 2027",)),
    ("When is my data deleted?", "ask_data_retention", "iris", ("21 March 2027", "for good")),
    ("Is my data still there?", "ask_data_retention", "jon", ("6 March 2027", "still log in")),
    ("Do I get a refund?", "ask_refund_policy", ANYONE, ("one-time purchases are not refunded", "credited")),
    ("Do I get a refund?", "ask_refund_policy", "hal", ("not refunded", "USD 3.15", "4 April 2026")),
    ("A part of the month back?", "ask_prorated_refund", ANYONE, ("No.", "until the end of the period")),
    ("A part of the month back?", "ask_prorated_refund", "hal", ("No.", "until 4 April 2026")),
    ("Why not?", "ask_vendor_costs", ANYONE, ("keep all you have paid for",)),
    ("What about scheduled messages?", "ask_unused_credits", ANYONE, ("SMS and ringless voicemails", "credited")),
    (
        "What am I credited for?",
        "ask_unused_credits",
        "hal",
        ("4 April 2026", "USD 2.40 for 120 SMS", "15 ringless voicemails it is USD 0.75", "Nothing else"),
    ),
    ("And if I drop Calling only?", "ask_unused_credits", SUB_CALLING, ("sent as planned",)),
    ("What am I credited for?", "ask_unused_credits", "iris", ("nothing would be credited",)),
    ("Was anything credited?", "ask_unused_credits", "jon", ("nothing was credited",)),
    ("Can I move my billing date?", "change_renewal_date", "hal", ("4 April 2026", "subscribe again")),
    ("Can I change plans?", "change_plan", "hal", ("Messaging and Calling",)),
    ("Can I take my numbers along?", "port_number", "jon", ("rather not promise", "20 March 2026")),
    ("Can I book a call?", "book_call", ANYONE, ("help@smartercontact.example",)),
    ("A carrier blocked me", "report_platform_rejection", ANYONE, ("its own decision", "not refunded")),
]


@pytest.mark.parametrize(("question", "intent", "who", "words"), QUESTIONS, ids=lambda value: str(value)[:40])
def test_a_question_is_answered_for_this_account_or_for_anyone(
    smarter: Pack, sqlite_demo_store: Store, question: str, intent: str, who: str, words: tuple[str, ...]
) -> None:
    assert intent in INTENTS
    given = _answer(smarter, sqlite_demo_store, intent, who)

    assert given is not None
    assert [missing for missing in words if missing not in " ".join(given.says)] == []
    assert given.personal is (who != ANYONE)


def test_enough_questions_are_asked(smarter: Pack) -> None:
    assert len({question for question, *_ in QUESTIONS}) >= 25
    assert {intent for _, intent, *_ in QUESTIONS} >= MUST_BE_ANSWERED


@pytest.mark.parametrize("intent", sorted(MUST_BE_ANSWERED | {"resume_subscription", "request_refund"}))
def test_every_question_has_an_answer_for_anyone(smarter: Pack, intent: str) -> None:
    given = answer(smarter, Facts(), CANCEL, intent)

    assert given is not None
    assert given.says
    assert not given.personal
    assert not re.search(r"[{}]", " ".join(given.says))


def test_the_demo_facts_decide_as_the_brand_promises(smarter: Pack, sqlite_demo_store: Store) -> None:
    """Hal may cancel, Iris may resume, Jon may subscribe again."""
    with sqlite_demo_store.read() as uow:
        decided = [
            decide(
                smarter, gather(uow, pack=smarter, customer=_who(uow, name), now=START, **about).facts, asked
            ).rule_id
            for name, about, asked in (
                ("hal", {"subscription_id": "SUB-1010"}, Request(C, START, product="messaging")),
                ("iris", {}, Request(R, START, product="messaging")),
                ("jon", {}, Request(R, START, product="messaging")),
                ("jon", {}, Request(C, START, product="messaging")),
            )
        ]
    assert decided == ["S-C1", "S-C3", "S-C3-ended", "S-C1-ended"]


def test_hals_numbers_that_he_removes_cost_nothing_more(smarter: Pack, sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.read() as uow:
        ids = [number.id for number in uow.session.query(t.PhoneNumber).filter(t.PhoneNumber.e164 < "+12125550113")]
        shared = {"pack": smarter, "customer": _who(uow, "hal"), "subscription_id": "SUB-1010", "now": START}
        some = gather(uow, leaving=["SUB-1011"], removing=ids, **shared).facts
    plan = plan_cancellation(smarter, some, Request(C, START, product="messaging"))

    assert "USD 4.00 for your numbers, 2 in all" in _told(plan)["S-C5"]
    assert "+1 212-555-0111" not in _told(plan)["S-C6"]


def test_what_was_unsent_when_the_period_ended_is_credited(smarter: Pack, sqlite_demo_store: Store) -> None:
    """As the event does on its date: from the store's facts of that moment."""
    ends = datetime(2026, 4, 4, 15, 0, tzinfo=timezone.utc)
    with sqlite_demo_store.write() as uow:
        for kind, sent_at in (("sms", ends - timedelta(hours=1)), ("sms", ends)):
            account = uow.get(t.Subscription, "SUB-1010").account_id
            uow.add(
                t.ScheduledMessage(
                    id=f"sch_{sent_at.hour}",
                    account_id=account,
                    kind=kind,
                    quantity=10,
                    unit_price_minor=3,
                    currency="USD",
                    send_at=sent_at,
                )
            )
        known = gather(uow, pack=smarter, customer=_who(uow, "hal"), subscription_id="SUB-1010", now=ends).facts
    over = known.with_(cancellation_status="effective", effective_at=ends)
    decision = decide(smarter, over, Request(RequestKind.REFUND, ends, Matter.UNSENT_MESSAGES, "messaging"))

    assert (decision.rule_id, decision.amount) == ("S-R1", 240 + 75 + 30)


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_source_is_a_section_of_a_help_article(smarter: Pack) -> None:
    sections = {
        (path.stem, re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"))
        for path in (ROOT / "data/help_center/smartercontact").glob("*.md")
        for title in re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    sources = {rule.source for rule in smarter.all_rules()} | {given.source for given in smarter.answers.values()}
    sources |= {smarter.cancel.who_may.source, smarter.cancel.self_service.source, smarter.investigation.source}

    assert {(source.article, source.section) for source in sources} <= sections


def test_articles_link_to_articles_that_exist() -> None:
    folder = ROOT / "data/help_center/smartercontact"
    links = {
        link.partition("#")[0]
        for path in folder.glob("*.md")
        for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        if not link.startswith(("https:", "mailto:"))
    }

    assert [link for link in sorted(links) if not (folder / f"{link}.md").exists()] == []


def test_every_rule_is_documented_with_its_title(smarter: Pack) -> None:
    reference = (ROOT / "docs/policy-packs.md").read_text(encoding="utf-8")

    assert [rule.id for rule in smarter.all_rules() if f"| `{rule.id}` | {rule.title} |" not in reference] == []


def test_no_sentence_shouts(smarter: Pack) -> None:
    words = [*smarter.texts.values(), *(given.says for given in smarter.answers.values())]
    words += [rule.says + getattr(rule, "next_steps", ()) for rule in smarter.all_rules()]
    variants = [variant.says for given in smarter.answers.values() for variant in given.for_account]

    assert not [says for group in words + variants for says in group if "!" in says]


def test_the_theme_can_be_read(smarter: Pack) -> None:
    """WCAG AA: at least 4.5 to 1."""
    theme = smarter.brand.theme

    assert _contrast(theme.primary, theme.on_primary) >= 4.5
    assert _contrast(theme.primary_dark, theme.on_primary_dark) >= 4.5


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _told(plan: CancellationPlan) -> dict[str, str]:
    return {effect.rule_id: effect.text for effect in plan.effects}


def _who(uow: UnitOfWork, name: str) -> CustomerRef:
    row = uow.session.query(t.Customer).filter_by(email=f"{name}@smarter.example").one()
    return CustomerRef(row.id, row.brand, row.email, row.name)


def _answer(pack: Pack, store: Store, intent: str, who: str) -> Answered | None:
    name, _, subscription_id = who.partition(":")
    with store.read() as uow:
        customer = None if who == ANYONE else _who(uow, name)
        return ask(uow, pack=pack, customer=customer, intent=intent, now=START, subscription_id=subscription_id or None)
