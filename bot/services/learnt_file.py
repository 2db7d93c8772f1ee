"""What was learnt from reviews, as a file of training data: lines added to `reviewed.yml`, for a person to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bot.errors import InvalidInput
from bot.services.review import Learnt

FILE = "reviewed.yml"
_HEAD = """version: "3.1"

# From messages that people at the desk reviewed, without personal data (supportbot nlu export).
nlu:
"""


@dataclass(frozen=True)
class Added:
    """Examples that are new, and how many were in the training data already."""

    new: tuple[tuple[str, str], ...]  # intent, text
    known: int


def sort_out(folder: Path, learnt: Sequence[Learnt]) -> Added:
    """Which of the learnt messages no file of the folder has yet, each wording once. Raises InvalidInput."""
    seen = {_plain(text) for _, text in examples(folder)}
    new: list[tuple[str, str]] = []
    known = 0
    for each in learnt:
        if _plain(each.text) in seen:
            known += 1
            continue
        seen.add(_plain(each.text))
        new.append((each.intent, each.text))
    return Added(tuple(new), known)


def write(folder: Path, new: Iterable[tuple[str, str]]) -> Path:
    """Add examples to the folder's file of reviewed ones, by intent; what it has already stays."""
    file = folder / FILE
    by_intent: dict[str, list[str]] = {}
    for intent, text in [*(_read(file) if file.is_file() else []), *new]:
        by_intent.setdefault(intent, []).append(text)
    lines = [_HEAD]
    for intent in sorted(by_intent):
        lines.append(f"  - intent: {intent}\n    examples: |\n")
        lines += [f"      - {_one_line(text)}\n" for text in dict.fromkeys(by_intent[intent])]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def examples(folder: Path) -> list[tuple[str, str]]:
    """All examples of a folder of training data, as intent and text. Raises InvalidInput for a file that has none."""
    return [example for file in sorted(folder.rglob("*.yml")) for example in _read(file)]


def _read(file: Path) -> list[tuple[str, str]]:
    try:
        topics = yaml.safe_load(file.read_text(encoding="utf-8"))["nlu"]
        return [
            (topic["intent"], line.removeprefix("- ").strip())
            for topic in topics
            if "intent" in topic
            for line in topic["examples"].splitlines()
            if line.strip()
        ]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{file} is no file of training data.", file=str(file)) from error


def _one_line(text: str) -> str:
    """On one line, and without the brackets by which Rasa marks entities."""
    return " ".join(text.replace("[", "(").replace("]", ")").replace("{", "(").replace("}", ")").split())


def _plain(text: str) -> str:
    return " ".join(_one_line(text).lower().split())
