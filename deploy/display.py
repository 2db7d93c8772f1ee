"""A tidy list of steps: one line each, with its progress while it runs on a terminal. Standard library only."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOGS = Path(os.environ.get("SUPPORTBOT_VAR") or "var") / "log"
_TITLE = 18
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StepFailed(Exception):
    """A step could not be done; the message says what to do, or where to read on."""


class Step:
    """What one step is at; `note` may be changed while it runs."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.note = ""


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Do a step in the block. StepFailed ends the program with its message, nothing else is caught."""
    at = Step(title)
    started = time.monotonic()
    ended = threading.Event()
    live = threading.Thread(target=_animate, args=(at, ended, started), daemon=True)
    if sys.stderr.isatty():
        live.start()
    try:
        yield at
    except StepFailed as error:
        _end(ended, live)
        _write(f"✗ {title:<{_TITLE}} {error}\n")
        raise SystemExit(1) from None
    except BaseException:
        _end(ended, live)
        raise
    _end(ended, live)
    done(title, f"{at.note:<48} {time.monotonic() - started:4.0f} s")


def done(title: str, note: str) -> None:
    """Show a step that is done already."""
    _write(f"✓ {title:<{_TITLE}} {note}\n")


def log_file(name: str) -> Path:
    """A file for a step's noise, and its folder."""
    folder = PROJECT / LOGS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def shown(path: Path) -> str:
    """A path as it is typed from the project's folder."""
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def _animate(at: Step, ended: threading.Event, started: float) -> None:
    turn = 0
    while not ended.wait(0.1):
        width = shutil.get_terminal_size().columns - 1
        line = (
            f"{_SPINNER[turn % len(_SPINNER)]} {at.title:<{_TITLE}} {at.note:<48} {time.monotonic() - started:4.0f} s"
        )
        _write(f"\r{line[:width]}\x1b[K")
        turn += 1


def _end(ended: threading.Event, live: threading.Thread) -> None:
    ended.set()
    if live.is_alive():
        live.join()
    if sys.stderr.isatty():
        _write("\r\x1b[K")


def _write(text: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    sys.stderr.write(text.encode(encoding, "replace").decode(encoding))
    sys.stderr.flush()
