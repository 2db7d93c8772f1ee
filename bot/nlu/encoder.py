"""Sentence vectors by all-MiniLM-L6-v2 on onnxruntime, remembered within bounds."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from bot.nlu import assets
from bot.nlu.quantise import one_thread, ready_to_run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS = 384
# The output of the fourth of six layers, which the file does not offer by itself.
MIDDLE_LAYER = "layer_norm_8"
MAX_TOKENS = 128
MAX_CHARACTERS = 2000
CACHE_SIZE = 2048
BATCH = 16


class SentenceEncoder:
    """Turns a text into one vector of unit length (mean of its token vectors), and into that of a middle layer, which
    the intent classifier reads as well; one run gives both. Safe to share between threads.
    """

    def __init__(self, model: assets.Asset, tokenizer: assets.Asset, *, cache_size: int = CACHE_SIZE) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        try:
            graph = ready_to_run(model.path.read_bytes(), MIDDLE_LAYER)
            self._session = onnxruntime.InferenceSession(graph, one_thread(), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnx's and onnxruntime's own errors have no common base
            raise assets.AssetError(
                f"The {model.name} at {model.path} cannot be used: {error}", asset=model.name, path=str(model.path)
            ) from error
        self._tokenizer = Tokenizer.from_file(str(tokenizer.path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._cache_size = cache_size
        self._lock = threading.Lock()
        self.sha256 = model.sha256

    def encode(self, text: str) -> NDArray[np.float32]:
        """The read-only vector of a text, shape (384,). Beyond 128 word pieces the rest of a text is not read."""
        return self.layers(text)[0]

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of many texts, shape (n, 384)."""
        return self.layers_of_all(texts)[:, 0]

    def layers(self, text: str) -> NDArray[np.float32]:
        """The read-only vectors of a text in the last layer (of unit length) and a middle one, shape (2, 384)."""
        return self.layers_of_few([text])[0]

    def layers_of_few(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """`layers` of a few texts, those not remembered in one run, which costs less than one after the other."""
        keys = [text[:MAX_CHARACTERS] for text in texts]
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for key in keys:
                if (vectors := self._cache.get(key)) is not None:
                    self._cache.move_to_end(key)
                    found[key] = vectors
        new = list(dict.fromkeys(key for key in keys if key not in found))
        if new:
            for key, vectors in zip(new, self._run([self._tokens(key) for key in new]), strict=True):
                found[key] = vectors.copy()
                found[key].flags.writeable = False
            with self._lock:
                self._cache.update((key, found[key]) for key in new)
                while len(self._cache) > self._cache_size:
                    self._cache.popitem(last=False)
        return [found[key] for key in keys]

    def layers_of_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`layers` of many texts, shape (n, 2, 384): several of as many tokens in one run, which needs no padding."""
        import numpy as np

        vectors = np.zeros((len(texts), 2, DIMENSIONS), np.float32)
        tokens = [self._tokens(text[:MAX_CHARACTERS]) for text in texts]
        by_length = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        batches = [
            alike[start : start + BATCH]
            for alike in (list(group) for _, group in groupby(by_length, key=lambda i: len(tokens[i])))
            for start in range(0, len(alike), BATCH)
        ]
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
            runs = threads.map(self._run, ([tokens[i] for i in batch] for batch in batches))
            for batch, run in zip(batches, runs, strict=True):
                vectors[batch] = run
        return vectors

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text).ids
        return tokens

    def _run(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        """The vectors of texts, shape (n, 2, 384); those of fewer tokens than the longest are padded."""
        import numpy as np

        lengths = np.array([[len(one)] for one in tokens])
        ids = np.zeros((len(tokens), lengths.max()), np.int64)
        mask = np.arange(ids.shape[1]) < lengths
        ids[mask] = np.concatenate(tokens)
        inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": np.zeros_like(ids)}
        layers = self._session.run(None, inputs)
        shares = (mask / lengths).astype(np.float32)[:, None]  # of a token in its text's mean
        vectors: NDArray[np.float32] = np.concatenate([shares @ layer for layer in layers], axis=1)
        vectors[:, 0] /= np.linalg.norm(vectors[:, 0], axis=1, keepdims=True)
        return vectors


@lru_cache(maxsize=1)
def shared_encoder() -> SentenceEncoder:
    """The process's one encoder, verified and loaded at first use. Raises `AssetError`."""
    return SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER))
