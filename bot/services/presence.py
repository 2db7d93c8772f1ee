"""Who is at the desk now, and whether a brand's customers can be put through to somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.errors import NotFound
from bot.policy import hours
from bot.policy.pack import Pack
from bot.services.rows import row
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

ONLINE_FOR = timedelta(seconds=90)  # since the desk's page was last heard of; it says so every half minute


@dataclass(frozen=True)
class OnlineAgent:
    """Somebody at the desk; `away` takes no new conversations, `load` counts those that are theirs."""

    id: str
    name: str
    role: str
    away: bool
    seen_at: datetime
    load: int


@dataclass(frozen=True)
class Availability:
    """Whether somebody can be had: `open` by the brand's hours, `online` how many people take conversations.

    `opens_at` is the next opening, the moment itself while it is open; None for a brand without a desk.
    """

    open: bool
    opens_at: datetime | None
    online: int

    @property
    def somebody(self) -> bool:
        """Whether a customer may be promised a person in the conversation."""
        return self.open and self.online > 0


def seen(uow: UnitOfWork, *, agent_id: str, now: datetime) -> None:
    """Put down that an agent is at the desk. Raises NotFound."""
    present = _of(uow, agent_id, now)
    present.seen_at = max(present.seen_at, now)


def set_away(uow: UnitOfWork, *, agent_id: str, away: bool, now: datetime) -> None:
    """Take new conversations, or none for a while. Raises NotFound."""
    _of(uow, agent_id, now).away = away


def is_away(uow: UnitOfWork, *, agent_id: str) -> bool:
    """Whether an agent takes no new conversations."""
    return bool(row(uow, select(t.Presence.away).where(t.Presence.agent_id == agent_id)))


def gone(uow: UnitOfWork, *, agent_id: str) -> None:
    """Put down that an agent has left the desk: nobody is promised them any more."""
    uow.session.execute(delete(t.Presence).where(t.Presence.agent_id == agent_id))


def online(uow: UnitOfWork, *, brand: str, now: datetime) -> list[OnlineAgent]:
    """Who works for a brand and is at the desk, by name; those who are away included."""
    found = uow.session.execute(
        select(t.Agent, t.Presence)
        .join(t.Presence, t.Presence.agent_id == t.Agent.id)
        .where(t.Agent.active.is_(True), t.Presence.seen_at > now - ONLINE_FOR)
        .order_by(t.Agent.name, t.Agent.id)
    ).all()
    theirs = [(agent, present) for agent, present in found if brand in agent.brands]
    if not theirs:
        return []
    loads = dict(
        uow.session.execute(
            select(t.Conversation.agent_id, func.count())
            .where(t.Conversation.owner == "human")
            .group_by(t.Conversation.agent_id)
        ).all()
    )
    return [
        OnlineAgent(agent.id, agent.name, agent.role, present.away, present.seen_at, loads.get(agent.id, 0))
        for agent, present in theirs
    ]


def taking(uow: UnitOfWork, *, brand: str, now: datetime) -> int:
    """How many people at the desk take new conversations of a brand."""
    return sum(not agent.away for agent in online(uow, brand=brand, now=now))


def availability(uow: UnitOfWork, *, pack: Pack, now: datetime) -> Availability:
    """Whether a customer of this brand can be put through to somebody now."""
    if pack.desk is None:
        return Availability(open=False, opens_at=None, online=0)
    opens_at = hours.next_opening(pack.desk, pack.brand.zone, now)
    there = taking(uow, brand=pack.brand.id, now=now)
    return Availability(open=opens_at == now, opens_at=opens_at, online=there)


def _of(uow: UnitOfWork, agent_id: str, now: datetime) -> Any:
    wanted = select(t.Presence).where(t.Presence.agent_id == agent_id)
    present = row(uow, wanted)
    if present is not None:
        return present
    if row(uow, select(t.Agent.id).where(t.Agent.id == agent_id)) is None:
        raise NotFound("There is no such agent.")
    dialect = uow.session.get_bind().dialect.name
    insert = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(t.Presence)
    new = insert.values(agent_id=agent_id, seen_at=now, away=False)
    uow.session.execute(new.on_conflict_do_nothing(index_elements=["agent_id"]))  # two pages may open at once
    return row(uow, wanted)
