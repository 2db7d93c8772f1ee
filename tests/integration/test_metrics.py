"""Who may read the metrics."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from bot.app import App, web

_TOKEN = "an-operator-token-that-is-long-enough"


@pytest.mark.parametrize(
    ("token", "header", "status"),
    [
        (None, {}, 200),
        (_TOKEN, {}, 401),
        (_TOKEN, {"Authorization": "Bearer something else"}, 401),
        (_TOKEN, {"Authorization": f"Bearer {_TOKEN}"}, 200),
    ],
)
async def test_metrics_are_open_unless_there_is_an_operator_token(
    app: App, token: str | None, header: dict[str, str], status: int
) -> None:
    app.settings = replace(app.settings, operator_token=token)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web(app)), base_url="http://test") as client:
        response = await client.get("/metrics", headers=header)
    assert response.status_code == status
    assert ("supportbot_turns_total" in response.text) == (status == 200)
