"""The measurement of the desk, played small against the real server: it must keep up with the desk's pages."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from bench import desk
from bench.desk import DeskPlan
from bench.processes import free_port
from bench.stage import Stage
from bot.app import build, web
from tests.fakes.engine import ScriptedEngine


@dataclass
class Running:
    """A server in this process."""

    stage: Stage

    def processor_seconds(self) -> float:
        """Of no interest here."""
        return 0.0


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Running]:
    """The whole application on a stage of its own, with an engine that says what it is told to."""
    stage = Stage(folder / "stage", folder / "models", port=free_port())
    app = build(stage.settings, engine=ScriptedEngine())
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    listener = socket.socket()
    listener.bind(("127.0.0.1", stage.settings.port))
    server = Server(uvicorn.Config(web(app), ws="none", log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert started.wait(30)
        yield Running(stage)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        app.close()
        stage.close()


def test_every_message_and_every_answer_is_timed(tmp_path: Path) -> None:
    plan = DeskPlan(repeats=1, seconds=4, agents=2, chats=2, waiting=1, browser=False)
    figures = desk.measure(running(tmp_path), plan)
    assert (figures.pages, figures.chats, figures.to_screen) == (6, 2, [])
    assert len(figures.to_agent[0]) == len(figures.to_customer[0]) >= 1
    assert all(0 < seconds < 30 for seconds in (*figures.to_agent[0], *figures.to_customer[0]))
