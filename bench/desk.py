"""The desk while it is busy: how soon what a customer writes is on the agent's page, and the answer in the chat.

Fifty pages are open and each does over HTTP what `desk.js` does: it follows its event stream, fetches itself again when
told to, and says what was read and typed. Five agents have the queue and nine chats of their own each. The customers of
one of them write, all nine at once, and that agent answers each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from html import unescape
from random import Random
from typing import Any, Protocol

import aiohttp

from bench.conversations import Customer, Script
from bench.stage import Stage
from bot.channels.widget.api import PREFIX
from bot.ids import new_id

_WRITES = Script("at the desk", Customer.RENTER, ())
_EVERY = (4.0, 6.0)  # seconds between two messages of a customer, who types as fast as people do
_ANSWERED_AFTER = (0.8, 1.6)
_TYPED_FOR = 0.8
_WARM_SECONDS = 6.0
_LOST_SECONDS = 30.0  # what did not arrive until then never will
_BY_SCRIPT = {"X-Desk-Script": "1"}
_MARK = re.compile(r"#\d+#")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_WATCH = r"""
window.seen = {};
new MutationObserver(() => requestAnimationFrame(() => {
  for (const entry of document.querySelectorAll('[data-log] [data-entry]')) {
    const mark = entry.textContent.match(/#\d+#/);
    if (mark && !(mark[0] in window.seen)) window.seen[mark[0]] = Date.now() / 1000;
  }
})).observe(document.querySelector('[data-log]'), { childList: true });
"""


@dataclass(frozen=True)
class DeskPlan:
    """How much is measured: so many times that many seconds of customers writing, with how many people there.

    Each agent has as many chats, a page for each and one of the queue, in which some more wait.
    """

    repeats: int
    seconds: float
    agents: int = 5
    chats: int = 9
    waiting: int = 20
    browser: bool = True


@dataclass(frozen=True)
class DeskFigures:
    """Seconds from before the sender's request until the other side has the words; a list entry a repeat.

    `to_screen` is what a real browser showed, until its next frame; empty where there is none. `processor` is the share
    of one core that the server used.
    """

    chats: int
    pages: int
    to_agent: list[list[float]]
    to_customer: list[list[float]]
    to_screen: list[list[float]]
    processor: list[float]


class ServedDesk(Protocol):
    """A running server and the database that it serves."""

    stage: Stage

    def processor_seconds(self) -> float:
        """Processor time that all its processes have used so far."""


def measure(serving: AbstractContextManager[ServedDesk], plan: DeskPlan) -> DeskFigures:
    """Measure a server that does nothing else. Raises RuntimeError when a message is lost or a page is closed."""
    with serving as bot:
        return asyncio.run(_measure(bot, plan))


async def _measure(bot: ServedDesk, plan: DeskPlan) -> DeskFigures:
    async with contextlib.AsyncExitStack() as stack:
        floor = await _open(bot.stage, plan, stack)
        screen = await stack.enter_async_context(_browser_page(floor.pages[1])) if plan.browser else None
        figures = DeskFigures(plan.chats, len(floor.pages) + (screen is not None), [], [], [], [])
        await floor.busy(_WARM_SECONDS)
        for _ in range(plan.repeats):
            floor.forget()
            used, began = bot.processor_seconds(), time.monotonic()
            await floor.busy(plan.seconds)
            figures.processor.append((bot.processor_seconds() - used) / (time.monotonic() - began))
            figures.to_agent.append(await floor.to_agent.all_arrived())
            figures.to_customer.append(await floor.to_customer.all_arrived())
            if screen is not None:
                shown = {mark: at for mark, at in floor.to_agent.sent.items() if mark in floor.first_chat}
                figures.to_screen.append(await screen.delays(shown))
        return figures


# --- what was sent, and when it arrived -------------------------------------------------------------------------------


@dataclass
class Journeys:
    """When each message was sent and when it arrived first, by the mark in its text."""

    sent: dict[str, float] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)

    def leave(self, mark: str) -> None:
        """A message is about to be sent."""
        self.sent[mark] = time.time()

    def arrive(self, text: str) -> None:
        """Something has come, perhaps one of the messages."""
        found = _MARK.search(text)
        if found is not None and found.group() in self.sent:
            self.arrived.setdefault(found.group(), time.time())

    async def all_arrived(self, patience: float = _LOST_SECONDS) -> list[float]:
        """How many seconds each took. Raises RuntimeError when one is lost."""
        give_up = time.monotonic() + patience
        while missing := self.sent.keys() - self.arrived.keys():
            if time.monotonic() > give_up:
                raise RuntimeError(f"{len(missing)} of {len(self.sent)} messages never arrived.")
            await asyncio.sleep(0.05)
        return [self.arrived[mark] - at for mark, at in self.sent.items()]


# --- everybody who is there -------------------------------------------------------------------------------------------


async def _open(stage: Stage, plan: DeskPlan, stack: contextlib.AsyncExitStack) -> _Floor:
    """Let everybody in: the conversations wait, each agent claims theirs, and opens them and the queue."""
    url = stage.settings.public_url
    sessions = [await stack.enter_async_context(_browser()) for _ in range(plan.agents + 1)]
    opened = [stage.open(_WRITES) for _ in range(plan.agents * plan.chats + plan.waiting)]
    stage.queue_up([each.conversation_id for each in opened])
    pages = []
    for number, http in enumerate(sessions[:-1]):
        await _sign_in(http, url, *stage.add_agent(f"Agent {number + 1}"))
        pages.append(await DeskPage.open(http, url, "/desk"))
        for each in opened[number * plan.chats : (number + 1) * plan.chats]:
            page = await DeskPage.open(http, url, f"/desk/conversations/{each.conversation_id}")
            await page.act("claim")
            await page.fetch()
            pages.append(page)
    visitors = [_Visitor(sessions[-1], url + PREFIX, each.token) for each in opened[: plan.chats]]
    floor = _Floor(pages, visitors)
    stack.push_async_callback(floor.close)
    await floor.listen()
    return floor


class _Floor:
    """The open pages, those of the busy agent first, and that agent's customers."""

    def __init__(self, pages: list[DeskPage], visitors: list[_Visitor]) -> None:
        self.pages, self.visitors = pages, visitors
        self._chance = Random(1)
        self._said = 0
        self._streams: list[asyncio.Task[None]] = []
        self.forget()

    def forget(self) -> None:
        """Begin to measure anew."""
        self.to_agent, self.to_customer = Journeys(), Journeys()
        self.first_chat: set[str] = set()
        """The marks of what the first customer wrote, whose chat the browser shows."""

    async def listen(self) -> None:
        """Open all streams and wait until they are."""
        live = []
        for each, arrive in [
            *((page, lambda text: self.to_agent.arrive(text)) for page in self.pages),
            *((visitor, lambda text: self.to_customer.arrive(text)) for visitor in self.visitors),
        ]:
            opened = asyncio.Event()
            self._streams.append(asyncio.create_task(each.follow(opened, arrive)))
            live.append(opened.wait())
        await self._watched(asyncio.gather(*live))

    async def busy(self, seconds: float) -> None:
        """Let the customers write and the agent answer for that long. Raises what went wrong on any page."""
        until = time.monotonic() + seconds
        await self._watched(
            asyncio.gather(
                *(
                    self._talk(visitor, page, until, first=place == 0)
                    for place, (visitor, page) in enumerate(zip(self.visitors, self.pages[1:], strict=False))
                )
            )
        )

    async def close(self) -> None:
        """Close all pages."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _talk(self, visitor: _Visitor, page: DeskPage, until: float, *, first: bool) -> None:
        """One chat: a message, which the agent reads and answers while the customer types the next."""
        await asyncio.sleep(self._chance.uniform(0, _EVERY[0]))  # they do not begin all at once
        while (began := time.monotonic()) < until:
            await visitor.types()
            mark = self._mark()
            if first:
                self.first_chat.add(mark)
            self.to_agent.leave(mark)
            await visitor.say(f"I have one more question about my number, please {mark}")
            await asyncio.sleep(self._chance.uniform(*_ANSWERED_AFTER))
            await page.read()
            await page.types()
            await asyncio.sleep(_TYPED_FOR)
            answer = self._mark()
            self.to_customer.leave(answer)
            await page.act("reply", text=f"Let me look that up for you. {answer}")
            await asyncio.sleep(max(0.0, began + self._chance.uniform(*_EVERY) - time.monotonic()))

    async def _watched(self, work: asyncio.Future[Any]) -> None:
        """Wait for the work, unless a stream ends before."""
        done, _ = await asyncio.wait([work, *self._streams], return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        if work not in done:
            work.cancel()
            raise RuntimeError("A page's stream ended while it was measured.")

    def _mark(self) -> str:
        self._said += 1
        return f"#{self._said}#"


class DeskPage:
    """One open page of the desk: what its script holds and does."""

    def __init__(self, http: aiohttp.ClientSession, url: str, path: str) -> None:
        self.http, self.url, self.path = http, url, path
        self._html = ""
        self._key = ""
        self._last = 0

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str, path: str) -> DeskPage:
        """Open the page of somebody who is signed in."""
        page = cls(http, url, path)
        await page.fetch()
        return page

    async def fetch(self) -> None:
        """Get the page, as it is opened and as its script refreshes it."""
        async with self.http.get(self.url + self.path) as response:
            response.raise_for_status()
            self._html = await response.text()
        if "data-csrf" not in self._html:
            raise RuntimeError(f"{self.path} asked to sign in.")
        self._key = _value(self._html, r'name="key" value="([^"]+)"', "")
        self._last = max(map(int, re.findall(r'data-seq="(\d+)"', self._html)), default=self._last)

    async def follow(self, opened: asyncio.Event, arrive: Callable[[str], None]) -> None:
        """Follow the stream; what it brings that people read is given to `arrive`. Raises when the page is closed."""
        address = unescape(_value(self._html, r'data-events="([^"]+)"'))
        async with self.http.get(self.url + address) as stream:
            async for event, data in _events(stream):
                opened.set()
                if event == "entry":
                    entry = json.loads(data)
                    self._last = max(self._last, entry["seq"])
                    arrive(entry["html"])
                elif event == "refresh":
                    await self.fetch()
                elif event == "gone":
                    raise RuntimeError(f"{self.path} was closed by the server.")

    async def act(self, name: str, **fields: str) -> None:
        """Send one of the page's forms."""
        answer = await self._post(name, key=self._key, **fields)
        self._key = answer["key"]

    async def read(self) -> None:
        """Tell that everything on the page was read."""
        await self._post("read", seq=str(self._last))

    async def types(self) -> None:
        """Tell that a reply is being written."""
        await self._post("typing")

    async def _post(self, name: str, **fields: str) -> dict[str, Any]:
        form = {"csrf": _value(self._html, r'data-csrf="([^"]+)"'), **fields}
        async with self.http.post(f"{self.url}{self.path}/{name}", data=form, headers=_BY_SCRIPT) as response:
            answer: dict[str, Any] = await response.json()
            if response.status != 200:
                raise RuntimeError(f"{self.path}/{name} answered {response.status}: {answer}")
            return answer


@dataclass
class _Visitor:
    """A customer with the widget open."""

    http: aiohttp.ClientSession
    url: str
    token: str = field(repr=False)

    async def follow(self, opened: asyncio.Event, arrive: Callable[[str], None]) -> None:
        """Follow the stream; what people said is given to `arrive`, and read."""
        async with self.http.get(f"{self.url}/stream", headers=self._headers) as stream:
            async for event, data in _events(stream):
                opened.set()
                if event != "message":
                    continue
                message = json.loads(data)
                if message["author"] == "agent":
                    arrive(message["text"])
                    await self._post("read", {"seq": message["seq"]})

    async def types(self) -> None:
        """Tell that something is being typed."""
        await self._post("typing", {})

    async def say(self, text: str) -> None:
        """Send a message."""
        await self._post("messages", {"client_id": new_id("bench"), "text": text})

    async def _post(self, name: str, body: dict[str, object]) -> None:
        async with self.http.post(f"{self.url}/{name}", json=body, headers=self._headers) as response:
            response.raise_for_status()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


# --- a real browser ---------------------------------------------------------------------------------------------------


class _Screen:
    """A page of the desk in a browser that notes when it shows what."""

    def __init__(self, page: Any) -> None:
        self._page = page

    async def delays(self, sent: dict[str, float]) -> list[float]:
        """How many seconds after they were sent the messages were shown. Raises RuntimeError when one was not."""
        await self._page.wait_for_function(
            "marks => marks.every((mark) => mark in window.seen)", arg=list(sent), timeout=1000 * _LOST_SECONDS
        )
        seen = await self._page.evaluate("window.seen")
        return [seen[mark] - at for mark, at in sent.items()]


@contextlib.asynccontextmanager
async def _browser_page(page: DeskPage) -> AsyncIterator[_Screen | None]:
    """The same page in Chromium, signed in as the same agent; None where there is no Chromium or no Playwright."""
    chromium = shutil.which(os.environ.get("CHROMIUM", "")) or next(filter(None, map(shutil.which, _CHROMIUM)), None)
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(_CHROMIUM_ARGUMENTS))
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        await context.add_cookies(
            [{"name": each.key, "value": each.value, "url": f"{page.url}/desk"} for each in page.http.cookie_jar]
        )
        shown = await context.new_page()
        await shown.goto(page.url + page.path)
        await shown.locator("[data-link-state=live]").wait_for()
        await shown.evaluate(_WATCH)
        yield _Screen(shown)
        await browser.close()


# --- parts ------------------------------------------------------------------------------------------------------------


def _browser() -> aiohttp.ClientSession:
    """A session as a browser's: with cookies, and as many connections as it has pages."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2),  # the server ends them after five seconds
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # the address is a number
    )


async def _sign_in(http: aiohttp.ClientSession, url: str, email: str, password: str) -> None:
    async with http.get(f"{url}/desk") as page:
        form = {"csrf": _value(await page.text(), r'name="csrf" value="([^"]+)"'), "email": email, "password": password}
    async with http.post(f"{url}/desk/sign-in", data=form) as response:
        if "data-csrf" not in await response.text():
            raise RuntimeError(f"{email} could not sign in at the desk.")


async def _events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """The events of a stream, each with its data. Raises RuntimeError when there is no stream."""
    if stream.status != 200:
        raise RuntimeError(f"{stream.url.path} answered {stream.status}.")
    event, data = "message", []
    async for raw in stream.content:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield event, "\n".join(data)
            event, data = "message", []


def _value(html: str, pattern: str, default: str | None = None) -> str:
    """What a page holds there. Raises RuntimeError when it does not and there is no default."""
    found = re.search(pattern, html)
    if found is None and default is None:
        raise RuntimeError(f"A page of the desk has no {pattern}.")
    return found.group(1) if found is not None else default or ""
