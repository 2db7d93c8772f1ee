"""The real server in a process of its own, on a database of its own, that a test may kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from bot.settings import PROJECT

_READY_SECONDS = 180.0  # on a busy machine


class Served:
    """`supportbot run` in demo mode on a free loopback port."""

    def __init__(self, folder: Path, models: Path, demo_file: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = f"sqlite:///{shutil.copy(demo_file, folder)}"
        self._log = folder / "server.log"
        self._environment = {
            **os.environ,
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(folder),
            "DATABASE_URL": self.database_url,
            "SUPPORTBOT_MODELS": str(models),
            "SUPPORTBOT_PUBLIC_URL": self.url,
            "PORT": str(self.port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "supportbot"), "run"],
                env=self._environment,
                cwd=PROJECT,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self._log.read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError(f"the server did not become ready:\n{self._log.read_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
