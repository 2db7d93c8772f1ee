"""What a brand's agents have ready: replies with placeholders, and macros that take several steps in one click."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotFound, TooLarge
from bot.ids import new_id
from bot.policy.dates import format_date
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.policy.wording import PLACEHOLDER, placeholders
from bot.services import audit
from bot.services.rows import row, rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "first_name": "the customer's first name",
        "name": "the customer's name",
        "email": "the customer's e-mail address",
        "agent": "your name",
        "brand": "the brand's name",
        "support_email": "the brand's e-mail address",
        "case": "the number of the conversation's latest case",
        "refund": "the number of the customer's latest refund",
        "refund_amount": "the amount of that refund",
        "ends_on": "when the customer's cancelled subscription ends",
    }
)
"""What may stand in braces, and what it means."""

STEPS: Mapping[str, str] = MappingProxyType(
    {
        "reply": "said to the customer",
        "note": "written for colleagues",
        "snooze": "minutes, until the chat comes back to you",
        "transfer": "the team that gets it: agent, supervisor or admin",
        "hand back": "what the bot should do; it has the conversation again",
        "resolve": "why; the conversation is done",
    }
)
"""The steps of a macro, and what stands after each."""
_ENDING = frozenset({"snooze", "transfer", "hand back", "resolve"})
_TEAMS = ("agent", "supervisor", "admin")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LONGEST_BODY = 4_000  # characters, as of any message
_MOST_STEPS = 8
_MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class CannedView:
    """A canned reply; `name` is what is typed after the slash."""

    id: str
    brand: str
    name: str
    body: str
    updated_at: datetime


@dataclass(frozen=True)
class Step:
    """One step of a macro: a kind of `STEPS` and what it is done with."""

    kind: str
    value: str


@dataclass(frozen=True)
class MacroView:
    """A macro with its steps in order."""

    id: str
    brand: str
    name: str
    steps: tuple[Step, ...]
    updated_at: datetime

    @property
    def text(self) -> str:
        """The steps as they are written, a line each."""
        return "\n".join(f"{step.kind}: {step.value}" for step in self.steps)


# --- replies ---------------------------------------------------------------------------------------------------------


def replies(uow: UnitOfWork, *, brands: Sequence[str]) -> list[CannedView]:
    """The canned replies of these brands by brand and name."""
    wanted = select(t.CannedReply).where(t.CannedReply.brand.in_(brands))
    return [_reply(each) for each in rows(uow, wanted.order_by(t.CannedReply.brand, t.CannedReply.name))]


def save_reply(
    uow: UnitOfWork,
    *,
    brand: str,
    name: str,
    body: str,
    agent_id: str,
    now: datetime,
    reply_id: str | None = None,
    shown: str | None = None,
) -> CannedView:
    """Keep a new reply, or change that one, which was as of the ISO moment `shown` when the form was made.

    Raises InvalidInput, TooLarge, NotFound; Conflict for a name in use, or if a colleague changed it meanwhile.
    """
    name, text = _named(name), _text(body)
    _check_placeholders(text)
    kept = _kept(uow, t.CannedReply, brand, name, reply_id, shown)
    kept.body = text
    _save(uow, kept, "canned.saved", agent_id, now)
    return _reply(kept)


def remove_reply(uow: UnitOfWork, *, brand: str, reply_id: str, agent_id: str, now: datetime) -> None:
    """Forget a canned reply; one that is gone already changes nothing."""
    _remove(uow, t.CannedReply, brand, reply_id, "canned.removed", agent_id, now)


# --- macros ----------------------------------------------------------------------------------------------------------


def macros(uow: UnitOfWork, *, brands: Sequence[str]) -> list[MacroView]:
    """The macros of these brands by brand and name."""
    wanted = select(t.Macro).where(t.Macro.brand.in_(brands))
    return [_macro(each) for each in rows(uow, wanted.order_by(t.Macro.brand, t.Macro.name))]


def macro(uow: UnitOfWork, *, brand: str, macro_id: str) -> MacroView:
    """A macro of that brand. Raises NotFound."""
    found = uow.get(t.Macro, macro_id)
    if found is None or found.brand != brand:
        raise NotFound("There is no such macro; a colleague may have removed it. Nothing was done.")
    return _macro(found)


def save_macro(
    uow: UnitOfWork,
    *,
    brand: str,
    name: str,
    text: str,
    agent_id: str,
    now: datetime,
    macro_id: str | None = None,
    shown: str | None = None,
) -> MacroView:
    """Keep a new macro, or change that one; `text` has a step a line, such as `note: called back`.

    Raises as `save_reply`; InvalidInput names the line.
    """
    name, steps = _named(name), parse_steps(text)
    kept = _kept(uow, t.Macro, brand, name, macro_id, shown)
    kept.steps = [{"kind": step.kind, "value": step.value} for step in steps]
    _save(uow, kept, "macro.saved", agent_id, now)
    return _macro(kept)


def remove_macro(uow: UnitOfWork, *, brand: str, macro_id: str, agent_id: str, now: datetime) -> None:
    """Forget a macro; one that is gone already changes nothing."""
    _remove(uow, t.Macro, brand, macro_id, "macro.removed", agent_id, now)


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps of a macro as they are typed, a line each. Raises InvalidInput with the line that is wrong."""
    steps: list[Step] = []
    for number, line in enumerate((each.strip() for each in _text(text).splitlines()), 1):
        if not line:
            continue
        kind, colon, value = line.partition(":")
        step = Step(" ".join(kind.lower().split()), value.strip())
        if not colon or step.kind not in STEPS:
            raise InvalidInput(f"Line {number} should begin with {_listed(STEPS)} and a colon: “{line[:60]}”.")
        if not step.value:
            raise InvalidInput(f"Line {number} says nothing after “{step.kind}:”.")
        if steps and steps[-1].kind in _ENDING:
            raise InvalidInput(f"Line {number} comes after “{steps[-1].kind}”, which ends the macro.")
        if step.kind == "snooze" and not (step.value.isdecimal() and 0 < int(step.value) <= _MOST_MINUTES):
            raise InvalidInput(f"Line {number}: snooze takes minutes, 1 to {_MOST_MINUTES:,}.")
        if step.kind == "transfer" and step.value not in _TEAMS:
            raise InvalidInput(f"Line {number}: a team is {_listed(_TEAMS)}.")
        _check_placeholders(step.value)
        steps.append(step)
    if not steps or len(steps) > _MOST_STEPS:
        raise InvalidInput(f"A macro has one to {_MOST_STEPS} steps, a line each.")
    return tuple(steps)


# --- placeholders ----------------------------------------------------------------------------------------------------


def values(uow: UnitOfWork, *, conversation_id: str, agent_id: str, pack: Pack) -> Mapping[str, str | None]:
    """What the placeholders stand for in a conversation, None for what it does not have. Raises NotFound.

    Of the customer only what was proved in this conversation.
    """
    conversation = uow.get(t.Conversation, conversation_id)
    if conversation is None:
        raise NotFound("This conversation does not exist.")
    customer = uow.get(t.Customer, conversation.customer_id) if conversation.customer_id else None
    refund = _latest(uow, t.Refund, t.Refund.customer_id == customer.id, t.Refund.created_at) if customer else None
    cancelled = (t.Cancellation.customer_id == customer.id, t.Cancellation.status != "undone") if customer else ()
    ending = _latest(uow, t.Cancellation, *cancelled, t.Cancellation.requested_at) if customer else None
    case = _latest(uow, t.Ticket, t.Ticket.conversation_id == conversation_id, t.Ticket.created_at)
    found = {
        "first_name": customer.name.split()[0] if customer and customer.name.split() else None,
        "name": customer.name if customer else None,
        "email": customer.email if customer else None,
        "agent": uow.get(t.Agent, agent_id).name,
        "brand": pack.brand.name,
        "support_email": pack.brand.contacts.email,
        "case": case.reference if case else None,
        "refund": refund.reference if refund else None,
        "refund_amount": Money(refund.amount_minor, refund.currency).format() if refund else None,
        "ends_on": format_date(ending.effective_at, pack.brand.zone) if ending else None,
    }
    return MappingProxyType(found)


def fill(text: str, known: Mapping[str, str | None], *, only_known: bool = False) -> str:
    """The text with its placeholders filled. Raises InvalidInput that says what is missing.

    With `only_known`, for what somebody typed by hand, other words in braces stay as they are.
    """
    named = [name for name in dict.fromkeys(placeholders(text)) if name in PLACEHOLDERS or not only_known]
    missing = [name for name in named if not known.get(name)]
    if missing:
        what = ", ".join(f"{{{name}}} ({PLACEHOLDERS.get(name, 'not a placeholder')})" for name in missing)
        raise InvalidInput(f"This conversation has no value for {what}. Nothing was done.")
    return PLACEHOLDER.sub(lambda found: known.get(found[1]) or found[0], text)


# --- parts -----------------------------------------------------------------------------------------------------------


def _latest(uow: UnitOfWork, table: Any, *conditions_and_time: Any) -> Any:
    *conditions, time = conditions_and_time
    return row(uow, select(table).where(*conditions).order_by(time.desc(), table.id.desc()))


def _named(name: str) -> str:
    plain = name.strip().lstrip("/").lower()
    if not _NAME.fullmatch(plain):
        raise InvalidInput("A name has letters, digits and hyphens, at most 40, such as thanks or refund-issued.")
    return plain


def _text(body: str) -> str:
    text = body.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput("There is no text yet. Write what should be said or done.")
    if len(text) > _LONGEST_BODY:
        raise TooLarge(f"The text has {len(text):,} characters, and at most {_LONGEST_BODY:,} are kept.")
    return text


def _check_placeholders(text: str) -> None:
    unknown = [name for name in placeholders(text) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise InvalidInput(f"There is no placeholder {{{unknown[0]}}}. Known: {known}.")


def _kept(uow: UnitOfWork, table: Any, brand: str, name: str, kept_id: str | None, shown: str | None) -> Any:
    """The row to be changed, or a new one. Raises NotFound, and Conflict for a name that another one has."""
    named = row(uow, select(table).where(table.brand == brand, table.name == name))
    if named is not None and named.id != kept_id:
        raise Conflict(f"There is a “{name}” already for this brand. Choose another name, or change that one.")
    if kept_id is None:
        return table(id=new_id("cnd"), brand=brand, name=name)
    kept = uow.get(table, kept_id)
    if kept is None or kept.brand != brand:
        raise NotFound("A colleague has removed this meanwhile, so nothing was changed.")
    if shown is not None and shown != kept.updated_at.isoformat():
        raise Conflict("A colleague has changed this meanwhile, so nothing was saved. This is how it stands now.")
    kept.name = name
    return kept


def _save(uow: UnitOfWork, kept: Any, action: str, agent_id: str, now: datetime) -> None:
    kept.updated_by, kept.updated_at = agent_id, now
    uow.add(kept)
    audit.record(uow, actor=agent_id, action=action, subject=kept.id, data={"brand": kept.brand}, now=now)


def _remove(uow: UnitOfWork, table: Any, brand: str, kept_id: str, action: str, agent_id: str, now: datetime) -> None:
    kept = uow.get(table, kept_id)
    if kept is not None and kept.brand == brand:
        uow.session.delete(kept)
        uow.session.flush()
        audit.record(uow, actor=agent_id, action=action, subject=kept_id, data={"brand": brand}, now=now)


def _listed(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _reply(kept: Any) -> CannedView:
    return CannedView(kept.id, kept.brand, kept.name, kept.body, kept.updated_at)


def _macro(kept: Any) -> MacroView:
    steps = tuple(Step(each["kind"], each["value"]) for each in kept.steps)
    return MacroView(kept.id, kept.brand, kept.name, steps, kept.updated_at)
