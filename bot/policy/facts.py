"""The facts a decision may rest on: one registry of names and kinds, and an immutable, validated set of values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from enum import Enum
from types import MappingProxyType
from typing import Any

from bot.policy.errors import FactError

FactValue = bool | int | str | datetime | date | tuple[str, ...] | tuple[datetime, ...]


class FactKind(str, Enum):
    """What values a fact takes. `money_minor` is integer minor units of the account's currency."""

    BOOL = "bool"
    INT = "int"
    MONEY_MINOR = "money_minor"
    ENUM = "enum"
    TEXT = "text"
    TEXT_LIST = "text_list"
    DATETIME = "datetime"
    DATETIME_LIST = "datetime_list"
    DATE = "date"


class FactOrigin(str, Enum):
    """Who provides a fact: the store, the request itself, or `decide` from other facts when nobody gave it."""

    STORE = "store"
    REQUEST = "request"
    DERIVED = "derived"


@dataclass(frozen=True)
class FactSpec:
    """One entry of the registry; `values` are the allowed ones of an enum, `pattern` a regular expression for text."""

    name: str
    kind: FactKind
    doc: str
    values: tuple[str, ...] = ()
    origin: FactOrigin = FactOrigin.STORE
    pattern: str = ""


@dataclass(frozen=True)
class ChargeSpec:
    """A charge that money can be given back for: the facts saying what was taken and what was returned already."""

    name: str
    charged: str
    refunded: str
    doc: str


def _bool(name: str, doc: str, origin: FactOrigin = FactOrigin.STORE) -> FactSpec:
    return FactSpec(name, FactKind.BOOL, doc, origin=origin)


def _int(name: str, doc: str, origin: FactOrigin = FactOrigin.STORE) -> FactSpec:
    return FactSpec(name, FactKind.INT, doc, origin=origin)


def _money(name: str, doc: str) -> FactSpec:
    return FactSpec(name, FactKind.MONEY_MINOR, doc)


def _enum(name: str, values: str, doc: str, origin: FactOrigin = FactOrigin.STORE) -> FactSpec:
    return FactSpec(name, FactKind.ENUM, doc, tuple(values.split("|")), origin)


def _text(name: str, doc: str, origin: FactOrigin = FactOrigin.STORE, pattern: str = "") -> FactSpec:
    return FactSpec(name, FactKind.TEXT, doc, origin=origin, pattern=pattern)


def _texts(name: str, doc: str) -> FactSpec:
    return FactSpec(name, FactKind.TEXT_LIST, doc)


def _time(name: str, doc: str, origin: FactOrigin = FactOrigin.STORE) -> FactSpec:
    return FactSpec(name, FactKind.DATETIME, doc, origin=origin)


def _times(name: str, doc: str) -> FactSpec:
    return FactSpec(name, FactKind.DATETIME_LIST, doc)


_SPECS = (
    # the request
    _time("now", "the moment the request is decided at", FactOrigin.REQUEST),
    _enum(
        "matter",
        "duplicate_charge|missing_number|not_receiving|platform_rejection"
        "|change_of_mind|prorated|unused_credits|unsent_messages|general",
        "what a refund is asked for",
        FactOrigin.REQUEST,
    ),
    _text("product", "id of the pack's product the request is about", FactOrigin.REQUEST),
    # who is asking
    _bool("verified", "the customer has proved who they are, recently enough for this request"),
    _enum("role", "owner|admin|agent|none", "the customer's role in the account; none: not a member"),
    _bool("may_cancel", "the role is one that the pack lets cancel", FactOrigin.DERIVED),
    _text("country", "the account's country, ISO 3166-1 alpha-2", pattern="[A-Z]{2}"),
    _text("state", "the account's state or province, without the country, as in CA"),
    _text("currency", "ISO 4217 currency of every amount among these facts", pattern="[A-Z]{3}"),
    # the subscription
    _enum("subscription_status", "active|not_renewing|ended|failed|none", "none: the account has no such subscription"),
    _enum("number_status", "active|releasing|released|provisioning_failed|none", "state of the rented number"),
    _text("number", "the number the request is about, in a form to show"),
    _texts("numbers", "all numbers of the account that are not released, in a form to show"),
    _text("plan", "name of the subscription's plan, in a form to show"),
    _int("interval_months", "how many months a paid period has: 1 for monthly, 12 for yearly plans"),
    _money("price_minor", "what the next renewal would cost"),
    _bool("auto_renew", "the subscription renews by itself at the period's end"),
    _time("started_at", "when the subscription was first paid for"),
    _time("period_start", "start of the paid period that runs now, or ran last"),
    _time("period_end", "end of that period: the renewal date while it renews"),
    _int("days_into_period", "whole days of the brand's calendar since the period began", FactOrigin.DERIVED),
    _int("days_left", "whole days of the brand's calendar until the period ends, 0 when over", FactOrigin.DERIVED),
    _int("period_days", "length of the period in days of the brand's calendar", FactOrigin.DERIVED),
    _enum("cancellation_status", "none|scheduled|effective|undone", "state of the subscription's last cancellation"),
    _time("cancelled_at", "when that cancellation was asked for; while one is planned, now"),
    _time("effective_at", "when that cancellation takes or took effect; while one is planned, the planned moment"),
    _time("undo_until", "until when that cancellation can be undone; while one is planned, the planned moment"),
    # a pause of the subscription
    _enum(
        "pause_status",
        "none|scheduled|paused|over",
        "state of the subscription's last pause that was not called off before it began",
    ),
    _int("pause_months", "how many months the pause lasts that is asked for", FactOrigin.REQUEST),
    _time("pause_starts_at", "when that pause begins or began; while one is planned, the planned moment"),
    _time("pause_resumes_at", "when it ends by itself, or ended; while one is planned, the planned moment"),
    _int("pauses_last_year", "how many pauses of the subscription began in the last twelve months"),
    # subscriptions that products take along when they are cancelled
    _enum(
        "parent_status",
        "active|not_renewing|ended|failed|none",
        "state of the account's subscription that takes this one along; none: there is none",
    ),
    _texts("dependents", "names of the running subscriptions that this one takes along; unknown when there are none"),
    _texts("stopped_dependents", "names of those that do not renew, ended ones included; unknown when there are none"),
    # the account's other subscriptions; those that are cancelled together with this one do not go on
    _texts("plans", "names of the account's subscriptions that have not ended, in a form to show"),
    _bool("other_plan_active", "another subscription of the account goes on renewing"),
    _texts("other_plans", "names of those that go on, in a form to show"),
    _texts("other_products", "ids of the products of the account's other subscriptions that have not ended"),
    _time("account_ends_at", "when the last of the account's subscriptions ends; unknown while another goes on"),
    _time("account_could_end_at", "when the last of them would end if all were cancelled now"),
    # numbers that belong to the account rather than to a subscription, and the wallet their fees are taken from
    _int("number_count", "how many such numbers the account has that are not released"),
    _money("number_fee_minor", "the monthly fee of one of them, when it is the same for all"),
    _money("number_fees_minor", "their monthly fees together"),
    _times("number_fee_dates", "when those fees can still be taken until the subscription ends; unknown when never"),
    _texts("chosen_numbers", "the numbers that the customer wants removed, in a form to show"),
    _time("numbers_release_at", "when those numbers are or were released, because a cancellation promised it"),
    _money("wallet_minor", "the balance of the account's wallet"),
    # what waits to be sent, and what is kept
    _int("unsent_sms_count", "SMS scheduled for a time after the subscription's end; unknown when there are none"),
    _money("unsent_sms_minor", "what was paid for them; unknown when there are none"),
    _int("unsent_rvm_count", "ringless voicemails scheduled for a time after its end; unknown when there are none"),
    _money("unsent_rvm_minor", "what was paid for them; unknown when there are none"),
    _money("unsent_minor", "what was paid for both together, credited ones included; 0 when there are none"),
    _money("unsent_credited_minor", "what was credited of it already"),
    _enum("registration_status", "none|pending|active|ended", "state of the account's 10DLC registration"),
    _time("registration_ends_at", "when that registration ends or ended, because a cancellation promised it"),
    _time("data_deleted_at", "when the account's data is deleted, because a cancellation promised it"),
    # what the account holds besides
    _enum("account_status", "active|closed|erased", "state of the account; erased: nothing of it is left"),
    _texts("ported_numbers", "numbers of the account that were moved to another provider, in a form to show"),
    _texts("lost_numbers", "numbers that the account had and that were released, in a form to show"),
    _int("recordings_count", "how many call recordings are kept for the account"),
    _bool("crm_connected", "the account writes to a CRM of the customer's"),
    # the ledger
    _money("latest_charge_minor", "what was charged for the latest billing period"),
    _money("latest_charge_refunded_minor", "what was given back of it, pending refunds included"),
    _bool("duplicate_charge_found", "the ledger shows two charges for one invoice or period"),
    _money("duplicate_charge_minor", "the second, wrong charge"),
    _money("duplicate_charge_refunded_minor", "what was given back of it, pending refunds included"),
    _enum("duplicate_refund_status", "none|pending|done", "state of the refund of the duplicate charge"),
    _bool("amount_disagrees", "a charge differs from what its invoice says"),
    _money("wrong_charge_minor", "what was taken beyond the invoice; 0 if less was taken"),
    _money("wrong_charge_refunded_minor", "what was given back of it, pending refunds included"),
    _bool("invoice_found", "the invoice the customer named exists in the customer's own account"),
    _enum("invoice_status", "paid|open|void|refunded", "state of that invoice"),
    _money("invoice_charge_minor", "what was charged for that invoice"),
    _money("invoice_refunded_minor", "what was given back of it, pending refunds included"),
    _bool("refund_pending", "a refund of the subscription's latest charge, or of the named invoice, is on its way"),
    # the number's health
    _enum("provisioning_status", "ok|failed|pending|none", "how setting up the number went; none: never ordered"),
    _bool("can_restore", "the number that failed to be set up can still be had from the provider"),
    _bool("sms_ever_received", "the inbound log shows at least one message to the number"),
    _time("last_sms_at", "when the number last received a message"),
    _int("days_since_last_sms", "whole days of the brand's calendar since then", FactOrigin.DERIVED),
    _bool("test_sms_sent", "the customer says a test message was sent from an ordinary phone"),
    _bool("test_sms_arrived", "that test message is in the inbound log"),
    # the investigation
    _enum("investigation_status", "none|open|closed", "state of the number's latest technical investigation"),
    _time("investigation_opened_at", "when that investigation was opened"),
    _enum("investigation_cause", "ours|provider|platform|customer|unknown", "the cause it found"),
    _bool("had_fair_chance", "we had a reasonable opportunity to look into the failure and mend it"),
    _bool("restored", "the number receives again after the investigation"),
    _bool("replaced", "a working replacement was provided"),
    _texts("evidence_given", "ids of the evidence the customer has provided so far"),
    _bool("evidence_complete", "everything required for an investigation has been provided", FactOrigin.DERIVED),
)

FACTS: Mapping[str, FactSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})

CHARGES: Mapping[str, ChargeSpec] = MappingProxyType(
    {
        charge.name: charge
        for charge in (
            ChargeSpec("latest", "latest_charge_minor", "latest_charge_refunded_minor", "the latest billing period"),
            ChargeSpec("duplicate", "duplicate_charge_minor", "duplicate_charge_refunded_minor", "the second of two"),
            ChargeSpec("wrong", "wrong_charge_minor", "wrong_charge_refunded_minor", "what exceeds the invoice"),
            ChargeSpec("invoice", "invoice_charge_minor", "invoice_refunded_minor", "the invoice that was named"),
            ChargeSpec("unsent", "unsent_minor", "unsent_credited_minor", "scheduled messages that were not sent"),
        )
    }
)


class Facts(Mapping[str, FactValue]):
    """What is known for one decision. A fact that is absent, or given as None, is unknown.

    Raises FactError for a name that is not in the registry or a value of the wrong kind. Times are kept in UTC.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, FactValue | Iterable[str] | None] = MappingProxyType({})) -> None:
        checked = {name: _checked(_spec(name), value) for name, value in values.items()}
        self._values = MappingProxyType({name: value for name, value in checked.items() if value is not None})

    def __getitem__(self, name: str) -> FactValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Facts({dict(self._values)!r})"

    def with_(self, **changes: FactValue | Iterable[str] | None) -> Facts:
        """Return these facts with some changed; None makes one unknown."""
        return Facts({**self._values, **changes})

    def number(self, name: str) -> int | None:
        """Return an int or money fact, None when unknown."""
        value = self._values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def moment(self, name: str) -> datetime | None:
        """Return a datetime fact (aware, UTC), None when unknown."""
        value = self._values.get(name)
        return value if isinstance(value, datetime) else None

    def moments(self, name: str) -> tuple[datetime, ...]:
        """Return the moments of a datetime-list fact (aware, UTC), none when unknown."""
        value = self._values.get(name)
        return tuple(item for item in value if isinstance(item, datetime)) if isinstance(value, tuple) else ()

    def text(self, name: str) -> str | None:
        """Return an enum or text fact, None when unknown."""
        value = self._values.get(name)
        return value if isinstance(value, str) else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, sorted by name, from which `from_json` makes equal facts."""
        return {name: _plain(self._values[name]) for name in sorted(self._values)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Facts:
        """Read facts from plain JSON values: moments in ISO 8601 with an offset, days as such. Raises FactError."""
        if not isinstance(values, Mapping):
            raise FactError("(all)", "facts must be an object of names and values")
        return cls({str(name): _from_plain(str(name), value) for name, value in values.items()})


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 moment that names its offset (`Z` allowed) as aware UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    if moment.tzinfo is None:
        raise ValueError("the moment names no offset")
    return moment.astimezone(timezone.utc)


def _plain(value: FactValue) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _from_plain(name: str, value: Any) -> Any:
    spec = _spec(name)
    if spec.kind is FactKind.DATETIME_LIST and isinstance(value, list):
        return tuple(_parsed(name, FactKind.DATETIME, item) for item in value)
    if spec.kind in (FactKind.DATETIME, FactKind.DATE) and value is not None:
        return _parsed(name, spec.kind, value)
    return value


def _parsed(name: str, kind: FactKind, value: Any) -> datetime | date:
    if not isinstance(value, str):
        raise FactError(name, f"must be a {kind.value} in ISO 8601, not {value!r}")
    try:
        return parse_moment(value) if kind is FactKind.DATETIME else date.fromisoformat(value)
    except ValueError as error:
        raise FactError(name, f"must be a {kind.value} in ISO 8601, not {value!r}: {error}") from error


def _spec(name: str) -> FactSpec:
    if name not in FACTS:
        raise FactError(name, "there is no such fact")
    return FACTS[name]


def _checked(spec: FactSpec, value: Any) -> FactValue | None:
    kind = spec.kind
    if value is None or (kind is FactKind.BOOL and isinstance(value, bool)):
        return value
    if kind in (FactKind.INT, FactKind.MONEY_MINOR) and isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise FactError(spec.name, f"must not be negative, is {value}")
        return value
    if kind is FactKind.ENUM and isinstance(value, str):
        # A member of a str enum is kept as its plain value, so that facts compare and serialise alike.
        plain = str(value.value) if isinstance(value, Enum) else value
        if plain not in spec.values:
            raise FactError(spec.name, f"must be one of {', '.join(spec.values)}, not {plain!r}")
        return plain
    if kind is FactKind.TEXT and isinstance(value, str) and value:
        if spec.pattern and not re.fullmatch(spec.pattern, value):
            raise FactError(spec.name, f"must look like {spec.pattern}, not {value!r}")
        return value
    if kind is FactKind.DATETIME and isinstance(value, datetime):
        return _aware(spec.name, value)
    listed = kind is FactKind.DATETIME_LIST and isinstance(value, (list, tuple))
    if listed and all(isinstance(item, datetime) for item in value):
        return tuple(_aware(spec.name, item) for item in value)
    if kind is FactKind.DATE and isinstance(value, date) and not isinstance(value, datetime):
        return value
    if kind is FactKind.TEXT_LIST and isinstance(value, (list, tuple)) and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    raise FactError(spec.name, f"must be of kind {kind.value}, not {value!r}")


def _aware(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise FactError(name, "must name its offset; the moment given is naive")
    return moment.astimezone(timezone.utc)
