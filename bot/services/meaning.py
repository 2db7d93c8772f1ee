"""How close the sections of help articles are to a question in meaning, whatever its words."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SENTENCE_ENDS = re.compile(r"(?<=[.?!])\s+|\n")
_SHORTEST_SENTENCE = 4  # words


class Meanings(Protocol):
    """Turns texts into vectors of unit length, the closer the more alike two texts are in meaning."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each text."""
        ...


class SectionMeanings:
    """The vectors of some sections, each as a whole and sentence by sentence; made when first asked for."""

    def __init__(self, sections: Sequence[tuple[str, str, str]], meanings: Meanings) -> None:
        """`sections` are titles of article and section, and the text."""
        self._sections = sections
        self._meanings = meanings
        self._lock = threading.Lock()
        self._made: tuple[NDArray[np.float32], NDArray[np.intp], list[str]] | None = None

    def likeness(self, question: str) -> list[tuple[float, str]]:
        """For each section the mean of its own cosine and its best sentence's, and that sentence."""
        vectors, owners, sentences = self._vectors()
        cosines = np.einsum("ij,j->i", vectors, self._meanings.vectors([question])[0])
        count = len(self._sections)
        found: list[tuple[float, str]] = [(float(whole), "") for whole in cosines[:count]]
        best: dict[int, int] = {}
        for place, owner in enumerate(owners):
            if owner not in best or cosines[count + place] > cosines[count + best[owner]]:
                best[int(owner)] = place
        for owner, place in best.items():
            found[owner] = ((found[owner][0] + float(cosines[count + place])) / 2, sentences[place])
        return found

    def _vectors(self) -> tuple[NDArray[np.float32], NDArray[np.intp], list[str]]:
        with self._lock:
            if self._made is None:
                texts = [f"{article}. {section}. {text}" for article, section, text in self._sections]
                owners: list[int] = []
                sentences: list[str] = []
                for owner, (_, section, text) in enumerate(self._sections):
                    for sentence in sentences_of(text):
                        owners.append(owner)
                        sentences.append(sentence)
                        texts.append(f"{section}: {sentence}")
                self._made = self._meanings.vectors(texts), np.array(owners, np.intp), sentences
            return self._made


def sentences_of(text: str) -> list[str]:
    """The sentences and list items of a section that say something by themselves."""
    parts = (part.strip("- ") for part in _SENTENCE_ENDS.split(text))
    return [part for part in parts if len(part.split()) >= _SHORTEST_SENTENCE]
