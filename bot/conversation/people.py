"""What people do with conversations, as the gateway does it: one transaction, then word to everybody who looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.conversation import history
from bot.conversation.engine import DialogueEngine
from bot.conversation.locks import Bus
from bot.conversation.messages import MAX_TEXT, MessageView, Reply, clean, too_long
from bot.conversation.reception import Reception
from bot.errors import InvalidInput
from bot.policy.pack import Pack
from bot.services import approvals, handoff, notes
from bot.services.approvals import ApprovalView
from bot.services.canned import Step
from bot.services.handoff import HandoffView
from bot.services.notes import NoteView
from bot.services.ports import Clock
from bot.services.tickets import Priority
from bot.store.unit_of_work import Store, UnitOfWork

DESK = "desk"  # the bus topic of whatever desks must look at again: a conversation's id, `queue`, or a case's id
QUEUE = "queue"


class WithPeople:
    """The half of the gateway that the desks call. Every method raises what its use case in `handoff` raises."""

    bus: Bus
    _store: Store
    _clock: Clock
    _packs: Mapping[str, Pack]
    _engine: DialogueEngine
    _reception: Reception

    async def agent_says(
        self, conversation_id: str, *, agent_id: str, text: str, key: str, attachments: Sequence[str] = ()
    ) -> MessageView:
        """Say something as the person who has the conversation, once for each key; `attachments` are ids of its files.

        Raises Conflict for somebody who does not have it (any more), InvalidInput or TooLarge for such a text.
        """
        view = await self._store.writing(
            lambda uow: self._say(uow, conversation_id, agent_id=agent_id, text=text, key=key, attachments=attachments)
        )
        await self._tell(conversation_id, "message")
        return view

    def _say(
        self,
        uow: UnitOfWork,
        conversation_id: str,
        *,
        agent_id: str,
        text: str,
        key: str,
        attachments: Sequence[str] = (),
    ) -> MessageView:
        words = clean(text)
        if len(words) > MAX_TEXT:
            raise too_long(words)
        if not words and not attachments:
            raise InvalidInput("The reply is empty. Write something or attach a file.")
        said_once = f"{agent_id}:{key}"
        now = self._clock.now()
        if before := history.said_before(uow, conversation_id, said_once):
            return before[0]
        name = handoff.speaks_for(uow, conversation_id=conversation_id, agent_id=agent_id)
        files = history.claim_files(uow, conversation_id, attachments)
        said = history.say(
            uow,
            conversation_id,
            [Reply(words, attachments=tuple(vars(file) for file in files))],
            author="agent",
            name=name,
            in_reply_to=None,
            now=now,
            key=said_once,
            agent_id=agent_id,
        )
        handoff.said(uow, conversation_id=conversation_id, now=now)
        return said[0]

    async def note(self, conversation_id: str, *, agent_id: str, body: str, key: str) -> NoteView:
        """Write something for colleagues, which the customer never sees."""
        note = await self._store.writing(
            lambda uow: notes.add(
                uow, conversation_id=conversation_id, agent_id=agent_id, body=body, key=key, now=self._clock.now()
            )
        )
        await self._tell(conversation_id, "note")
        return note

    async def take_steps(self, conversation_id: str, *, agent_id: str, steps: Sequence[Step], key: str) -> None:
        """Take the steps of a macro, filled already: all of them in one transaction, or none; once for each key."""
        last = steps[-1]
        wish = await self._wish(last.value, conversation_id) if last.kind == "hand back" else None

        def work(uow: UnitOfWork) -> None:
            now = self._clock.now()
            whose = {"conversation_id": conversation_id, "agent_id": agent_id}
            for place, step in enumerate(steps):
                once = {"key": f"{key}:{place}", "now": now}
                if step.kind == "reply":
                    self._say(uow, conversation_id, agent_id=agent_id, text=step.value, key=once["key"])
                elif step.kind == "note":
                    notes.add(uow, body=step.value, **whose, **once)
                elif step.kind == "snooze":
                    until = now + timedelta(minutes=int(step.value))
                    handoff.snooze(uow, until=until, now=now, **whose)
                elif step.kind == "transfer":
                    change = handoff.transfer(uow, to_team=step.value, **whose, **once)
                    self._reception.transferred(uow, change, now=now)
                elif step.kind == "hand back":
                    change = handoff.hand_back(uow, note=step.value, **whose, **once)
                    self._reception.handed_back(uow, change, wish, now=now)
                else:
                    change = handoff.resolve(uow, note=step.value, **whose, **once)
                    self._reception.resolved(uow, change, now=now)

        await self._store.writing(work)
        await self.bus.publish(conversation_id, "message")
        await self._tell(conversation_id, "state")

    async def claim(self, conversation_id: str, *, agent_id: str, key: str) -> HandoffView:
        """Take a conversation; the customer hears who is there now."""

        def work(uow: UnitOfWork, now: datetime) -> HandoffView:
            change = handoff.claim(uow, conversation_id=conversation_id, agent_id=agent_id, key=key, now=now)
            self._reception.taken(uow, change, now=now)
            return change

        return await self._change(conversation_id, work)

    async def release(self, conversation_id: str, *, agent_id: str, key: str, note: str = "") -> HandoffView:
        """Put one's own conversation back into the queue."""

        def work(uow: UnitOfWork, now: datetime) -> HandoffView:
            change = handoff.release(
                uow, conversation_id=conversation_id, agent_id=agent_id, key=key, now=now, note=note
            )
            self._reception.released(uow, change, now=now)
            return change

        return await self._change(conversation_id, work)

    async def transfer(
        self,
        conversation_id: str,
        *,
        agent_id: str,
        key: str,
        to_agent_id: str | None = None,
        to_team: str | None = None,
        note: str = "",
    ) -> HandoffView:
        """Give a conversation to another person, or to a team."""

        def work(uow: UnitOfWork, now: datetime) -> HandoffView:
            change = handoff.transfer(
                uow,
                conversation_id=conversation_id,
                agent_id=agent_id,
                to_agent_id=to_agent_id,
                to_team=to_team,
                key=key,
                now=now,
                note=note,
            )
            self._reception.transferred(uow, change, now=now)
            return change

        return await self._change(conversation_id, work)

    async def hand_back(self, conversation_id: str, *, agent_id: str, note: str, key: str) -> HandoffView:
        """Give one's own conversation back to the bot, which offers what `note` says where it understands it."""
        wish = await self._wish(note, conversation_id) if note.strip() else None

        def work(uow: UnitOfWork, now: datetime) -> HandoffView:
            change = handoff.hand_back(
                uow, conversation_id=conversation_id, agent_id=agent_id, note=note, key=key, now=now
            )
            self._reception.handed_back(uow, change, wish, now=now)
            return change

        return await self._change(conversation_id, work)

    async def resolve(self, conversation_id: str, *, agent_id: str, note: str, key: str) -> HandoffView:
        """Say that the matter is settled, and ask the customer how it was."""

        def work(uow: UnitOfWork, now: datetime) -> HandoffView:
            change = handoff.resolve(
                uow, conversation_id=conversation_id, agent_id=agent_id, note=note, key=key, now=now
            )
            self._reception.resolved(uow, change, now=now)
            return change

        return await self._change(conversation_id, work)

    async def decide(self, approval_id: str, *, agent_id: str, choice: str, note: str) -> ApprovalView:
        """Decide what waits for approval, and tell the customer once it is final. Raises as `decide_at_desk` does."""

        def work(uow: UnitOfWork) -> ApprovalView:
            now = self._clock.now()
            decided = approvals.decide_at_desk(
                uow,
                packs=self._packs,
                approval_id=approval_id,
                agent_id=agent_id,
                choice=choice,
                note=note,
                now=now,
            )
            if decided.says and decided.conversation_id:
                history.say(
                    uow,
                    decided.conversation_id,
                    [Reply("\n\n".join(decided.says))],
                    author="bot",
                    name=self._packs[history.conversation(uow, decided.conversation_id).brand].brand.name,
                    in_reply_to=None,
                    now=now,
                    key=f"approval:{approval_id}",
                )
            return decided

        decided = await self._store.writing(work)
        if decided.conversation_id:
            await self.bus.publish(decided.conversation_id, "message")
        await self.bus.publish(DESK, approval_id)
        return decided

    async def snooze(self, conversation_id: str, *, agent_id: str, until: datetime | None) -> None:
        """Put one's own conversation aside until a moment; None takes it up again."""
        await self._store.writing(
            lambda uow: handoff.snooze(
                uow, conversation_id=conversation_id, agent_id=agent_id, until=until, now=self._clock.now()
            )
        )
        await self.bus.publish(DESK, conversation_id)

    async def set_priority(self, conversation_id: str, *, agent_id: str, priority: Priority) -> None:
        """Have a conversation served before or after others."""
        await self._store.writing(
            lambda uow: handoff.set_priority(
                uow, conversation_id=conversation_id, agent_id=agent_id, priority=priority, now=self._clock.now()
            )
        )
        await self.bus.publish(DESK, QUEUE)

    async def agent_read(self, conversation_id: str, *, agent_id: str, seq: int) -> None:
        """Put down how far the person who has a conversation has read."""
        await self._store.writing(
            lambda uow: handoff.read_by_agent(uow, conversation_id=conversation_id, agent_id=agent_id, seq=seq)
        )
        await self._tell(conversation_id, "state")

    async def customer_read(self, conversation_id: str, seq: int) -> None:
        """Put down how far the customer has read."""
        read = await self._store.reading(lambda uow: history.read_up_to(uow, conversation_id))
        if seq > read and await self._store.writing(lambda uow: history.read_by_customer(uow, conversation_id, seq)):
            await self.bus.publish(conversation_id, "state")

    async def agent_typing(self, conversation_id: str, agent_id: str) -> None:
        """Tell the customer that the person who has the conversation is writing."""
        await self.bus.publish(conversation_id, "agent-typing")

    async def customer_typing(self, conversation_id: str) -> None:
        """Tell the desk that the customer is writing."""
        await self.bus.publish(conversation_id, "customer-typing")

    async def agents_changed(self, conversation_ids: Sequence[str] = ()) -> None:
        """Have every desk check again who may see it; `conversation_ids` wait again because somebody left."""
        for conversation_id in conversation_ids:
            await self._store.writing(
                lambda uow, one=conversation_id: self._reception.left(uow, one, now=self._clock.now())
            )
            await self.bus.publish(conversation_id, "message")
            await self._tell(conversation_id, "state")
        await self.bus.publish(DESK, "agents")

    async def keep_promises(self) -> int:
        """Do what is due for those who wait (see `Reception.keep_promises`); how many were told something."""
        told = await asyncio.to_thread(self._reception.keep_promises, self._store, now=self._clock.now())
        for conversation_id in told:
            await self._tell(conversation_id, "message")
        return len(told)

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _wish(self, note: str, conversation_id: str) -> str | None:
        """The wish that an agent's word names, if the model is sure of it."""
        conversation = await self._store.reading(lambda uow: history.conversation(uow, conversation_id))
        parsed = await self._engine.parse(note, metadata={"brand": conversation.brand})
        verdict = (parsed.get("understanding") or {}).get("verdict", "answer")
        return parsed["intent"]["name"] if verdict == "answer" else None

    async def _change(self, conversation_id: str, work: Callable[[UnitOfWork, datetime], HandoffView]) -> HandoffView:
        change = await self._store.writing(lambda uow: work(uow, self._clock.now()))
        await self.bus.publish(conversation_id, "message")
        await self._tell(conversation_id, "state")
        return change

    async def _tell(self, conversation_id: str, hint: str) -> None:
        await self.bus.publish(conversation_id, hint)
        await self.bus.publish(DESK, conversation_id)
