"""Somebody edited or deleted what they had written: noted, for what was answered stays answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bot.channels.slack.formatting import plain
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import CHANNEL, Place


async def message_changed(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Have it put down beside the message, if that is one of ours."""
    place = Place(payload["team"], payload["room"], payload["thread"], payload["ts"])
    at = datetime.fromtimestamp(payload["at"], timezone.utc)
    await kit.deps.gateway.changed(CHANNEL, str(place), kind=payload["kind"], text=plain(payload["text"]), at=at)
