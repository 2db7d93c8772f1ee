"""Where actions find the conductor: Rasa makes them without arguments, so it is set once, by the composition root."""

from __future__ import annotations

from collections.abc import Callable

from bot.dialogue.conduct import Conductor

_conductor: Conductor | None = None


def set_conductor(conductor: Conductor | None) -> None:
    """Say which conductor the actions use from now on."""
    global _conductor
    _conductor = conductor


def conductor(build: Callable[[], Conductor]) -> Conductor:
    """The conductor that was set; `build` makes one where nobody has, as under stock `rasa run actions`."""
    global _conductor
    if _conductor is None:
        _conductor = build()
    return _conductor
