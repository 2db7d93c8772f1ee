"""Somebody mentioned the app in a channel: the answer goes to a thread there, or directly if it is about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.channels.slack import words
from bot.channels.slack.formatting import plain
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place


async def app_mention(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Hand it to the gateway as part of the one conversation with this person."""
    installation = await kit.installation(payload["team"])
    text = plain(payload["text"], bot=installation.bot_user if installation else "")
    thread = payload["thread"] or payload["ts"]
    place = Place(payload["team"], payload["room"], thread, payload["ts"])
    if not text and not payload["files"]:
        await kit.tell(payload["user"], place, words.USAGE)
        return
    await kit.say(payload["user"], place, text=text, files=payload["files"])
