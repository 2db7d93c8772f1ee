"""The pure heart of policy: pack, facts and request give a decision, a plan or an answer, always the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bot.policy.amounts import Part, balance, evaluate
from bot.policy.conditions import holds
from bot.policy.dates import DateExpression, Each, Shift, facts_of, format_date, resolve, shift
from bot.policy.decision import (
    Approval,
    CancellationPlan,
    Decision,
    Effect,
    Outcome,
    PausePlan,
    PlannedEvent,
    Request,
    Source,
)
from bot.policy.errors import RequestError, UnknownDateError
from bot.policy.facts import CHARGES, Facts
from bot.policy.knowledge import complete, missing_evidence
from bot.policy.money import Money
from bot.policy.pack import Alternative, Consent, DatedTerm, EventTerm, Pack, PauseLength, Rule, Says, UndoTerm
from bot.policy.wording import currency_of, render

MOST_ALTERNATIVES = 2


@dataclass(frozen=True)
class Answered:
    """An answer with its words filled in; `personal` when it speaks about this account."""

    says: tuple[str, ...]
    rule_ids: tuple[str, ...]
    source: Source
    offers: tuple[str, ...]
    personal: bool


@dataclass(frozen=True)
class MemberMessage:
    """A mail to another member of the account; `body` has a paragraph each."""

    subject: str
    body: tuple[str, ...]


def decide(pack: Pack, facts: Facts, request: Request) -> Decision:
    """Decide a request by the first rule of its kind whose condition is known to hold.

    A rule's amount is what the customer is entitled to in all of its charge: never more than was charged, and less what
    was given back already. When the ledger does not tell, a person takes over; when nothing is left, it is done.
    Raises RequestError for a product the brand does not have.
    """
    known = complete(pack, facts, request)
    # The loader guarantees that the last rule of each kind is unconditional.
    rule = next(rule for rule in pack.rules[request.kind] if _applies(pack, rule, known, request.now))
    if rule.outcome.pays:
        return _pay(pack, rule, known)
    return _conclude(pack, rule, known, rule.outcome, _words(pack, rule.says, known))


def decide_from_json(pack: Pack, values: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """Decide `{"request": {...}, "facts": {...}}` and return the decision as plain JSON values.

    `now` serves when the request names no moment. Raises RequestError or FactError naming what is wrong.
    """
    if not isinstance(values, Mapping):
        raise RequestError("(all)", "must be an object with `request` and `facts`")
    for key in values:
        if key not in ("request", "facts"):
            raise RequestError(str(key), "is not known here; there are `request` and `facts`")
    asked = values.get("request")
    if not isinstance(asked, Mapping):
        raise RequestError("(all)", "is missing" if asked is None else "must be an object")
    if now is not None and asked.get("now") is None:
        asked = {**asked, "now": now.isoformat()}
    return decide(pack, Facts.from_json(values.get("facts", {})), Request.from_json(asked)).to_json()


def plan_cancellation(pack: Pack, facts: Facts, request: Request) -> CancellationPlan:
    """Say what cancelling at `request.now` does and when, with this account's dates and amounts.

    It takes effect now at the earliest, also when the stored period is over already. Effects whose words need facts
    that are not known are left out. Raises UnknownDateError when a promised date cannot be computed.
    """
    zone = pack.brand.zone
    terms = pack.cancel
    known = complete(pack, facts, request).with_(cancelled_at=request.now, effective_at=None, undo_until=None)
    term = _effective(pack, known)
    effective_at = max(_date(term.at, term.rule_id, known, pack), request.now)
    known = known.with_(effective_at=effective_at)

    undo = _undo(pack, known)
    undo_until = _date(undo.at, undo.rule_id, known, pack) if undo else None
    known = known.with_(undo_until=undo_until)
    effects = _effects(pack, known)
    events = sorted(
        (
            PlannedEvent(event.kind, max(at, request.now), event.rule_id)
            for event in terms.events
            if holds(event.when, known, zone)
            for at in _moments(event, known, pack)
        ),
        key=lambda event: event.at,
    )
    rule_ids = [term.rule_id, *(e.rule_id for e in effects), *(e.rule_id for e in events)]
    return CancellationPlan(
        effective_at=effective_at,
        effects=effects,
        events=tuple(events),
        undo_until=undo_until,
        undo_says=_words(pack, undo.says, known, _at(undo_until, pack)) if undo else (),
        rule_ids=tuple(dict.fromkeys([*rule_ids, undo.rule_id] if undo else rule_ids)),
        policy_version=pack.version,
    )


def plan_pause(pack: Pack, facts: Facts, request: Request, length: PauseLength) -> PausePlan:
    """Say from when until when a pause asked for at `request.now` lasts, and what it means.

    Months are counted in the brand's calendar. Raises ValueError for a pack without a pause, UnknownDateError when the
    start cannot be computed.
    """
    terms = pack.pause
    if terms is None:
        raise ValueError(f"{pack.brand.id} has no pause")
    known = complete(pack, facts, request).with_(pause_starts_at=None, pause_resumes_at=None)
    starts_at = max(_date(terms.starts, terms.rule_id, known, pack), request.now)
    resumes_at = shift(starts_at, Shift("now", months=length.months), pack.brand.zone)
    known = known.with_(pause_starts_at=starts_at, pause_resumes_at=resumes_at, pause_months=length.months)
    return PausePlan(
        starts_at=starts_at,
        resumes_at=resumes_at,
        says=_words(pack, terms.says, known),
        rule_ids=(terms.rule_id,),
        policy_version=pack.version,
    )


def alternatives(pack: Pack, facts: Facts, request: Request) -> tuple[Alternative, ...]:
    """Return what is worth offering instead of cancelling: the first two that apply, with their words filled in."""
    known = complete(pack, facts, request)
    found = []
    for alternative in pack.cancel.alternatives:
        says = _words(pack, (alternative.says,), known)
        if says and holds(alternative.when, known, pack.brand.zone):
            found.append(replace(alternative, says=says[0]))
    return tuple(found[:MOST_ALTERNATIVES])


def removal_offer(pack: Pack, facts: Facts, request: Request) -> tuple[str, ...]:
    """Return the offer to remove numbers first, with its words filled in; nothing when there is nothing to offer.

    Removing them is decided by a request of kind REMOVE_NUMBERS, with the fact `chosen_numbers`.
    """
    term = pack.cancel.remove_numbers
    known = complete(pack, facts, request)
    if term is None or not holds(term.when, known, pack.brand.zone):
        return ()
    return _words(pack, term.says, known)


def consents(pack: Pack, facts: Facts, request: Request) -> tuple[Consent, ...]:
    """Return the consents that this customer must give before cancelling."""
    known = complete(pack, facts, request)
    return tuple(consent for consent in pack.cancel.consents if holds(consent.when, known, pack.brand.zone))


def answer(pack: Pack, facts: Facts, request: Request, intent: str) -> Answered | None:
    """Answer a question from the pack: for this account where the facts allow, otherwise for anyone. None: no answer.

    The request gives the moment and the product; its kind does not matter. Where nothing is cancelled, `effective_at`
    and the dates that rest on it are those of a cancellation made now.
    """
    found = pack.answers.get(intent)
    if found is None:
        return None
    known = _if_cancelled(pack, complete(pack, facts, request), request)
    for variant in found.for_account:
        if holds(variant.when, known, pack.brand.zone):
            says = _words(pack, variant.says, known)
            if len(says) == len(variant.says):
                return Answered(says, found.rule_ids, found.source, found.offers, personal=True)
    return Answered(_words(pack, found.says, known), found.rule_ids, found.source, found.offers, personal=False)


def message_to_member(pack: Pack, *, who: str, what: str) -> MemberMessage:
    """Word the mail that tells members of an account that `who` asked for `what`, which only they can do.

    Raises ValueError for a pack without a rule that can `tell`.
    """
    if "tell_message" not in pack.texts:
        raise ValueError(f"{pack.brand.id} tells nobody")  # the loader lets no rule without these texts through
    named = {"who": who, "what": what}
    subject, body = (render(pack.texts[name], pack.brand, Facts(), named) for name in ("tell_subject", "tell_message"))
    return MemberMessage(" ".join(subject), body)


def _applies(pack: Pack, rule: Rule, known: Facts, now: datetime) -> bool:
    """Whether the rule's law, if it has one, is in force on the brand's day, and its condition is known to hold."""
    in_force = rule.law is None or now.astimezone(pack.brand.zone).date() >= rule.law.since
    return in_force and holds(rule.when, known, pack.brand.zone)


def _pay(pack: Pack, rule: Rule, known: Facts) -> Decision:
    if rule.charge is None:
        raise ValueError(f"rule {rule.id} pays but names no charge")  # the loader lets no such rule through
    entitled = evaluate(rule.amount or Part(CHARGES[rule.charge].charged), known)
    ledger = balance(rule.charge, known)
    if entitled is None or ledger is None:
        return _conclude(pack, rule, known, Outcome.HANDOFF, _text(pack, known, "amount_unknown"))
    charged, returned = ledger
    amount = Money(max(min(entitled, charged) - returned, 0), currency_of(pack.brand, known))
    if not amount and returned:
        return _conclude(pack, rule, known, Outcome.ALREADY_DONE, _text(pack, known, "nothing_left"))
    if not amount:
        return _conclude(pack, rule, known, Outcome.REFUSE, _text(pack, known, "nothing_due"))
    extra = {"amount": amount.format()}
    decision = _conclude(pack, rule, known, rule.outcome, _words(pack, rule.says, known, extra))
    return replace(
        decision,
        amount=amount.minor,
        charge=rule.charge,
        approval=_approval(pack, rule, amount),
        next_steps=_words(pack, rule.next_steps, known, extra),
    )


def _conclude(pack: Pack, rule: Rule, known: Facts, outcome: Outcome, reasons: tuple[str, ...]) -> Decision:
    as_the_rule_says = outcome is rule.outcome
    return Decision(
        outcome=outcome,
        rule_id=rule.id,
        policy_version=pack.version,
        amount=0,
        currency=currency_of(pack.brand, known),
        reasons=reasons,
        source=rule.source,
        missing_evidence=missing_evidence(pack, known, rule.needs),
        next_steps=_words(pack, rule.next_steps, known) if as_the_rule_says else (),
        offers=rule.offers if as_the_rule_says else ("talk_to_human",),
        tell=rule.tell if as_the_rule_says else None,
        statement=" ".join(_words(pack, rule.statement, known)) or None,
    )


def _approval(pack: Pack, rule: Rule, amount: Money) -> Approval:
    """Return who must agree: a choice between refund and credit, or a foreign currency, is never automatic."""
    limits = pack.limits
    foreign = amount.currency != pack.brand.currency
    if Approval.TWO is rule.approval or amount.minor > limits.second_approver_above_minor:
        return Approval.TWO
    if amount.minor > limits.approve_above_minor or foreign or rule.outcome is Outcome.REFUND_OR_CREDIT:
        return Approval.ONE
    return rule.approval


def _effects(pack: Pack, known: Facts) -> tuple[Effect, ...]:
    effects = []
    for term in pack.cancel.effects:
        if not holds(term.when, known, pack.brand.zone):
            continue
        at = resolve(term.at, known, pack.brand.zone) if term.at else None
        says = _words(pack, term.says, known, _at(at, pack))
        if says:
            effects.append(Effect(term.id, " ".join(says), at, term.source, term.offers))
    return tuple(effects)


def _effective(pack: Pack, known: Facts) -> DatedTerm:
    return next(term for term in pack.cancel.effective if holds(term.when, known, pack.brand.zone))


def _undo(pack: Pack, known: Facts) -> UndoTerm | None:
    return next((term for term in pack.cancel.undo if holds(term.when, known, pack.brand.zone)), None)


def _if_cancelled(pack: Pack, known: Facts, request: Request) -> Facts:
    """What is known, with the dates that a cancellation made now would have if the subscription is a running one."""
    if known.text("subscription_status") != "active":
        return known
    planned = known.with_(cancelled_at=request.now, effective_at=None, undo_until=None)
    moment = resolve(_effective(pack, planned).at, planned, pack.brand.zone)
    if moment is None:
        return known
    planned = planned.with_(effective_at=max(moment, request.now))
    undo = _undo(pack, planned)
    return planned.with_(undo_until=resolve(undo.at, planned, pack.brand.zone)) if undo else planned


def _moments(event: EventTerm, known: Facts, pack: Pack) -> tuple[datetime, ...]:
    if isinstance(event.at, Each):
        return known.moments(event.at.fact)
    return (_date(event.at, event.rule_id, known, pack),)


def _date(expression: DateExpression, rule_id: str, known: Facts, pack: Pack) -> datetime:
    moment = resolve(expression, known, pack.brand.zone)
    if moment is None:
        missing = tuple(name for name in facts_of(expression) if name not in known)
        raise UnknownDateError(rule_id, missing)
    return moment


def _at(moment: datetime | None, pack: Pack) -> dict[str, str]:
    return {"at": format_date(moment, pack.brand.zone)} if moment else {}


def _words(pack: Pack, says: Says, known: Facts, extra: Mapping[str, str] = MappingProxyType({})) -> tuple[str, ...]:
    """Fill the placeholders of sentences, the pack's own dates among them; what mentions something unknown is out."""
    dates = {name: _at(resolve(date, known, pack.brand.zone), pack) for name, date in pack.dates.items()}
    return render(says, pack.brand, known, {**{name: at["at"] for name, at in dates.items() if at}, **extra})


def _text(pack: Pack, known: Facts, name: str) -> tuple[str, ...]:
    return _words(pack, pack.texts[name], known)
