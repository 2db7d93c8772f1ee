"""The intents a pack may answer or offer: what customers of these brands say, by exact name."""

from __future__ import annotations

INTENTS = frozenset(
    {
        "greet",
        "goodbye",
        "thank",
        "affirm",
        "deny",
        "bot_challenge",
        "ask_capabilities",
        "stop",
        "inform",
        "out_of_scope",
        "cancel_subscription",
        "ask_how_to_cancel",
        "ask_who_can_cancel",
        "ask_cancellation_effects",
        "ask_fees_after_cancel",
        "resume_subscription",
        "check_cancellation_status",
        "change_renewal_date",
        "change_plan",
        "port_number",
        "book_call",
        "request_refund",
        "ask_refund_policy",
        "check_refund_status",
        "report_duplicate_charge",
        "report_missing_number",
        "report_number_not_receiving",
        "report_platform_rejection",
        "ask_prorated_refund",
        "ask_vendor_costs",
        "ask_unused_credits",
        "check_subscription",
        "check_invoices",
        "ask_data_retention",
        "ask_number_release",
        "ask_10dlc",
        "open_ticket",
        "check_ticket",
        "talk_to_human",
        "complain",
    }
)

MUST_BE_ANSWERED = frozenset(
    {
        "ask_how_to_cancel",
        "ask_who_can_cancel",
        "ask_cancellation_effects",
        "ask_fees_after_cancel",
        "ask_refund_policy",
        "ask_prorated_refund",
        "ask_vendor_costs",
        "ask_unused_credits",
        "ask_data_retention",
        "ask_number_release",
        "ask_10dlc",
        "report_platform_rejection",
        "change_renewal_date",
        "change_plan",
        "port_number",
        "book_call",
    }
)
"""Questions that every pack must have an answer for, be it that the brand does not offer it."""
