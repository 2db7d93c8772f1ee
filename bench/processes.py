"""Starts and stops the measured servers: until when they are ready, and how much memory they hold."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_SECONDS = 0.02
_STOP_SECONDS = 20


class ProcessFailed(Exception):
    """A measured process ended early or did not get ready; `log` is the file with its output."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> float:
    """Run a command to its end; how many seconds it took. Raises ProcessFailed."""
    started = time.perf_counter()
    with log.open("ab") as output:
        code = subprocess.call(command, env={**os.environ, **env}, cwd=cwd, stdout=output, stderr=output)
    if code:
        raise ProcessFailed(f"`{' '.join(command)}` ended with {code}.", log)
    return time.perf_counter() - started


@dataclass
class Server:
    """A running process that serves HTTP."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, url: str, *, seconds: float) -> None:
        """Wait until the address answers 200. Raises ProcessFailed when it does not, or the process ends."""
        give_up = time.monotonic() + seconds
        while not _answers(url):
            if self.process.poll() is not None:
                raise ProcessFailed(f"A server ended with {self.process.returncode}.", self.log)
            if time.monotonic() > give_up:
                raise ProcessFailed(f"{url} did not answer in {seconds:.0f} s.", self.log)
            time.sleep(_LOOK_SECONDS)

    def resident_bytes(self) -> int:
        """Memory of the process and its children that is in use now."""
        return sum(int(each.memory_info().rss) for each in self._all())

    def processor_seconds(self) -> float:
        """Processor time that the process and its children have used so far."""
        used = (each.cpu_times() for each in self._all())
        return sum(float(times.user + times.system) for times in used)

    def _all(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]


@contextlib.contextmanager
def serving(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[Server]:
    """Start a server in a process group of its own, and end it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **env}, cwd=cwd, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Server(process, log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
