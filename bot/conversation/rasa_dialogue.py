"""Rasa's own dialogue loop, one turn at a time, without its stores, its web server and its swallowed errors.

Import it only after `rasa_runtime.prepare()`; `engine.py` and `training.py` do.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rasa.core.actions.action import Action, ActionExecutionRejection
from rasa.core.channels.channel import OutputChannel, UserMessage
from rasa.core.nlg.generator import NaturalLanguageGenerator, ResponseVariationFilter
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.core.processor import MessageProcessor
from rasa.engine import loader
from rasa.engine.constants import PLACEHOLDER_MESSAGE, PLACEHOLDER_TRACKER
from rasa.engine.graph import ExecutionContext, GraphNode, GraphNodeHook, GraphSchema
from rasa.engine.runner.interface import GraphRunner
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.storage import ModelMetadata, ModelStorage
from rasa.shared.core.constants import ACTION_VALIDATE_SLOT_MAPPINGS
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    BotUttered,
    DefinePrevUserUtteredFeaturization,
    Event,
    FollowupAction,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.common import TempDirectoryPath, get_temp_dir_name
from rasa.utils.endpoints import EndpointConfig
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection as RejectedByAction

from bot.conversation.engine import ActionFailed, EngineError, TurnTooLong, UnusableResponse
from bot.conversation.rasa_runtime import index_rules
from bot.nlu.components import IntentModel

Component = TypeVar("Component")
_MOST_SITUATIONS = 10_000


class SequentialGraphRunner(GraphRunner):
    """Runs a Rasa graph node by node, in an order found once: no scheduler, nothing rebuilt for a message."""

    def __init__(
        self,
        graph_schema: GraphSchema,
        model_storage: ModelStorage,
        execution_context: ExecutionContext,
        hooks: list[GraphNodeHook] | None = None,
    ) -> None:
        self._schema = graph_schema
        self._nodes = {
            name: GraphNode.from_schema_node(name, node, model_storage, execution_context, hooks)
            for name, node in graph_schema.nodes.items()
        }
        self._orders: dict[tuple[str, ...], list[str]] = {}

    @classmethod
    def create(
        cls,
        graph_schema: GraphSchema,
        model_storage: ModelStorage,
        execution_context: ExecutionContext,
        hooks: list[GraphNodeHook] | None = None,
    ) -> SequentialGraphRunner:
        """Rasa's way to make a runner."""
        return cls(graph_schema, model_storage, execution_context, hooks)

    def run(self, inputs: dict[str, Any] | None = None, targets: list[str] | None = None) -> dict[str, Any]:
        """What each target node gives for these inputs; a target that is an input gives itself."""
        wanted = tuple(targets or self._schema.target_names)
        results = {name: (name, value) for name, value in (inputs or {}).items()}
        for name in self._order(wanted):
            needed = self._schema.nodes[name].needs.values()
            results[name] = self._nodes[name](*(results.get(parent, parent) for parent in needed))
        return {name: results[name][1] for name in wanted}

    def components(self, kind: type[Component]) -> list[Component]:
        """The graph's loaded components of a class."""
        found = (node._component for node in self._nodes.values())
        return [component for component in found if isinstance(component, kind)]

    def _order(self, targets: tuple[str, ...]) -> list[str]:
        if targets not in self._orders:
            order: dict[str, None] = {}
            for target in targets:
                self._visit(target, order)
            self._orders[targets] = list(order)
        return self._orders[targets]

    def _visit(self, name: str, order: dict[str, None]) -> None:
        if name in order or name not in self._schema.nodes:
            return
        for parent in self._schema.nodes[name].needs.values():
            self._visit(parent, order)
        order[name] = None


class ProgressHook(GraphNodeHook):
    """Tells how far the training graph is: steps done, all steps, the name of the step that begins."""

    def __init__(self, schema: GraphSchema, progress: Callable[[int, int, str], None]) -> None:
        self._schema = schema
        self._progress = progress
        self._done = 0

    def on_before_node(
        self,
        node_name: str,
        execution_context: ExecutionContext,
        config: dict[str, Any],
        received_inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """A step begins."""
        self._progress(self._done, len(self._schema.nodes), self._schema.nodes[node_name].uses.__name__)
        return {}

    def on_after_node(
        self,
        node_name: str,
        execution_context: ExecutionContext,
        config: dict[str, Any],
        output: Any,
        input_hook_data: dict[str, Any],
    ) -> None:
        """A step is done."""
        self._done += 1

    def finish(self) -> None:
        """The graph is done."""
        self._progress(len(self._schema.nodes), len(self._schema.nodes), "")


class Responses(NaturalLanguageGenerator):
    """The domain's responses; which variation is said depends on the turn alone, so that a replay says the same."""

    _PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^\n{}]+?)\}")

    def __init__(self, responses: dict[str, list[dict[str, Any]]]) -> None:
        self._responses = responses
        self._filter = ResponseVariationFilter(responses)

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        """The chosen variation with its placeholders filled from slots and arguments.

        None for a response that the domain does not have. Raises UnusableResponse for a placeholder without a value.
        """
        if utter_action not in self._responses:
            return None
        slots = tracker.current_slot_values()
        variations = self._filter.responses_for_utter_action(utter_action, output_channel, slots)
        if not variations:
            return None
        message_id = tracker.latest_message.message_id if tracker.latest_message else None
        digest = hashlib.blake2b(f"{tracker.sender_id}/{message_id}/{utter_action}".encode(), digest_size=4).digest()
        chosen = variations[int.from_bytes(digest, "big") % len(variations)]
        return {
            key: self._fill(value, {**slots, **kwargs}, utter_action)
            for key, value in chosen.items()
            if key not in ("condition", "channel", "id")
        }

    def _fill(self, value: Any, variables: Mapping[str, Any], name: str) -> Any:
        if isinstance(value, str):
            return self._PLACEHOLDER.sub(lambda match: self._variable(match, variables, name), value)
        if isinstance(value, dict):
            return {key: self._fill(item, variables, name) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, variables, name) for item in value]
        return copy.copy(value)

    @staticmethod
    def _variable(match: re.Match[str], variables: Mapping[str, Any], name: str) -> str:
        if match[1] is None:
            return match[0][0]
        if variables.get(match[1]) is None:
            raise UnusableResponse(
                f"The response {name} needs a value for {match[1]}.", response=name, variable=match[1]
            )
        return str(variables[match[1]])


class CollectingChannel(OutputChannel):
    """Keeps what the bot says in a turn, in order, as Rasa's message dictionaries."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    @classmethod
    def name(cls) -> str:
        """The channel's name in the domain's `channel:` variations."""
        return "supportbot"

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        """Keep one message."""
        self.messages.append(message)


class InProcessActions(EndpointConfig):
    """Rasa's action endpoint with rasa-sdk's executor behind it, in this process."""

    def __init__(self, executor: ActionExecutor, domain: Mapping[str, Any]) -> None:
        # Rasa would otherwise copy the domain for every call; actions read it, so all share one.
        super().__init__(enable_selective_domain=True)
        self._executor = executor
        self._domain = domain

    async def request(self, *, json: dict[str, Any], **_: Any) -> Any:  # type: ignore[override]
        """Run one action. Raises ActionFailed with the action's own error as its cause."""
        name = json["next_action"]
        try:
            return await self._executor.run({**json, "domain": self._domain})
        except RejectedByAction as rejection:
            raise ActionExecutionRejection(rejection.action_name, rejection.message) from rejection
        except Exception as error:
            raise ActionFailed(f"The action {name} failed.", action=name) from error


class TurnProcessor(MessageProcessor):
    """Rasa's message processor for trackers that live for one turn; an error in it ends the turn and is raised."""

    def __init__(self, model_path: Path, executor: ActionExecutor) -> None:
        super().__init__(
            model_path,
            tracker_store=None,  # type: ignore[arg-type]  # the gateway keeps conversations, and locks them
            lock_store=None,  # type: ignore[arg-type]
            generator=None,  # type: ignore[arg-type]  # set below: it needs the loaded domain
            on_circuit_break=self._too_long,
        )
        self.nlg = Responses(self.domain.responses)
        for policy in self.graph_runner.components(RulePolicy):
            index_rules(policy)
        self.action_endpoint = InProcessActions(executor, self.domain.as_dict())
        self._fills_slots = _fills_slots(self.domain)
        self._has_featured_slots = any(slot.has_features() for slot in self.domain.slots)
        self._intent_models = self.graph_runner.components(IntentModel)
        self._predictions: dict[tuple[Any, ...], PolicyPrediction] = {}
        # Rasa's last node turns a typed `/intent{...}` into that intent; ours is the one before it.
        nodes = self.model_metadata.predict_schema.nodes
        self._nlu_target = (
            nodes[self.model_metadata.nlu_target].needs["messages"] if self.model_metadata.nlu_target else None
        )

    @staticmethod
    def _load_model(model_path: str | Path) -> tuple[str, ModelMetadata, GraphRunner]:
        with TempDirectoryPath(get_temp_dir_name()) as directory:
            metadata, runner = loader.load_predict_graph_runner(
                Path(directory), Path(model_path), LocalModelStorage, SequentialGraphRunner
            )
        return Path(model_path).name, metadata, runner

    def foresee(self, texts: Sequence[str]) -> None:
        """Do together what `understand` of each of these texts would need most of its time for."""
        for model in self._intent_models:
            model.foresee(texts)

    def understand(self, text: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Rasa's parse of a text; a leading `/` has no meaning."""
        empty = {"text": text, "intent": {"name": None, "confidence": 0.0}, "entities": [], "intent_ranking": []}
        if self._nlu_target is None:
            return empty
        message = UserMessage(metadata=dict(metadata))
        message.text = text  # as it is: given to the constructor it is stripped, and entities' places shift
        tracker = DialogueStateTracker(message.sender_id, self.domain.slots)
        inputs = {PLACEHOLDER_MESSAGE: [message], PLACEHOLDER_TRACKER: tracker}
        parsed = self.graph_runner.run(inputs=inputs, targets=[self._nlu_target])[self._nlu_target][0]
        return {**empty, **parsed.as_dict(only_output_properties=True), "text": text}

    async def finish_turn(self, tracker: DialogueStateTracker) -> list[dict[str, Any]]:
        """Fill slots, predict and run actions until the bot listens again; what it said, in order."""
        channel = CollectingChannel()
        await self.run_action_extract_slots(channel, tracker)
        await self._run_prediction_loop(channel, tracker)
        return channel.messages

    async def run_action_extract_slots(
        self, output_channel: OutputChannel, tracker: DialogueStateTracker
    ) -> DialogueStateTracker:
        """Rasa's, where the domain has slots that messages fill; ours are set by actions alone."""
        if not self._fills_slots:
            return tracker
        return await super().run_action_extract_slots(output_channel, tracker)

    def _predict_next_with_tracker(self, tracker: DialogueStateTracker) -> PolicyPrediction:
        """Rasa's, asked once for every situation: rules are pure, and a turn starts from the same few situations."""
        situation = None if self._has_featured_slots or tracker.followup_action else _situation(tracker)
        if situation is None:
            return super()._predict_next_with_tracker(tracker)
        prediction = self._predictions.get(situation)
        if prediction is None:
            prediction = super()._predict_next_with_tracker(tracker)
            if len(self._predictions) < _MOST_SITUATIONS:
                self._predictions[situation] = prediction
        return prediction

    async def _run_action(
        self,
        action: Action,
        tracker: DialogueStateTracker,
        output_channel: OutputChannel,
        nlg: NaturalLanguageGenerator,
        prediction: PolicyPrediction,
    ) -> bool:
        """Rasa's, except that an error is raised and not logged, and reminders are the lifecycle's."""
        name = action.name()
        attempt = tracker.copy()
        attempt.update_with_events(prediction.events, self.domain)
        try:
            events = await action.run(output_channel, nlg, attempt, self.domain)
        except ActionExecutionRejection:
            tracker.update(ActionExecutionRejected(name, prediction.policy_name, prediction.max_confidence))
            return self.should_predict_another_action(name)
        except EngineError:
            raise
        except Exception as error:
            raise ActionFailed(f"The action {name} failed.", action=name) from error
        self._log_action_on_tracker(tracker, action, events, prediction)
        if any(isinstance(event, UserUttered) for event in events):
            await self.run_action_extract_slots(output_channel, tracker)
        await self._send_bot_messages(events, tracker, output_channel)
        return self.should_predict_another_action(name)

    def _log_action_on_tracker(
        self,
        tracker: DialogueStateTracker,
        action: Action,
        events: list[Event],
        prediction: PolicyPrediction,
    ) -> None:
        """Rasa's, without the copies that it makes for its debug log."""
        if not any(isinstance(event, ActionExecutionRejected) for event in events):
            tracker.update_with_events(prediction.events, self.domain)
            tracker.update(action.event_for_successful_execution(prediction))
        tracker.update_with_events(events, self.domain)

    @staticmethod
    def _too_long(tracker: DialogueStateTracker, *_: Any) -> None:
        raise TurnTooLong("The dialogue did not come to an end of this turn.", last_action=tracker.latest_action_name)


def _fills_slots(domain: Domain) -> bool:
    """Whether anything in a domain is set by what a message says, before an action has run."""
    mappings = (mapping for slot in domain.slots for mapping in slot.mappings or ())
    return ACTION_VALIDATE_SLOT_MAPPINGS in domain.action_names_or_texts or any(
        mapping.get("type") != "custom" or "action" in mapping for mapping in mappings
    )


def _situation(tracker: DialogueStateTracker) -> tuple[Any, ...] | None:
    """What a rule can ask of a conversation, in order; None where something happened that is not plainly told so."""
    told: list[Any] = []
    for event in tracker.events:
        if isinstance(event, ActionExecuted):
            told.append(event.action_name)
        elif isinstance(event, UserUttered):
            named = sorted({str(entity.get("entity")) for entity in event.entities})
            told.append((event.intent_name, *named))
        elif not isinstance(event, (SlotSet, BotUttered, FollowupAction, DefinePrevUserUtteredFeaturization)):
            return None
    return tuple(told)
