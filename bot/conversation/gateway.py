"""The one door: every message comes in here, is stored once, and is answered by whoever owns the conversation."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.conversation import history
from bot.conversation.engine import (
    DialogueEngine,
    DialogueState,
    EngineReply,
    EngineResult,
    EngineTurn,
    UnusableState,
)
from bot.conversation.locks import Bus, Locks
from bot.conversation.messages import MAX_TEXT, Exchange, InboundMessage, MessageView, Reply, clean
from bot.conversation.people import DESK, WithPeople
from bot.conversation.reception import Reception
from bot.dialogue.interpretation import (
    Interpretation,
    asks_for,
    clauses_of,
    interpret,
    interpret_button,
    is_clear,
    reads_clauses,
)
from bot.dialogue.mood import denies
from bot.dialogue.phrases import Phrases, load_phrases
from bot.errors import Unavailable
from bot.policy.facts import Facts
from bot.policy.pack import Pack
from bot.policy.wording import render
from bot.services.ports import Clock
from bot.store.unit_of_work import Store, UnitOfWork

TURN_SECONDS = 30.0  # a turn that takes longer has failed
_RETRY_SECONDS = 0.05
_CLAUSES_AHEAD = 3  # parts of a message understood together with it; of a story hardly more are read
_RELAYED = 1_000
log = structlog.get_logger("supportbot.turn")
_Answers = dict[str, tuple[MessageView, ...] | None]
"""What was said to which message; None where somebody else's answer to it is stored."""


@dataclass(frozen=True)
class _Outcome:
    """What came of a turn: replies and the next dialogue state, or the name of what broke."""

    replies: tuple[Reply, ...] = ()
    dialogue: Mapping[str, Any] | None = None
    interpretation: Interpretation | None = None
    failure: str | None = None
    start_afresh: bool = False  # the dialogue cannot go on from where it was


class Gateway(WithPeople):
    """Takes messages in, has them answered in order, keeps the answers, and tells listeners.

    A message is stored before anything acts on it. Everything an answer does is keyed by that message, so a turn
    that a crash cut off is run again from the same state and repeats nothing (see `repair`).
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: DialogueEngine,
        packs: Mapping[str, Pack],
        locks: Locks,
        bus: Bus,
        clock: Clock,
        on_turn: Callable[[Mapping[str, Any]], None] = lambda _: None,
        turn_seconds: float = TURN_SECONDS,
        phrases: Phrases | None = None,
    ) -> None:
        """`on_turn` gets every turn's log line; `turn_seconds` is how long one may take."""
        self._store = store
        self._engine = engine
        self._packs = packs
        self._locks = locks
        self.bus = bus
        self._clock = clock
        self._on_turn = on_turn
        self._turn_seconds = turn_seconds
        self._phrases = phrases or load_phrases()
        self._reception = Reception(packs, self._phrases)
        self._relayed: OrderedDict[str, None] = OrderedDict()  # conversations of which the last message went to people

    async def receive(self, inbound: InboundMessage, *, admit: Callable[[UnitOfWork], None] | None = None) -> Exchange:
        """Take a message in and return what was said to it; the same message again returns the same answer.

        Raises what `history.take_in` raises, `admit`'s refusal included; then nothing was stored. Raises Unavailable
        when it was stored and cannot be answered now; it waits for `repair` or for the same message again.
        """
        # Mostly nothing else of the conversation is under way: then the turn begins in the transaction that stores.
        async with self._locks.hold_if_free(inbound.conversation_id) as held:
            arrival = await self._take_in(inbound, admit, start=held)
            message = arrival.message
            await self._tell_arrival(arrival)
            answers = await self._answer_all(arrival.turn) if arrival.turn else {}
        if arrival.relayed:
            return Exchange(message, arrival.replies)
        if message.id not in answers:
            answers = await self._answer_waiting(message.conversation_id)
        if (replies := answers.get(message.id)) is not None:
            return Exchange(message, replies, repeated=not arrival.new)
        return await self._store.reading(lambda uow: history.exchange(uow, message.id, repeated=not arrival.new))

    async def accept(
        self, inbound: InboundMessage, *, admit: Callable[[UnitOfWork], None] | None = None
    ) -> tuple[MessageView, bool]:
        """Take a message in without waiting for its answer, which `answer_waiting` gives; whether it is new.

        For channels that must tell their platform soon that they have it. Raises what `history.take_in` raises.
        """
        arrival = await self._take_in(inbound, admit, start=False)
        await self._tell_arrival(arrival)
        return arrival.message, arrival.new

    async def answer_waiting(self, conversation_id: str) -> int:
        """Answer all messages of a conversation that wait for the bot, oldest first; how many there were."""
        return len(await self._answer_waiting(conversation_id))

    async def repair(self, *, waiting_for: timedelta = timedelta()) -> int:
        """Answer what was taken in so long ago and has no answer: a process died, or a part was away; how many.

        A conversation that cannot be answered now is logged and waits on.
        """
        since = self._clock.now() - waiting_for
        waiting = await self._store.reading(lambda uow: history.conversations_waiting(uow, since=since))
        answered = 0
        for conversation_id in waiting:
            try:
                answered += await self.answer_waiting(conversation_id)
            except Exception:
                log.exception("a waiting message could not be answered", conversation=conversation_id)
        return answered

    async def say(
        self, conversation_id: str, replies: Sequence[Reply], *, author: str, name: str, key: str | None = None
    ) -> list[MessageView]:
        """Say something to the customer outside a turn, such as news about their case; under a `key`, once."""

        def store(uow: UnitOfWork) -> list[MessageView]:
            now = self._clock.now()
            return history.say(
                uow, conversation_id, replies, author=author, name=name, in_reply_to=None, now=now, key=key
            )

        views = await self._store.writing(store)
        await self.bus.publish(conversation_id, "message")
        return views

    async def changed(self, channel: str, external_id: str, *, kind: str, text: str, at: datetime) -> None:
        """A customer edited (`edited`, to that text) or deleted (`deleted`) a message: noted, for people to see."""
        conversation_id = await self._store.writing(
            lambda uow: history.note_change(uow, channel=channel, external_id=external_id, kind=kind, text=text, at=at)
        )
        if conversation_id is not None:
            await self._tell(conversation_id, "state")

    async def _tell_arrival(self, arrival: history.Arrival) -> None:
        if not arrival.new:
            return
        await self.bus.publish(arrival.message.conversation_id, "message")
        if arrival.relayed:
            await self.bus.publish(DESK, arrival.message.conversation_id)

    # --- one turn ------------------------------------------------------------------------------------------------

    async def _take_in(
        self, inbound: InboundMessage, admit: Callable[[UnitOfWork], None] | None, *, start: bool
    ) -> history.Arrival:
        now = self._clock.now()
        self._foresee(inbound)

        def attend(uow: UnitOfWork, message: MessageView, payload: Mapping[str, Any]) -> history.Attention | None:
            return self._reception.attend(uow, message, payload, now=now)

        def take_in(uow: UnitOfWork) -> history.Arrival:
            arrival = history.arrive(uow, inbound, now=now, admit=admit, attend=attend, start=start)
            served = arrival.turn is None or arrival.turn.conversation.brand in self._packs
            return arrival if served else replace(arrival, turn=None)

        arrival = await self._store.writing(take_in)
        self._relayed.pop(inbound.conversation_id, None)
        if arrival.relayed:
            self._relayed[inbound.conversation_id] = None
            if len(self._relayed) > _RELAYED:
                self._relayed.popitem(last=False)
        return arrival

    def _foresee(self, inbound: InboundMessage) -> None:
        """Have the engine begin with a message while it is stored, unless people have the conversation."""
        text = clean(inbound.text)
        if text and len(text) <= MAX_TEXT and inbound.conversation_id not in self._relayed:
            self._engine.foresee([text, *clauses_of(text)[:_CLAUSES_AHEAD]])

    async def _begin(self, conversation_id: str) -> history.TurnStart | None:
        def begin(uow: UnitOfWork) -> history.TurnStart | None:
            turn = history.begin(uow, conversation_id)
            if turn is not None and turn.conversation.brand not in self._packs:
                raise Unavailable(f"This installation no longer serves {turn.conversation.brand}.")
            return turn

        return await self._store.writing(begin)

    async def _answer_waiting(self, conversation_id: str) -> _Answers:
        async with self._locks.hold(conversation_id):
            turn = await self._begin(conversation_id)
            return await self._answer_all(turn) if turn else {}

    async def _answer_all(self, turn: history.TurnStart) -> _Answers:
        """Answer a message whose turn has begun, and then all that wait: what was said to each.

        None where the answer that is stored is somebody else's.
        """
        answers: _Answers = {}
        more: history.TurnStart | None = turn
        while more is not None:
            answered, waiting = await self._answer(more)
            answers.update(answered)
            if not waiting:
                break
            more = await self._begin(turn.conversation.id)
        return answers

    async def _answer(self, turn: history.TurnStart) -> tuple[_Answers, bool]:
        """Answer one message, or leave it waiting after a failure; and whether any of the conversation still waits."""
        started = time.perf_counter()
        conversation, pending = turn.conversation, turn.pending
        await self.bus.publish(conversation.id, "typing")
        outcome = await self._try(turn)
        if outcome.failure and pending.attempts + 1 < history.MAX_ATTEMPTS:
            await asyncio.sleep(_RETRY_SECONDS * (pending.attempts + 1))
            return {}, True  # it is tried again from the same state
        kept, decisions, more = await self._store.writing(lambda uow: self._keep(uow, turn, outcome))
        await self.bus.publish(conversation.id, "message")
        if decisions:
            await self.bus.publish(DESK, conversation.id)  # one of them may be left to a person
        interpretation = outcome.interpretation
        line = {
            "conversation": conversation.id,
            "brand": conversation.brand,
            "channel": conversation.channel,
            "owner": conversation.owner,
            "intent": interpretation.intent if interpretation else None,
            "confidence": round(interpretation.confidence, 3) if interpretation else None,
            "verdict": interpretation.verdict if interpretation else None,
            "decisions": decisions,
            "replies": len(kept or ()),
            "failure": outcome.failure,
            "kept": kept is not None,
            "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        }
        log.info("turn", **line)
        self._on_turn(line)
        return {pending.id: kept}, more

    async def _try(self, turn: history.TurnStart) -> _Outcome:
        if turn.pending.attempts >= history.MAX_STARTS:
            return _Outcome(failure="Interrupted")  # each start so far ended with the process: no more of them
        try:
            interpretation, result = await asyncio.wait_for(self._run(turn), self._turn_seconds)
        except Exception as error:  # the customer must get an answer whatever broke
            log.exception(
                "turn failed",
                conversation=turn.conversation.id,
                message=turn.pending.id,
                attempt=turn.pending.attempts + 1,
            )
            return _Outcome(failure=type(error).__name__, start_afresh=isinstance(error, UnusableState))
        replies = tuple(_reply(reply) for reply in result.replies)
        return _Outcome(replies=replies, dialogue=result.state.data, interpretation=interpretation)

    def _keep(
        self, uow: UnitOfWork, turn: history.TurnStart, outcome: _Outcome
    ) -> tuple[tuple[MessageView, ...] | None, list[str], bool]:
        conversation, pending = turn.conversation, turn.pending
        replies, dialogue = outcome.replies, outcome.dialogue
        if outcome.failure:
            # A state that breaks turn after turn would silence the conversation for good: the second time it is left.
            afresh = outcome.start_afresh or history.apologised_before(uow, conversation.id, pending.seq)
            replies, dialogue = (self._apology(conversation.brand),), None if afresh else conversation.dialogue
        kept = history.keep_answer(
            uow,
            conversation_id=conversation.id,
            message_id=pending.id,
            replies=replies,
            name=self._packs[conversation.brand].brand.name,
            dialogue=dialogue,
            understanding=outcome.interpretation.record() if outcome.interpretation else None,
            now=self._clock.now(),
        )
        decisions = history.decided(uow, conversation.id, pending.id)
        return kept, decisions, history.is_waiting(uow, conversation.id)

    async def _run(self, turn: history.TurnStart) -> tuple[Interpretation, EngineResult]:
        conversation, pending, payload = turn.conversation, turn.pending, turn.payload
        state = DialogueState(conversation.dialogue) if conversation.dialogue else None
        pack = self._packs[conversation.brand]
        metadata = {
            "brand": conversation.brand,
            "conversation_id": conversation.id,
            "message_id": pending.id,
            "now": pending.received_at.isoformat(),
            "time_zone": pack.brand.time_zone,
        }
        slots = state.slots if state else {}
        if payload is not None:
            interpretation = interpret_button(payload, slots)
        else:
            parsed = await self._engine.parse(pending.text, metadata=metadata)
            clauses = await self._clauses(pending.text, metadata) if reads_clauses(pending.text, slots) else []
            interpretation = interpret(parsed, slots, files=len(pending.attachments), clauses=clauses)
        metadata["answer"] = interpretation.answer
        metadata["understood"] = interpretation.record()
        metadata["attachments"] = [a.id for a in pending.attachments]
        result = await self._engine.answer(
            EngineTurn(
                conversation_id=conversation.id,
                message_id=pending.id,
                text=pending.text,
                intent=interpretation.intent,
                entities=interpretation.entities,
                metadata=metadata,
            ),
            state,
        )
        return interpretation, result

    async def _clauses(self, text: str, metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the parts of a message mean; of a story only its requests are read: each costs as much as the whole."""
        clauses: list[dict[str, Any]] = []
        story = False
        for part in clauses_of(text):
            if story and not asks_for(part) and not denies(text):
                continue
            clauses.append(await self._engine.parse(part, metadata=metadata))
            story = story or not is_clear(clauses[-1])
        return clauses

    def _apology(self, brand: str) -> Reply:
        pack = self._packs[brand]
        return Reply("\n\n".join(render(pack.texts["apology"], pack.brand, Facts({}))))


def _reply(reply: EngineReply) -> Reply:
    return Reply(text=reply.text, buttons=reply.buttons, attachments=tuple((reply.custom or {}).get("attachments", ())))
