"""Secrets that demo mode makes for itself, once, so that nobody has to invent any to try the system."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bot.errors import Unavailable


def kept(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The secrets of those names from the file, which only its owner can read; those it lacks are made and added.

    Raises Unavailable when the file cannot be read or written.
    """
    names = list(names)
    if not names:
        return {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            found = _read(path)
            if lacking := [name for name in names if name not in found]:
                found |= {name: secrets.token_urlsafe(32) for name in lacking}
                _write(path, found)
    except OSError as error:
        raise Unavailable(f"The demo's secrets in {path} cannot be used: {error.strerror or error}.") from error
    return {name: found[name] for name in names}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make processes that start together take turns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, str]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        values = None
    if not isinstance(values, Mapping) or not all(isinstance(value, str) for value in values.values()):
        raise Unavailable(f"The demo's secrets in {path} are damaged: delete the file, and new ones are made.")
    return dict(values)


def _write(path: Path, values: Mapping[str, str]) -> None:
    """Put the file there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")  # readable by its owner only
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2, sort_keys=True)
    os.replace(name, path)
