"""Discord's rate limits for the fake server: a bucket for each route and channel, and one for all requests."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class _Bucket:
    remaining: int = 0
    reset_at: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Whether a request is let through, and what its headers say."""

    headers: dict[str, str]
    retry_after: float = 0.0  # seconds; over zero: refused
    everywhere: bool = False


@dataclass
class Limits:
    """`per_window` requests of a bucket in `window` seconds, `per_second` of all together; smaller ones for tests."""

    per_window: int = 5
    window: float = 5.0
    per_second: int = 50
    refused: int = 0
    _buckets: defaultdict[tuple[str, str], _Bucket] = field(default_factory=lambda: defaultdict(_Bucket))
    _last: deque[float] = field(default_factory=deque)

    def ask(self, route: str, major: str, *, limited: bool, counted: bool) -> Verdict:
        """Count a request. `limited`: its bucket is small; `counted`: it is one of those of the second."""
        now = time.monotonic()
        if counted:
            while self._last and self._last[0] <= now - 1:
                self._last.popleft()
            if len(self._last) >= self.per_second:
                self.refused += 1
                wait = self._last[0] + 1 - now
                return Verdict({"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}, max(wait, 0.001), True)
        bucket = self._buckets[route, major]
        most = self.per_window if limited else 1_000
        if now >= bucket.reset_at:
            bucket.remaining, bucket.reset_at = most, now + self.window
        after = bucket.reset_at - now
        refused = bucket.remaining == 0
        bucket.remaining -= not refused
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(bucket.remaining),
            "X-RateLimit-Reset": f"{time.time() + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": f"{abs(hash(route)) % 2**64:016x}",
        }
        if refused:
            self.refused += 1
            return Verdict({**headers, "X-RateLimit-Scope": "user"}, max(after, 0.001))
        if counted:
            self._last.append(now)
        return Verdict(headers)
