"""What a rule says, where it is published, and who it applied to lately: for people who answer for the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches

from sqlalchemy import select

from bot.errors import NotFound, UnknownBrand
from bot.policy.conditions import AllOf, AnyOf, Condition, Not, Operator, Test
from bot.policy.dates import DateExpression, DayTime, Earliest, Latest, Shift
from bot.policy.facts import FactValue
from bot.policy.money import Money
from bot.policy.pack import EffectTerm, Law, Pack, Rule
from bot.services.rows import rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_WORDS: Mapping[Operator, str] = {
    Operator.IS: "is",
    Operator.IS_NOT: "is not",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.AT_LEAST: "is at least",
    Operator.AT_MOST: "is at most",
    Operator.BEFORE: "is before",
    Operator.AFTER: "is after",
    Operator.HAS: "has",
}


@dataclass(frozen=True)
class Application:
    """One decision by a rule. `policy_version` is the version that decided; no e-mail, name or number is in it."""

    at: datetime
    customer_id: str | None
    outcome: str
    amount: Money
    policy_version: str


@dataclass(frozen=True)
class Explanation:
    """A rule in words. `kind` is the request it answers, or `effect` for what cancelling brings about."""

    brand: str
    version: str
    rule_id: str
    title: str
    kind: str
    conditions: tuple[str, ...]
    outcome: str | None
    says: tuple[str, ...]
    article: str
    section: str
    law: Law | None
    statement: tuple[str, ...]
    applied: tuple[Application, ...]


def explain(
    uow: UnitOfWork, *, packs: Mapping[str, Pack], rule_id: str, brand: str | None = None, limit: int = 10
) -> tuple[Explanation, ...]:
    """Explain the rule of that id, in each brand that has one, with its latest `limit` decisions, newest first.

    Capital and small letters do not matter. Raises UnknownBrand, and NotFound naming ids that come near.
    """
    if brand is not None and brand not in packs:
        raise UnknownBrand(f"There is no brand {brand!r}. Known: {', '.join(sorted(packs))}.")
    searched = {name: pack for name, pack in packs.items() if brand in (None, name)}
    found = []
    for name, pack in sorted(searched.items()):
        described = next((entry for entry in _described(pack) if entry.rule_id.lower() == rule_id.lower()), None)
        if described is not None:
            found.append(_with_decisions(uow, name, described, limit))
    if not found:
        raise NotFound(_unknown(searched, rule_id))
    return tuple(found)


def in_words(condition: Condition) -> tuple[str, ...]:
    """The parts of a condition that must all hold, one sentence each; none when it always holds."""
    if isinstance(condition, AllOf):
        return tuple(line for part in condition.parts for line in in_words(part))
    if isinstance(condition, AnyOf):
        return (" or ".join(_joined(part) for part in condition.parts),)
    if isinstance(condition, Not):
        return (f"it is known not to be so that {_joined(condition.part)}",)
    return (_test(condition),)


def _described(pack: Pack) -> list[Explanation]:
    named: list[tuple[str, Rule | EffectTerm]] = [(k.value, rule) for k, rules in pack.rules.items() for rule in rules]
    named += [("effect", effect) for effect in pack.cancel.effects]
    return [
        Explanation(
            brand=pack.brand.id,
            version=pack.version,
            rule_id=rule.id,
            title=rule.title,
            kind=kind,
            conditions=in_words(rule.when),
            outcome=rule.outcome.value if isinstance(rule, Rule) else None,
            says=(*rule.says, *rule.next_steps) if isinstance(rule, Rule) else rule.says,
            article=rule.source.article,
            section=rule.source.section,
            law=rule.law if isinstance(rule, Rule) else None,
            statement=rule.statement if isinstance(rule, Rule) else (),
            applied=(),
        )
        for kind, rule in named
    ]


def _with_decisions(uow: UnitOfWork, brand: str, described: Explanation, limit: int) -> Explanation:
    decided = rows(
        uow,
        select(t.Decision)
        .where(t.Decision.brand == brand, t.Decision.rule_id == described.rule_id)
        .order_by(t.Decision.created_at.desc(), t.Decision.id.desc())
        .limit(limit),
    )
    applied = tuple(
        Application(
            at=each.created_at,
            customer_id=each.customer_id,
            outcome=each.outcome,
            amount=Money(each.amount_minor, each.currency),
            policy_version=each.policy_version,
        )
        for each in decided
    )
    return replace(described, applied=applied)


def _unknown(packs: Mapping[str, Pack], rule_id: str) -> str:
    ids = {rule.id.lower(): rule.id for pack in packs.values() for rule in pack.all_rules()}
    near = [ids[name] for name in get_close_matches(rule_id.lower(), ids, n=4, cutoff=0.6)]
    whose = f" of {', '.join(sorted(packs))}" if len(packs) == 1 else ""
    hint = f" Near it: {', '.join(near)}." if near else " docs/policy-packs.md lists them all."
    return f"There is no rule {rule_id}{whose}.{hint}"


def _joined(condition: Condition) -> str:
    lines = in_words(condition)
    text = " and ".join(lines)
    return f"({text})" if len(lines) > 1 else text


def _test(test: Test) -> str:
    if test.operator is Operator.UNKNOWN:
        return f"{test.fact} is {'not known' if test.value else 'known'}"
    return f"{test.fact} {_WORDS[test.operator]} {_value(test.value)}"


def _value(value: FactValue | DateExpression) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, (Shift, Latest, Earliest)):
        return _date(value)
    return str(value)


def _date(date: DateExpression) -> str:
    if isinstance(date, (Latest, Earliest)):
        which = "latest" if isinstance(date, Latest) else "earliest"
        return f"the {which} of {', '.join(_date(part) for part in date.parts)}"
    moved = [f"{number} {unit}" for unit, number in _units(date) if number]
    at = {DayTime.START_OF_DAY: ", at the start of that day", DayTime.END_OF_DAY: ", at the end of that day", None: ""}
    return (f"{date.fact} plus {', '.join(moved)}" if moved else date.fact) + at[date.at]


def _units(date: Shift) -> tuple[tuple[str, int], ...]:
    return ("years", date.years), ("months", date.months), ("days", date.days)
