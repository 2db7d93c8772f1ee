"""What holds for all facts and requests: money is bounded, rules are named, order and storage change nothing."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.decide import alternatives, answer, decide, decide_from_json, plan_cancellation
from bot.policy.decision import Decision, Request, RequestKind
from bot.policy.errors import UnknownDateError
from bot.policy.facts import CHARGES, Facts
from bot.policy.intents import INTENTS
from bot.policy.loader import load_pack
from tests.unit.policy.conftest import JOLT_FILE, LUMO_FILE
from tests.unit.policy.examples import BEN, DAN, EVE, NOW
from tests.unit.policy.strategies import facts, refund_requests, requests

JOLT = load_pack(JOLT_FILE)
PACKS = st.sampled_from([JOLT, load_pack(LUMO_FILE)])
PAYABLE = st.sampled_from([BEN, DAN, EVE, {}]).map(Facts.from_json)


def _without_product(request: Request) -> Request:
    return Request(kind=request.kind, now=request.now, matter=request.matter)


@given(pack=PACKS, known=facts, request=requests)
@settings(max_examples=400, deadline=None)
def test_a_decision_names_a_rule_and_never_exceeds_its_charge(pack, known, request) -> None:
    decision = decide(pack, known, _without_product(request))

    assert pack.rule(decision.rule_id) is not None
    assert decision.policy_version == pack.version
    assert decision.reasons
    if decision.outcome.pays:
        charge = CHARGES[decision.charge]
        assert 0 < decision.amount <= known.number(charge.charged) - known.number(charge.refunded)
    else:
        assert (decision.amount, decision.charge) == (0, None)


@given(
    pack=PACKS,
    start=PAYABLE,
    noise=facts,
    asked=st.lists(refund_requests, min_size=1, max_size=12),
    ledger=st.fixed_dictionaries({name: st.integers(0, 100_000) for name in CHARGES}),
)
@settings(max_examples=200, deadline=None)
def test_no_sequence_of_requests_gives_back_more_than_was_charged(pack, start, noise, asked, ledger) -> None:
    """Each payment is booked to its charge, as the store does; every charge is paid back once, at most in full."""
    known = Facts({**noise, **start, "verified": True})
    known = known.with_(**{CHARGES[name].charged: minor for name, minor in ledger.items()})
    known = known.with_(**{charge.refunded: 0 for charge in CHARGES.values()})
    paid: dict[str, list[int]] = {}
    for request in asked:
        decision = decide(pack, known, _without_product(request))
        if decision.outcome.pays:
            paid.setdefault(decision.charge, []).append(decision.amount)
            refunded = CHARGES[decision.charge].refunded
            known = known.with_(**{refunded: known.number(refunded) + decision.amount})

    for name, amounts in paid.items():
        assert sum(amounts) <= ledger[name]
        if pack is JOLT:
            assert len(amounts) == 1


@given(pack=PACKS, known=facts, request=requests, seed=st.integers())
@settings(max_examples=200, deadline=None)
def test_the_order_of_facts_changes_nothing(pack, known, request, seed) -> None:
    request = _without_product(request)
    shuffled = list(known.items())
    random.Random(seed).shuffle(shuffled)

    assert decide(pack, Facts(dict(shuffled)), request) == decide(pack, known, request)


@given(known=facts, request=requests)
@settings(max_examples=300, deadline=None)
def test_a_fact_that_no_rule_and_no_word_uses_changes_nothing(known, request) -> None:
    """`numbers` and `started_at` appear nowhere in the JoltSMS pack."""
    without = known.with_(numbers=None, started_at=None)
    used = known.with_(numbers=["+1 415 555 0199"], started_at=NOW)

    assert decide(JOLT, without, request) == decide(JOLT, used, request)


@given(pack=PACKS, known=facts, request=requests)
@settings(max_examples=300, deadline=None)
def test_a_stored_decision_can_be_replayed(pack, known, request) -> None:
    request = _without_product(request)
    decision = decide(pack, known, request)
    stored = {"request": request.to_json(), "facts": known.to_json()}

    assert Facts.from_json(known.to_json()) == known
    assert Request.from_json(request.to_json()) == request
    assert Decision.from_json(decide_from_json(pack, stored)) == decision


@given(known=facts, request=refund_requests)
@settings(max_examples=200, deadline=None)
def test_nobody_unverified_is_paid(known, request) -> None:
    for proof in (None, False):
        assert not decide(JOLT, known.with_(verified=proof), request).outcome.pays


@given(pack=PACKS, known=facts, request=requests)
@settings(max_examples=300, deadline=None)
def test_a_plan_is_never_in_the_past_and_its_words_are_complete(pack, known, request) -> None:
    request = _without_product(request)
    try:
        plan = plan_cancellation(pack, known, request)
    except UnknownDateError:
        return

    assert plan.effective_at >= request.now
    assert all(event.at >= request.now for event in plan.events)
    assert [event.at for event in plan.events] == sorted(event.at for event in plan.events)
    assert all(pack.rule(rule_id) for rule_id in plan.rule_ids)
    assert not any("{" in effect.text for effect in plan.effects)


@given(known=facts, request=requests, intent=st.sampled_from(sorted(INTENTS)))
@settings(max_examples=300, deadline=None)
def test_answers_and_offers_are_complete_sentences(known, request, intent) -> None:
    given_answer = answer(JOLT, known, request, intent)
    offers = alternatives(JOLT, known, request)

    assert (given_answer is None) is (intent not in JOLT.answers)
    assert given_answer is None or (given_answer.says and not any("{" in says for says in given_answer.says))
    assert len(offers) <= 2
    assert not any("{" in offer.says for offer in offers)


@given(known=facts, request=requests)
@settings(max_examples=200, deadline=None)
def test_a_cancellation_that_is_allowed_can_be_planned(known, request) -> None:
    request = Request(kind=RequestKind.CANCEL, now=request.now)
    if decide(JOLT, known, request).rule_id == "J-C1":
        assert plan_cancellation(JOLT, known, request).events
