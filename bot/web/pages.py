"""The demo help centers: articles, search, and in demo mode a sign-in menu and a mailbox; plus the security headers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.errors import InvalidInput, NotAuthenticated, NotFound, SupportBotError, TooLarge
from bot.services.help_center import HelpCenter, highlight, render_html

_HERE = Path(__file__).parent
_MOST_QUERY_CHARACTERS = 200
_MOST_RESULTS = 8
_LEAST_SHARE_OF_BEST = 0.3  # a result much weaker than the best only distracts
_MOST_IDENTITY_BYTES = 4_096


@dataclass(frozen=True)
class SiteBrand:
    """A brand as its help center shows it; `theme` holds `#rrggbb` colours.

    Of the theme `primary` and `on_primary` are used, and in dark mode `primary_dark` and `on_primary_dark` if given.
    """

    slug: str
    name: str
    tagline: str
    theme: Mapping[str, str]


@dataclass(frozen=True)
class DemoCustomer:
    """A customer of the demo data and one line on what to try as them."""

    name: str
    email: str
    hint: str


@dataclass(frozen=True)
class DemoMail:
    """One mail that the demo mailbox caught; `sent_at` is aware."""

    id: str
    recipient: str
    sender: str
    subject: str
    sent_at: datetime
    text: str
    html: str | None = None


@dataclass(frozen=True)
class Demo:
    """What exists in demo mode only. The callables may block: they run in a thread."""

    customers: Mapping[str, Sequence[DemoCustomer]]
    issue_demo_identity: Callable[[str, str], str]
    list_demo_mail: Callable[[], Sequence[DemoMail]]
    get_demo_mail: Callable[[str], DemoMail | None]


@dataclass(frozen=True)
class KeepPage:
    """What a reminder's link shows: a heading, sentences, and the button that keeps, if something can be kept."""

    brand: str
    title: str
    lines: tuple[str, ...]
    button: str | None = None


@dataclass(frozen=True)
class Keep:
    """The one click of a reminder. The callables take the link's token, may block, and raise NotAuthenticated."""

    offer: Callable[[str], KeepPage]
    keep: Callable[[str], KeepPage]


@dataclass(frozen=True)
class SiteDeps:
    """Everything the pages need; `demo` is None outside demo mode, and then its routes do not exist."""

    brands: Sequence[SiteBrand]
    help_center: HelpCenter
    demo: Demo | None = None
    keep: Keep | None = None


def routes(site: SiteDeps) -> list[Route | Mount]:
    """The site's routes, to be put into an application behind `security_headers`."""
    pages = _Pages(site)
    demo = [] if site.demo is None else _DemoPages(pages, site.demo).routes()
    keep = [] if site.keep is None else _KeepPages(pages, site.keep).routes()
    return [
        Route("/", pages.home),
        Route("/help/{brand}", pages.brand),
        Route("/help/{brand}/theme.css", pages.theme),
        Route("/help/{brand}/search", pages.search),
        Route("/help/{brand}/{slug}", pages.article),
        *demo,
        *keep,
        Mount("/static", _Static(directory=_HERE / "static"), name="static"),
    ]


def not_found(site: SiteDeps) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An exception handler for 404 that answers with the site's friendly page."""
    pages = _Pages(site)

    async def handler(request: Request, error: Exception) -> Response:
        return pages.missing(request)

    return handler


# --- security headers -------------------------------------------------------------------------------------------------

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}
_SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FRAMING_POLICY = "; ".join(f"{name} {value}" for name, value in {**_POLICY, "frame-src": "'self'"}.items())
_MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def security_headers(app: ASGIApp) -> ASGIApp:
    """Wrap `app` so that every HTTP response carries the security headers, unless it sets a header of its own."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await app(scope, receive, send_with_headers)

    return wrapped


# --- help pages -------------------------------------------------------------------------------------------------------


class _Pages:
    """The pages that exist in every mode."""

    def __init__(self, site: SiteDeps) -> None:
        self.site = site
        self._brands = {brand.slug: brand for brand in site.brands}
        self._open = {brand.slug: brand for brand in site.brands if site.help_center.articles(brand.slug)}
        self._themes = {brand.slug: theme_css(brand) for brand in site.brands}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["markdown"] = lambda markdown: Markup(render_html(markdown))  # noqa: S704
        self._templates.filters["moment"] = _moment
        self._templates.globals["static"] = self._static_url
        self._templates.globals["theme_url"] = self._theme_url
        self._templates.globals["demo"] = site.demo

    def page(
        self, request: Request, template: str, *, status: int = 200, policy: str | None = None, **values: object
    ) -> Response:
        """The rendered template; `policy` replaces the usual Content-Security-Policy."""
        values.setdefault("brand", None)
        html = self._templates.get_template(template).render(path=request.url.path, **values)
        headers = {"Cache-Control": "no-cache"}
        if policy:
            headers["Content-Security-Policy"] = policy
        return HTMLResponse(html, status_code=status, headers=headers)

    def open_brand(self, slug: str) -> SiteBrand | None:
        """The brand whose help center has articles, if it is one."""
        return self._open.get(slug)

    def missing(self, request: Request) -> Response:
        """The friendly 404 page, in the brand's colours if the address is inside an open help center."""
        parts = request.url.path.split("/")
        brand = self._open.get(parts[2]) if len(parts) > 2 and parts[1] == "help" else None
        return self.page(request, "not_found.html", status=404, brand=brand)

    async def home(self, request: Request) -> Response:
        cards = [(brand, len(self.site.help_center.articles(brand.slug))) for brand in self.site.brands]
        return self.page(request, "home.html", cards=cards)

    async def brand(self, request: Request) -> Response:
        brand = self._open.get(request.path_params["brand"])
        if brand is None:
            return self.missing(request)
        return self.page(request, "brand.html", brand=brand, articles=self.site.help_center.articles(brand.slug))

    async def article(self, request: Request) -> Response:
        brand = self._open.get(request.path_params["brand"])
        if brand is None:
            return self.missing(request)
        try:
            article = self.site.help_center.article(brand.slug, request.path_params["slug"])
        except NotFound:
            return self.missing(request)
        articles = self.site.help_center.articles(brand.slug)
        place = articles.index(article)
        return self.page(
            request,
            "article.html",
            brand=brand,
            article=article,
            articles=articles,
            previous=articles[place - 1] if place else None,
            following=articles[place + 1] if place + 1 < len(articles) else None,
        )

    async def search(self, request: Request) -> Response:
        brand = self._open.get(request.path_params["brand"])
        if brand is None:
            return self.missing(request)
        query = " ".join(request.query_params.get("q", "").split())[:_MOST_QUERY_CHARACTERS]
        found = self.site.help_center.search(brand.slug, query, _MOST_RESULTS)
        results = [
            (passage, highlight(passage.text, passage.stems))
            for passage in found
            if passage.score >= found[0].score * _LEAST_SHARE_OF_BEST
        ]
        articles = self.site.help_center.articles(brand.slug)
        return self.page(request, "search.html", brand=brand, query=query, results=results, articles=articles)

    async def theme(self, request: Request) -> Response:
        css = self._themes.get(request.path_params["brand"])
        return self.missing(request) if css is None else _cached(request, css.encode(), "text/css")

    def _static_url(self, name: str) -> str:
        return f"/static/{name}?v={_digest((_HERE / 'static' / name).read_bytes())}"

    def _theme_url(self, brand: SiteBrand) -> str:
        return f"/help/{brand.slug}/theme.css?v={_digest(self._themes[brand.slug].encode())}"


class _KeepPages:
    """A reminder's link: looking changes nothing, only the button does, so that mail scanners keep nothing."""

    def __init__(self, pages: _Pages, keep: Keep) -> None:
        self._pages = pages
        self._keep = keep

    def routes(self) -> list[Route]:
        return [
            Route("/keep/{token}", self.show),
            Route("/keep/{token}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._answer(request, self._keep.offer)

    async def act(self, request: Request) -> Response:
        return await self._answer(request, self._keep.keep)

    async def _answer(self, request: Request, work: Callable[[str], KeepPage]) -> Response:
        try:
            page = await run_in_threadpool(work, request.path_params["token"])
        except NotAuthenticated as error:
            over = KeepPage(brand="", title="This link no longer works", lines=(str(error),))
            return self._pages.page(request, "keep.html", status=410, page=over)
        response = self._pages.page(request, "keep.html", page=page, brand=self._pages.open_brand(page.brand))
        response.headers["Referrer-Policy"] = "no-referrer"  # the token is in the address
        return response


class _Static(StaticFiles):
    """Static files with ETags: kept a year under an address that carries the file's digest, else asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _caching(scope["query_string"])
        return response


def _cached(request: Request, body: bytes, media_type: str) -> Response:
    etag = f'"{_digest(body)}"'
    headers = {"ETag": etag, "Cache-Control": _caching(request.scope["query_string"])}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _moment(at: datetime) -> str:
    """Such as `3 Nov 2026, 09:05 UTC`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def _caching(query_string: bytes) -> str:
    return "public, max-age=31536000, immutable" if query_string.startswith(b"v=") else "no-cache"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


# --- demo pages -------------------------------------------------------------------------------------------------------


class _DemoPages:
    """Sign-in as a demo customer, and the mailbox that catches what the system sends."""

    def __init__(self, pages: _Pages, demo: Demo) -> None:
        self._pages = pages
        self._demo = demo

    def routes(self) -> list[Route]:
        return [
            Route("/demo/identity", self.identity, methods=["POST"]),
            Route("/demo/mail", self.mailbox),
            Route("/demo/mail/{mail}", self.mail),
            Route("/demo/mail/{mail}/html", self.mail_html),
        ]

    async def identity(self, request: Request) -> Response:
        """`{brand, email}` of a demo customer to `{identity}`, what the host site's own server would sign."""
        try:
            brand, email = await self._asked_for(request)
            identity = await run_in_threadpool(self._demo.issue_demo_identity, brand, email)
        except SupportBotError as error:
            problem = {"type": f"/docs/errors#{error.code}", "status": error.status, "detail": str(error)}
            problem["title"] = error.code.replace("-", " ").capitalize()
            return JSONResponse(problem, status_code=error.status, media_type="application/problem+json")
        return JSONResponse({"identity": identity}, headers={"Cache-Control": "no-store"})

    async def _asked_for(self, request: Request) -> tuple[str, str]:
        # A form of another site can post neither this media type nor, without our consent, JSON.
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise InvalidInput("Send JSON: the content type must be application/json.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_IDENTITY_BYTES:
                raise TooLarge("The request is too long: send only a brand and an e-mail.")
        try:
            sent = json.loads(body)
        except ValueError as error:
            raise InvalidInput("The request is not JSON.") from error
        brand, email = (sent.get("brand"), sent.get("email")) if isinstance(sent, dict) else (None, None)
        if not isinstance(brand, str) or not isinstance(email, str):
            raise InvalidInput('Send a brand and an e-mail: {"brand": "...", "email": "..."}.')
        if not any(customer.email == email for customer in self._demo.customers.get(brand, ())):
            raise NotFound("There is no demo customer of that e-mail at this brand.")
        return brand, email

    async def mailbox(self, request: Request) -> Response:
        mails = sorted(await run_in_threadpool(self._demo.list_demo_mail), key=lambda mail: mail.sent_at, reverse=True)
        recipients: dict[str, int] = {}
        for mail in mails:
            recipients[mail.recipient] = recipients.get(mail.recipient, 0) + 1
        to = request.query_params.get("to") or None
        shown = [mail for mail in mails if to in (None, mail.recipient)]
        return self._private(
            self._pages.page(
                request, "mailbox.html", mails=shown, recipients=sorted(recipients.items()), to=to, total=len(mails)
            )
        )

    async def mail(self, request: Request) -> Response:
        mail = await run_in_threadpool(self._demo.get_demo_mail, request.path_params["mail"])
        if mail is None:
            return self._pages.missing(request)
        return self._private(self._pages.page(request, "mail.html", policy=_FRAMING_POLICY, mail=mail))

    async def mail_html(self, request: Request) -> Response:
        mail = await run_in_threadpool(self._demo.get_demo_mail, request.path_params["mail"])
        if mail is None or mail.html is None:
            return self._pages.missing(request)
        return self._private(HTMLResponse(mail.html, headers={"Content-Security-Policy": _MAIL_POLICY}))

    @staticmethod
    def _private(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response


# --- theme ------------------------------------------------------------------------------------------------------------

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LIGHT_SURFACE, _DARK_SURFACE = "#f5f6f8", "#1e222a"  # the least favourable backgrounds of site.css
_BLACK, _WHITE = "#000000", "#ffffff"
_READABLE = 4.5  # WCAG 2.2, contrast (minimum), AA


def theme_css(brand: SiteBrand) -> str:
    """The brand's custom properties, its colours moved no further than AA contrast needs.

    Raises InvalidInput for a colour that is missing or is not `#rrggbb`.
    """
    theme = {key: brand.theme.get(key, "") for key in ("primary", "on_primary")}
    theme |= {f"{key}_dark": brand.theme.get(f"{key}_dark", colour) for key, colour in theme.items()}
    for key, colour in theme.items():
        if not _COLOUR.fullmatch(colour):
            raise InvalidInput(f"The theme of {brand.slug} needs {key} as #rrggbb.", brand=brand.slug, key=key)
    light = _properties(theme["primary"], theme["on_primary"], _LIGHT_SURFACE, _BLACK)
    dark = _properties(theme["primary_dark"], theme["on_primary_dark"], _DARK_SURFACE, _WHITE)
    scope = f'[data-theme="{brand.slug}"]'
    return f"{scope} {{ {light} }}\n@media (prefers-color-scheme: dark) {{ {scope} {{ {dark} }} }}\n"


def _properties(primary: str, on_primary: str, surface: str, towards: str) -> str:
    if _contrast(on_primary, primary) < _READABLE:
        on_primary = max(_BLACK, _WHITE, key=lambda colour: _contrast(colour, primary))
    return f"--brand: {primary}; --on-brand: {on_primary}; --accent: {_readable(primary, surface, towards)};"


def _readable(colour: str, background: str, towards: str) -> str:
    """`colour`, mixed with `towards` in steps of 5 % until it can be read on `background`."""
    mixed = colour
    for step in range(1, 21):
        if _contrast(mixed, background) >= _READABLE:
            break
        share = step / 20
        pairs = zip(_channels(colour), _channels(towards), strict=True)
        mixed = "#" + "".join(f"{round(one * (1 - share) + other * share):02x}" for one, other in pairs)
    return mixed


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = (channel / 255 for channel in _channels(colour))
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
