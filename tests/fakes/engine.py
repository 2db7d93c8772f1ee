"""An engine that answers from a script, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bot.conversation.engine import DialogueState, EngineReply, EngineResult, EngineTurn

Script = Callable[[EngineTurn, DialogueState | None], Awaitable[EngineResult]]


async def echo(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
    """Says what was said, and counts turns in the state."""
    return said(f"You said: {turn.text}", turns=turns_of(state) + 1)


def said(*texts: str, buttons: tuple[Mapping[str, Any], ...] = (), turns: int = 1) -> EngineResult:
    """A result with these replies, the buttons on the last, and a state that says how many turns there were."""
    replies = [EngineReply(text=text) for text in texts]
    if buttons:
        replies[-1] = EngineReply(text=texts[-1], buttons=buttons)
    state = DialogueState({"version": 1, "slots": {"turns": turns}, "loop": None})
    return EngineResult(replies=tuple(replies), state=state, actions=(), intent="inform", confidence=1.0)


def turns_of(state: DialogueState | None) -> int:
    """How many turns the state says there were."""
    return int(state.slots.get("turns", 0)) if state else 0


class ScriptedEngine:
    """Implements `bot.conversation.engine.DialogueEngine`; `script` may be replaced at any time."""

    def __init__(self, script: Script = echo) -> None:
        self.script = script
        self.asked: list[EngineTurn] = []
        self.foreseen: list[list[str]] = []

    async def parse(self, text: str, *, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Takes every text for information."""
        return {"text": text, "intent": {"name": "inform", "confidence": 1.0}, "entities": [], "intent_ranking": []}

    def foresee(self, texts: Sequence[str]) -> None:
        """Remembers it."""
        self.foreseen.append(list(texts))

    async def answer(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        """Whatever the script says."""
        self.asked.append(turn)
        return await self.script(turn, state)
