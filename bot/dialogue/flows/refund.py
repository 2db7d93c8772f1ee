"""Money back: what it is about, what the ledger proves, what the rule says, done once, with a receipt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.choices import choose
from bot.dialogue.common import (
    lines,
    more,
    named_in,
    offer_buttons,
    person_for,
    receipt_attachment,
    sentences,
    subscription_choices,
)
from bot.dialogue.flow import Flow
from bot.dialogue.flows.people import hand_over, is_open
from bot.dialogue.registry import CANCEL, DUPLICATE_CHARGE, MISSING_NUMBER, NOT_RECEIVING, REFUND
from bot.dialogue.turn import Turn, Wish
from bot.dialogue.wishes import wish_buttons
from bot.policy.decision import Decision, Matter, Outcome
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.services import accounts, refunds, statements, tickets
from bot.services.refunds import RefundResult
from bot.services.views import InvoiceView

_SAID: Mapping[Matter, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Matter.DUPLICATE_CHARGE: (
        ("charged twice", "double charge", "double charged", "wrong amount", "wrong charge", "overcharged"),
        ("report_duplicate_charge",),
    ),
    Matter.MISSING_NUMBER: (("no number", "missing number", "never got a number"), ("report_missing_number",)),
    Matter.NOT_RECEIVING: (
        ("no texts", "no sms", "not receiving", "no messages"),
        ("report_number_not_receiving",),
    ),
    Matter.PLATFORM_REJECTION: (
        ("app rejected", "rejected", "flagged", "banned", "blocked"),
        ("report_platform_rejection",),
    ),
    Matter.CHANGE_OF_MIND: (
        ("changed my mind", "don't need it", "do not need it", "unused", "didn't use it", "not using it"),
        ("ask_prorated_refund",),
    ),
    Matter.PRORATED: (("unused days", "rest of the month", "days left"), ()),
    Matter.UNUSED_CREDITS: (("credits", "my credits", "balance", "wallet"), ("ask_unused_credits",)),
}
"""Words, and wishes, that mean a matter when it is asked what a refund is about; titles are the pack's."""
_OTHER = Choice(Matter.GENERAL.value, "Something else", ("something else", "other", "none of these", "none of those"))
_CONFIRM = "confirm"
_LISTED = 5  # charges
_FLOW_OF_MATTER = {
    Matter.DUPLICATE_CHARGE.value: DUPLICATE_CHARGE,
    Matter.MISSING_NUMBER.value: MISSING_NUMBER,
    Matter.NOT_RECEIVING.value: NOT_RECEIVING,
}


def tell_result(turn: Turn, result: RefundResult) -> None:
    """Say what was decided and done, in one message: why, the amount and reference, what happens next, the receipt."""
    decision = result.decision
    why, next_steps = sentences(decision.reasons), sentences(decision.next_steps)
    buttons = offer_buttons(turn, decision.offers)
    if result.refund is not None and result.receipt is not None:
        turn.say(
            f"utter_given_{result.refund.kind}",
            why=why,
            amount=result.refund.amount.format(),
            reference=result.refund.reference,
            receipt=result.receipt.reference,
            email=turn.known().email,
            more=more(next_steps),
            attachments=[receipt_attachment(result.receipt)],
            buttons=buttons,
        )
    elif result.existing is not None:
        turn.say(
            f"utter_existing_{result.existing.kind}",
            amount=result.existing.amount.format(),
            reference=result.existing.reference,
            date=turn.day(result.existing.created_at),
            email=turn.known().email,
            buttons=buttons,
        )
    elif result.restored is not None and result.receipt is not None:
        turn.say(
            "utter_restored",
            why=why,
            what=result.restored.label,
            date=turn.day(result.restored.period_end),
            receipt=result.receipt.reference,
            email=turn.known().email,
            more=more(next_steps),
            attachments=[receipt_attachment(result.receipt)],
            buttons=buttons,
        )
    elif result.approval_ticket is not None:
        chosen_by_a_person = decision.outcome is Outcome.REFUND_OR_CREDIT
        turn.say(
            "utter_waits_for_choice" if chosen_by_a_person else "utter_waits_for_release",
            why=why,
            amount=decision.money.format(),
            reference=result.approval_ticket.reference,
            email=turn.known().email,
            more=more(next_steps),
            buttons=[*buttons, *person_for(turn, _left_to_people(turn, decision))],
        )
    elif decision.outcome is Outcome.HANDOFF:
        turn.tell(why, next_steps)
        hand_over(turn, reason=_left_to_people(turn, decision))
    else:
        by_a_person = ["talk_to_human"] if decision.outcome is Outcome.REFUSE else []
        turn.tell(why, next_steps, buttons=offer_buttons(turn, [*decision.offers, *by_a_person]))


def _left_to_people(turn: Turn, decision: Decision) -> str:
    """Why a decision is not the bot's to make: the law may require more, or the policy sets a limit."""
    rule = turn.pack.rule(decision.rule_id)
    return "law" if getattr(rule, "law", None) or getattr(rule, "statement", ()) else "limit"


def request(
    turn: Turn,
    matter: Matter,
    *,
    subscription_id: str | None = None,
    invoice_id: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> RefundResult:
    """Ask the policy for money back, and do what it decides, once for this message."""
    return refunds.request(
        turn.uow,
        pack=turn.pack,
        customer=turn.known(),
        matter=matter,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        conversation_id=turn.conversation_id,
        key=turn.key(f"refund:{matter.value}"),
        now=turn.now,
        extra=extra,
    )


class Refund(Flow):
    """Money back in general.

    Learns: `wish`; `looked` (the records were searched), `matter`; then `target`; `confirmed` where a rule wants a
    statement.
    """

    name = REFUND

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: its words may say what it is about."""
        flow.data["wish"] = turn.wish.to_json()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn what it is about, or which subscription."""
        if answer.via is Via.FORWARD:
            return
        if answer.step == "statement":
            flow.data["confirmed"] = answer.via is not Via.NO and answer.value in ("", _CONFIRM)
        elif answer.step == "matter":
            flow.data["matter"] = answer.value if answer.via is not Via.TEXT else Matter.GENERAL.value
            flow.data["wish"] = turn.wish.to_json()
        else:
            flow.data["target"] = answer.value

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Do what the records already prove. Otherwise find out what it is about and decide that."""
        data = flow.data
        said = Wish.from_json(data["wish"])
        if not data.get("looked"):
            data["looked"] = True
            if named := choose(said.words, _matters(turn.pack), many=False, by_place=False):
                data["matter"] = named[0]
            found = next(proven(turn), None)
            if found is not None and not (named and found[0].outcome is Outcome.ALREADY_DONE):
                tell_result(turn, request(turn, Matter.GENERAL, **found[1]))
                return None
        matter = data.get("matter")
        if matter is None and turn.done is not None and turn.done.flow == CANCEL:
            matter = Matter.CHANGE_OF_MIND.value  # "cancel it and give me my money back", and it is cancelled by now
        if matter is None:
            choices = _matters(turn.pack)
            return turn.ask(flow, "matter", [Expect.CHOICE, Expect.TEXT], "utter_ask_refund_matter", choices=choices)
        if matter in _FLOW_OF_MATTER:
            turn.pass_on(_FLOW_OF_MATTER[matter], said)
            return None
        held = [s for s in accounts.subscriptions(turn.uow, turn.known().customer_id) if s.status != "failed"]
        choices = subscription_choices(turn.pack, held)
        if "target" not in data and len(choices) > 1:
            hinted = named_in(said, choices, many=False, by_place=False)
            if not hinted:
                return turn.ask(flow, "target", [Expect.CHOICE], "utter_ask_which_refund", choices=choices)
            data["target"] = hinted[0]
        target = data.get("target") or (choices[0].value if choices else None)
        if "confirmed" not in data and (asking := self._statement(turn, flow, Matter(matter), target)):
            return asking
        if data.get("confirmed") is False:
            turn.say("utter_kept")
            return None
        result = request(turn, Matter(matter), subscription_id=target)
        if result.decision.statement:
            _declare(turn, result)
        else:
            tell_result(turn, result)
        return None

    @staticmethod
    def _statement(turn: Turn, flow: FlowState, matter: Matter, target: str | None) -> Asking | None:
        """Where the rule wants something declared word for word, have it confirmed in a step of its own."""
        decision = refunds.preview(
            turn.uow, pack=turn.pack, customer=turn.known(), matter=matter, subscription_id=target, now=turn.now
        )
        if not decision.statement:
            return None
        return turn.ask(
            flow,
            "statement",
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_consent",
            choices=[
                Choice(_CONFIRM, "Confirm withdrawal", ("confirm", "withdraw", "i withdraw", "do it")),
                Choice("keep", "Not now", ("not now", "keep it", "keep", "don't")),
            ],
            wording="\n\n".join((sentences(decision.reasons), decision.statement)),
        )


def _matters(pack: Pack) -> list[Choice]:
    """What this brand's customers ask their money back for, and anything else."""
    named = [Choice(each.matter.value, each.title, *_SAID[each.matter]) for each in pack.refund_matters]
    return [*named, _OTHER]


def _declare(turn: Turn, result: RefundResult) -> None:
    """What was confirmed goes to a person, and its dated receipt to the customer."""
    declared = statements.declare(
        turn.uow,
        pack=turn.pack,
        customer=turn.known(),
        decision=result.decision,
        decision_id=result.decision_id,
        conversation_id=turn.conversation_id,
        key=turn.key("statement"),
        now=turn.now,
    )
    turn.say(
        "utter_person_will_answer",
        reference=declared.ticket.reference,
        email=turn.known().email,
        more=more(sentences(result.decision.next_steps)),
        attachments=[receipt_attachment(declared.receipt)],
    )


def proven(turn: Turn) -> Iterator[tuple[Decision, dict[str, Any]]]:
    """What the records prove is due, or was given or asked for before; looking leaves nothing on record."""
    customer = turn.known()
    held = accounts.subscriptions(turn.uow, customer.customer_id)
    invoice_of: dict[str | None, InvoiceView] = {}
    for invoice in accounts.invoices(turn.uow, customer.customer_id):
        invoice_of.setdefault(invoice.subscription_id, invoice)
    subjects: list[dict[str, Any]] = [{}]
    for subscription in held:
        if subscription.status == "failed" and subscription.id in invoice_of:
            subjects.append({"invoice_id": invoice_of[subscription.id].id})
        else:
            subjects.append({"subscription_id": subscription.id})
    for subject in subjects:
        decision = refunds.preview(
            turn.uow, pack=turn.pack, customer=customer, matter=Matter.GENERAL, now=turn.now, **subject
        )
        if decision.outcome.pays or decision.outcome in (Outcome.RESTORE, Outcome.ALREADY_DONE):
            yield decision, subject


def tell_charges_of(turn: Turn, named: Money) -> None:
    """Say which charges an amount that the customer named is: so a misheard one shows. The ledger decides, not this."""
    charges = [
        charge for invoice in accounts.invoices(turn.uow, turn.known().customer_id) for charge in invoice.charges
    ]
    charges.sort(key=lambda charge: charge.charged_at, reverse=True)
    listed = [f"{turn.day(charge.charged_at)}: {charge.amount.format()} ({charge.invoice_id})" for charge in charges]
    same = [line for line, charge in zip(listed, charges, strict=True) if charge.amount == named]
    if same:
        turn.say("utter_charges_of_amount", amount=named.format(), charges=lines(same[:_LISTED]))
    elif listed:
        turn.say("utter_no_charge_of_amount", amount=named.format(), charges=lines(listed[:_LISTED]))


class DuplicateCharge(Flow):
    """A charge that should not be there: the ledger is looked at, not the claim. Learns: `wish`."""

    name = DUPLICATE_CHARGE

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: it may name an amount."""
        flow.data["wish"] = turn.wish.to_json()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Nothing more to learn: the ledger tells."""

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Say what the amount is that they named, if they did; decide and do."""
        if named := Wish.from_json(flow.data["wish"]).money():
            tell_charges_of(turn, named)
        tell_result(turn, request(turn, Matter.DUPLICATE_CHARGE))
        return None


class MissingNumber(Flow):
    """Charged, but no number. Learns: `wish`, `invoice`."""

    name = MISSING_NUMBER

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: it may name the invoice."""
        flow.data["wish"] = turn.wish.to_json()
        if invoice := turn.wish.entity("invoice_id"):
            flow.data["invoice"] = invoice.upper()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn which invoice."""
        if answer.via is not Via.FORWARD:
            flow.data["invoice"] = answer.value.upper()

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Find the invoice, by asking if need be; then decide and do."""
        customer = turn.known()
        invoices = accounts.invoices(turn.uow, customer.customer_id, limit=5)
        choices = [
            Choice(i.id, f"{i.id} · {i.amount.format()} · {turn.day(i.issued_at)}", (i.id, i.id.split("-")[-1]))
            for i in invoices
        ]
        named = flow.data.get("invoice")
        if named is None:
            said = Wish.from_json(flow.data["wish"])
            hinted = choose(said.words, choices, many=False, by_place=False)
            hinted = hinted or tuple(invoice.id for invoice in invoices if invoice.amount == said.money())
            named = hinted[0] if len(hinted) == 1 else None
        if named is None or accounts.find_invoice(turn.uow, customer.customer_id, named) is None:
            flow.data.pop("invoice", None)
            return turn.ask(
                flow,
                "invoice",
                [Expect.INVOICE, Expect.CHOICE],
                "utter_ask_invoice" if named is None else "utter_invoice_not_found",
                choices=choices,
                invoice=named or "",
                beside=wish_buttons(["talk_to_human"]),
            )
        result = request(turn, Matter.MISSING_NUMBER, invoice_id=named)
        if result.decision.outcome is Outcome.INVESTIGATE:
            self._trace(turn, named, result)
        else:
            tell_result(turn, result)
        return None

    @staticmethod
    def _trace(turn: Turn, invoice_id: str, result: RefundResult) -> None:
        """The records do not tell what became of the number: a case for the people who trace orders."""
        customer = turn.known()
        why, next_steps = sentences(result.decision.reasons), sentences(result.decision.next_steps)
        subject = f"{invoice_id}: paid, but no number"
        known = [t for t in tickets.tickets_of(turn.uow, customer_id=customer.customer_id) if t.subject == subject]
        ticket = next(filter(is_open, known), None) or tickets.open_ticket(
            turn.uow,
            brand=turn.pack.brand.id,
            kind="problem",
            subject=subject,
            summary=why,
            customer_id=customer.customer_id,
            contact_email=customer.email,
            conversation_id=turn.conversation_id,
            details={"invoice_id": invoice_id, "decision_id": result.decision_id},
            idempotency_key=turn.key("trace"),
            now=turn.now,
        )
        turn.say("utter_traced", why=why, reference=ticket.reference, email=customer.email, more=more(next_steps))
