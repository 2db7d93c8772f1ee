"""Somebody looks at the app's home."""

from __future__ import annotations

from bot.channels.slack.api import call
from bot.channels.slack.home import home_view
from bot.channels.slack.kit import Kit


async def app_home_opened(kit: Kit, team: str, user: str) -> None:
    """Show it as of now."""
    pack, installation = kit.pack(team), await kit.installation(team)
    opened = await kit.conversation(team, user, greet=True)
    if pack is None or installation is None or opened is None:
        return
    view = await kit.deps.store.reading(
        lambda uow: home_view(uow, kit.deps.identity, pack=pack, conversation_id=opened.id, now=kit.deps.clock.now())
    )
    client = kit.api.client(installation.token)
    await call(lambda: client.views_publish(user_id=user, view=view))
