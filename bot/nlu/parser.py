"""What the model understood of one message, as a value and as the JSON object that `supportbot parse` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNDERSTANDING = "understanding"


@dataclass(frozen=True)
class Understanding:
    """One message understood. `ranking` falls by confidence and starts with the intent.

    `verdict` is "answer", "ask_back" (with two or three `choices`) or "unsure".
    """

    text: str
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...]
    entities: tuple[Mapping[str, Any], ...]
    verdict: str
    choices: tuple[str, ...]

    @classmethod
    def from_parse(cls, parsed: Mapping[str, Any]) -> Understanding:
        """Read the result of Rasa's `agent.parse_message`."""
        understanding = parsed[UNDERSTANDING]
        return cls(
            text=parsed["text"],
            intent=parsed["intent"]["name"],
            confidence=parsed["intent"]["confidence"],
            ranking=tuple((one["name"], one["confidence"]) for one in parsed["intent_ranking"]),
            entities=tuple(parsed["entities"]),
            verdict=understanding["verdict"],
            choices=tuple(understanding["choices"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Keys in a fixed order; confidences with four decimals."""
        return {
            "text": self.text,
            "intent": self.intent,
            "confidence": round(self.confidence, 4),
            "ranking": [{"name": name, "confidence": round(confidence, 4)} for name, confidence in self.ranking],
            "entities": [dict(entity) for entity in self.entities],
            UNDERSTANDING: {"verdict": self.verdict, "choices": list(self.choices)},
        }
