"""The webhook that mail services hand mail to: signed, small enough, taken in once and answered at once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.errors import NotFound, TooLarge, UnsignedMail
from bot.policy.pack import Pack
from bot.services import mail_threads
from bot.services.mail_parsing import IncomingMail, read_mail
from bot.services.mail_threads import Arrival, Arrived
from bot.services.ports import Clock
from bot.store.unit_of_work import Store

PATH = "/inbound/mail"
SIGNATURE = "X-Supportbot-Signature"
MOST_BYTES = 25 * 1024 * 1024
TOLERANCE = 300  # seconds that a signature may be old, or a sender's clock ahead
_SIGNED = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True)
class InboundDeps:
    """What taking mail in needs; without a `secret` nothing is taken. `tell` lets desks know of a case that changed."""

    store: Store
    packs: Mapping[str, Pack]
    clock: Clock
    secret: str | None = field(repr=False)
    tell: Callable[[str], Awaitable[None]]


def routes(deps: InboundDeps) -> list[BaseRoute]:
    """The webhook."""

    async def take(request: Request) -> Response:
        if deps.secret is None:
            raise NotFound("There is nothing at this address.")
        body = await _body(request)
        check(deps.secret, request.headers, body, now=deps.clock.now())
        media_type = request.headers.get("content-type", "message/rfc822").split(";")[0].strip().lower()
        arrival = await run_in_threadpool(_take, deps, body, media_type)
        if arrival.ticket_id is not None and arrival.outcome is not Arrived.KNOWN:
            await deps.tell(arrival.ticket_id)
        return JSONResponse({"outcome": arrival.outcome.value, "ticket": arrival.reference, "why": arrival.why})

    return [Route(PATH, take, methods=["POST"])]


def take_in(store: Store, packs: Mapping[str, Pack], mail: IncomingMail, *, now: datetime) -> Arrival:
    """Take one mail in, in a transaction of its own; handed over twice at once it is still taken once."""
    for attempt in (1, 2):
        try:
            with store.write() as uow:
                arrival = mail_threads.receive(uow, mail, packs=packs, now=now)
                uow.commit()
                return arrival
        except IntegrityError:
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def sign(secret: str, body: bytes, *, now: datetime) -> str:
    """The value of the signature's header for a body sent now."""
    moment = str(int(now.timestamp()))
    return f"t={moment},v1={_digest(secret, moment, body)}"


def check(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raise UnsignedMail unless the body is signed with the secret lately, or the secret is the password of HTTP Basic.

    The second is for mail services that cannot sign.
    """
    signed = _SIGNED.fullmatch(headers.get(SIGNATURE, ""))
    if signed is not None:
        fresh = abs(now.timestamp() - int(signed[1])) <= TOLERANCE
        if fresh and hmac.compare_digest(signed[2], _digest(secret, signed[1], body)):
            return
        raise UnsignedMail("The signature is wrong or too old.")
    if hmac.compare_digest(_basic_password(headers.get("authorization", "")).encode(), secret.encode()):
        return
    raise UnsignedMail(f"Sign the mail in {SIGNATURE}, or send the secret as the password of HTTP Basic.")


def _digest(secret: str, moment: str, body: bytes) -> str:
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def _basic_password(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode(errors="replace").partition(":")[2]
    except binascii.Error:
        return ""


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge(f"A mail may have at most {MOST_BYTES // 1024 // 1024} MB.", limit=MOST_BYTES)
    return bytes(body)


def _take(deps: InboundDeps, body: bytes, media_type: str) -> Arrival:
    return take_in(deps.store, deps.packs, read_mail(body, media_type), now=deps.clock.now())
