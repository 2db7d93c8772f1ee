"""What customers may want, in their own terms: as titles of buttons and in the middle of sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.dialogue.turn import wish
from bot.policy.pack import Pack

PERSON_WANTED = "talk_to_human"
TITLES = {
    "cancel_subscription": "Cancel a subscription",
    "ask_how_to_cancel": "How to cancel it myself",
    "ask_who_can_cancel": "Who may cancel",
    "ask_cancellation_effects": "What happens after cancelling",
    "ask_fees_after_cancel": "Fees after cancelling",
    "resume_subscription": "Undo a cancellation",
    "check_cancellation_status": "Status of my cancellation",
    "change_renewal_date": "Move my renewal date",
    "change_plan": "Change my plan",
    "port_number": "Take my number elsewhere",
    "book_call": "Book a call",
    "request_refund": "Get money back",
    "ask_refund_policy": "What is refundable",
    "check_refund_status": "Where is my refund",
    "report_duplicate_charge": "I was charged wrongly",
    "report_missing_number": "I was charged but have no number",
    "report_number_not_receiving": "My number gets no texts",
    "report_platform_rejection": "An app rejects my number",
    "ask_prorated_refund": "Money back for unused days",
    "ask_vendor_costs": "Why fees are not refundable",
    "ask_unused_credits": "What becomes of my credits",
    "check_subscription": "My subscription",
    "check_invoices": "My charges and invoices",
    "ask_data_retention": "How long data is kept",
    "ask_number_release": "What happens to released numbers",
    "ask_10dlc": "10DLC after leaving",
    "open_ticket": "Report a problem",
    "check_ticket": "Status of my ticket",
    "talk_to_human": "Talk to a person",
    "ask_capabilities": "What you can do",
    "send_transcript": "E-mail me this chat",
    "rate_service": "Rate our service",
}

_NEVER_SAID = {"send_transcript", "rate_service"}  # told by patterns or pressed, not learnt from examples
LEARNABLE = {
    **{intent: title for intent, title in TITLES.items() if intent not in _NEVER_SAID},
    "complain": "Vents, asks for nothing",
    "greet": "Greets",
    "goodbye": "Says goodbye",
    "thank": "Thanks",
    "affirm": "Says yes",
    "deny": "Says no",
    "stop": "Wants to leave this",
    "inform": "Gives what was asked for",
    "bot_challenge": "Asks whether this is a bot",
    "out_of_scope": "None of these",
}
"""Every intent that the model learns, as whoever reviews messages reads it."""

A_PERSON_IN = {
    "es": "hablar con una persona",
    "pt": "falar com uma pessoa",
    "fr": "parler à une personne",
    "de": "mit einem Menschen sprechen",
    "it": "parlare con una persona",
    "ru": "поговорить с человеком",
    "zh": "联系人工客服",
    "ja": "担当者と話す",
    "ar": "التحدث إلى شخص",
    "hi": "किसी व्यक्ति से बात करें",
    "hi-latn": "kisi insaan se baat karein",
    "bn": "একজন মানুষের সাথে কথা বলুন",
    "ur": "کسی شخص سے بات کریں",
}
"""The offer of a person in languages that the bot does not speak."""


def suggestions(pack: Pack) -> list[dict[str, Any]]:
    """Buttons for what this brand's customers mostly come for."""
    return [wish(each.intent, each.title) for each in pack.suggestions]


def wish_buttons(intents: Iterable[str]) -> list[dict[str, Any]]:
    """A button for each intent that has a title, once each, in order."""
    return [wish(intent, TITLES[intent]) for intent in dict.fromkeys(intents) if intent in TITLES]


def person_button(language: str | None = None) -> dict[str, Any]:
    """The offer of a person, in another language as well."""
    title = TITLES[PERSON_WANTED]
    return wish(PERSON_WANTED, f"{title} ({A_PERSON_IN[language]})" if language in A_PERSON_IN else title)
