"""Who owns a conversation: bot, queue, person or nobody, changed only along the allowed ways and always on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import case, func, or_, select, update

from bot.errors import Conflict, Forbidden, NotFound
from bot.ids import new_id
from bot.policy.pack import Pack
from bot.services import audit, presence, tickets
from bot.services.rows import row, rows
from bot.services.summaries import summary
from bot.services.tickets import Priority, TicketStatus, TicketView
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

TRANSITIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "bot": frozenset({"queued", "human", "closed"}),
        "queued": frozenset({"bot", "human", "closed"}),
        "human": frozenset({"bot", "queued", "human", "closed"}),
        "closed": frozenset({"bot", "queued", "human"}),
    }
)
"""To which owners a conversation may pass from each; a person may pass it to another person."""

URGENT_REASONS = MappingProxyType({"limit": Priority.HIGH, "law": Priority.HIGH, "anger": Priority.HIGH})
"""Reasons to be served before others; a ticket's or an agent's own word may be more urgent still."""
REASONS = (
    "asked",
    "misses",
    "anger",
    "loop",
    "limit",
    "law",
    "taken",
    "released",
    "transferred",
    "agent_left",
    "handed_back",
    "resolved",
    "changed_mind",
    "by_email",
    "no_answer",
    "customer_returned",
)
"""Why a conversation changes hands: why the bot gave it to people, and how it went on."""
SUPERVISING = frozenset({"supervisor", "admin"})
LONGEST_NOTE = 1000
RANK: Mapping[str, int] = MappingProxyType({"urgent": 0, "high": 1, "normal": 2, "low": 3})
"""Priorities in the order of being served."""
_LONGEST_SNOOZE = timedelta(days=31)


@dataclass(frozen=True)
class HandoffView:
    """One change of a conversation's owner."""

    id: str
    conversation_id: str
    from_owner: str
    to_owner: str
    reason: str
    actor: str
    note: str
    at: datetime
    agent_id: str | None = None
    position: int | None = None


def change_owner(
    uow: UnitOfWork,
    *,
    conversation_id: str,
    to_owner: str,
    reason: str,
    actor: str,
    note: str,
    key: str,
    now: datetime,
    agent_id: str | None = None,
    team: str | None = None,
    priority: Priority | None = None,
    promised_until: datetime | None = None,
    answering: str | None = None,
) -> HandoffView:
    """Give a conversation another owner, once for each key; `agent_id` is needed when it becomes a person's.

    What customers wrote and the bot has not answered becomes the people's, except the message that it is `answering`
    with this change. Raises NotFound for an unknown conversation, Conflict when its owner now does not allow this
    change or the key was used for another.
    """
    conversation = _locked(uow, conversation_id)
    done = _done(uow, conversation_id, to_owner, key)
    if done is not None:
        return done
    _check(conversation, to_owner, agent_id)
    change = t.Handoff(
        id=new_id("hof"),
        conversation_id=conversation_id,
        from_owner=conversation.owner,
        to_owner=to_owner,
        reason=reason,
        actor=actor,
        note=note[:LONGEST_NOTE],
        agent_id=agent_id,
        at=now,
        idempotency_key=key,
    )
    if conversation.owner == "queued" and to_owner == "human":
        change.waited_seconds = _waited(uow, conversation_id, now)
    with_people = to_owner in ("queued", "human")
    if with_people:
        if _relay(uow, conversation_id, answering):
            conversation.unanswered_since = conversation.unanswered_since or now
        if conversation.owner in ("bot", "closed"):
            conversation.handed_over_at, conversation.handoff_reason = now, reason
            conversation.priority = (priority or URGENT_REASONS.get(reason, Priority.NORMAL)).value
    else:
        conversation.handed_over_at = conversation.handoff_reason = conversation.first_reply_at = None
        conversation.unanswered_since = conversation.snoozed_until = None
        conversation.priority = Priority.NORMAL.value
        if conversation.owner == "human":
            conversation.dialogue = None  # what was open before a person came is not to be gone on with
    conversation.team = team
    conversation.promised_until, conversation.choose_until = promised_until, None
    conversation.owner = to_owner
    conversation.agent_id = agent_id
    conversation.updated_at = now
    uow.session.flush()
    if to_owner == "queued":
        change.position = position_of(uow, conversation)
        change.staff = presence.taking(uow, brand=conversation.brand, now=now)
    uow.add(change)
    return _view(change)


# --- what people at the desk do --------------------------------------------------------------------------------------


def claim(uow: UnitOfWork, *, conversation_id: str, agent_id: str, key: str, now: datetime) -> HandoffView:
    """Make a conversation one's own, from the queue, the bot or nobody; claimed twice by the same person, once.

    Raises NotFound for a conversation of other brands, Conflict that names who won where somebody else has it.
    """
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    done = _done(uow, conversation_id, "human", key)
    if done is not None:
        return done
    if conversation.owner == "human":
        if conversation.agent_id == agent_id:
            return last_change(uow, conversation_id)
        raise Conflict(f"{_name(uow, conversation.agent_id)} has taken this conversation.", agent=conversation.agent_id)
    return _pass(uow, conversation, agent, to="human", reason="taken", note="", key=key, now=now, new_agent=agent_id)


def release(
    uow: UnitOfWork, *, conversation_id: str, agent_id: str, key: str, now: datetime, note: str = ""
) -> HandoffView:
    """Put a conversation of one's own back into the queue, where it keeps its place. Raises as `claim`."""
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    done = _done(uow, conversation_id, "queued", key)
    if done is not None:
        return done
    _must_have(uow, conversation, agent)
    return _pass(uow, conversation, agent, to="queued", reason="released", note=note, key=key, now=now)


def transfer(
    uow: UnitOfWork,
    *,
    conversation_id: str,
    agent_id: str,
    key: str,
    now: datetime,
    to_agent_id: str | None = None,
    to_team: str | None = None,
    note: str = "",
) -> HandoffView:
    """Give a conversation to somebody else, or with a `to_team` (a role, or empty for anybody) back to the queue.

    One's own may be given away, one in the queue assigned, and a supervisor may do both with anybody's. Raises
    Conflict, also for somebody who does not work for the brand, NotFound, Forbidden.
    """
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    if (to_agent_id is None) == (to_team is None):
        raise Conflict("Say whom to give it to: one person, or a team.")
    done = _done(uow, conversation_id, "human" if to_agent_id else "queued", key)
    if done is not None:
        return done
    if conversation.owner == "human":
        if agent.role not in SUPERVISING:
            _must_have(uow, conversation, agent)
    elif conversation.owner != "queued" or to_agent_id is None:
        raise Conflict(_not_with_people(conversation.owner))
    given: dict[str, Any] = {"reason": "transferred", "note": note, "key": key, "now": now}
    if to_agent_id is None:
        if to_team and to_team not in ("agent", *SUPERVISING):
            raise Conflict(f"There is no team {to_team[:40]!r}. Choose agent, supervisor or admin.")
        return _pass(uow, conversation, agent, to="queued", team=to_team or None, **given)
    other = row(uow, select(t.Agent).where(t.Agent.id == to_agent_id))
    if other is None or not other.active or conversation.brand not in other.brands:
        raise Conflict("That person does not work for this brand. Choose somebody else.")
    if other.id == conversation.agent_id:
        raise Conflict(f"{other.name} has this conversation already.")
    return _pass(uow, conversation, agent, to="human", new_agent=other.id, **given)


def hand_back(
    uow: UnitOfWork, *, conversation_id: str, agent_id: str, note: str, key: str, now: datetime
) -> HandoffView:
    """Give a conversation of one's own back to the bot; `note` is a word on what to do. Raises as `claim`."""
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    done = _done(uow, conversation_id, "bot", key)
    if done is not None:
        return done
    _must_have(uow, conversation, agent)
    return _pass(uow, conversation, agent, to="bot", reason="handed_back", note=note, key=key, now=now)


def resolve(uow: UnitOfWork, *, conversation_id: str, agent_id: str, note: str, key: str, now: datetime) -> HandoffView:
    """Say that the matter is settled: nobody's until the customer writes again, then the bot's. Raises as `claim`.

    Tickets that only asked for a person are resolved with it.
    """
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    done = _done(uow, conversation_id, "closed", key)
    if done is not None:
        return done
    _must_have(uow, conversation, agent)
    change = _pass(uow, conversation, agent, to="closed", reason="resolved", note=note, key=key, now=now)
    settle_tickets(uow, conversation_id, actor=agent_id, key=change.id, note=note, now=now)
    return change


def leave_queue(uow: UnitOfWork, *, conversation_id: str, reason: str, key: str, now: datetime) -> HandoffView:
    """Take a conversation out of the queue and back to the bot: the customer changed their mind, or the wait is over.

    Raises NotFound, Conflict where it does not wait.
    """
    conversation = _locked(uow, conversation_id)
    done = _done(uow, conversation_id, "bot", key)
    if done is not None:
        return done
    if conversation.owner != "queued":
        raise Conflict("This conversation does not wait for a person.", owner=conversation.owner)
    return change_owner(
        uow,
        conversation_id=conversation_id,
        to_owner="bot",
        reason=reason,
        actor="customer" if reason in ("changed_mind", "by_email") else "system",
        note="",
        key=key,
        now=now,
    )


def let_go(uow: UnitOfWork, *, agent_id: str, now: datetime, brands: Sequence[str] | None = None) -> list[str]:
    """Put everything that somebody has back into the queue, because they left; with `brands`, only of these.

    Returns the conversations' ids.
    """
    mine = select(t.Conversation.id).where(t.Conversation.agent_id == agent_id, t.Conversation.owner == "human")
    if brands is not None:
        mine = mine.where(t.Conversation.brand.in_(list(brands)))
    ids = rows(uow, mine.order_by(t.Conversation.id))
    for conversation_id in ids:
        change_owner(
            uow,
            conversation_id=conversation_id,
            to_owner="queued",
            reason="agent_left",
            actor="system",
            note="",
            key=new_id("left"),
            now=now,
        )
    return ids


def snooze(uow: UnitOfWork, *, conversation_id: str, agent_id: str, until: datetime | None, now: datetime) -> None:
    """Put one's own conversation aside until a moment, or take it up again; a customer's message ends it too."""
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    _must_have(uow, conversation, agent)
    if until is not None and not now < until <= now + _LONGEST_SNOOZE:
        raise Conflict("Choose a moment within the next month.")
    conversation.snoozed_until = until
    audit.record(uow, actor=agent_id, action="conversation.snoozed", subject=conversation_id, now=now)


def set_priority(uow: UnitOfWork, *, conversation_id: str, agent_id: str, priority: Priority, now: datetime) -> None:
    """Let a conversation be served before or after others. Raises NotFound, Conflict where people do not have it."""
    conversation, _ = _at_desk(uow, conversation_id, agent_id)
    if conversation.owner not in ("queued", "human"):
        raise Conflict(_not_with_people(conversation.owner))
    conversation.priority = priority.value
    data = {"priority": priority.value}
    audit.record(uow, actor=agent_id, action="conversation.priority", subject=conversation_id, data=data, now=now)


def speaks_for(uow: UnitOfWork, *, conversation_id: str, agent_id: str) -> str:
    """The name of the agent who owns a conversation and is about to speak in it.

    Raises NotFound, Forbidden for somebody deactivated, Conflict that names who has it otherwise.
    """
    conversation, agent = _at_desk(uow, conversation_id, agent_id)
    _must_have(uow, conversation, agent)
    return str(agent.name)


def said(uow: UnitOfWork, *, conversation_id: str, now: datetime) -> None:
    """Put down that a person has answered: their clocks for a first and a next reply stop."""
    conversation = _locked(uow, conversation_id)
    conversation.first_reply_at = conversation.first_reply_at or now
    conversation.unanswered_since = conversation.snoozed_until = None


def read_by_agent(uow: UnitOfWork, *, conversation_id: str, agent_id: str, seq: int) -> None:
    """Put down how far the person who has a conversation has read; others' reading changes nothing."""
    conversation, _ = _at_desk(uow, conversation_id, agent_id)
    if conversation.agent_id == agent_id:
        conversation.agent_read_seq = max(conversation.agent_read_seq, min(seq, conversation.last_seq))


def settled_reasons(uow: UnitOfWork, conversation_id: str) -> frozenset[str]:
    """For which reasons people had this conversation and gave it back: no grounds to bring them in by oneself again."""
    changes = rows(
        uow, select(t.Handoff).where(t.Handoff.conversation_id == conversation_id).order_by(t.Handoff.at, t.Handoff.id)
    )
    settled, open_reasons = set(), set()
    for change in changes:
        if change.from_owner in ("bot", "closed") and change.to_owner in ("queued", "human"):
            open_reasons = {change.reason}
        elif change.reason in ("resolved", "handed_back"):
            settled |= open_reasons
    return frozenset(settled)


def position_of(uow: UnitOfWork, conversation: Any) -> int:
    """The place of a conversation in its brand's queue, from 1: the urgent first, then who has waited longest."""
    other = t.Conversation
    rank = case(dict(RANK), value=other.priority, else_=2)
    mine = RANK[conversation.priority]
    earlier = or_(
        other.handed_over_at < conversation.handed_over_at,
        (other.handed_over_at == conversation.handed_over_at) & (other.id < conversation.id),
    )
    ahead = select(func.count()).where(
        other.brand == conversation.brand, other.owner == "queued", or_(rank < mine, (rank == mine) & earlier)
    )
    return int(uow.session.execute(ahead).scalar_one()) + 1


def settle_tickets(uow: UnitOfWork, conversation_id: str, *, actor: str, key: str, note: str, now: datetime) -> None:
    """Resolve the tickets of a conversation that only asked for a person."""
    asked = select(t.Ticket.id).where(
        t.Ticket.conversation_id == conversation_id,
        t.Ticket.kind == "handoff",
        t.Ticket.status.in_((TicketStatus.OPEN.value, TicketStatus.PENDING.value)),
    )
    for ticket_id in rows(uow, asked):
        tickets.set_status(
            uow,
            ticket_id,
            TicketStatus.RESOLVED,
            actor=actor,
            idempotency_key=f"{key}:{ticket_id}",
            note=note,
            now=now,
        )


# --- asking for a person ---------------------------------------------------------------------------------------------


def queue_up(
    uow: UnitOfWork,
    *,
    pack: Pack,
    conversation_id: str,
    reason: str,
    message_id: str,
    now: datetime,
) -> HandoffView:
    """Let a conversation wait for a person because of a message that the bot is answering; waiting already, unchanged.

    Whether somebody is there to be promised is for the caller to find out first (`presence.availability`).
    """
    conversation = _locked(uow, conversation_id)
    key = f"{message_id}:queue"
    if conversation.owner in ("queued", "human") and _done(uow, conversation_id, "queued", key) is None:
        return last_change(uow, conversation_id)
    patience = timedelta(minutes=pack.desk.promise_minutes) if pack.desk else timedelta()
    return change_owner(
        uow,
        conversation_id=conversation_id,
        to_owner="queued",
        reason=reason,
        actor="customer" if reason == "asked" else "bot",
        note=summary(uow, conversation_id),
        key=key,
        now=now,
        promised_until=now + patience if pack.desk else None,
        answering=message_id,
    )


def ask_person(
    uow: UnitOfWork,
    *,
    pack: Pack,
    conversation_id: str,
    customer: CustomerRef | None,
    contact_email: str | None,
    reason: str,
    key: str,
    now: datetime,
) -> TicketView:
    """Ask for a person: a ticket with a summary and the transcript; asked again while it is open, the same ticket.

    `contact_email` is where to answer somebody who has not proved who they are. The conversation stays the bot's.
    Raises NotFound for an unknown conversation.
    """
    _locked(uow, conversation_id)
    waiting = open_ticket(uow, conversation_id, but=f"{key}:ticket")
    said = summary(uow, conversation_id)
    if waiting is not None:
        ticket = tickets.add_event(
            uow,
            waiting.id,
            kind="asked_again",
            actor="customer",
            body=said,
            data={"reason": reason, "contact_email": contact_email},
            idempotency_key=f"{key}:again",
            now=now,
        )
    else:
        ticket = tickets.open_ticket(
            uow,
            brand=pack.brand.id,
            kind="handoff",
            subject="A person is wanted",
            summary=said,
            customer_id=customer.customer_id if customer else None,
            contact_email=customer.email if customer else contact_email,
            conversation_id=conversation_id,
            priority=Priority.HIGH,
            details={"reason": reason},
            idempotency_key=f"{key}:ticket",
            now=now,
        )
    return ticket


def open_ticket(uow: UnitOfWork, conversation_id: str, *, but: str = "") -> Any:
    """The newest open ticket of a conversation in which a person was asked for, `but` not under that key; or None."""
    open_ones = (TicketStatus.OPEN.value, TicketStatus.PENDING.value)
    found = select(t.Ticket).where(
        t.Ticket.conversation_id == conversation_id,
        t.Ticket.kind == "handoff",
        t.Ticket.status.in_(open_ones),
        t.Ticket.idempotency_key != but,
    )
    return row(uow, found.order_by(t.Ticket.created_at.desc()))


def _locked(uow: UnitOfWork, conversation_id: str) -> Any:
    conversation = row(uow, select(t.Conversation).where(t.Conversation.id == conversation_id).with_for_update())
    if conversation is None:
        raise NotFound("This conversation does not exist.")
    return conversation


def _at_desk(uow: UnitOfWork, conversation_id: str, agent_id: str) -> tuple[Any, Any]:
    """The conversation, held, and the agent, who must work and work for its brand."""
    agent = row(uow, select(t.Agent).where(t.Agent.id == agent_id))
    if agent is None or not agent.active:
        raise Forbidden("You no longer work at this desk, so nothing was changed.")
    conversation = _locked(uow, conversation_id)
    if conversation.brand not in agent.brands:
        raise NotFound("This conversation does not exist.")
    return conversation, agent


def _must_have(uow: UnitOfWork, conversation: Any, agent: Any) -> None:
    if conversation.owner != "human":
        raise Conflict(_not_with_people(conversation.owner), owner=conversation.owner)
    if conversation.agent_id != agent.id:
        who = _name(uow, conversation.agent_id)
        raise Conflict(f"{who} has this conversation now, so nothing was changed.", agent=conversation.agent_id)


def _not_with_people(owner: str) -> str:
    return {
        "bot": "The bot has this conversation. Take it first, then try again.",
        "queued": "Nobody has taken this conversation yet. Take it first, then try again.",
        "closed": "This conversation was resolved. Take it again first if there is more to say.",
    }.get(owner, "Somebody else has this conversation.")


def _name(uow: UnitOfWork, agent_id: str) -> str:
    return str(row(uow, select(t.Agent.name).where(t.Agent.id == agent_id)))


def _pass(
    uow: UnitOfWork,
    conversation: Any,
    agent: Any,
    *,
    to: str,
    reason: str,
    note: str,
    key: str,
    now: datetime,
    new_agent: str | None = None,
    team: str | None = None,
) -> HandoffView:
    data = {"from": conversation.owner, "to": to, "to_agent": new_agent, "reason": reason}
    change = change_owner(
        uow,
        conversation_id=conversation.id,
        to_owner=to,
        reason=reason,
        actor=agent.id,
        note=note,
        key=key,
        now=now,
        agent_id=new_agent,
        team=team,
    )
    audit.record(uow, actor=agent.id, action="conversation.passed", subject=conversation.id, data=data, now=now)
    return change


def _done(uow: UnitOfWork, conversation_id: str, to_owner: str, key: str) -> HandoffView | None:
    """What was done under this key already. Raises Conflict if that was something else."""
    done = row(uow, select(t.Handoff).where(t.Handoff.idempotency_key == key))
    if done is None:
        return None
    if (done.conversation_id, done.to_owner) != (conversation_id, to_owner):
        raise Conflict("This request was used before for another change of owner.", key=key)
    return _view(done)


def last_change(uow: UnitOfWork, conversation_id: str) -> HandoffView:
    """The change of owner by which a conversation stands as it does; there must be one."""
    latest = select(t.Handoff).where(t.Handoff.conversation_id == conversation_id)
    return _view(row(uow, latest.order_by(t.Handoff.at.desc(), t.Handoff.id.desc())))


def _waited(uow: UnitOfWork, conversation_id: str, now: datetime) -> int:
    """Seconds since the conversation joined the queue."""
    joined = select(t.Handoff.at).where(t.Handoff.conversation_id == conversation_id, t.Handoff.to_owner == "queued")
    since = row(uow, joined.order_by(t.Handoff.at.desc()))
    return int((now - since).total_seconds()) if since else 0


def _relay(uow: UnitOfWork, conversation_id: str, answering: str | None) -> int:
    """Pass on what waits for the bot; a turn under way that finds its message passed on says nothing any more."""
    waiting = update(t.Message).where(t.Message.conversation_id == conversation_id, t.Message.status == "received")
    if answering is not None:
        waiting = waiting.where(t.Message.id != answering)
    passed = uow.session.execute(waiting.values(status="relayed").execution_options(synchronize_session=False))
    return int(passed.rowcount)


def _check(conversation: Any, to_owner: str, agent_id: str | None) -> None:
    same_person = to_owner == "human" and conversation.agent_id == agent_id
    if to_owner not in TRANSITIONS[conversation.owner] or same_person:
        raise Conflict(
            f"A conversation owned by `{conversation.owner}` cannot pass to `{to_owner}` like this.",
            owner=conversation.owner,
        )
    if (to_owner == "human") != (agent_id is not None):
        raise Conflict("A conversation passes to a person with that person's id, and to nobody else with one.")


def _view(row: Any) -> HandoffView:
    return HandoffView(
        id=row.id,
        conversation_id=row.conversation_id,
        from_owner=row.from_owner,
        to_owner=row.to_owner,
        reason=row.reason,
        actor=row.actor,
        note=row.note,
        at=row.at,
        agent_id=row.agent_id,
        position=row.position,
    )
