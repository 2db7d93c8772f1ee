"""Somebody sent a form: what it says is the answer to one question after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.channels.filling_in import fill_in
from bot.channels.slack.forms import CODE, values_of
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place
from bot.conversation.messages import MessageView

_NOTHING = "skip"


async def form(kit: Kit, payload: Mapping[str, Any]) -> None:
    """Give the answers to the gateway as the flow asks for them; only what was said to the last one is shown."""
    conversation_id, team, user = payload["conversation"], payload["team"], payload["user"]
    if await kit.owned(conversation_id, team, user) is not None:
        return
    texts, files = values_of(payload["state"])

    def place(step: str) -> Place:
        return Place(team, "", "", f"form-{payload['view']}-{step}")

    async def say(step: str) -> Sequence[MessageView] | None:
        given = files.get(step, [])
        text = "" if given else texts[step] or _NOTHING
        said = await kit.say(user, place(step), text=text, files=given, conversation_id=conversation_id)
        return said.replies if said is not None else None

    if payload["form"].endswith(CODE):
        await kit.say(user, place(CODE), text=texts.get(CODE) or "-", conversation_id=conversation_id)
    else:
        await fill_in(kit.deps, conversation_id, texts, say)
