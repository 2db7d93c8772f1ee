"""Serves an application with uvicorn on a loopback port for a test, and reads server-sent events from it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

PATIENCE = httpx.Timeout(15.0)  # seconds for what must happen, however busy the machine


@contextlib.contextmanager
def serving(application: ASGIApp) -> Iterator[str]:
    """The address of the application, served from another thread."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    server = Server(uvicorn.Config(application, ws="none", log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert ready.wait(30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    kind: str
    id: str | None
    data: Any


def events_of(response: httpx.Response) -> Iterator[Event]:
    """The events of a stream, as they come; comments are passed over."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Event(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"]))
            fields = {}


class Tab:
    """One open event stream, read as far as a test needs."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._events = events_of(response)

    def next(self) -> Event:
        """The next event; waits for it."""
        return next(self._events)

    def until(self, seq: int) -> list[Event]:
        """All events up to the message of that number."""
        read = []
        while True:
            read.append(self.next())
            if read[-1].kind == "message" and read[-1].data["seq"] == seq:
                return read

    def ended(self) -> bool:
        """Whether the server ended the stream; waits for the end, passing over what comes before."""
        with contextlib.suppress(httpx.RemoteProtocolError):  # a stopping server just hangs up
            for _ in self._events:
                pass
        return True


class Browser:
    """A browser with a session: plain requests and event streams."""

    def __init__(self, base: str, *, token: str | None = None, patience: httpx.Timeout = PATIENCE) -> None:
        self.base = base
        self.client = httpx.Client(base_url=f"{base}/api/widget/v1", timeout=patience)
        self.token = token or self.client.post("/sessions", json={"brand": "joltsms"}).json()["token"]
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, text: str, client_id: str) -> dict[str, Any]:
        """Send a message that is taken."""
        response = self.client.post("/messages", json={"client_id": client_id, "text": text})
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def messages(self) -> list[dict[str, Any]]:
        """The whole conversation."""
        messages: list[dict[str, Any]] = self.client.get("/messages").json()["messages"]
        return messages

    @contextlib.contextmanager
    def tab(self, *, last: str | None = None, query: str = "") -> Iterator[Tab]:
        """An open stream; `last` is its Last-Event-ID."""
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.client.stream("GET", f"/stream{query}", headers=headers) as response:
            yield Tab(response)
