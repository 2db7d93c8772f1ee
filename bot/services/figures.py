"""A brand's figures, counted from the records: who is there, how fast people are, what the bot settles, money, leaving.

A day is one of the brand's time zone. What counts is defined here once, in `DEFINITIONS`, and shown beside the numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from statistics import median
from types import MappingProxyType

from sqlalchemy import select

from bot.policy.dates import DayTime, Shift, shift
from bot.policy.intents import INTENTS
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.services import csat, presence
from bot.services.presence import OnlineAgent
from bot.services.rows import rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

LEFT_ALONE = timedelta(hours=24)
"""So long without another word, and a matter that the bot answered counts as settled."""
RETURN_WITHIN = timedelta(days=7)
"""Whoever comes back with the same matter so soon had not been helped."""
PERIODS = (1, 7, 30)
"""Days that can be looked at, today included."""
_SMALL = frozenset(
    {
        "greet",
        "goodbye",
        "thank",
        "affirm",
        "deny",
        "bot_challenge",
        "ask_capabilities",
        "stop",
        "inform",
        "out_of_scope",
        "complain",
        "talk_to_human",
    }
)
_CONFIRMS = frozenset({"thank", "goodbye"})
_NOT_UNDERSTOOD = frozenset({"nlu_fallback", "out_of_scope", "other_language"})

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "first_reply": "From the moment people got a conversation until a person's first words in it, waiting "
        "included; counted on the day people got it.",
        "resolution": "From the moment people got a conversation until a person resolved it; counted on the day it "
        "was resolved.",
        "csat": "Ratings of 4 or 5 among all ratings given in the period; asked when a person resolves a matter.",
        "by_bot": "A matter is one wish of a customer with what belongs to it. The bot settled it alone when the "
        "customer confirmed it with thanks or a goodbye, or left it for 24 hours, without asking for a person. Coming "
        "back with the same matter within 7 days takes that back, and leaving when the last words were not understood "
        "does not count. Matters less than 24 hours old are still open and not in the share.",
        "handoffs": "Why the bot gave conversations to people, in the chat or, when nobody was there, as a ticket.",
        "money": "Refunds issued and credits given in the period, by the rule that decided them.",
        "leaving": "Cancellations asked for in the period by the reason given; undone are those of them that were "
        "taken back since. Kept: customers who began to cancel and stayed.",
    }
)
"""What each figure counts, in words for whoever reads it."""


class Fate(str, Enum):
    """What became of a matter."""

    CONFIRMED = "confirmed"
    LEFT = "left"
    PERSON = "person"
    RETURNED = "returned"
    NOT_UNDERSTOOD = "not_understood"
    OPEN = "open"


SETTLED = (Fate.CONFIRMED, Fate.LEFT)


@dataclass(frozen=True)
class Times:
    """How long something took, in seconds; None where nothing was measured."""

    count: int = 0
    median: float | None = None
    slowest_tenth: float | None = None  # nine of ten were at most that long


@dataclass(frozen=True)
class Satisfaction:
    """`asked` and `rated` are how many; `scores` how many of each score, 5 first; `share` of 4 and 5, None without."""

    asked: int
    rated: int
    scores: Mapping[int, int]
    share: float | None


@dataclass(frozen=True)
class ByBot:
    """How many matters came to what, and the share that the bot settled alone; None without any."""

    fates: Mapping[Fate, int]
    share: float | None


@dataclass(frozen=True)
class ByRule:
    """Money that went back by one rule in one currency."""

    rule_id: str
    kind: str  # refund or credit
    count: int
    amount: Money


@dataclass(frozen=True)
class Reason:
    """Leaving and staying by one reason of the survey; `id` is empty where none was given."""

    id: str
    title: str
    cancelled: int
    undone: int
    kept: int


@dataclass(frozen=True)
class Figures:
    """Everything of one brand for a period of whole days; the last one may not be over."""

    brand: str
    since: datetime
    until: datetime
    online: tuple[OnlineAgent, ...]
    waiting: int
    longest_wait: timedelta | None
    with_people: int
    first_reply: Times
    resolution: Times
    resolved_by: tuple[tuple[str, int], ...]  # name of the agent, how many
    csat: Satisfaction
    by_bot: ByBot
    handoffs: tuple[tuple[str, int, int], ...]  # reason, in the chat, as a ticket
    money: tuple[ByRule, ...]
    reasons: tuple[Reason, ...]
    paused_instead: int


def collect(uow: UnitOfWork, *, pack: Pack, days: int, now: datetime) -> Figures:
    """A brand's figures for the last so many days of its calendar, today included."""
    zone = pack.brand.zone
    since = shift(now, Shift("now", days=1 - days, at=DayTime.START_OF_DAY), zone)
    brand = pack.brand.id
    queued = rows(uow, select(t.Conversation).where(t.Conversation.brand == brand, t.Conversation.owner == "queued"))
    taken = rows(uow, select(t.Conversation.id).where(t.Conversation.brand == brand, t.Conversation.owner == "human"))
    first, resolution, resolved_by, in_chat = _people(uow, brand, since, now)
    return Figures(
        brand=brand,
        since=since,
        until=now,
        online=tuple(presence.online(uow, brand=brand, now=now)),
        waiting=len(queued),
        longest_wait=max((now - each.handed_over_at for each in queued), default=None),
        with_people=len(taken),
        first_reply=first,
        resolution=resolution,
        resolved_by=resolved_by,
        csat=_satisfaction(uow, brand, since, now),
        by_bot=_by_bot(uow, brand, since, now),
        handoffs=_handoffs(uow, brand, since, now, in_chat),
        money=_money(uow, brand, since, now),
        reasons=_reasons(uow, pack, since, now),
        paused_instead=len(
            rows(
                uow,
                select(t.Pause.id)
                .join(t.Account, t.Account.id == t.Pause.account_id)
                .where(
                    t.Account.brand == brand,
                    t.Pause.instead_of_cancelling.is_(True),
                    t.Pause.requested_at >= since,
                    t.Pause.requested_at <= now,
                ),
            )
        ),
    )


def times(seconds: Sequence[float]) -> Times:
    """The middle one and that which nine of ten did not exceed."""
    if not seconds:
        return Times()
    ordered = sorted(seconds)
    return Times(len(ordered), median(ordered), ordered[-(-9 * len(ordered) // 10) - 1])


# --- people ----------------------------------------------------------------------------------------------------------


@dataclass
class _Spell:
    """A time in which people had a conversation."""

    conversation_id: str
    reason: str
    begins: datetime
    ends: datetime | None = None
    resolved_by: str | None = None


def _people(
    uow: UnitOfWork, brand: str, since: datetime, now: datetime
) -> tuple[Times, Times, tuple[tuple[str, int], ...], Counter[str]]:
    """First replies, resolutions, who resolved how many, and why people got conversations."""
    spells = _spells(uow, brand, since, now)
    begun = [spell for spell in spells if since <= spell.begins <= now]
    resolved = [spell for spell in spells if spell.resolved_by and spell.ends and since <= spell.ends <= now]
    replies = defaultdict(list)
    ids = {spell.conversation_id for spell in begun}
    wanted = select(t.Message).where(
        t.Message.conversation_id.in_(ids), t.Message.author == "agent", t.Message.created_at <= now
    )
    for message in rows(uow, wanted.order_by(t.Message.created_at)):
        replies[message.conversation_id].append(message.created_at)
    waits = []
    for spell in begun:
        end = spell.ends or now
        first = next((at for at in replies[spell.conversation_id] if spell.begins <= at <= end), None)
        if first is not None:
            waits.append((first - spell.begins).total_seconds())
    names = {each.id: each.name for each in rows(uow, select(t.Agent))}
    by_agent = Counter(names.get(spell.resolved_by or "", "") for spell in resolved)
    return (
        times(waits),
        times([(spell.ends - spell.begins).total_seconds() for spell in resolved if spell.ends]),
        tuple(sorted(by_agent.items(), key=lambda each: (-each[1], each[0]))),
        Counter(spell.reason for spell in begun),
    )


def _spells(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> list[_Spell]:
    """The spells of every conversation in which people did something since then, whole ones."""
    lately = select(t.Handoff.conversation_id).where(t.Handoff.at >= since, t.Handoff.at <= now)
    found = rows(
        uow,
        select(t.Handoff)
        .join(t.Conversation, t.Conversation.id == t.Handoff.conversation_id)
        .where(t.Conversation.brand == brand, t.Handoff.conversation_id.in_(lately), t.Handoff.at <= now)
        .order_by(t.Handoff.conversation_id, t.Handoff.at, t.Handoff.id),
    )
    spells: list[_Spell] = []
    for change in found:
        to_people = change.to_owner in ("queued", "human")
        if to_people and change.from_owner in ("bot", "closed"):
            spells.append(_Spell(change.conversation_id, change.reason, change.at))
        elif not to_people and spells and spells[-1].conversation_id == change.conversation_id:
            spells[-1].ends = change.at
            spells[-1].resolved_by = change.actor if change.reason == "resolved" else None
    return spells


def _handoffs(
    uow: UnitOfWork, brand: str, since: datetime, now: datetime, in_chat: Counter[str]
) -> tuple[tuple[str, int, int], ...]:
    opened = rows(
        uow,
        select(t.TicketEvent)
        .join(t.Ticket, t.Ticket.id == t.TicketEvent.ticket_id)
        .where(
            t.Ticket.brand == brand,
            t.Ticket.kind == "handoff",
            t.TicketEvent.kind == "opened",
            t.TicketEvent.at >= since,
            t.TicketEvent.at <= now,
        ),
    )
    tickets = Counter(str((each.data.get("details") or {}).get("reason") or "asked") for each in opened)
    reasons = sorted(in_chat | tickets, key=lambda reason: (-(in_chat[reason] + tickets[reason]), reason))
    return tuple((reason, in_chat[reason], tickets[reason]) for reason in reasons)


def _satisfaction(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> Satisfaction:
    asked = [each for each in csat.ratings(uow, brand=brand, since=since) if each.asked_at <= now]
    given = rows(
        uow,
        select(t.Rating.score).where(t.Rating.brand == brand, t.Rating.rated_at >= since, t.Rating.rated_at <= now),
    )
    scores = Counter(given)
    good = scores[4] + scores[5]
    return Satisfaction(
        asked=len(asked),
        rated=len(given),
        scores={score: scores[score] for score in csat.SCORES},
        share=good / len(given) if given else None,
    )


# --- the bot alone ---------------------------------------------------------------------------------------------------


@dataclass
class _Matter:
    """One wish with the customer's messages that belong to it."""

    who: str
    conversation_id: str
    wish: str
    begins: datetime
    last: datetime
    confirmed: bool = False
    understood: bool = True
    next_begins: datetime | None = None


def _by_bot(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> ByBot:
    matters = _matters(uow, brand, since, now)
    asked = _asked_for_people(uow, brand, since, now)
    fates: Counter[Fate] = Counter()
    for matter in matters:
        fates[_fate(matter, matters, asked.get(matter.conversation_id, ()), now)] += 1
    counted = sum(count for fate, count in fates.items() if fate is not Fate.OPEN)
    settled = sum(fates[fate] for fate in SETTLED)
    return ByBot({fate: fates[fate] for fate in Fate}, settled / counted if counted else None)


def _fate(matter: _Matter, matters: Iterable[_Matter], asked: Iterable[datetime], now: datetime) -> Fate:
    over = min(matter.last + LEFT_ALONE, matter.next_begins or now + LEFT_ALONE)
    if any(matter.begins <= at <= over for at in asked):
        return Fate.PERSON
    again = (other for other in matters if other is not matter and (other.who, other.wish) == (matter.who, matter.wish))
    if any(matter.last < other.begins <= matter.last + RETURN_WITHIN for other in again):
        return Fate.RETURNED
    if matter.confirmed:
        return Fate.CONFIRMED
    if now < matter.last + LEFT_ALONE:
        return Fate.OPEN
    return Fate.LEFT if matter.understood else Fate.NOT_UNDERSTOOD


def _matters(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> list[_Matter]:
    """The matters that began in the period, in the order of their conversations."""
    columns = (
        t.Message.conversation_id,
        t.Conversation.customer_id,
        t.Message.understanding,
        t.Message.created_at,
    )
    said = uow.session.execute(
        select(*columns)
        .join(t.Conversation, t.Conversation.id == t.Message.conversation_id)
        .where(
            t.Conversation.brand == brand,
            t.Message.author == "customer",
            t.Message.status == "answered",
            t.Message.created_at >= since,
            t.Message.created_at <= now,
        )
        .order_by(t.Message.conversation_id, t.Message.seq)
    ).all()
    matters: list[_Matter] = []
    current: _Matter | None = None
    for conversation_id, customer_id, understanding, at in said:
        if current is not None and current.conversation_id != conversation_id:
            current = None
        intent = str((understanding or {}).get("intent") or "")
        is_wish = intent in INTENTS and intent not in _SMALL
        if is_wish and (current is None or current.wish != intent or at >= current.last + LEFT_ALONE):
            if current is not None:
                current.next_begins = at
            current = _Matter(customer_id or conversation_id, conversation_id, intent, at, at)
            matters.append(current)
        elif current is not None:
            current.last = at
            current.confirmed = intent in _CONFIRMS
            current.understood = intent not in _NOT_UNDERSTOOD
    return matters


def _asked_for_people(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> dict[str, list[datetime]]:
    """When each conversation was given to people, or a person was asked for by a ticket."""
    given = uow.session.execute(
        select(t.Handoff.conversation_id, t.Handoff.at)
        .join(t.Conversation, t.Conversation.id == t.Handoff.conversation_id)
        .where(
            t.Conversation.brand == brand,
            t.Handoff.from_owner.in_(("bot", "closed")),
            t.Handoff.to_owner.in_(("queued", "human")),
            t.Handoff.at >= since,
            t.Handoff.at <= now,
        )
    ).all()
    tickets = uow.session.execute(
        select(t.Ticket.conversation_id, t.Ticket.created_at).where(
            t.Ticket.brand == brand,
            t.Ticket.kind == "handoff",
            t.Ticket.conversation_id.is_not(None),
            t.Ticket.created_at >= since,
            t.Ticket.created_at <= now,
        )
    ).all()
    asked: dict[str, list[datetime]] = defaultdict(list)
    for conversation_id, at in (*given, *tickets):
        asked[conversation_id].append(at)
    return asked


# --- money and leaving -----------------------------------------------------------------------------------------------


def _money(uow: UnitOfWork, brand: str, since: datetime, now: datetime) -> tuple[ByRule, ...]:
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for kind, table in (("refund", t.Refund), ("credit", t.Credit)):
        given = uow.session.execute(
            select(t.Decision.rule_id, table.currency, table.amount_minor)
            .join(t.Decision, t.Decision.id == table.decision_id)
            .where(t.Decision.brand == brand, table.created_at >= since, table.created_at <= now)
        ).all()
        for rule_id, currency, amount in given:
            sums[rule_id, kind, currency].append(amount)
    found = [ByRule(rule, kind, len(each), Money(sum(each), code)) for (rule, kind, code), each in sums.items()]
    return tuple(sorted(found, key=lambda each: (-each.amount.minor, each.rule_id, each.kind)))


def _reasons(uow: UnitOfWork, pack: Pack, since: datetime, now: datetime) -> tuple[Reason, ...]:
    cancelled = rows(
        uow,
        select(t.Cancellation)
        .join(t.Account, t.Account.id == t.Cancellation.account_id)
        .where(
            t.Account.brand == pack.brand.id,
            t.Cancellation.requested_at >= since,
            t.Cancellation.requested_at <= now,
        ),
    )
    kept = Counter(
        str(each.data.get("reason") or "")
        for each in rows(
            uow,
            select(t.AuditLog).where(
                t.AuditLog.action == "cancellation.kept", t.AuditLog.at >= since, t.AuditLog.at <= now
            ),
        )
        if each.data.get("brand") == pack.brand.id
    )
    asked = Counter(each.reason_id or "" for each in cancelled)
    undone = Counter(each.reason_id or "" for each in cancelled if each.status == "undone")
    titles = {reason.id: reason.title for reason in pack.cancel.reasons}
    named = [
        Reason(id_, titles.get(id_, id_ or "No reason given"), asked[id_], undone[id_], kept[id_])
        for id_ in asked | kept
    ]
    return tuple(sorted(named, key=lambda each: (-each.cancelled, -each.kept, each.title)))
