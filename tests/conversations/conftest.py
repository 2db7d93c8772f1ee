"""Conversation tests: they talk to the whole application of `tests.app_fixtures`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.app import App
from tests.conversations.chat import Chat


@pytest.fixture
def chat(app: App) -> Callable[..., Chat]:
    """Starts conversations: `chat()` anonymous, `chat("ava@jolt.example")` signed in."""

    def start(as_email: str | None = None, *, brand: str = "joltsms") -> Chat:
        return Chat(app, brand=brand, as_email=as_email)

    return start
