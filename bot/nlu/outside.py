"""Tells messages that belong to no intent: a small second model on how the classifier saw a message.

A message outside of the subject looks unlike all intents in some way: no intent scores high, two are close, its
neighbours among the training messages are far or disagree, or it resembles what was given as out of scope. None of
these signs is enough alone. A logistic regression weighs them; it is trained on the signs that training messages would
have shown had the model not known them, nor their near twins, nor their kind of out-of-scope message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 10
# Training messages from this cosine on are near twins: what is learned from one is known of the other.
TWIN = 0.9
# Out-of-scope messages from this cosine on are of one kind; new ones will mostly be of kinds that nobody thought of.
KIND = 0.6
_ROWS = 512


@dataclass(frozen=True)
class Outside:
    """A trained second model. `called` is the share from which a message is out of scope, `doubted` the one from which
    nothing is acted on: each loses a chosen part of the training messages that are in scope.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float
    called: float
    doubted: float

    @classmethod
    def fit(cls, signs: NDArray[np.float64], outside: NDArray[np.bool_], *, called: float, doubted: float) -> Outside:
        """`called` and `doubted` are the parts of the messages in scope that may be lost to either threshold."""
        mean, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-9
        weights = fit_logistic((signs - mean) / spread, outside)
        rough = cls(tuple(mean), tuple(spread), tuple(weights[:-1]), float(weights[-1]), 1.0, 1.0)
        inside = np.array([rough.share(one) for one in signs[~outside]])
        limits = (float(np.quantile(inside, 1 - part)) for part in (called, doubted))
        return cls(rough.mean, rough.spread, rough.weights, rough.offset, *limits)

    def share(self, signs: NDArray[np.float64]) -> float:
        """How likely a message with these signs is out of scope."""
        scaled = (signs - np.asarray(self.mean)) / np.asarray(self.spread)
        return float(0.5 * (1 + np.tanh((scaled @ np.asarray(self.weights) + self.offset) / 2)))


def signs(
    scores: NDArray[np.float32],
    inside: NDArray[np.float32],
    inside_labels: NDArray[np.intp],
    outside: NDArray[np.float32],
    out_of_scope: int,
) -> NDArray[np.float64]:
    """What may tell that a message is out of scope.

    `scores` has one for each label, of which `out_of_scope` is the index of the label outside; `inside` and `outside`
    are the cosines to the training messages in and out of scope, `inside_labels` the labels of the former.
    """
    ours = scores.copy()
    ours[out_of_scope] = -np.inf
    first = int(ours.argmax())
    best = float(ours[first])
    ours[first] = -np.inf
    second = float(ours.max()) if len(ours) > 2 else 0.0
    count = min(NEIGHBOURS, len(inside))
    near = np.argpartition(-inside, count - 1)[:count]
    cosines = np.maximum(inside[near], 0)
    agreeing = float((cosines**2 * (inside_labels[near] == first)).sum()) / count
    return np.array(
        [
            best,
            best - second,
            float(scores[out_of_scope]),
            float(inside.max()),
            float(cosines.mean()),
            float(outside.max()),
            agreeing,
        ],
        dtype=np.float64,
    )


def groups(vectors: NDArray[np.float32], outside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each training message the number of its group: near twins, and kinds of messages out of scope."""
    whole = _linked(vectors, TWIN)
    members = np.flatnonzero(outside)
    if len(members):
        whole[members] = members[_linked(vectors[members], KIND)]
    return whole


def _linked(vectors: NDArray[np.float32], cosine: float) -> NDArray[np.intp]:
    """The first member of each vector's group: two are in one if a chain of pairs at least this near connects them."""
    parents = list(range(len(vectors)))

    def first(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for start in range(0, len(vectors), _ROWS):
        rows, columns = np.nonzero(vectors[start : start + _ROWS] @ vectors.T >= cosine)
        for row, column in zip((rows + start).tolist(), columns.tolist(), strict=True):
            if column < row:
                low, high = sorted((first(row), first(column)))
                parents[high] = low
    return np.array([first(one) for one in range(len(vectors))], dtype=np.intp)


def fit_logistic(
    values: NDArray[np.float64], right: NDArray[np.bool_], start: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Weights of a logistic regression and, last, its offset, by Newton's method with a slight pull towards `start`."""
    design = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    target = np.zeros(design.shape[1]) if start is None else np.asarray(start, np.float64)
    marks = np.where(right, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        pull = 0.5 * ((weights - target) ** 2).sum()
        return float(np.logaddexp(0, -marks * (design @ weights)).sum() + pull)

    weights = target
    for _ in range(40):
        expected = 0.5 * (1 + np.tanh(design @ weights / 2))
        gradient = design.T @ (right - expected) - (weights - target)
        curvature = (design * (expected * (1 - expected))[:, None]).T @ design + np.eye(design.shape[1])
        step = np.linalg.solve(curvature, gradient)
        while loss(weights + step) > loss(weights) and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights + step
        if np.abs(step).max() <= 1e-9:
            break
    return weights
