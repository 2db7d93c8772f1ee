"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.requests import Request
from starlette.responses import JSONResponse

from bot.errors import SupportBotError, Unavailable

log = structlog.get_logger("supportbot.http")
PROBLEM_TYPES = "/problems/"  # documented in docs/errors.md
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Not a kind we take",
    422: "Invalid input",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "Not available right now",
}
_EXTENSIONS = ("limit", "retry_after")  # of an error's data; the rest is for us only
_SOON = MappingProxyType({"retry_after": 5})


def problem(status: int, code: str, detail: str, data: Mapping[str, object] = MappingProxyType({})) -> JSONResponse:
    """One problem document; `detail` is a sentence for the person at the other end, `data` what the error knows."""
    body = {
        "type": PROBLEM_TYPES + code,
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail.encode(errors="replace").decode(),  # it may quote half a surrogate pair
        **{name: data[name] for name in _EXTENSIONS if name in data},
    }
    headers = {"Retry-After": str(data["retry_after"])} if "retry_after" in data else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Our own errors with their sentence; anything else is logged and told without its inner workings."""
    if isinstance(error, SupportBotError) and error.status < 500:
        return problem(error.status, error.code, str(error), error.data)
    if isinstance(error, Unavailable):
        return problem(503, Unavailable.code, str(error), _SOON)
    log.error("request failed", path=request.url.path, exc_info=error)
    if isinstance(error, (OperationalError, NoFreeConnection)):
        sentence = "A part that we need does not answer right now. Please try again in a moment."
        return problem(503, Unavailable.code, sentence, _SOON)
    return problem(500, "internal", "Something broke on our side. Nothing was lost; please try again in a moment.")
