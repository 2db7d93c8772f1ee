"""The real trained model on messages written independently of its training data: floors on what it understands."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bot.conversation.engine import RasaEngine
from bot.nlu.classifier import OUT_OF_SCOPE, Verdict
from bot.settings import PROJECT

pytestmark = pytest.mark.conversation

MESSAGES = Path(__file__).parents[1] / "data" / "held_out.yml"
FAR, NEAR = "out_of_scope_far", "out_of_scope_near"
SMALL_TALK = frozenset(
    {
        "greet",
        "goodbye",
        "thank",
        "affirm",
        "deny",
        "bot_challenge",
        "ask_capabilities",
        "stop",
        "inform",
    }
)
CHANCE_WORDS = 6
"""Two people may write the same message of fewer words than this by chance."""


@dataclass(frozen=True)
class Reading:
    """What one message means, and what the model made of it. `group` is the key in the file."""

    group: str
    text: str
    intent: str
    confidence: float
    verdict: Verdict
    choices: tuple[str, ...]

    @property
    def in_scope(self) -> bool:
        return self.group not in (FAR, NEAR)

    @property
    def meant(self) -> str:
        return self.group if self.in_scope else OUT_OF_SCOPE

    @property
    def right(self) -> bool:
        """The intent is the one meant; for out of scope it is enough that nothing else was answered."""
        return self.intent == self.meant or (not self.in_scope and self.verdict is not Verdict.ANSWER)

    @property
    def misled(self) -> bool:
        """Answered as something else that the customer did not mean. Not understanding misleads nobody."""
        return not self.right and self.verdict is Verdict.ANSWER and self.intent != OUT_OF_SCOPE

    @property
    def helped(self) -> bool:
        """Answered rightly, or asked back with what was meant among the choices."""
        answered = self.verdict is Verdict.ANSWER and self.intent == self.meant
        return answered or (self.verdict is Verdict.ASK_BACK and self.meant in self.choices)

    def __str__(self) -> str:
        offered = f" {'/'.join(self.choices)}" if self.choices else ""
        return f"{self.group} -> {self.intent} {self.confidence:.2f} {self.verdict.value}{offered}: {self.text}"


def _messages() -> dict[str, list[str]]:
    messages: dict[str, list[str]] = yaml.safe_load(MESSAGES.read_text(encoding="utf-8"))
    return messages


@pytest.fixture(scope="module")
def readings(engine: RasaEngine) -> list[Reading]:
    """Every message of the file as the model reads it."""

    async def read(group: str, text: str) -> Reading:
        parsed = await engine.parse(text, metadata={})
        intent, understanding = parsed["intent"], parsed["understanding"]
        return Reading(
            group=group,
            text=text,
            intent=intent["name"],
            confidence=intent["confidence"],
            verdict=Verdict(understanding["verdict"]),
            choices=tuple(understanding["choices"]),
        )

    async def read_all() -> list[Reading]:
        return [await read(group, text) for group, texts in _messages().items() for text in texts]

    return asyncio.run(read_all())


def _of(readings: Iterable[Reading], *groups: str) -> list[Reading]:
    return [reading for reading in readings if reading.group in groups]


def _in_scope(readings: Iterable[Reading]) -> list[Reading]:
    return [reading for reading in readings if reading.in_scope]


def _share(good: Iterable[bool]) -> float:
    counted = list(good)
    return sum(counted) / len(counted)


def _wrong(readings: Iterable[Reading]) -> str:
    """The readings that are not right, most frequent confusions first, for a failure's message."""
    wrong = [reading for reading in readings if not reading.right]
    pairs = Counter((reading.meant, reading.intent) for reading in wrong)
    listed = sorted(wrong, key=lambda reading: (-pairs[reading.meant, reading.intent], reading.meant, reading.intent))
    return "\n".join(["", *(str(reading) for reading in listed)])


def test_every_trained_intent_is_measured() -> None:
    """An intent added to the training data without held-out messages fails here."""
    counts = {group: len(texts) for group, texts in _messages().items()}
    assert {group: count for group, count in counts.items() if count < 10} == {}
    assert (counts.pop(FAR), counts.pop(NEAR)) == (40, 40)
    assert set(_training_data()) - {OUT_OF_SCOPE} == set(counts)


def test_no_held_out_message_was_trained_on() -> None:
    """Held out means held out: a message long enough not to recur by chance is nowhere in the training data."""
    trained = {_plain(example) for examples in _training_data().values() for example in examples}
    held_out = [text for texts in _messages().values() for text in texts if len(text.split()) >= CHANCE_WORDS]
    assert [text for text in held_out if _plain(text) in trained] == []


def test_most_messages_in_scope_are_understood(readings: list[Reading]) -> None:
    asked = _in_scope(readings)
    assert _share(reading.intent == reading.meant for reading in asked) >= 0.90, _wrong(asked)


def test_most_messages_in_scope_are_answered_or_offered_as_a_choice(readings: list[Reading]) -> None:
    asked = _in_scope(readings)
    assert _share(reading.helped for reading in asked) >= 0.90, _wrong(asked)


def test_no_business_intent_is_left_behind(readings: list[Reading]) -> None:
    weak: dict[str, float] = {}
    for intent in sorted({reading.group for reading in _in_scope(readings)} - SMALL_TALK):
        recall = _share(reading.intent == intent for reading in _of(readings, intent))
        if recall < 0.6:
            weak[intent] = recall
    assert weak == {}, _wrong(_of(readings, *weak))


@pytest.mark.parametrize(("group", "floor"), [(FAR, 0.92), (NEAR, 0.90)])
def test_what_we_do_not_do_is_not_answered(readings: list[Reading], group: str, floor: float) -> None:
    asked = _of(readings, group)
    assert _share(reading.right for reading in asked) >= floor, _wrong(asked)


def test_few_customers_get_a_confident_wrong_answer(readings: list[Reading]) -> None:
    misled = [reading for reading in readings if reading.misled]
    assert len(misled) / len(readings) <= 0.06, _wrong(misled)


def _training_data() -> dict[str, list[str]]:
    """The examples of each intent that the model learns."""
    examples: dict[str, list[str]] = {}
    for file in sorted((PROJECT / "data" / "nlu").rglob("*.yml")):
        for group in yaml.safe_load(file.read_text(encoding="utf-8")).get("nlu", []):
            if "intent" in group:
                lines = group["examples"].splitlines()
                examples.setdefault(group["intent"], []).extend(line.removeprefix("- ") for line in lines)
    return examples


def _plain(text: str) -> str:
    """A message without Rasa's entity marks, punctuation and case."""
    unmarked = re.sub(r"\[([^\]]*)\](\{[^}]*\}|\([^)]*\))", r"\1", text)
    return " ".join(re.findall(r"\w+", unmarked.lower()))
