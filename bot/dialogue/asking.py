"""What the bot is waiting for: the question that is open, its choices, and the answer that came."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_ROOM = 2000  # bytes of JSON: what a customer wrote is kept whole with the conversation, so a snapshot may cut it


class Expect(str, Enum):
    """Kinds of answers that a question takes."""

    CHOICE = "choice"
    YES_NO = "yes_no"
    EMAIL = "email"
    CODE = "code"
    TEXT = "text"
    INVOICE = "invoice"
    FILES = "files"


@dataclass(frozen=True)
class Choice:
    """One thing to choose, or several at once, with commas between them in `value`.

    `words` are further ways to name it; digits in them match by their endings. `intents` mean this choice when they are
    said here: "undo it" means "keep it" before anything was cancelled.
    """

    value: str
    title: str
    words: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """What is chosen with it."""
        return tuple(self.value.split(","))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**vars(self), "words": list(self.words), "intents": list(self.intents)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Choice:
        """Read back what `to_json` made."""
        return cls(values["value"], values["title"], tuple(values["words"]), tuple(values["intents"]))


@dataclass(frozen=True)
class Asking:
    """An open question. `many`: several choices may be named at once."""

    step: str
    expects: tuple[Expect, ...]
    choices: tuple[Choice, ...] = ()
    many: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for the dialogue's snapshot."""
        return {
            "step": self.step,
            "expects": [expect.value for expect in self.expects],
            "choices": [choice.to_json() for choice in self.choices],
            "many": self.many,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Asking:
        """Read back what `to_json` made."""
        return cls(
            step=values["step"],
            expects=tuple(Expect(value) for value in values["expects"]),
            choices=tuple(Choice.from_json(choice) for choice in values["choices"]),
            many=values["many"],
        )


class Via(str, Enum):
    """How an answer came."""

    BUTTON = "button"
    CHOICE = "choice"
    YES = "yes"
    NO = "no"
    EMAIL = "email"
    CODE = "code"
    TEXT = "text"
    INVOICE = "invoice"
    FILES = "files"
    FORWARD = "forward"  # the flow's own wish said again: go on


@dataclass(frozen=True)
class Answer:
    """What the customer answered to the question of that step; `values` are choice values or the one text."""

    step: str
    via: Via
    values: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """The only or first value; empty if there is none."""
        return self.values[0] if self.values else ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a message's metadata."""
        return {"step": self.step, "via": self.via.value, "values": list(self.values)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Answer:
        """Read back what `to_json` made."""
        return cls(step=values["step"], via=Via(values["via"]), values=tuple(values["values"]))


@dataclass
class FlowState:
    """A flow under way: which, since which message, what it has learned, and the question that is open."""

    name: str
    id: str
    data: dict[str, Any] = field(default_factory=dict)
    email: str | None = None  # the address a code was sent to, while the customer proves who they are
    asking: Asking | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for the dialogue's snapshot."""
        return {**vars(self), "asking": self.asking.to_json() if self.asking else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FlowState:
        """Read back what `to_json` made."""
        return cls(**{**values, "asking": Asking.from_json(values["asking"]) if values["asking"] else None})


def flows_from_slots(slots: Mapping[str, Any]) -> list[FlowState]:
    """The flows under way, the one in front last, from the dialogue's slots."""
    stored: Sequence[Mapping[str, Any]] = slots.get("flows") or ()
    return [FlowState.from_json(values) for values in stored]


def kept(text: str) -> str:
    """As much of a customer's text as a flow may keep in the dialogue's snapshot."""
    while (size := len(json.dumps(text))) > _ROOM:
        text = text[: len(text) * _ROOM // size - 1]
    return text


def is_email(text: str) -> bool:
    """Whether a text has the shape of an e-mail address that somebody can be written to."""
    return _EMAIL.fullmatch(text) is not None
