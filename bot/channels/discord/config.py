"""What an installation decides for itself about Discord."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CHANNEL = "discord"
API_URL = "https://discord.com/api/v10"
GATEWAY_URL = "wss://gateway.discord.gg/"


@dataclass(frozen=True, kw_only=True)
class DiscordSettings:
    """A bot and whom it answers for: `guilds` are brands by server id, `brand` that of everywhere else.

    `message_content` asks for that privileged intent; `shards` is None for as many as Discord recommends. The addresses
    are Discord's own, or those of a proxy or a test.
    """

    token: str = field(repr=False)
    brand: str | None = None
    guilds: Mapping[int, str] = field(default_factory=dict)
    message_content: bool = False
    shards: int | None = None
    api_url: str = API_URL
    gateway_url: str = GATEWAY_URL
