"""Signed addresses for files and receipts, so that a link opens in a new tab without a token in it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta, timezone

from bot.errors import NotAuthenticated

_LIFETIME = timedelta(days=2)


class SignedLinks:
    """Makes and checks links that work for one thing and for a time."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def query(self, kind: str, identifier: str, conversation_id: str, *, now: datetime) -> str:
        """The query to put behind the address; the same all day, so that browsers can cache."""
        day = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
        until = int((day + _LIFETIME).timestamp())
        key = self._key(kind, identifier, conversation_id, str(until))
        return f"in={conversation_id}&until={until}&key={key}"

    def check(self, kind: str, identifier: str, conversation_id: str, *, until: str, key: str, now: datetime) -> None:
        """Raises NotAuthenticated if the link was not made here or has run out."""
        right = hmac.compare_digest(self._key(kind, identifier, conversation_id, until).encode(), key.encode())
        if not right or not until.isdecimal() or now.timestamp() >= int(until[:12]):
            raise NotAuthenticated("This link has run out. Open it again from the chat.")

    def _key(self, *parts: str) -> str:
        return hmac.new(self._secret, "\0".join(parts).encode(), hashlib.sha256).hexdigest()[:40]
