"""Conversations at the desk over HTTP: the queue, claiming, writing, notes, macros, and what bad input gets."""

# ruff: noqa: F811 - fixtures are used by their names
from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from bot.conversation import history
from bot.desk import conversations
from bot.services import agents, canned, handoff
from bot.store import tables as t
from tests.fakes.clock import START
from tests.integration.test_desk import (  # noqa: F401
    ATTACK,
    PACKS,
    PNG,
    Desk,
    amy,
    bo,
    desk,
    enter,
    field,
    words,
)
from tests.unit.services.usecases import conversation, customer, message

SCRIPT = {"X-Desk-Script": "1"}


@pytest.fixture
def talk(desk: Desk) -> str:
    """Cara waits for a person since five minutes ago."""
    with desk.store.write() as uow:
        found = conversation(uow, customer(uow, "cara"), now=START - timedelta(minutes=5))
        message(uow, found, f"I want a person {ATTACK}")
        uow.get(t.Conversation, found).last_seq = 1
        handoff.queue_up(
            uow,
            pack=PACKS["joltsms"],
            conversation_id=found,
            reason="anger",
            message_id="m-1",
            now=START - timedelta(minutes=5),
        )
        uow.commit()
    return found


def changed(desk: Desk, text: str, kind: str, now: str = "", minutes: int = 1) -> None:
    """The customer edits or deletes the message with that text, where they wrote it."""
    with desk.store.write() as uow:
        row = uow.session.execute(select(t.Message).where(t.Message.text == text)).scalar_one()
        history.note_change(
            uow,
            channel=row.channel,
            external_id=row.external_id,
            kind=kind,
            text=now,
            at=START + timedelta(minutes=minutes),
        )
        uow.commit()


@pytest.fixture
async def mine(desk: Desk, amy: httpx.AsyncClient, talk: str) -> str:
    """Cara's conversation, claimed by Amy."""
    answer = await act(amy, talk, "claim")
    assert answer.status_code == 200, answer.text
    return talk


async def act(browser: httpx.AsyncClient, talk: str, name: str, **fields: str) -> httpx.Response:
    """Do something in a conversation as the page's script would, with what the page holds."""
    page = await browser.get(f"/desk/conversations/{talk}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), **fields}
    return await browser.post(f"/desk/conversations/{talk}/{name}", data=form, headers=SCRIPT)


def said(desk: Desk, talk: str, author: str = "agent") -> list[str]:
    """What was said in a conversation by an author."""
    with desk.store.read() as uow:
        query = select(t.Message.text).where(t.Message.conversation_id == talk, t.Message.author == author)
        return list(uow.session.execute(query.order_by(t.Message.seq)).scalars())


def owner(desk: Desk, talk: str) -> tuple[str, str | None]:
    """Who has a conversation."""
    with desk.store.read() as uow:
        row = uow.get(t.Conversation, talk)
        return row.owner, row.agent_id


def ready(desk: Desk, name: str, steps: str) -> str:
    """A macro of JoltSMS; returns its id."""
    with desk.store.write() as uow:
        made = canned.save_macro(uow, brand="joltsms", name=name, text=steps, agent_id=desk.agent_id("Bo"), now=START)
        uow.commit()
        return made.id


# --- the queue -------------------------------------------------------------------------------------------------------


async def test_the_queue_says_who_waits_why_since_when_and_what_is_due(
    desk: Desk,
    amy: httpx.AsyncClient,
    talk: str,
) -> None:
    page = await amy.get("/desk")
    shown = words(page)
    assert "Cara Lindqvist 1 unread JoltSMS · Widget" in shown
    assert "Angry High 5 min First reply late by" in shown
    assert "1 waiting, 1 to approve" in shown
    assert "<script>" not in page.text
    assert 'class="clock clock-late"' in page.text


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ("", True),
        ("brand=joltsms&channel=widget&reason=anger", True),
        ("reason=asked", False),
        ("channel=slack", False),
        ("view=people", False),
        ("view=recent", False),
        ("view=%00&brand=nobody&channel=%00", True),
    ],
)
async def test_the_queue_can_be_filtered(
    desk: Desk,
    amy: httpx.AsyncClient,
    talk: str,
    query: str,
    listed: bool,
) -> None:
    page = await amy.get(f"/desk?{query}")
    assert page.status_code == 200
    assert (f'data-waiting="{talk}"' in page.text) == listed


async def test_others_brands_conversations_do_not_exist(desk: Desk, talk: str) -> None:
    async with desk.client() as pia:
        await enter(pia, "pia")
        queue = await pia.get("/desk")
        assert "Cara" not in queue.text
        csrf = field(queue, "csrf")
        for path in ("", "/files/att_1"):
            assert (await pia.get(f"/desk/conversations/{talk}{path}")).status_code == 404
        assert (await pia.get(f"/desk/events?conversation={talk}")).status_code == 404
        for name in ("claim", "reply", "note", "typing", "resolve"):
            form = {"csrf": csrf, "key": "frm_" + "0" * 26}
            assert (await pia.post(f"/desk/conversations/{talk}/{name}", data=form)).status_code == 404
    assert owner(desk, talk) == ("queued", None)


# --- a conversation --------------------------------------------------------------------------------------------------


async def test_a_conversation_shows_who_it_is_what_they_have_and_what_was_said(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    shown = words(page)
    assert "<script>" not in page.text
    assert f"I want a person {ATTACK}" in shown
    for part in (
        "Who Cara Lindqvist <cara@jolt.example>",
        "Verified. Signed in at the brand's site",
        "+1 415-555-0103",
        "INV-2003",
        desk.case,
        "Amy took the conversation",
        "Yours",
    ):
        assert part in shown
    assert desk.audited("conversation.viewed")[-1] == (desk.agent_id("Amy"), mine)


async def test_what_the_customer_edited_or_deleted_stands_below_what_they_had_said(
    desk: Desk, amy: httpx.AsyncClient, mine: str
) -> None:
    changed(desk, f"I want a person {ATTACK}", "edited", f"I want a human {ATTACK}")
    changed(desk, f"I want a person {ATTACK}", "deleted", minutes=2)
    page = await amy.get(f"/desk/conversations/{mine}")
    below = f"Edited 16 Mar, 15:01 UTC to: I want a human {ATTACK} Deleted by the customer 16 Mar, 15:02 UTC"
    assert f"I want a person {ATTACK} {below}" in words(page)
    assert "<script>" not in page.text


async def test_a_page_that_is_open_hears_of_edits_once_each(desk: Desk, mine: str) -> None:
    with desk.store.read() as uow:
        amy = agents.agent_with_email(uow, "amy@desk.example")
        about = {"agent": amy, "conversation_id": mine, "after_seq": 2, "since": START + timedelta(minutes=9)}
        assert conversations.news(uow, **about)[0] == []
    changed(desk, f"I want a person {ATTACK}", "edited", "never mind")
    with desk.store.read() as uow:
        (entry,) = conversations.news(uow, **about)[0]
        again = conversations.news(uow, **{**about, "after_seq": 0})[0]
    assert again[0] == entry
    assert len(again) == 2
    assert (entry.id, [change.text for change in entry.changes]) == ("m1", ["never mind"])


async def test_times_say_which_zone_they_are_in_and_carry_the_moment_for_the_script(
    desk: Desk, amy: httpx.AsyncClient, mine: str
) -> None:
    """Without the script they are UTC and say so."""
    page = (await amy.get(f"/desk/conversations/{mine}")).text
    times = re.findall(r'<time datetime="([^"]+)" data-time="(\w+)" title="([^"]+)"[^>]*>([^<]+)</time>', page)
    assert {form for _, form, _, _ in times} >= {"short", "moment", "day"}
    assert len(times) == page.count("<time")
    for at, form, title, said in times:
        assert at.endswith("+00:00")
        assert title.endswith(" UTC")
        assert said.endswith(" UTC") == (form in ("short", "moment"))
    assert re.search(r'data-due="[^"]+\+00:00" title="First reply is due [^"]+ UTC"', page)
    assert "Times are in UTC." in page


async def test_a_chat_is_put_back_into_the_queue_with_a_word_for_who_is_next(
    desk: Desk, amy: httpx.AsyncClient, mine: str
) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    assert re.search(r'data-key="q" data-help="Put it back into the queue">Put back in queue<', page.text)
    answer = await act(amy, mine, "release", note="needs the logs")
    assert answer.json()["said"] == "The conversation is back in the queue."
    assert owner(desk, mine) == ("queued", None)
    after = await amy.get(f"/desk/conversations/{mine}")
    assert "Amy put it back into the queue: needs the logs" in words(after)
    assert 'data-key="q"' not in after.text
    again = await amy.post(
        f"/desk/conversations/{mine}/release",
        data={"csrf": field(page, "csrf"), "key": field(page, "key"), "note": "once more"},
        headers=SCRIPT,
    )
    assert again.status_code == 409
    assert owner(desk, mine) == ("queued", None)


async def test_a_reply_reaches_the_customer_once_with_its_file(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "text": "Hello {first_name}, see {this}."}
    for _ in range(2):
        answer = await amy.post(
            f"/desk/conversations/{mine}/reply",
            data=form,
            files={"file": ("steps.png", PNG, "image/png")},
            headers=SCRIPT,
        )
        assert answer.status_code == 200, answer.text
    assert said(desk, mine) == ["Hello Cara, see {this}."]
    page = await amy.get(f"/desk/conversations/{mine}")
    (file,) = set(re.findall(rf'href="(/desk/conversations/{mine}/files/\w+)"', page.text))
    shown = await amy.get(file)
    assert shown.content == PNG
    assert "sandbox" in shown.headers["content-security-policy"]


async def test_without_the_script_forms_lead_back_to_the_page(
    desk: Desk,
    amy: httpx.AsyncClient,
    talk: str,
) -> None:
    page = await amy.get(f"/desk/conversations/{talk}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key")}
    answer = await amy.post(f"/desk/conversations/{talk}/claim", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/conversations/{talk}?done=claimed")
    assert "The conversation is yours." in (await amy.get(answer.headers["location"])).text


async def test_a_note_is_for_colleagues_only(
    desk: Desk,
    amy: httpx.AsyncClient,
    bo: httpx.AsyncClient,
    talk: str,
) -> None:
    answer = await act(amy, talk, "note", body=f"He is lying {ATTACK}")
    assert answer.status_code == 200
    assert "He is lying" in words(await bo.get(f"/desk/conversations/{talk}"))
    with desk.store.read() as uow:
        texts = uow.session.execute(select(t.Message.text)).scalars().all()
    assert not any("lying" in text for text in texts)
    assert desk.audited("conversation.noted") == [(desk.agent_id("Amy"), talk)]


async def test_a_conversation_is_given_away_snoozed_handed_back_and_resolved(
    desk: Desk,
    amy: httpx.AsyncClient,
    bo: httpx.AsyncClient,
    mine: str,
) -> None:
    assert (await act(amy, mine, "transfer", to=f"agent:{desk.agent_id('Bo')}", note="Yours")).status_code == 200
    assert owner(desk, mine) == ("human", desk.agent_id("Bo"))
    assert (await act(bo, mine, "snooze", minutes="60")).status_code == 200
    assert "Snoozed 1" in words(await bo.get("/desk"))
    assert (await act(bo, mine, "priority", priority="urgent")).status_code == 200
    assert (await act(bo, mine, "hand-back", note="")).status_code == 200
    assert owner(desk, mine)[0] == "bot"
    assert (await act(bo, mine, "claim")).status_code == 200
    assert (await act(bo, mine, "resolve", note="Explained")).status_code == 200
    assert owner(desk, mine)[0] == "closed"
    assert "Bo resolved it: Explained" in words(await amy.get(f"/desk/conversations/{mine}"))


# --- macros and canned replies ---------------------------------------------------------------------------------------


async def test_a_macro_takes_all_its_steps_at_once(desk: Desk, amy: httpx.AsyncClient, mine: str) -> None:
    macro = ready(desk, "goodbye", "reply: Goodbye {first_name}, {agent}.\nnote: said goodbye\nresolve: done")
    answer = await act(amy, mine, "macro", macro=macro)
    assert answer.status_code == 200, answer.text
    assert said(desk, mine)[-1] == "Goodbye Cara, Amy."
    assert owner(desk, mine)[0] == "closed"
    assert desk.count(t.Note, t.Note.body == "said goodbye") == 1


async def test_a_macro_with_a_missing_placeholder_does_nothing_and_says_what_is_missing(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
) -> None:
    macro = ready(desk, "refunded", "note: told them\nreply: Your refund is {refund}.\nresolve: done")
    answer = await act(amy, mine, "macro", macro=macro)
    assert answer.status_code == 422
    assert "no value for {refund} (the number of the customer's latest refund)" in answer.json()["problem"]
    assert (said(desk, mine), desk.count(t.Note), owner(desk, mine)[0]) == ([], 0, "human")


async def test_a_macro_that_fails_half_way_has_done_nothing(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
) -> None:
    macro = ready(desk, "shout", f"note: first\nreply: {'{name}' * 660}")
    answer = await act(amy, mine, "macro", macro=macro)
    assert answer.status_code == 413
    assert (said(desk, mine), desk.count(t.Note)) == ([], 0)


async def test_canned_replies_are_managed_per_brand_and_offered_filled(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
) -> None:
    csrf = field(await amy.get("/desk/replies"), "csrf")
    new = {"csrf": csrf, "kind": "reply", "brand": "joltsms", "name": "/Hello", "body": f"Hi {{first_name}} {ATTACK}"}
    assert (await amy.post("/desk/replies", data=new)).status_code == 303
    page = await amy.get(f"/desk/conversations/{mine}")
    assert "Hi Cara" in page.text
    assert "<script>" not in page.text
    listed = (await amy.get("/desk/replies")).text
    shown = field(listed[listed.index("/hello") :], "shown")
    kept = field(listed[listed.index("/hello") :], "id")
    change = {**new, "id": kept, "shown": shown, "body": "Hello {first_name}"}
    desk.clock.advance(minutes=1)
    assert (await amy.post("/desk/replies", data=change)).status_code == 303
    stale = await amy.post("/desk/replies", data={**change, "body": "Other"})
    assert stale.status_code == 409
    assert "A colleague has changed this meanwhile" in stale.text
    again = await amy.post("/desk/replies", data=new)
    assert "There is a “hello” already" in words(again)
    wrong = await amy.post("/desk/replies", data={**new, "name": "other", "body": "{frist_name}"})
    assert "There is no placeholder {frist_name}" in words(wrong)
    foreign = await amy.post("/desk/replies", data={**new, "brand": "smrtphone"})
    assert foreign.status_code == 403
    await amy.post("/desk/replies/remove", data={**change, "id": kept})
    assert desk.count(t.CannedReply) == 0


# --- bad input: a clear sentence, and nothing changed ----------------------------------------------------------------


async def test_a_claim_that_loses_says_who_won(
    desk: Desk,
    amy: httpx.AsyncClient,
    bo: httpx.AsyncClient,
    mine: str,
) -> None:
    answer = await act(bo, mine, "claim")
    assert (answer.status_code, answer.json()["problem"]) == (409, "Amy has taken this conversation.")
    assert owner(desk, mine) == ("human", desk.agent_id("Amy"))


@pytest.mark.parametrize("state", ["closed", "bot", "queued"])
async def test_a_reply_to_a_conversation_that_is_not_ones_own_is_refused(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
    state: str,
) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "text": "Are you still there?"}
    name = {"closed": "resolve", "bot": "hand-back", "queued": "release"}[state]
    assert (await act(amy, mine, name, note="")).status_code == 200
    before = said(desk, mine)
    answer = await amy.post(f"/desk/conversations/{mine}/reply", data=form, headers=SCRIPT)
    assert answer.status_code == 409
    assert re.match(r"[A-Z].*\.$", answer.json()["problem"])
    assert said(desk, mine) == before
    assert owner(desk, mine)[0] == state


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("reply", {"text": " \n "}, "The reply is empty"),
        ("reply", {"text": "x" * 4_001}, "the limit is 4,000"),
        ("reply", {"text": "Your case is {refund}."}, "no value for {refund}"),
        ("note", {"body": ""}, "The note is empty"),
        ("note", {"body": "x" * 5_001}, "at most 5,000 are kept"),
        ("transfer", {"to": ""}, "Choose whom to give it to"),
        ("transfer", {"to": "agent:agt_nobody"}, "does not work for this brand"),
        ("transfer", {"to": "team:kings"}, "There is no team"),
        ("snooze", {"minutes": "-5"}, "for how long"),
        ("priority", {"priority": "now"}, "A priority is"),
        ("macro", {"macro": "cnd_gone"}, "There is no such macro"),
        ("resolve", {"note": "x" * 1_001}, "at most 1,000 are kept"),
        ("reply", {"text": "hello", "key": "old"}, "This form is incomplete"),
    ],
)
async def test_bad_input_gets_a_sentence_and_changes_nothing(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
    name: str,
    fields: dict[str, str],
    sentence: str,
) -> None:
    answer = await act(amy, mine, name, **fields)
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["problem"]
    assert (said(desk, mine), desk.count(t.Note), owner(desk, mine)[0]) == ([], 0, "human")


@pytest.mark.parametrize("name", ["reply", "note"])
async def test_ten_megabytes_pasted_are_refused(
    desk: Desk,
    amy: httpx.AsyncClient,
    mine: str,
    name: str,
) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "text": "x" * 10_000_000}
    files = {"file": ("", b"")} if name == "reply" else None
    answer = await amy.post(f"/desk/conversations/{mine}/{name}", data=form, files=files, headers=SCRIPT)
    assert answer.status_code == 413
    assert "That is too long" in answer.json()["problem"]
    assert (said(desk, mine), desk.count(t.Note)) == ([], 0)


async def test_a_form_of_another_sign_in_is_refused(desk: Desk, amy: httpx.AsyncClient, mine: str) -> None:
    answer = await act(amy, mine, "reply", text="hello", csrf="x" * 43)
    assert answer.status_code == 403
    assert said(desk, mine) == []


async def test_signed_out_a_reply_is_not_sent(desk: Desk, amy: httpx.AsyncClient, mine: str) -> None:
    page = await amy.get(f"/desk/conversations/{mine}")
    desk.change(t.Agent, desk.agent_id("Amy"), active=False)
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "text": "hello"}
    answer = await amy.post(f"/desk/conversations/{mine}/reply", data=form, headers=SCRIPT)
    assert (answer.status_code, answer.json()["gone"]) == (401, True)
    assert said(desk, mine) == []
