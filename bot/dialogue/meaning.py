"""The meaning of help articles and questions by the sentence encoder, kept in a file by the hash of each text."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 8  # texts; from so many on they are passages and worth keeping, one is a question


class Encoder(Protocol):
    """What is needed of a sentence encoder."""

    sha256: str

    def encode(self, text: str) -> NDArray[np.float32]: ...


class KeptMeanings:
    """Vectors of texts; those of passages are read from and written to a file, so that a start need not make them."""

    def __init__(self, encoder: Callable[[], Encoder], file: Path | None) -> None:
        """`encoder` is asked for when a vector is needed, not before; without a `file` nothing is kept."""
        self._encoder = encoder
        self._file = file
        self._lock = threading.Lock()

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of unit length for each text."""
        if len(texts) < _AT_ONCE or self._file is None:
            return np.stack([self._encoder().encode(text) for text in texts])
        with self._lock:
            encoder = self._encoder()
            names = [hashlib.sha256(f"{encoder.sha256}\0{text}".encode()).hexdigest() for text in texts]
            kept = self._read()
            missing = [place for place, name in enumerate(names) if name not in kept]
            for place in missing:
                kept[names[place]] = encoder.encode(texts[place])
            if missing:
                self._write(kept)
            return np.stack([kept[name] for name in names])

    def _read(self) -> dict[str, NDArray[np.float32]]:
        """What was kept; a file that is damaged, or cannot be read, counts as none."""
        if self._file is None or not self._file.is_file():
            return {}
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), np.load(self._file) as stored:
            names, vectors = stored["names"], stored["vectors"]
            if len(names) == len(vectors):
                return {str(name): vector for name, vector in zip(names, vectors, strict=True)}
        return {}

    def _write(self, kept: dict[str, NDArray[np.float32]]) -> None:
        """Whole or not at all; a folder that cannot be written to costs time at the next start, nothing else."""
        if self._file is None:
            return
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.npz")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(part, names=np.array(list(kept)), vectors=np.stack(list(kept.values())))
            os.replace(part, self._file)
