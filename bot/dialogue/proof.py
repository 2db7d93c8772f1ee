"""The part of every flow in which customers prove who they are: an e-mail address, then the code sent to it."""

from __future__ import annotations

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via, is_email
from bot.dialogue.turn import Turn
from bot.errors import Conflict, InvalidInput, TooMany
from bot.services.identity import CodeProblem

EMAIL, CODE = "email", "code"
STEPS = frozenset({EMAIL, CODE})
_NEW_CODE, _OTHER_EMAIL = "new_code", "other_email"
_DIGITS = 6
_NEW = (
    "new code",
    "new one",
    "another code",
    "another one",
    "resend",
    "send again",
    "send it again",
    "didn't get",
    "did not get",
    "haven't received",
    "have not received",
    "not received",
    "didn't arrive",
    "not arrived",
    "nothing arrived",
    "nothing came",
    "no code",
    "no email",
    "no e-mail",
    "no mail",
)
_OTHER = ("another email", "another e-mail", "different email", "different e-mail", "wrong email", "other email")


def ensure(turn: Turn, flow: FlowState, *, fresh: bool) -> Asking | None:
    """Ask for proof if it is missing, or too old where `fresh` is wanted; None when the flow may go on."""
    if turn.customer is not None and (turn.fresh or not fresh):
        flow.email = None
        return None
    if flow.email is None and turn.customer is not None:
        return _send(turn, flow, turn.customer.email, "utter_code_sent_again_for_safety")
    if flow.email is None and (given := turn.wish.entity("email")):
        return _send(turn, flow, given, "utter_code_sent")
    if flow.email is None:
        return _ask_email(turn, flow, "utter_ask_email")
    return _ask_code(turn, flow, "utter_ask_code_again")


def take(turn: Turn, flow: FlowState, answer: Answer) -> Asking | None:
    """Handle an e-mail address or a code; the next question of this part, or None when it is done."""
    if answer.via is Via.EMAIL:
        return _send(turn, flow, answer.value, "utter_code_sent")
    if answer.value == _OTHER_EMAIL:
        flow.email = None
        return _ask_email(turn, flow, "utter_ask_other_email")
    if answer.value == _NEW_CODE and flow.email:
        return _send(turn, flow, flow.email, "utter_code_sent")
    if answer.via is not Via.CODE:
        return ensure(turn, flow, fresh=True)
    if len(answer.value) != _DIGITS:
        return _ask_code(turn, flow, "utter_code_has_six_digits")
    try:
        result = turn.services.identity.check_code(
            turn.uow,
            conversation_id=turn.conversation_id,
            code=answer.value,
            now=turn.now,
            idempotency_key=turn.key("check-code"),
        )
    except Conflict as conflict:
        turn.tell(str(conflict))
        flow.email = None
        return _ask_email(turn, flow, "utter_ask_email")
    if isinstance(result, CodeProblem):
        return _ask_code(turn, flow, f"utter_code_{result.value}", new_one_offered=result is not CodeProblem.WRONG)
    turn.recognise(result)
    turn.say("utter_proven", name=f", {result.name.split()[0]}" if result.name.strip() else "")
    return None


def _send(turn: Turn, flow: FlowState, email: str, response: str) -> Asking:
    if not is_email(email):
        flow.email = None
        return _ask_email(turn, flow, "utter_email_unclear")
    flow.email = email.lower()
    try:
        turn.services.identity.request_code(
            turn.uow,
            brand=turn.pack.brand.id,
            email=flow.email,
            conversation_id=turn.conversation_id,
            now=turn.now,
            idempotency_key=turn.key("send-code"),
        )
    except TooMany as error:
        turn.tell(str(error))
        return _ask_code(turn, flow, "utter_ask_code_again")
    except InvalidInput:
        flow.email = None
        return _ask_email(turn, flow, "utter_email_unclear")
    except Conflict as error:
        turn.tell(str(error))
        flow.email = None
        return _ask_email(turn, flow, "utter_ask_email")
    return _ask_code(turn, flow, response)


def _ask_email(turn: Turn, flow: FlowState, response: str) -> Asking:
    return turn.ask(flow, EMAIL, [Expect.EMAIL], response)


def _ask_code(turn: Turn, flow: FlowState, response: str, *, new_one_offered: bool = False) -> Asking:
    """`new_one_offered`: the response offers a new code, so that a plain "yes" takes it."""
    choices = (
        Choice(_NEW_CODE, "Send a new code", _NEW, ("affirm",) if new_one_offered else ()),
        Choice(_OTHER_EMAIL, "Use another e-mail", _OTHER),
    )
    return turn.ask(flow, CODE, [Expect.CODE, Expect.CHOICE], response, choices=choices, email=flow.email or "")
