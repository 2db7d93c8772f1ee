"""The API against requests made from its own OpenAPI document, valid and not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from bot.app import build, web
from bot.channels.widget.api import PREFIX, Limits
from bot.channels.widget.schemas import openapi
from bot.settings import Settings
from tests.conftest import Databases
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.integration.serving import Browser, serving

EXAMPLES = 60  # for each operation, valid and not
_REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
_CONFIGURATION = {
    # Parameters and headers that mean nothing are ignored, as everywhere on the web.
    "generation": {"allow-extra-parameters": False},
    "checks": {"negative_data_rejection": {"expected-statuses": _REFUSED}},
    # Which files are taken depends on what is in them, which no schema says; and a form has no other type than text.
    "operations": [
        {
            "include-path": "/files",
            "checks": {"positive_data_acceptance": {"enabled": False}, "negative_data_rejection": {"enabled": False}},
        }
    ],
}

# The stream does not end by itself: `test_stream.py` has its good and bad requests.
schema = schemathesis.openapi.from_dict(openapi(PREFIX), config=schemathesis.Config.from_dict(_CONFIGURATION)).exclude(
    path="/stream"
)


_THE_TOKEN = "Bearer the-token"  # requests are made before there is a session


@schema.auth()
class _Session:
    """Puts a token where one belongs."""

    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        return _THE_TOKEN

    def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = data


@dataclass(frozen=True)
class Served:
    """The served application, a session, and the clock that moves on with each request."""

    base: str
    token: str
    clock: FakeClock


@pytest.fixture(scope="module")
def served(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One application for all operations: bad requests must not spoil it for those after them."""
    clock = FakeClock()
    with databases.store("sqlite", "demo") as store:
        environment = {
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(tmp_path_factory.mktemp("var")),
            "DATABASE_URL": str(store.engine.url),
        }
        app = build(Settings.from_env(environment), clock=clock, engine=ScriptedEngine())
        try:
            application = web(app, limits=Limits(messages_per_minute=10**6, uploads_per_hour=10**6))
            with serving(application) as base, Browser(base) as browser:
                yield Served(base, browser.token, clock)
        finally:
            app.close()


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_request_gets_what_the_document_says(case: schemathesis.Case, served: Served) -> None:
    served.clock.advance(seconds=5)  # so that no limit on new chats is reached
    if case.headers.get("Authorization") == _THE_TOKEN:
        case.headers["Authorization"] = f"Bearer {served.token}"
    case.call_and_validate(base_url=served.base + PREFIX)
