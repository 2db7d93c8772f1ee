"""The bot's words outside a turn: the responses of domain.yml with their values filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

_DOMAIN = Path(__file__).parents[2] / "domain.yml"


@dataclass(frozen=True)
class Phrases:
    """Responses by name; of variations the first, so that the same event is always told alike."""

    texts: Mapping[str, str]

    def say(self, response: str, **values: object) -> str:
        """A response with its placeholders filled."""
        return self.texts[response].format(**values)


@lru_cache(maxsize=4)
def load_phrases(domain: Path = _DOMAIN) -> Phrases:
    """Read the responses of a domain file."""
    responses = yaml.load(domain.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["responses"]
    return Phrases({name: variations[0]["text"] for name, variations in responses.items()})
