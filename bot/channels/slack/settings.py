"""What an installation sets for Slack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

API_URL = "https://slack.com/api/"


@dataclass(frozen=True, kw_only=True)
class SlackSettings:
    """Tokens and addresses; docs/slack.md says where each comes from. `brands` by workspace, `rooms` by brand.

    `brand` is every other workspace's. A token or secret that is not set is None.
    """

    bot_token: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    api_url: str = API_URL
    brand: str | None = None
    brands: Mapping[str, str] = field(default_factory=dict)
    rooms: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether anything can come in, and be answered."""
        tokens = self.bot_token is not None or self.installs
        return tokens and (self.app_token is not None or self.signing_secret is not None)

    @property
    def installs(self) -> bool:
        """Whether further workspaces may install the app."""
        return self.client_id is not None and self.client_secret is not None

    def brand_of(self, team: str) -> str | None:
        """The brand that a workspace's customers talk to."""
        return self.brands.get(team, self.brand)
