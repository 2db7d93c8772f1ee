"""Customers who type and press anything, from a seed: the messages of the ten-thousand test."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

SIGNED_IN = (
    None,
    "ava@jolt.example",
    "ben@jolt.example",
    "cara@jolt.example",
    "dan@jolt.example",
    "eve@jolt.example",
    "finn@jolt.example",
    "gia@jolt.example",
)
_THINGS = (
    "INV-2005", "INV-1001", "INV-9999", "inv 2005", "SUB-1001", "TCK-000001", "RFD-000001", "CAN-000001", "RCP-000001",
    "+1 415 555 0101", "415-555-0107", "0107", "the one ending 0105", "all of them", "the second one", "both",
    "neither", "ava@jolt.example", "ben@jolt.example", "nobody@nowhere.example", "not-an@address", "a@b@c", "123456",
    "000000", "12 345 6", "yes", "no", "ok", "nope", "y", "n", "skip", "never mind", "stop", "start over",
    "human", "cancel",
    "refund", "undo that", "$15", "USD 15.00", "-3", "999999999999999999999", "1e309", "yesterday", "30 February",
    "tomorrow at noon", "2026-13-45", "last week", "since monday", "it is 14:30", "WhatsApp", "Telegram",
)  # fmt: skip
_COMMANDS = (
    "/restart", "/cancel_subscription", '/inform{"phone_number": "+14155550101"}', "/session_start", "/back", "/",
    "EXTERNAL: reload", "{{7*7}}", "{name}", "${jndi:ldap://x}", "%s%s%n", "'; DROP TABLE charges; --", "<b>x</b>",
    "[link](javascript:alert(1))", "../../etc/passwd", "null", "undefined", "NaN", "true", "__class__", "\\u0000",
)  # fmt: skip
_EMOJI = "😀🙏🏽👩‍👩‍👧🇺🇦❤️‍🔥🤷🏿‍♂️💳📱😡✅❌1️⃣"
_SCRIPTS = (
    (0x0621, 0x064A), (0x05D0, 0x05EA), (0x0410, 0x044F), (0x4E00, 0x4F00), (0x0900, 0x0950), (0x3041, 0x3096),
    (0xAC00, 0xAD00), (0x0E01, 0x0E30), (0x1F300, 0x1F5FF), (0x0300, 0x036F), (0x200B, 0x200F), (0xE000, 0xE0FF),
)  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """Something typed; `sendable` says whether it must be taken."""

    text: str
    sendable: bool = True


@cache
def examples(folder: Path) -> tuple[str, ...]:
    """Every example of the training data, without its annotations."""
    found: list[str] = []
    for file in sorted(folder.glob("*.yml")):
        for topic in yaml.safe_load(file.read_text())["nlu"]:
            found += [line.lstrip("- ").strip() for line in topic.get("examples", "").splitlines()]
    plain = (re.sub(r"\[([^\]]+)\](\([^)]*\)|\{[^}]*\})", r"\1", line) for line in found)
    return tuple(line for line in plain if line)


def texts(seed: int, said: Sequence[str], count: int) -> list[Typed]:
    """That many different messages to choose from: customers' sentences, pieces of them, ids, noise."""
    chance = random.Random(f"texts {seed}")
    words = sorted({word for line in said for word in line.split()})
    kinds: list[tuple[int, Callable[[random.Random], Typed]]] = [
        (34, lambda r: Typed(r.choice(said))),
        (10, lambda r: Typed(_fragment(r, r.choice(said)))),
        (6, lambda r: Typed(f"{r.choice(said)} and {r.choice(said)}")),
        (6, lambda r: Typed(_misspelled(r, r.choice(said)))),
        (8, lambda r: Typed(" ".join(r.choices(words, k=r.randint(1, 25))))),
        (18, lambda r: Typed(r.choice(_THINGS))),
        (5, lambda r: Typed(r.choice(_COMMANDS))),
        (3, lambda r: Typed("👍" + "".join(r.choices(_EMOJI, k=r.randint(0, 12))))),
        (4, _noise),
        (2, lambda r: Typed(f"{r.choice(said)}\x00\x1b[2J\x07\r\n{chr(r.randint(0xD800, 0xDFFF))}")),
        (1, lambda r: Typed(((r.choice(said) + " ") * 40)[:4000])),
        (1, lambda r: Typed("".join(r.choices("ab 😀\n", k=r.randint(3000, 3999))) + "x")),
        (1, lambda r: Typed("y" * r.randint(4001, 10_000), sendable=False)),
        (1, lambda r: Typed(r.choice(["", " ", "\n\t", "\x00", "\u200b\u200d", "\ufeff"]), sendable=False)),
    ]
    weights, makers = zip(*kinds, strict=True)
    return [make(chance) for make in chance.choices(makers, weights, k=count)]


def _fragment(chance: random.Random, line: str) -> str:
    words = line.split()
    start = chance.randrange(len(words))
    return " ".join(words[start : start + chance.randint(1, 4)])


def _misspelled(chance: random.Random, line: str) -> str:
    letters = list(line)
    for _ in range(chance.randint(1, 1 + len(letters) // 8)):
        letters[chance.randrange(len(letters))] = chance.choice("abcdefghijklmnopqrstuvwxyz  ")
    return "x" + "".join(letters)


def _noise(chance: random.Random) -> Typed:
    low, high = chance.choice(_SCRIPTS)
    return Typed("x" + "".join(chr(chance.randint(low, high)) for _ in range(chance.randint(1, 60))))
