"""What the application needs of a channel that it runs, and how it keeps one running without harm to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from starlette.routing import BaseRoute

from bot.channels.arrivals import Arrivals
from bot.channels.delivery import Outlet, PushDelivery
from bot.conversation.gateway import Gateway
from bot.conversation.locks import Bus, Locks
from bot.errors import SupportBotError
from bot.policy.pack import Pack
from bot.services.help_center import HelpCenter
from bot.services.identity import IdentityService
from bot.services.ports import Clock
from bot.store.unit_of_work import Store

_RESTART_SECONDS = 15.0
log = structlog.get_logger("supportbot.channels")


class Channel(Protocol):
    """A channel of its own connection or addresses."""

    name: str

    def routes(self) -> Sequence[BaseRoute]:
        """Addresses that the web server serves for it."""

    async def run(self) -> None:
        """Serve until cancelled.

        Raises a SupportBotError that says what is wrong when trying again cannot help: a token that is not valid.
        """


@dataclass(frozen=True)
class ChannelDeps:
    """What channels are made of; `secret` is the server's own."""

    store: Store
    gateway: Gateway
    identity: IdentityService
    arrivals: Arrivals
    packs: Mapping[str, Pack]
    help_center: HelpCenter
    locks: Locks
    bus: Bus
    clock: Clock
    secret: str
    public_url: str
    on_delivery: Callable[[str, str], None] = lambda channel, result: None

    def delivery(self, outlet: Outlet) -> PushDelivery:
        """Push delivery to a channel."""
        return PushDelivery(
            outlet,
            store=self.store,
            locks=self.locks,
            bus=self.bus,
            clock=self.clock,
            on_result=self.on_delivery,
        )


async def keep_running(channel: Channel, *, restart_seconds: float = _RESTART_SECONDS) -> None:
    """Run a channel for as long as that makes sense; whatever ends it, the others go on."""
    while True:
        try:
            await channel.run()
        except SupportBotError as error:
            log.error("channel is off", channel=channel.name, why=str(error))
            return
        except Exception:
            log.exception("channel stopped, to be started again", channel=channel.name)
        await asyncio.sleep(restart_seconds)
