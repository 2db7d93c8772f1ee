"""Which flow serves which wish."""

from __future__ import annotations

CANCEL = "cancel"
RESUME = "resume"
REFUND = "refund"
DUPLICATE_CHARGE = "duplicate_charge"
MISSING_NUMBER = "missing_number"
NOT_RECEIVING = "not_receiving"
PERSON = "person"
TICKET = "ticket"
ACCOUNT = "account"
CALL = "call"
TRANSCRIPT = "transcript"
RATING = "rating"
TELL = "tell"
PAUSE = "pause"
UNPAUSE = "unpause"

FLOW_OF_INTENT = {
    "cancel_subscription": CANCEL,
    "resume_subscription": RESUME,
    "request_refund": REFUND,
    "report_duplicate_charge": DUPLICATE_CHARGE,
    "report_missing_number": MISSING_NUMBER,
    "report_number_not_receiving": NOT_RECEIVING,
    "talk_to_human": PERSON,
    "open_ticket": TICKET,
    "book_call": CALL,
    "send_transcript": TRANSCRIPT,
    "rate_service": RATING,
}

SERVABLE = frozenset(FLOW_OF_INTENT) | {
    "check_subscription",
    "check_invoices",
    "check_refund_status",
    "check_cancellation_status",
    "check_ticket",
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
    "change_renewal_date",
    "change_plan",
    "port_number",
    "book_call",
    "report_platform_rejection",
}
"""Wishes that can be served one after another."""

INCLUDES = {
    "report_duplicate_charge": {"request_refund", "check_refund_status", "check_invoices", "ask_refund_policy"},
    "report_missing_number": {
        "report_duplicate_charge",
        "request_refund",
        "check_refund_status",
        "check_invoices",
        "ask_refund_policy",
    },
    "report_number_not_receiving": {"request_refund", "check_refund_status", "open_ticket", "ask_refund_policy"},
    "report_platform_rejection": {"request_refund", "ask_refund_policy"},
    "ask_prorated_refund": {"request_refund", "ask_refund_policy"},
    "request_refund": {"ask_refund_policy", "check_refund_status"},
    "cancel_subscription": {"ask_how_to_cancel", "ask_cancellation_effects"},
    "talk_to_human": {"open_ticket"},
}
"""What serving a wish also settles, so that the two said together are one: charged twice, and wanting that back."""
