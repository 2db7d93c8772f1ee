"""Keeps the desk's rooms as things are: a card for each conversation that people have, and its thread."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from sqlalchemy import or_, select, update

from bot.channels.delivery import CannotDeliver, RetryLater
from bot.channels.slack import files, words
from bot.channels.slack.api import call
from bot.channels.slack.blocks import fallback
from bot.channels.slack.desk import cards
from bot.channels.slack.desk.who import Who
from bot.channels.slack.formatting import plain, rich_text, shortened
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import CHANNEL, Place
from bot.channels.slack.tokens import Installation
from bot.conversation import history
from bot.conversation.history import Change
from bot.conversation.locks import next_hints
from bot.conversation.messages import MessageView
from bot.conversation.people import DESK
from bot.errors import SupportBotError
from bot.ids import new_id
from bot.services.agents import AgentView
from bot.store.tables import Approval, Conversation, Customer, Decision, DeskThread, Handoff, Message
from bot.store.unit_of_work import UnitOfWork

REFRESH_SECONDS = 20.0  # the clocks of the cards go on by themselves
_WITH_PEOPLE = ("queued", "human")
_COLLEAGUES = "//"
_QUOTE = 200  # characters of what was said before
log = structlog.get_logger("supportbot.slack")


class SlackDesk:
    """The rooms of all brands that have one."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._who = Who(kit)
        self._brands = {room: brand for brand, room in kit.settings.rooms.items()}
        self._quiet_until = 0.0
        self._ours: set[str] = set()  # threads that this process began or has looked through

    def is_room(self, room: str) -> bool:
        """Whether agents work there."""
        return room in self._brands

    # --- keeping the rooms as things are ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Update until cancelled: when the desk is told to look again, and for the clocks."""
        async with self._kit.deps.bus.listen(DESK) as hints:
            while True:
                await self.refresh()
                pause = self._quiet_until - time.monotonic()
                await next_hints(hints, pause if pause > 0 else REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Bring every card and thread up to date; one that cannot be is logged and tried at the next round.

        When Slack says to wait, the round ends there, and the next begins no sooner.
        """
        if time.monotonic() < self._quiet_until:
            return
        try:
            found = await self._kit.deps.store.writing(self._open_threads)
        except Exception:
            log.exception("the desk could not be looked up")
            return
        for thread_id in found:
            try:
                async with self._kit.deps.locks.hold(f"slack-desk:{thread_id}"):
                    await self._update(thread_id)
            except RetryLater as later:
                self._quiet_until = time.monotonic() + later.seconds
                log.warning("cards have to wait", seconds=later.seconds)
                return
            except CannotDeliver as error:
                log.warning("card not updated", thread=thread_id, why=str(error))
            except Exception:
                log.exception("card not updated", thread=thread_id)

    def _open_threads(self, uow: UnitOfWork) -> list[str]:
        """Ids of all cards that are not closed, made for what people have to see to and lacks one."""
        served = list(self._kit.settings.rooms)
        waiting = uow.session.execute(
            select(Conversation.id, Conversation.brand).where(
                Conversation.owner.in_(_WITH_PEOPLE), Conversation.brand.in_(served)
            )
        ).all()
        still_open = (DeskThread.channel == CHANNEL, DeskThread.closed_at.is_(None))
        shown = select(DeskThread.conversation_id).where(*still_open, DeskThread.handoff_id.is_not(None))
        known = set(uow.session.execute(shown).scalars())
        for conversation_id, brand in waiting:
            if conversation_id not in known:
                self._make(uow, conversation_id, brand)
        self._make_for_approvals(uow, shown)
        return list(uow.session.execute(select(DeskThread.id).where(*still_open).order_by(DeskThread.id)).scalars())

    def _make(self, uow: UnitOfWork, conversation_id: str, brand: str) -> None:
        latest = select(Handoff.id).where(Handoff.conversation_id == conversation_id)
        handoff_id = uow.session.execute(latest.order_by(Handoff.at.desc(), Handoff.id.desc()).limit(1)).scalar()
        known = select(DeskThread.id).where(DeskThread.handoff_id == handoff_id, DeskThread.channel == CHANNEL)
        if handoff_id is None or uow.session.execute(known).first() is not None:
            return
        changed = history.changes(uow, conversation_id)
        self._add(
            uow,
            brand,
            handoff_id=handoff_id,
            conversation_id=conversation_id,
            last_seq=max(0, uow.get(Conversation, conversation_id).last_seq - 6),
            last_change=changed[-1].id if changed else "",
        )

    def _make_for_approvals(self, uow: UnitOfWork, shown: Any) -> None:
        """Cards for what waits for approval and is on no card of a conversation."""
        carded = select(DeskThread.approval_id).where(
            DeskThread.channel == CHANNEL, DeskThread.approval_id.is_not(None)
        )
        lonely = uow.session.execute(
            select(Approval.id, Decision.brand, Decision.conversation_id)
            .join(Decision, Decision.id == Approval.decision_id)
            .where(Approval.status == "pending", Decision.brand.in_(list(self._kit.settings.rooms)))
            .where(Approval.id.not_in(carded))
            .where(or_(Decision.conversation_id.is_(None), Decision.conversation_id.not_in(shown)))
            .order_by(Approval.created_at, Approval.id)
        ).all()
        for approval_id, brand, conversation_id in lonely:
            self._add(uow, brand, approval_id=approval_id, conversation_id=conversation_id)

    def _add(self, uow: UnitOfWork, brand: str, **about: Any) -> None:
        made = new_id("dth")
        room, now = self._kit.settings.rooms[brand], self._kit.deps.clock.now()
        uow.add(DeskThread(id=made, channel=CHANNEL, room=room, created_at=now, **about))
        self._ours.add(made)

    async def _update(self, thread_id: str) -> None:
        found = await self._kit.deps.store.reading(lambda uow: self._state(uow, thread_id))
        installation = await self._installation()
        if installation is None or found is None:
            return
        thread, card = found
        ts = await self._show(installation, thread, card)
        if isinstance(card, cards.ConversationCard):
            await self._continue_thread(installation, thread, ts)
        if card.is_over:
            await self._note(thread_id, closed_at=self._kit.deps.clock.now())
            self._ours.discard(thread_id)

    async def _show(self, installation: Installation, thread: Any, card: cards.Card) -> str:
        """Post the card, or bring it up to date; its timestamp."""
        shown = card.blocks(self._kit.deps.public_url)
        digest = hashlib.sha256(json.dumps(shown).encode()).hexdigest()
        text, ts = fallback(card.title), thread.thread
        if ts is not None and digest == thread.shown:
            return str(ts)
        if ts is None and thread.id not in self._ours:  # whoever began it may have died before noting it
            there = await files.arrived(self._kit, installation, thread.room, "")
            ts = there.get(thread.id, "/").partition("/")[2] or None
        if ts is None:
            marked = files.marked(thread.id)
            ts = await self._kit.api.post(installation, thread.room, text=text, blocks=shown, metadata=marked)
        else:
            client = self._kit.api.client(installation.token)
            try:
                await call(lambda: client.chat_update(channel=thread.room, ts=ts, text=text, blocks=shown))
            except CannotDeliver as refusal:
                if refusal.code == "message_not_found":  # somebody deleted it: it is posted anew
                    await self._note(thread.id, thread=None, shown="")
                raise
        await self._note(thread.id, thread=ts, shown=digest)
        return str(ts)

    async def _continue_thread(self, installation: Installation, thread: Any, ts: str) -> None:
        """What was said since, by the customer or elsewhere, and what of it they edited or deleted; not what came from
        this thread.
        """
        fresh = await self._kit.deps.store.reading(lambda uow: _said_since(uow, thread))
        if not fresh.messages and not fresh.changes:
            return
        there: dict[str, str] = {}
        if thread.id not in self._ours:
            there = await files.arrived(self._kit, installation, thread.room, ts)
            self._ours.add(thread.id)
        uploaded: Collection[str] = there
        for message, ours in fresh.messages:
            if not ours and message.id not in there:
                await self._pass_on(installation, thread, ts, fresh, message, uploaded)
                uploaded = ()  # files go before their message: those without one were the first's
            await self._note(thread.id, last_seq=message.seq)
        for change in fresh.changes:
            if change.id not in there:
                what = words.EDITED_BEFORE if change.kind == "edited" else words.DELETED_BEFORE
                quoted = shortened(change.before, _QUOTE)
                said = what.format(who=fresh.customer, at=_clock(change.at), before=quoted, text=change.text)
                await self._post(installation, thread, ts, change.id, said, rich_text(said))
            await self._note(thread.id, last_change=change.id)

    async def _pass_on(
        self,
        installation: Installation,
        thread: Any,
        ts: str,
        fresh: _Fresh,
        message: MessageView,
        uploaded: Collection[str],
    ) -> None:
        """Put a message into the thread, and before it its files but those `uploaded`, by their names."""
        notes = []
        for attachment in message.attachments:
            if attachment.name in uploaded:
                continue
            try:
                await files.upload(self._kit, installation, thread.room, ts, thread.conversation_id, attachment)
            except RetryLater:
                raise
            except Exception as error:  # the conversation goes on, and the file is at the other desk
                log.warning("file not put into the thread", attachment=attachment.id, why=type(error).__name__)
                link = f"{self._kit.deps.public_url}/desk/conversations/{thread.conversation_id}"
                notes.append(words.FILE_AT_DESK.format(name=attachment.name, link=link))
        for change in fresh.changed.get(message.id, ()):
            what = words.EDITED if change.kind == "edited" else words.DELETED
            notes.append(what.format(at=_clock(change.at), text=change.text))
        author = f"{fresh.customer}, {_clock(message.at)}" if message.author == "customer" else message.name
        named = [] if message.text else [f"Attached: {', '.join(each.name for each in message.attachments)}"]
        shown = cards.thread_message(author or message.author, message.text, [*named, *notes])
        await self._post(installation, thread, ts, message.id, message.text, shown)

    async def _post(
        self, installation: Installation, thread: Any, ts: str, identifier: str, text: str, blocks: list[dict[str, Any]]
    ) -> None:
        marked = files.marked(identifier)
        text = fallback(text) or "…"
        await self._kit.api.post(installation, thread.room, text=text, blocks=blocks, thread_ts=ts, metadata=marked)

    def _state(self, uow: UnitOfWork, thread_id: str) -> tuple[Any, cards.Card] | None:
        """A thread that is open, and its card; None where it is closed, or its brand is not served any more."""
        thread = uow.get(DeskThread, thread_id)
        pack = self._kit.deps.packs.get(self._brands.get(thread.room, ""))
        if thread.closed_at is not None or pack is None:
            return None
        if thread.approval_id is not None:
            return thread, cards.approval_card_of(uow, thread.approval_id, pack)
        return thread, cards.card_of(uow, thread.conversation_id, pack, now=self._kit.deps.clock.now())

    async def _note(self, thread_id: str, **values: Any) -> None:
        await self._kit.deps.store.writing(
            lambda uow: uow.session.execute(update(DeskThread).where(DeskThread.id == thread_id).values(**values))
        )

    async def _installation(self) -> Installation | None:
        """The desk is in the workspace of the bot token."""
        return next(iter(self._kit.installations.values()), None)

    # --- what agents do ------------------------------------------------------------------------------------------

    async def pressed(self, payload: Mapping[str, Any]) -> None:
        """A button of a card; only an agent of that brand gets anywhere."""
        agent = await self._agent(payload)
        if agent is None:
            return
        await self._act(payload, agent, payload["action"], payload["value"], note="")

    async def asked(self, payload: Mapping[str, Any], trigger: str) -> None:
        """A button of a card that opens a form; Slack lets it be opened for three seconds only."""
        agent, installation = await self._agent(payload), await self._installation()
        if agent is None or installation is None:
            return
        view = cards.form(payload["action"], payload["value"], room=payload["room"], ts=payload["message"])
        client = self._kit.api.client(installation.token)
        try:
            await call(lambda: client.views_open(trigger_id=trigger, view=view))
        except SlackApiError as error:
            log.warning("form not opened", why=error.response.get("error"))
            await self._tell(payload, words.PRESS_AGAIN)

    async def sent(self, payload: Mapping[str, Any]) -> None:
        """A form of a card."""
        agent = await self._agent(payload)
        if agent is not None:
            await self._act(payload, agent, payload["action"], payload["value"], note=payload["note"])

    async def _act(self, payload: Mapping[str, Any], agent: AgentView, action: str, value: str, *, note: str) -> None:
        conversation_id, _, approval_id = value.partition("|")
        key = f"{CHANNEL}:{payload['room']}:{payload['ts']}"
        try:
            await self._do(action.split(":")[1], conversation_id, approval_id, agent.id, note, key)
        except SupportBotError as error:
            if error.status >= 500:
                raise
            await self._tell(payload, str(error))
        await self.refresh()

    async def _do(self, name: str, conversation_id: str, approval_id: str, agent_id: str, note: str, key: str) -> None:
        gateway = self._kit.deps.gateway
        if name == cards.CLAIM:
            await gateway.claim(conversation_id, agent_id=agent_id, key=key)
        elif name == cards.RESOLVE:
            await gateway.resolve(conversation_id, agent_id=agent_id, note=note, key=key)
        elif name == cards.HAND_BACK:
            await gateway.hand_back(conversation_id, agent_id=agent_id, note=note, key=key)
        elif name in (cards.REFUND, cards.CREDIT, cards.DENY):
            await gateway.decide(approval_id, agent_id=agent_id, choice=name, note=note)

    async def wrote(self, payload: Mapping[str, Any]) -> None:
        """A message in a card's thread: to the customer, or for colleagues."""
        thread = await self._kit.deps.store.reading(lambda uow: _thread_at(uow, payload["room"], payload["thread"]))
        if thread is None:
            return
        agent = await self._agent(payload)
        if agent is None:
            return
        text = plain(payload["text"])
        key = f"{CHANNEL}:{payload['room']}:{payload['ts']}"
        gateway = self._kit.deps.gateway
        try:
            if text.startswith(_COLLEAGUES):
                body = "\n".join(line.removeprefix(_COLLEAGUES).strip() for line in text.splitlines())
                await gateway.note(thread.conversation_id, agent_id=agent.id, body=body, key=key)
                if payload["files"]:
                    await self._tell(payload, words.NO_FILES_IN_NOTES)
                return
            files, troubles = await self._kit.keep_files(
                payload["team"], thread.conversation_id, payload["files"], self._kit.deps.packs[thread.brand]
            )
            for trouble in troubles:
                await self._tell(payload, trouble)
            if text or files:
                await gateway.agent_says(
                    thread.conversation_id, agent_id=agent.id, text=text, attachments=files, key=key
                )
        except SupportBotError as error:
            if error.status >= 500:
                raise
            await self._tell(payload, f"The customer was not told this: {error}")

    async def changed(self, payload: Mapping[str, Any]) -> None:
        """Somebody edited or deleted what they wrote in a card's thread: what was said to the customer stays said."""
        mark = f":{CHANNEL}:{payload['room']}:{payload['ts']}"
        said = select(Message.id).where(Message.author == "agent", Message.external_id.like(f"%{mark}"))
        if await self._kit.deps.store.reading(lambda uow: uow.session.execute(said).first()) is not None:
            await self._tell(payload, words.STAYS_SAID)

    async def _agent(self, payload: Mapping[str, Any]) -> AgentView | None:
        brand = self._brands.get(payload["room"], "")
        agent = await self._who.agent(payload["team"], payload["user"], brand)
        if agent is None:
            await self._tell(payload, words.NO_AGENT)
        return agent

    async def _tell(self, payload: Mapping[str, Any], text: str) -> None:
        place = Place(payload["team"], payload["room"], payload["thread"] or payload.get("message", ""), "")
        await self._kit.tell(payload["user"], place, text)


def _thread_at(uow: UnitOfWork, room: str, ts: str) -> Any:
    found = uow.session.execute(
        select(DeskThread.conversation_id, Conversation.brand)
        .join(Conversation, Conversation.id == DeskThread.conversation_id)
        .where(DeskThread.channel == CHANNEL, DeskThread.room == room, DeskThread.thread == ts)
    )
    return found.first()


@dataclass(frozen=True)
class _Fresh:
    """What a thread lacks: messages, each with whether it was written in that room, and changes of earlier ones.

    `changed`: changes of the messages here.
    """

    customer: str
    messages: list[tuple[MessageView, bool]]
    changes: list[Change]
    changed: Mapping[str, list[Change]]


def _said_since(uow: UnitOfWork, thread: Any) -> _Fresh:
    found = uow.session.execute(
        select(Message)
        .where(Message.conversation_id == thread.conversation_id, Message.seq > thread.last_seq)
        .order_by(Message.seq)
    ).scalars()
    mark = f":{CHANNEL}:{thread.room}:"
    messages = [(history.view(row), row.author == "agent" and mark in (row.external_id or "")) for row in found]
    new = {message.id for message, _ in messages}
    changes = history.changes(uow, thread.conversation_id)
    changed: dict[str, list[Change]] = {}
    for change in changes:
        changed.setdefault(change.message_id, []).append(change)
    customer = uow.get(Customer, uow.get(Conversation, thread.conversation_id).customer_id or "")
    return _Fresh(
        customer=(customer.name if customer else "") or "The customer",
        messages=messages,
        changes=[each for each in changes if each.id > thread.last_change and each.message_id not in new],
        changed={message_id: each for message_id, each in changed.items() if message_id in new},
    )


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"
