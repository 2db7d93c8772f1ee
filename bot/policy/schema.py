"""The shape of a pack file as a JSON Schema (draft 7), and its messages in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from bot.policy.decision import Approval, EventKind, Matter, Outcome, RequestKind
from bot.policy.facts import CHARGES, FACTS
from bot.policy.pack import Question, Target
from bot.policy.yaml_source import Document, Path

Schema = dict[str, Any]

DIALOGUE_TEXTS = ("greeting", "apology", "person_next", "ticket_next", "investigation_next", "unknown_account")
APPROVAL_TEXTS = ("approval_refund", "approval_credit", "approval_deny")
REQUIRED_TEXTS = ("amount_unknown", "nothing_left", "nothing_due", "handoff", *DIALOGUE_TEXTS, *APPROVAL_TEXTS)
"""Texts that every pack must have: `decide` uses the first three, the conversation the others."""
TELL_TEXTS = ("tell_offer", "tell_done", "tell_subject", "tell_message")
"""Texts that a pack with a rule that can `tell` must have: the offer, what is said then, and the mail itself."""
MEMBERS = tuple(role for role in FACTS["role"].values if role != "none")
"""Roles that a member of an account can have."""

ASKED_FOR = tuple(m.value for m in Matter if m not in (Matter.UNSENT_MESSAGES, Matter.GENERAL))
"""What a customer can be offered as the matter of a refund; "something else" is always offered beside it."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check_shape(document: Document) -> None:
    """Add a problem for every place where the document has not the shape of a pack."""
    for error in _validator().iter_errors(document.data):
        path: Path = tuple(error.absolute_path)
        for below, message in _explain(error):
            document.complain((*path, *below), message)


def _explain(error: ValidationError) -> Iterable[tuple[Path, str]]:
    instance, wanted = error.instance, error.validator_value
    if error.validator == "required":
        return [((key,), "is missing") for key in wanted if key not in instance]
    if error.validator == "additionalProperties" and wanted is False:
        known = error.schema.get("properties", {})
        return [((key,), f"is not known here; known: {', '.join(known)}") for key in instance if key not in known]
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        empty = instance is None and bool(error.absolute_path)
        must_be = f"must be {' or '.join(_KINDS[kind] for kind in kinds)}"
        return [((), f"is not filled in yet: it {must_be}" if empty else f"{must_be}, not {instance!r}")]
    if error.validator == "enum":
        return [((), f"must be one of {', '.join(map(str, wanted))}, not {instance!r}")]
    if error.validator == "pattern":
        return [((), f"{instance!r} does not look like {error.schema.get('description', wanted)}")]
    if error.validator == "oneOf":
        return [((), "must have either `intent` or `pause: true`")]
    if error.validator in ("minLength", "minItems", "minProperties"):
        return [((), "must not be empty")]
    return [((), error.message)]


_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
}


@lru_cache(maxsize=1)
def _validator() -> Draft7Validator:
    return Draft7Validator(_pack())


def _object(required: Schema, **optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _map(values: Schema, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": values, **more}


def _choice(values: Iterable[str]) -> Schema:
    return {"enum": list(values)}


def _pattern(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description}


def _pack() -> Schema:
    text: Schema = {"type": "string", "minLength": 1}
    count: Schema = {"type": "integer", "minimum": 0}
    says: Schema = {"type": ["string", "array"], "items": text, "minItems": 1, "minLength": 1}
    ident = _pattern("^[a-z][a-z0-9_]*$", "an id of small letters, digits and _")
    slug = _pattern("^[a-z][a-z0-9-]*$", "an id of small letters, digits and -")
    rule_id = _pattern("^[A-Z][A-Za-z0-9]*(-[A-Za-z0-9]+)+$", "a rule id such as J-R1")
    source = _pattern("^[a-z0-9-]+#[a-z0-9-]+$", "a source such as article#section")
    colour = _pattern("^#[0-9a-fA-F]{6}$", "a colour such as #1f5eff")
    url = _pattern("^(https?://|/|mailto:)", "a URL")
    condition: Schema = {"type": "object", "minProperties": 1}
    date: Schema = {"type": ["string", "object"]}
    amount: Schema = {"type": ["string", "object"]}
    law = _object({"name": text, "since": _pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a day such as 2026-06-19")})
    rule = _object(
        {"id": rule_id, "title": text, "outcome": _choice(o.value for o in Outcome), "says": says, "source": source},
        when=condition,
        amount=amount,
        charge=_choice(CHARGES),
        needs=_list(ident),
        next_steps=says,
        offers=_list(ident),
        approval=_choice(a.value for a in Approval),
        law=law,
        tell=_choice(MEMBERS),
        statement=says,
    )
    brand = _object(
        {
            "id": slug,
            "name": text,
            "contacts": _object({"help_center": text, "email": text}),
            "links": _map(url),
            "time_zone": text,
            "currency": _pattern("^[A-Z]{3}$", "an ISO 4217 currency such as USD"),
            "theme": _object(
                {
                    "title": text,
                    "subtitle": text,
                    "primary": colour,
                    "on_primary": colour,
                    "primary_dark": colour,
                    "on_primary_dark": colour,
                }
            ),
            "upload": _object({"max_bytes": count, "max_files": count, "kinds": _list(text, 1)}),
        },
        names=_list(text),
    )
    product = _object(
        {
            "id": ident,
            "title": text,
            "plural": text,
            "target": _choice(t.value for t in Target),
            "can_cancel": {"type": "boolean"},
        },
        also_cancels=_list(ident),
        names=_list(text),
    )
    cancel = _object(
        {
            "who_may": _object({"roles": _list(text, 1), "rule": rule_id, "says": says, "source": source}),
            "self_service": _object({"steps": _list(text, 1), "rule": rule_id, "source": source}),
            "questions": {**_list(_choice(q.value for q in Question), 1), "uniqueItems": True},
            "effective": _list(_object({"at": date, "rule": rule_id}, when=condition), 1),
            "undo": _list(_object({"at": date, "rule": rule_id, "says": says}, when=condition)),
            "effects": _list(
                _object(
                    {"id": rule_id, "title": text, "says": says, "source": source},
                    at=date,
                    when=condition,
                    offers=_list(ident),
                ),
                1,
            ),
            "events": _list(
                _object({"kind": _choice(e.value for e in EventKind), "at": date, "rule": rule_id}, when=condition), 1
            ),
        },
        consents=_list(_object({"id": ident, "version": text, "wording": text}, when=condition)),
        alternatives=_list(
            {
                **_object(
                    {"id": ident, "title": text, "says": text}, intent=ident, pause={"enum": [True]}, when=condition
                ),
                "oneOf": [{"required": ["intent"]}, {"required": ["pause"]}],
            }
        ),
        reasons=_list(_object({"id": ident, "title": text})),
        remove_numbers=_object({"says": says, "rule": rule_id}, when=condition),
    )
    investigation = _object(
        {
            "rule": rule_id,
            "says": says,
            "fields": _list(_object({"evidence": ident, "required": {"type": "boolean"}}), 1),
            "test_sms": text,
            "source": source,
        }
    )
    reply = _object(
        {"says": says, "rules": _list(rule_id), "source": source},
        for_account=_list(_object({"says": says}, when=condition)),
        offers=_list(ident),
    )
    clock = _pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$", 'a time of day such as "09:00"')
    calls = _object(
        {
            "title": text,
            "rule": rule_id,
            "days": {**_list(_choice(WEEKDAYS), 1), "uniqueItems": True},
            "from": clock,
            "to": clock,
            "minutes": {"type": "integer", "minimum": 5, "maximum": 240},
            "notice_hours": count,
            "days_ahead": {"type": "integer", "minimum": 1, "maximum": 60},
        }
    )
    pause = _object(
        {
            "title": text,
            "rule": rule_id,
            "starts": date,
            "lengths": _list(
                _object({"id": ident, "title": text, "months": {"type": "integer", "minimum": 1, "maximum": 24}}), 1
            ),
            "says": says,
        }
    )
    stretch = _pattern("^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 'hours "09:00-17:00"')
    minutes: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000}
    desk = _object(
        {
            "hours": {
                "type": "object",
                "properties": {day: _list(stretch, 1) for day in WEEKDAYS},
                "additionalProperties": False,
                "minProperties": 1,
            },
            "first_reply_minutes": minutes,
            "next_reply_minutes": minutes,
            "resolve_hours": minutes,
            "promise_minutes": minutes,
            "away_reply": says,
        },
        holidays=_list(_pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a day such as 2026-12-25")),
    )
    return _object(
        {
            "version": text,
            "brand": brand,
            "products": _list(product, 1),
            "evidence": _map(_object({"title": text, "asks": text}, have=condition)),
            "rules": _object({kind.value: _list(rule, 1) for kind in RequestKind}),
            "cancel": cancel,
            "investigation": investigation,
            "limits": _object({"approve_above_minor": count, "second_approver_above_minor": count}),
            "suggestions": _list(_object({"intent": ident, "title": text}), 1),
            "refund_matters": _list(_object({"matter": _choice(ASKED_FOR), "title": text}), 1),
            "answers": _map(reply),
            "texts": {**_map(says), "required": list(REQUIRED_TEXTS)},
        },
        dates=_map(date, propertyNames=ident),
        calls=calls,
        pause=pause,
        desk=desk,
    )
