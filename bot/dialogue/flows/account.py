"""Showing customers what is theirs: subscriptions, invoices, refunds, cancellations, tickets."""

from __future__ import annotations

from bot.dialogue.asking import Answer, Asking, FlowState
from bot.dialogue.common import every, lines, sentences
from bot.dialogue.flow import Flow
from bot.dialogue.flows.refund import proven
from bot.dialogue.registry import ACCOUNT
from bot.dialogue.turn import Turn, Wish, wish
from bot.dialogue.wishes import wish_buttons
from bot.errors import NotFound
from bot.policy.decision import Outcome
from bot.services import accounts, cancellations, tickets
from bot.services.views import InvoiceView, RefundView, SubscriptionView, called

_SHOWN = 6


class Account(Flow):
    """Reads and tells. Learns: `wish`."""

    name = ACCOUNT
    needs_fresh_proof = False
    restarts = True

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Which part of the account is wanted."""
        flow.data["wish"] = turn.wish.to_json()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Nothing is asked but for proof."""

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Tell it."""
        wanted = Wish.from_json(flow.data["wish"])
        show = {
            "check_subscription": self._subscriptions,
            "check_invoices": self._invoices,
            "check_refund_status": self._refunds,
            "check_cancellation_status": self._cancellations,
            "check_ticket": self._tickets,
        }[wanted.intent]
        show(turn, wanted)
        return None

    @staticmethod
    def _subscriptions(turn: Turn, wanted: Wish) -> None:
        held = accounts.subscriptions(turn.uow, turn.known().customer_id)
        if not held:
            turn.say("utter_no_subscriptions")
            return
        turn.say("utter_subscriptions", lines=lines(_subscription_line(turn, subscription) for subscription in held))

    @staticmethod
    def _invoices(turn: Turn, wanted: Wish) -> None:
        customer_id = turn.known().customer_id
        named = wanted.entity("invoice_id")
        invoices = accounts.invoices(turn.uow, customer_id, limit=_SHOWN)
        one = accounts.find_invoice(turn.uow, customer_id, named.upper()) if named else None
        if one is not None:
            turn.say("utter_invoice", line=_invoice_line(turn, one))
        elif named:
            turn.say(
                "utter_invoice_not_found",
                invoice=named.upper(),
                buttons=wish_buttons(["check_invoices", "talk_to_human"]),
            )
        elif invoices:
            turn.say("utter_invoices", lines=lines(_invoice_line(turn, invoice) for invoice in invoices))
        else:
            turn.say("utter_no_invoices")

    @staticmethod
    def _refunds(turn: Turn, wanted: Wish) -> None:
        found = accounts.refunds(turn.uow, turn.known().customer_id)[:_SHOWN]
        due = (
            next((each for each, _ in proven(turn) if each.outcome is not Outcome.ALREADY_DONE), None)
            if not found
            else None
        )
        if due is not None:
            turn.say("utter_refund_due", why=sentences(due.reasons), buttons=[wish("request_refund", "Get it back")])
        elif not found:
            turn.say("utter_no_refunds", buttons=wish_buttons(["request_refund", "ask_refund_policy"]))
        elif len(found) == 1:
            refund = found[0]
            turn.say(
                f"utter_status_{refund.kind}",
                reference=refund.reference,
                amount=refund.amount.format(),
                date=turn.day(refund.created_at),
            )
        else:
            turn.say("utter_refunds", lines=lines(_refund_line(turn, refund) for refund in found))

    @staticmethod
    def _cancellations(turn: Turn, wanted: Wish) -> None:
        customer_id = turn.known().customer_id
        found = cancellations.status(turn.uow, customer_id=customer_id)[:_SHOWN]
        labels = {s.id: called(turn.pack, s) for s in accounts.subscriptions(turn.uow, customer_id)}
        ended = {"scheduled": "ends on", "effective": "ended on"}
        undo = wish_buttons(["resume_subscription"]) if any(c.status == "scheduled" for c in found) else []
        paused = [s for s in accounts.subscriptions(turn.uow, customer_id) if s.open_pause and s.status == "active"]
        if paused:
            turn.say(
                "utter_pauses",
                lines=lines(f"{called(turn.pack, s)}: {_state(turn, s)}" for s in paused),
                buttons=[] if found else [wish("resume_subscription", "End the pause")],
            )
        if paused and not found:
            return
        if not found:
            turn.say("utter_no_cancellations", buttons=wish_buttons(["cancel_subscription"]))
        elif len(found) == 1:
            cancellation = found[0]
            turn.say(
                f"utter_cancellation_{cancellation.status}",
                what=labels.get(cancellation.subscription_id, cancellation.subscription_id),
                date=turn.day(cancellation.effective_at),
                reference=cancellation.reference,
                buttons=undo,
            )
        else:
            turn.say(
                "utter_cancellations",
                lines=lines(
                    f"{labels.get(c.subscription_id, c.subscription_id)}: {ended[c.status]} {turn.day(c.effective_at)}"
                    f" ({c.reference})"
                    if c.status in ended
                    else f"{labels.get(c.subscription_id, c.subscription_id)}: undone, goes on ({c.reference})"
                    for c in found
                ),
                buttons=undo,
            )

    @staticmethod
    def _tickets(turn: Turn, wanted: Wish) -> None:
        customer_id = turn.known().customer_id
        reference = wanted.entity("ticket_id")
        found = tickets.tickets_of(turn.uow, customer_id=customer_id, conversation_id=turn.conversation_id)[:_SHOWN]
        try:
            if reference:
                found = [
                    tickets.ticket_view(
                        turn.uow, reference, customer_id=customer_id, conversation_id=turn.conversation_id
                    )
                ]
        except NotFound:
            turn.say(
                "utter_ticket_not_found",
                reference=reference.upper() if reference else "",
                buttons=wish_buttons(["check_ticket", "open_ticket"]),
            )
            return
        if not found:
            turn.say("utter_no_tickets", buttons=wish_buttons(["open_ticket", "talk_to_human"]))
        elif len(found) == 1:
            ticket = found[0]
            turn.say(
                "utter_ticket_status",
                reference=ticket.reference,
                subject=ticket.subject,
                status=ticket.status.value,
                date=turn.day(ticket.updated_at),
            )
        else:
            turn.say(
                "utter_tickets",
                lines=lines(
                    f"{t.reference}, “{t.subject}”: {t.status.value}, last updated on {turn.day(t.updated_at)}"
                    for t in found
                ),
            )


def _subscription_line(turn: Turn, s: SubscriptionView) -> str:
    product = turn.pack.product(s.product)
    what = f"{s.label} ({product.title if product else s.plan}, {s.price.format()} {every(s.interval_months)})"
    return f"{what}: {_state(turn, s)}"


def _state(turn: Turn, s: SubscriptionView) -> str:
    ends = turn.day(s.cancellation.effective_at if s.cancellation else s.period_end)
    pause = s.open_pause
    if s.status == "active" and pause is not None and turn.now < pause.resumes_at:
        until = f"until {turn.day(pause.resumes_at)}, and costs nothing until then"
        begun = pause.starts_at <= turn.now
        return f"is paused {until}" if begun else f"is paused from {turn.day(pause.starts_at)} {until}"
    paused = "stays paused" if pause is not None and pause.is_on(turn.now) else "works"
    states = {
        "active": f"renews on {turn.day(s.period_end)}",
        "not_renewing": f"will not renew, {paused} until {ends}",
        "failed": "could not be set up",
        "ended": f"ended on {ends}",
    }
    return states[s.status]


def _invoice_line(turn: Turn, invoice: InvoiceView) -> str:
    charged = f", charged {len(invoice.charges)} times" if len(invoice.charges) > 1 else ""
    refunded = "".join(f", {charge.refunded.format()} refunded" for charge in invoice.charges if charge.refunded)
    return (
        f"{invoice.id}, {turn.day(invoice.issued_at)}: {invoice.amount.format()}, {invoice.status}{charged}{refunded}"
    )


def _refund_line(turn: Turn, refund: RefundView) -> str:
    states = {"refund": "refunded", "credit": "given as service credit", "pending": "waits for our team's decision"}
    return f"{refund.reference}, {turn.day(refund.created_at)}: {refund.amount.format()}, {states[refund.kind]}"
