"""The event stream over a real connection: nothing lost and nothing twice, whatever breaks in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bot.app import App, build, web
from bot.channels.widget import api
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.messages import Reply
from bot.services.handoff import change_owner
from bot.settings import Settings
from bot.store.tables import Conversation
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine, echo
from tests.integration.serving import Browser, serving


@pytest.fixture
def app(settings: Settings, clock: FakeClock) -> Iterator[App]:
    """The whole application with a scripted engine."""
    built = build(settings, clock=clock, engine=ScriptedEngine())
    yield built
    built.close()


@pytest.fixture
def browser(app: App) -> Iterator[Browser]:
    """A session with the served application."""
    with serving(web(app)) as base, Browser(base) as opened:
        yield opened


def conversation_of(app: App) -> str:
    """The only conversation there is."""
    with app.store.read() as uow:
        return str(uow.session.query(Conversation.id).scalar())


def seqs(events: list[Any]) -> list[int]:
    """The numbers of the messages among some events."""
    return [event.data["seq"] for event in events if event.kind == "message"]


def test_the_state_comes_first_then_every_message_with_its_number(browser: Browser) -> None:
    browser.send("hello", "c-1")
    with browser.tab() as tab:
        assert tab.response.headers["content-type"].startswith("text/event-stream")
        assert tab.response.headers["cache-control"] == "no-store"
        assert tab.response.headers["x-accel-buffering"] == "no"
        assert tab.response.headers["x-content-type-options"] == "nosniff"
        events = tab.until(3)
    assert (events[0].kind, events[0].data) == ("state", {"owner": "bot"})
    assert [(event.id, event.data["author"]) for event in events[1:]] == [("1", "bot"), ("2", "customer"), ("3", "bot")]
    assert browser.messages() == [event.data for event in events[1:]]


def test_new_messages_come_as_they_are_said(browser: Browser, app: App) -> None:
    """The answer waits here until the customer has seen that somebody types."""
    seen_typing = threading.Event()

    async def patient(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        assert await asyncio.to_thread(seen_typing.wait, 10)
        return await echo(turn, state)

    app.engine.script = patient  # type: ignore[attr-defined]
    with browser.tab() as tab:
        tab.until(1)
        sending = threading.Thread(target=browser.send, args=("hello", "c-1"))
        sending.start()
        events = [tab.next()]
        while events[-1].kind != "typing":
            events.append(tab.next())
        seen_typing.set()
        events += tab.until(3)
        sending.join()
    assert seqs(events) == [2, 3]


def test_nobody_types_after_the_answer() -> None:
    """Hints that came together are one: whoever typed before the answer has finished."""

    async def latest() -> str:
        hints: asyncio.Queue[str] = asyncio.Queue()
        for hint in ("message", "typing", "message"):
            hints.put_nowait(hint)
        return await api._next(hints)

    assert asyncio.run(latest()) == "message"


@pytest.mark.parametrize(("last", "query"), [("2", ""), (None, "?after=2"), ("2", "?after=0")])
def test_a_stream_goes_on_where_it_broke_off(browser: Browser, last: str | None, query: str) -> None:
    browser.send("one", "c-1")
    with browser.tab() as tab:
        tab.until(2)
    browser.send("two", "c-2")
    with browser.tab(last=last, query=query) as tab:
        assert seqs(tab.until(5)) == [3, 4, 5]


def test_reconnecting_all_the_time_loses_and_repeats_nothing(browser: Browser) -> None:
    speaking = threading.Thread(target=lambda: [browser.send(f"m{i}", f"c-{i}") for i in range(8)])
    speaking.start()
    seen: list[int] = []
    while len(seen) < 17:
        with browser.tab(last=str(seen[-1] if seen else 0)) as tab:
            seen += seqs(tab.until(len(seen) + 1))
    speaking.join()
    assert seen == list(range(1, 18))


def test_two_tabs_both_see_everything(browser: Browser) -> None:
    with browser.tab() as one, browser.tab() as other:
        one.until(1)
        other.until(1)
        browser.send("from the first tab", "c-1")
        browser.send("from the second tab", "c-2")
        assert seqs(one.until(5)) == seqs(other.until(5)) == [2, 3, 4, 5]


def test_somebody_elses_messages_do_not_come(browser: Browser) -> None:
    with Browser(browser.base) as stranger, browser.tab() as tab:
        tab.until(1)
        stranger.send("secret", "c-1")
        browser.send("mine", "c-1")
        events = tab.until(3)
    assert "secret" not in str(events)


def test_a_change_of_owner_and_a_persons_words_come(browser: Browser, app: App, clock: FakeClock) -> None:
    conversation_id = conversation_of(app)
    with browser.tab() as tab:
        tab.until(1)
        with app.store.write() as uow:
            change_owner(
                uow,
                conversation_id=conversation_id,
                to_owner="queued",
                reason="asked",
                actor="bot",
                note="",
                key="k-1",
                now=clock.now(),
            )
            uow.commit()
        browser.send("a human please", "c-1")
        events = tab.until(2)
        assert {"owner": "queued", "position": 1} in [event.data for event in events]
    assert seqs(events) == [2]


def test_a_lost_hint_costs_time_and_nothing_else(browser: Browser, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by another process whose hint did not arrive: the stream finds it by looking."""
    monkeypatch.setattr(api, "_POLL_SECONDS", 0.05)
    with browser.tab() as tab:
        tab.until(1)

        async def silent(topic: str, hint: str = "") -> None:
            """Tell nobody."""

        monkeypatch.setattr(app.bus, "publish", silent)
        asyncio.run(app.gateway.say(conversation_of(app), [Reply("Mia here.")], author="agent", name="Mia"))
        assert tab.until(2)[-1].data["text"] == "Mia here."


def test_a_stream_ends_with_its_session(browser: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_POLL_SECONDS", 0.05)
    with browser.tab() as tab:
        tab.until(1)
        clock.advance(days=31)
        assert tab.ended()
    with browser.tab() as tab:
        assert tab.response.status_code == 401


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999"])
def test_a_wrong_last_event_id_is_refused(browser: Browser, last: str) -> None:
    with browser.tab(last=last) as tab:
        assert tab.response.status_code == 422
        assert tab.response.headers["content-type"] == "application/problem+json"


def test_asking_for_the_headers_only_opens_no_stream(browser: Browser) -> None:
    response = browser.client.head("/stream")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_a_message_whose_sender_left_is_answered_all_the_same(browser: Browser, app: App) -> None:
    started, go_on = threading.Event(), threading.Event()

    async def slow(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        started.set()
        await asyncio.to_thread(go_on.wait, 10)
        return await echo(turn, state)

    app.engine.script = slow  # type: ignore[attr-defined]
    with (
        Browser(browser.base, token=browser.token, patience=httpx.Timeout(0.5)) as leaving,
        browser.tab() as tab,
    ):
        tab.until(1)
        with pytest.raises(httpx.ReadTimeout):
            leaving.send("hello", "c-1")
        assert started.wait(10)
        go_on.set()
        assert tab.until(3)[-1].data["text"] == "You said: hello"
    assert browser.send("hello", "c-1")["replies"][0]["seq"] == 3
