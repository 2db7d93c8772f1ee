"""The stories of JoltSMS's customers, in a real browser against the real server with the trained model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.served import Served

pytestmark = pytest.mark.browser
_PATIENCE = 20_000  # milliseconds, on a busy machine
_PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


@pytest.fixture(scope="module")
def server(models: Path, demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all stories; each customer's story is told once."""
    served = Served(tmp_path_factory.mktemp("served"), models, demo_file)
    served.start()
    yield served
    served.kill()


@dataclass
class Window:
    """A help center with the chat open, as a customer sees it."""

    page: Page
    problems: list[str]

    @property
    def log(self) -> Locator:
        """The messages."""
        return self.page.get_by_role("log")

    def say(self, text: str) -> None:
        """Type a message and send it."""
        box = self.page.get_by_label("Your message")
        box.fill(text)
        box.press("Enter")

    def press(self, title: str) -> None:
        """Press the newest button of that name, once it can be pressed."""
        button = self.page.get_by_role("button", name=title, exact=True).last
        expect(button).to_be_enabled(timeout=_PATIENCE)
        button.click()

    def sees(self, pattern: str) -> None:
        """Wait until the messages hold that text."""
        expect(self.log).to_contain_text(re.compile(pattern), timeout=_PATIENCE)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser nobody has used before."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 800})
    yield fresh
    fresh.close()


def _open(context: BrowserContext, server: Served, customer: str | None = None) -> Window:
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security" in line.text else None)
    page.goto(f"{server.url}/help/joltsms")
    if customer:
        page.get_by_text("Sign in as").first.click()
        page.get_by_text(customer).first.click()
        expect(page.get_by_text(customer).first).to_be_visible(timeout=_PATIENCE)
    window = Window(page, problems)
    if not page.get_by_label("Your message").is_visible():
        page.get_by_role("button", name="Open chat").click()
    window.sees("JoltSMS support")
    return window


def test_ava_cancels_gets_a_receipt_and_changes_her_mind(context: BrowserContext, server: Served) -> None:
    """From "how do I cancel" to a receipt in a new tab, then undone."""
    chat = _open(context, server, "Ava Moreno")
    chat.say("how do I cancel my number?")
    chat.sees("Cancel a number")
    chat.say("do I get money back for unused days?")
    chat.sees("Unused days are not paid back")
    chat.say("cancel my number")
    chat.press("Continue cancelling")
    chat.press("Skip")
    chat.press("Yes, cancel")
    chat.sees(r"CAN-\d{6}")
    with context.expect_page() as opened:
        chat.page.get_by_role("link", name=re.compile("Receipt RCP")).last.click()
    receipt = opened.value
    expect(receipt.get_by_text(re.compile(r"CAN-\d{6}")).first).to_be_visible(timeout=_PATIENCE)
    expect(receipt.get_by_text("+1 415-555-0101").first).to_be_visible()
    receipt.close()
    chat.press("Undo this")
    chat.press("Yes, keep it")
    chat.sees("goes on and renews on")
    assert chat.problems == []


def test_ben_gets_the_second_charge_back_once(context: BrowserContext, server: Served) -> None:
    """The ledger proves it; asking again shows the same reference."""
    chat = _open(context, server, "Ben Okafor")
    chat.say("you charged me twice!!")
    chat.sees(r"RFD-\d{6}")
    reference = re.search(r"RFD-\d{6}", chat.log.inner_text())
    assert reference
    chat.say("I was charged twice, give me my money back")
    chat.sees("already")
    assert set(re.findall(r"RFD-\d{6}", chat.log.inner_text())) == {reference[0]}
    assert chat.problems == []


def test_cara_has_her_number_investigated_with_a_screenshot(context: BrowserContext, server: Served) -> None:
    """From "gets no texts" to a case number, with an upload on the way."""
    chat = _open(context, server, "Cara Lindqvist")
    chat.say("my number gets no texts")
    chat.press("I've sent it")
    chat.sees("What exactly goes wrong")
    chat.say("Nothing ever arrives, not from friends and not from any website")
    chat.sees("Since when")
    chat.say("since the day I rented it")
    chat.sees("screenshots or logs")
    chat.page.locator("input[type=file]").set_input_files(
        {"name": "inbox.png", "mimeType": "image/png", "buffer": _PNG}
    )
    attached = chat.page.get_by_role("button", name=re.compile("^Send"))
    if attached.count() and attached.first.is_enabled():
        attached.first.click()
    chat.sees(r"TCK-\d{6}")
    assert chat.problems == []


def test_an_anonymous_customer_proves_it_with_a_code_from_the_mailbox(context: BrowserContext, server: Served) -> None:
    """The e-mail with the code arrives in the demo mailbox."""
    chat = _open(context, server)
    chat.say("show my subscriptions")
    chat.sees("Which e-mail address")
    chat.say("finn@jolt.example")
    chat.sees("six-digit code")
    mailbox = context.new_page()
    found = None
    for _ in range(50):
        mailbox.goto(f"{server.url}/demo/mail?to=finn@jolt.example")
        mail = mailbox.get_by_role("link", name="Your JoltSMS code")
        if mail.count():
            mail.first.click()
            found = re.search(r"(?<![-\d])\d{6}(?!\d)", mailbox.inner_text("main"))
            break
        mailbox.wait_for_timeout(200)
    assert found, "no code arrived in the demo mailbox"
    chat.say(found[0])
    chat.sees("0107")
    assert chat.problems == []


def test_a_restarted_server_loses_nothing_and_repeats_nothing(context: BrowserContext, server: Served) -> None:
    """Killed in the middle of a conversation, with a message typed while it is down."""
    chat = _open(context, server, "Gia Romano")
    chat.say("can I get my number back?")
    chat.sees("released")
    server.kill()
    chat.say("what is refundable?")
    server.start()
    chat.sees("What is refundable")
    text = chat.log.inner_text()
    assert text.count("can I get my number back?") == 1
    assert text.count("what is refundable?") == 1


def test_two_tabs_show_the_same_conversation(context: BrowserContext, server: Served) -> None:
    """What is said in one tab appears in the other."""
    first = _open(context, server)
    first.say("what happens to my number after I cancel?")
    first.sees("After you cancel")
    second = _open(context, server)
    second.sees("what happens to my number after I cancel")
    second.say("thanks!")
    first.sees("welcome")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_help_center_and_the_open_chat_pass_axe(browser: Browser, server: Served, width: int, height: int) -> None:
    """No finding of the WCAG 2.2 AA rules."""
    context = browser.new_context(viewport={"width": width, "height": height})
    chat = _open(context, server)
    chat.say("what is refundable?")
    chat.sees("What is refundable")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(chat.page, options=options).response["violations"]
    context.close()
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
