"""The pipeline's components for Rasa: thin shells around this package, named in config.yml by their module path.

Rasa looks at the names and annotations of the methods' parameters (`messages`, `training_data`), so these are fixed.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.constants import ENTITIES, INTENT, INTENT_RANKING_KEY, METADATA, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.nlu import assets
from bot.nlu.classifier import (
    OUT_OF_SCOPE,
    IntentClassifier,
    ModelError,
    Prediction,
    Verdict,
    default_configuration,
    judge,
    read_configuration,
)
from bot.nlu.encoder import shared_encoder
from bot.nlu.entities import MAX_CHARACTERS, find_entities
from bot.nlu.lexicon import shared_lexicon
from bot.nlu.parser import UNDERSTANDING

NOW, TIME_ZONE = "now", "time_zone"
_FORESEEN = 256  # messages whose intent is remembered: those that are understood just now
# Its named entities were tried for dates, amounts and names, and added wrong ones only: docs/understanding.md.
_UNUSED_PIPES = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer", "ner"]
# What spaCy splits at once: it takes seconds for a few thousand signs without a blank between them.
_PIECES = re.compile(r"(?:\s*\S{1,100}(?!\S))+|\s*\S{1,100}|\s+")


@lru_cache(maxsize=1)
def _spacy_pipeline() -> Any:
    """spaCy's tokenizer, nothing else; verified, then loaded by path. Raises `AssetError`."""
    import spacy

    return spacy.load(assets.verify(assets.SPACY).path, exclude=_UNUSED_PIPES)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class SpacyWords(Tokenizer):
    """Splits messages into spaCy's tokens, which Rasa's own tools and components ask for."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"intent_tokenization_flag": False, "intent_split_symbol": "_", "token_pattern": None}

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        text = message.get(attribute)[:MAX_CHARACTERS]
        return [
            Token(token.text, piece.start() + token.idx)
            for piece in _PIECES.finditer(text)
            for token in _spacy_pipeline().make_doc(piece[0])
            if not token.is_space
        ]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class EntityFinder(GraphComponent):
    """Finds and normalises entities.

    The message's metadata may carry `now` (ISO 8601) and `time_zone` (IANA), which "today" is read by; without them it
    is the present moment in UTC.
    """

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> EntityFinder:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            found = find_entities(message.get(TEXT) or "", _now(message.get(METADATA)))
            message.set(ENTITIES, [entity.as_dict() for entity in found], add_to_output=True)
        return messages


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class IntentModel(GraphComponent):
    """Names the intent with a calibrated confidence, and says under `understanding` what that confidence allows."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The options of `ClassifierOptions`, `NgramOptions` and `Thresholds`, flat."""
        return default_configuration()

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        classifier: IntentClassifier | None,
    ) -> None:
        self._options, self._thresholds = read_configuration(config)
        self._model_storage = model_storage
        self._resource = resource
        self._classifier = classifier
        self._foreseen: OrderedDict[str, Prediction] = OrderedDict()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> IntentModel:
        return cls(config, model_storage, resource, None)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> IntentModel:
        """Raises `ModelError` rather than serve an untrained, damaged or mismatched classifier."""
        try:
            with model_storage.read_from(resource) as folder:
                classifier = IntentClassifier.load(folder, encoder=shared_encoder(), lexicon=shared_lexicon())
        except ValueError as error:
            raise ModelError("The model holds no intent classifier: train again.") from error
        return cls(config, model_storage, resource, classifier)

    def train(self, training_data: TrainingData) -> Resource:
        examples = [message for message in training_data.intent_examples if message.get(TEXT) and message.get(INTENT)]
        self._classifier = IntentClassifier.fit(
            [message.get(TEXT) for message in examples],
            [message.get(INTENT) for message in examples],
            self._options,
            encoder=shared_encoder(),
            lexicon=shared_lexicon(),
        )
        with self._model_storage.write_to(self._resource) as folder:
            self._classifier.save(folder)
        return self._resource

    def foresee(self, texts: Sequence[str]) -> None:
        """Classify messages that `process` will get, together, which costs less than one after the other.

        Raises `ModelError` before training.
        """
        if self._classifier is None:
            raise ModelError("The intent classifier is not trained.")
        new = list(dict.fromkeys(text for text in texts if text.strip() and text not in self._foreseen))
        if new:
            self._foreseen.update(zip(new, self._classifier.predict_all(new), strict=True))

    def process(self, messages: list[Message]) -> list[Message]:
        self.foresee([message.get(TEXT) or "" for message in messages])
        for message in messages:
            text = message.get(TEXT) or ""
            if text.strip():
                judgement = judge(self._foreseen[text], self._thresholds)
                ranking, verdict, choices = judgement.ranking, judgement.verdict, judgement.choices
            else:
                ranking, verdict, choices = ((OUT_OF_SCOPE, 0.0),), Verdict.UNSURE, ()
            named = [{"name": name, "confidence": confidence} for name, confidence in ranking]
            message.set(INTENT, named[0], add_to_output=True)
            message.set(INTENT_RANKING_KEY, named[:10], add_to_output=True)
            message.set(UNDERSTANDING, {"verdict": verdict.value, "choices": list(choices)}, add_to_output=True)
        while len(self._foreseen) > _FORESEEN:
            self._foreseen.popitem(last=False)
        return messages


def _now(metadata: dict[str, Any] | None) -> datetime:
    metadata = metadata or {}
    try:
        zone = ZoneInfo(metadata.get(TIME_ZONE) or "UTC")
        now = (
            datetime.fromisoformat(str(metadata[NOW]).replace("Z", "+00:00"))
            if metadata.get(NOW)
            else datetime.now(timezone.utc)
        )
    except (ValueError, ZoneInfoNotFoundError):
        return datetime.now(timezone.utc)
    return now.astimezone(zone)
