"""The stream that keeps a page of the desk live, over a real connection: who gets it, what it tells, when it ends."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select

from bot.app import App, build, web
from bot.desk import live
from bot.policy.decision import Matter
from bot.services import agents, refunds
from bot.services.agents import Role
from bot.settings import Settings
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.integration.serving import PATIENCE, Browser, serving
from tests.integration.test_desk import field
from tests.unit.services.usecases import conversation, customer

BRANDS = ["joltsms", "smartercontact", "smrtphone"]
PASSWORD = "correct horse battery"
ATTACK = "<script>alert('x')</script>"


@dataclass
class Told:
    """One event of the stream."""

    kind: str
    id: str | None
    data: str


class Page:
    """An open page's stream; `first` is what it began with."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.first: list[Told] = []
        self._told = self._read()

    def until(self, kind: str, *, holds: str = "") -> list[Told]:
        """All events up to the next of that kind that holds those words; waits for it."""
        read: list[Told] = []
        for told in self._told:
            read.append(told)
            if told.kind == kind and holds in told.data:
                return read
        raise AssertionError(f"the stream ended before “{kind}”: {[each.kind for each in read]}")

    def next(self, kind: str, *, holds: str = "") -> Told:
        """The next event of that kind that holds those words."""
        return self.until(kind, holds=holds)[-1]

    def rest(self) -> list[Told]:
        """Everything until the server ends the stream."""
        with contextlib.suppress(httpx.RemoteProtocolError):
            return list(self._told)
        return []

    def _read(self) -> Iterator[Told]:
        kind, name, data = "message", None, []
        for line in self.response.iter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                kind = value
            elif key == "id":
                name = value
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                yield Told(kind, name, "\n".join(data))
                kind, name, data = "message", None, []


class AtDesk:
    """Somebody's browser, signed in at the desk."""

    def __init__(self, base: str, name: str) -> None:
        self.client = httpx.Client(base_url=base, timeout=PATIENCE, follow_redirects=True)
        csrf = field(self.client.get("/desk").text, "csrf")
        form = {"csrf": csrf, "email": f"{name}@desk.example", "password": PASSWORD}
        assert "data-csrf" in self.client.post("/desk/sign-in", data=form).text

    def act(self, conversation: str, name: str, **fields: str) -> None:
        """Send a form of a conversation's page."""
        page = self.client.get(f"/desk/conversations/{conversation}").text
        form = {"csrf": field(page, "csrf"), "key": field(page, "key"), **fields}
        path = f"/desk/conversations/{conversation}/{name}"
        answer = self.client.post(path, data=form, headers={"X-Desk-Script": "1"})
        assert answer.status_code == 200, answer.text

    @contextlib.contextmanager
    def page(self, path: str = "/desk", *, last: str | None = None) -> Iterator[Page]:
        """A page, kept live the way its script does it."""
        html = self.client.get(path).text
        found = re.search(r'data-events="([^"]+)"', html)
        assert found, path
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.client.stream("GET", unescape(found.group(1)), headers=headers) as response:
            assert response.status_code == 200
            opened = Page(response)
            opened.first = opened.until("lists")
            yield opened


@dataclass
class Place:
    """The served application, with a customer in a chat and people to answer them."""

    app: App
    base: str
    customer: Browser
    talk: str
    closing: contextlib.ExitStack

    def enter(self, who: str) -> AtDesk:
        """Somebody signs in."""
        entered = AtDesk(self.base, who)
        self.closing.callback(entered.client.close)
        return entered

    def change(self, who: str, work: Callable[[UnitOfWork, str], object]) -> None:
        """Change an agent as another process would: nobody who listens is told."""
        with self.app.store.write() as uow:
            found = uow.session.execute(select(t.Agent.id).where(t.Agent.email == f"{who}@desk.example"))
            work(uow, found.scalar_one())
            uow.commit()


@pytest.fixture
def place(settings: Settings, clock: FakeClock) -> Iterator[Place]:
    """Amy and Bo work for JoltSMS, Pia for smrtPhone."""
    app = build(settings, clock=clock, engine=ScriptedEngine())
    with app.store.write() as uow:
        for name, brand in (("amy", "joltsms"), ("bo", "joltsms"), ("pia", "smrtphone")):
            agents.add_agent(
                uow,
                email=f"{name}@desk.example",
                name=name.title(),
                password=PASSWORD,
                role=Role.AGENT,
                brands=[brand],
                known_brands=BRANDS,
                now=clock.now(),
            )
        uow.commit()
    with serving(web(app)) as base, Browser(base) as customer, contextlib.ExitStack() as closing:
        customer.send("hello", "first")
        with app.store.read() as uow:
            talk = str(uow.session.execute(select(t.Conversation.id)).scalar_one())
        yield Place(app, base, customer, talk, closing)
    app.close()


def asked_for_approval(place: Place) -> str:
    """What the policy leaves to a person: Dan's refund or credit; the approval's id."""
    with place.app.store.write() as uow:
        dan = customer(uow, "dan")
        refunds.request(
            uow,
            pack=place.app.packs["joltsms"],
            customer=dan,
            matter=Matter.NOT_RECEIVING,
            subscription_id="SUB-1004",
            conversation_id=conversation(uow, dan),
            key="dan",
            now=_now(place),
        )
        approval = str(uow.session.execute(select(t.Approval.id)).scalar_one())
        uow.commit()
    return approval


# --- who gets it -----------------------------------------------------------------------------------------------------


def test_signed_out_there_is_no_stream(place: Place) -> None:
    for query in ("", f"?conversation={place.talk}", "?queue="):
        answer = httpx.get(f"{place.base}/desk/events{query}", timeout=PATIENCE)
        assert answer.status_code == 401
        assert "event-stream" not in answer.headers["content-type"]


def test_other_brands_are_neither_followed_nor_listed(place: Place) -> None:
    amy, pia = place.enter("amy"), place.enter("pia")
    assert pia.client.get(f"/desk/events?conversation={place.talk}").status_code == 404
    with amy.page("/desk?view=people") as hers, pia.page("/desk?view=people") as theirs:
        amy.act(place.talk, "claim")
        assert place.talk in hers.next("lists").data
        place.customer.send("is anybody there?", "second")
        assert "is anybody there?" in hers.next("lists").data
        place.change("pia", lambda uow, pia: agents.deactivate(uow, agent_id=pia, actor="test", now=_now(place)))
        assert place.talk not in "".join(told.data for told in theirs.rest())


@pytest.mark.parametrize("query", ["after=-1", "after=many", "after=9999999999"])
def test_a_number_that_is_none_is_refused(place: Place, query: str) -> None:
    amy = place.enter("amy")
    answer = amy.client.get(f"/desk/events?conversation={place.talk}&{query}", headers={"X-Desk-Script": "1"})
    assert answer.status_code == 422
    assert "number of a message" in answer.json()["problem"]


# --- what it tells ---------------------------------------------------------------------------------------------------


def test_what_the_customer_does_is_on_the_page_at_once(place: Place) -> None:
    """Words as text and nothing else, typing, and how far they have read."""
    amy = place.enter("amy")
    amy.act(place.talk, "claim")
    with amy.page(f"/desk/conversations/{place.talk}") as page:
        sent = place.customer.send(f"still broken {ATTACK}", "second")["message"]
        told = page.next("entry", holds="still broken")
        entry = json.loads(told.data)
        assert (told.id, entry["seq"], entry["author"]) == (str(sent["seq"]), sent["seq"], "customer")
        assert "&lt;script&gt;" in entry["html"]
        assert "<script" not in entry["html"]
        place.customer.client.post("/typing")
        assert page.next("typing").data == "customer"
        amy.act(place.talk, "reply", text="Let me look.")
        mine = json.loads(page.next("entry", holds="Let me look.").data)
        place.customer.client.post("/read", json={"seq": mine["seq"]})
        assert page.next("marks", holds=f'"read": {mine["seq"]}')


def test_a_note_and_a_change_of_hands_come_too(place: Place) -> None:
    amy, bo = place.enter("amy"), place.enter("bo")
    with amy.page(f"/desk/conversations/{place.talk}") as page:
        bo.act(place.talk, "claim")
        page.next("entry", holds="Bo took the conversation")
        page.next("refresh")
        bo.act(place.talk, "note", body="known to us")
        assert json.loads(page.next("entry", holds="known to us").data)["author"] == "note"


def test_a_stream_goes_on_where_it_broke_off(place: Place) -> None:
    amy = place.enter("amy")
    amy.act(place.talk, "claim")
    with amy.page(f"/desk/conversations/{place.talk}") as page:
        place.customer.send("one", "second")
        last = page.next("entry", holds=">one<").id
    place.customer.send("two", "third")
    place.customer.send("three", "fourth")
    with amy.page(f"/desk/conversations/{place.talk}", last=last) as page:
        entries = [json.loads(each.data)["html"] for each in page.first if each.kind == "entry"]
        assert [word for word in ("one", "two", "three") for html in entries if f">{word}<" in html] == ["two", "three"]


def test_a_message_costs_the_pages_of_other_chats_nothing(place: Place) -> None:
    """Fifty pages are open at a busy desk: only those that show the chat look at it."""
    amy = place.enter("amy")
    with Browser(place.base) as other:
        other.send("hi", "first")
        with place.app.store.read() as uow:
            talks = {str(each) for each in uow.session.execute(select(t.Conversation.id)).scalars()}
    (elsewhere,) = talks - {place.talk}
    amy.act(place.talk, "claim")
    looked: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM notes" in statement:  # part of every look at a conversation
            looked.append(statement)

    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(amy.page(f"/desk/conversations/{elsewhere}")) for _ in range(8)]
        page = stack.enter_context(amy.page(f"/desk/conversations/{place.talk}"))
        event.listen(place.app.store.engine, "before_cursor_execute", count)
        place.customer.send("are you there?", "second")
        page.next("entry", holds="are you there?")
        for each in [*pages, page]:
            each.next("lists", holds="are you there?")  # and all have it in their list of chats
        event.remove(place.app.store.engine, "before_cursor_execute", count)
    assert 1 <= len(looked) <= 2, len(looked)


def test_an_approval_that_a_colleague_decides_is_told_to_who_has_it_open(place: Place) -> None:
    """And whoever presses a button all the same hears what was decided, and changes nothing."""
    amy, bo = place.enter("amy"), place.enter("bo")
    approval = asked_for_approval(place)
    path = f"/desk/approvals/{approval}"
    stale = amy.client.get(path).text
    form = {"csrf": field(stale, "csrf"), "note": "kept"}
    with amy.page(path) as page:
        mine = {"csrf": field(bo.client.get(path).text, "csrf"), "note": "", "choice": "refund"}
        assert "Your decision was recorded" in bo.client.post(path, data=mine).text
        page.next("refresh")
    late = amy.client.post(path, data={**form, "choice": "credit"})
    assert late.status_code == 409
    assert "This was decided before: refund." in late.text
    assert "Approved as refund by Bo" in late.text
    with place.app.store.read() as uow:
        assert uow.session.query(t.Refund).count() == 1
        assert uow.session.query(t.Credit).count() == 0


# --- when it ends ----------------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[UnitOfWork, str, Any], object]] = {
    "deactivated": lambda uow, who, now: agents.deactivate(uow, agent_id=who, actor="test", now=now),
    "demoted": lambda uow, who, now: agents.change_agent(
        uow, agent_id=who, actor="test", known_brands=BRANDS, now=now, role=Role.SUPERVISOR
    ),
    "no longer of the brand": lambda uow, who, now: agents.change_agent(
        uow, agent_id=who, actor="test", known_brands=BRANDS, now=now, brands=["smrtphone"]
    ),
    "without any brand": lambda uow, who, now: agents.change_agent(
        uow, agent_id=who, actor="test", known_brands=BRANDS, now=now, brands=[]
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("path", ["/desk", "/desk/conversations/{talk}"])
def test_it_ends_within_two_seconds_for_who_may_not_look_any_more(place: Place, path: str, end: str) -> None:
    """Though the change was made in another process, so that nothing tells this one."""
    amy = place.enter("amy")
    with amy.page(path.format(talk=place.talk)) as page:
        place.change("amy", lambda uow, who: ENDS[end](uow, who, _now(place)))
        began = time.monotonic()
        assert page.rest()[-1].kind == "gone"
        assert time.monotonic() - began < 2.0 + _SLACK
    assert live._CHECK_SECONDS + live._CHECK_AGE <= 2.0


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_told_to_who_may_not_look_any_more(place: Place, end: str) -> None:
    """Not even what comes in the moment after."""
    amy, bo = place.enter("amy"), place.enter("bo")
    bo.act(place.talk, "claim")
    with amy.page(f"/desk/conversations/{place.talk}") as page:
        place.change("amy", lambda uow, who: ENDS[end](uow, who, _now(place)))
        place.customer.send("my secret", "second")
        told = page.rest()
    assert told[-1].kind == "gone"
    assert "my secret" not in "".join(each.data for each in told)


def test_it_ends_for_who_signs_out_in_another_tab(place: Place) -> None:
    amy = place.enter("amy")
    with amy.page() as page:
        amy.client.post("/desk/sign-out", data={"csrf": field(amy.client.get("/desk").text, "csrf")})
        assert page.rest()[-1].kind == "gone"


_SLACK = 3.0  # seconds, for a busy machine


def _now(place: Place) -> Any:
    return place.app.clock.now()
