"""What wishes are about, by intent, in the middle of a sentence: to customers, and between colleagues."""

from __future__ import annotations

import re
from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    "cancel_subscription": "cancelling",
    "ask_how_to_cancel": "how to cancel it yourself",
    "ask_who_can_cancel": "who may cancel",
    "ask_cancellation_effects": "what happens after cancelling",
    "ask_fees_after_cancel": "fees after cancelling",
    "resume_subscription": "undoing a cancellation",
    "check_cancellation_status": "your cancellation",
    "change_renewal_date": "moving the renewal date",
    "change_plan": "changing your plan",
    "port_number": "taking your number elsewhere",
    "book_call": "a call",
    "request_refund": "your money back",
    "ask_refund_policy": "what is refundable",
    "check_refund_status": "your refund",
    "report_duplicate_charge": "the wrong charge",
    "report_missing_number": "the missing number",
    "report_number_not_receiving": "the number that gets no texts",
    "report_platform_rejection": "the app that turned your number down",
    "ask_prorated_refund": "money for unused days",
    "ask_vendor_costs": "why fees are not refundable",
    "ask_unused_credits": "your credits",
    "check_subscription": "your subscription",
    "check_invoices": "your charges",
    "ask_data_retention": "how long data is kept",
    "ask_number_release": "released numbers",
    "ask_10dlc": "10DLC",
    "open_ticket": "the problem to report",
    "check_ticket": "your ticket",
    "talk_to_human": "a person",
    "send_transcript": "this chat by e-mail",
    "rate_service": "a rating",
}
"""As a customer is told."""
_OTHERS: Mapping[str, str] = {"complain": "is not happy with the service"}
_YOURS = (re.compile(r"\byour\b"), "their"), (re.compile(r"\byourself\b"), "themselves")


def as_colleagues_say(intent: str) -> str | None:
    """What somebody wants, said of them: `their refund`; None for what is no wish."""
    words = PHRASES.get(intent, _OTHERS.get(intent))
    if words is not None:
        for yours, theirs in _YOURS:
            words = yours.sub(theirs, words)
    return words
