"""The help center's pages over HTTP: what each shows, what only demo mode has, and the headers all carry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.errors import InvalidInput, Unavailable
from bot.services.help_center import HelpCenter
from bot.web.pages import (
    Demo,
    DemoCustomer,
    DemoMail,
    SiteBrand,
    SiteDeps,
    not_found,
    routes,
    security_headers,
    theme_css,
)

ARTICLES = Path(__file__).parents[2] / "data" / "help_center"
SENT = datetime(2026, 3, 1, 9, 5, tzinfo=timezone(timedelta(hours=2)))
JOLT = SiteBrand("joltsms", "JoltSMS", "Real-SIM numbers.", {"primary": "#5b34d6", "on_primary": "#ffffff"})
UNWRITTEN = SiteBrand("acme", "Acme <&> Sons", "Anvils.", {"primary": "#f59e0b", "on_primary": "#ffffff"})


@dataclass
class FakeDemo:
    """The demo's identity issuer and mailbox, in memory."""

    mails: list[DemoMail] = field(default_factory=list)
    fails: bool = False

    def issue(self, brand: str, email: str) -> str:
        if self.fails:
            raise Unavailable("Signing in is not possible at the moment.")
        return f"jwt for {email} at {brand}"

    def list_mail(self) -> Sequence[DemoMail]:
        return tuple(self.mails)

    def get_mail(self, mail_id: str) -> DemoMail | None:
        return next((mail for mail in self.mails if mail.id == mail_id), None)

    def deps(self) -> Demo:
        customers = {"joltsms": (DemoCustomer("Ava Lind", "ava@jolt.example", "Cancel a <number>."),)}
        return Demo(customers, self.issue, self.list_mail, self.get_mail)


@pytest.fixture
def fake() -> FakeDemo:
    ava = DemoMail("m1", "ava@jolt.example", "help@jolt.example", "Your <code>", SENT, "It is 482913.")
    ben = DemoMail(
        "m2", "ben@jolt.example", "help@jolt.example", "Refund", SENT + timedelta(hours=1), "Done.", "<p>Done"
    )
    return FakeDemo([ava, ben])


def client_of(site: SiteDeps, *more: Route, base_url: str = "http://testserver") -> httpx.AsyncClient:
    app = Starlette(routes=[*routes(site), *more], exception_handlers={404: not_found(site)})
    return httpx.AsyncClient(transport=httpx.ASGITransport(security_headers(app)), base_url=base_url)


@pytest.fixture
def site(fake: FakeDemo) -> SiteDeps:
    return SiteDeps(brands=(JOLT, UNWRITTEN), help_center=HelpCenter.load(ARTICLES), demo=fake.deps())


@pytest.fixture
def client(site: SiteDeps) -> httpx.AsyncClient:
    return client_of(site)


class Outline(HTMLParser):
    """Collects what the checks on every page look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


PAGES = (
    "/",
    "/help/joltsms",
    "/help/joltsms/refunds",
    "/help/joltsms/search?q=refund",
    "/help/joltsms/search?q=zzzz",
    "/help/joltsms/nowhere",
    "/demo/mail",
    "/demo/mail/m1",
    "/demo/mail/m2",
)


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_well_built(client: httpx.AsyncClient, path: str) -> None:
    """One h1, no skipped heading, one main, a skip link, a title, unique ids, nothing inline, nothing from outside."""
    response = await client.get(path)
    outline = Outline(response.text)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False))
    assert len(outline.all("main")) == 1
    assert outline.all("a")[0]["href"] == "#main"
    assert re.search(r"<title>[^<]+</title>", response.text)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in outline.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "style"
    assert all((script["src"] or "").startswith("/") for script in outline.all("script"))
    assert all((link["href"] or "").startswith("/") for link in outline.all("link"))


@pytest.mark.parametrize("path", PAGES[:5])
async def test_every_link_of_a_page_leads_to_a_page(client: httpx.AsyncClient, path: str) -> None:
    for attributes in Outline((await client.get(path)).text).all("a"):
        target = attributes["href"] or ""
        if target.startswith(("#", "mailto:", "https:")) or target == "/desk":  # the desk is another part's pages
            continue
        assert (await client.get(str((await client.get(path)).url.join(target)))).status_code == 200


async def test_a_brand_without_articles_is_shown_as_coming_soon_and_cannot_be_opened(client: httpx.AsyncClient) -> None:
    home = (await client.get("/")).text
    assert 'href="/help/joltsms"' in home
    assert "Coming soon" in home
    assert "Acme &lt;&amp;&gt; Sons" in home
    assert 'href="/help/acme"' not in home
    assert (await client.get("/help/acme")).status_code == 404
    assert (await client.get("/help/acme/search?q=anvil")).status_code == 404


async def test_the_help_center_lists_its_articles_and_loads_the_widget(client: httpx.AsyncClient) -> None:
    page = await client.get("/help/joltsms")
    assert "Cancel a number" in page.text
    assert '<script src="/widget.js" data-brand="joltsms" async></script>' in page.text
    assert "widget.js" not in (await client.get("/")).text


async def test_an_article_shows_its_sections_under_stable_ids(client: httpx.AsyncClient) -> None:
    page = (await client.get("/help/joltsms/technical-failures")).text
    assert '<h2 id="the-four-conditions">' in page
    assert '<a href="#the-four-conditions">The four conditions</a>' in page
    assert "<strong>all four</strong>" in page


async def test_search_links_to_the_section_and_marks_the_words(client: httpx.AsyncClient) -> None:
    page = (await client.get("/help/joltsms/search", params={"q": "charged twice"})).text
    assert 'href="/help/joltsms/refunds#billing-errors-and-duplicate-charges"' in page
    assert "<mark>charged</mark>" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "Type a few words"),
        ("   ", "Type a few words"),
        ("zzzz", "Nothing found for “zzzz”"),
        ("<script>x</script>", "“&lt;script&gt;x&lt;/script&gt;”"),
        ("🙂", "Nothing found for “🙂”"),
        ("z" * 10_000, "Nothing found for “" + "z" * 200 + "”"),
    ],
)
async def test_a_search_without_results_offers_the_articles(client: httpx.AsyncClient, query: str, shown: str) -> None:
    response = await client.get("/help/joltsms/search", params={"q": query})
    assert response.status_code == 200
    assert shown in response.text
    assert 'href="/help/joltsms/contact-us"' in response.text


@pytest.mark.parametrize("path", ["/nope", "/help/joltsms/nope", "/help/nope", "/help/nope/theme.css", "/static/nope"])
async def test_a_lost_visitor_gets_a_friendly_page(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert "We could not find that page" in response.text


# --- demo mode --------------------------------------------------------------------------------------------------------


async def test_outside_demo_mode_nothing_of_the_demo_exists(site: SiteDeps) -> None:
    client = client_of(replace(site, demo=None))
    for path in ("/demo/mail", "/demo/mail/m1", "/demo/mail/m1/html", "/demo/identity"):
        assert (await client.get(path)).status_code == 404
    assert (
        await client.post("/demo/identity", json={"brand": "joltsms", "email": "ava@jolt.example"})
    ).status_code == 404
    page = (await client.get("/help/joltsms")).text
    assert "ava@jolt.example" not in page
    assert "/demo/" not in page


async def test_the_sign_in_menu_lists_the_brands_demo_customers(client: httpx.AsyncClient) -> None:
    page = (await client.get("/help/joltsms")).text
    assert 'data-email="ava@jolt.example"' in page
    assert "Cancel a &lt;number&gt;." in page


async def test_a_demo_customer_gets_an_identity(client: httpx.AsyncClient) -> None:
    response = await client.post("/demo/identity", json={"brand": "joltsms", "email": "ava@jolt.example"})
    assert response.json() == {"identity": "jwt for ava@jolt.example at joltsms"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"brand": "joltsms", "email": "ghost@jolt.example"}', 404, "not-found"),
        (b'{"brand": "acme", "email": "ava@jolt.example"}', 404, "not-found"),
        (b'{"brand": "joltsms"}', 422, "invalid-input"),
        (b'{"brand": 1, "email": []}', 422, "invalid-input"),
        (b"[]", 422, "invalid-input"),
        (b"{", 422, "invalid-input"),
        (b"\xff", 422, "invalid-input"),
        (b'{"brand": "' + b"x" * 10_000 + b'"}', 413, "too-large"),
    ],
)
async def test_a_wrong_request_for_an_identity_is_explained(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    response = await client.post("/demo/identity", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith(code)
    assert response.json()["status"] == status
    assert response.json()["detail"].endswith((".", "}."))


async def test_an_identity_is_not_given_to_a_form_of_another_site(client: httpx.AsyncClient) -> None:
    body = b'{"brand": "joltsms", "email": "ava@jolt.example"}'
    response = await client.post("/demo/identity", content=body, headers={"Content-Type": "text/plain"})
    assert response.status_code == 422


async def test_a_failing_issuer_is_told_as_a_problem(client: httpx.AsyncClient, fake: FakeDemo) -> None:
    fake.fails = True
    response = await client.post("/demo/identity", json={"brand": "joltsms", "email": "ava@jolt.example"})
    assert response.status_code == 503
    assert response.json()["detail"] == "Signing in is not possible at the moment."


async def test_the_mailbox_shows_the_newest_first_and_filters_by_recipient(client: httpx.AsyncClient) -> None:
    page = (await client.get("/demo/mail")).text
    assert page.index("/demo/mail/m2") < page.index("/demo/mail/m1")
    assert "Your &lt;code&gt;" in page
    assert "1 Mar 2026, 07:05 UTC" in page
    mine = (await client.get("/demo/mail", params={"to": "ava@jolt.example"})).text
    assert "/demo/mail/m1" in mine
    assert "/demo/mail/m2" not in mine
    assert "Nothing has been sent to x@y" in (await client.get("/demo/mail", params={"to": "x@y"})).text


async def test_an_empty_mailbox_says_so(client: httpx.AsyncClient, fake: FakeDemo) -> None:
    fake.mails.clear()
    assert "Nothing has been sent yet" in (await client.get("/demo/mail")).text


async def test_a_mail_is_shown_as_text_and_its_html_only_in_a_sandbox(client: httpx.AsyncClient) -> None:
    text = await client.get("/demo/mail/m1")
    assert "It is 482913." in text.text
    assert "<iframe" not in text.text
    page = await client.get("/demo/mail/m2")
    (frame,) = Outline(page.text).all("iframe")
    assert (frame["src"], frame["sandbox"]) == ("/demo/mail/m2/html", None)
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    body = await client.get("/demo/mail/m2/html")
    assert body.text == "<p>Done"
    policy = body.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "allow-" not in policy
    assert "script-src" not in policy


@pytest.mark.parametrize("path", ["/demo/mail/nope", "/demo/mail/nope/html", "/demo/mail/m1/html"])
async def test_a_mail_or_a_version_that_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


# --- headers, files, colours ------------------------------------------------------------------------------------------

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)


@pytest.mark.parametrize("path", ["/", "/help/joltsms/theme.css", "/static/site.css", "/nope"])
async def test_every_response_carries_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "strict-transport-security" not in headers


async def test_a_header_that_a_response_sets_itself_is_kept(site: SiteDeps) -> None:
    async def own(request: object) -> PlainTextResponse:
        return PlainTextResponse("x", headers={"X-Frame-Options": "DENY"})

    response = await client_of(site, Route("/own", own), base_url="https://testserver").get("/own")
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("pattern", [r'"(/static/site\.css\?v=\w+)"', r'"(/help/joltsms/theme\.css\?v=\w+)"'])
async def test_styles_are_kept_by_digest_and_checked_by_etag_without_it(
    client: httpx.AsyncClient, pattern: str
) -> None:
    match = re.search(pattern, (await client.get("/help/joltsms")).text)
    assert match
    kept = await client.get(match[1])
    assert kept.headers["content-type"].startswith("text/css")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = await client.get(match[1].split("?")[0])
    assert plain.headers["cache-control"] == "no-cache"
    again = await client.get(match[1].split("?")[0], headers={"If-None-Match": plain.headers["etag"]})
    assert again.status_code == 304


def _luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("primary", ["#5b34d6", "#f59e0b", "#ffffff", "#000000", "#00ff88", "#777777"])
def test_any_brand_colour_becomes_readable_in_light_and_dark(primary: str) -> None:
    light, dark = theme_css(replace(JOLT, theme={"primary": primary, "on_primary": "#ffffff"})).split("@media")
    for css, surfaces in ((light, ("#ffffff", "#f5f6f8")), (dark, ("#111318", "#1e222a"))):
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", css))
        pairs = [(colours["on-brand"], colours["brand"]), *((colours["accent"], surface) for surface in surfaces)]
        for one, other in pairs:
            low, high = sorted((_luminance(one), _luminance(other)))
            assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_theme_may_have_its_own_dark_colours() -> None:
    theme = {**JOLT.theme, "primary_dark": "#b9a5ff", "on_primary_dark": "#1b1038"}
    dark = theme_css(replace(JOLT, theme=theme)).split("@media")[1]
    assert "--brand: #b9a5ff; --on-brand: #1b1038" in dark


@pytest.mark.parametrize("theme", [{}, {"primary": "red", "on_primary": "#ffffff"}, {"primary": "#fff;} body{"}])
def test_a_theme_with_a_bad_colour_is_refused(theme: dict[str, str], site: SiteDeps) -> None:
    with pytest.raises(InvalidInput, match="theme of joltsms needs primary"):
        routes(replace(site, brands=(replace(JOLT, theme=theme),)))
