"""Word and character n-grams with TF-IDF weights, without any dependency when a message is read."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_CHARACTERS = 2000

_PUNCTUATION = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "."})
_MASKS = (
    (re.compile(r"(?<!\S)\S+@\S+\.\w+"), " xemail "),  # begins where a word does, or ten thousand "@" take seconds
    (re.compile(r"https?://\S+|www\.\S+"), " xlink "),
    (re.compile(r"\b(inv|sub|tck)[-\s]?#?\d+\b"), r" x\1id "),
    (re.compile(r"[$€£]\s?\d[\d.,]*"), " xmoney "),
    (re.compile(r"\+?\d[\d\s().-]{7,}\d"), " xphone "),
    (re.compile(r"\d"), "0"),
)
_WORD = re.compile(r"\w+(?:'\w+)?|[?!$]|[^\x00-\x7f\s\w]")
_REPEATS = re.compile(r"([^\W\d_])\1{2,}")


def normalise(text: str) -> str:
    """Lower case, plain quotes, no accents of width; ids, addresses and amounts become one word of their kind each."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).translate(_PUNCTUATION).lower()
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return _REPEATS.sub(r"\1\1", text)


@dataclass(frozen=True)
class NgramOptions:
    """Lengths of n-grams, and in how many texts one must occur to count."""

    word_max: int = 2
    char_min: int = 2
    char_max: int = 5
    min_texts: int = 2


class NgramVectorizer:
    """Two blocks of features, words and characters within words, each of unit length."""

    def __init__(self, options: NgramOptions, vocabulary: dict[str, int], idf: Sequence[float]) -> None:
        self.options = options
        self.vocabulary = vocabulary
        self.idf = idf

    @classmethod
    def fit(cls, texts: Iterable[str], options: NgramOptions) -> NgramVectorizer:
        """Learn vocabulary and inverse document frequencies; the order of texts makes no difference."""
        document_frequency: Counter[str] = Counter()
        count = 0
        for text in texts:
            document_frequency.update(set(_ngrams(text, options)))
            count += 1
        kept = sorted(ngram for ngram, texts_with in document_frequency.items() if texts_with >= options.min_texts)
        idf = [math.log((1 + count) / (1 + document_frequency[ngram])) + 1 for ngram in kept]
        return cls(options, {ngram: index for index, ngram in enumerate(kept)}, idf)

    def transform(self, text: str) -> tuple[list[int], list[float]]:
        """Indices and weights of a text's known n-grams."""
        counts = Counter(_ngrams(text, self.options))
        indices: list[int] = []
        weights: list[float] = []
        norms = {"w": 0.0, "c": 0.0}
        for ngram, times in counts.items():
            index = self.vocabulary.get(ngram)
            if index is not None:
                weight = (1 + math.log(times)) * self.idf[index]
                norms[ngram[0]] += weight * weight
                indices.append(index)
                weights.append(weight if ngram[0] == "w" else -weight)
        word, char = (1 / math.sqrt(norm) if norm else 0.0 for norm in norms.values())
        return indices, [weight * word if weight > 0 else -weight * char for weight in weights]

    def matrix(self, texts: Sequence[str]) -> csr_matrix:
        """The features of many texts as a sparse matrix, float32."""
        import numpy as np
        from scipy.sparse import csr_matrix

        rows = [self.transform(text) for text in texts]
        pointers = np.cumsum([0, *(len(indices) for indices, _ in rows)])
        columns = np.fromiter((index for indices, _ in rows for index in indices), dtype=np.int32)
        values = np.fromiter((weight for _, weights in rows for weight in weights), dtype=np.float32)
        return csr_matrix((values, columns, pointers), shape=(len(rows), len(self.vocabulary)))


def _ngrams(text: str, options: NgramOptions) -> Iterator[str]:
    words = _WORD.findall(normalise(text))
    for length in range(1, options.word_max + 1):
        for start in range(len(words) - length + 1):
            yield "w" + " ".join(words[start : start + length])
    for word in words:
        padded = f" {word} "
        size = len(padded)
        for length in range(options.char_min, options.char_max + 1):
            for start in range(size - length + 1):
                yield "c" + padded[start : start + length]
            if size <= length:
                break
