"""What is asked of policy and what policy answers: requests, outcomes and decisions, all of them plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any, TypeVar

from bot.policy.errors import RequestError
from bot.policy.facts import parse_moment
from bot.policy.money import Money


class Outcome(str, Enum):
    """What a decision comes to. REFUND_OR_CREDIT leaves the choice to a person of the company."""

    ALLOW = "allow"
    REFUSE = "refuse"
    REFUND = "refund"
    CREDIT = "credit"
    REFUND_OR_CREDIT = "refund_or_credit"
    RESTORE = "restore"
    INVESTIGATE = "investigate"
    NEED_EVIDENCE = "need_evidence"
    ALREADY_DONE = "already_done"
    HANDOFF = "handoff"
    INFORM = "inform"

    @property
    def pays(self) -> bool:
        """Whether money or credit reaches the customer."""
        return self in (Outcome.REFUND, Outcome.CREDIT, Outcome.REFUND_OR_CREDIT)


class RequestKind(str, Enum):
    """What the customer wants done; a pack has an ordered list of rules for each."""

    CANCEL = "cancel"
    RESUME = "resume"
    PAUSE = "pause"
    CHANGE_RENEWAL = "change_renewal"
    REMOVE_NUMBERS = "remove_numbers"
    REFUND = "refund"
    INVESTIGATE = "investigate"


class Matter(str, Enum):
    """What a refund is asked for. UNSENT_MESSAGES is asked on a cancellation's date, by the event that credits them."""

    DUPLICATE_CHARGE = "duplicate_charge"
    MISSING_NUMBER = "missing_number"
    NOT_RECEIVING = "not_receiving"
    PLATFORM_REJECTION = "platform_rejection"
    CHANGE_OF_MIND = "change_of_mind"
    PRORATED = "prorated"
    UNUSED_CREDITS = "unused_credits"
    UNSENT_MESSAGES = "unsent_messages"
    GENERAL = "general"


class Approval(str, Enum):
    """How many persons must approve before money moves."""

    NONE = "none"
    ONE = "one"
    TWO = "two"


class EventKind(str, Enum):
    """A dated thing that the lifecycle carries out after a cancellation."""

    END_SUBSCRIPTION = "end_subscription"
    RELEASE_NUMBER = "release_number"
    TAKE_NUMBER_FEES = "take_number_fees"
    END_10DLC = "end_10dlc"
    CREDIT_UNSENT = "credit_unsent"
    DELETE_RECORDINGS = "delete_recordings"
    ERASE_DATA = "erase_data"


class PauseEvent(str, Enum):
    """A dated thing that the lifecycle carries out about a pause."""

    BEGIN = "begin_pause"
    REMIND = "remind_of_pause"
    END = "end_pause"


@dataclass(frozen=True)
class Source:
    """Where a promise is published: slugs of a help article and of one of its sections."""

    article: str
    section: str


@dataclass(frozen=True)
class Request:
    """One thing asked at one moment. `now` is aware and kept in UTC; a naive one raises RequestError."""

    kind: RequestKind
    now: datetime
    matter: Matter | None = None
    product: str | None = None
    subscription_id: str | None = None

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise RequestError("now", "must name its offset; the moment given is naive")
        object.__setattr__(self, "now", self.now.astimezone(timezone.utc))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `from_json` makes an equal request."""
        return {
            "kind": self.kind.value,
            "matter": self.matter.value if self.matter else None,
            "product": self.product,
            "subscription_id": self.subscription_id,
            "now": self.now.isoformat(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """Read a request from plain JSON values. Raises RequestError naming the part that is wrong."""
        if not isinstance(values, Mapping):
            raise RequestError("(all)", "must be an object")
        known = ("kind", "now", "matter", "product", "subscription_id")
        for key in values:
            if key not in known:
                raise RequestError(str(key), f"is not part of a request; known: {', '.join(known)}")
        matter = values.get("matter")
        return cls(
            kind=_member(RequestKind, "kind", values.get("kind")),
            now=_moment(values.get("now")),
            matter=None if matter is None else _member(Matter, "matter", matter),
            product=_optional_text("product", values.get("product")),
            subscription_id=_optional_text("subscription_id", values.get("subscription_id")),
        )


@dataclass(frozen=True)
class Decision:
    """The answer to one request, by one rule of one version of a pack.

    `amount` is in minor units of `currency`, more than 0 only when the outcome pays; `charge` then names the charge it
    is given back for (a key of `bot.policy.facts.CHARGES`). `reasons` and `next_steps` are sentences for the customer,
    `offers` intents worth a button, `missing_evidence` ids of the pack's evidence. `tell` is a role in the
    account whose members could do what was asked, so that the customer may have them told. `statement` is what the
    customer declares by confirming it, before a person takes the matter up.
    """

    outcome: Outcome
    rule_id: str
    policy_version: str
    amount: int
    currency: str
    reasons: tuple[str, ...]
    source: Source
    missing_evidence: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    approval: Approval = Approval.NONE
    charge: str | None = None
    tell: str | None = None
    statement: str | None = None

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(self.amount, self.currency)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `from_json` makes an equal decision."""
        return {
            "outcome": self.outcome.value,
            "rule_id": self.rule_id,
            "policy_version": self.policy_version,
            "amount": self.amount,
            "currency": self.currency,
            "charge": self.charge,
            "approval": self.approval.value,
            "reasons": list(self.reasons),
            "missing_evidence": list(self.missing_evidence),
            "next_steps": list(self.next_steps),
            "offers": list(self.offers),
            "tell": self.tell,
            "statement": self.statement,
            "source": {"article": self.source.article, "section": self.source.section},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """Read a stored decision back. Raises KeyError or ValueError when it is not one."""
        return cls(
            outcome=Outcome(values["outcome"]),
            rule_id=values["rule_id"],
            policy_version=values["policy_version"],
            amount=values["amount"],
            currency=values["currency"],
            charge=values["charge"],
            approval=Approval(values["approval"]),
            reasons=tuple(values["reasons"]),
            missing_evidence=tuple(values["missing_evidence"]),
            next_steps=tuple(values["next_steps"]),
            offers=tuple(values["offers"]),
            tell=values.get("tell"),  # decisions of before 2026-11-22 do not have it, nor a statement
            statement=values.get("statement"),
            source=Source(**values["source"]),
        )


@dataclass(frozen=True)
class Effect:
    """A consequence of a cancellation, worded with this account's dates and amounts; `at` is its date if it has one.

    `offers` are intents worth a button before going on.
    """

    rule_id: str
    text: str
    at: datetime | None
    source: Source
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedEvent:
    """Something the lifecycle must do at a moment (aware UTC), promised by a rule."""

    kind: EventKind
    at: datetime
    rule_id: str


@dataclass(frozen=True)
class CancellationPlan:
    """What cancelling now would do. Moments are aware UTC; `undo_until` is None if it cannot be undone."""

    effective_at: datetime
    effects: tuple[Effect, ...]
    events: tuple[PlannedEvent, ...]
    undo_until: datetime | None
    undo_says: tuple[str, ...]
    rule_ids: tuple[str, ...]
    policy_version: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, for receipts and the record."""
        return {
            "effective_at": self.effective_at.isoformat(),
            "undo_until": self.undo_until.isoformat() if self.undo_until else None,
            "undo_says": list(self.undo_says),
            "effects": [
                {
                    "rule_id": effect.rule_id,
                    "text": effect.text,
                    "at": effect.at.isoformat() if effect.at else None,
                    "offers": list(effect.offers),
                    "source": {"article": effect.source.article, "section": effect.source.section},
                }
                for effect in self.effects
            ],
            "events": [{"kind": e.kind.value, "at": e.at.isoformat(), "rule_id": e.rule_id} for e in self.events],
            "rule_ids": list(self.rule_ids),
            "policy_version": self.policy_version,
        }


@dataclass(frozen=True)
class PausePlan:
    """What pausing now would do: from when until when nothing is charged (aware UTC), in the pack's words."""

    starts_at: datetime
    resumes_at: datetime
    says: tuple[str, ...]
    rule_ids: tuple[str, ...]
    policy_version: str


_Member = TypeVar("_Member", bound=Enum)


def _member(kind: type[_Member], key: str, value: object) -> _Member:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise RequestError(key, f"must be one of {known}, not {value!r}") from None


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            return parse_moment(value)
        except ValueError as error:
            raise RequestError("now", f"must be an ISO 8601 moment with an offset, not {value!r}: {error}") from None
    raise RequestError("now", "is missing" if value is None else f"must be an ISO 8601 moment, not {value!r}")


def _optional_text(key: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise RequestError(key, f"must be text, not {value!r}")
