"""Makes Rasa Open Source 3.6.21 fit for this process: quiet, quick to import, without TensorFlow.

Everything that replaces or patches a part of Rasa is in this file, each with its reason. `prepare()` must run before
Rasa is imported in our process; the stock commands (`rasa train`, `rasa shell`, `rasa run actions`) run in processes of
their own, never call it and are not touched by any of this.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rasa.core.policies.rule_policy import RulePolicy

RASA_VERSION = "3.6.21"

ENVIRONMENT: Mapping[str, str] = {
    # Rasa sends usage to Segment and errors to Sentry unless told not to.
    "RASA_TELEMETRY_ENABLED": "false",
    # SQLAlchemy 1.4 announces 2.0 on every start.
    "SILENCE_UBER_WARNING": "1",
}

# Rasa's extras for neural models and its own web server. Our process has neither; whatever asks for one learns at once
# that it is not there (thinc, below spaCy, probes for TensorFlow and would load all of it).
HIDDEN = ("tensorflow", "tensorflow_hub", "tensorflow_text", "keras")

# Imported by Rasa's core, used by commands that we do not run: each loads itself when something of it is first used.
DEFERRED: Mapping[str, str] = {
    "rasa.cli.utils": "the command line's questions and colours; imports questionary",
    "rasa.core.test": "`rasa test`; RulePolicy needs one helper of it, in training, for stories that leave a form",
    "rasa.telemetry": "off, always",
    "dask": "replaced by GraphRunner below, which needs no scheduler",
}

# Names that Rasa imports at module level from modules we cannot or need not load. Only their existence matters: they
# are bases of nothing we run, annotations, or compared with `issubclass`. Using one fails with a clear error.
STAND_INS: Mapping[str, tuple[str, ...]] = {
    "rasa.utils.tensorflow.callback": ("RasaTrainingLogger", "RasaModelCheckpoint"),
    "rasa.utils.tensorflow.data_generator": ("RasaBatchDataGenerator",),
    "rasa.utils.tensorflow.model_data": ("RasaModelData", "ragged_array_to_ndarray"),
    "rasa.utils.tensorflow.model_data_utils": ("get_tag_ids",),
    "rasa.nlu.classifiers.diet_classifier": ("DIETClassifier",),
    "rasa.nlu.selectors.response_selector": ("ResponseSelector",),
    "rasa.core.policies.ted_policy": ("TEDPolicy",),
    # Imports what `rasa test` needs, down to matplotlib; the check of a project's config names it.
    "rasa.nlu.extractors.crf_entity_extractor": ("CRFEntityExtractor", "CRFEntityExtractorOptions"),
    # Conversations are stored by the gateway; the real module imports boto3, botocore and pymongo.
    "rasa.core.tracker_store": ("TrackerStore", "FailSafeTrackerStore", "InMemoryTrackerStore"),
    # Rasa's HTTP server; `rasa.core.channels.channel` and `rasa.core.utils` import these for annotations.
    "sanic": ("Sanic", "Blueprint"),
    "sanic.request": ("Request",),
}

# What a `config.yml` may name without a module path. The real list imports every component that Rasa has.
COMPONENTS: Mapping[str, str] = {
    "RulePolicy": "rasa.core.policies.rule_policy",
    "MemoizationPolicy": "rasa.core.policies.memoization",
    "AugmentedMemoizationPolicy": "rasa.core.policies.memoization",
    "FallbackClassifier": "rasa.nlu.classifiers.fallback_classifier",
    "KeywordIntentClassifier": "rasa.nlu.classifiers.keyword_intent_classifier",
    "EntitySynonymMapper": "rasa.nlu.extractors.entity_synonyms",
    "RegexEntityExtractor": "rasa.nlu.extractors.regex_entity_extractor",
    "WhitespaceTokenizer": "rasa.nlu.tokenizers.whitespace_tokenizer",
}
COMPONENTS_MODULE = "rasa.engine.recipes.default_components"
CHANNELS_PACKAGE = "rasa.core.channels"
CHANNEL_NAMES = ("InputChannel", "OutputChannel", "UserMessage", "CollectingOutputChannel")


@functools.cache
def prepare() -> None:
    """Set up this process for Rasa; the second call does nothing.

    Raises RuntimeError if heavy parts of Rasa were imported before, or it is not the version this was written for.
    """
    if version("rasa") != RASA_VERSION:
        raise RuntimeError(f"Rasa {RASA_VERSION} is needed, and {version('rasa')} is installed.")
    ours = (*HIDDEN, *(name for name in STAND_INS if name.startswith("rasa.")), COMPONENTS_MODULE, CHANNELS_PACKAGE)
    if early := [name for name in ours if sys.modules.get(name)]:
        raise RuntimeError(f"{', '.join(early)}: imported before bot.conversation.rasa_runtime.prepare() was called.")
    os.environ.update(ENVIRONMENT)
    for name in HIDDEN:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # the documented way to make an import fail
    with warnings.catch_warnings():
        # Deprecations inside of other people's packages, which nobody here can act on.
        warnings.simplefilter("ignore")
        import spacy  # noqa: F401  # before any stand-in: it probes for what is installed

        for name in DEFERRED:
            if name not in sys.modules:
                _defer(name)
        for name, attributes in STAND_INS.items():
            if name not in sys.modules:
                _stand_in(name, attributes)
        _stand_in_components()
        _stand_in_channels()
        _import_what_we_use()
    _quiet_structured_logs()
    _copy_slots_quickly()
    _find_kinds_of_events_once()
    _compile_response_validation()


def explain(error: Exception) -> str:
    """What went wrong inside of Rasa's graph: its own errors say only in which node."""
    cause = error.__cause__
    if type(error).__name__ in ("GraphComponentException", "GraphRunError") and isinstance(cause, Exception):
        return explain(cause)
    return str(error).strip() or type(error).__name__


def _import_what_we_use() -> None:
    for name in (
        "rasa.core.processor",
        "rasa.core.actions.forms",
        "rasa.engine.recipes.default_recipe",
        "rasa_sdk.executor",
    ):
        importlib.import_module(name)


class _Deferred(types.ModuleType):
    """A module that is imported when something of it is first used."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(importlib.import_module(self.__name__), attribute)


def _defer(name: str) -> None:
    _register(_Deferred(name, "Imported when first used."))


class _StandIn(types.ModuleType):
    """Has the names that Rasa imports, and nothing behind them."""


def _stand_in(name: str, attributes: tuple[str, ...]) -> None:
    module = _StandIn(name, "Not available in this process.")
    for attribute in attributes:
        setattr(module, attribute, type(attribute, (), {"__module__": name, "__init__": _not_available}))
    _register(module)


def _not_available(self: object, *_: object, **__: object) -> None:
    raise RuntimeError(f"{type(self).__module__}.{type(self).__name__} is not available in this process.")


class _Components(types.ModuleType):
    @functools.cached_property
    def DEFAULT_COMPONENTS(self) -> list[type]:
        return [getattr(importlib.import_module(module), name) for name, module in COMPONENTS.items()]


def _stand_in_components() -> None:
    _register(_Components(COMPONENTS_MODULE, "The components that this process can run."))


def _stand_in_channels() -> None:
    """Rasa's channels package without its fifteen channels, which load as many client libraries."""
    import rasa.core

    package = types.ModuleType(CHANNELS_PACKAGE, "Rasa's channel interface.")
    package.__path__ = [os.path.join(path, "channels") for path in rasa.core.__path__]
    _register(package)
    channel = importlib.import_module(f"{CHANNELS_PACKAGE}.channel")
    for name in CHANNEL_NAMES:
        setattr(package, name, getattr(channel, name))


def _register(module: types.ModuleType) -> None:
    parent, _, child = module.__name__.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), child, module)
    sys.modules[module.__name__] = module


# Modules on a turn's way that log what customers write through structlog, which prints until it is configured.
TALKATIVE = (
    "rasa.core.processor",
    "rasa.core.http_interpreter",
    "rasa.core.actions.forms",
    "rasa.core.nlg.interpolator",
    "rasa.core.policies.memoization",
    "rasa.core.policies.rule_policy",
    "rasa.shared.core.events",
    "rasa.shared.core.training_data.story_reader.yaml_story_reader",
    "rasa.utils.endpoints",
)


class _WithoutContent:
    """In place of a structlog logger: the event's name to `logging` from warnings upwards, and never its content."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **_: object) -> None:
        """Nothing."""

    info = debug

    def warning(self, event: str, **_: object) -> None:
        """The event's name."""
        self._logger.warning(event)

    def error(self, event: str, **_: object) -> None:
        """The event's name."""
        self._logger.error(event)

    exception = error


def _quiet_structured_logs() -> None:
    for name in TALKATIVE:
        _replace(importlib.import_module(name), "structlogger", _WithoutContent(name))


def _copy_slots_quickly() -> None:
    """Slots are copied for every tracker, and a turn makes a dozen; `copy.copy` takes its slowest way for them."""
    from rasa.shared.core.slots import Slot

    def copied(self: Slot) -> Slot:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    if "__copy__" in vars(Slot):
        raise RuntimeError("Rasa's slots know how to copy themselves now.")
    Slot.__copy__ = copied  # type: ignore[attr-defined]


def _find_kinds_of_events_once() -> None:
    """Rasa walks through all subclasses of its events for every event that an action returns."""
    from rasa.shared.core.events import Event

    resolve, kinds = Event.resolve_by_type, {}

    def resolve_by_type(type_name: str, default: type[Event] | None = None) -> type[Event] | None:
        kind = kinds.get(type_name) or resolve(type_name, default)
        if kind is not default and kind is not None:
            kinds[type_name] = kind
        return kind

    _replace(Event, "resolve_by_type", staticmethod(resolve_by_type))


def _compile_response_validation() -> None:
    """Check what an action returned with validators made once, and each event against the schema of its own kind.

    `jsonschema.validate` first checks the schema itself, on every action of every turn (38 of 46 ms), and then tries
    each event against the schemas of all twenty-three kinds, of which the `event` key allows one.
    """
    from jsonschema import Draft7Validator
    from rasa.core.actions.action import RemoteAction
    from rasa.shared.utils.schemas.events import EVENT_SCHEMA

    whole = Draft7Validator(RemoteAction.action_response_format_spec())
    common = {key: value for key, value in EVENT_SCHEMA.items() if key != "oneOf"}
    kinds = {
        kind["properties"]["event"]["const"]: Draft7Validator({"allOf": [common, kind]})
        for kind in EVENT_SCHEMA["oneOf"]
    }

    plain_slot = {
        "event",
        "timestamp",
        "name",
        "value",
    }  # as rasa-sdk's SlotSet makes it, and hardly anything else comes

    def is_event(event: Any) -> bool:
        if isinstance(event, dict) and event.keys() == plain_slot and event["event"] == "slot":
            return isinstance(event["name"], str) and event["timestamp"] is None  # any value will do
        kind = kinds.get(event.get("event")) if isinstance(event, dict) else None
        return kind is not None and kind.is_valid(event)

    def validate(self: RemoteAction, result: dict[str, Any]) -> bool:
        events, responses = result.get("events"), result.get("responses")
        valid = isinstance(events, list) and all(map(is_event, events))
        valid = valid and isinstance(responses, list) and all(isinstance(response, dict) for response in responses)
        if not valid:
            whole.validate(result)
        return True

    _replace(RemoteAction, "_validate_action_result", validate)


def index_rules(policy: RulePolicy) -> None:
    """Let a trained rule policy look only at the rules that can match; what it predicts stays the same.

    Rasa holds the conversation against every rule, twice a prediction (once as if rules could ask for a text). Where
    two rules fit equally well, Rasa takes whichever comes first in a set of strings, another one in every process;
    here it is the first in alphabetical order.
    """
    for name in ("_get_possible_keys", "_find_action_from_rules"):
        if not hasattr(policy, name):
            raise RuntimeError(f"Rasa's RulePolicy has no {name} to replace any more.")
    indexes = {id(lookup): _RuleIndex(policy, lookup) for lookup in policy.lookup.values() if isinstance(lookup, dict)}
    rules_need_intent = indexes[id(policy.lookup["rules"])].needs_intent
    find_action = policy._find_action_from_rules

    def find_action_from_rules(tracker: Any, domain: Any, use_text_for_last_user_input: bool) -> tuple[Any, Any, bool]:
        if use_text_for_last_user_input and rules_need_intent:
            return None, None, False
        return find_action(tracker, domain, use_text_for_last_user_input)

    policy._get_possible_keys = lambda lookup, states: indexes[id(lookup)].possible_keys(states)  # type: ignore[method-assign]
    policy._find_action_from_rules = find_action_from_rules  # type: ignore[method-assign]


class _RuleIndex:
    """A rule policy's lookup by what its last state asks of the action before and of the customer's intent."""

    def __init__(self, policy: RulePolicy, lookup: Mapping[str, Any]) -> None:
        self._is_applicable = policy._is_rule_applicable
        self._lookup = lookup  # kept, so that its id stays its own
        self._keys: dict[tuple[str | None, str | None], list[str]] = {}
        for key in sorted(lookup):
            last = policy._rule_key_to_state(key)[-1]
            self._keys.setdefault(
                (_asked(last, "prev_action", "action_name"), _asked(last, "user", "intent")), []
            ).append(key)

    @property
    def needs_intent(self) -> bool:
        """Whether after a customer's message no rule can match that does not ask for its intent."""
        return not any(intent is None and action in (None, "action_listen") for action, intent in self._keys)

    def possible_keys(self, states: Sequence[Mapping[str, Any]]) -> list[str]:
        """The rules that fit the conversation's states, in order."""
        action, intent = _asked(states[-1], "prev_action", "action_name"), _asked(states[-1], "user", "intent")
        wanted = dict.fromkeys(((action, intent), (action, None), (None, intent), (None, None)))
        return sorted(
            key
            for bucket in wanted
            for key in self._keys.get(bucket, ())
            if all(self._is_applicable(key, turn, state) for turn, state in enumerate(reversed(states)))
        )


def _asked(state: Mapping[str, Any], part: str, name: str) -> str | None:
    value = state.get(part, {}).get(name)
    return value if value and value != "should_not_be_set" else None


def _replace(owner: type | types.ModuleType, name: str, replacement: object) -> None:
    if name not in vars(owner):
        raise RuntimeError(f"Rasa's {owner.__name__} has no {name} to replace any more.")
    setattr(owner, name, replacement)
