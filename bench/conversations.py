"""What the measured customers say: a mix of conversations, each played from its first word to its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Customer(Enum):
    """Who talks. Each signed-in conversation has a customer of its own, so that what it does is done for real."""

    ANONYMOUS = "anonymous"
    RENTER = "renter"
    """One number that works."""
    OVERCHARGED = "overcharged"
    """Charged twice for the running period."""
    SILENT = "silent"
    """One number that never received a text."""


@dataclass(frozen=True)
class Step:
    """One message: a text, or, if `button`, the start of the title of a button that was offered.

    `intent` is what the message means. Stock Rasa is sent a pressed button as `/intent`, the way its own channels do,
    and is trained with stories made of these intents.
    """

    text: str
    intent: str
    button: bool = False


@dataclass(frozen=True)
class Script:
    """One conversation."""

    name: str
    customer: Customer
    steps: tuple[Step, ...]


QUESTIONS = Script(
    "questions",
    Customer.ANONYMOUS,
    (
        Step("hi there", "greet"),
        Step("how do I cancel a number?", "ask_how_to_cancel"),
        Step("what happens to my texts once it is cancelled?", "ask_cancellation_effects"),
        Step("do i get anything back for the unused days?", "ask_prorated_refund"),
        Step("why are the vendor costs not refundable", "ask_vendor_costs"),
        Step("thanks, bye", "goodbye"),
    ),
)
CANCEL = Script(
    "cancel",
    Customer.RENTER,
    (
        Step("I'd like to cancel my number", "cancel_subscription"),
        Step("Continue", "affirm", button=True),
        Step("what happens to my slack notifications then?", "ask_cancellation_effects"),
        Step("it is too expensive for me", "inform"),
        Step("Yes", "affirm", button=True),
        Step("did my cancellation go through?", "check_cancellation_status"),
    ),
)
REFUND = Script(
    "refund",
    Customer.OVERCHARGED,
    (
        Step("you charged me twice this month", "report_duplicate_charge"),
        Step("where is my refund?", "check_refund_status"),
        Step("thank you", "thank"),
    ),
)
INVESTIGATION = Script(
    "investigation",
    Customer.SILENT,
    (
        Step("my number gets no texts at all", "report_number_not_receiving"),
        Step("yes, I sent one from my own phone", "affirm"),
        Step("nothing arrives, not even from friends", "inform"),
        Step("since the day I rented it", "inform"),
        Step("Nothing to add", "deny", button=True),
        Step("what about my ticket?", "check_ticket"),
    ),
)
SMALL_TALK = Script(
    "small talk",
    Customer.ANONYMOUS,
    (
        Step("hello", "greet"),
        Step("are you a real person?", "bot_challenge"),
        Step("what can you do", "ask_capabilities"),
        Step("thank you", "thank"),
    ),
)
NOT_UNDERSTOOD = Script(
    "not understood",
    Customer.ANONYMOUS,
    (
        Step("asdf qwer zxcv", "out_of_scope"),
        Step("the blue one on tuesday maybe", "out_of_scope"),
        Step("can you book me a flight to oslo", "out_of_scope"),
    ),
)
MIX = (QUESTIONS, CANCEL, REFUND, INVESTIGATION, SMALL_TALK, NOT_UNDERSTOOD)
TURNS_OF_MIX = sum(len(script.steps) for script in MIX)

ROUND = (
    Step("how do i cancel my number", "ask_how_to_cancel"),
    Step("when is my next renewal", "check_subscription"),
    Step("thanks", "thank"),
    Step("show me my invoices", "check_invoices"),
    Step("do you refund unused days", "ask_prorated_refund"),
)


def endless(turns: int) -> Script:
    """One conversation of that many turns, the same few messages round after round."""
    return Script("endless", Customer.RENTER, tuple(ROUND[turn % len(ROUND)] for turn in range(turns)))
