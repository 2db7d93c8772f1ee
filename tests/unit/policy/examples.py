"""One example and more for every rule of the JoltSMS pack: the facts, what is asked, and the rule that must decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from bot.policy.decision import Matter, Outcome, Request, RequestKind
from bot.policy.facts import Facts

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=timezone.utc)

AVA: dict[str, Any] = {
    "verified": True,
    "role": "owner",
    "country": "US",
    "currency": "USD",
    "subscription_status": "active",
    "number_status": "active",
    "number": "+1 415 555 0101",
    "auto_renew": True,
    "cancellation_status": "none",
    "price_minor": 1500,
    "period_start": "2026-11-12T15:00:00Z",
    "period_end": "2026-12-12T15:00:00Z",
    "latest_charge_minor": 1500,
    "latest_charge_refunded_minor": 0,
    "duplicate_charge_found": False,
    "duplicate_refund_status": "none",
    "amount_disagrees": False,
    "refund_pending": False,
    "provisioning_status": "ok",
    "sms_ever_received": True,
    "last_sms_at": "2026-11-21T15:00:00Z",
    "investigation_status": "none",
}
BEN = AVA | {
    "duplicate_charge_found": True,
    "duplicate_charge_minor": 1500,
    "duplicate_charge_refunded_minor": 0,
}
CARA = {key: value for key, value in AVA.items() if key != "last_sms_at"} | {"sms_ever_received": False}
DAN = CARA | {
    "investigation_status": "closed",
    "investigation_cause": "ours",
    "had_fair_chance": True,
    "restored": False,
    "replaced": False,
}
EVE = {
    "verified": True,
    "role": "owner",
    "subscription_status": "failed",
    "number_status": "provisioning_failed",
    "provisioning_status": "failed",
    "invoice_found": True,
    "invoice_status": "paid",
    "invoice_charge_minor": 1500,
    "invoice_refunded_minor": 0,
    "refund_pending": False,
    "can_restore": False,
}
LEAVING = AVA | {
    "subscription_status": "not_renewing",
    "number_status": "releasing",
    "cancellation_status": "scheduled",
}
GIA = AVA | {
    "subscription_status": "ended",
    "number_status": "released",
    "cancellation_status": "effective",
    "period_end": "2026-11-16T15:00:00Z",
    "last_sms_at": "2026-11-08T15:00:00Z",
}
GIVEN = ["name", "email", "order_or_subscription_id", "phone_number", "description", "since"]


@dataclass(frozen=True)
class Example:
    """What must be decided."""

    rule_id: str
    outcome: Outcome
    kind: RequestKind
    facts: dict[str, Any]
    matter: Matter | None = None
    amount: int = 0
    missing: tuple[str, ...] = field(default=())

    @property
    def request(self) -> Request:
        return Request(kind=self.kind, now=NOW, matter=self.matter, product="number")

    def known(self) -> Facts:
        return Facts.from_json(self.facts)


def _cancel(rule_id: str, outcome: Outcome, facts: dict[str, Any], *missing: str) -> Example:
    return Example(rule_id, outcome, RequestKind.CANCEL, facts, missing=missing)


def _resume(rule_id: str, outcome: Outcome, facts: dict[str, Any], *missing: str) -> Example:
    return Example(rule_id, outcome, RequestKind.RESUME, facts, missing=missing)


def _refund(
    rule_id: str,
    outcome: Outcome,
    matter: Matter,
    facts: dict[str, Any],
    amount: int = 0,
    missing: tuple[str, ...] = (),
) -> Example:
    return Example(rule_id, outcome, RequestKind.REFUND, facts, matter, amount, missing)


EXAMPLES = (
    _cancel("J-C1-verify", Outcome.NEED_EVIDENCE, {}, "identity"),
    _cancel("J-C1-verify", Outcome.NEED_EVIDENCE, AVA | {"verified": False}, "identity"),
    _cancel("J-C1-none", Outcome.REFUSE, {"verified": True, "role": "owner", "subscription_status": "none"}),
    _cancel("J-C1-who", Outcome.REFUSE, AVA | {"role": "agent"}),
    _cancel("J-C1-failed", Outcome.INFORM, EVE),
    _cancel("J-C1-ended", Outcome.ALREADY_DONE, GIA),
    _cancel("J-C1-scheduled", Outcome.ALREADY_DONE, LEAVING),
    _cancel("J-C1", Outcome.ALLOW, AVA),
    _cancel("J-C1", Outcome.ALLOW, AVA | {"role": "admin", "cancellation_status": "undone"}),
    _cancel("J-C1-person", Outcome.HANDOFF, {"verified": True, "role": "owner"}),
    _cancel("J-C1-person", Outcome.HANDOFF, {"verified": True, "subscription_status": "active"}),
    _resume("J-C1-resume-verify", Outcome.NEED_EVIDENCE, {"subscription_status": "not_renewing"}, "identity"),
    _resume("J-C1-resume-who", Outcome.REFUSE, LEAVING | {"role": "agent"}),
    _resume("J-C3-released", Outcome.REFUSE, GIA),
    _resume("J-C1-resume", Outcome.ALLOW, LEAVING),
    _resume("J-C1-resume-active", Outcome.ALREADY_DONE, AVA),
    _resume("J-C1-resume-person", Outcome.HANDOFF, LEAVING | {"period_end": "2026-11-22T14:59:59Z"}),
    Example("J-C5-pause", Outcome.REFUSE, RequestKind.PAUSE, AVA),
    Example("J-C5-released", Outcome.INFORM, RequestKind.CHANGE_RENEWAL, GIA),
    Example("J-C5-scheduled", Outcome.INFORM, RequestKind.CHANGE_RENEWAL, LEAVING),
    Example("J-C5", Outcome.INFORM, RequestKind.CHANGE_RENEWAL, AVA),
    Example("J-C5", Outcome.INFORM, RequestKind.CHANGE_RENEWAL, {}),
    Example("J-C1-remove", Outcome.INFORM, RequestKind.REMOVE_NUMBERS, AVA),
    Example("J-R4-open", Outcome.ALREADY_DONE, RequestKind.INVESTIGATE, CARA | {"investigation_status": "open"}),
    Example("J-R8-complete", Outcome.INVESTIGATE, RequestKind.INVESTIGATE, CARA | {"evidence_given": GIVEN}),
    Example("J-R8", Outcome.NEED_EVIDENCE, RequestKind.INVESTIGATE, CARA, missing=tuple(GIVEN)),
    Example(
        "J-R8",
        Outcome.NEED_EVIDENCE,
        RequestKind.INVESTIGATE,
        CARA | {"evidence_given": GIVEN[:4]},
        missing=("description", "since"),
    ),
    _refund("J-R0-verify", Outcome.NEED_EVIDENCE, Matter.DUPLICATE_CHARGE, BEN | {"verified": False}, 0, ("identity",)),
    _refund("J-R1", Outcome.REFUND, Matter.DUPLICATE_CHARGE, BEN, 1500),
    _refund("J-R1", Outcome.REFUND, Matter.GENERAL, BEN, 1500),
    _refund("J-R1", Outcome.REFUND, Matter.DUPLICATE_CHARGE, BEN | {"duplicate_charge_refunded_minor": 500}, 1000),
    _refund(
        "J-R1-amount",
        Outcome.REFUND,
        Matter.DUPLICATE_CHARGE,
        AVA | {"amount_disagrees": True, "wrong_charge_minor": 250, "wrong_charge_refunded_minor": 0},
        250,
    ),
    _refund(
        "J-R1-pending",
        Outcome.ALREADY_DONE,
        Matter.DUPLICATE_CHARGE,
        BEN | {"duplicate_refund_status": "pending", "duplicate_charge_refunded_minor": 1500},
    ),
    _refund(
        "J-R1-done",
        Outcome.ALREADY_DONE,
        Matter.DUPLICATE_CHARGE,
        BEN | {"duplicate_refund_status": "done", "duplicate_charge_refunded_minor": 1500},
    ),
    _refund(
        "J-R1-pending",
        Outcome.ALREADY_DONE,
        Matter.GENERAL,
        BEN | {"duplicate_refund_status": "pending", "duplicate_charge_refunded_minor": 1500},
    ),
    _refund("J-R1-unproven", Outcome.REFUSE, Matter.DUPLICATE_CHARGE, AVA),
    _refund("J-R1-unclear", Outcome.HANDOFF, Matter.DUPLICATE_CHARGE, {"verified": True}),
    _refund("J-R2-invoice", Outcome.NEED_EVIDENCE, Matter.MISSING_NUMBER, {"verified": True}, 0, ("invoice_id",)),
    _refund(
        "J-R2-invoice",
        Outcome.NEED_EVIDENCE,
        Matter.GENERAL,
        {"verified": True, "provisioning_status": "failed"},
        0,
        ("invoice_id",),
    ),
    _refund(
        "J-R2-not-found",
        Outcome.NEED_EVIDENCE,
        Matter.MISSING_NUMBER,
        {"verified": True, "invoice_found": False},
        0,
        ("invoice_id",),
    ),
    _refund("J-R2-unpaid", Outcome.INFORM, Matter.MISSING_NUMBER, EVE | {"invoice_status": "open"}),
    _refund(
        "J-R2-done",
        Outcome.ALREADY_DONE,
        Matter.MISSING_NUMBER,
        EVE | {"invoice_status": "refunded", "invoice_refunded_minor": 1500},
    ),
    _refund("J-R2-pending", Outcome.ALREADY_DONE, Matter.MISSING_NUMBER, EVE | {"refund_pending": True}),
    _refund("J-R2-restore", Outcome.RESTORE, Matter.MISSING_NUMBER, EVE | {"can_restore": True}),
    _refund("J-R2", Outcome.REFUND, Matter.MISSING_NUMBER, EVE, 1500),
    _refund("J-R2", Outcome.REFUND, Matter.GENERAL, EVE, 1500),
    _refund(
        "J-R2-found",
        Outcome.REFUSE,
        Matter.MISSING_NUMBER,
        AVA | {"invoice_found": True, "invoice_status": "paid"},
    ),
    _refund(
        "J-R2-released",
        Outcome.REFUSE,
        Matter.MISSING_NUMBER,
        GIA | {"invoice_found": True, "invoice_status": "paid"},
    ),
    _refund("J-R2-check", Outcome.INVESTIGATE, Matter.MISSING_NUMBER, EVE | {"provisioning_status": "pending"}),
    _refund("J-R2-instead", Outcome.INFORM, Matter.NOT_RECEIVING, EVE),
    _refund("J-R3-pending", Outcome.ALREADY_DONE, Matter.NOT_RECEIVING, DAN | {"refund_pending": True}),
    _refund("J-R7-receiving", Outcome.REFUSE, Matter.NOT_RECEIVING, AVA),
    _refund("J-R7-receiving", Outcome.REFUSE, Matter.NOT_RECEIVING, CARA | {"test_sms_arrived": True}),
    _refund("J-R4-running", Outcome.ALREADY_DONE, Matter.NOT_RECEIVING, CARA | {"investigation_status": "open"}),
    _refund("J-R3", Outcome.REFUND_OR_CREDIT, Matter.NOT_RECEIVING, DAN, 1500),
    _refund("J-R3", Outcome.REFUND_OR_CREDIT, Matter.GENERAL, DAN, 1500),
    _refund("J-R3-pending", Outcome.ALREADY_DONE, Matter.GENERAL, DAN | {"refund_pending": True}),
    _refund("J-R4-running", Outcome.ALREADY_DONE, Matter.GENERAL, CARA | {"investigation_status": "open"}),
    _refund(
        "J-R3",
        Outcome.REFUND_OR_CREDIT,
        Matter.NOT_RECEIVING,
        DAN | {"investigation_cause": "provider", "sms_ever_received": True, "test_sms_arrived": False},
        1500,
    ),
    _refund(
        "J-R3",
        Outcome.REFUND_OR_CREDIT,
        Matter.NOT_RECEIVING,
        DAN
        | {
            "sms_ever_received": True,
            "last_sms_at": "2026-11-01T15:00:00Z",
            "investigation_opened_at": "2026-11-05T15:00:00Z",
        },
        1500,
    ),
    _refund("J-R3-mended", Outcome.REFUSE, Matter.NOT_RECEIVING, DAN | {"restored": True}),
    _refund("J-R3-mended", Outcome.REFUSE, Matter.NOT_RECEIVING, DAN | {"replaced": True}),
    _refund("J-R5-investigated", Outcome.REFUSE, Matter.NOT_RECEIVING, DAN | {"investigation_cause": "platform"}),
    _refund("J-R7-investigated", Outcome.REFUSE, Matter.NOT_RECEIVING, DAN | {"investigation_cause": "customer"}),
    _refund("J-R3-unclear", Outcome.HANDOFF, Matter.NOT_RECEIVING, DAN | {"investigation_cause": "unknown"}),
    _refund("J-R3-unclear", Outcome.HANDOFF, Matter.NOT_RECEIVING, DAN | {"had_fair_chance": False}),
    _refund("J-R3-released", Outcome.HANDOFF, Matter.NOT_RECEIVING, GIA),
    _refund("J-R4", Outcome.INVESTIGATE, Matter.NOT_RECEIVING, CARA, 0, ("test_sms",)),
    _refund("J-R4", Outcome.INVESTIGATE, Matter.NOT_RECEIVING, CARA | {"test_sms_sent": True}),
    _refund(
        "J-R4",
        Outcome.INVESTIGATE,
        Matter.NOT_RECEIVING,
        AVA | {"test_sms_sent": True, "test_sms_arrived": False},
    ),
    _refund("J-R5", Outcome.REFUSE, Matter.PLATFORM_REJECTION, AVA),
    _refund("J-R6", Outcome.REFUSE, Matter.PRORATED, AVA),
    _refund("J-R6", Outcome.REFUSE, Matter.CHANGE_OF_MIND, AVA),
    _refund(
        "J-R6-withdrawal",
        Outcome.HANDOFF,
        Matter.CHANGE_OF_MIND,
        AVA | {"country": "IE", "started_at": "2026-11-12T15:00:00Z"},
    ),
    _refund("J-R6-ended", Outcome.REFUSE, Matter.PRORATED, GIA),
    _refund("J-R6-credits", Outcome.HANDOFF, Matter.UNUSED_CREDITS, AVA),
    _refund("J-R7", Outcome.REFUSE, Matter.GENERAL, AVA),
    _refund("J-R7-ask", Outcome.INFORM, Matter.GENERAL, CARA),
)
