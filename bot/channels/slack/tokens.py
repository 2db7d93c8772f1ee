"""Workspaces that installed the app, with their tokens, which are encrypted where they rest."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select

from bot.channels.slack.places import CHANNEL
from bot.errors import Unavailable
from bot.ids import new_id
from bot.store.tables import ChannelInstallation
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Installation:
    """A workspace, its bot's user and token."""

    team: str
    bot_user: str
    token: str
    name: str = ""
    bot_id: str = ""


class Tokens:
    """Keeps installations. Takes part in the caller's unit of work; never commits."""

    def __init__(self, secret: str) -> None:
        """`secret` is the server's own; with another one, workspaces have to install the app again."""
        self._fernet = Fernet(derived_key(secret, "slack tokens"))

    def keep(
        self, uow: UnitOfWork, installation: Installation, *, scopes: str, installed_by: str, now: datetime
    ) -> None:
        """Keep a workspace's token in place of an older one."""
        row = self._row(uow, installation.team)
        if row is None:
            row = ChannelInstallation(
                id=new_id("ins"), channel=CHANNEL, workspace=installation.team, bot_user="", token="", installed_at=now
            )
            uow.session.add(row)
        row.name = installation.name
        row.bot_user = installation.bot_user
        row.token = self._fernet.encrypt(installation.token.encode()).decode()
        row.scopes = scopes
        row.installed_by = installed_by
        row.installed_at = now
        row.revoked_at = None
        uow.session.flush()

    def find(self, uow: UnitOfWork, team: str) -> Installation | None:
        """A workspace's installation; None if it has none. Raises Unavailable if its token cannot be read."""
        row = self._row(uow, team)
        if row is None or row.revoked_at is not None:
            return None
        try:
            token = self._fernet.decrypt(row.token.encode()).decode()
        except InvalidToken:
            raise Unavailable(
                f"The token of workspace {team} was kept under another SUPPORTBOT_SECRET: install the app there again."
            ) from None
        return Installation(team=team, bot_user=row.bot_user, token=token, name=row.name)

    def revoke(self, uow: UnitOfWork, team: str, *, now: datetime) -> bool:
        """Forget a workspace's token; whether there was one."""
        row = self._row(uow, team)
        if row is None or row.revoked_at is not None:
            return False
        row.token, row.revoked_at = "", now
        uow.session.flush()
        return True

    @staticmethod
    def _row(uow: UnitOfWork, team: str) -> ChannelInstallation | None:
        found = select(ChannelInstallation).where(
            ChannelInstallation.channel == CHANNEL, ChannelInstallation.workspace == team
        )
        row: ChannelInstallation | None = uow.session.execute(found).scalar_one_or_none()
        return row

    def sealed(self, values: Mapping[str, str], *, now: datetime) -> str:
        """A token of our own that carries values, for a round trip through somebody's browser."""
        text = "\n".join(f"{name}={value}" for name, value in values.items())
        return self._fernet.encrypt_at_time(text.encode(), int(now.timestamp())).decode()

    def opened(self, sealed: str, *, seconds: int, now: datetime) -> dict[str, str] | None:
        """The values of a sealed token; None if it is not ours or older than so many seconds."""
        try:
            text = self._fernet.decrypt_at_time(sealed.encode(), ttl=seconds, current_time=int(now.timestamp()))
        except InvalidToken:
            return None
        return dict(line.split("=", 1) for line in text.decode().split("\n") if "=" in line)


def derived_key(secret: str, purpose: str) -> bytes:
    """A Fernet key for one purpose from the server's secret."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}\0{secret}".encode()).digest())
