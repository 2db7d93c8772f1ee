"""Draws what an evaluation found: what is taken for what, whether confidence means what it says, what thresholds do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bot.nlu.classifier import OUT_OF_SCOPE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bot.nlu.evaluate import Case

BINS = 15
_NAMED = 60  # more intents than this, and their names cannot be read


def confusion_matrix(cases: Sequence[Case], file: Path) -> None:
    """Rows are what was meant, columns what it was taken for; the darker, the greater the share of the row."""
    names = sorted({one.intent for one in cases} | {one.called for one in cases})
    place = {name: index for index, name in enumerate(names)}
    shares = np.zeros((len(names), len(names)))
    for (intent, called), times in Counter((one.intent, one.called) for one in cases).items():
        shares[place[intent], place[called]] = times
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    side = min(4 + 0.24 * len(names), 22)
    figure = _figure(side, side)
    axes = figure.add_subplot()
    # The square root shows the rare confusions too.
    axes.imshow(np.sqrt(shares), cmap="Greys", vmin=0, vmax=1)
    axes.set_xlabel("taken for")
    axes.set_ylabel("meant")
    if len(names) <= _NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    figure.savefig(file)


def calibration(cases: Sequence[Case], file: Path) -> None:
    """How often messages of one confidence are right: on the diagonal, confidence means what it says."""
    confidence = np.array([one.confidence for one in cases])
    right = np.array([one.intent == one.called for one in cases])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = np.unique(bins)
    figure = _figure(6, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    upper.plot([0, 1], [0, 1], color="0.7")
    means = [(confidence[bins == one].mean(), right[bins == one].mean()) for one in used]
    upper.plot(*zip(*means, strict=True), "ko-", markersize=4)
    upper.set_ylabel("right")
    lower.hist(confidence, bins=BINS, range=(0, 1), color="0.6")
    lower.set_ylabel("messages")
    lower.set_xlabel("confidence")
    figure.savefig(file)


def thresholds(cases: Sequence[Case], file: Path) -> None:
    """What would be answered, and how much of it rightly, from which confidence on."""
    confidence = np.array([one.confidence for one in cases])
    right = np.array([one.intent == one.called for one in cases])
    stray = np.array([one.intent == OUT_OF_SCOPE for one in cases])
    called = np.array([one.called == OUT_OF_SCOPE for one in cases])
    levels = np.linspace(0, 0.99, 100)
    answered = [confidence >= level for level in levels]
    figure = _figure(7, 5)
    axes = figure.add_subplot()
    axes.plot(levels, [one.mean() for one in answered], "k-", label="answered")
    precise = [right[one].mean() if one.any() else np.nan for one in answered]
    axes.plot(levels, precise, "k--", label="right when answered")
    if stray.any():
        kept = [1 - (one & ~called)[stray].mean() for one in answered]
        axes.plot(levels, kept, "k:", label="out of scope, not answered as if in scope")
    axes.set_xlabel("threshold of the confidence")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower left", frameon=False)
    figure.savefig(file)


KINDS: dict[str, Callable[[Sequence[Case], Path], None]] = {
    "confusion": confusion_matrix,
    "calibration": calibration,
    "thresholds": thresholds,
}
"""The pictures of a report by the ends of their file names."""


def _figure(width: float, height: float) -> Figure:
    # Not pyplot: it keeps figures in the process and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, tight_layout=True)
    FigureCanvasAgg(figure)
    return figure
