"""Somebody wrote to the app directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.channels.slack.formatting import plain
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place


async def message(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Hand it to the gateway."""
    place = Place(payload["team"], payload["room"], payload["thread"], payload["ts"])
    await kit.say(payload["user"], place, text=plain(payload["text"]), files=payload["files"])
