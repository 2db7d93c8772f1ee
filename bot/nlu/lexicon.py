"""English words that are spelled right: those of spaCy's vocabulary and of the sentence encoder's word pieces."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from bot.nlu import assets
from bot.nlu.entities import known_names

COMMON = 7_000


@dataclass(frozen=True)
class Lexicon:
    """`words` are right; `common` are those worth mending towards, with their rank by frequency."""

    words: frozenset[str]
    common: dict[str, int]


@lru_cache(maxsize=1)
def shared_lexicon() -> Lexicon:
    """The process's one lexicon, read from the verified model files at first use. Raises `AssetError`."""
    strings = json.loads((assets.verify(assets.SPACY).path / "vocab" / "strings.json").read_text(encoding="utf-8"))
    pieces = json.loads(assets.verify(assets.TOKENIZER).path.read_text(encoding="utf-8"))["model"]["vocab"]
    words = frozenset(word for word in (*strings, *pieces) if word.isalpha() and word.islower())
    # The word pieces are numbered by how often they occurred.
    common = {piece: rank for piece, rank in pieces.items() if rank < COMMON and piece.isalpha() and piece.isascii()}
    return Lexicon(words | known_names(), common)
