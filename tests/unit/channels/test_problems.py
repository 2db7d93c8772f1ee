"""Errors as problem documents: every code documented, nothing in them that is ours alone."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import Request

import bot
from bot.channels.problems import on_error, problem
from bot.errors import Conflict, InvalidInput, NotAuthenticated, SupportBotError, TooLarge, TooMany, Unavailable
from bot.nlu.assets import AssetMissing
from bot.settings import PROJECT

REQUEST = Request({"type": "http", "method": "GET", "path": "/api/widget/v1/messages", "headers": []})
EDGE_ONLY = {"internal", "method-not-allowed"}  # made where requests are answered, from no error of ours


def kinds(kind: type[SupportBotError] = SupportBotError) -> Iterator[type[SupportBotError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


def test_every_code_is_documented_with_its_status_and_no_other_is() -> None:
    for module in pkgutil.walk_packages(bot.__path__, "bot."):
        if not re.search(r"migrations|rasa_dialogue|nlu\.components", module.name):  # those need Rasa, and define none
            importlib.import_module(module.name)
    ours = {kind.code: kind.status for kind in kinds() if kind.__module__.startswith("bot.")}
    rows = re.findall(r"^\| (`[^|]+`) \|(?: (\d{3}) \|)?", (PROJECT / "docs" / "errors.md").read_text(), re.M)
    documented = {code: status for codes, status in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert documented.keys() == ours.keys() | EDGE_ONLY
    assert {code: int(status) for code, status in documented.items() if status and code not in EDGE_ONLY} == {
        code: ours[code] for code, status in documented.items() if status and code not in EDGE_ONLY
    }


async def body_of(error: Exception) -> tuple[int, dict[str, object], dict[str, str]]:
    response = await on_error(REQUEST, error)
    assert response.media_type == "application/problem+json"
    return response.status_code, json.loads(response.body), dict(response.headers)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput("The message is empty."), 422, "invalid-input"),
        (NotAuthenticated("Please sign in."), 401, "not-authenticated"),
        (TooMany("Wait.", retry_after=7), 429, "too-many-requests"),
        (Unavailable("Not now."), 503, "unavailable"),
        (AssetMissing("vectors.onnx is not there"), 503, "unavailable"),
        (OperationalError("SELECT secret", {"text": "secret"}, Exception("secret")), 503, "unavailable"),
        (SupportBotError("secret"), 500, "internal"),
        (RuntimeError("secret"), 500, "internal"),
    ],
)
async def test_an_error_becomes_its_problem(error: Exception, status: int, code: str) -> None:
    got, body, _ = await body_of(error)
    assert (got, body["status"], body["type"]) == (status, status, f"/problems/{code}")
    assert "secret" not in json.dumps(body)
    assert str(body["detail"]).endswith(".") or status == 503


async def test_only_what_is_for_the_caller_is_told_of_an_errors_data() -> None:
    _, body, _ = await body_of(Conflict("Used before.", key="msg_1:cancel", owner="human", status=1, type="x"))
    assert body.keys() == {"type", "title", "status", "detail"}
    assert body["status"] == 409
    _, body, _ = await body_of(TooLarge("Too long.", limit=4000))
    assert body["limit"] == 4000


async def test_the_headers_that_go_with_a_status_are_there() -> None:
    assert (await body_of(TooMany("Wait.", retry_after=7)))[2]["retry-after"] == "7"
    assert (await body_of(Unavailable("Not now.")))[2]["retry-after"] == "5"
    assert (await body_of(NotAuthenticated("Who?")))[2]["www-authenticate"] == "Bearer"


def test_a_sentence_that_quotes_half_a_character_can_still_be_sent() -> None:
    assert json.loads(problem(404, "unknown-brand", "There is no brand \ud83d here.").body)["detail"]
