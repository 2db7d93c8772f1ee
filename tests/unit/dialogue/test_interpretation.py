"""What a message means in the light of the open question: tables over made-up results of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.interpretation import FALLBACK, Interpretation, clauses_of, interpret, interpret_button
from bot.dialogue.registry import CANCEL, FLOW_OF_INTENT, INCLUDES, NOT_RECEIVING, RESUME, SERVABLE
from bot.dialogue.wishes import TITLES
from bot.services.wish_words import PHRASES

GO = Choice("go_on", "Continue cancelling", ("continue", "cancel", "cancel it"))
KEEP = Choice("keep", "Keep it", ("keep it", "don't cancel"), ("resume_subscription",))
SKIP = Choice("skip", "Skip", ("skip", "no"))
NUMBERS = [
    Choice("SUB-1", "+1 415-555-0106", ("+14155550106",)),
    Choice("SUB-2", "+1 415-555-0107", ("+14155550107",)),
]


def parsed(
    text: str,
    intent: str = "inform",
    confidence: float = 0.95,
    *,
    verdict: str = "answer",
    choices: Sequence[str] = (),
    **entities: str,
) -> dict[str, Any]:
    """What the model would give."""
    return {
        "text": text,
        "intent": {"name": intent, "confidence": confidence},
        "entities": [{"entity": name, "value": value} for name, value in entities.items()],
        "understanding": {"verdict": verdict, "choices": list(choices)},
    }


def asking(
    *expects: Expect,
    step: str = "step",
    choices: Sequence[Choice] = (),
    flow: str = CANCEL,
    many: bool = False,
    **data: Any,
) -> dict[str, Any]:
    """Slots with one flow that asks."""
    open_question = Asking(step, expects, tuple(choices), many)
    return {"flows": [FlowState(flow, "flow-1", dict(data), None, open_question).to_json()]}


def answer(interpretation: Interpretation) -> tuple[Via, tuple[str, ...]] | None:
    """How and what was answered."""
    if interpretation.answer is None:
        return None
    given = Answer.from_json(interpretation.answer)
    return given.via, given.values


ALTERNATIVES = asking(Expect.CHOICE, Expect.YES_NO, step="alternatives", choices=(GO, KEEP))
REASON = asking(Expect.CHOICE, Expect.TEXT, step="reason", choices=(Choice("price", "It costs too much"), SKIP))
TEXT = asking(Expect.TEXT, step="description", flow=NOT_RECEIVING)
EMAIL = asking(Expect.EMAIL, step="email")
CODE = asking(Expect.CODE, Expect.CHOICE, step="code", choices=(Choice("new_code", "Send a new code", ("resend",)),))


@pytest.mark.parametrize(
    ("message", "slots", "expected"),
    [
        (parsed("yes", "affirm"), ALTERNATIVES, (Via.YES, ())),
        (parsed("no", "deny"), ALTERNATIVES, (Via.NO, ())),
        (parsed("none of them"), ALTERNATIVES, (Via.NO, ())),
        (parsed("👍", FALLBACK, 0.1, verdict="unsure"), ALTERNATIVES, (Via.YES, ())),
        (parsed("continue"), ALTERNATIVES, (Via.CHOICE, ("go_on",))),
        (parsed("please don't cancel it", "cancel_subscription"), ALTERNATIVES, (Via.CHOICE, ("keep",))),
        (parsed("undo my cancellation", "resume_subscription"), ALTERNATIVES, (Via.CHOICE, ("keep",))),
        (parsed("end the rental already", "cancel_subscription"), ALTERNATIVES, (Via.FORWARD, ())),
        (parsed("no", "deny"), REASON, (Via.CHOICE, ("skip",))),
        (parsed("rather not say", "deny"), REASON, (Via.CHOICE, ("skip",))),
        (parsed("end it please", "cancel_subscription"), REASON, (Via.FORWARD, ())),
        (parsed("it costs too much"), REASON, (Via.CHOICE, ("price",))),
        (parsed("I found another one that suits me"), REASON, (Via.TEXT, ("I found another one that suits me",))),
        (
            parsed("nothing at all arrives", "report_number_not_receiving"),
            TEXT,
            (Via.TEXT, ("nothing at all arrives",)),
        ),
        (parsed("i think since march", "inform", 0.4, verdict="unsure"), TEXT, (Via.TEXT, ("i think since march",))),
        (parsed("my mail is ava@jolt.example", email="ava@jolt.example"), EMAIL, (Via.EMAIL, ("ava@jolt.example",))),
        (parsed("ava@jolt"), EMAIL, (Via.EMAIL, ("ava@jolt",))),
        (parsed("(ava@jolt)."), EMAIL, (Via.EMAIL, ("ava@jolt",))),
        (parsed("ava at jolt.example"), EMAIL, (Via.EMAIL, ("ava at jolt.example",))),
        (parsed("it's 123 456"), CODE, (Via.CODE, ("123456",))),
        (parsed("123-456"), CODE, (Via.CODE, ("123456",))),
        (parsed("1234"), CODE, (Via.CODE, ("1234",))),
        (parsed("ben@jolt.example", email="ben@jolt.example"), CODE, (Via.EMAIL, ("ben@jolt.example",))),
        (parsed("resend it"), CODE, (Via.CHOICE, ("new_code",))),
    ],
    ids=lambda value: value["text"] if isinstance(value, Mapping) and "text" in value else None,
)
def test_an_answer_is_taken_for_one(
    message: Mapping[str, Any], slots: Mapping[str, Any], expected: tuple[Via, tuple[str, ...]]
) -> None:
    result = interpret(message, slots)
    assert result.intent == "inform"
    assert answer(result) == expected


@pytest.mark.parametrize(
    ("message", "slots", "intent"),
    [
        (parsed("never mind", "stop"), ALTERNATIVES, "stop"),
        (parsed("oh, forget it", "inform"), TEXT, "stop"),
        (parsed("start over"), ALTERNATIVES, "start_over"),
        (parsed("/restart"), TEXT, "start_over"),
        (parsed("what is refundable?", "ask_refund_policy"), ALTERNATIVES, "ask_refund_policy"),
        (parsed("what is refundable?", "ask_refund_policy"), TEXT, "ask_refund_policy"),
        (parsed("a human please", "talk_to_human"), TEXT, "talk_to_human"),
        (parsed("I was charged twice", "report_duplicate_charge"), TEXT, "report_duplicate_charge"),
        (parsed("I was charged twice", "report_duplicate_charge"), ALTERNATIVES, "report_duplicate_charge"),
        (parsed("thanks", "thank"), TEXT, "thank"),
        (parsed("ok", "affirm"), TEXT, "affirm"),
        (parsed("why do you need that?", "inform"), TEXT, "ask_why"),
        (parsed("why?", "ask_vendor_costs"), EMAIL, "ask_why"),
        (parsed("qwrt plkj", "inform", 0.2, verdict="unsure"), ALTERNATIVES, FALLBACK),
        (parsed("quiero cancelar por favor", "inform", 0.2, verdict="unsure"), EMAIL, "other_language"),
        (parsed("🙂", "greet", 0.9), TEXT, FALLBACK),
    ],
    ids=lambda value: value["text"] if isinstance(value, Mapping) and "text" in value else None,
)
def test_what_is_no_answer_is_understood_for_itself(
    message: Mapping[str, Any], slots: Mapping[str, Any], intent: str
) -> None:
    result = interpret(message, slots)
    assert (result.intent, result.answer) == (intent, None)


def test_a_file_alone_is_for_the_flow_whatever_it_asks() -> None:
    assert interpret(parsed("", FALLBACK, 0.0, verdict="unsure"), ALTERNATIVES, files=1).intent == "inform"
    slots = asking(Expect.FILES, Expect.TEXT, step="attachments")
    assert answer(interpret(parsed("see here"), slots, files=1)) == (Via.FILES, ("see here",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not that one, the other", ("SUB-1",)),
        ("I meant 0106", ("SUB-1",)),
        ("no, both", ("SUB-1", "SUB-2")),
        ("sorry, I really meant the number that ends in 0106 and no other", ("SUB-1",)),
        ("0107", None),
        ("everything about this company is just too expensive for me", None),
        ("the last months were hard", None),
    ],
)
def test_a_correction_of_what_was_chosen_earlier(text: str, expected: tuple[str, ...] | None) -> None:
    slots = asking(
        Expect.CHOICE,
        Expect.TEXT,
        step="reason",
        choices=(SKIP,),
        targets_offered=[choice.to_json() for choice in NUMBERS],
        targets=["SUB-2"],
    )
    result = interpret(parsed(text), slots)
    given = Answer.from_json(result.answer) if result.answer else None
    corrected = given.values if given and given.step == "target" else None
    assert corrected == expected


@pytest.mark.parametrize(
    ("text", "done", "intent"),
    [
        ("undo that", CANCEL, "resume_subscription"),
        ("oh no, please undo it", CANCEL, "resume_subscription"),
        ("I changed my mind", CANCEL, "resume_subscription"),
        ("keep my number", CANCEL, "resume_subscription"),
        ("undo that", RESUME, "cancel_subscription"),
        ("keep my number", RESUME, "stop"),
        ("I changed my mind", None, "stop"),
    ],
)
def test_undoing_is_about_what_was_done_last(text: str, done: str | None, intent: str) -> None:
    slots = {"done": {"flow": done, "targets": ["SUB-1", "SUB-2"]}} if done else {}
    result = interpret(parsed(text), slots)
    assert result.intent == intent
    if intent.endswith("_subscription"):
        assert result.entities == ({"entity": "subscription_id", "value": "SUB-1,SUB-2"},)


def test_yes_takes_the_only_offer_and_asks_among_several() -> None:
    assert interpret(parsed("yes", "affirm"), {"offers": ["cancel_subscription"]}).intent == "cancel_subscription"
    assert interpret(parsed("yes", "affirm"), {"offers": ["open_ticket", "talk_to_human"]}).intent == "affirm"
    assert interpret(parsed("yes", "affirm"), {}).intent == "affirm"


def test_an_id_alone_is_asked_about() -> None:
    assert interpret(parsed("TCK-000012", ticket_id="TCK-000012"), {}).intent == "check_ticket"
    assert interpret(parsed("INV-2001", invoice_id="INV-2001"), {}).intent == "check_invoices"


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (("request_refund", "report_missing_number"), "report_missing_number"),
        (("report_duplicate_charge", "request_refund"), "report_duplicate_charge"),
        (("cancel_subscription", "request_refund"), FALLBACK),
    ],
)
def test_torn_between_a_wish_and_what_it_includes_nobody_is_asked_back(choices: tuple[str, ...], expected: str) -> None:
    result = interpret(parsed("hm", choices[0], 0.5, verdict="ask_back", choices=choices), {})
    assert result.intent == expected


def several(whole: Mapping[str, Any], *clauses: Mapping[str, Any]) -> tuple[str, ...]:
    """The wishes of a message with these clauses, in the order they are served."""
    result = interpret(whole, {}, clauses=clauses)
    return (result.intent, *result.also)


def test_clear_wishes_in_clauses_are_served_one_after_another_questions_first() -> None:
    cancel = parsed("I want to cancel", "cancel_subscription")
    refund = parsed("get my money back", "request_refund")
    question = parsed("do I get money for unused days?", "ask_prorated_refund")
    whole = parsed("the whole of it", "cancel_subscription")
    assert several(whole, cancel, refund) == ("cancel_subscription", "request_refund")
    assert several(whole, cancel, question) == ("ask_prorated_refund", "cancel_subscription")
    assert several(whole, parsed("hi there", "greet"), cancel, parsed("thank you", "thank")) == ("cancel_subscription",)
    assert several(whole, cancel, cancel) == ("cancel_subscription",)


def test_what_is_wanted_back_beside_a_charge_is_the_money() -> None:
    twice = parsed("you charged me twice", "report_duplicate_charge")
    back = parsed("I'd like it back on my card please", "resume_subscription")
    whole = parsed("the whole of it", "report_duplicate_charge")
    assert several(whole, twice, back) == ("report_duplicate_charge",)
    number = parsed("and I want my number back", "resume_subscription")
    assert several(whole, twice, number) == ("report_duplicate_charge", "resume_subscription")
    cancelled = parsed("I cancelled my number", "cancel_subscription")
    assert "resume_subscription" in several(parsed("the whole of it", "resume_subscription"), cancelled, back)


@pytest.mark.parametrize(
    ("specific", "general"),
    [(specific, general) for specific, included in INCLUDES.items() for general in sorted(included)],
)
def test_what_a_wish_includes_is_no_second_wish(specific: str, general: str) -> None:
    whole = parsed("the whole of it", specific)
    assert several(whole, parsed("what is it?", specific), parsed("what now?", general)) == (specific,)


def test_a_clause_that_is_not_clear_leaves_the_message_whole() -> None:
    whole = parsed("the whole of it", "report_number_not_receiving")
    story = parsed("I rented it in May", "check_subscription", 0.4)
    refund = parsed("I want a refund", "request_refund")
    assert several(whole, story, refund) == ("report_number_not_receiving",)
    surely_told = parsed("I rented it in May", "check_subscription", 0.9)
    fault = parsed("it gets no texts", "report_number_not_receiving")
    assert several(whole, surely_told, fault, refund) == ("report_number_not_receiving",)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("I want to cancel and get my money back", ["I want to cancel", "get my money back"]),
        ("cancel it. Also refund me!", ["cancel it", "refund me!"]),
        ("show my invoices, cancel my number and then get me a human", 3),
        ("cancel my number", 0),
        ("yes and no", 0),
        ("I was charged but there is no number", 0),
        ("a b. " * 15, 0),
    ],
)
def test_clauses(text: str, parts: list[str] | int) -> None:
    found = clauses_of(text)
    assert found == parts if isinstance(parts, list) else len(found) == parts


def test_a_button_answers_its_own_open_question_only() -> None:
    payload = {"flow": "flow-1", "step": "alternatives", "values": ["go_on"]}
    assert answer(interpret_button(payload, ALTERNATIVES)) == (Via.BUTTON, ("go_on",))
    assert interpret_button(payload, REASON).intent == "stale_button"
    assert interpret_button({**payload, "flow": "flow-0"}, ALTERNATIVES).intent == "stale_button"
    assert interpret_button(payload, {}).intent == "stale_button"


def test_a_button_with_a_wish_is_that_wish() -> None:
    result = interpret_button({"intent": "resume_subscription", "entities": {"subscription_id": "SUB-1"}}, REASON)
    assert result.intent == "resume_subscription"
    assert result.entities == ({"entity": "subscription_id", "value": "SUB-1"},)


def test_the_record_has_no_words_of_the_customer() -> None:
    record = interpret(parsed("my mail is ava@jolt.example", email="ava@jolt.example"), EMAIL).record()
    assert "ava" not in str(record)
    assert record["answered"] == "email"


def test_every_wish_that_can_wait_has_words() -> None:
    assert set(TITLES) >= SERVABLE
    assert set(PHRASES) >= SERVABLE
    assert {wish for wishes in (INCLUDES, *INCLUDES.values()) for wish in wishes} <= SERVABLE
    assert set(FLOW_OF_INTENT) <= SERVABLE
