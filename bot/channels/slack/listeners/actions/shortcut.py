"""Somebody pressed a shortcut of the app's home: it says in words what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place


async def shortcut(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Say the wish; the answer comes in Messages."""
    place = Place(payload["team"], "", "", f"shortcut-{payload['user']}-{payload['ts']}")
    await kit.say(payload["user"], place, text=payload["value"])
