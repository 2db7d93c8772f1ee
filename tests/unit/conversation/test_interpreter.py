"""One message at a time to the pipeline; what waits meanwhile is prepared together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.conversation.interpreter import MOST_AT_ONCE, Interpreter


@dataclass
class Slow:
    """A pipeline that stops at "slow" until it may go on, and breaks at "broken"."""

    entered: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    foreseen: list[list[str]] = field(default_factory=list)
    understood: list[str] = field(default_factory=list)
    foresight: bool = True

    def foresee(self, texts: Sequence[str]) -> None:
        """Remembers what it was asked."""
        self.foreseen.append(list(texts))
        if not self.foresight:
            raise RuntimeError("no foresight")

    def understand(self, text: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The text, upper case."""
        self.understood.append(text)
        if text == "slow":
            self.entered.set()
            assert self.go_on.wait(30)
        if text == "broken":
            raise ValueError("it broke")
        return {"text": text.upper(), **metadata}


async def held(pipeline: Slow, interpreter: Interpreter) -> asyncio.Task[Any]:
    """A message that keeps the interpreter busy until `pipeline.go_on`."""
    task = asyncio.create_task(interpreter.understand("slow", {}))
    assert await asyncio.to_thread(pipeline.entered.wait, 30)
    return task


async def test_what_waits_is_prepared_together_and_each_gets_its_own_answer() -> None:
    pipeline = Slow()
    interpreter = Interpreter(pipeline)
    first = await held(pipeline, interpreter)
    texts = [f"m{i}" for i in range(MOST_AT_ONCE + 3)]
    waiting = [asyncio.create_task(interpreter.understand(text, {"brand": text})) for text in texts]
    await asyncio.sleep(0)
    pipeline.go_on.set()
    assert await asyncio.gather(*waiting) == [{"text": text.upper(), "brand": text} for text in texts]
    assert (await first)["text"] == "SLOW"
    assert pipeline.foreseen == [texts[:MOST_AT_ONCE], texts[MOST_AT_ONCE:]]


async def test_one_that_breaks_does_not_break_the_others() -> None:
    pipeline = Slow()
    interpreter = Interpreter(pipeline)
    await held(pipeline, interpreter)
    waiting = [asyncio.create_task(interpreter.understand(text, {})) for text in ("a", "broken", "b")]
    await asyncio.sleep(0)
    pipeline.go_on.set()
    a, broken, b = await asyncio.gather(*waiting, return_exceptions=True)
    assert (a, b) == ({"text": "A"}, {"text": "B"})
    assert isinstance(broken, ValueError)


async def test_without_foresight_each_is_understood_by_itself() -> None:
    pipeline = Slow(foresight=False)
    interpreter = Interpreter(pipeline)
    await held(pipeline, interpreter)
    waiting = [asyncio.create_task(interpreter.understand(text, {})) for text in ("a", "b")]
    await asyncio.sleep(0)
    pipeline.go_on.set()
    assert await asyncio.gather(*waiting) == [{"text": "A"}, {"text": "B"}]


async def test_whoever_gave_up_waiting_is_not_worked_for() -> None:
    pipeline = Slow()
    interpreter = Interpreter(pipeline)
    await held(pipeline, interpreter)
    leaving = asyncio.create_task(interpreter.understand("too late", {}))
    staying = asyncio.create_task(interpreter.understand("in time", {}))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    pipeline.go_on.set()
    assert await staying == {"text": "IN TIME"}
    assert pipeline.understood == ["slow", "in time"]


async def test_it_begins_early_only_when_nobody_has_to_wait_for_it() -> None:
    pipeline = Slow()
    interpreter = Interpreter(pipeline)
    interpreter.foresee(["soon", "its clause"])
    assert await interpreter.understand("soon", {}) == {"text": "SOON"}
    assert pipeline.foreseen == [["soon", "its clause"]]
    task = await held(pipeline, interpreter)
    interpreter.foresee(["no time for this"])
    pipeline.go_on.set()
    await task
    assert await interpreter.understand("next", {}) == {"text": "NEXT"}
    assert pipeline.foreseen == [["soon", "its clause"]]
