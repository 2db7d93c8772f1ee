"""The intent classifier: n-grams and sentence vectors in one kernel machine, a calibrated confidence, honest doubt.

It is least squares on 0 and 1, one intent against the rest, with the kernel

    exp(closeness * (cosine - 1)) + ngram_weight * (dot product of n-gram features)

and a ridge. That has a closed solution: no randomness, and the score that each training message would have had without
itself and its near twins comes almost for free. The confidence is calibrated on those, and what tells messages that are
out of scope (bot/nlu/outside.py) is trained on them.

The cosine is of two vectors of one run of the sentence encoder: the mean of its last layer, and that of a middle one,
which knows more of how a thing is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bot.errors import Unavailable
from bot.nlu import outside
from bot.nlu.gist import gist
from bot.nlu.ngrams import NgramOptions, NgramVectorizer
from bot.nlu.outside import Outside
from bot.nlu.quantise import Likeness
from bot.nlu.spelling import Speller

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from bot.nlu.lexicon import Lexicon

OUT_OF_SCOPE = "out_of_scope"
# Never offered as "did you mean": nobody chooses these from a button.
NOT_A_CHOICE = frozenset({"greet", "goodbye", "thank", "affirm", "deny", "inform", "stop", "complain", OUT_OF_SCOPE})
FORMAT = 2
_COMMON, _ROWS = 0.01, 512
# Where a message becomes features and an intent: a model trained by other code is trained again.
_CODE = (
    "classifier.py",
    "encoder.py",
    "gist.py",
    "lexicon.py",
    "ngrams.py",
    "outside.py",
    "quantise.py",
    "spelling.py",
)
_ARRAYS, _META = "classifier.npz", "classifier.json"


class ModelError(Unavailable):
    """A trained classifier cannot be used: missing, damaged, or made for another encoder."""

    code = "model"


class Encoder(Protocol):
    """What the classifier needs of a sentence encoder: the vectors of its last and a middle layer, shape (2, n),
    and a hash that says which encoder it is.
    """

    sha256: str

    def layers_of_few(self, texts: Sequence[str]) -> list[NDArray[np.float32]]: ...

    def layers_of_all(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Verdict(str, Enum):
    """What the confidence allows: answer, ask back with two or three choices, or admit not to understand."""

    ANSWER = "answer"
    ASK_BACK = "ask_back"
    UNSURE = "unsure"


@dataclass(frozen=True)
class ClassifierOptions:
    """How a classifier is trained; see the head of this module.

    middle_weight: the part of the middle layer in the cosine; 0 leaves it out.
    ridge: what keeps the classifier from learning by heart.
    outside_lost: the part of the messages in scope that may be called out of scope.
    doubt_lost: the part of the messages in scope that may be left unanswered as perhaps out of scope.
    """

    ngrams: NgramOptions = field(default_factory=NgramOptions)
    closeness: float = 2.0
    middle_weight: float = 0.35
    ngram_weight: float = 0.05
    ridge: float = 0.07
    outside_lost: float = 0.01
    doubt_lost: float = 0.03


@dataclass(frozen=True)
class Thresholds:
    """Where answering ends and asking back begins; chosen on validation folds only.

    answer: from this confidence of the first intent on, answer.
    choice: an intent of at least this confidence may be offered as a choice.
    choices: asking back needs choices of at least this confidence together.
    """

    answer: float = 0.6
    choice: float = 0.05
    choices: float = 0.4


def default_configuration() -> dict[str, Any]:
    """The options and thresholds as one flat dictionary: what config.yml may say of the classifier."""
    options = asdict(ClassifierOptions())
    return {**options.pop("ngrams"), **options, **asdict(Thresholds())}


def read_configuration(config: Mapping[str, Any]) -> tuple[ClassifierOptions, Thresholds]:
    """The reverse of `default_configuration`; what `config` leaves out has its default, other keys are not read."""
    values = {**default_configuration(), **config}

    def chosen(kind: type[Any]) -> dict[str, Any]:
        return {each.name: values[each.name] for each in fields(kind) if each.name != "ngrams"}

    options = ClassifierOptions(ngrams=NgramOptions(**chosen(NgramOptions)), **chosen(ClassifierOptions))
    return options, Thresholds(**chosen(Thresholds))


@dataclass(frozen=True)
class Calibration:
    """From scores to shares that mean what they say: a softmax at `temperature`, then `slope` and `offset` on the log
    odds of the first intent, while the others share the rest as before.
    """

    temperature: float
    slope: float
    offset: float

    @classmethod
    def fit(cls, scores: NDArray[np.float64], truth: NDArray[np.intp]) -> Calibration:
        """Fit on the scores that training messages would have had without themselves."""
        rows = np.arange(len(truth))

        def loss(temperature: float) -> float:
            return float(-np.log(np.maximum(_softmax(scores * temperature)[rows, truth], 1e-12)).mean())

        temperature = float(min(np.geomspace(1, 100, 200), key=loss))
        shares = _softmax(scores * temperature)
        odds = _log_odds(shares.max(axis=1))[:, None]
        slope, offset = outside.fit_logistic(odds, shares.argmax(axis=1) == truth, start=(1.0, 0.0))
        return cls(temperature, float(slope), float(offset))

    def shares(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The calibrated shares of one message's scores; their order is that of the scores."""
        raw = _softmax(scores * self.temperature)
        first = int(raw.argmax())
        rest = np.delete(raw, first)
        sure = float(0.5 * (1 + np.tanh((self.slope * _log_odds(raw[first]) + self.offset) / 2)))
        # The first stays the first, by a hair if need be.
        sure = max(sure, float(rest.max() / (rest.sum() + rest.max())) * (1 + 1e-6))
        shares = raw * ((1 - sure) / rest.sum())
        shares[first] = sure
        return shares


@dataclass(frozen=True)
class Prediction:
    """Intents by falling confidence (they sum to one), and whether the message may well be out of scope."""

    ranking: tuple[tuple[str, float], ...]
    doubtful: bool = False

    @property
    def intent(self) -> str:
        return self.ranking[0][0]

    @property
    def confidence(self) -> float:
        return self.ranking[0][1]


@dataclass(frozen=True)
class Judgement:
    """A prediction seen through the thresholds."""

    ranking: tuple[tuple[str, float], ...]
    verdict: Verdict
    choices: tuple[str, ...]


def judge(prediction: Prediction, thresholds: Thresholds) -> Judgement:
    """Decide between answering, asking back and admitting doubt."""
    ranking = prediction.ranking
    intent, confidence = ranking[0]
    if confidence >= thresholds.answer and (intent == OUT_OF_SCOPE or not prediction.doubtful):
        return Judgement(ranking, Verdict.ANSWER, ())
    offered = [(name, share) for name, share in ranking if share >= thresholds.choice and name not in NOT_A_CHOICE][:3]
    if len(offered) >= 2 and sum(share for _, share in offered) >= thresholds.choices:
        return Judgement(ranking, Verdict.ASK_BACK, tuple(name for name, _ in offered))
    return Judgement(ranking, Verdict.UNSURE, ())


class IntentClassifier:
    """A trained classifier. Reading a message needs numpy and an encoder; training also needs scipy."""

    def __init__(
        self,
        *,
        options: ClassifierOptions,
        speller: Speller,
        vectorizer: NgramVectorizer,
        labels: Sequence[str],
        middle_mean: NDArray[np.float32],
        known_vectors: NDArray[np.float32],
        known_labels: NDArray[np.intp],
        vector_weights: NDArray[np.float32],
        ngram_weights: NDArray[np.float32],
        priors: NDArray[np.float32],
        calibration: Calibration,
        beyond: Outside | None,
        data_hash: str,
        encoder: Encoder,
    ) -> None:
        self.options = options
        self.labels = tuple(labels)
        self.calibration = calibration
        self.beyond = beyond
        self.data_hash = data_hash
        self._encoder = encoder
        self._speller = speller
        self._vectorizer = vectorizer
        self._middle_mean = middle_mean
        self._known_vectors = known_vectors.astype(np.float16)  # as they are stored, which is all that they are for
        self._likeness = Likeness(known_vectors)
        self._known_labels = known_labels
        self._vector_weights = vector_weights
        self._ngram_weights = ngram_weights
        self._priors = priors
        self._ours = _ours(self.labels)
        self._out_of_scope = _out_of_scope(self.labels)
        self._inside = known_labels != self._out_of_scope
        self._inside_labels = known_labels[self._inside]

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Sequence[str],
        options: ClassifierOptions,
        *,
        encoder: Encoder,
        lexicon: Lexicon,
    ) -> IntentClassifier:
        """Train on texts and their intents, and on the intents' names, which say in a few words what they are about.

        The same input gives the same classifier.
        """
        data_hash = hash_of_data(texts, labels)
        telling = [label for label in sorted(set(labels)) if "_" in label and label != OUT_OF_SCOPE]
        texts, labels = [*texts, *(label.replace("_", " ").lower() for label in telling)], [*labels, *telling]
        speller = Speller.fit(texts, lexicon)
        mended = [speller.mend(text) for text in texts]
        vectorizer = NgramVectorizer.fit(mended, options.ngrams)
        features = vectorizer.matrix(mended)
        layers = encoder.layers_of_all(mended)
        middle_mean = layers[:, 1].mean(axis=0)
        vectors = _blend(layers, middle_mean, options)
        vectors = vectors.astype(np.float16).astype(np.float32)  # as they are stored
        names = sorted(set(labels))
        truth = np.array([names.index(label) for label in labels])
        targets = np.eye(len(names), dtype=np.float32)[truth]
        priors = targets.mean(axis=0)
        out_of_scope = _out_of_scope(names)
        groups = outside.groups(vectors, truth == out_of_scope)
        weights, root = _solve(_kernel(vectors, features, options), targets - priors)
        unseen = targets - _known_from_group(root, weights, groups)
        del root
        ours = _ours(names)
        inside = truth != out_of_scope
        place = np.full(len(names), -1)
        place[ours] = np.arange(len(ours))
        beyond = None
        if not inside.all() and inside.any():
            signs = _signs(unseen, vectors, truth, groups, out_of_scope)
            beyond = Outside.fit(signs, ~inside, called=options.outside_lost, doubted=options.doubt_lost)
        return cls(
            options=options,
            speller=speller,
            vectorizer=vectorizer,
            labels=names,
            middle_mean=middle_mean,
            known_vectors=vectors,
            known_labels=truth,
            vector_weights=weights,
            ngram_weights=(options.ngram_weight * (features.T @ weights)).astype(np.float32),
            priors=priors,
            calibration=Calibration.fit(unseen[inside][:, ours].astype(np.float64), place[truth[inside]]),
            beyond=beyond,
            data_hash=data_hash,
            encoder=encoder,
        )

    def predict(self, text: str) -> Prediction:
        """Classify one message."""
        return self.predict_all([text])[0]

    def predict_all(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify a few messages together, which costs less than one after the other."""
        mended = [self._speller.mend(gist(text)) for text in texts]
        vectors = _blend(np.stack(self._encoder.layers_of_few(mended)), self._middle_mean, self.options)
        return [self._predict(text, cosines) for text, cosines in zip(mended, self._likeness.of(vectors), strict=True)]

    def _predict(self, mended: str, cosines: NDArray[np.float32]) -> Prediction:
        closeness = np.exp(self.options.closeness * (cosines - 1))
        # `einsum`, not `@`: its threads, waiting for a core that others use, took twenty times as long.
        scores = self._priors + np.einsum("i,ij->j", closeness, self._vector_weights)
        indices, values = self._vectorizer.transform(mended)
        if indices:
            scores = scores + np.einsum("i,ij->j", np.asarray(values, np.float32), self._ngram_weights[indices])
        shares = self.calibration.shares(scores[self._ours].astype(np.float64))
        order = np.argsort(-shares, kind="stable")
        ranking = [(self.labels[self._ours[i]], float(shares[i])) for i in order]
        if self.beyond is None:
            return Prediction(tuple(ranking))
        signs = outside.signs(
            scores, cosines[self._inside], self._inside_labels, cosines[~self._inside], self._out_of_scope
        )
        share = self.beyond.share(signs)
        if share >= self.beyond.called:
            return Prediction(_with_outside(ranking, share, first=True), doubtful=True)
        return Prediction(_with_outside(ranking, share, first=False), doubtful=share >= self.beyond.doubted)

    def save(self, folder: Path) -> None:
        """Write data only: arrays as .npz, the rest as JSON with the arrays' hash."""
        arrays = folder / _ARRAYS
        np.savez(
            arrays,
            vector_weights=self._vector_weights,
            ngram_weights=self._ngram_weights,
            priors=self._priors,
            middle_mean=self._middle_mean,
            idf=np.asarray(self._vectorizer.idf, np.float64),
            known_vectors=self._known_vectors,
        )
        meta = {
            "format": FORMAT,
            "labels": self.labels,
            "known_labels": self._known_labels.tolist(),
            "calibration": asdict(self.calibration),
            "beyond": asdict(self.beyond) if self.beyond else None,
            "options": asdict(self.options),
            "data_hash": self.data_hash,
            "encoder_sha256": self._encoder.sha256,
            "code_version": code_version(),
            "arrays_sha256": hashlib.sha256(arrays.read_bytes()).hexdigest(),
            "vocabulary": list(self._vectorizer.vocabulary),
            "words": self._speller.frequency,
        }
        (folder / _META).write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, encoder: Encoder, lexicon: Lexicon) -> IntentClassifier:
        """Read what `save` wrote. Raises `ModelError` if it is missing, damaged, or of other code or encoder."""
        try:
            meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
            raw = (folder / _ARRAYS).read_bytes()
        except (OSError, ValueError) as error:
            raise ModelError("The trained intent classifier is missing or unreadable: train again.") from error
        if meta.get("format") != FORMAT or meta.get("code_version") != code_version():
            raise ModelError("The intent classifier was trained by another version of the code: train again.")
        if meta["encoder_sha256"] != encoder.sha256:
            raise ModelError("The intent classifier was trained with another sentence encoder: train again.")
        if hashlib.sha256(raw).hexdigest() != meta["arrays_sha256"]:
            raise ModelError("The trained intent classifier is damaged (its weights have another hash): train again.")
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
        options = ClassifierOptions(**{**meta["options"], "ngrams": NgramOptions(**meta["options"]["ngrams"])})
        vocabulary = {ngram: index for index, ngram in enumerate(meta["vocabulary"])}
        return cls(
            options=options,
            speller=Speller(meta["words"], lexicon),
            vectorizer=NgramVectorizer(options.ngrams, vocabulary, data["idf"].tolist()),
            labels=meta["labels"],
            middle_mean=data["middle_mean"],
            known_vectors=data["known_vectors"].astype(np.float32),
            known_labels=np.asarray(meta["known_labels"], np.intp),
            vector_weights=data["vector_weights"],
            ngram_weights=data["ngram_weights"],
            priors=data["priors"],
            calibration=Calibration(**meta["calibration"]),
            beyond=Outside(**meta["beyond"]) if meta["beyond"] else None,
            data_hash=meta["data_hash"],
            encoder=encoder,
        )


def hash_of_data(texts: Sequence[str], labels: Sequence[str]) -> str:
    """A hash of training messages and intents that does not depend on their order."""
    lines = sorted(f"{label}\t{text}" for text, label in zip(texts, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """A hash of the code that turns a message into features and an intent."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((here / name).read_bytes())
    return digest.hexdigest()[:16]


def _kernel(vectors: NDArray[np.float32], features: csr_matrix, options: ClassifierOptions) -> NDArray[np.float32]:
    """How alike all pairs of training messages are, with the ridge; made in place, for it is large."""
    kernel: NDArray[np.float32] = vectors @ vectors.T
    kernel -= 1
    kernel *= options.closeness
    np.exp(kernel, out=kernel)
    features = options.ngram_weight**0.5 * features
    # Multiplied as sparse, n-grams that many messages have would take most of the time.
    common = np.diff(features.tocsc().indptr) > _COMMON * len(kernel)
    dense = features[:, common].toarray()
    for start in range(0, len(kernel), _ROWS):
        kernel[start : start + _ROWS] += dense[start : start + _ROWS] @ dense.T
    rare = features[:, ~common]
    shared = rare @ rare.T
    for row in range(len(kernel)):
        first, last = shared.indptr[row : row + 2]
        kernel[row, shared.indices[first:last]] += shared.data[first:last]
    kernel[np.diag_indices_from(kernel)] += options.ridge
    return kernel


def _solve(
    kernel: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a kernel's inverse makes of the targets, and R, where that inverse is R Rᵀ. The kernel is overwritten."""
    from scipy.linalg import lapack

    # Transposed, the symmetric matrix is already in the order of memory that LAPACK wants, and is not copied.
    factor, failed = lapack.spotrf(kernel.T, lower=1, overwrite_a=1)
    if not failed:
        weights, failed = lapack.spotrs(factor, targets, lower=1)
    if not failed:
        inverse, failed = lapack.strtri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ModelError("The intent classifier cannot be trained: its equations have no stable solution.")
    return np.ascontiguousarray(weights), inverse.T


def _known_from_group(
    root: NDArray[np.float32], weights: NDArray[np.float32], groups: NDArray[np.intp]
) -> NDArray[np.float32]:
    """What each training message's targets exceed the scores that the model has when it does not know its group.

    Of the inverse, `root` times itself transposed, only the blocks of the groups are wanted.
    """
    known = weights / np.einsum("ij,ij->i", root, root)[:, None]
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            rows = root[members]
            known[members] = np.linalg.solve(rows @ rows.T, weights[members])
    return known


def _signs(
    unseen: NDArray[np.float32],
    vectors: NDArray[np.float32],
    truth: NDArray[np.intp],
    groups: NDArray[np.intp],
    out_of_scope: int,
) -> NDArray[np.float64]:
    """The signs of each training message, had its group not been there."""
    inside = truth != out_of_scope
    rows = []
    for start in range(0, len(vectors), _ROWS):
        cosines = vectors[start : start + _ROWS] @ vectors.T
        cosines[groups[start : start + _ROWS, None] == groups[None, :]] = -1
        rows += [
            outside.signs(scores, line[inside], truth[inside], line[~inside], out_of_scope)
            for scores, line in zip(unseen[start : start + _ROWS], cosines, strict=True)
        ]
    return np.stack(rows)


def _blend(
    layers: NDArray[np.float32], middle_mean: NDArray[np.float32], options: ClassifierOptions
) -> NDArray[np.float32]:
    """Unit vectors, shape (m, 2n), of which the cosine is the weighted mean of both layers' cosines."""
    middle = layers[:, 1] - middle_mean
    middle = middle / np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-9)
    part = options.middle_weight
    blend: NDArray[np.float32] = np.concatenate([(1 - part) ** 0.5 * layers[:, 0], part**0.5 * middle], axis=1)
    return blend.astype(np.float32)


def _ours(labels: Sequence[str]) -> NDArray[np.intp]:
    """The labels in scope: all, if there is no other."""
    return np.array([i for i, label in enumerate(labels) if label != OUT_OF_SCOPE or len(labels) == 1], np.intp)


def _out_of_scope(labels: Sequence[str]) -> int:
    return labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else -1


def _with_outside(ranking: list[tuple[str, float]], share: float, *, first: bool) -> tuple[tuple[str, float], ...]:
    """The ranking with `out_of_scope` added: first, with at least this share, or not first, with at most this share."""
    best = ranking[0][1]
    level = best / (1 + best)  # where it and the best other have the same share
    share = max(share, level * (1 + 1e-6)) if first else min(share, level * (1 - 1e-6))
    rest = [(name, one * (1 - share)) for name, one in ranking]
    return tuple(sorted([(OUT_OF_SCOPE, share), *rest], key=lambda one: -one[1]))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(share, 1e-6, 1 - 1e-6)
    odds: NDArray[np.float64] = np.log(bounded / (1 - bounded))
    return odds
