"""Somebody pressed a button or chose from a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from bot.channels.slack.api import call
from bot.channels.slack.blocks import answered
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place

log = structlog.get_logger("supportbot.slack")


async def choose(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Hand the choice to the gateway, if it is this person's to make; the choices then make way for what was chosen."""
    conversation_id, _, button = payload["value"].partition("|")
    direct = payload["room"].startswith("D")
    thread = payload["thread"] or ("" if direct else payload["message"])
    place = Place(payload["team"], payload["room"], thread, f"press-{payload['ts']}")
    problem = await kit.owned(conversation_id, payload["team"], payload["user"])
    if problem is not None:
        await kit.tell(payload["user"], place, problem)
        return
    taken = await kit.say(payload["user"], place, button=button, conversation_id=conversation_id)
    if taken is not None and not taken.repeated:
        await _show_choice(kit, payload)


async def _show_choice(kit: Kit, payload: Mapping[str, Any]) -> None:
    installation = await kit.installation(payload["team"])
    if installation is None or not payload["message"]:
        return
    client = kit.api.client(installation.token)
    try:
        await call(
            lambda: client.chat_update(
                channel=payload["room"],
                ts=payload["message"],
                text=payload["text"],
                blocks=answered(payload["blocks"], payload["title"]),
            )
        )
    except Exception as error:  # a nicety: pressing it again does no harm
        log.info("choice not shown", why=type(error).__name__)
