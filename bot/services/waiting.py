"""Who waits for a person and whom people have: the queue in order, how long it takes, and what is due when."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from statistics import median
from typing import Any

from sqlalchemy import func, select

from bot.errors import NotFound
from bot.policy import hours
from bot.policy.pack import Pack
from bot.services import handoff, presence
from bot.services.rows import row, rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_MEASURED = 20  # the last so many waits of a brand
_MEASURED_WITHIN = timedelta(days=30)
_LEAST_MEASURED = 3  # fewer say nothing
_SOON = 0.25  # of its time left: what is due soon


class SlaState(str, Enum):
    """How something stands that is due."""

    FINE = "fine"
    SOON = "soon"
    LATE = "late"


@dataclass(frozen=True)
class Clock:
    """Something that people mean to do by a moment: `what` is first_reply, next_reply or resolve."""

    what: str
    since: datetime
    due: datetime
    state: SlaState


@dataclass(frozen=True)
class Sla:
    """What is due in a conversation that people have, soonest first; none where the brand has no desk."""

    clocks: tuple[Clock, ...] = ()

    @property
    def next(self) -> Clock | None:
        """What is due first."""
        return self.clocks[0] if self.clocks else None

    @property
    def state(self) -> SlaState:
        """How the worst of it stands."""
        states = {clock.state for clock in self.clocks}
        return next((state for state in (SlaState.LATE, SlaState.SOON) if state in states), SlaState.FINE)


@dataclass(frozen=True)
class Waiting:
    """A conversation that people have, as a line of the desk's lists. `position` is of the queue, None outside it.

    `since` is when people got it; `summary` the three lines from the records at that moment.
    """

    conversation_id: str
    brand: str
    channel: str
    owner: str
    agent_id: str | None
    agent_name: str | None
    reason: str
    priority: str
    team: str | None
    since: datetime
    position: int | None
    customer_id: str | None
    customer_name: str
    summary: str
    unread: int
    last_text: str
    last_at: datetime
    snoozed_until: datetime | None
    sla: Sla


def queue(uow: UnitOfWork, *, brands: Collection[str], packs: Mapping[str, Pack], now: datetime) -> list[Waiting]:
    """Who waits at these brands, in the order in which each brand serves them."""
    found = _with_people(uow, brands, t.Conversation.owner == "queued")
    places: dict[str, int] = {}
    counted: dict[str, int] = {}
    for conversation in found:
        counted[conversation.brand] = counted.get(conversation.brand, 0) + 1
        places[conversation.id] = counted[conversation.brand]
    return _lines(uow, found, places, packs, now)


def taken(
    uow: UnitOfWork,
    *,
    brands: Collection[str],
    packs: Mapping[str, Pack],
    now: datetime,
    agent_id: str | None = None,
) -> list[Waiting]:
    """What people have taken at these brands, the urgent and the old first; with `agent_id` one person's own."""
    mine = (t.Conversation.agent_id == agent_id,) if agent_id else ()
    found = _with_people(uow, brands, t.Conversation.owner == "human", *mine)
    return _lines(uow, found, {}, packs, now)


def position(uow: UnitOfWork, conversation_id: str) -> int | None:
    """The place of a conversation in its brand's queue, from 1; None if it does not wait. Raises NotFound."""
    conversation = row(uow, select(t.Conversation).where(t.Conversation.id == conversation_id))
    if conversation is None:
        raise NotFound("This conversation does not exist.")
    return handoff.position_of(uow, conversation) if conversation.owner == "queued" else None


def estimate(uow: UnitOfWork, *, brand: str, position: int, now: datetime) -> timedelta | None:
    """How long somebody at that place will wait, from the last waits of the brand; None while too few are measured.

    Of each wait the time that one person needs for one place is taken, and the middle one of these counts: one long
    night does not. As many people as are there now share the places; one, if all have just left.
    """
    measured = uow.session.execute(
        select(t.Handoff.conversation_id, t.Handoff.at, t.Handoff.waited_seconds)
        .join(t.Conversation, t.Conversation.id == t.Handoff.conversation_id)
        .where(
            t.Conversation.brand == brand,
            t.Handoff.waited_seconds.is_not(None),
            t.Handoff.at > now - _MEASURED_WITHIN,
        )
        .order_by(t.Handoff.at.desc())
        .limit(_MEASURED)
    ).all()
    if len(measured) < _LEAST_MEASURED:
        return None
    joined = uow.session.execute(
        select(t.Handoff.conversation_id, t.Handoff.at, t.Handoff.position, t.Handoff.staff)
        .where(
            t.Handoff.to_owner == "queued",
            t.Handoff.position.is_not(None),
            t.Handoff.conversation_id.in_([each.conversation_id for each in measured]),
        )
        .order_by(t.Handoff.at)
    ).all()
    staff = max(1, presence.taking(uow, brand=brand, now=now))
    a_place = [each.waited_seconds * _staff(began, staff) / _place(began) for each, began in _begun(measured, joined)]
    return timedelta(seconds=median(a_place) * position / staff)


def sla(pack: Pack | None, conversation: Any, now: datetime) -> Sla:
    """What is due in a conversation's row, by the brand's open hours."""
    desk = pack.desk if pack else None
    if pack is None or desk is None or conversation.handed_over_at is None:
        return Sla()

    def clock(what: str, since: datetime, length: timedelta) -> Clock:
        due = hours.after_open_time(desk, pack.brand.zone, since, length)
        late, soon = now >= due, due - now <= (due - since) * _SOON
        return Clock(what, since, due, SlaState.LATE if late else SlaState.SOON if soon else SlaState.FINE)

    clocks = [clock("resolve", conversation.handed_over_at, timedelta(hours=desk.resolve_hours))]
    if conversation.first_reply_at is None:
        clocks.append(clock("first_reply", conversation.handed_over_at, timedelta(minutes=desk.first_reply_minutes)))
    elif conversation.unanswered_since is not None:
        clocks.append(clock("next_reply", conversation.unanswered_since, timedelta(minutes=desk.next_reply_minutes)))
    return Sla(tuple(sorted(clocks, key=lambda each: each.due)))


def _with_people(uow: UnitOfWork, brands: Collection[str], *conditions: Any) -> list[Any]:
    found = rows(uow, select(t.Conversation).where(t.Conversation.brand.in_(list(brands)), *conditions))
    return sorted(found, key=lambda each: (handoff.RANK[each.priority], each.handed_over_at, each.id))


def _lines(
    uow: UnitOfWork, found: list[Any], places: Mapping[str, int], packs: Mapping[str, Pack], now: datetime
) -> list[Waiting]:
    ids = [conversation.id for conversation in found]
    if not ids:
        return []
    customers = _by_id(uow, t.Customer, {conversation.customer_id for conversation in found})
    agents = _by_id(uow, t.Agent, {conversation.agent_id for conversation in found})
    started = rows(
        uow,
        select(t.Handoff)
        .where(t.Handoff.conversation_id.in_(ids), t.Handoff.from_owner.in_(("bot", "closed")))
        .order_by(t.Handoff.at),
    )
    notes = {change.conversation_id: change.note for change in started}
    latest = {
        message.conversation_id: message
        for message in rows(
            uow,
            select(t.Message)
            .join(t.Conversation, t.Conversation.id == t.Message.conversation_id)
            .where(t.Message.conversation_id.in_(ids), t.Message.seq == t.Conversation.last_seq),
        )
    }
    unread = dict(
        uow.session.execute(
            select(t.Message.conversation_id, func.count())
            .join(t.Conversation, t.Conversation.id == t.Message.conversation_id)
            .where(
                t.Message.conversation_id.in_(ids),
                t.Message.author == "customer",
                t.Message.seq > t.Conversation.agent_read_seq,
            )
            .group_by(t.Message.conversation_id)
        ).all()
    )
    lines = []
    for each in found:
        customer, agent, last = customers.get(each.customer_id), agents.get(each.agent_id), latest.get(each.id)
        lines.append(
            Waiting(
                conversation_id=each.id,
                brand=each.brand,
                channel=each.channel,
                owner=each.owner,
                agent_id=each.agent_id,
                agent_name=agent.name if agent else None,
                reason=each.handoff_reason or "",
                priority=each.priority,
                team=each.team,
                since=each.handed_over_at,
                position=places.get(each.id),
                customer_id=each.customer_id,
                customer_name=customer.name if customer else "",
                summary=notes.get(each.id) or "",
                unread=unread.get(each.id, 0),
                last_text=last.text if last else "",
                last_at=last.created_at if last else each.updated_at,
                snoozed_until=each.snoozed_until,
                sla=sla(packs.get(each.brand), each, now),
            )
        )
    return lines


def _by_id(uow: UnitOfWork, table: Any, ids: Collection[str | None]) -> dict[str | None, Any]:
    wanted = [each for each in ids if each]
    return {each.id: each for each in rows(uow, select(table).where(table.id.in_(wanted)))} if wanted else {}


def _begun(measured: Sequence[Any], joined: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each wait that ended with somebody taking the conversation, and how it began; None where that is not known."""
    for taken in measured:
        began = [each for each in joined if each.conversation_id == taken.conversation_id and each.at <= taken.at]
        yield taken, began[-1] if began else None


def _place(began: Any) -> int:
    return max(1, began.position) if began is not None else 1


def _staff(began: Any, otherwise: int) -> int:
    """How many were there; as many as now, where it was not put down yet."""
    known = began is not None and began.staff is not None
    return max(1, began.staff) if known else otherwise
