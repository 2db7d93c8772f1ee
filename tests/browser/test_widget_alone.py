"""The widget in a real browser against a small stand-in for its API: what must hold whatever the network does."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.browser.widget_harness import STATIC, FakeSupport, jwt, serving

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


@pytest.fixture
def fake() -> FakeSupport:
    """The stand-in API, everything working."""
    return FakeSupport()


@pytest.fixture
def base(fake: FakeSupport) -> Iterator[str]:
    """Where the stand-in is served."""
    with serving(fake) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile with a desktop window."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    fresh.set_default_timeout(30_000)
    fresh.add_init_script(
        "window.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"
    )
    yield fresh
    fresh.close()


@pytest.fixture
def visit(context: BrowserContext, base: str) -> Visit:
    """Opens a page of the host site in a new tab."""

    def opened(path: str = "/", *, panel: bool = True) -> Page:
        page = context.new_page()
        page.goto(base + path)
        if panel:
            page.get_by_role("button", name="Open chat").click()
            expect(page.get_by_role("dialog", name="JoltSMS")).to_be_visible()
        return page

    return opened


def write(page: Page, text: str) -> None:
    """Type a message and send it."""
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def log(page: Page) -> Any:
    """The list of messages."""
    return page.get_by_role("log")


# --- nothing lost, nothing twice -------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["before", "after"])
def test_a_failed_send_is_repeated_with_the_same_client_id(fake: FakeSupport, visit: Visit, failure: str) -> None:
    """Whether the request or only its answer was lost, the message is stored once and shown once."""
    fake.fail_messages = [failure]
    page = visit()
    with page.expect_response(lambda response: response.status == 202):
        write(page, "cancel my number")
    expect(log(page).get_by_text("You wrote: cancel my number")).to_be_visible()
    expect(log(page).get_by_text("Delivered")).to_be_visible()
    assert len({post.body["client_id"] for post in fake.posts("/messages")}) == 1
    assert len(fake.posts("/messages")) == 2
    assert [m["text"] for m in fake.conversations[0].messages] == ["cancel my number", "You wrote: cancel my number"]
    expect(log(page).locator(".msg")).to_have_count(2)


def test_messages_are_sent_in_the_order_they_were_written(fake: FakeSupport, visit: Visit) -> None:
    fake.fail_messages = ["before", "after"]
    page = visit()
    for text in ("one", "two", "three"):
        write(page, text)
    expect(log(page).get_by_text("You wrote: three")).to_be_visible()
    stored = [m["text"] for m in fake.conversations[0].messages if m["author"] == "customer"]
    assert stored == ["one", "two", "three"]


def test_what_was_not_sent_survives_a_page_load(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    expect(log(page)).to_have_attribute("aria-live", "polite")
    fake.api_down = True
    write(page, "please do not lose this")
    expect(log(page).get_by_text("Not sent yet")).to_be_visible()
    page.reload()
    fake.api_down = False
    expect(log(page).get_by_text("You wrote: please do not lose this")).to_be_visible()
    assert len({post.body["client_id"] for post in fake.posts("/messages")}) == 1
    assert len(fake.conversations) == 1


def test_a_refused_message_says_why_and_can_be_edited(fake: FakeSupport, visit: Visit) -> None:
    fake.fail_messages = ["422"]
    page = visit()
    write(page, "hello")
    expect(log(page).get_by_text("Not sent. This button is no longer valid.")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Your message")).to_have_value("hello")
    expect(page.get_by_label("Your message")).to_be_focused()
    expect(log(page).locator(".msg")).to_have_count(0)


def test_a_resumed_stream_asks_for_what_came_after_the_last_event(fake: FakeSupport, visit: Visit) -> None:
    """The answer to a POST does not move the cursor: an agent's message in between must still arrive."""
    page = visit()
    write(page, "hello")
    expect(log(page).get_by_text("You wrote: hello")).to_be_visible()
    fake.streams_down = True
    fake.cut_streams()
    fake.say("Said while the stream was down.")
    write(page, "still there?")
    expect(log(page).get_by_text("You wrote: still there?")).to_be_visible()
    fake.streams_down = False
    expect(log(page).get_by_text("Said while the stream was down.")).to_have_count(1)
    fake.say("Said on the new stream.")
    expect(log(page).get_by_text("Said on the new stream.")).to_have_count(1)
    asked = [int(seen.headers["last-event-id"]) for seen in fake.streams()]
    assert asked[0] == 0
    assert asked[1] == 2
    texts = log(page).locator(".bubble").all_inner_texts()
    assert texts == [m["text"] for m in fake.conversations[0].messages]


def test_a_lost_connection_is_shown_and_recovers(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    expect(log(page)).to_have_attribute("aria-live", "polite")
    fake.api_down = True
    fake.cut_streams()
    expect(page.get_by_text("Connection lost. Trying to reconnect…")).to_be_visible()
    fake.api_down = False
    expect(page.get_by_text("You are connected again.")).to_be_visible()
    fake.say("Welcome back.")
    expect(log(page).get_by_text("Welcome back.")).to_be_visible()


def test_an_ended_session_is_replaced_and_what_was_written_is_sent(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    write(page, "first")
    expect(log(page).get_by_text("You wrote: first")).to_be_visible()
    fake.revoke()
    write(page, "second")
    expect(log(page).get_by_text("You wrote: second")).to_be_visible()
    expect(page.get_by_text("Your last session had ended")).to_be_visible()
    expect(log(page).get_by_text("You wrote: first")).to_have_count(0)
    assert len(fake.conversations) == 2


def test_two_tabs_show_one_conversation(fake: FakeSupport, visit: Visit) -> None:
    first = visit()
    write(first, "from the first tab")
    expect(log(first).get_by_text("You wrote: from the first tab")).to_be_visible()
    second = visit()
    expect(log(second).get_by_text("You wrote: from the first tab")).to_be_visible()
    write(second, "from the second tab")
    expect(log(first).get_by_text("You wrote: from the second tab")).to_be_visible()
    expect(log(first).locator(".msg")).to_have_count(4)
    expect(log(second).locator(".msg")).to_have_count(4)
    assert len(fake.conversations) == 1


def test_a_page_view_alone_opens_no_session(fake: FakeSupport, visit: Visit) -> None:
    page = visit(panel=False)
    expect(page.get_by_role("button", name="Open chat")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert fake.posts("/sessions") == []


# --- one customer's data only ----------------------------------------------------------------------------------------


def test_another_identity_never_sees_what_was_there_before(fake: FakeSupport, visit: Visit) -> None:
    page = visit("/bare", panel=False)
    page.evaluate("token => { SupportBot.boot({brand: 'joltsms', identity: token}); SupportBot.show() }", jwt("ava"))
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    write(page, "Ava's secret")
    expect(log(page).get_by_text("You wrote: Ava's secret")).to_be_visible()
    page.get_by_label("Your message").fill("Ava's draft")
    seen_at_once = page.evaluate(
        """token => { SupportBot.setIdentity(token);
        const root = document.querySelector('support-bot').shadowRoot;
        return root.querySelector('[role=log]').textContent + root.querySelector('textarea').value }""",
        jwt("ben"),
    )
    assert "Ava" not in seen_at_once
    expect(page.get_by_role("heading", name="Hi Ben, how can we help?")).to_be_visible()
    write(page, "Ben here")
    expect(log(page).get_by_text("You wrote: Ben here")).to_be_visible()
    expect(log(page).get_by_text("secret")).to_have_count(0)
    assert "authorization" not in fake.posts("/sessions")[-1].headers


def test_an_answer_that_is_late_for_the_previous_customer_is_thrown_away(fake: FakeSupport, visit: Visit) -> None:
    page = visit("/bare", panel=False)
    page.evaluate("token => { SupportBot.boot({brand: 'joltsms', identity: token}); SupportBot.show() }", jwt("ava"))
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    fake.delay = 0.7
    with page.expect_response(lambda response: response.url.endswith("/messages")):
        write(page, "Ava's secret")
        page.wait_for_function("() => document.querySelector('support-bot').shadowRoot.querySelector('.msg')")
        page.evaluate("token => SupportBot.setIdentity(token)", jwt("ben"))
    expect(page.get_by_role("heading", name="Hi Ben, how can we help?")).to_be_visible()
    write(page, "Ben here")
    expect(log(page).get_by_text("You wrote: Ben here")).to_be_visible()
    expect(log(page).get_by_text("secret")).to_have_count(0)


def test_a_customer_known_by_a_code_in_the_chat_is_not_shown_to_the_next_one(fake: FakeSupport, visit: Visit) -> None:
    """The browser does not know yet that the conversation became Ava's; the server does."""
    page = visit()
    write(page, "Ava's secret")
    expect(log(page).get_by_text("You wrote: Ava's secret")).to_be_visible()
    fake.conversations[0].sub = "ava"
    fake.delay = 0.5
    write(page, "Ava's late question")
    page.get_by_text("Ava's late question").wait_for()
    seen_at_once = page.evaluate(
        """token => { SupportBot.setIdentity(token);
        return Promise.resolve().then(() => Promise.resolve()).then(() =>
            document.querySelector('support-bot').shadowRoot.querySelector('[role=log]').textContent) }""",
        jwt("ben"),
    )
    assert "secret" not in seen_at_once
    expect(page.get_by_role("heading", name="Hi Ben, how can we help?")).to_be_visible()
    write(page, "Ben here")
    expect(log(page).get_by_text("You wrote: Ben here")).to_be_visible()
    expect(log(page).get_by_text("Ava")).to_have_count(0)
    assert [m["text"] for m in fake.conversations[1].messages] == ["Ben here", "You wrote: Ben here"]


def test_a_page_that_does_not_say_who_it_is_shows_no_customers_messages(fake: FakeSupport, visit: Visit) -> None:
    page = visit("/bare", panel=False)
    page.evaluate("token => { SupportBot.boot({brand: 'joltsms', identity: token}); SupportBot.show() }", jwt("ava"))
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    write(page, "Ava's secret")
    expect(log(page).get_by_text("You wrote: Ava's secret")).to_be_visible()
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.evaluate("SupportBot.boot({brand: 'joltsms'}); SupportBot.show()")
    expect(page.get_by_role("heading", name="How can we help?", exact=True)).to_be_visible()
    write(page, "a stranger")
    expect(log(page).get_by_text("You wrote: a stranger")).to_be_visible()
    expect(log(page).get_by_text("secret")).to_have_count(0)


def test_signing_in_keeps_the_anonymous_conversation_and_signing_out_drops_it(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    write(page, "a question before signing in")
    expect(log(page).get_by_text("You wrote: a question before signing in")).to_be_visible()
    page.evaluate("token => SupportBot.setIdentity(() => Promise.resolve(token))", jwt("ava"))
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    expect(log(page).get_by_text("You wrote: a question before signing in")).to_be_visible()
    assert len(fake.conversations) == 1
    page.evaluate("SupportBot.setIdentity(null)")
    expect(page.get_by_role("heading", name="How can we help?", exact=True)).to_be_visible()
    expect(log(page).locator(".msg")).to_have_count(0)
    page.evaluate("SupportBot.shutdown()")
    assert page.locator("support-bot").count() == 0
    assert page.evaluate("localStorage.length") == 0


def test_signing_out_in_one_tab_clears_the_other(fake: FakeSupport, visit: Visit) -> None:
    tabs = [visit("/bare", panel=False) for _ in range(2)]
    for page in tabs:
        page.evaluate(
            "token => { SupportBot.boot({brand: 'joltsms', identity: token}); SupportBot.show() }", jwt("ava")
        )
        expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    write(tabs[0], "Ava's secret")
    expect(log(tabs[1]).get_by_text("You wrote: Ava's secret")).to_be_visible()
    tabs[0].evaluate("SupportBot.setIdentity(null)")
    expect(tabs[1].get_by_role("heading", name="How can we help?", exact=True)).to_be_visible()
    expect(log(tabs[1]).locator(".msg")).to_have_count(0)


@pytest.mark.parametrize("meanwhile", ["whole record", "read mark", "nothing"])
def test_a_sign_out_elsewhere_holds_whatever_this_tab_stored_meanwhile(
    fake: FakeSupport, visit: Visit, meanwhile: str
) -> None:
    """The other tab's news arrives after this tab has marked something as read, and so put its own record back."""
    page = visit("/bare", panel=False)
    page.evaluate("token => { SupportBot.boot({brand: 'joltsms', identity: token}); SupportBot.show() }", jwt("ava"))
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()
    write(page, "Ava's secret")
    expect(log(page).get_by_text("You wrote: Ava's secret")).to_be_visible()
    page.evaluate(
        """meanwhile => {
        const key = 'supportbot:joltsms', { user } = JSON.parse(localStorage[key]);
        delete localStorage[key];
        if (meanwhile === 'whole record') localStorage[key] = JSON.stringify({ user });
        if (meanwhile === 'read mark') localStorage[key] = JSON.stringify({ user: { sub: user.sub, read: 2 } });
        dispatchEvent(new StorageEvent('storage', { key, newValue: null })) }""",
        meanwhile,
    )
    expect(page.get_by_role("heading", name="How can we help?", exact=True)).to_be_visible()
    expect(log(page).locator(".msg")).to_have_count(0)
    assert page.evaluate("(JSON.parse(localStorage['supportbot:joltsms'] ?? '{}')).user") is None


def test_a_fresh_proof_of_identity_is_asked_for_when_one_is_refused(fake: FakeSupport, visit: Visit) -> None:
    page = visit("/bare", panel=False)
    page.evaluate(
        """([old, fresh]) => { let calls = 0;
        SupportBot.boot({brand: 'joltsms', identity: async () => (calls++ ? fresh : old)}); SupportBot.show() }""",
        [jwt("ava", expires_in=-60), jwt("ava")],
    )
    expect(page.get_by_role("heading", name="Hi Ava, how can we help?")).to_be_visible()


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_text_is_shown_as_text_and_only_web_addresses_become_links(fake: FakeSupport, visit: Visit) -> None:
    attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\njavascript:alert(1)'
    fake.script = lambda text: [
        {"text": f"{attack}\nSee (https://help.jolt.example/a_(b)), or http://x.example/?q=1&b=2.\n- one\n- two"}
    ]
    page = visit()
    write(page, attack)
    expect(log(page).get_by_role("listitem")).to_have_text(["one", "two"])
    assert log(page).locator(".bubble").first.inner_text() == attack
    assert log(page).locator("img, script").count() == 0
    assert page.evaluate("window.hacked") is None
    links = log(page).get_by_role("link")
    hrefs = [link.get_attribute("href") for link in links.all()]
    assert hrefs == ["https://help.jolt.example/a_(b)", "http://x.example/?q=1&b=2"]
    assert all(link.get_attribute("rel") == "noopener noreferrer" for link in links.all())


def test_a_button_can_be_used_once(fake: FakeSupport, visit: Visit) -> None:
    buttons = [{"id": "b1", "title": "Yes, stop it"}, {"id": "b2", "title": "Keep it"}]
    fake.script = lambda text: (
        [{"text": "Are you sure?", "buttons": buttons}] if "cancel" in text else [{"text": "Done."}]
    )
    page = visit()
    write(page, "cancel")
    page.get_by_role("button", name="Yes, stop it").click()
    expect(log(page).get_by_text("Done.")).to_be_visible()
    expect(page.get_by_role("button", name="Yes, stop it")).to_be_disabled()
    expect(page.get_by_role("button", name="Keep it")).to_be_disabled()
    assert page.get_by_role("button", name="Yes, stop it").get_attribute("aria-pressed") == "true"
    assert fake.posts("/messages")[-1].body["button"] == "b1"
    assert "text" not in fake.posts("/messages")[-1].body


def test_the_launcher_counts_unread_messages_until_the_panel_opens(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    write(page, "hello")
    expect(log(page).get_by_text("You wrote: hello")).to_be_visible()
    page.evaluate("() => { window.counts = []; SupportBot.on('unread', count => counts.push(count)) }")
    page.keyboard.press("Escape")
    fake.say("Are you still there?")
    expect(page.get_by_role("button", name="Open chat, 1 unread message")).to_be_visible()
    page.get_by_role("button", name="Maya Lind Are you still there?").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Open chat", exact=True)).to_be_visible()
    assert page.evaluate("counts") == [1, 0]


def test_the_history_and_the_open_panel_are_there_after_a_page_load(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    write(page, "remember me")
    expect(log(page).get_by_text("You wrote: remember me")).to_be_visible()
    page.get_by_role("link", name="Another article").click()
    expect(log(page).get_by_text("You wrote: remember me")).to_be_visible()
    expect(page.get_by_role("button", name="Open chat")).to_have_count(0)


def test_a_message_that_is_too_long_is_kept_and_explained(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    write(page, "x" * 4001)
    expect(
        page.get_by_text("Your message has 4,001 characters; up to 4,000 can be sent at once.").first
    ).to_be_visible()
    assert len(page.get_by_label("Your message").input_value()) == 4001
    assert fake.posts("/messages") == []
    write(page, "x" * 4000)
    expect(page.get_by_label("Your message")).to_have_value("")


def test_files_are_checked_uploaded_and_sent(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    picker = page.locator("input[type=file]")
    picker.set_input_files([{"name": "tool.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"}])
    expect(
        page.get_by_text("“tool.exe” cannot be attached. These kinds of file can: PNG, JPEG, PDF or text.")
    ).to_be_visible()
    picker.set_input_files([{"name": "big.png", "mimeType": "image/png", "buffer": b"x" * 1_000_001}])
    expect(page.get_by_text("“big.png” is 977 KB. Files can have up to 977 KB.")).to_be_visible()
    picker.set_input_files([{"name": "inbox.png", "mimeType": "image/png", "buffer": b"x" * 100}])
    page.get_by_label("Your message").fill("my inbox")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(log(page).get_by_role("img", name="inbox.png")).to_be_visible()
    bodies = [post.body for post in fake.posts("/messages")]
    assert bodies[0]["text"] == "my inbox"
    assert bodies[1]["files"] == list(fake.files)


def test_enter_sends_and_shift_enter_breaks_the_line(fake: FakeSupport, visit: Visit) -> None:
    page = visit()
    box = page.get_by_label("Your message")
    box.press_sequentially("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    box.press("Enter")
    expect(box).to_have_value("")
    expect(log(page).get_by_text("You wrote: one")).to_be_visible()
    assert fake.posts("/messages")[0].body["text"] == "one\ntwo"


# --- the host page ---------------------------------------------------------------------------------------------------


def test_nothing_offends_a_strict_content_security_policy(
    fake: FakeSupport, context: BrowserContext, visit: Visit
) -> None:
    fake.script = lambda text: [
        {
            "text": "Here.",
            "attachments": [{"id": "p", "name": "p.png", "media_type": "image/png", "size": 70, "url": "/picture.png"}],
        }
    ]
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page = visit()
    write(page, "show me")
    expect(log(page).get_by_role("img", name="p.png")).to_be_visible()
    page.locator("input[type=file]").set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"log"}])
    expect(page.get_by_text("3 bytes")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("violations") == []
    assert complaints == []


def test_the_token_is_in_no_address(context: BrowserContext, visit: Visit) -> None:
    urls: list[str] = []

    def noted(request: Request) -> None:
        urls.append(request.url)

    context.on("request", noted)
    page = visit()
    write(page, "hello")
    expect(log(page).get_by_text("You wrote: hello")).to_be_visible()
    assert not [url for url in urls if "token-" in url]


def test_calls_made_before_the_widget_is_ready_are_kept(
    fake: FakeSupport, context: BrowserContext, visit: Visit
) -> None:
    context.add_init_script(
        "(window.SupportBot ??= []).push(['show'], ['on', 'ready', e => { window.ready = e.brand.id }])"
    )
    page = visit(panel=False)
    expect(page.get_by_role("dialog", name="JoltSMS")).to_be_visible()
    assert page.evaluate("ready") == "joltsms"


def test_an_unknown_brand_is_reported_to_the_host_page(visit: Visit) -> None:
    page = visit("/bare", panel=False)
    problem = page.evaluate("new Promise(done => { SupportBot.on('error', done); SupportBot.boot({brand: 'nobody'}) })")
    assert problem["status"] == 404
    assert problem["detail"] == "There is no brand of this name."


def test_the_file_stays_small() -> None:
    assert len(gzip.compress((STATIC / "widget.js").read_bytes(), 9)) < 40_000


# --- accessibility ---------------------------------------------------------------------------------------------------


def test_the_keyboard_alone_is_enough(fake: FakeSupport, visit: Visit) -> None:
    page = visit(panel=False)
    launcher = page.get_by_role("button", name="Open chat")
    launcher.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(log(page).get_by_text("You wrote: hello")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(launcher).to_be_focused()


def test_on_a_phone_the_panel_fills_the_screen_and_keeps_the_focus(visit: Visit) -> None:
    page = visit(panel=False)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Open chat").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_attribute("aria-modal", "true")
    assert dialog.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    for key in ("Tab", "Shift+Tab"):
        for _ in range(8):
            page.keyboard.press(key)
            assert page.evaluate("document.activeElement.localName") == "support-bot"


def test_at_four_hundred_percent_everything_can_be_reached(visit: Visit) -> None:
    """1280 x 800 at 400 % is a window of 320 x 200."""
    page = visit(panel=False)
    page.set_viewport_size({"width": 320, "height": 200})
    page.get_by_role("button", name="Open chat").click()
    for part in (
        page.get_by_label("Your message"),
        page.get_by_role("button", name="Send", exact=True),
        page.get_by_role("button", name="Close chat"),
    ):
        expect(part).to_be_in_viewport(ratio=0.99)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator(".scroll").bounding_box()["height"] > 60  # type: ignore[index]


@pytest.mark.parametrize(
    ("primary", "on_primary"), [("#ffd400", "#ffffff"), ("#111111", "#333333"), ("not a colour", None)]
)
def test_text_on_the_brands_colour_can_be_read(
    fake: FakeSupport, visit: Visit, primary: str, on_primary: str | None
) -> None:
    fake.brand["theme"] = {"primary": primary, "on_primary": on_primary}
    page = visit()
    style = page.locator("support-bot").evaluate(
        "e => ['--primary-light', '--on-light'].map(n => e.style.getPropertyValue(n))"
    )
    back, front = ([int(part) for part in re.findall(r"\d+", colour)] for colour in style)
    assert contrast(back, front) >= 4.5


def contrast(one: list[int], other: list[int]) -> float:
    """WCAG 2.2 contrast ratio of two sRGB colours."""

    def luminance(rgb: list[int]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_axe_finds_nothing(fake: FakeSupport, visit: Visit, scheme: Any, size: tuple[int, int]) -> None:
    """In every state a customer meets: empty, talking, refused, cut off, closed with a preview."""
    buttons = [{"id": "b1", "title": "Stop auto-renew"}, {"id": "b2", "title": "Keep it"}]
    receipt = {
        "id": "r",
        "name": "Receipt RCP-000001.html",
        "media_type": "text/html",
        "size": 900,
        "url": "/picture.png",
    }
    fake.script = lambda text: [
        {"text": "See https://help.jolt.example\n- one\n- two", "buttons": buttons, "attachments": [receipt]}
    ]
    page = visit(panel=False)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.get_by_role("button", name="Open chat").click()
    expect(log(page)).to_have_attribute("aria-live", "polite")
    found = axe(page)
    write(page, "hello")
    expect(page.get_by_role("button", name="Keep it")).to_be_visible()
    found += axe(page)
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Keep it")).to_have_count(2)
    fake.signal("state", owner="human")
    fake.say("Hello, Maya here.")
    fake.signal("typing", author="agent", on=True)
    fake.fail_messages = ["422"]
    write(page, "again")
    expect(log(page).get_by_text("Not sent.")).to_be_visible()
    page.locator("input[type=file]").set_input_files(
        [{"name": "tool.exe", "mimeType": "application/x", "buffer": b"MZ"}]
    )
    page.locator("input[type=file]").set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"log"}])
    fake.api_down = True
    fake.cut_streams()
    expect(page.get_by_text("Connection lost.")).to_be_visible()
    found += axe(page)
    fake.api_down = False
    page.keyboard.press("Escape")
    fake.say("A preview of this message.")
    expect(page.get_by_role("status").get_by_text("A preview of this message.")).to_be_visible()
    found += axe(page)
    assert found == []


def axe(page: Page) -> list[str]:
    """What axe-core has against the widget as it is now: WCAG 2.2 AA and best practices."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate(
        "rules => axe.run('support-bot', {runOnly: rules})",
        ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    )
    return [
        f"{found['id']}: {node['target']} {node['failureSummary']}"
        for found in result["violations"]
        for node in found["nodes"]
    ]
