"""The few statistics that are used, each once."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Some repeats of one measurement."""

    median: float
    least: float
    most: float
    repeats: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        values = list(values)
        return cls(median=median(values), least=min(values), most=max(values), repeats=len(values))


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of the values that at least `percent` % of them do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError("A percentile needs values, and a percent over 0 up to 100.")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
