"""The record of decisions: each kept with the request, the facts and the pack's version, so that it can be replayed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from bot.errors import Conflict, NotFound
from bot.ids import new_id
from bot.policy.decide import decide
from bot.policy.decision import Decision, Request
from bot.policy.facts import Facts
from bot.policy.pack import Pack
from bot.services.rows import row
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


def record(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    conversation_id: str | None,
    subject: str | None,
    request: Request,
    facts: Facts,
    decision: Decision,
    key: str,
    now: datetime,
    account_id: str | None = None,
) -> str:
    """Keep a decision, once for each key; returns its id. `subject` is the subscription, charge or invoice it is about.

    Raises Conflict when the key was used for another customer or kind of request.
    """
    known = row(uow, select(t.Decision).where(t.Decision.idempotency_key == key))
    if known is not None:
        if (known.customer_id, known.kind) != (customer.customer_id, request.kind.value):
            raise Conflict("That key was already used for another decision.", key=key)
        return str(known.id)
    made = t.Decision(
        id=new_id("dec"),
        brand=pack.brand.id,
        customer_id=customer.customer_id,
        account_id=account_id,
        conversation_id=conversation_id,
        subject=subject,
        kind=request.kind.value,
        matter=request.matter.value if request.matter else None,
        outcome=decision.outcome.value,
        rule_id=decision.rule_id,
        policy_version=decision.policy_version,
        amount_minor=decision.amount,
        currency=decision.currency,
        request=request.to_json(),
        facts=facts.to_json(),
        decision=decision.to_json(),
        created_at=now,
        idempotency_key=key,
    )
    uow.add(made)
    return str(made.id)


def stored(uow: UnitOfWork, key: str) -> tuple[str, Decision] | None:
    """The id and the decision kept under that key, None if there is none."""
    known = row(uow, select(t.Decision).where(t.Decision.idempotency_key == key))
    return None if known is None else (str(known.id), Decision.from_json(known.decision))


def basis(uow: UnitOfWork, decision_id: str) -> tuple[Facts, Request]:
    """The facts and the request that a decision was made from. Raises NotFound."""
    known = uow.get(t.Decision, decision_id)
    if known is None:
        raise NotFound("There is no such decision.")
    return Facts.from_json(known.facts), Request.from_json(known.request)


def replay(uow: UnitOfWork, decision_id: str, pack: Pack) -> Decision:
    """Decide again from the kept facts. Raises NotFound, or Conflict if the pack is not of the version that decided."""
    facts, request = basis(uow, decision_id)
    version = uow.get(t.Decision, decision_id).policy_version
    if version != pack.version:
        raise Conflict(f"This was decided by policy version {version}, and {pack.version} is loaded.", version=version)
    return decide(pack, facts, request)
