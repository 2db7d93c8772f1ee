"""Serves the web application with uvicorn: one process, ended gently."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from bot.errors import Unavailable

_GRACE_SECONDS = 10


def serve(
    app: ASGIApp, sockets: Sequence[socket.socket], *, trusted_proxies: Sequence[str], ready: Callable[[], None]
) -> None:
    """Serve until asked to stop (SIGINT, SIGTERM); `ready` is called once requests are answered.

    Requests that are being answered then get ten seconds to end. Who asks is read from X-Forwarded-For where one of
    `trusted_proxies` says so, and nowhere else. Raises Unavailable if the application cannot start.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",  # Rasa's Sanic pins a websockets that uvicorn cannot use, and nothing here speaks WebSocket
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        proxy_headers=bool(trusted_proxies),  # anybody can send X-Forwarded-For
        forwarded_allow_ips=list(trusted_proxies),
    )
    server = _Server(config, ready)
    server.run(list(sockets))
    if not server.started:
        raise Unavailable("The server could not start; the log says why.")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop when asked. Uvicorn would raise the signal again afterwards, and stopping look like a failure."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
