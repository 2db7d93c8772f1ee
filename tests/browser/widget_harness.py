"""A small stand-in for the widget's API, with switches for everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

STATIC = Path(__file__).parents[2] / "bot" / "web" / "static"
API = "/api/widget/v1"
STRICT_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
BRAND: dict[str, Any] = {
    "id": "joltsms",
    "name": "JoltSMS",
    "theme": {
        "primary": "#5b3df5",
        "on_primary": "#ffffff",
        "title": "JoltSMS help",
        "subtitle": "Ask about numbers and refunds",
    },
    "greeting": "Ask about your numbers, renewals, refunds, or a number that gets no texts.",
    "upload": {
        "max_bytes": 1_000_000,
        "media_types": ["image/png", "image/jpeg", "application/pdf", "text/plain"],
        "max_files": 3,
    },
    "contacts": {"email": "help@jolt.example", "help_center": "https://help.jolt.example"},
}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Help center</title>
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<link rel="stylesheet" href="/host.css">{script}</head>
<body><main><h1>Refunds and cancellations</h1><p>How to stop a number from renewing, and what can be refunded.</p>
<p><a href="/?again">Another article</a></p></main></body></html>"""
HOST_CSS = """*{box-sizing:content-box;letter-spacing:1px}button,textarea{background:red;font:9px monospace}
html{background:Canvas;color:CanvasText;color-scheme:light dark}
body{margin:0;font:18px/1.6 Georgia,serif}main{max-width:640px;margin:48px auto;padding:0 24px}"""
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkqPpfDwADfAHsSN9ZAAAAAElFTkSuQmCC")


def jwt(sub: str, *, name: str = "", expires_in: int = 600) -> str:
    """A token in the shape of a JWT, as a host site would sign it."""
    claims = {"sub": sub, "name": name or sub.split("@")[0].title(), "exp": int(time.time()) + expires_in}
    parts = ({"alg": "HS256"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@dataclass
class Conversation:
    """One thread with everything the fake knows about it."""

    id: str
    sub: str | None = None
    name: str | None = None
    owner: str = "bot"
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    listeners: list[asyncio.Queue[tuple[str, dict[str, Any]] | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """A request the fake received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeSupport:
    """The API as the widget sees it; tests turn its switches from their own thread."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.conversations: list[Conversation] = []
        self.tokens: dict[str, Conversation] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.fail_messages: list[str] = []  # "before": refuse, "after": accept, but the answer gets lost, "429", "422"
        self.streams_down = False
        self.api_down = False
        self.delay = 0.0
        self.brand: dict[str, Any] = json.loads(json.dumps(BRAND))
        self.script: Callable[[str], list[dict[str, Any]]] = lambda text: [{"text": f"You wrote: {text}"}]
        self.loop: asyncio.AbstractEventLoop | None = None
        self._numbers = itertools.count(1)
        routes = [
            Route("/", self._page),
            Route("/bare", self._bare),
            Route("/host.css", lambda request: Response(HOST_CSS, media_type="text/css")),
            Route("/widget.js", lambda request: FileResponse(STATIC / "widget.js", media_type="text/javascript")),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/picture.png", lambda request: Response(PIXEL, media_type="image/png")),
            Route(f"{API}/brands/{{brand}}", self._brand),
            Route(f"{API}/sessions", self._sessions, methods=["POST"]),
            Route(f"{API}/messages", self._list),
            Route(f"{API}/messages", self._post, methods=["POST"]),
            Route(f"{API}/stream", self._stream),
            Route(f"{API}/files", self._files, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes, exception_handlers={HTTPException: self._problem})

    # -- switches and looks, from the test's thread

    def say(self, text: str = "", *, author: str = "agent", name: str = "Maya Lind", **more: Any) -> None:
        """A message of its own accord in the newest conversation."""
        self._in_loop(lambda: self._append(self.conversations[-1], author, text, name, **more))

    def signal(self, event: str, **data: Any) -> None:
        """A `typing` or `state` event in the newest conversation."""
        self._in_loop(lambda: self._publish(self.conversations[-1], event, data))

    def cut_streams(self) -> None:
        """End every open stream."""
        self._in_loop(lambda: [queue.put_nowait(None) for talk in self.conversations for queue in talk.listeners])

    def revoke(self) -> None:
        """Make every token given out so far worthless."""
        self.tokens.clear()

    def posts(self, path: str) -> list[Seen]:
        """The POST requests to `path`, oldest first."""
        return [seen for seen in self.seen if seen.method == "POST" and seen.path == API + path]

    def streams(self) -> list[Seen]:
        """The stream requests, oldest first."""
        return [seen for seen in self.seen if seen.path == f"{API}/stream"]

    def _in_loop(self, action: Callable[[], Any]) -> None:
        assert self.loop is not None
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (action(), done.set()))
        assert done.wait(5)

    # -- pages

    async def _page(self, request: Request) -> Response:
        return self._html('<script src="/widget.js" data-brand="joltsms" async></script>')

    async def _bare(self, request: Request) -> Response:
        return self._html('<script src="/widget.js" async></script>')

    def _html(self, script: str) -> Response:
        return HTMLResponse(PAGE.format(script=script), headers={"Content-Security-Policy": STRICT_CSP})

    # -- the API

    def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        body = {"type": "about:blank", "title": "Problem", "detail": error.detail, "status": error.status_code}
        return JSONResponse(body, error.status_code, media_type="application/problem+json", headers=error.headers)

    async def _note(self, request: Request, body: Any = None) -> None:
        self.seen.append(Seen(request.method, request.url.path, dict(request.headers), body))
        if self.api_down:
            raise HTTPException(503, "The service is being restarted.")

    def _conversation(self, request: Request) -> Conversation:
        talk = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if talk is None:
            raise HTTPException(401, "This session has ended.")
        return talk

    async def _brand(self, request: Request) -> Response:
        await self._note(request)
        if request.path_params["brand"] != "joltsms":
            raise HTTPException(404, "There is no brand of this name.")
        return JSONResponse(self.brand)

    async def _sessions(self, request: Request) -> Response:
        body = await request.json()
        await self._note(request, body)
        claims = None
        if identity := body.get("identity"):
            claims = json.loads(base64.urlsafe_b64decode(identity.split(".")[1] + "=="))
            if claims["exp"] < time.time():
                raise HTTPException(401, "The proof of identity is out of date.")
        talk = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        sub = claims["sub"] if claims else None
        if talk is None or (sub and talk.sub not in (None, sub)):
            talk = next((known for known in self.conversations if sub and known.sub == sub), None)
        if talk is None:
            talk = Conversation(f"c{next(self._numbers)}")
            self.conversations.append(talk)
        if claims:
            talk.sub, talk.name = sub, claims["name"]
        token = f"token-{next(self._numbers)}"
        self.tokens[token] = talk
        customer = {"name": talk.name} if talk.name else None
        answer = {
            "token": token,
            "conversation_id": talk.id,
            "messages": talk.messages,
            "brand": self.brand,
            "customer": customer,
        }
        return JSONResponse(answer, 201)

    async def _list(self, request: Request) -> Response:
        await self._note(request)
        after = int(request.query_params.get("after", 0))
        return JSONResponse({"messages": [m for m in self._conversation(request).messages if m["seq"] > after]})

    async def _post(self, request: Request) -> Response:
        body = await request.json()
        await self._note(request, body)
        talk = self._conversation(request)
        failure = self.fail_messages.pop(0) if self.fail_messages else ""
        if failure == "before":
            raise HTTPException(503, "The service is being restarted.")
        if failure == "422":
            raise HTTPException(422, "This button is no longer valid.")
        if failure == "429":
            raise HTTPException(429, "That was a lot at once.", headers={"Retry-After": "1"})
        if body["client_id"] not in talk.answers:
            button = next((b for m in talk.messages for b in m["buttons"] if b["id"] == body.get("button")), None)
            text = body.get("text") or (button or {}).get("title", "")
            attachments = [self.files[id] for id in body.get("files", [])]
            message = self._append(talk, "customer", text, talk.name or "You", attachments=attachments)
            if self.delay:
                self._publish(talk, "typing", {"author": "bot", "on": True})
                await asyncio.sleep(self.delay)
            spoken = self.script(text or "a file") if talk.owner == "bot" else []
            replies = [self._append(talk, "bot", name="Jolt assistant", **reply) for reply in spoken]
            talk.answers[body["client_id"]] = {"message": message, "replies": replies}
        if failure == "after":
            raise HTTPException(502, "The answer got lost.")
        return JSONResponse(talk.answers[body["client_id"]], 202)

    async def _files(self, request: Request) -> Response:
        form = await request.form()
        upload: Any = form["file"]
        content = await upload.read()
        await self._note(request, {"name": upload.filename, "size": len(content)})
        self._conversation(request)
        number = f"f{next(self._numbers)}"
        info = {"id": number, "name": upload.filename, "media_type": upload.content_type, "size": len(content)}
        self.files[number] = info | {"url": "/picture.png"}
        await form.close()
        return JSONResponse(info, 201)

    async def _stream(self, request: Request) -> Response:
        await self._note(request)
        talk = self._conversation(request)
        if self.streams_down:
            raise HTTPException(503, "No streams now.")
        after = int(request.headers.get("last-event-id", 0))
        return StreamingResponse(self._events(talk, after), media_type="text/event-stream")

    async def _events(self, talk: Conversation, after: int) -> AsyncIterator[str]:
        queue: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        for message in talk.messages:
            if message["seq"] > after:
                queue.put_nowait(("message", message))
        queue.put_nowait(("state", {"owner": talk.owner}))
        talk.listeners.append(queue)
        try:
            yield ": hello\r\n\r\n"
            while (item := await queue.get()) is not None:
                event, data = item
                number = f"id: {data['seq']}\r\n" if event == "message" else ""
                yield f"event: {event}\r\n{number}data: {json.dumps(data)}\r\n\r\n"
        finally:
            talk.listeners.remove(queue)

    def _append(self, talk: Conversation, author: str, text: str = "", name: str = "", **more: Any) -> dict[str, Any]:
        at = datetime.now(timezone.utc).isoformat()
        message = {
            "seq": len(talk.messages) + 1,
            "author": author,
            "name": name,
            "text": text,
            "buttons": [],
            "attachments": [],
            "at": at,
        }
        message |= more
        talk.messages.append(message)
        self._publish(talk, "message", message)
        return message

    def _publish(self, talk: Conversation, event: str, data: dict[str, Any]) -> None:
        if event == "state":
            talk.owner = data["owner"]
        for queue in talk.listeners:
            queue.put_nowait((event, data))


@contextmanager
def serving(fake: FakeSupport) -> Iterator[str]:
    """Serve the fake on a free loopback port while the block runs; gives the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(fake.app, log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=1)
    )
    started = threading.Event()

    async def serve() -> None:
        fake.loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(server.serve([listener]))
        started.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fake widget API")
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        fake.cut_streams()
        server.should_exit = True
        thread.join(10)
        listener.close()
