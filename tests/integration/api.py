"""A visitor of the widget's API in a test, and the checks that every answer must pass."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from bot.app import App
from bot.channels.widget.schemas import openapi
from bot.settings import PROJECT

PREFIX = "/api/widget/v1"
_DOCUMENT = openapi(PREFIX)
_DOCUMENTED = frozenset(re.findall(r"`([a-z-]+)`", (PROJECT / "docs" / "errors.md").read_text()))
_numbers = itertools.count(1)


def check_shape(name: str, body: object) -> None:
    """The body has that schema's shape, as the OpenAPI document shows it."""
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": _DOCUMENT["components"]}).validate(body)


def check_problem(response: httpx.Response, status: int, code: str) -> str:
    """The response is that problem, documented, and says nothing of our inner workings; returns its sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    check_shape("Problem", body)
    assert (body["type"], body["status"]) == (f"/problems/{code}", status)
    assert code in _DOCUMENTED
    assert not re.search(r"Traceback|sqlalchemy|psycopg2|File \"", response.text)
    assert re.match(r"[A-Z“].*[.!?…]$", body["detail"], re.DOTALL), body["detail"]
    return str(body["detail"])


@dataclass
class Visitor:
    """Somebody with the widget open."""

    client: httpx.AsyncClient
    app: App
    token: str = ""
    conversation_id: str = ""
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The session's token."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def jwt(self, email: str) -> str:
        """What the host site would sign."""
        return self.app.identity.issue_demo_token("joltsms", email, now=self.app.clock.now())

    async def open(self, email: str | None = None) -> Visitor:
        """Start a session or go on with it; returns the visitor."""
        body = {"brand": "joltsms", **({"identity": self.jwt(email)} if email else {})}
        response = await self.client.post(f"{PREFIX}/sessions", json=body, headers=self.headers)
        assert response.status_code == 201, response.text
        self.session = response.json()
        check_shape("Session", self.session)
        self.token, self.conversation_id = self.session["token"], self.session["conversation_id"]
        return self

    async def post(self, path: str, **more: Any) -> httpx.Response:
        """POST with the token."""
        return await self.client.post(PREFIX + path, **{"headers": self.headers, **more})

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """GET with the token."""
        return await self.client.get(
            path if path.startswith("/") and "/api/" in path else PREFIX + path, **more, headers=self.headers
        )

    async def send(self, text: str | None = None, *, client_id: str | None = None, **more: Any) -> httpx.Response:
        """Send a message, whatever comes of it."""
        body = {"client_id": client_id or f"c-{next(_numbers)}", **({} if text is None else {"text": text}), **more}
        return await self.post("/messages", json=body)

    async def say(self, text: str | None = None, **more: Any) -> dict[str, Any]:
        """Send a message that is taken."""
        response = await self.send(text, **more)
        assert response.status_code == 202, response.text
        check_shape("Exchange", response.json())
        exchange: dict[str, Any] = response.json()
        return exchange

    async def messages(self, after: int = 0) -> list[dict[str, Any]]:
        """What there is after a number."""
        response = await self.get(f"/messages?after={after}")
        assert response.status_code == 200, response.text
        check_shape("Messages", response.json())
        messages: list[dict[str, Any]] = response.json()["messages"]
        return messages

    async def upload(self, name: str, content: bytes) -> httpx.Response:
        """Upload a file, whatever comes of it."""
        return await self.post("/files", files={"file": (name, content, "application/octet-stream")})
