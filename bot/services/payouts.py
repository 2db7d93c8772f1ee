"""The one place where money or credit goes back to a customer: on a decision, once, never more than was paid."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, update

from bot.errors import Conflict
from bot.ids import new_id
from bot.policy.dates import format_date
from bot.policy.decision import Decision
from bot.policy.pack import Pack
from bot.services import accounts, audit, wallet
from bot.services.receipts import ReceiptContent, ReceiptView, make_receipt
from bot.services.rows import row, rows
from bot.services.views import CustomerRef, RefundView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

Choice = Literal["refund", "credit"]


def give(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    choice: Choice,
    charge_id: str,
    decision_id: str,
    decision: Decision,
    conversation_id: str | None,
    actor: str,
    key: str,
    now: datetime,
) -> tuple[RefundView, ReceiptView]:
    """Give a decision's amount back for a charge as money or as credit, once for each decision, with a receipt.

    Raises Conflict when the charge has had a refund (or credit) before, or its ledger no longer has that much left:
    the decision was then made from a ledger that changed.
    """
    given = accounts.given_by(uow, decision_id)
    if given is None:
        charge = _take(uow, choice, charge_id, decision)
        made = _row(choice, charge, customer, decision_id, decision, key, now)
        made.reference = f"{_SERIES[choice]}-{uow.next_number(_SERIES[choice]):06d}"
        uow.add(made)
        _note(uow, choice, made.reference, charge_id, decision_id, decision, actor, now)
        given = accounts.given_by(uow, decision_id)
    if given is None:
        raise Conflict("What this decision gave back cannot be found.", decision_id=decision_id)
    return given, _receipt(uow, pack, customer, given, decision, conversation_id, key, now)


def credit_unsent(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    decision_id: str,
    decision: Decision,
    conversation_id: str | None,
    actor: str,
    key: str,
    now: datetime,
) -> tuple[RefundView, ReceiptView]:
    """Credit a decision's amount for messages that were not sent to the wallet, once for each decision, with a receipt.

    The messages are marked, so that none is credited twice. Raises Conflict when those that wait are not worth the
    amount that was decided.
    """
    given = accounts.given_by(uow, decision_id)
    if given is None:
        decided = uow.get(t.Decision, decision_id)
        _mark_credited(uow, decided, decision)
        wallet.put(
            uow,
            account_id=decided.account_id,
            amount=decision.money,
            kind="unsent_messages",
            key=f"{key}:wallet",
            now=now,
        )
        reference = f"{_SERIES['credit']}-{uow.next_number(_SERIES['credit']):06d}"
        uow.add(
            t.Credit(
                id=new_id("crd"),
                reference=reference,
                account_id=decided.account_id,
                decision_id=decision_id,
                amount_minor=decision.amount,
                currency=decision.currency,
                reason=decision.rule_id,
                created_at=now,
                idempotency_key=key,
            )
        )
        _note(uow, "credit", reference, None, decision_id, decision, actor, now)
        given = accounts.given_by(uow, decision_id)
    if given is None:
        raise Conflict("What this decision gave back cannot be found.", decision_id=decision_id)
    return given, _receipt(uow, pack, customer, given, decision, conversation_id, key, now)


def had(uow: UnitOfWork, charge_id: str, choice: Choice) -> bool:
    """Whether a charge has had its one refund, or its one credit."""
    return row(uow, select(_TABLES[choice].id).where(_TABLES[choice].charge_id == charge_id)) is not None


_SERIES: dict[Choice, str] = {"refund": "RFD", "credit": "CRD"}
_TABLES: dict[Choice, Any] = {"refund": t.Refund, "credit": t.Credit}
_TITLES: dict[str, str] = {"refund": "Refund", "credit": "Credit"}


def _note(
    uow: UnitOfWork,
    choice: Choice,
    reference: str,
    charge_id: str | None,
    decision_id: str,
    decision: Decision,
    actor: str,
    now: datetime,
) -> None:
    audit.record(
        uow,
        actor=actor,
        action=f"{choice}.issued",
        subject=reference,
        data={
            "charge_id": charge_id,
            "amount_minor": decision.amount,
            "currency": decision.currency,
            "rule_id": decision.rule_id,
            "decision_id": decision_id,
        },
        now=now,
    )


def _mark_credited(uow: UnitOfWork, decided: Any, decision: Decision) -> None:
    """Mark the messages that the cancelled subscription's end came before, if they are worth what was decided."""
    end = row(
        uow,
        select(t.Cancellation.effective_at)
        .where(t.Cancellation.subscription_id == decided.subject, t.Cancellation.status != "undone")
        .order_by(t.Cancellation.requested_at.desc()),
    )
    waiting = select(t.ScheduledMessage).where(
        t.ScheduledMessage.account_id == decided.account_id,
        t.ScheduledMessage.status == "scheduled",
        t.ScheduledMessage.send_at >= end,
    )
    messages = rows(uow, waiting.with_for_update())
    worth = sum(message.quantity * message.unit_price_minor for message in messages)
    if worth != decision.amount or any(message.currency != decision.currency for message in messages):
        raise Conflict("The messages that wait are not worth what was decided.", worth=worth, decided=decision.amount)
    for message in messages:
        message.status = "credited"
    uow.session.flush()


def _take(uow: UnitOfWork, choice: Choice, charge_id: str, decision: Decision) -> Any:
    """Count the amount as given back, if the ledger is as it was read; whoever comes second changes nothing."""
    charge = row(uow, select(t.Charge).where(t.Charge.id == charge_id))
    before = (charge.refunded_minor, charge.credited_minor)
    if had(uow, charge_id, choice):
        raise Conflict(f"That charge has had a {choice} before.", charge_id=charge_id)
    if charge.currency != decision.currency or sum(before) + decision.amount > charge.amount_minor:
        raise Conflict("That charge does not have this much left to give back.", charge_id=charge_id)
    column = "refunded_minor" if choice == "refund" else "credited_minor"
    changed = uow.session.execute(
        update(t.Charge)
        .where(t.Charge.id == charge_id, t.Charge.refunded_minor == before[0], t.Charge.credited_minor == before[1])
        .values({column: getattr(charge, column) + decision.amount})
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount != 1:
        raise Conflict("That charge was changed at the same moment; nothing was given back.", charge_id=charge_id)
    return charge


def _row(
    choice: Choice,
    charge: Any,
    customer: CustomerRef,
    decision_id: str,
    decision: Decision,
    key: str,
    now: datetime,
) -> Any:
    shared: dict[str, Any] = {
        "charge_id": charge.id,
        "decision_id": decision_id,
        "amount_minor": decision.amount,
        "currency": decision.currency,
        "created_at": now,
        "idempotency_key": key,
    }
    if choice == "refund":
        return t.Refund(id=new_id("rfd"), customer_id=customer.customer_id, status="issued", **shared)
    return t.Credit(id=new_id("crd"), account_id=charge.account_id, reason=decision.rule_id, **shared)


def _receipt(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    given: RefundView,
    decision: Decision,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> ReceiptView:
    charge = row(uow, select(t.Charge).where(t.Charge.id == given.charge_id))
    content = ReceiptContent(
        title=_TITLES[given.kind],
        what=f"Invoice {given.invoice_id}" if charge else "Scheduled messages that were not sent",
        done_at=given.created_at,
        reference=given.reference,
        rule_ids=(decision.rule_id,),
        policy_version=decision.policy_version,
        money=given.amount,
        details=(("Charged on", format_date(charge.charged_at, pack.brand.zone)),) if charge else (),
    )
    return make_receipt(
        uow,
        kind=given.kind,
        brand=pack.brand,
        customer_id=customer.customer_id,
        conversation_id=conversation_id,
        content=content,
        idempotency_key=f"{key}:receipt",
        now=now,
    )
