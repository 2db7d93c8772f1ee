"""Somebody wants the form that answers the open question."""

from __future__ import annotations

from bot.channels.filling_in import open_question
from bot.channels.slack import words
from bot.channels.slack.api import call
from bot.channels.slack.forms import CODE, code_view, form_for, report_view
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import Place


async def open_form(kit: Kit, *, team: str, user: str, room: str, trigger: str, conversation_id: str) -> None:
    """Open it, if that question is still open."""
    place = Place(team, room, "", "form")
    pack, installation = kit.pack(team), await kit.installation(team)
    problem = await kit.owned(conversation_id, team, user)
    if problem is not None or pack is None or installation is None:
        await kit.tell(user, place, problem or words.NO_BRAND)
        return
    asked = await kit.deps.store.reading(lambda uow: open_question(uow, conversation_id))
    form = form_for(asked[1], pack) if asked else None
    if asked is None or form is None:
        await kit.tell(user, place, words.OVER)
        return
    view = code_view(conversation_id) if form[0] == CODE else report_view(conversation_id, pack, *asked)
    client = kit.api.client(installation.token)
    await call(lambda: client.views_open(trigger_id=trigger, view=view))
