"""Which agent somebody in Slack is: linked by `supportbot agents slack`, or by the e-mail address of their profile."""

from __future__ import annotations

import time

from sqlalchemy import select

from bot.channels.slack.api import call
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import CHANNEL, channel_user
from bot.errors import NotFound
from bot.services.agents import AgentView, agent_with_email
from bot.store.tables import Agent, AgentLink
from bot.store.unit_of_work import UnitOfWork

_REMEMBERED_SECONDS = 300.0


class Who:
    """Looks agents up; whether they may still work is asked of the store each time."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._emails: dict[str, tuple[float, str | None]] = {}

    async def agent(self, team: str, user: str, brand: str) -> AgentView | None:
        """The active agent of that brand who this is; None for anybody else."""
        email = await self._kit.deps.store.reading(lambda uow: _linked(uow, channel_user(team, user)))
        email = email or await self._email(team, user)
        if email is None:
            return None
        try:
            found = await self._kit.deps.store.reading(lambda uow: agent_with_email(uow, email))
        except NotFound:
            return None
        return found if found.active and brand in found.brands else None

    async def _email(self, team: str, user: str) -> str | None:
        """The confirmed address of a full member; guests and people of other workspaces do not count."""
        name = channel_user(team, user)
        at, email = self._emails.get(name, (0.0, None))
        if time.monotonic() - at < _REMEMBERED_SECONDS and name in self._emails:
            return email
        installation = await self._kit.installation(team)
        if installation is None:
            return None
        client = self._kit.api.client(installation.token)
        profile = (await call(lambda: client.users_info(user=user)))["user"]
        odd = ("deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_stranger")
        confirmed = profile.get("is_email_confirmed", True)
        trusted = confirmed and not any(profile.get(mark) for mark in odd) and profile.get("team_id", team) == team
        email = (profile.get("profile") or {}).get("email") if trusted else None
        self._emails[name] = (time.monotonic(), email)
        return email


def _linked(uow: UnitOfWork, name: str) -> str | None:
    found = select(Agent.email).join(AgentLink, AgentLink.agent_id == Agent.id)
    email: str | None = uow.session.execute(
        found.where(AgentLink.channel == CHANNEL, AgentLink.channel_user == name)
    ).scalar()
    return email
