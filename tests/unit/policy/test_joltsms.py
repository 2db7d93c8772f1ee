"""What JoltSMS promises: an example for every rule, and words that say what was decided."""

from __future__ import annotations

import re

import pytest

from bot.policy.decide import alternatives, answer, consents, decide, plan_cancellation
from bot.policy.decision import Approval, EventKind, Matter, Outcome, Request, RequestKind
from bot.policy.facts import Facts
from bot.policy.intents import MUST_BE_ANSWERED
from bot.policy.pack import Pack
from tests.unit.policy.conftest import ROOT
from tests.unit.policy.examples import AVA, BEN, CARA, DAN, EVE, EXAMPLES, GIA, LEAVING, NOW, Example

CANCEL = Request(kind=RequestKind.CANCEL, now=NOW, product="number")
DESIGNED = [*(f"J-C{n}" for n in range(1, 6)), *(f"J-R{n}" for n in range(1, 9))]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.kind.value}-{e.rule_id}-{e.outcome.value}")
def test_each_example_is_decided_by_its_rule(jolt: Pack, example: Example) -> None:
    decision = decide(jolt, example.known(), example.request)

    assert (decision.rule_id, decision.outcome) == (example.rule_id, example.outcome)
    assert decision.amount == example.amount
    assert decision.missing_evidence == example.missing
    assert decision.policy_version == jolt.version
    assert decision.reasons
    assert not re.search(r"[{}]", " ".join(decision.reasons + decision.next_steps))


def test_every_rule_is_reached_by_an_example(jolt: Pack) -> None:
    """Effects of cancelling are reached by the plan, everything else by a decision."""
    decided = {decide(jolt, e.known(), e.request).rule_id for e in EXAMPLES}
    planned = set(plan_cancellation(jolt, Facts.from_json(AVA), CANCEL).rule_ids)

    assert {rule.id for rule in jolt.all_rules()} == decided | planned


@pytest.mark.parametrize("rule_id", DESIGNED)
def test_every_promised_rule_exists(jolt: Pack, rule_id: str) -> None:
    assert jolt.rule(rule_id) is not None


def test_a_rule_that_does_not_exist_is_none(jolt: Pack) -> None:
    assert jolt.rule("J-C99") is None


def test_bens_refund_names_its_charge_and_amount(jolt: Pack) -> None:
    decision = decide(jolt, Facts.from_json(BEN), _refund(Matter.DUPLICATE_CHARGE))

    assert (decision.charge, decision.money.format(), decision.approval) == ("duplicate", "USD 15.00", Approval.NONE)
    assert "USD 15.00" in decision.reasons[0]


def test_avas_claim_is_refused_with_a_person_on_offer(jolt: Pack) -> None:
    decision = decide(jolt, Facts.from_json(AVA), _refund(Matter.DUPLICATE_CHARGE))

    assert decision.outcome is Outcome.REFUSE
    assert "talk_to_human" in decision.offers


def test_dans_remedy_waits_for_a_person_and_is_the_latest_charge(jolt: Pack) -> None:
    decision = decide(jolt, Facts.from_json(DAN), _refund(Matter.NOT_RECEIVING))

    assert (decision.charge, decision.amount, decision.approval) == ("latest", 1500, Approval.ONE)


@pytest.mark.parametrize("condition", ["investigation_cause", "had_fair_chance", "restored", "replaced"])
def test_a_technical_failure_without_all_four_conditions_pays_nothing(jolt: Pack, condition: str) -> None:
    facts = Facts.from_json({name: value for name, value in DAN.items() if name != condition})

    assert not decide(jolt, facts, _refund(Matter.NOT_RECEIVING)).outcome.pays


def test_a_number_that_got_a_text_after_the_failure_was_found_is_working(jolt: Pack) -> None:
    facts = Facts.from_json(DAN | {"sms_ever_received": True, "last_sms_at": "2026-11-22T09:00:00Z"})

    assert decide(jolt, facts, _refund(Matter.NOT_RECEIVING)).rule_id == "J-R7-receiving"


def test_eve_whose_number_may_or_may_not_be_had_is_investigated(jolt: Pack) -> None:
    facts = Facts.from_json({name: value for name, value in EVE.items() if name != "can_restore"})

    assert decide(jolt, facts, _refund(Matter.MISSING_NUMBER)).rule_id == "J-R2-check"


@pytest.mark.parametrize(
    ("charged", "approval"),
    [(5000, Approval.NONE), (5001, Approval.ONE), (20000, Approval.ONE), (20001, Approval.TWO)],
)
def test_larger_amounts_need_one_person_then_two(jolt: Pack, charged: int, approval: Approval) -> None:
    facts = Facts.from_json(BEN | {"duplicate_charge_minor": charged})

    assert decide(jolt, facts, _refund(Matter.DUPLICATE_CHARGE)).approval is approval


def test_money_of_another_currency_needs_a_person(jolt: Pack) -> None:
    decision = decide(jolt, Facts.from_json(BEN | {"currency": "EUR"}), _refund(Matter.DUPLICATE_CHARGE))

    assert (decision.currency, decision.approval) == ("EUR", Approval.ONE)
    assert "EUR 15.00" in decision.reasons[0]


def test_a_ledger_that_does_not_tell_goes_to_a_person(jolt: Pack) -> None:
    facts = Facts.from_json(BEN).with_(duplicate_charge_refunded_minor=None)
    decision = decide(jolt, facts, _refund(Matter.DUPLICATE_CHARGE))

    assert (decision.outcome, decision.rule_id, decision.amount) == (Outcome.HANDOFF, "J-R1", 0)
    assert decision.reasons == jolt.texts["amount_unknown"]
    assert decision.offers == ("talk_to_human",)


def test_a_charge_given_back_already_is_not_given_back_again(jolt: Pack) -> None:
    facts = Facts.from_json(DAN | {"latest_charge_refunded_minor": 1500})
    decision = decide(jolt, facts, _refund(Matter.NOT_RECEIVING))

    assert (decision.outcome, decision.amount, decision.charge) == (Outcome.ALREADY_DONE, 0, None)
    assert decision.reasons == jolt.texts["nothing_left"]


def test_a_charge_of_nothing_gives_nothing_back(jolt: Pack) -> None:
    facts = Facts.from_json(DAN | {"latest_charge_minor": 0})
    decision = decide(jolt, facts, _refund(Matter.NOT_RECEIVING))

    assert (decision.outcome, decision.reasons) == (Outcome.REFUSE, jolt.texts["nothing_due"])


def test_cancelling_takes_effect_at_the_renewal_date(jolt: Pack) -> None:
    plan = plan_cancellation(jolt, Facts.from_json(AVA), CANCEL)

    assert plan.effective_at.isoformat() == "2026-12-12T15:00:00+00:00"
    assert [(e.kind, e.at, e.rule_id) for e in plan.events] == [
        (EventKind.END_SUBSCRIPTION, plan.effective_at, "J-C1"),
        (EventKind.RELEASE_NUMBER, plan.effective_at, "J-C3"),
    ]
    assert plan.undo_until == plan.effective_at
    assert {"J-C1", "J-C2", "J-C3", "J-C4"} <= set(plan.rule_ids)


def test_the_effects_name_this_accounts_dates_and_amounts(jolt: Pack) -> None:
    plan = plan_cancellation(jolt, Facts.from_json(AVA), CANCEL)
    told = {effect.rule_id: effect.text for effect in plan.effects}

    assert "USD 15.00 due on 12 December 2026" in told["J-C1-stop"]
    assert all("12 December 2026" in told[rule_id] for rule_id in ("J-C2", "J-C3", "J-C4"))
    assert plan.undo_says == (
        "You can still keep the number. Tell me before 12 December 2026 and I switch auto-renew back on.",
    )


def test_the_brands_time_zone_decides_which_day_it_is(jolt: Pack) -> None:
    plan = plan_cancellation(jolt, Facts.from_json(AVA | {"period_end": "2026-12-13T04:59:00Z"}), CANCEL)

    assert "12 December 2026" in " ".join(effect.text for effect in plan.effects)


def test_a_period_that_is_over_already_ends_now(jolt: Pack) -> None:
    plan = plan_cancellation(jolt, Facts.from_json(GIA), CANCEL)

    assert plan.effective_at == NOW


def test_a_plan_is_kept_as_plain_values(jolt: Pack) -> None:
    values = plan_cancellation(jolt, Facts.from_json(AVA), CANCEL).to_json()

    assert values["effective_at"] == values["undo_until"] == "2026-12-12T15:00:00+00:00"
    assert values["policy_version"] == jolt.version
    assert values["effects"][2]["source"] == {"article": "after-cancellation", "section": "on-the-release-day"}


@pytest.mark.parametrize(("facts", "expected"), [(AVA, ["new_date"]), (CARA, ["repair", "new_date"])])
def test_at_most_two_fitting_alternatives_are_offered(
    jolt: Pack, facts: dict[str, object], expected: list[str]
) -> None:
    assert [offer.id for offer in alternatives(jolt, Facts.from_json(facts), CANCEL)] == expected


def test_joltsms_asks_no_consent_beyond_confirming(jolt: Pack) -> None:
    assert consents(jolt, Facts.from_json(AVA), CANCEL) == ()


@pytest.mark.parametrize("intent", sorted(MUST_BE_ANSWERED))
def test_every_question_has_an_answer_for_anyone(jolt: Pack, intent: str) -> None:
    given = answer(jolt, Facts(), CANCEL, intent)

    assert given is not None
    assert given.says
    assert not given.personal
    assert not re.search(r"[{}]", " ".join(given.says))


@pytest.mark.parametrize(
    ("intent", "facts", "words"),
    [
        ("ask_how_to_cancel", AVA, "+1 415 555 0101"),
        ("ask_how_to_cancel", LEAVING, "already off"),
        ("ask_cancellation_effects", AVA, "12 December 2026"),
        ("ask_fees_after_cancel", AVA, "USD 15.00"),
        ("ask_fees_after_cancel", LEAVING, "Nothing more is charged"),
        ("ask_prorated_refund", AVA, "until 12 December 2026"),
        ("ask_number_release", GIA, "has been released"),
        ("ask_number_release", LEAVING, "on 12 December 2026"),
        ("ask_number_release", AVA, "as long as it renews"),
        ("change_renewal_date", AVA, "renews on 12 December 2026"),
        ("ask_who_can_cancel", AVA, "You can"),
        ("ask_who_can_cancel", AVA | {"role": "agent"}, "Your own role does not"),
    ],
)
def test_a_signed_in_customer_is_answered_about_this_account(
    jolt: Pack, intent: str, facts: dict[str, object], words: str
) -> None:
    given = answer(jolt, Facts.from_json(facts), CANCEL, intent)

    assert given is not None
    assert given.personal
    assert words in " ".join(given.says)


def test_an_answer_falls_back_to_the_general_one_when_a_fact_is_missing(jolt: Pack) -> None:
    given = answer(jolt, Facts.from_json(AVA).with_(number=None), CANCEL, "ask_how_to_cancel")

    assert given is not None
    assert not given.personal


def test_what_the_pack_does_not_answer_is_none(jolt: Pack) -> None:
    assert answer(jolt, Facts(), CANCEL, "greet") is None


def test_every_source_is_a_section_of_a_help_article(jolt: Pack) -> None:
    sections = {
        (path.stem, _slug(title))
        for path in (ROOT / "data/help_center/joltsms").glob("*.md")
        for title in re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    sources = {rule.source for rule in jolt.all_rules()} | {given.source for given in jolt.answers.values()}
    sources |= {jolt.cancel.who_may.source, jolt.cancel.self_service.source, jolt.investigation.source}

    assert {(source.article, source.section) for source in sources} <= sections


def test_no_sentence_of_the_pack_shouts(jolt: Pack) -> None:
    words = [*jolt.texts.values(), *(rule.says + getattr(rule, "next_steps", ()) for rule in jolt.all_rules())]

    assert not [says for group in words for says in group if "!" in says]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _refund(matter: Matter) -> Request:
    return Request(kind=RequestKind.REFUND, now=NOW, matter=matter, product="number")
