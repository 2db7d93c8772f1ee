"""Money as integer minor units with a currency; mixing currencies is an error, never a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.policy.errors import PolicyError

_CURRENCY = re.compile(r"[A-Z]{3}")
# ISO 4217 currencies whose minor unit is not a hundredth.
_DIGITS = {"BIF": 0, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "PYG": 0, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0} | {
    "BHD": 3,
    "JOD": 3,
    "KWD": 3,
    "OMR": 3,
    "TND": 3,
}


class CurrencyMismatchError(PolicyError):
    """Two amounts of different currencies met in one sum or comparison."""

    code = "currency-mismatch"

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"cannot combine {left} with {right}")


@dataclass(frozen=True, order=False)
class Money:
    """An amount in minor units (cents for USD) of one ISO 4217 currency. Raises ValueError for a malformed currency."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"not an ISO 4217 currency code: {self.currency!r}")

    def format(self) -> str:
        """Return the currency and the amount with its decimals, as in `USD 1,250.00`."""
        digits = _DIGITS.get(self.currency, 2)
        whole, rest = divmod(abs(self.minor), 10**digits)
        decimals = f".{rest:0{digits}d}" if digits else ""
        return f"{self.currency} {'-' if self.minor < 0 else ''}{whole:,}{decimals}"

    def __str__(self) -> str:
        return self.format()

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __mul__(self, times: int) -> Money:
        return Money(self.minor * times, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other)

    def __bool__(self) -> bool:
        return self.minor != 0

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatchError(self.currency, other.currency)
        return other.minor
