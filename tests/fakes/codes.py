"""One-time codes that a test knows in advance."""

from __future__ import annotations


class FixedCodes:
    """Implements `bot.services.ports.RandomCodes`: gives out the codes in order, the last one for ever."""

    def __init__(self, *codes: str) -> None:
        self._codes = list(codes or ("123456",))

    def six_digits(self) -> str:
        """The next code."""
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]
