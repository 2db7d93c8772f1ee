"""The widget's driver: what its script does, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.app import web
from bot.channels.widget.api import PREFIX
from bot.settings import Settings
from tests.conformance.driver import Driver, Heard, Upload

_numbers = itertools.count(1)


@dataclass
class WidgetDriver(Driver):
    """A browser with the widget."""

    name = "widget"
    channel = "widget"
    token: str = ""
    client: httpx.AsyncClient = field(init=False)

    def configured(self) -> Settings:
        return self.settings

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        transport = httpx.ASGITransport(app=web(self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://widget", timeout=30) as self.client:
            body = {"brand": self.brand}
            opened = await self.client.post(f"{PREFIX}/sessions", json=body, headers=self._headers())
            self.token = opened.json()["token"]
            yield

    async def says(self, text: str, files: Sequence[Upload] = ()) -> None:
        ids = []
        for upload in files:
            form = {"file": (upload.name, upload.content, upload.media_type)}
            answer = await self.client.post(f"{PREFIX}/files", files=form, headers=self._headers())
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
        await self._send({**({"text": text} if text else {}), **({"files": ids} if ids else {})})

    async def presses(self, title: str) -> None:
        await self.presses_remembered(await self._button(title))

    async def messages(self) -> list[Heard]:
        return [
            Heard(
                message["text"],
                tuple(button["title"] for button in message["buttons"]),
                tuple(attachment["name"] for attachment in message["attachments"]),
            )
            for message in await self._all()
            if message["author"] != "customer"
        ]

    async def says_twice(self, text: str) -> None:
        body = {"client_id": f"c{next(_numbers)}", "text": text}
        await asyncio.gather(*(self._send(body) for _ in range(2)))

    def remember(self, title: str) -> Any:
        return self._known(title)

    async def presses_remembered(self, button: Any) -> None:
        await self._send({"button": button})

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _send(self, body: dict[str, Any]) -> None:
        body = {"client_id": f"c{next(_numbers)}", **body}
        answer = await self.client.post(f"{PREFIX}/messages", json=body, headers=self._headers())
        assert answer.status_code == 202, answer.text

    async def _all(self) -> list[dict[str, Any]]:
        answer = await self.client.get(f"{PREFIX}/messages", headers=self._headers())
        self._seen: list[dict[str, Any]] = answer.json()["messages"]
        return self._seen

    async def _button(self, title: str) -> str:
        await self._all()
        return self._known(title)

    def _known(self, title: str) -> str:
        for message in reversed(self._seen):
            for button in message["buttons"]:
                if button["title"].lower().startswith(title.lower()):
                    return str(button["id"])
        raise AssertionError(f"no button “{title}”")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}
