"""A policy pack: everything one brand promises, as frozen values that the loader makes from its YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import Enum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from bot.policy.amounts import Amount
from bot.policy.conditions import ALWAYS, Condition
from bot.policy.dates import DateExpression, Each
from bot.policy.decision import Approval, EventKind, Matter, Outcome, RequestKind, Source

Says = tuple[str, ...]
"""Sentences with placeholders like `{period_end}`. One that mentions something unknown is left out when shown."""


class Target(str, Enum):
    """What kind of thing a product is, and so what is cancelled."""

    NUMBER = "number"
    PLAN = "plan"
    PRODUCT = "product"
    ACCOUNT = "account"


class Question(str, Enum):
    """A step of the cancel flow; a pack says which and in which order. Confirming always comes last."""

    TARGET = "target"
    EFFECTS = "effects"
    REMOVE_NUMBERS = "remove_numbers"
    ALTERNATIVES = "alternatives"
    REASON = "reason"
    CONSENTS = "consents"


@dataclass(frozen=True)
class Contacts:
    """Where a person of the brand is reached."""

    help_center: str
    email: str


@dataclass(frozen=True)
class Theme:
    """Colours (#rrggbb) and words of the widget; `on_*` is the text colour readable on its pair."""

    title: str
    subtitle: str
    primary: str
    on_primary: str
    primary_dark: str
    on_primary_dark: str


@dataclass(frozen=True)
class Upload:
    """Which files a customer may send: size in bytes, MIME types, how many with one message."""

    max_bytes: int
    kinds: tuple[str, ...]
    max_files: int


@dataclass(frozen=True)
class Brand:
    """Who the brand is. `time_zone` decides what a day is; `currency` is that of the limits; `links` are named URLs.

    `names` are further ways in which customers say it.
    """

    id: str
    name: str
    contacts: Contacts
    links: Mapping[str, str]
    time_zone: str
    currency: str
    theme: Theme
    upload: Upload
    names: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The brand's time zone."""
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True)
class Product:
    """Something that can be subscribed to; cancelling it also cancels those of `also_cancels`.

    `names` are further ways in which customers say it.
    """

    id: str
    title: str
    plural: str
    target: Target
    can_cancel: bool
    also_cancels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Law:
    """The law behind a regional term, and the day it applies from. Not legal advice."""

    name: str
    since: date


@dataclass(frozen=True)
class Evidence:
    """Something a customer can provide: `have` tells from the facts whether we have it already."""

    id: str
    title: str
    asks: str
    have: Condition


@dataclass(frozen=True)
class Rule:
    """One promise: when it applies, what follows, and in which words. `amount` and `charge` only when it pays.

    `needs` are ids of evidence; `offers` intents worth a button; `approval` the least number of persons who must agree;
    `tell` a role whose members the customer may have told, because they could do what this rule refuses; `statement`
    what the customer declares, word for word, before a person takes it up. A rule with a `law` applies from its day on.
    """

    id: str
    title: str
    outcome: Outcome
    says: Says
    source: Source
    when: Condition = ALWAYS
    amount: Amount | None = None
    charge: str | None = None
    needs: tuple[str, ...] = ()
    next_steps: Says = ()
    offers: tuple[str, ...] = ()
    approval: Approval = Approval.NONE
    law: Law | None = None
    tell: str | None = None
    statement: Says = ()


@dataclass(frozen=True)
class WhoMay:
    """The roles that may cancel."""

    roles: tuple[str, ...]
    rule_id: str
    says: Says
    source: Source


@dataclass(frozen=True)
class SelfService:
    """How customers do it themselves, step by step."""

    steps: tuple[str, ...]
    rule_id: str
    source: Source


@dataclass(frozen=True)
class Consent:
    """What must be agreed to before cancelling; wording and version are recorded with the agreement."""

    id: str
    version: str
    wording: str
    when: Condition = ALWAYS


@dataclass(frozen=True)
class Alternative:
    """Something worth offering instead; choosing it continues with `intent`, or pauses if that is None."""

    id: str
    title: str
    says: str
    intent: str | None
    when: Condition = ALWAYS


@dataclass(frozen=True)
class Reason:
    """An answer of the survey."""

    id: str
    title: str


@dataclass(frozen=True)
class DatedTerm:
    """A date that applies on a condition; of several, the first that holds."""

    at: DateExpression
    rule_id: str
    when: Condition = ALWAYS


@dataclass(frozen=True)
class UndoTerm:
    """Until when a cancellation can be undone, and how to say it; `{at}` is the moment."""

    at: DateExpression
    rule_id: str
    says: Says
    when: Condition = ALWAYS


@dataclass(frozen=True)
class EffectTerm:
    """A consequence of cancelling; `{at}` in its words is its own date, `offers` are intents worth a button."""

    id: str
    title: str
    says: Says
    source: Source
    at: DateExpression | None = None
    when: Condition = ALWAYS
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class EventTerm:
    """A dated thing the lifecycle must do, promised by a rule or an effect: once, or on each moment of a list fact."""

    kind: EventKind
    at: DateExpression | Each
    rule_id: str
    when: Condition = ALWAYS


@dataclass(frozen=True)
class RemovalTerm:
    """Numbers that can be given up before the cancellation takes effect; `says` asks for all, some or none of them."""

    says: Says
    rule_id: str
    when: Condition = ALWAYS


@dataclass(frozen=True)
class PauseLength:
    """How long a pause can last."""

    id: str
    title: str
    months: int


@dataclass(frozen=True)
class PauseTerms:
    """How pausing goes: from when, for how long, and what it means.

    `starts` is a date, now at the earliest. Nothing is charged while paused; what was paid for and not used then is
    used after it. `title` is the button's. `says` may name `{pause_starts_at}` and `{pause_resumes_at}`.
    """

    title: str
    rule_id: str
    starts: DateExpression
    lengths: tuple[PauseLength, ...]
    says: Says


@dataclass(frozen=True)
class CancelTerms:
    """How cancelling goes: who may, which questions in which order, what follows when, and how to undo it."""

    who_may: WhoMay
    self_service: SelfService
    questions: tuple[Question, ...]
    effective: tuple[DatedTerm, ...]
    undo: tuple[UndoTerm, ...]
    effects: tuple[EffectTerm, ...]
    events: tuple[EventTerm, ...]
    consents: tuple[Consent, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    reasons: tuple[Reason, ...] = ()
    remove_numbers: RemovalTerm | None = None


@dataclass(frozen=True)
class InvestigationField:
    """One thing an investigation collects: `evidence` is the id of the pack's evidence."""

    evidence: str
    required: bool


@dataclass(frozen=True)
class InvestigationTerms:
    """What a technical investigation must collect, in the order asked. `test_sms` asks for the ordinary-phone test."""

    rule_id: str
    says: Says
    fields: tuple[InvestigationField, ...]
    test_sms: str
    source: Source


@dataclass(frozen=True)
class Limits:
    """Amounts in minor units of the brand's currency above which one person, or two, must approve."""

    approve_above_minor: int
    second_approver_above_minor: int


@dataclass(frozen=True)
class CallTerms:
    """Calls with the brand's team that customers can book: `days` are weekdays from 0 for Monday, times are local.

    A slot starts at the earliest `notice_hours` from now and lies at most `days_ahead` calendar days ahead.
    """

    title: str
    rule_id: str
    days: tuple[int, ...]
    opens: time
    closes: time
    minutes: int
    notice_hours: int
    days_ahead: int


@dataclass(frozen=True)
class OpenTime:
    """A stretch of a day in which people are at the desk: minutes from local midnight, at most 1440."""

    opens: int
    closes: int


@dataclass(frozen=True)
class DeskTerms:
    """When people are at the desk and how soon they mean to answer; `hours` by weekday from 0 for Monday, local time.

    Minutes and hours of a promise count while the desk is open. After `promise_minutes` somebody who waits is asked
    whether to go on waiting; `away_reply` says how people answer when nobody is there.
    """

    hours: Mapping[int, tuple[OpenTime, ...]]
    holidays: tuple[date, ...]
    first_reply_minutes: int
    next_reply_minutes: int
    resolve_hours: int
    promise_minutes: int
    away_reply: Says


@dataclass(frozen=True)
class AnswerVariant:
    """An answer for a signed-in account: given when its condition holds and every sentence's facts are known."""

    says: Says
    when: Condition = ALWAYS


@dataclass(frozen=True)
class Answer:
    """What a question is answered: the first fitting variant for this account, otherwise `says`, for anyone."""

    intent: str
    says: Says
    rule_ids: tuple[str, ...]
    source: Source
    for_account: tuple[AnswerVariant, ...] = ()
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestion:
    """A wish worth a button before anything was said, in the brand's words."""

    intent: str
    title: str


@dataclass(frozen=True)
class RefundMatter:
    """Something that this brand's customers ask their money back for, in the brand's words."""

    matter: Matter
    title: str


@dataclass(frozen=True)
class Pack:
    """One version of one brand's policy. `rules` are tried in order; the last of each kind is unconditional.

    `dates` are the pack's own named dates: each may be said as a placeholder, and stand where a date is wanted.
    """

    version: str
    brand: Brand
    products: tuple[Product, ...]
    evidence: Mapping[str, Evidence]
    rules: Mapping[RequestKind, tuple[Rule, ...]]
    cancel: CancelTerms
    investigation: InvestigationTerms
    limits: Limits
    answers: Mapping[str, Answer]
    texts: Mapping[str, Says]
    suggestions: tuple[Suggestion, ...]
    refund_matters: tuple[RefundMatter, ...]
    dates: Mapping[str, DateExpression] = MappingProxyType({})
    calls: CallTerms | None = None
    pause: PauseTerms | None = None
    desk: DeskTerms | None = None

    def product(self, product_id: str) -> Product | None:
        """Return the product of that id, None if the brand has none."""
        return next((product for product in self.products if product.id == product_id), None)

    def rule(self, rule_id: str) -> Rule | EffectTerm | None:
        """Return the rule, or the effect of cancelling, that has this id."""
        return next((rule for rule in self.all_rules() if rule.id == rule_id), None)

    def all_rules(self) -> tuple[Rule | EffectTerm, ...]:
        """Return everything that has a rule id: the rules of every kind of request and the effects of cancelling."""
        decided: list[Rule | EffectTerm] = [rule for kind in RequestKind for rule in self.rules.get(kind, ())]
        return (*decided, *self.cancel.effects)
