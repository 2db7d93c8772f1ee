"""The dialogue engine behind the gateway: what the bot answers, as a function of a turn and the state before it.

The engine keeps nothing. A turn is answered from a snapshot (`DialogueState`) by Rasa's policies and our own actions,
and gives the next snapshot; the gateway stores it. So the five-hundredth turn costs what the fifth does, the same turn
on the same state gives the same answer, and conversations cannot reach each other.

A snapshot has slots and the active loop (form), and no history: a step that depends on an earlier turn must be told by
a slot, as Rasa's rules want it anyway. Stories of several turns are checked in training, not followed in conversations.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import importlib
import inspect
import json
import pkgutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.conversation import rasa_runtime
from bot.conversation.interpreter import Interpreter
from bot.errors import SupportBotError

if TYPE_CHECKING:
    from rasa.shared.core.trackers import DialogueStateTracker
    from rasa_sdk.executor import ActionExecutor

STATE_VERSION = 1
MAX_STATE_BYTES = 64 * 1024
ACTION_THREADS = 8
FALLBACK_INTENT = "nlu_fallback"
# Intents with which Rasa's rule policy would run its own actions over the head of ours.
RESERVED_INTENTS = frozenset({"restart", "back", "session_start"})


class EngineError(SupportBotError):
    """A turn could not be answered; nothing of it was kept, and it may be tried again."""

    code = "engine"


class ActionFailed(EngineError):
    """A custom action raised, or does not exist; `data` has `action`, `__cause__` is the action's own error."""

    code = "action-failed"


class TurnTooLong(EngineError):
    """The policies went on predicting actions without listening; `data` has `last_action`."""

    code = "turn-too-long"


class UnusableResponse(EngineError):
    """A response of the domain lacks a value for a placeholder; `data` has `response` and `variable`."""

    code = "unusable-response"


class UnusableState(EngineError):
    """The next snapshot cannot be stored: a slot's value is not JSON, or the whole is over 64 KiB."""

    code = "unusable-state"


class UnknownIntent(EngineError):
    """A turn came with an intent that the model does not have; `data` has `intent`."""

    code = "unknown-intent"


@dataclass(frozen=True)
class DialogueState:
    """A snapshot between two turns: JSON, at most 64 KiB. What else than `slots` is in it is the engine's affair."""

    data: Mapping[str, Any]

    @property
    def slots(self) -> Mapping[str, Any]:
        """The slots that have another value than at the start of a conversation."""
        return self.data.get("slots", {})


@dataclass(frozen=True)
class EngineTurn:
    """One message of a customer. With an `intent` (a button, or after interpretation) nothing is interpreted any more.

    `metadata` is what actions find in `tracker.latest_message["metadata"]`. `text` is never a command.
    """

    conversation_id: str
    message_id: str
    text: str
    intent: str | None = None
    entities: Sequence[Mapping[str, Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 1.0


@dataclass(frozen=True)
class EngineReply:
    """One thing the bot says: text, buttons (`title`, `payload`), an attachment, or an action's own JSON (`custom`).

    `response` is the name of the domain's response it came from, if any.
    """

    text: str
    buttons: tuple[Mapping[str, Any], ...] = ()
    attachment: str | Mapping[str, Any] | None = None
    custom: Mapping[str, Any] | None = None
    response: str | None = None


@dataclass(frozen=True)
class EngineResult:
    """The answer to a turn: what is said, the next state, the actions that ran, and what was understood (0 to 1)."""

    replies: tuple[EngineReply, ...]
    state: DialogueState
    actions: tuple[str, ...]
    intent: str
    confidence: float


class DialogueEngine(Protocol):
    """What the gateway needs of an engine."""

    async def parse(self, text: str, *, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a text means: `text`, `intent`, `intent_ranking`, `entities`. Changes nothing."""

    def foresee(self, texts: Sequence[str]) -> None:
        """Texts that will probably be parsed soon; an engine may begin with them. Never raises."""

    async def answer(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        """The answer to a turn; `state` is None for a conversation's first. Raises EngineError."""


def load_actions(package: str = "actions", *, threads: ThreadPoolExecutor | None = None) -> ActionExecutor:
    """Every concrete action of a package, ready to run in this process.

    An action whose `run` is not a coroutine runs in one of `threads`, with the turn's context variables, so that its
    database work does not hold up other conversations. Raises ImportError as the package does, and ValueError for two
    actions of one name.
    """
    rasa_runtime.prepare()
    from rasa_sdk import utils
    from rasa_sdk.executor import ActionExecutor
    from rasa_sdk.interfaces import Action

    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        importlib.import_module(module.name)
    pool = threads or ThreadPoolExecutor(ACTION_THREADS, thread_name_prefix="action")
    executor = ActionExecutor()
    for kind in utils.all_subclasses(Action):
        if not f"{kind.__module__}.".startswith(f"{package}.") or inspect.isabstract(kind):
            continue
        action = kind()
        if action.name() in executor.actions:
            raise ValueError(f"Two actions in {package} are called {action.name()}.")
        executor.register_function(
            action.name(), action.run if inspect.iscoroutinefunction(action.run) else _threaded(action.run, pool)
        )
    return executor


def _threaded(run: Callable[..., Any], pool: ThreadPoolExecutor) -> Callable[..., Any]:
    async def in_thread(dispatcher: Any, tracker: Any, domain: Any) -> Any:
        call = functools.partial(copy_context().run, run, dispatcher, tracker, domain)
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    return in_thread


class RasaEngine:
    """Rasa Open Source in this process, answering turns from snapshots. Make it once; it serves all conversations."""

    def __init__(self, model: Path, actions: ActionExecutor) -> None:
        """Load a trained model. Raises EngineError if there is none at `model` that can be read."""
        rasa_runtime.prepare()
        from bot.conversation.rasa_dialogue import TurnProcessor

        try:
            with warnings.catch_warnings():
                # About the project, and told when it was trained.
                warnings.simplefilter("ignore")
                self._processor = TurnProcessor(model, actions)
        except Exception as error:
            reason = rasa_runtime.explain(error)
            raise EngineError(f"The model {model.name} cannot be loaded: {reason}", model=str(model)) from error
        self._intents = frozenset(self._processor.domain.intents) - RESERVED_INTENTS
        self._interpreter = Interpreter(self._processor)

    async def parse(self, text: str, *, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a text means: `text`, `intent`, `intent_ranking`, `entities`. Changes nothing."""
        return await self._interpreter.understand(text, metadata or {})

    def foresee(self, texts: Sequence[str]) -> None:
        """Texts that will probably be parsed soon: the engine begins with them now if it has nothing else to do."""
        self._interpreter.foresee(texts)

    async def answer(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        """The answer to a turn; `state` is None for a conversation's first. Raises EngineError."""
        understood = await self._understood(turn)
        tracker = self._restore(turn.conversation_id, state)
        start = len(tracker.events)
        tracker.update(self._uttered(turn, understood))
        messages = await self._processor.finish_turn(tracker)
        return EngineResult(
            replies=tuple(_reply(message) for message in messages),
            state=self._snapshot(tracker),
            actions=_actions(tracker, start),
            intent=understood["intent"]["name"],
            confidence=understood["intent"]["confidence"],
        )

    async def _understood(self, turn: EngineTurn) -> dict[str, Any]:
        if turn.intent is None:
            parsed = await self.parse(turn.text, metadata=turn.metadata)
            if parsed["intent"]["name"] not in self._intents:
                parsed["intent"] = {**parsed["intent"], "name": FALLBACK_INTENT}
            return parsed
        if turn.intent not in self._intents:
            raise UnknownIntent(f"There is no intent {turn.intent}.", intent=turn.intent)
        return {
            "intent": {"name": turn.intent, "confidence": turn.confidence},
            "entities": [dict(entity) for entity in turn.entities],
            "intent_ranking": [],
        }

    @staticmethod
    def _uttered(turn: EngineTurn, understood: Mapping[str, Any]) -> Any:
        from rasa.shared.core.events import UserUttered

        metadata = dict(turn.metadata)
        return UserUttered(
            turn.text,
            understood["intent"],
            understood["entities"],
            {**understood, "text": turn.text, "metadata": metadata, "message_id": turn.message_id},
            message_id=turn.message_id,
            metadata=metadata,
        )

    def _restore(self, conversation_id: str, state: DialogueState | None) -> DialogueStateTracker:
        """A tracker that has just listened, with the snapshot's slots and loop (those that the domain still has)."""
        from rasa.shared.core.constants import ACTION_LISTEN_NAME
        from rasa.shared.core.events import ActionExecuted, ActionExecutionRejected, ActiveLoop, FollowupAction, SlotSet
        from rasa.shared.core.trackers import DialogueStateTracker

        domain = self._processor.domain
        tracker = DialogueStateTracker(conversation_id, domain.slots)
        if state is not None and state.data.get("version") == STATE_VERSION:
            # Listening before the snapshot too: rules with `conversation_start` are for the first turn only.
            tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
            for name, value in copy.deepcopy(dict(state.slots)).items():
                if name in tracker.slots:
                    tracker.update(SlotSet(name, value))
            loop = state.data["loop"]
            if loop and loop["name"] in domain.form_names:
                tracker.update(ActiveLoop(loop["name"]))
                if loop["rejected"]:
                    tracker.update(ActionExecutionRejected(loop["name"]))
        # Taking the customer's message back, as Rasa's fallback does, must lead to listening again.
        tracker.update(FollowupAction(ACTION_LISTEN_NAME))
        tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
        return tracker

    @staticmethod
    def _snapshot(tracker: DialogueStateTracker) -> DialogueState:
        slots = {name: slot.value for name, slot in tracker.slots.items() if slot.value != slot.initial_value}
        loop = tracker.active_loop
        data = {
            "version": STATE_VERSION,
            "slots": slots,
            "loop": {"name": loop.name, "rejected": loop.rejected} if loop else None,
        }
        try:
            written = json.dumps(data, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UnusableState(f"A slot's value cannot be stored: {error}.", slots=sorted(slots)) from error
        if len(written) > MAX_STATE_BYTES:
            raise UnusableState("The conversation's slots take too much room.", size=len(written))
        return DialogueState(json.loads(written))


def _reply(message: Mapping[str, Any]) -> EngineReply:
    return EngineReply(
        text=message.get("text") or "",
        buttons=tuple(message.get("buttons") or ()),
        attachment=message.get("attachment") or None,
        custom=message.get("custom") or None,
        response=message.get("utter_action"),
    )


def _actions(tracker: DialogueStateTracker, start: int) -> tuple[str, ...]:
    from rasa.shared.core.constants import ACTION_LISTEN_NAME
    from rasa.shared.core.events import ActionExecuted

    events = list(tracker.events)[start:]
    ran = (event.action_name for event in events if isinstance(event, ActionExecuted))
    return tuple(name for name in ran if name and name != ACTION_LISTEN_NAME)
