"""What the desk shows of conversations, within the brands of who looks; looking at a person's data is recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from bot.conversation import history
from bot.conversation.history import Change
from bot.desk import cases
from bot.errors import InvalidInput, NotFound
from bot.policy.pack import Pack
from bot.services import audit, canned, handoff, notes, summaries, waiting
from bot.services.agents import AgentView
from bot.services.attachments import AttachmentView, read_attachment
from bot.services.canned import CannedView, MacroView
from bot.services.rows import row, rows
from bot.services.waiting import Sla
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

VIEWS = ("waiting", "people", "recent")
"""Which conversations the queue can list: those that wait, those that people have, the latest of all."""
_MOST_MESSAGES = 300
_MOST_LISTED = 100
_MOST_EARLIER = 10
_CATCH_UP = 50
_SNIPPET = 90
_LAST = 2**31


@dataclass(frozen=True)
class QueueFilters:
    """What of the queue to show; None means all of it."""

    view: str = "waiting"
    brand: str | None = None
    channel: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Chat:
    """A conversation as lists show it; `unread` counts the customer's messages that its agent has not seen."""

    id: str
    brand: str
    channel: str
    customer: str
    owner: str
    agent: str | None
    mine: bool
    reason: str | None
    priority: str
    since: datetime
    snippet: str
    unread: int
    snoozed_until: datetime | None
    sla: Sla


@dataclass(frozen=True)
class Rail:
    """What stands beside every page of the queue: the agent's own chats, those put aside, and how many wait."""

    chats: tuple[Chat, ...]
    snoozed: tuple[Chat, ...]
    waiting: int
    approvals: int

    @property
    def unread(self) -> int:
        """New messages in the agent's own chats."""
        return sum(chat.unread for chat in self.chats)


@dataclass(frozen=True)
class Queue:
    """The queue under its filters, and what they can be set to."""

    chats: tuple[Chat, ...]
    approvals: tuple[cases.ApprovalRow, ...]
    channels: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One thing in a conversation: a message, a note, or a change of owner, in the order in which they came.

    `id` is unique within the conversation; `mark` says of an outgoing message how far it got: sent, delivered, read,
    failed. `files` that are not an upload (receipts) have no `id`.
    """

    id: str
    kind: str  # message | note | change
    at: datetime
    author: str
    name: str = ""
    text: str = ""
    seq: int = 0
    mark: str | None = None
    buttons: tuple[str, ...] = ()
    files: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Change, ...] = ()  # what the customer did to it afterwards


@dataclass(frozen=True)
class Marks:
    """Up to which message the customer has been given and has read what was said."""

    delivered: int
    read: int
    failed: tuple[int, ...]


@dataclass(frozen=True)
class Colleague:
    """Somebody a conversation can be given to."""

    id: str
    name: str


@dataclass(frozen=True)
class Earlier:
    """Another conversation of the same customer."""

    id: str
    channel: str
    owner: str
    at: datetime
    snippet: str


@dataclass(frozen=True)
class ConversationPage:
    """A conversation with everything needed to answer it; `state` changes when the page around the messages does."""

    chat: Chat
    summary: tuple[str, ...]
    person: cases.Person
    entries: tuple[Entry, ...]
    shortened: bool
    last_seq: int
    ledger: cases.Ledger
    decisions: tuple[cases.DecisionRow, ...]
    approvals: tuple[cases.ApprovalRow, ...]
    tickets: tuple[cases.CaseRow, ...]
    earlier: tuple[Earlier, ...]
    colleagues: tuple[Colleague, ...]
    replies: tuple[tuple[CannedView, str, str | None], ...]  # each filled, or why it cannot be
    macros: tuple[MacroView, ...]
    state: str


# --- looking ---------------------------------------------------------------------------------------------------------


def list_queue(
    uow: UnitOfWork, *, agent: AgentView, filters: QueueFilters, packs: Mapping[str, Pack], now: datetime
) -> Queue:
    """The queue, the urgent and the longest waiting first; that it was looked at is recorded."""
    queue = read_queue(uow, agent=agent, filters=filters, packs=packs, now=now)
    shown = [each.id for each in queue.chats] + [each.id for each in queue.approvals]
    audit.record(uow, actor=agent.id, action="queue.listed", subject="desk", data={"shown": shown}, now=now)
    return queue


def read_queue(
    uow: UnitOfWork, *, agent: AgentView, filters: QueueFilters, packs: Mapping[str, Pack], now: datetime
) -> Queue:
    """The queue as it is now, for a page whose opening is on record already."""
    c = t.Conversation
    theirs = c.brand.in_(agent.brands)
    with_people = and_(theirs, c.owner.in_(("queued", "human")))
    channels = sorted(rows(uow, select(c.channel).where(theirs).distinct()))
    reasons = sorted(each for each in rows(uow, select(c.handoff_reason).where(with_people).distinct()) if each)
    wanted = [theirs]
    wanted += [c.brand == filters.brand] if filters.brand else []
    wanted += [c.channel == filters.channel] if filters.channel else []
    wanted += [c.handoff_reason == filters.reason] if filters.reason else []
    if filters.view == "recent":
        wanted.append(c.last_seq > 1)  # more than the greeting
        found = rows(uow, select(c).where(*wanted).order_by(c.updated_at.desc(), c.id.desc()).limit(_MOST_LISTED))
    else:
        wanted.append(c.owner == ("queued" if filters.view == "waiting" else "human"))
        found = rows(uow, select(c).where(*wanted).order_by(c.handed_over_at, c.id).limit(_MOST_LISTED))
        found.sort(key=lambda each: (handoff.RANK[each.priority], each.handed_over_at, each.id))
    approvals = cases.waiting_approvals(uow, agent, packs)
    return Queue(
        chats=_chats(uow, found, agent, packs, now),
        approvals=tuple(each for each in approvals if filters.brand in (None, each.brand)),
        channels=tuple(channels),
        reasons=tuple(reasons),
    )


def read_rail(uow: UnitOfWork, *, agent: AgentView, packs: Mapping[str, Pack], now: datetime) -> Rail:
    """The agent's own chats, the longest unanswered first, and how many wait in their brands."""
    c = t.Conversation
    mine = rows(uow, select(c).where(c.owner == "human", c.agent_id == agent.id, c.brand.in_(agent.brands)))
    mine.sort(key=lambda each: (each.handed_over_at, each.id))  # a place that stays where it is can be learnt
    chats = _chats(uow, mine, agent, packs, now)
    aside = {chat.id for chat in chats if chat.snoozed_until and chat.snoozed_until > now}
    waits = select(func.count()).where(c.owner == "queued", c.brand.in_(agent.brands))
    pending = (
        select(func.count(t.Approval.id))
        .join(t.Decision, t.Decision.id == t.Approval.decision_id)
        .where(t.Approval.status == "pending", t.Decision.brand.in_(agent.brands))
    )
    return Rail(
        chats=tuple(chat for chat in chats if chat.id not in aside),
        snoozed=tuple(chat for chat in chats if chat.id in aside),
        waiting=int(uow.session.execute(waits).scalar_one()),
        approvals=int(uow.session.execute(pending).scalar_one()),
    )


def view_conversation(
    uow: UnitOfWork, *, agent: AgentView, conversation_id: str, packs: Mapping[str, Pack], now: datetime
) -> ConversationPage:
    """A conversation of the agent's brands; that it was looked at is recorded. Raises NotFound."""
    conversation = _conversation(uow, agent, conversation_id)
    audit.record(uow, actor=agent.id, action="conversation.viewed", subject=conversation.id, now=now)
    customer = uow.get(t.Customer, conversation.customer_id) if conversation.customer_id else None
    pack = packs.get(conversation.brand)
    known = canned.values(uow, conversation_id=conversation.id, agent_id=agent.id, pack=pack) if pack else {}
    brand = [conversation.brand]
    entries, shortened = _entries(uow, conversation)
    return ConversationPage(
        chat=_chats(uow, [conversation], agent, packs, now)[0],
        summary=tuple(summaries.summary(uow, conversation.id).splitlines()),
        person=cases.person_of(customer, conversation),
        entries=entries,
        shortened=shortened,
        last_seq=conversation.last_seq,
        ledger=cases.ledger_of(uow, conversation.customer_id),
        decisions=cases.decisions_of(uow, conversation.customer_id, packs),
        approvals=cases.approvals_of(uow, agent, packs, customer_id=conversation.customer_id),
        tickets=cases.cases_about(uow, conversation_id=conversation.id, customer_id=conversation.customer_id),
        earlier=_earlier(uow, conversation),
        colleagues=_colleagues(uow, agent, conversation),
        replies=tuple(_ready(each, known) for each in canned.replies(uow, brands=brand)),
        macros=tuple(canned.macros(uow, brands=brand)),
        state=_state(uow, conversation),
    )


def watch(uow: UnitOfWork, *, agent: AgentView, conversation_id: str, now: datetime) -> None:
    """Put on record that an agent follows a conversation live. Raises NotFound."""
    _conversation(uow, agent, conversation_id)
    audit.record(uow, actor=agent.id, action="conversation.watched", subject=conversation_id, now=now)


def brand_of(uow: UnitOfWork, *, agent: AgentView, conversation_id: str) -> str:
    """The brand of a conversation that this agent may see. Raises NotFound."""
    return str(_conversation(uow, agent, conversation_id).brand)


def news(
    uow: UnitOfWork, *, agent: AgentView, conversation_id: str, after_seq: int, since: datetime
) -> tuple[list[Entry], Marks, str]:
    """What came after a message or that moment, how far it all got, and the page's state. Raises NotFound.

    Earlier messages are among it if the customer has edited or deleted them.
    """
    conversation = _conversation(uow, agent, conversation_id)
    m = t.Message
    fresh = rows(
        uow,
        select(m).where(m.conversation_id == conversation_id, m.seq > after_seq).order_by(m.seq).limit(_CATCH_UP),
    )
    changed = _changed(uow, conversation_id)
    fresh += rows(uow, select(m).where(m.id.in_(list(changed)), m.seq <= after_seq))
    beside = [entry for entry in _beside(uow, conversation_id) if entry.at >= since]
    marks, said_by = _marks(uow, conversation), _customer(uow, conversation)
    entries = sorted([*(_message(each, marks, said_by, changed) for each in fresh), *beside], key=_place)
    return entries, marks, _state(uow, conversation)


def read_file(
    uow: UnitOfWork, *, agent: AgentView, conversation_id: str, attachment_id: str, now: datetime
) -> tuple[AttachmentView, bytes]:
    """A file of a conversation; that it was looked at is recorded. Raises NotFound."""
    _conversation(uow, agent, conversation_id)
    audit.record(
        uow,
        actor=agent.id,
        action="attachment.viewed",
        subject=conversation_id,
        data={"attachment": attachment_id},
        now=now,
    )
    return read_attachment(uow, attachment_id, conversation_id=conversation_id)


# --- rows into views -------------------------------------------------------------------------------------------------


def _conversation(uow: UnitOfWork, agent: AgentView, conversation_id: str) -> Any:
    found = row(
        uow, select(t.Conversation).where(t.Conversation.id == conversation_id, t.Conversation.brand.in_(agent.brands))
    )
    if found is None:
        raise NotFound("There is no such conversation in your brands.")
    return found


def _chats(
    uow: UnitOfWork, found: list[Any], agent: AgentView, packs: Mapping[str, Pack], now: datetime
) -> tuple[Chat, ...]:
    if not found:
        return ()
    ids = [each.id for each in found]
    c, m = t.Conversation, t.Message
    names = _names(uow, t.Customer, (each.customer_id for each in found))
    people = _names(uow, t.Agent, (each.agent_id for each in found))
    last = select(m.conversation_id, func.max(m.seq)).where(
        m.conversation_id.in_(ids), m.author.in_(("customer", "agent"))
    )
    latest = [and_(m.conversation_id == each, m.seq == seq) for each, seq in uow.session.execute(_grouped(last, m))]
    texts = {each.conversation_id: each for each in (rows(uow, select(m).where(or_(*latest))) if latest else ())}
    unread = dict(
        uow.session.execute(
            _grouped(
                select(m.conversation_id, func.count())
                .join(c, c.id == m.conversation_id)
                .where(m.conversation_id.in_(ids), m.author == "customer", m.seq > c.agent_read_seq),
                m,
            )
        ).all()
    )
    return tuple(
        Chat(
            id=each.id,
            brand=each.brand,
            channel=each.channel,
            customer=names.get(each.customer_id) or "Visitor",
            owner=each.owner,
            agent=people.get(each.agent_id),
            mine=each.agent_id == agent.id,
            reason=each.handoff_reason,
            priority=each.priority,
            since=each.handed_over_at or each.updated_at,
            snippet=_snippet(texts.get(each.id)),
            unread=int(unread.get(each.id, 0)) if each.owner in ("queued", "human") else 0,
            snoozed_until=each.snoozed_until,
            sla=waiting.sla(packs.get(each.brand), each, now),
        )
        for each in found
    )


def _grouped(query: Any, message: Any) -> Any:
    return query.group_by(message.conversation_id)


def _names(uow: UnitOfWork, table: Any, ids: Iterable[str | None]) -> dict[str | None, str]:
    wanted = {each for each in ids if each is not None}
    found = uow.session.execute(select(table.id, table.name).where(table.id.in_(wanted))) if wanted else ()
    return dict(tuple(each) for each in found)


def _snippet(message: Any) -> str:
    if message is None:
        return ""
    text = " ".join(message.text.split()) or ", ".join(file["name"] for file in message.attachments)
    said = text if len(text) <= _SNIPPET else f"{text[: _SNIPPET - 1]}…"
    return said if message.author == "customer" else f"{'You' if message.author == 'agent' else 'Bot'}: {said}"


def _entries(uow: UnitOfWork, conversation: Any) -> tuple[tuple[Entry, ...], bool]:
    """The conversation in order, and whether its beginning is left out."""
    m = t.Message
    latest = rows(
        uow,
        select(m).where(m.conversation_id == conversation.id).order_by(m.seq.desc()).limit(_MOST_MESSAGES + 1),
    )
    shortened = len(latest) > _MOST_MESSAGES
    shown = latest[:_MOST_MESSAGES]
    since = shown[-1].created_at if shortened else None
    marks, said_by = _marks(uow, conversation), _customer(uow, conversation)
    beside = [entry for entry in _beside(uow, conversation.id) if since is None or entry.at >= since]
    changed = _changed(uow, conversation.id)
    entries = sorted([*(_message(each, marks, said_by, changed) for each in shown), *beside], key=_place)
    return tuple(entries), shortened


def _changed(uow: UnitOfWork, conversation_id: str) -> Mapping[str, tuple[Change, ...]]:
    """What the customer edited or deleted, by message."""
    found: dict[str, tuple[Change, ...]] = {}
    for change in history.changes(uow, conversation_id):
        found[change.message_id] = (*found.get(change.message_id, ()), change)
    return found


def _place(entry: Entry) -> tuple[datetime, int, str]:
    return entry.at, entry.seq, entry.id


def _beside(uow: UnitOfWork, conversation_id: str) -> list[Entry]:
    """Notes, and changes of owner."""
    written = [
        Entry(each.id, "note", each.at, "note", each.agent, each.body, seq=each.after_seq)
        for each in notes.of_conversation(uow, conversation_id)
    ]
    changes = rows(
        uow, select(t.Handoff).where(t.Handoff.conversation_id == conversation_id).order_by(t.Handoff.at, t.Handoff.id)
    )
    people = _names(uow, t.Agent, [*(each.actor for each in changes), *(each.agent_id for each in changes)])
    return written + [
        Entry(
            id=each.id,
            kind="change",
            at=each.at,
            author=f"{each.from_owner}-{each.to_owner}",
            name=people.get(each.actor) or each.actor.title(),
            text=_change(each, people),
            seq=_LAST if each.to_owner == "queued" else 0,  # at the same moment, after what led to it
        )
        for each in changes
    ]


def _change(change: Any, people: Mapping[str | None, str]) -> str:
    """One line about a change of owner, with the word that was given; the summary for the queue is shown elsewhere."""
    by = people.get(change.actor)
    to = people.get(change.agent_id)
    if change.to_owner == "human":
        said = (
            f"{by} took the conversation" if change.agent_id == change.actor else f"{by or 'The desk'} gave it to {to}"
        )
    elif change.to_owner == "queued":
        said = f"{by} put it back into the queue" if by else "Waiting for a person"
    elif change.to_owner == "closed":
        said = f"{by or 'The desk'} resolved it"
    else:
        said = f"{by} handed it back to the bot" if by else "The bot has the conversation"
    word = change.note if by and change.note else ""
    return f"{said}: {word}" if word else said


def _customer(uow: UnitOfWork, conversation: Any) -> str:
    return _names(uow, t.Customer, [conversation.customer_id]).get(conversation.customer_id) or "Visitor"


def _message(message: Any, marks: Marks, customer: str, changed: Mapping[str, tuple[Change, ...]]) -> Entry:
    mark = None
    if message.author in ("agent", "bot"):
        if message.seq in marks.failed:
            mark = "failed"
        else:
            mark = "read" if message.seq <= marks.read else "delivered" if message.seq <= marks.delivered else "sent"
    return Entry(
        id=f"m{message.seq}",
        kind="message",
        at=message.created_at,
        author=message.author,
        name=message.name or (customer if message.author == "customer" else ""),
        text=message.text,
        seq=message.seq,
        mark=mark,
        buttons=tuple(button["title"] for button in message.buttons),
        files=tuple({**file, "kind": file.get("kind", "file")} for file in message.attachments),
        changes=changed.get(message.id, ()),
    )


def _marks(uow: UnitOfWork, conversation: Any) -> Marks:
    m, d = t.Message, t.Delivery
    of_this = select(func.max(m.seq)).join(d, d.message_id == m.id).where(m.conversation_id == conversation.id)
    delivered = uow.session.execute(of_this.where(d.status == "delivered")).scalar() or 0
    failed = rows(
        uow,
        select(m.seq).join(d, d.message_id == m.id).where(m.conversation_id == conversation.id, d.status == "failed"),
    )
    return Marks(int(delivered), int(conversation.customer_read_seq), tuple(failed))


def _state(uow: UnitOfWork, conversation: Any) -> str:
    """A digest of what the page shows around the messages."""
    whose = conversation.customer_id
    about = or_(t.Ticket.conversation_id == conversation.id, and_(whose is not None, t.Ticket.customer_id == whose))
    parts: list[Any] = [conversation.owner, conversation.agent_id, conversation.priority, conversation.snoozed_until]
    parts += [conversation.customer_id, conversation.proof_at, conversation.team]
    parts += sorted(rows(uow, select(t.Ticket.reference + t.Ticket.status + t.Ticket.priority).where(about)))
    if whose is not None:
        for table in (t.Decision, t.Refund, t.Cancellation):
            parts += rows(uow, select(func.count(table.id)).where(table.customer_id == whose))
        decided = select(t.Approval.id + t.Approval.status + func.coalesce(t.Approval.first_agent_id, ""))
        join = decided.join(t.Decision, t.Decision.id == t.Approval.decision_id)
        parts += sorted(rows(uow, join.where(t.Decision.customer_id == whose)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _earlier(uow: UnitOfWork, conversation: Any) -> tuple[Earlier, ...]:
    if conversation.customer_id is None:
        return ()
    c, m = t.Conversation, t.Message
    others = rows(
        uow,
        select(c)
        .where(c.customer_id == conversation.customer_id, c.id != conversation.id)
        .order_by(c.updated_at.desc(), c.id.desc())
        .limit(_MOST_EARLIER),
    )
    return tuple(
        Earlier(
            id=each.id,
            channel=each.channel,
            owner=each.owner,
            at=each.updated_at,
            snippet=_snippet(
                row(
                    uow,
                    select(m).where(m.conversation_id == each.id, m.author == "customer").order_by(m.seq.desc()),
                )
            ),
        )
        for each in others
    )


def _colleagues(uow: UnitOfWork, agent: AgentView, conversation: Any) -> tuple[Colleague, ...]:
    active = rows(uow, select(t.Agent).where(t.Agent.active.is_(True)).order_by(t.Agent.name, t.Agent.id))
    return tuple(
        Colleague(each.id, each.name)
        for each in active
        if conversation.brand in each.brands and each.id not in (agent.id, conversation.agent_id)
    )


def _ready(reply: CannedView, known: Mapping[str, str | None]) -> tuple[CannedView, str, str | None]:
    try:
        return reply, canned.fill(reply.body, known), None
    except InvalidInput as error:
        return reply, "", str(error)
