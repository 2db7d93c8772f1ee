"""What every page of the desk needs: who is signed in, forms that cannot be forged, transactions, templates."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Scope

from bot.conversation.gateway import Gateway
from bot.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, SupportBotError, TooLarge
from bot.ids import new_id
from bot.policy.pack import Pack
from bot.services import agents
from bot.services import desk_words as words
from bot.services.agents import Role, SignedIn
from bot.services.attachments import AttachmentView
from bot.services.ports import Clock
from bot.services.tickets import TicketStatus
from bot.store.unit_of_work import Store, UnitOfWork

SESSION = "desk_session"
FORM = "desk_form"  # ties the sign-in form to this browser, before there is a session
SHOWN_ON_THE_PAGE = (InvalidInput, Conflict)
"""Errors that belong beside the form that caused them; others get a page of their own."""
_HERE = Path(__file__).parent
_BY_SCRIPT = "x-desk-script"
_MOST_FORM_BYTES = 64 * 1024
_MOST_FIELDS = 20
_FORM_KEY = re.compile(r"frm_[0-9a-z]{26}")
_PAGE_PATH = re.compile(r"/desk(?:/(?!sign-|static)[\w-]+){1,3}")
_DONE = {
    "note": "The note was added.",
    "status": "The status was changed.",
    "decided": "Your decision was recorded.",
    "replied": "The answer is on its way.",
    "priority": "The priority was changed.",
    "assigned": "The case was given on.",
    "merged": "This case goes on in the other one.",
    "linked": "The conversation was linked.",
    "claimed": "The conversation is yours.",
    "released": "The conversation is back in the queue.",
    "transferred": "The conversation was given away.",
    "snoozed": "Done.",
    "handed-back": "The bot has the conversation again.",
    "resolved": "Resolved. The customer is asked how it went.",
    "macro": "All steps of the macro were taken.",
    "saved": "Saved.",
    "removed": "Removed.",
    "reviewed": "Thank you. Your answer was kept for the next training.",
}
_SIGNED_OUT = "You are signed out, so nothing was changed. Sign in, then try again."
_FILTERS = ("words", "age", "due", "owner", "reason", "size")
_TIMES = ("moment", "short", "day")
_RANK = {role: place for place, role in enumerate(Role)}
T = TypeVar("T")


@dataclass(frozen=True)
class DemoAgent:
    """Whom anybody may sign in as in demo mode."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class DeskDeps:
    """Everything the desk needs; `demo` is None outside demo mode. `secure_cookies` when it is served by HTTPS."""

    store: Store
    packs: Mapping[str, Pack]
    clock: Clock
    gateway: Gateway
    secure_cookies: bool
    demo: DemoAgent | None = None


@dataclass(frozen=True)
class Uploaded:
    """A file of a form."""

    name: str
    content: bytes


@dataclass(frozen=True)
class NavItem:
    """A page that the header leads to, for people of at least that role; `section` is what the page calls itself."""

    title: str
    path: str
    section: str
    least: Role = Role.AGENT


class Desk:
    """The base that areas build their pages on; each area is a module with `routes(desk)` and, if it wants, `NAV`."""

    def __init__(self, deps: DeskDeps, nav: tuple[NavItem, ...] = ()) -> None:
        """`nav` is what the header leads to, in order."""
        self.deps = deps
        self._brands = {name: pack.brand.name for name, pack in deps.packs.items()}
        self.templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters |= {name: getattr(words, name) for name in _FILTERS}
        self.templates.filters |= {name: partial(_time, name) for name in _TIMES} | {"utc": words.moment}
        self.templates.globals |= {
            "static": _static_url,
            "brand_name": lambda brand: self._brands.get(brand, brand),
            "statuses": [status.value for status in TicketStatus],
            "nav_of": lambda me: [item for item in nav if me.agent.role in at_least(item.least)],
        }

    # --- who is there ------------------------------------------------------------------------------------------------

    def guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint, with its errors shown as pages: sign in, go back, or what was wrong with a form."""

        async def guard(request: Request) -> Response:
            try:
                return await endpoint(request)
            except NotAuthenticated:
                if request.headers.get(_BY_SCRIPT) is not None:
                    return JSONResponse({"problem": _SIGNED_OUT, "gone": True}, 401)
                return self._signed_out(request)
            except SupportBotError as error:
                if request.headers.get(_BY_SCRIPT) is not None:
                    return JSONResponse({"problem": str(error)}, error.status)
                return self.page("problem.html", status=error.status, me=None, problem=str(error))

        return guard

    async def answer(
        self, request: Request, work: Callable[[], Awaitable[None]], *, to: str, said: str = ""
    ) -> Response:
        """Do what a form asks for and lead to a page; a script gets the same as JSON and stays where it is.

        What is wrong is shown by `guarded`: beside the form by the script, otherwise on a page of its own.
        """
        await work()
        if request.headers.get(_BY_SCRIPT) is None:
            return redirect(to)
        return JSONResponse({"to": to, "said": _DONE.get(said, ""), "key": new_id("frm")})

    async def look(
        self,
        request: Request,
        read: Callable[[UnitOfWork, SignedIn, datetime], T],
        show: Callable[[T, SignedIn, datetime], Response],
        *,
        least: Role = Role.AGENT,
    ) -> Response:
        """Read as whoever is signed in, put on record that they did, then make the page. Raises as `inside` does."""

        def with_reader(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[T, SignedIn, datetime]:
            return read(uow, me, now), me, now

        return await run_in_threadpool(show, *await self.inside(request, with_reader, least=least))

    async def inside(
        self,
        request: Request,
        work: Callable[[UnitOfWork, SignedIn, datetime], T],
        *,
        least: Role = Role.AGENT,
    ) -> T:
        """Do the work as whoever is signed in, in one transaction.

        Raises NotAuthenticated, Forbidden for somebody below the role that is needed, and what the work raises.
        """
        return await self.deps.store.writing(self._as_them(request, work, least))

    async def checked(self, request: Request, work: Callable[[UnitOfWork, SignedIn, datetime], T]) -> T:
        """Look something up as whoever is signed in, where nothing is kept. Raises as `inside`."""
        return await self.deps.store.reading(self._as_them(request, work, Role.AGENT))

    def _as_them(
        self, request: Request, work: Callable[[UnitOfWork, SignedIn, datetime], T], least: Role
    ) -> Callable[[UnitOfWork], T]:
        token = request.cookies.get(SESSION, "")

        def as_them(uow: UnitOfWork) -> T:
            now = self.deps.clock.now()
            return work(uow, signed_in(uow, token, least=least, now=now), now)

        return as_them

    # --- pages -------------------------------------------------------------------------------------------------------

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A page that no cache keeps; `values` has at least `me`, None for somebody who is not signed in."""
        values = {"events": "/desk/events" if values.get("me") else None, **values}
        return HTMLResponse(self.render(template, **values), status_code=status, headers={"Cache-Control": "no-store"})

    def render(self, template: str, **values: object) -> str:
        """A page, or a part of one."""
        return self.templates.get_template(template).render(**values)

    def sign_in_page(
        self, request: Request, *, email: str = "", leads_to: str = "", problem: str | None = None, status: int = 200
    ) -> Response:
        """The form to sign in with, tied to this browser."""
        csrf = request.cookies.get(FORM) or secrets.token_urlsafe(32)
        values = {"csrf": csrf, "email": email, "leads_to": leads_to, "demo": self.deps.demo, "problem": problem}
        response = self.page("sign_in.html", status=status, me=None, **values)
        self.set_cookie(response, FORM, csrf, None)
        return response

    def set_cookie(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        """A cookie of the desk alone, out of reach for scripts and for other sites."""
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/desk",
            httponly=True,
            samesite="lax",
            secure=self.deps.secure_cookies,
        )

    def _signed_out(self, request: Request) -> Response:
        page = _PAGE_PATH.match(request.url.path)
        problem: str | None
        if request.method == "POST":
            problem = _SIGNED_OUT
        else:
            problem = "Sign in to see this page." if page else None
        response = self.sign_in_page(
            request, leads_to=page.group() if page else "", problem=problem, status=401 if problem else 200
        )
        if SESSION in request.cookies:
            response.delete_cookie(SESSION, path="/desk")
        return response


def at_least(role: Role) -> frozenset[Role]:
    """The roles that may do what that role may."""
    return frozenset(each for each in Role if _RANK[each] >= _RANK[role])


def signed_in(uow: UnitOfWork, token: str, *, least: Role = Role.AGENT, now: datetime) -> SignedIn:
    """Whose session the token is. Raises NotAuthenticated, or Forbidden for somebody below that role."""
    me = agents.agent_of(uow, token, now=now)
    if me is None:
        raise NotAuthenticated("Sign in first.")
    if me.agent.role not in at_least(least):
        raise Forbidden(f"This page is for {least.value}s. Ask one of them, or an admin for the role.")
    return me


def _time(form: str, at: datetime) -> Markup:
    """A time as pages have it: in UTC, and by the script in the zone of whoever looks."""
    said = getattr(words, form)(at)
    title = words.moment(at)
    return Markup('<time datetime="{}" data-time="{}" title="{}">{}</time>').format(at.isoformat(), form, title, said)


class Static(StaticFiles):
    """The desk's own files, kept a year under the address that carries their digest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        response = await super().get_response(path, scope)
        named = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return response


def _static_url(name: str) -> str:
    digest = hashlib.sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/desk/static/{name}?v={digest}"


# --- forms -----------------------------------------------------------------------------------------------------------


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, of each name the last. Raises InvalidInput, TooLarge."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise InvalidInput("Send this as an ordinary form.")
    body, length = b"", 0
    async for chunk in request.stream():  # to the end, because a browser shows no answer before it has sent all
        length += len(chunk)
        if length <= _MOST_FORM_BYTES:
            body += chunk
    if length > _MOST_FORM_BYTES:
        raise TooLarge(f"That is too long: at most {_MOST_FORM_BYTES // 1024} kB are taken. Nothing was changed.")
    try:
        fields = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput("This form has too many fields.") from error
    return dict(fields)


async def read_upload(request: Request, *, most_files: int, most_bytes: int) -> tuple[dict[str, str], list[Uploaded]]:
    """The fields and the files of a form that can carry files; empty ones are left out. Raises InvalidInput, TooLarge.

    What is too large is read to its end and not kept, because a browser shows no answer before it has sent all.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_form(request), []
    room = most_files * most_bytes + _MOST_FORM_BYTES
    over = TooLarge(
        f"That is too long: at most {_MOST_FORM_BYTES // 1024} kB of text and {most_files} files of "
        f"{most_bytes // 2**20} MB go with one reply. Nothing was sent."
    )
    last: Message = {}

    async def receive() -> Message:
        nonlocal room, last
        last = await request.receive()
        room -= len(last.get("body", b""))
        if room < 0:
            raise over
        return last

    try:
        async with Request(request.scope, receive).form(max_files=most_files, max_fields=_MOST_FIELDS) as form:
            fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            sent = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            return fields, [Uploaded(each.filename or "file", await each.read()) for each in sent if each.size]
    except HTTPException as error:
        while last.get("more_body"):
            last = await request.receive()
        raise over from error
    except TooLarge:
        while last.get("more_body"):
            last = await request.receive()
        raise
    except ClientDisconnect:
        raise InvalidInput("The connection ended before everything was sent. Nothing was changed.") from None


def check_csrf(me: SignedIn, form: Mapping[str, str]) -> None:
    """Raises Forbidden for a form that this session was not given."""
    if not same(form.get("csrf", ""), me.csrf):
        raise Forbidden("This form is from another sign-in, so nothing was changed. Open the page again and repeat it.")


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in the same time whether or not they are; an empty one never is."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def form_key(me: SignedIn, form: Mapping[str, str], content: str) -> str:
    """The idempotency key of a form: sent again it is the same, with other content it is another."""
    key = form.get("key", "")
    if not _FORM_KEY.fullmatch(key):
        raise InvalidInput("This form is incomplete, so nothing was changed. Open the page again and repeat it.")
    return f"desk:{me.agent.id}:{key}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def file_response(view: AttachmentView, content: bytes) -> Response:
    """A customer's file: shown if it is an image, otherwise to be kept; nothing in it runs."""
    how = "inline" if view.media_type.startswith("image/") else "attachment"
    name = re.sub(r"[^ !#-\[\]-~]", "_", view.name)
    headers = {
        "Content-Disposition": f'{how}; filename="{name}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=view.media_type, headers=headers)


def done(request: Request) -> str | None:
    """What was just done, for the page that a form leads to."""
    return _DONE.get(request.query_params.get("done", ""))


def redirect(to: str) -> Response:
    """Lead to a page after a form."""
    return RedirectResponse(to, status_code=303, headers={"Cache-Control": "no-store"})


def page_path(path: str) -> str | None:
    """The path if it is one of the desk's pages, to which signing in may lead."""
    return path if _PAGE_PATH.fullmatch(path) else None
