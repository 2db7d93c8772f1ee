"""Everything known for one decision: the store's facts, the request's own, and what follows from both."""

from __future__ import annotations

from bot.policy.conditions import holds
from bot.policy.dates import days_between
from bot.policy.decision import Request
from bot.policy.errors import RequestError
from bot.policy.facts import Facts, FactValue
from bot.policy.pack import Pack


def complete(pack: Pack, facts: Facts, request: Request) -> Facts:
    """Add the request's facts and derive those of origin `derived` that nobody gave. Raises RequestError.

    Days are counted in the brand's calendar and never negative.
    """
    if request.product is not None and pack.product(request.product) is None:
        known = ", ".join(product.id for product in pack.products)
        raise RequestError("product", f"must be one of {known}, not {request.product!r}")
    asked = facts.with_(
        now=request.now, matter=request.matter.value if request.matter else None, product=request.product
    )
    derived = {name: value for name, value in _derive(pack, asked, request).items() if name not in facts}
    enriched = asked.with_(**derived)
    if "evidence_complete" in enriched:
        return enriched
    return enriched.with_(evidence_complete=not missing_fields(pack, enriched))


def missing_fields(pack: Pack, facts: Facts) -> tuple[str, ...]:
    """Return the evidence an investigation requires and the facts do not show yet, in the order it is asked for."""
    required = (field.evidence for field in pack.investigation.fields if field.required)
    return missing_evidence(pack, facts, tuple(required))


def missing_evidence(pack: Pack, facts: Facts, needs: tuple[str, ...]) -> tuple[str, ...]:
    """Return those ids of `needs` that the facts do not show to be there."""
    return tuple(need for need in needs if not holds(pack.evidence[need].have, facts, pack.brand.zone))


def _derive(pack: Pack, facts: Facts, request: Request) -> dict[str, FactValue]:
    zone = pack.brand.zone
    start, end, last = (facts.moment(name) for name in ("period_start", "period_end", "last_sms_at"))
    derived: dict[str, FactValue] = {}
    if start:
        derived["days_into_period"] = max(days_between(start, request.now, zone), 0)
    if end:
        derived["days_left"] = max(days_between(request.now, end, zone), 0)
    if start and end:
        derived["period_days"] = max(days_between(start, end, zone), 0)
    if last:
        derived["days_since_last_sms"] = max(days_between(last, request.now, zone), 0)
    role = facts.text("role")
    if role:
        derived["may_cancel"] = role in pack.cancel.who_may.roles
    return derived
