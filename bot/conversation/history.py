"""The stored side of a conversation: taking a message in once, reading it back, keeping its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, null, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm.util import identity_key

from bot.conversation.messages import (
    MAX_TEXT,
    AttachmentView,
    ButtonView,
    Exchange,
    InboundMessage,
    MessageView,
    Reply,
    clean,
    too_long,
)
from bot.errors import Conflict, InvalidInput, NotFound
from bot.ids import new_id
from bot.services import handoff
from bot.store.prepared import Prepared
from bot.store.tables import Agent, Attachment, Conversation, Decision, Delivery, Message, MessageChange, UtcDateTime
from bot.store.unit_of_work import UnitOfWork

MAX_ATTEMPTS = 3  # to answer a message, before an apology
MOST_SAID = 8  # messages at once under one key
RATE = "rate_service"  # the intent on the buttons that ask how it was
MAX_STARTS = 6  # of a message's turn; more than attempts, for other processes may try it too after a lost lease


# What every turn says to the database.
_conversations: Any = Conversation.__table__  # type: ignore[attr-defined]
_messages: Any = Message.__table__  # type: ignore[attr-defined]
_deliveries: Any = Delivery.__table__  # type: ignore[attr-defined]
_conversation_by_id = select(
    _conversations.c.id,
    _conversations.c.brand,
    _conversations.c.channel,
    _conversations.c.owner,
    _conversations.c.customer_id,
    _conversations.c.proof_at,
    _conversations.c.dialogue,
    _conversations.c.last_seq,
    _conversations.c.channel_user,
).where(_conversations.c.id == bindparam("id"))
_PREFIX = "cnv"  # of conversations' ids
_CONVERSATION, _LOCKED_CONVERSATION = Prepared(_conversation_by_id), Prepared(_conversation_by_id.with_for_update())
_SPOKEN = Prepared(
    update(_conversations)
    .where(_conversations.c.id == bindparam("conversation"))
    .values(last_seq=bindparam("seq"), updated_at=bindparam("now"))
)
_ANSWERED = Prepared(
    update(_conversations)
    .where(_conversations.c.id == bindparam("conversation"))
    .values(last_seq=bindparam("seq"), updated_at=bindparam("now"), dialogue=bindparam("state"))
)
_WAITS_FOR_PEOPLE = Prepared(
    update(_conversations)
    .where(_conversations.c.id == bindparam("conversation"))
    .values(
        unanswered_since=func.coalesce(_conversations.c.unanswered_since, bindparam("now", type_=UtcDateTime())),
        snoozed_until=null(),
    )
)
_message = select(
    _messages.c.id,
    _messages.c.conversation_id,
    _messages.c.seq,
    _messages.c.author,
    _messages.c.name,
    _messages.c.text,
    _messages.c.buttons,
    _messages.c.attachments,
    _messages.c.button_id,
    _messages.c.attempts,
    _messages.c.created_at,
)
_BY_EXTERNAL_ID = Prepared(
    _message.where(_messages.c.channel == bindparam("channel"), _messages.c.external_id == bindparam("external_id"))
)
_MESSAGE_BY_ID = Prepared(_message.where(_messages.c.id == bindparam("id")))
_REPLIES = Prepared(_message.where(_messages.c.in_reply_to == bindparam("id")).order_by(_messages.c.seq))
_AFTER = Prepared(
    _message.where(_messages.c.conversation_id == bindparam("conversation"), _messages.c.seq > bindparam("seq"))
    .order_by(_messages.c.seq)
    .limit(bindparam("most"))
)
_PENDING = Prepared(
    _message.where(_messages.c.conversation_id == bindparam("conversation"), _messages.c.status == "received")
    .order_by(_messages.c.seq)
    .limit(1)
)
_IS_WAITING = Prepared(
    select(_messages.c.id)
    .where(_messages.c.conversation_id == bindparam("conversation"), _messages.c.status == "received")
    .limit(1)
)
_CLOSE_MESSAGE = Prepared(
    update(_messages)
    .where(_messages.c.id == bindparam("message"), _messages.c.status == "received")
    .values(status="answered", answered_at=bindparam("now"), understanding=bindparam("understood"), outcomes=null())
)
_ADD_MESSAGE, _ADD_DELIVERY = Prepared(insert(_messages)), Prepared(insert(_deliveries))
_decisions: Any = Decision.__table__  # type: ignore[attr-defined]
_DECIDED = Prepared(
    select(_decisions.c.rule_id, _decisions.c.outcome).where(
        _decisions.c.conversation_id == bindparam("conversation"),
        _decisions.c.idempotency_key.like(bindparam("keys"), escape="/"),
    )
)


@dataclass(frozen=True)
class ConversationView:
    """A conversation as the gateway and channels need it."""

    id: str
    brand: str
    channel: str
    owner: str
    customer_id: str | None
    proof_at: datetime | None
    dialogue: Mapping[str, Any] | None
    last_seq: int
    channel_user: str | None = None


@dataclass(frozen=True)
class PendingMessage:
    """An inbound message that still waits for its answer."""

    id: str
    seq: int
    text: str
    button_id: str | None
    attachments: tuple[AttachmentView, ...]
    received_at: datetime
    attempts: int


@dataclass(frozen=True)
class TurnStart:
    """A message whose turn begins, the conversation as it is before it, and what its button means."""

    conversation: ConversationView
    pending: PendingMessage
    payload: Mapping[str, Any] | None


@dataclass(frozen=True)
class Arrival:
    """A message that was taken in, whether it is new, and its turn if that has begun.

    `relayed`: people have the conversation, so that no turn answers it; `replies` is what was said to it at once.
    """

    message: MessageView
    new: bool
    relayed: bool = False
    turn: TurnStart | None = None
    replies: tuple[MessageView, ...] = ()


@dataclass(frozen=True)
class Attention:
    """What was done at once about a message while people have the conversation; `status` is then the message's."""

    status: str
    replies: tuple[MessageView, ...] = ()


Attend = Callable[[UnitOfWork, MessageView, Mapping[str, Any]], "Attention | None"]
"""Sees a new message that goes to people, and what the pressed button means (empty: none was)."""


def conversation(uow: UnitOfWork, conversation_id: str) -> ConversationView:
    """The conversation of that id. Raises NotFound."""
    return _conversation(uow, _CONVERSATION, conversation_id)


def open_conversation(
    uow: UnitOfWork,
    *,
    brand: str,
    channel: str,
    external_id: str,
    greeting: Sequence[Reply],
    name: str,
    now: datetime,
    channel_user: str | None = None,
) -> ConversationView:
    """The conversation under that channel name, made with its greeting if it is new.

    `channel_user` is whom messages are pushed to, on channels with users of their own.
    """
    dialect = uow.session.get_bind().dialect.name
    added = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(Conversation)
    conversation_id = new_id(_PREFIX)
    made = uow.session.execute(
        added.values(
            id=conversation_id,
            brand=brand,
            channel=channel,
            external_id=external_id,
            channel_user=channel_user,
            owner="bot",
            last_seq=0,
            created_at=now,
            updated_at=now,
        ).on_conflict_do_nothing(index_elements=["channel", "external_id"])
    )
    if made.rowcount == 1:
        say(uow, conversation_id, greeting, author="bot", name=name, in_reply_to=None, now=now)
        return conversation(uow, conversation_id)
    existing = uow.session.execute(
        select(Conversation.id).where(Conversation.channel == channel, Conversation.external_id == external_id)
    ).scalar_one()
    return conversation(uow, existing)


def take_in(
    uow: UnitOfWork, inbound: InboundMessage, *, now: datetime, admit: Callable[[UnitOfWork], None] | None = None
) -> tuple[MessageView, bool]:
    """Store a customer's message once; the second value says whether it is new.

    `admit` is asked before a new message is stored, and raises to refuse it. Raises InvalidInput for an empty or
    TooLarge for an overlong message, NotFound for an unknown conversation, button or file, Conflict if another
    conversation used the external id. Nothing is stored then.
    """
    taken = arrive(uow, inbound, now=now, admit=admit, start=False)
    return taken.message, taken.new


def arrive(
    uow: UnitOfWork,
    inbound: InboundMessage,
    *,
    now: datetime,
    admit: Callable[[UnitOfWork], None] | None = None,
    attend: Attend | None = None,
    start: bool,
) -> Arrival:
    """What `take_in` does and, with `start`, begin the message's turn if the bot is to answer it next.

    Whoever asks for the start must hold the conversation's lock. `attend` may answer at once, in the same transaction,
    what goes to people.
    """
    before = _lock(uow, inbound.conversation_id)
    stored = _BY_EXTERNAL_ID.first(uow, channel=inbound.channel, external_id=inbound.external_id)
    if stored is not None:
        if stored.conversation_id != inbound.conversation_id:
            raise Conflict("A message with this id was sent in another conversation.")
        return Arrival(view(stored), new=False)
    text = clean(inbound.text)
    if len(text) > MAX_TEXT:
        raise too_long(text)
    button = _button(uow, before.id, inbound.button_id) if inbound.button_id else None
    attachments = _claim_attachments(uow, before.id, inbound.attachment_ids)
    if not text and button is None and not attachments:
        raise InvalidInput("The message is empty. Send a text, press a button or attach a file.")
    if admit is not None:
        admit(uow)
    message_id = new_id("msg")
    payload: Mapping[str, Any] = button["payload"] if button else {}
    if before.owner == "closed":
        handoff.change_owner(
            uow,
            conversation_id=before.id,
            to_owner="bot",
            reason="rated" if payload.get("intent") == RATE else "customer_returned",
            actor="customer",
            note="",
            key=f"{message_id}:reopen",
            now=now,
        )
        before = replace(before, owner="bot")
    status = "relayed" if before.owner in ("queued", "human") else "received"
    starts = start and status == "received" and not is_waiting(uow, before.id)
    seq = before.last_seq + 1
    message = MessageView(
        id=message_id,
        conversation_id=before.id,
        seq=seq,
        author="customer",
        name="",
        text=text or (button["title"] if button else ""),
        at=now,
        attachments=tuple(attachments),
    )
    values = {
        **_row(message),
        "button_id": inbound.button_id,
        "channel": inbound.channel,
        "external_id": inbound.external_id,
        "status": status,
        "attempts": 1 if starts else 0,
    }
    _ADD_MESSAGE.change(uow, **values)
    _SPOKEN.change(uow, conversation=before.id, seq=seq, now=now)
    _forget(uow, before.id)
    for attachment in attachments:
        uow.session.execute(
            update(Attachment)
            .where(Attachment.id == attachment.id, Attachment.message_id.is_(None))
            .values(message_id=message_id)
        )
    if status == "relayed":
        _WAITS_FOR_PEOPLE.change(uow, conversation=before.id, now=now)
        _forget(uow, before.id)
        attention = attend(uow, message, payload) if attend else None
        if attention is not None:
            answered_at = now if attention.status == "answered" else None
            values = {"status": attention.status, "answered_at": answered_at}
            uow.session.execute(update(Message).where(Message.id == message_id).values(**values))
            return Arrival(message, new=True, relayed=attention.status != "received", replies=attention.replies)
        return Arrival(message, new=True, relayed=True)
    if not starts:
        return Arrival(message, new=True)
    pending = PendingMessage(
        id=message_id,
        seq=seq,
        text=message.text,
        button_id=inbound.button_id,
        attachments=message.attachments,
        received_at=now,
        attempts=0,
    )
    turn = TurnStart(replace(before, last_seq=seq), pending, button["payload"] if button else None)
    return Arrival(message, new=True, turn=turn)


def begin(uow: UnitOfWork, conversation_id: str) -> TurnStart | None:
    """Begin the turn of the conversation's next message, if one waits for the bot, and count the start.

    Messages that waited go to the people who own the conversation by now.
    """
    pending = next_pending(uow, conversation_id)
    if pending is None:
        return None
    before = conversation(uow, conversation_id)
    if before.owner == "human" or (before.owner == "queued" and not _has_acted(uow, pending.id)):
        relay_pending(uow, conversation_id)
        return None
    payload = button_payload(uow, conversation_id, pending.button_id) if pending.button_id else None
    count_attempt(uow, pending.id)
    return TurnStart(before, pending, payload)


def _has_acted(uow: UnitOfWork, message_id: str) -> bool:
    """Whether a turn that was cut off did what it was to do: then its words are still to be said."""
    return bool(uow.session.execute(select(Message.outcomes).where(Message.id == message_id)).scalar_one())


def is_waiting(uow: UnitOfWork, conversation_id: str) -> bool:
    """Whether a message of the conversation still waits for the bot."""
    return _IS_WAITING.first(uow, conversation=conversation_id) is not None


def next_pending(uow: UnitOfWork, conversation_id: str) -> PendingMessage | None:
    """The oldest message of the conversation that still waits for the bot."""
    row = _PENDING.first(uow, conversation=conversation_id)
    if row is None:
        return None
    return PendingMessage(
        id=row.id,
        seq=row.seq,
        text=row.text,
        button_id=row.button_id,
        attachments=view(row).attachments,
        received_at=row.created_at,
        attempts=row.attempts,
    )


def count_attempt(uow: UnitOfWork, message_id: str) -> None:
    """Remember that answering was tried, so that a message that fails every time ends with an apology."""
    uow.session.execute(update(Message).where(Message.id == message_id).values(attempts=Message.attempts + 1))


def conversations_waiting(uow: UnitOfWork, *, since: datetime) -> list[str]:
    """Conversations with a message unanswered since that moment, oldest first: what a crash or an outage left."""
    rows = uow.session.execute(
        select(Message.conversation_id)
        .where(Message.status == "received", Message.created_at <= since)
        .order_by(Message.created_at)
    ).scalars()
    return list(dict.fromkeys(rows))


def button_payload(uow: UnitOfWork, conversation_id: str, button_id: str) -> Mapping[str, Any]:
    """What a button means. Raises NotFound."""
    payload: Mapping[str, Any] = _button(uow, conversation_id, button_id)["payload"]
    return payload


def keep_answer(
    uow: UnitOfWork,
    *,
    conversation_id: str,
    message_id: str,
    replies: Sequence[Reply],
    name: str,
    dialogue: Mapping[str, Any] | None,
    understanding: Mapping[str, Any] | None,
    now: datetime,
) -> tuple[MessageView, ...] | None:
    """Store the replies, the dialogue's new state and that the message is answered, all or nothing; the replies.

    None if somebody else answered it meanwhile (a lock's lease that ran out): then nothing is kept.
    """
    before = _lock(uow, conversation_id)
    if _CLOSE_MESSAGE.change(uow, message=message_id, now=now, understood=understanding) != 1:
        return None
    views = _store(uow, before, replies, author="bot", name=name, in_reply_to=message_id, now=now)
    seq = before.last_seq + len(views)
    _ANSWERED.change(uow, conversation=conversation_id, seq=seq, now=now, state=dialogue)
    _forget(uow, conversation_id)
    return tuple(views)


@dataclass(frozen=True)
class Change:
    """That a customer edited a message on their side, or deleted it; `text` is what it says now, `before` what it said.

    Ids grow with time.
    """

    id: str
    message_id: str
    kind: str  # edited | deleted
    text: str
    before: str
    at: datetime


def note_change(uow: UnitOfWork, *, channel: str, external_id: str, kind: str, text: str, at: datetime) -> str | None:
    """Put down that a customer edited or deleted a message at that moment, once; what was answered stays answered.

    Returns its conversation; None if the message is not one of ours, or this is known.
    """
    wanted = select(Message.id, Message.conversation_id)
    message = uow.session.execute(wanted.where(Message.channel == channel, Message.external_id == external_id)).first()
    key = f"{channel}:{external_id}:{kind}" + (f":{at.isoformat()}" if kind == "edited" else "")
    known = select(MessageChange.id).where(MessageChange.idempotency_key == key)
    if message is None or uow.session.execute(known).first() is not None:
        return None
    words = clean(text)[:MAX_TEXT]
    uow.add(MessageChange(id=new_id("mch"), message_id=message.id, kind=kind, text=words, at=at, idempotency_key=key))
    return str(message.conversation_id)


def changes(uow: UnitOfWork, conversation_id: str) -> list[Change]:
    """What a customer edited or deleted of a conversation, oldest first."""
    found = uow.session.execute(
        select(MessageChange, Message.text.label("said"))
        .join(Message, Message.id == MessageChange.message_id)
        .where(Message.conversation_id == conversation_id)
        .order_by(MessageChange.id)
    )
    now: dict[str, str] = {}
    told = []
    for change, said in found:
        before = now.get(change.message_id, said)
        told.append(Change(change.id, change.message_id, change.kind, change.text, before, change.at))
        now[change.message_id] = change.text if change.kind == "edited" else before
    return told


def apologised_before(uow: UnitOfWork, conversation_id: str, seq: int) -> bool:
    """Whether the customer's message before that one could not be answered either."""
    last = uow.session.execute(
        select(Message.understanding, Message.status)
        .where(Message.conversation_id == conversation_id, Message.author == "customer", Message.seq < seq)
        .order_by(Message.seq.desc())
        .limit(1)
    ).first()
    return last is not None and last.status == "answered" and last.understanding is None


def decided(uow: UnitOfWork, conversation_id: str, message_id: str) -> list[str]:
    """What the policy decided because of a message, as `rule:outcome`."""
    made = _DECIDED.all(uow, conversation=conversation_id, keys=f"{message_id.replace('_', '/_')}:%")
    return [f"{rule_id}:{outcome}" for rule_id, outcome in made]


def relay_pending(uow: UnitOfWork, conversation_id: str) -> None:
    """Messages that waited for the bot belong to the desk now: the owner changed while they waited."""
    uow.session.execute(
        update(Message)
        .where(Message.conversation_id == conversation_id, Message.status == "received")
        .values(status="relayed")
    )


def say(
    uow: UnitOfWork,
    conversation_id: str,
    replies: Sequence[Reply],
    *,
    author: str,
    name: str,
    in_reply_to: str | None,
    now: datetime,
    key: str | None = None,
    agent_id: str | None = None,
) -> list[MessageView]:
    """Store messages to the customer, numbered, each with its delivery still to come.

    Under a `key` they are said once: again, what was said is returned. Raises Conflict if it was used elsewhere.
    """
    before = _lock(uow, conversation_id)
    if key is not None and (said := said_before(uow, conversation_id, key)):
        return said
    views = _store(
        uow, before, replies, author=author, name=name, in_reply_to=in_reply_to, now=now, key=key, agent_id=agent_id
    )
    if views:
        _SPOKEN.change(uow, conversation=conversation_id, seq=views[-1].seq, now=now)
        _forget(uow, conversation_id)
    return views


def _store(
    uow: UnitOfWork,
    before: ConversationView,
    replies: Sequence[Reply],
    *,
    author: str,
    name: str,
    in_reply_to: str | None,
    now: datetime,
    key: str | None = None,
    agent_id: str | None = None,
) -> list[MessageView]:
    """Store messages after what the locked conversation has; its own row is for the caller to bring up to date."""
    views, rows = [], []
    for seq, reply in enumerate(replies, before.last_seq + 1):
        buttons = [
            {"id": f"b{seq}.{index}", "title": button["title"], "payload": button["payload"]}
            for index, button in enumerate(reply.buttons)
        ]
        attachments = [dict(attachment) for attachment in reply.attachments]
        message = MessageView(
            id=new_id("msg"),
            conversation_id=before.id,
            seq=seq,
            author=author,
            name=name,
            text=reply.text,
            at=now,
            buttons=tuple(ButtonView(id=button["id"], title=button["title"]) for button in buttons),
            attachments=tuple(AttachmentView(**attachment) for attachment in attachments),
        )
        views.append(message)
        kept = {"buttons": buttons, "channel": before.channel, "status": "final", "in_reply_to": in_reply_to}
        named = {"external_id": _said(key, len(rows)) if key is not None else None, "agent_id": agent_id}
        rows.append({**_row(message), **kept, **named, "attachments": attachments})
    if views:
        _ADD_MESSAGE.add(uow, rows)
        delivery = {"status": "pending", "attempts": 0, "external_id": None, "error": None, "delivered_at": None}
        _ADD_DELIVERY.add(uow, [{"id": new_id("dlv"), "message_id": one.id, **delivery} for one in views])
    return views


def _row(message: MessageView) -> dict[str, Any]:
    """The columns of a message that every one has; all are named, so that the database has one statement for all."""
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "seq": message.seq,
        "author": message.author,
        "name": message.name,
        "text": message.text,
        "button_id": None,
        "buttons": [],
        "attachments": [_attachment_json(attachment) for attachment in message.attachments],
        "external_id": None,
        "in_reply_to": None,
        "agent_id": None,
        "understanding": None,
        "outcomes": None,
        "attempts": 0,
        "created_at": message.at,
        "answered_at": None,
    }


def said_before(uow: UnitOfWork, conversation_id: str, key: str) -> list[MessageView]:
    """What was said under a key already. Raises Conflict if that was in another conversation."""
    names = [_said(key, place) for place in range(MOST_SAID)]
    known = select(Message).where(Message.external_id.in_(names)).order_by(Message.seq)
    before = [view(row) for row in uow.session.execute(known).scalars()]
    if any(each.conversation_id != conversation_id for each in before):
        raise Conflict("This key was used before for something else that was said.", key=key)
    return before


def claim_files(uow: UnitOfWork, conversation_id: str, ids: Sequence[str]) -> list[AttachmentView]:
    """The files of that conversation. Raises NotFound for one that is not."""
    return _claim_attachments(uow, conversation_id, ids)


def exchange(uow: UnitOfWork, message_id: str, *, repeated: bool) -> Exchange:
    """A message with everything that was said in answer to it."""
    message = _MESSAGE_BY_ID.first(uow, id=message_id)
    replies = _REPLIES.all(uow, id=message_id)
    return Exchange(message=view(message), replies=tuple(map(view, replies)), repeated=repeated)


def messages_after(uow: UnitOfWork, conversation_id: str, seq: int, *, limit: int = 200) -> list[MessageView]:
    """The conversation's messages with a higher number, in order."""
    return [view(row) for row in _AFTER.all(uow, conversation=conversation_id, seq=seq, most=limit)]


def undelivered(uow: UnitOfWork, conversation_id: str, up_to_seq: int) -> bool:
    """Whether something up to that number is not known to have reached the customer's side."""
    found = uow.session.execute(
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_id)
        .where(Message.conversation_id == conversation_id, Message.seq <= up_to_seq, Delivery.status == "pending")
        .limit(1)
    )
    return found.first() is not None


def mark_delivered(uow: UnitOfWork, conversation_id: str, up_to_seq: int, *, now: datetime) -> int:
    """Record that the customer's side has everything up to that number; how many were new."""
    ids = select(Message.id).where(
        Message.conversation_id == conversation_id, Message.seq <= up_to_seq, Message.author != "customer"
    )
    changed = uow.session.execute(
        update(Delivery)
        .where(Delivery.message_id.in_(ids), Delivery.status == "pending")
        .values(status="delivered", delivered_at=now, attempts=Delivery.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)


def read_up_to(uow: UnitOfWork, conversation_id: str) -> int:
    """How far the customer has read."""
    read = select(Conversation.customer_read_seq).where(Conversation.id == conversation_id)
    return int(uow.session.execute(read).scalar_one())


def read_by_customer(uow: UnitOfWork, conversation_id: str, seq: int) -> bool:
    """Put down how far the customer has read; whether that was news."""
    row = locked_row(uow, conversation_id)
    read = min(seq, row.last_seq)
    if read <= row.customer_read_seq:
        return False
    row.customer_read_seq = read
    return True


def state_for_customer(uow: UnitOfWork, conversation_id: str) -> dict[str, Any]:
    """Who has the conversation, as the customer may know it: the place in the queue, or a name and what they have read.

    Raises NotFound.
    """
    owner = conversation(uow, conversation_id).owner
    if owner not in ("queued", "human"):
        return {"owner": owner}
    row = uow.get(Conversation, conversation_id)
    if owner == "queued":
        return {"owner": owner, "position": handoff.position_of(uow, row)}
    agent = uow.get(Agent, row.agent_id) if row.agent_id else None
    return {"owner": owner, "agent": agent.name if agent else None, "agent_read": row.agent_read_seq}


def is_conversation(hint: str) -> bool:
    """Whether something that the desks are told of is a conversation's id."""
    return hint.startswith(f"{_PREFIX}_")


def promises_over(uow: UnitOfWork, *, now: datetime) -> list[str]:
    """Conversations that wait for a person longer than promised and were not asked about it, longest first."""
    overdue = select(Conversation.id).where(Conversation.owner == "queued", Conversation.promised_until <= now)
    return list(uow.session.execute(overdue.order_by(Conversation.promised_until, Conversation.id)).scalars())


def choices_over(uow: UnitOfWork, *, now: datetime) -> list[str]:
    """Conversations that wait for a person and whose customer was asked how to go on and did not say, longest first."""
    silent = select(Conversation.id).where(Conversation.owner == "queued", Conversation.choose_until <= now)
    return list(uow.session.execute(silent.order_by(Conversation.choose_until, Conversation.id)).scalars())


def locked_row(uow: UnitOfWork, conversation_id: str) -> Any:
    """The conversation's row as it is now, held until the unit of work ends. Raises NotFound."""
    wanted = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    row = uow.session.execute(wanted.execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None:
        raise NotFound("This conversation does not exist.")
    return row


def _lock(uow: UnitOfWork, conversation_id: str) -> ConversationView:
    uow.session.flush()  # what somebody changed in this unit of work and did not send yet
    return _conversation(uow, _LOCKED_CONVERSATION, conversation_id)


def _conversation(uow: UnitOfWork, statement: Prepared, conversation_id: str) -> ConversationView:
    row = statement.first(uow, id=conversation_id)
    if row is None:
        raise NotFound("This conversation does not exist.")
    return ConversationView(*row)


def _forget(uow: UnitOfWork, conversation_id: str) -> None:
    """Whoever has the conversation's row in this unit of work reads it anew, since it changed beside the session."""
    held = uow.session.identity_map.get(identity_key(Conversation, conversation_id))
    if held is not None:
        uow.session.expire(held)


def _said(key: str, place: int) -> str:
    # No channel names a message like this; the channel's own name for what is said is kept by its delivery.
    return f"said:{place}:{key}"


def _button(uow: UnitOfWork, conversation_id: str, button_id: str) -> Mapping[str, Any]:
    seq, _, _ = button_id.removeprefix("b").partition(".")
    buttons: Sequence[Mapping[str, Any]] | None = None
    if seq.isascii() and seq.isdecimal() and len(seq) < 10:
        buttons = uow.session.execute(
            select(Message.buttons).where(Message.conversation_id == conversation_id, Message.seq == int(seq))
        ).scalar_one_or_none()
    for button in buttons or ():
        if button["id"] == button_id:
            return button
    raise NotFound("That button is not part of this conversation.")


def _claim_attachments(uow: UnitOfWork, conversation_id: str, ids: Sequence[str]) -> list[AttachmentView]:
    views = []
    for attachment_id in dict.fromkeys(ids):
        row = uow.get(Attachment, attachment_id)
        if row is None or row.conversation_id != conversation_id:
            raise NotFound("That file is not part of this conversation; please upload it again.")
        views.append(AttachmentView(id=row.id, name=row.name, media_type=row.media_type, size=row.size))
    return views


def _attachment_json(attachment: AttachmentView) -> dict[str, Any]:
    return dict(vars(attachment))


def view(row: Any) -> MessageView:
    """A message's row as channels show it."""
    return MessageView(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        author=row.author,
        name=row.name,
        text=row.text,
        at=row.created_at,
        buttons=tuple(ButtonView(id=button["id"], title=button["title"]) for button in row.buttons),
        attachments=tuple(AttachmentView(**attachment) for attachment in row.attachments),
    )
