"""The widget's HTTP routes: sessions, messages, the event stream, files and receipts."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sse_starlette import EventSourceResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from bot.channels.arrivals import MESSAGES_PER_MINUTE, UPLOADS_PER_HOUR, admit_message, keep_file
from bot.channels.widget import schemas, sessions
from bot.channels.widget.links import SignedLinks
from bot.conversation import history
from bot.conversation.gateway import Gateway
from bot.conversation.locks import next_hints
from bot.conversation.messages import AttachmentView, InboundMessage, MessageView, Reply
from bot.errors import InvalidInput, NotAuthenticated, NotFound, TooLarge, UnknownBrand
from bot.policy.facts import Facts
from bot.policy.pack import Pack, Upload
from bot.policy.wording import render
from bot.services.attachments import read_attachment
from bot.services.identity import IdentityService
from bot.services.ports import Clock
from bot.services.receipts import receipt_view, style_source
from bot.store.unit_of_work import Store, UnitOfWork

PREFIX = "/api/widget/v1"
MAX_BODY = 256 * 1024  # bytes of a JSON request; far over any honest one
_FORM_ROOM = 64 * 1024  # bytes of an upload beside the file itself
_POLL_SECONDS = 15.0  # the stream looks at the store at least this often, should a hint get lost
_PAGE = 200
_IDENTIFIER = re.compile(schemas.ID["pattern"])


@dataclass(frozen=True)
class Limits:
    """How much one conversation may send; new ones are limited by network address, in `sessions`."""

    messages_per_minute: int = MESSAGES_PER_MINUTE
    uploads_per_hour: int = UPLOADS_PER_HOUR


@dataclass(frozen=True)
class WidgetDeps:
    """Everything the API needs."""

    store: Store
    gateway: Gateway
    identity: IdentityService
    packs: Mapping[str, Pack]
    clock: Clock
    links: SignedLinks
    greeting: Callable[[Pack], Reply]
    limits: Limits = Limits()


def routes(deps: WidgetDeps) -> list[BaseRoute]:
    """The API's routes, under `/api/widget/v1`."""
    api = _Api(deps)
    return [
        Route(f"{PREFIX}/openapi.json", api.openapi),
        Route(f"{PREFIX}/brands/{{brand}}", api.brand),
        Route(f"{PREFIX}/sessions", api.open_session, methods=["POST"]),
        Route(f"{PREFIX}/messages", api.messages, methods=["GET", "POST"]),
        Route(f"{PREFIX}/stream", api.stream),
        Route(f"{PREFIX}/typing", api.typing, methods=["POST"]),
        Route(f"{PREFIX}/read", api.read, methods=["POST"]),
        Route(f"{PREFIX}/files", api.upload, methods=["POST"]),
        Route(f"{PREFIX}/files/{{id}}", api.file),
        Route(f"{PREFIX}/receipts/{{id}}", api.receipt),
    ]


class _Api:
    def __init__(self, deps: WidgetDeps) -> None:
        self._deps = deps

    # --- routes --------------------------------------------------------------------------------------------------

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(schemas.openapi(PREFIX))

    async def brand(self, request: Request) -> Response:
        return JSONResponse(self._brand(self._pack(request.path_params["brand"])))

    async def open_session(self, request: Request) -> Response:
        body = schemas.check("session", await _json(request))
        pack = self._pack(body["brand"])
        greeting = self._deps.greeting(pack)
        opened = await self._deps.store.writing(
            lambda uow: sessions.open_session(
                uow,
                self._deps.identity,
                brand=pack.brand.id,
                brand_name=pack.brand.name,
                jwt=body.get("identity"),
                token=_bearer(request),
                address=request.client.host if request.client else "",
                greeting=[greeting],
                unknown=Reply(" ".join(render(pack.texts["unknown_account"], pack.brand, Facts({})))),
                now=self._deps.clock.now(),
            )
        )
        conversation_id = opened.conversation_id
        messages = await self._messages(conversation_id, 0)
        speaker = await self._deps.store.reading(
            lambda uow: self._deps.identity.speaker(uow, conversation_id, now=self._deps.clock.now())
        )
        return JSONResponse(
            {
                "token": opened.token,
                "conversation_id": conversation_id,
                "messages": messages,
                "brand": self._brand(pack),
                "customer": {"name": speaker.name} if speaker else None,
            },
            201,
        )

    async def messages(self, request: Request) -> Response:
        return await (self._send(request) if request.method == "POST" else self._list(request))

    async def _send(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        body = schemas.check("message", await _json(request))
        files = tuple(body.get("files", ()))
        most = (await self._uploads(conversation_id)).max_files if files else 0

        def admit(uow: UnitOfWork) -> None:
            if len(set(files)) > most:
                raise InvalidInput(f"At most {most} files go with one message. Please send the others with the next.")
            most_said = self._deps.limits.messages_per_minute
            admit_message(uow, conversation_id, now=self._deps.clock.now(), per_minute=most_said)

        exchange = await self._deps.gateway.receive(
            InboundMessage(
                conversation_id=conversation_id,
                channel=sessions.CHANNEL,
                external_id=f"{conversation_id}:{body['client_id']}",
                text=body.get("text", ""),
                button_id=body.get("button"),
                attachment_ids=files,
            ),
            admit=admit,
        )
        if exchange.replies:
            await self._delivered(conversation_id, exchange.replies[-1].seq)
        return JSONResponse(
            {"message": self._message(exchange.message), "replies": [self._message(m) for m in exchange.replies]}, 202
        )

    async def _list(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        messages = await self._messages(conversation_id, _number("after", request.query_params.get("after", "0")))
        return JSONResponse({"messages": messages})

    async def stream(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        after = _number("Last-Event-ID", request.headers.get("last-event-id") or request.query_params.get("after", "0"))
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return EventSourceResponse(self._events(request, conversation_id, after), ping=20)

    async def typing(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        await self._deps.gateway.customer_typing(conversation_id)
        return Response(status_code=204)

    async def read(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        body = schemas.check("read", await _json(request))
        await self._deps.gateway.customer_read(conversation_id, body["seq"])
        return Response(status_code=204)

    async def upload(self, request: Request) -> Response:
        conversation_id = await self._conversation(request)
        limits = await self._uploads(conversation_id)
        name, content = await _file(request, limits.max_bytes)

        kept = await self._deps.store.writing(
            lambda uow: keep_file(
                uow,
                conversation_id,
                name=name,
                content=content,
                upload=limits,
                now=self._deps.clock.now(),
                per_hour=self._deps.limits.uploads_per_hour,
            )
        )
        return JSONResponse({"id": kept.id, "name": kept.name, "media_type": kept.media_type, "size": kept.size}, 201)

    async def file(self, request: Request) -> Response:
        identifier = _identifier(request)
        conversation_id = await self._seen_from(request, "file", identifier)
        view, content = await self._deps.store.reading(
            lambda uow: read_attachment(uow, identifier, conversation_id=conversation_id)
        )
        how = "inline" if view.media_type.startswith("image/") else "attachment"
        return Response(
            content,
            media_type=view.media_type,
            headers={
                "Content-Disposition": _disposition(how, view.name),
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "private, max-age=86400",
            },
        )

    async def receipt(self, request: Request) -> Response:
        identifier = _identifier(request)
        wanted = request.query_params.get("format", "html")
        if wanted not in ("html", "txt"):
            raise InvalidInput("“format” is html or txt.")
        conversation_id = await self._seen_from(request, "receipt", identifier)
        conversation = await self._deps.store.reading(lambda uow: history.conversation(uow, conversation_id))
        customer_id = conversation.customer_id
        if customer_id is None:
            raise NotFound("There is no such receipt here.")
        view = await self._deps.store.reading(lambda uow: receipt_view(uow, identifier, customer_id=customer_id))
        headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src {style_source()}; sandbox allow-modals",
            "Cache-Control": "private, no-cache",
        }
        if wanted == "txt":
            disposition = _disposition("attachment", f"{view.reference}.txt")
            return PlainTextResponse(view.plain, headers={**headers, "Content-Disposition": disposition})
        return Response(view.html, media_type="text/html", headers=headers)

    # --- the stream ----------------------------------------------------------------------------------------------

    async def _events(self, request: Request, conversation_id: str, after: int) -> AsyncIterator[dict[str, str]]:
        """Messages in order from `after` on, and signs of life; what the client has not seen is read from the store."""
        async with self._deps.gateway.bus.listen(conversation_id) as hints:
            shown: Mapping[str, Any] = {}
            while True:
                state = await self._deps.store.reading(lambda uow: history.state_for_customer(uow, conversation_id))
                if state != shown:
                    shown = state
                    yield {"event": "state", "data": json.dumps(state)}
                while messages := await self._messages(conversation_id, after):
                    for message in messages:
                        yield {"event": "message", "id": str(message["seq"]), "data": json.dumps(message)}
                    after = messages[-1]["seq"]
                hint = await _next(hints)
                if hint == "closing":
                    return
                if hint == "typing":
                    yield {"event": "typing", "data": json.dumps({"author": "bot", "on": True})}
                if hint == "agent-typing" and shown["owner"] == "human":
                    yield {"event": "typing", "data": json.dumps({"author": "agent", "on": True})}
                if hint == "" and not await self._may_listen(request):  # asked when nothing came for a while
                    return

    # --- parts ---------------------------------------------------------------------------------------------------

    def _pack(self, brand: str) -> Pack:
        pack = self._deps.packs.get(brand)
        if pack is None:
            raise UnknownBrand(f"There is no brand “{brand[:40]}” here. Known: {', '.join(sorted(self._deps.packs))}.")
        return pack

    def _brand(self, pack: Pack) -> dict[str, Any]:
        brand = pack.brand
        return {
            "id": brand.id,
            "name": brand.name,
            "theme": dict(vars(brand.theme)),
            "greeting": self._deps.greeting(pack).text,
            "upload": {
                "max_bytes": brand.upload.max_bytes,
                "media_types": list(brand.upload.kinds),
                "max_files": brand.upload.max_files,
            },
            "contacts": dict(vars(brand.contacts)),
        }

    async def _conversation(self, request: Request) -> str:
        token = _bearer(request)
        if token is None:
            raise NotAuthenticated("Start a session first and send its token as “Authorization: Bearer …”.")
        return await self._deps.store.reading(
            lambda uow: sessions.conversation_of(uow, token, now=self._deps.clock.now())
        )

    async def _may_listen(self, request: Request) -> bool:
        try:
            await self._conversation(request)
        except NotAuthenticated:
            return False
        return True

    async def _uploads(self, conversation_id: str) -> Upload:
        conversation = await self._deps.store.reading(lambda uow: history.conversation(uow, conversation_id))
        return self._pack(conversation.brand).brand.upload

    async def _seen_from(self, request: Request, kind: str, identifier: str) -> str:
        """The conversation from which a thing is asked for: by the session's token, or by a link signed for it."""
        given = request.query_params
        if not {"in", "until", "key"} <= given.keys():
            return await self._conversation(request)
        self._deps.links.check(
            kind, identifier, given["in"], until=given["until"], key=given["key"], now=self._deps.clock.now()
        )
        return given["in"]

    async def _messages(self, conversation_id: str, after: int) -> list[dict[str, Any]]:
        views = await self._deps.store.reading(
            lambda uow: history.messages_after(uow, conversation_id, after, limit=_PAGE)
        )
        if views:
            await self._delivered(conversation_id, views[-1].seq)
        return [self._message(view) for view in views]

    async def _delivered(self, conversation_id: str, seq: int) -> None:
        if await self._deps.store.reading(lambda uow: history.undelivered(uow, conversation_id, seq)):
            await self._deps.store.writing(
                lambda uow: history.mark_delivered(uow, conversation_id, seq, now=self._deps.clock.now())
            )

    def _message(self, view: MessageView) -> dict[str, Any]:
        return {
            "seq": view.seq,
            "author": view.author,
            "name": view.name,
            "text": view.text,
            "buttons": [{"id": button.id, "title": button.title} for button in view.buttons],
            "attachments": [self._attachment(a, view.conversation_id) for a in view.attachments],
            "at": view.at.isoformat(),
        }

    def _attachment(self, attachment: AttachmentView, conversation_id: str) -> dict[str, Any]:
        query = self._deps.links.query(attachment.kind, attachment.id, conversation_id, now=self._deps.clock.now())
        return {
            "id": attachment.id,
            "name": attachment.name,
            "media_type": attachment.media_type,
            "size": attachment.size,
            "url": f"{PREFIX}/{attachment.kind}s/{attachment.id}?{query}",
        }


async def _next(hints: asyncio.Queue[str]) -> str:
    """The latest hint there is, waiting for one; empty when none came. Somebody who typed before that has finished."""
    came = await next_hints(hints, _POLL_SECONDS)
    return "closing" if "closing" in came else came[-1] if came else ""


async def _json(request: Request) -> Any:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise TooLarge(f"The request is too large: at most {MAX_BODY // 1024} kB are taken.", limit=MAX_BODY)
        return json.loads(body)
    except ClientDisconnect:
        raise InvalidInput("The connection ended before the request did.") from None
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not JSON.") from None


async def _file(request: Request, most: int) -> tuple[str, bytes]:
    """Name and content of the uploaded file, at most one byte more than `most`; never more than that is read."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidInput("Send the file as multipart/form-data, in a field called “file”.")
    room = most + _FORM_ROOM

    async def receive() -> Message:
        nonlocal room
        message = await request.receive()
        room -= len(message.get("body", b""))
        if room < 0:
            raise TooLarge(f"The file is too large: at most {most // 2**20} MB are taken.", limit=most)
        return message

    try:
        async with Request(request.scope, receive).form(max_files=1, max_fields=4) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise InvalidInput("There is no file in the field called “file”.")
            return upload.filename or "file", await upload.read(most + 1)
    except HTTPException as error:
        raise InvalidInput(f"The upload is malformed: {error.detail}") from error
    except ClientDisconnect:
        raise InvalidInput("The connection ended before the file did.") from None


def _identifier(request: Request) -> str:
    identifier = str(request.path_params["id"])
    if len(identifier) > 64 or not _IDENTIFIER.search(identifier):
        raise NotFound("There is nothing with that id here.")
    return identifier


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) >= 2**31:
        raise InvalidInput(f"“{name}” is a message number: 0 or more.")
    return int(text)


def _disposition(how: str, name: str) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
