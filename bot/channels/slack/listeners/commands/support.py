"""/support: says something from anywhere, and forgets whose account it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.channels.slack import words
from bot.channels.slack.formatting import plain
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import CHANNEL, Place, channel_user


async def support(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Hand what was written to the gateway; the answer comes directly."""
    place = Place(payload["team"], "", "", f"command-{payload['trigger']}")
    await kit.say(payload["user"], place, text=plain(payload["text"]))


async def unlink(kit: Kit, team: str, user: str) -> str:
    """Forget whose account it is; what to tell."""
    brand = kit.settings.brand_of(team)
    if brand is None:
        return words.NO_BRAND
    was = await kit.deps.arrivals.unlink(channel=CHANNEL, brand=brand, channel_user=channel_user(team, user))
    return words.UNLINKED if was else words.NOT_LINKED
