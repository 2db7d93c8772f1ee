"""A customer and an agent, each in a browser of their own, on one real server: from the hand-off to the rating."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select

from bot.conversation import history
from bot.store.tables import Message
from bot.store.unit_of_work import Store, make_engine
from tests.browser.served import Served

pytestmark = pytest.mark.browser
_PATIENCE = 20_000  # milliseconds, on a busy machine
_PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
_AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def server(models: Path, demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the whole module."""
    served = Served(tmp_path_factory.mktemp("desk"), models, demo_file)
    served.start()
    yield served
    served.kill()


class Customer:
    """A customer with the chat open."""

    def __init__(self, browser: Browser, server: Served, name: str) -> None:
        self.context = browser.new_context(viewport={"width": 1100, "height": 800})
        self.page = self.context.new_page()
        self.page.goto(f"{server.url}/help/joltsms")
        self.page.get_by_text("Sign in as").first.click()
        self.page.get_by_text(name).first.click()
        expect(self.page.get_by_text(name).first).to_be_visible(timeout=_PATIENCE)
        if not self.page.get_by_label("Your message").is_visible():
            self.page.get_by_role("button", name="Open chat").click()
        self.sees("JoltSMS support")

    def say(self, text: str) -> None:
        """Type a message and send it."""
        box = self.page.get_by_label("Your message")
        box.fill(text)
        box.press("Enter")

    def writes_until(self, shown: Locator) -> None:
        """Go on writing, without sending, until that is shown: a keystroke is told of every few seconds only."""
        for _ in range(40):
            self.page.get_by_label("Your message").press_sequentially("hm ", delay=100)
            if shown.is_visible():
                return
            self.page.wait_for_timeout(200)
        raise AssertionError("nobody was told of the writing")

    def sees(self, pattern: str) -> None:
        """Wait until the messages hold that text."""
        expect(self.page.get_by_role("log")).to_contain_text(re.compile(pattern), timeout=_PATIENCE)

    def text(self) -> str:
        """All that is in the chat."""
        return self.page.get_by_role("log").inner_text()


class Agent:
    """The demo agent at the desk."""

    def __init__(self, browser: Browser, server: Served, *, timezone_id: str | None = None) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, timezone_id=timezone_id)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda line: self.problems.append(line.text) if "Security" in line.text else None)
        self.page.goto(f"{server.url}/desk")
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Queue")).to_be_visible(timeout=_PATIENCE)
        self.live()

    def live(self) -> None:
        """Wait until the page is live."""
        expect(self.page.locator("[data-link-state=live]")).to_be_visible(timeout=_PATIENCE)

    def sees(self, pattern: str) -> None:
        """Wait until the conversation holds that text."""
        expect(self.page.locator("[data-log]")).to_contain_text(re.compile(pattern), timeout=_PATIENCE)

    def write(self, text: str, *, key: str = "r") -> None:
        """Write a reply, or with `n` a note, by keyboard alone."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press(key)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Control+Enter")
        self.sees(re.escape(text))

    def text(self) -> str:
        """All that is in the conversation."""
        return self.page.locator("[data-log]").inner_text()


def _passes_axe(page: Page) -> None:
    found = Axe().run(page, options=_AXE).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_a_customer_and_an_agent_from_the_hand_off_to_the_rating(browser: Browser, server: Served) -> None:
    """Live both ways; cut off and killed in between, nothing is lost and nothing is doubled."""
    agent, dan = Agent(browser, server), Customer(browser, server, "Dan Petrov")
    dan.say("I want my money back")
    dan.sees("person|colleague|choose")
    dan.say("let me talk to a human please")
    page = agent.page
    expect(page.locator("[data-waiting]")).to_have_count(1, timeout=_PATIENCE)  # by itself, without a reload
    expect(page.locator("[data-approval]")).to_have_count(1, timeout=_PATIENCE)
    _passes_axe(page)
    page.locator("[data-waiting] a").first.click()
    agent.live()
    page.keyboard.press("c")
    expect(page.get_by_text("Yours", exact=True)).to_be_visible(timeout=_PATIENCE)

    agent.write("Hello Dan, I am reading your case.")
    dan.sees("I am reading your case")
    agent.write("He was promised this twice already.", key="n")
    dan.say("thank you, take your time")
    agent.sees("take your time")
    assert "promised this twice" not in dan.text()
    expect(page.locator(".bubble-agent [data-mark=read]").first).to_be_visible(timeout=_PATIENCE)
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.locator("[data-files]").set_input_files({"name": "steps.png", "mimeType": "image/png", "buffer": _PNG})
    page.keyboard.press("Control+Enter")
    dan.sees("steps.png")
    dan.writes_until(page.locator("[data-typing]").get_by_text("is writing"))
    dan.page.get_by_label("Your message").fill("")

    dan.context.set_offline(True)  # cut off, with something typed and something said meanwhile
    dan.say("I am in a tunnel")
    agent.write("Are you still there?")
    dan.context.set_offline(False)
    agent.sees("I am in a tunnel")
    dan.sees("Are you still there")

    server.kill()  # with something typed on both sides while it is away
    dan.say("did you get this?")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.type("I did get it.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("There is no connection just now")).to_be_visible(timeout=_PATIENCE)
    server.start()
    agent.live()
    agent.sees("did you get this")
    page.keyboard.press("Control+Enter")
    agent.sees("I did get it")
    dan.sees("I did get it")

    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_url("**/desk/approvals/*")
    agent.live()
    _passes_axe(page)
    other = agent.context.new_page()  # the same approval in a second tab, where it goes stale
    other.goto(page.url)
    expect(other.locator("[data-link-state=live]")).to_be_visible(timeout=_PATIENCE)
    page.get_by_role("button", name=re.compile("^Refund USD")).click()
    expect(page.get_by_text("Your decision was recorded")).to_be_visible(timeout=_PATIENCE)
    expect(other.get_by_text("This has been decided meanwhile.")).to_be_visible(timeout=_PATIENCE)
    expect(other.get_by_role("button", name=re.compile("^(Refund|Give) USD"))).to_have_count(0)
    other.close()
    dan.sees("decided on a refund")
    page.get_by_role("link", name="Open the conversation").click()
    agent.live()
    expect(page.locator("aside")).to_contain_text(re.compile(r"RFD-\d{6}"), timeout=_PATIENCE)
    _passes_axe(page)

    page.keyboard.press("h")
    page.keyboard.type("show my subscriptions")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("With the bot").first).to_be_visible(timeout=_PATIENCE)
    dan.say("what is refundable?")
    dan.sees("What is refundable")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_text("Yours", exact=True)).to_be_visible(timeout=_PATIENCE)
    page.keyboard.press("e")
    page.keyboard.type("refunded")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Resolved", exact=True).first).to_be_visible(timeout=_PATIENCE)
    dan.page.get_by_role("button", name=re.compile("5|Very good|Excellent")).last.click(timeout=_PATIENCE)

    for said in ("I am reading your case", "take your time", "in a tunnel", "still there", "get this?", "did get it"):
        assert (dan.text().count(said), agent.text().count(said)) == (1, 1), said
    assert "promised this twice" not in dan.text()
    assert agent.problems == []
    dan.context.close()
    agent.context.close()


def test_a_message_that_the_customer_edits_changes_on_the_open_page(browser: Browser, server: Served) -> None:
    """As on Slack and Discord; the widget has no such thing, so it is put down in the store."""
    agent, gia = Agent(browser, server), Customer(browser, server, "Gia")
    gia.say("I want to talk to a person about 0107")
    page = agent.page
    page.locator("[data-waiting]", has_text="Gia").locator("a").first.click(timeout=_PATIENCE)
    agent.live()
    store = Store(make_engine(server.database_url))
    with store.write() as uow:
        row = uow.session.execute(select(Message).where(Message.text.contains("0107"))).scalars().first()
        assert row is not None
        history.note_change(
            uow,
            channel=row.channel,
            external_id=row.external_id,
            kind="edited",
            text="I want to talk to a person about 0108",
            at=datetime.now(timezone.utc),
        )
        uow.commit()
    store.close()
    gia.say("are you there?")
    expect(page.locator(".changed")).to_contain_text("a person about 0108", timeout=_PATIENCE)
    assert agent.text().count("a person about 0107") == 1
    _passes_axe(page)
    assert agent.problems == []
    gia.context.close()
    agent.context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180)])
def test_the_desk_fits_its_screens_and_passes_axe(browser: Browser, server: Served, width: int, height: int) -> None:
    """Nothing sticks out at a desk or on a tablet, and no page has a finding of the WCAG 2.2 AA rules."""
    agent = Agent(browser, server)
    agent.page.set_viewport_size({"width": width, "height": height})
    for path in ("/desk?view=recent", "/desk/replies", "/desk/cases"):
        agent.page.goto(server.url + path)
        assert agent.page.evaluate("document.documentElement.scrollWidth") <= width
        _passes_axe(agent.page)
    agent.page.keyboard.press("?")
    expect(agent.page.get_by_role("dialog")).to_be_visible()
    _passes_axe(agent.page)
    agent.context.close()


def test_a_page_that_is_open_closes_when_its_agent_signs_out_elsewhere(browser: Browser, server: Served) -> None:
    """The stream ends at once, and the page shows the way in."""
    agent = Agent(browser, server)
    other = agent.context.new_page()
    other.goto(f"{server.url}/desk")
    other.get_by_role("button", name="Sign out").click()
    expect(agent.page.get_by_role("heading", name="Sign in to the desk")).to_be_visible(timeout=_PATIENCE)
    agent.context.close()


# --- times, sounds and notifications ---------------------------------------------------------------------------------

_COUNTED = """
window.shown = []; window.rung = 0;
window.Notification = class {
  static permission = 'granted';
  static requestPermission() { return Promise.resolve('granted'); }
  constructor(title) { window.shown.push(title); }
};
window.AudioContext = class {
  currentTime = 0;
  destination = {};
  createOscillator() {
    window.rung += 1;
    return { frequency: {}, connect: (next) => next, start() {}, stop() {} };
  }
  createGain() {
    return { gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} }, connect: (next) => next };
  }
};
Object.defineProperty(Document.prototype, 'hidden', { get: () => true });
"""


def _switch(page: Page, label: str) -> None:
    page.get_by_label("Sound, notifications and shortcuts").click()
    page.get_by_label(label).click()
    page.get_by_label("Sound, notifications and shortcuts").click()


def _waits(browser: Browser, server: Served, agent: Agent, name: str) -> Customer:
    """A customer who asks for a person, once they are in the queue."""
    customer = Customer(browser, server, name)
    customer.say("let me talk to a human please")
    expect(agent.page.locator("[data-waiting]", has_text=name)).to_have_count(1, timeout=_PATIENCE)
    return customer


def _leaves(customer: Customer) -> None:
    customer.say("never mind")
    customer.sees("nobody will be fetched")
    customer.context.close()


def test_a_sound_and_a_notification_come_only_while_they_are_switched_on(browser: Browser, server: Served) -> None:
    """At first the sound alone; what was chosen outlives the page."""
    agent = Agent(browser, server)
    page = agent.page
    page.add_init_script(_COUNTED)
    page.reload()
    agent.live()

    ava = _waits(browser, server, agent, "Ava Moreno")
    page.wait_for_function("window.rung === 2")  # two tones
    assert page.evaluate("window.shown") == []

    _switch(page, "Browser notifications")
    _switch(page, "Sound for new chats and messages")
    page.reload()
    agent.live()
    assert page.get_by_label("Browser notifications").is_checked()
    assert not page.get_by_label("Sound for new chats and messages").is_checked()
    ben = _waits(browser, server, agent, "Ben Okafor")
    page.wait_for_function("window.shown.length > 0")
    assert page.evaluate("window.shown") == ["Ben Okafor is waiting"]
    assert page.evaluate("window.rung") == 0

    _switch(page, "Browser notifications")
    eve = _waits(browser, server, agent, "Eve Nakamura")
    assert page.evaluate("window.shown") == ["Ben Okafor is waiting"]
    assert page.evaluate("window.rung") == 0
    for customer in (ava, ben, eve):
        _leaves(customer)
    assert agent.problems == []
    agent.context.close()


def test_a_chat_is_put_back_by_a_key_that_the_help_names(browser: Browser, server: Served) -> None:
    agent = Agent(browser, server)
    page = agent.page
    cara = _waits(browser, server, agent, "Cara Lindqvist")
    page.locator("[data-waiting] a", has_text="Cara Lindqvist").first.click()
    agent.live()
    page.keyboard.press("c")
    expect(page.get_by_text("Yours", exact=True)).to_be_visible(timeout=_PATIENCE)
    cara.say("it is about my number")
    agent.sees("it is about my number")
    here = page.locator('[data-chat][aria-current="page"]')
    expect(here).to_contain_text("it is about my number", timeout=_PATIENCE)  # the list was made anew, and marked
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Put it back into the queue")
    page.keyboard.press("Escape")
    page.keyboard.press("q")
    page.keyboard.type("needs the logs")
    _passes_axe(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".chip", has_text="Waiting").first).to_be_visible(timeout=_PATIENCE)
    agent.sees("put it back into the queue: needs the logs")
    cara.sees("had to leave")
    _leaves(cara)
    agent.context.close()


def test_a_page_that_is_not_seen_lets_go_of_its_stream_but_for_one(browser: Browser, server: Served) -> None:
    """Over HTTP/1.1 a browser has six connections: nine chats in nine tabs would leave none to answer with."""
    agent = Agent(browser, server)
    agent.context.add_init_script(
        "window.away = false; Object.defineProperty(Document.prototype, 'hidden', { get: () => window.away });"
    )

    def turn(page: Page, *, away: bool) -> None:
        page.evaluate("(away) => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }", away)

    agent.page.reload()
    agent.live()
    tabs = [agent.context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto(f"{server.url}/desk")
        expect(tab.locator("[data-link-state=live]")).to_be_visible(timeout=_PATIENCE)
        turn(tab, away=True)
        expect(tab.locator("[data-link-state=paused]")).to_be_visible(timeout=_PATIENCE)
    turn(agent.page, away=True)
    ava = _waits(browser, server, agent, "Ava Moreno")  # the first still hears of it
    assert all(tab.locator("[data-waiting]", has_text="Ava Moreno").count() == 0 for tab in tabs)
    turn(tabs[0], away=False)
    expect(tabs[0].locator("[data-waiting]", has_text="Ava Moreno")).to_have_count(1, timeout=_PATIENCE)
    agent.page.close()  # then the next rings, though it is not seen
    tabs[0].close()
    expect(tabs[1].locator("[data-link-state=live]")).to_be_visible(timeout=_PATIENCE)
    _leaves(ava)
    agent.context.close()


def test_times_are_those_of_who_looks(browser: Browser, server: Served) -> None:
    """In Tokyo it is nine hours later than in UTC, also in what comes while the page is open."""
    fin = Customer(browser, server, "Finn Gallagher")
    fin.say("hello")
    tokyo = Agent(browser, server, timezone_id="Asia/Tokyo")
    tokyo.page.goto(f"{server.url}/desk?view=recent")
    tokyo.page.locator("[data-waiting] a", has_text="Finn Gallagher").first.click()
    tokyo.live()
    before = tokyo.page.locator("[data-log] time").count()
    fin.say("is my number all right?")
    expect(tokyo.page.locator("[data-log] time").nth(before)).to_be_visible(timeout=_PATIENCE)
    times = tokyo.page.locator("[data-log] time").evaluate_all(
        "all => all.map((time) => [time.dateTime, time.textContent, time.title])"
    )
    for at, said, title in times:
        local = datetime.fromisoformat(at) + timedelta(hours=9)
        assert said.endswith(f"{local:%H:%M}")
        assert said.startswith(f"{local.day} ")
        assert title.endswith(f"{local:%H:%M} GMT+9")
    tokyo.page.get_by_label("Sound, notifications and shortcuts").click()
    expect(tokyo.page.get_by_text("Times are in Asia/Tokyo.")).to_be_visible()
    tokyo.context.close()
    fin.context.close()
