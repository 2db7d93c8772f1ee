"""The widget's API over the real application, with a scripted engine: what is promised, and what bad input gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from bot.app import App, build, web
from bot.channels.widget import sessions
from bot.channels.widget.api import Limits
from bot.conversation import history
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.messages import Reply
from bot.services.handoff import change_owner
from bot.services.receipts import ReceiptContent, make_receipt
from bot.settings import Settings
from bot.store.tables import Attachment, Conversation, WidgetSession
from tests.fakes.brands import customer_id_of
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine, echo, said
from tests.integration.api import PREFIX, Visitor, check_problem, check_shape

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
MORE_THAN_ANYBODY_SENDS = Limits(messages_per_minute=10**6, uploads_per_hour=10**6)
Open = Callable[..., Any]


@pytest.fixture
def scripted() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def app(settings: Settings, scripted: ScriptedEngine, clock: FakeClock) -> Iterator[App]:
    """The whole application with a scripted engine."""
    built = build(settings, clock=clock, engine=scripted)
    yield built
    built.close()


@contextlib.asynccontextmanager
async def client_of(app: App, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web(app, **more), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
def visitor(client: httpx.AsyncClient, app: App) -> Open:
    """`await visitor()` opens a session, `await visitor("ava@jolt.example")` as a customer."""

    async def open_(email: str | None = None) -> Visitor:
        return await Visitor(client, app).open(email)

    return open_


def write(app: App, work: Callable[[Any], Any]) -> Any:
    with app.store.write() as uow:
        result = work(uow)
        uow.commit()
        return result


# --- sessions ------------------------------------------------------------------------------------------------------


async def test_a_new_session_greets(visitor: Open) -> None:
    opened = (await visitor()).session
    (greeting,) = opened["messages"]
    assert (greeting["seq"], greeting["author"], greeting["name"]) == (1, "bot", "JoltSMS")
    assert greeting["buttons"]
    assert greeting["buttons"][0].keys() == {"id", "title"}
    assert opened["customer"] is None
    assert opened["brand"]["upload"]["max_files"] == 5


async def test_a_session_goes_on_with_its_token(visitor: Open, app: App, clock: FakeClock) -> None:
    ava = await visitor()
    await ava.say("hello")
    first = ava.token
    clock.advance(days=29)
    await ava.open()
    assert ava.token == first
    assert [message["text"] for message in ava.session["messages"]][1:] == ["hello", "You said: hello"]
    clock.advance(days=29)
    assert len(await ava.messages()) == 3  # coming back made it good for longer
    with app.store.read() as uow:
        assert uow.session.execute(select(func.count()).select_from(WidgetSession)).scalar_one() == 1


async def test_a_token_that_ended_gives_a_new_conversation(visitor: Open, clock: FakeClock) -> None:
    ava = await visitor()
    old = ava.conversation_id
    clock.advance(days=30)
    check_problem(await ava.get("/messages"), 401, "not-authenticated")
    await ava.open()
    assert ava.conversation_id != old


async def test_signing_in_keeps_the_conversation(visitor: Open) -> None:
    ava = await visitor()
    await ava.say("before I sign in")
    before = ava.conversation_id
    await ava.open("ava@jolt.example")
    assert ava.conversation_id == before
    assert ava.session["customer"]["name"].startswith("Ava")
    assert len(ava.session["messages"]) == 3


async def test_a_customer_finds_the_conversation_again_on_another_device(visitor: Open) -> None:
    laptop = await visitor("ava@jolt.example")
    await laptop.say("hello")
    phone = await visitor("ava@jolt.example")
    assert phone.conversation_id == laptop.conversation_id
    assert phone.token != laptop.token
    assert len(phone.session["messages"]) == 3


async def test_another_customers_conversation_is_never_shown(visitor: Open) -> None:
    ava = await visitor("ava@jolt.example")
    await ava.say("my secret")
    ben = Visitor(ava.client, ava.app, token=ava.token)
    await ben.open("ben@jolt.example")
    assert ben.conversation_id != ava.conversation_id
    assert "my secret" not in str(ben.session)
    assert "my secret" not in str(await ben.messages())


async def test_a_conversation_of_another_brand_is_not_gone_on_with(visitor: Open, app: App) -> None:
    ava = await visitor()

    def rename(uow: Any) -> None:
        uow.get(Conversation, ava.conversation_id).brand = "other"

    write(app, rename)
    before = ava.conversation_id
    await ava.open()
    assert ava.conversation_id != before


async def test_an_unknown_brand_is_named_with_those_there_are(client: httpx.AsyncClient) -> None:
    for brand in ("nobody", "JOLTSMS", "../joltsms", "\ud83d", "\x00"):
        body = json.dumps({"brand": brand})
        detail = check_problem(await client.post(f"{PREFIX}/sessions", content=body), 404, "unknown-brand")
        assert "joltsms" in detail
    check_problem(await client.get(f"{PREFIX}/brands/nobody"), 404, "unknown-brand")
    response = await client.get(f"{PREFIX}/brands/joltsms")
    check_shape("Brand", response.json())


async def test_a_wrong_sign_in_token_is_refused_with_the_reason(
    client: httpx.AsyncClient, app: App, clock: FakeClock
) -> None:
    good = app.identity.issue_demo_token("joltsms", "ava@jolt.example", now=clock.now())
    claims = jwt.decode(good, options={"verify_signature": False})
    wrong_key = jwt.encode(claims, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    clock.advance(hours=2)
    for token, why in [
        ("rubbish", "not a valid JWT"),
        (wrong_key, "signature"),
        (unsigned, "HS256"),
        (good, "expired"),
        ("é" * 10, "not a valid JWT"),
    ]:
        response = await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms", "identity": token})
        assert why in check_problem(response, 401, "not-authenticated")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_signed_in_but_unknown_here_is_said(client: httpx.AsyncClient, app: App, clock: FakeClock) -> None:
    token = app.identity.issue_demo_token("joltsms", "nobody@jolt.example", now=clock.now())
    opened = await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms", "identity": token})
    assert opened.status_code == 201
    assert opened.json()["customer"] is None
    assert "no account at JoltSMS with your e-mail" in opened.json()["messages"][-1]["text"]


async def test_signed_in_but_unknown_here_does_not_see_whoever_used_the_browser_before(
    client: httpx.AsyncClient, app: App, clock: FakeClock
) -> None:
    """Going on with the token that the browser kept would show Ava's chat to somebody else."""
    ava, nobody = (
        app.identity.issue_demo_token("joltsms", f"{name}@jolt.example", now=clock.now()) for name in ("ava", "nobody")
    )
    hers = (await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms", "identity": ava})).json()
    theirs = await client.post(
        f"{PREFIX}/sessions",
        json={"brand": "joltsms", "identity": nobody},
        headers={"Authorization": f"Bearer {hers['token']}"},
    )
    assert theirs.status_code == 201
    assert theirs.json()["conversation_id"] != hers["conversation_id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"joltsms"',
        b"{}",
        b'{"brand": 1}',
        b'{"brand": ""}',
        b'{"brand": "joltsms", "identity": ""}',
        b'{"brand": "joltsms", "identity": null}',
        b'{"brand": "joltsms", "admin": true}',
        b'{"brand": "joltsms", "\\ud800": true}',
        b"\xff\xfe{",
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"brand": ' + b"9" * 5000 + b"}", id="huge number"),
        b'{"brand": NaN}',
    ],
)
async def test_a_malformed_session_request_is_told_what_is_wrong(client: httpx.AsyncClient, body: bytes) -> None:
    check_problem(await client.post(f"{PREFIX}/sessions", content=body), 422, "invalid-input")


async def test_a_request_that_never_ends_is_cut_off(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    check_problem(await client.post(f"{PREFIX}/sessions", content=endless()), 413, "too-large")


async def test_many_new_chats_from_one_address_have_to_wait(client: httpx.AsyncClient, clock: FakeClock) -> None:
    """Whatever the caller says about where it comes from."""
    statuses = []
    for number in range(sessions.NEW_SESSIONS_PER_MINUTE + 1):
        headers = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
        response = await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms"}, headers=headers)
        statuses.append(response.status_code)
    assert statuses == [201] * sessions.NEW_SESSIONS_PER_MINUTE + [429]
    check_problem(response, 429, "too-many-requests")
    clock.advance(minutes=1)
    assert (await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms"})).status_code == 201


# --- messages ------------------------------------------------------------------------------------------------------


async def test_a_message_is_answered(visitor: Open) -> None:
    ava = await visitor()
    exchange = await ava.say("hello")
    assert (exchange["message"]["seq"], exchange["message"]["author"]) == (2, "customer")
    assert [(reply["seq"], reply["text"]) for reply in exchange["replies"]] == [(3, "You said: hello")]
    assert await ava.messages(2) == exchange["replies"]


async def test_the_same_client_id_gets_the_same_answer(visitor: Open, scripted: ScriptedEngine) -> None:
    ava = await visitor()
    first = await ava.say("one", client_id="c-1")
    assert await ava.say("two", client_id="c-1") == first
    assert len(scripted.asked) == 1


async def test_the_same_client_id_at_once_gets_the_same_answer(visitor: Open, scripted: ScriptedEngine) -> None:
    ava = await visitor()
    exchanges = await asyncio.gather(*[ava.say("one", client_id="c-1") for _ in range(6)])
    assert all(exchange == exchanges[0] for exchange in exchanges)
    assert len(scripted.asked) == 1
    assert len(await ava.messages()) == 3


async def test_the_same_client_id_in_two_conversations_is_two_messages(visitor: Open) -> None:
    one, other = await visitor(), await visitor()
    await one.say("mine", client_id="c-1")
    assert (await other.say("yours", client_id="c-1"))["replies"][0]["text"] == "You said: yours"


async def test_a_double_click_presses_a_button_once(visitor: Open, scripted: ScriptedEngine) -> None:
    """Two clicks are two messages; the second finds the question gone."""

    async def ask(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        payload = {"flow": "f-1", "step": "sure", "values": ["yes"]}
        return said(
            "Sure?" if turn.text == "hi" else turn.intent or "", buttons=({"title": "Yes", "payload": payload},)
        )

    scripted.script = ask
    ava = await visitor()
    button = (await ava.say("hi"))["replies"][0]["buttons"][0]
    assert button == {"id": button["id"], "title": "Yes"}
    assert (await ava.say(button=button["id"]))["replies"][0]["text"] == "stale_button"


async def test_buttons_of_elsewhere_are_not_found(visitor: Open) -> None:
    one, other = await visitor(), await visitor()

    async def offer(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said("Sure?", buttons=({"title": "Yes", "payload": {"intent": "affirm"}},))

    one.app.engine.script = offer  # type: ignore[attr-defined]
    button = (await one.say("hi"))["replies"][0]["buttons"][0]["id"]
    for wrong in (button, "b1.99", "yes", "b99999999999.0", "b0.0"):
        check_problem(await other.send(button=wrong), 404, "not-found")


async def test_files_of_elsewhere_are_not_found(visitor: Open) -> None:
    one, other = await visitor(), await visitor()
    file = (await one.upload("log.txt", b"mine")).json()["id"]
    for wrong in (file, "att_nowhere"):
        check_problem(await other.send("look", files=[wrong]), 404, "not-found")
    assert len(await other.messages()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "hi"},
        {"client_id": "c-1"},
        {"client_id": "", "text": "hi"},
        {"client_id": "a b", "text": "hi"},
        {"client_id": "c-1\n", "text": "hi"},
        {"client_id": "x" * 65, "text": "hi"},
        {"client_id": 7, "text": "hi"},
        {"client_id": "c-1", "text": ""},
        {"client_id": "c-1", "text": " \n "},
        {"client_id": "c-1", "text": "\u200b\u202e"},
        {"client_id": "c-1", "text": "\x00"},
        {"client_id": "c-1", "text": None},
        {"client_id": "c-1", "text": ["hi"]},
        {"client_id": "c-1", "button": ""},
        {"client_id": "c-1", "button": {"intent": "affirm"}},
        {"client_id": "c-1", "files": []},
        {"client_id": "c-1", "files": "att_1"},
        {"client_id": "c-1", "files": ["a"] * 11},
        {"client_id": "c-1", "text": "hi", "intent": "cancel_subscription"},
    ],
)
async def test_a_malformed_message_is_told_what_is_wrong(visitor: Open, body: dict[str, Any]) -> None:
    ava = await visitor()
    check_problem(await ava.post("/messages", json=body), 422, "invalid-input")
    assert len(await ava.messages()) == 1


@pytest.mark.parametrize("length", [4_001, 10_000, 60_000])
async def test_an_overlong_message_is_told_by_how_much(visitor: Open, length: int) -> None:
    ava = await visitor()
    response = await ava.send("x" * length)
    assert f"{length:,} characters" in check_problem(response, 413, "too-large")
    assert response.json()["limit"] == 4000


@pytest.mark.parametrize(
    "typed", ["x" * 4_000, "🙏", "👩‍👩‍👧‍👦 🇺🇦", "أريد إلغاء رقمي", "/restart", "<script>alert(1)</script>"]
)
async def test_any_text_is_kept_as_it_is(visitor: Open, typed: str) -> None:
    ava = await visitor()
    exchange = await ava.say(typed)
    assert exchange["message"]["text"] == typed
    assert (await ava.messages(1))[0]["text"] == typed


async def test_half_a_character_and_control_characters_do_no_harm(visitor: Open) -> None:
    ava = await visitor()
    response = await ava.post(
        "/messages", content=b'{"client_id": "c-1", "text": "half \\ud83d and\\u0000 bell\\u0007"}'
    )
    assert response.json()["message"]["text"] == "half � and bell"


async def test_without_a_session_nothing_is_taken(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic eDp5"}):
        for method, path in [
            ("POST", "/messages"),
            ("GET", "/messages"),
            ("GET", "/stream"),
            ("POST", "/files"),
            ("GET", "/files/att_1"),
            ("GET", "/receipts/rcp_1"),
        ]:
            response = await client.request(method, PREFIX + path, headers=headers)
            check_problem(response, 401, "not-authenticated")
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "٣", "99999999999", "2147483648", "", "1e3", "0x1"])
async def test_a_wrong_number_is_refused(visitor: Open, after: str) -> None:
    check_problem(await (await visitor()).get(f"/messages?after={after}"), 422, "invalid-input")


async def test_messages_come_in_pages(visitor: Open, app: App) -> None:
    ava = await visitor()
    replies = [Reply(f"news {number}") for number in range(250)]
    await app.gateway.say(ava.conversation_id, replies, author="agent", name="Mia")
    first = await ava.messages()
    assert [message["seq"] for message in first] == list(range(1, 201))
    assert [message["seq"] for message in await ava.messages(200)] == list(range(201, 252))
    assert await ava.messages(251) == []
    assert await ava.messages(2**31 - 1) == []


async def test_too_many_messages_a_minute_have_to_wait(visitor: Open, clock: FakeClock) -> None:
    ava = await visitor()
    for number in range(Limits().messages_per_minute):
        await ava.say("hi", client_id=f"m-{number}")
    clock.advance(seconds=20)
    response = await ava.send("hi")
    assert "wait a moment" in check_problem(response, 429, "too-many-requests")
    assert response.json()["retry_after"] == 40 == int(response.headers["retry-after"])
    assert (await ava.say("again", client_id="m-3"))["message"]["text"] == "hi"  # what was taken is told as before
    await (await visitor()).say("somebody else")
    clock.advance(seconds=41)
    await ava.say("hi")


async def test_limits_can_be_lifted(app: App) -> None:
    async with client_of(app, limits=MORE_THAN_ANYBODY_SENDS) as client:
        ava = await Visitor(client, app).open()
        for _ in range(Limits().messages_per_minute + 5):
            await ava.say("hi")


async def test_what_people_answer_later_is_fetched(visitor: Open, app: App, clock: FakeClock) -> None:
    ava = await visitor()

    def queue(uow: Any) -> None:
        change_owner(
            uow,
            conversation_id=ava.conversation_id,
            to_owner="queued",
            reason="asked",
            actor="bot",
            note="",
            key="k-1",
            now=clock.now(),
        )

    write(app, queue)
    assert (await ava.say("a human please"))["replies"] == []
    await app.gateway.say(ava.conversation_id, [Reply("Mia here.")], author="agent", name="Mia")
    assert [(m["author"], m["name"], m["text"]) for m in await ava.messages(2)] == [("agent", "Mia", "Mia here.")]


async def test_a_broken_turn_is_answered_with_an_apology(visitor: Open, scripted: ScriptedEngine) -> None:
    async def broken(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        raise RuntimeError("secret")

    scripted.script = broken
    ava = await visitor()
    (apology,) = (await ava.say("hi"))["replies"]
    assert apology["text"].startswith("Something went wrong on our side")
    scripted.script = echo
    assert (await ava.say("again"))["replies"][0]["text"] == "You said: again"


async def test_a_database_that_is_away_is_said_to_be_so(
    visitor: Open, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    ava = await visitor()

    @contextlib.contextmanager
    def away() -> Iterator[Any]:
        raise OperationalError("SELECT secret", {}, Exception("connection refused"))
        yield

    with monkeypatch.context() as patched:
        patched.setattr(app.store, "read", away)
        response = await ava.get("/messages")
    check_problem(response, 503, "unavailable")
    assert response.headers["retry-after"]


async def test_an_error_of_ours_tells_nothing(visitor: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    ava = await visitor()

    def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(history, "messages_after", broken)
    response = await ava.get("/messages")
    check_problem(response, 500, "internal")
    assert "secret" not in response.text


# --- files ---------------------------------------------------------------------------------------------------------


async def test_a_file_goes_with_a_message_and_comes_back(visitor: Open) -> None:
    ava = await visitor()
    response = await ava.upload("screen shot.PNG", PNG)
    assert response.status_code == 201
    check_shape("File", response.json())
    exchange = await ava.say("see here", files=[response.json()["id"]])
    (attachment,) = exchange["message"]["attachments"]
    assert (attachment["name"], attachment["media_type"], attachment["size"]) == ("screen shot.png", "image/png", 28)
    for headers in (ava.headers, {}):  # the link opens in a tab of its own, without the token
        got = await ava.client.get(attachment["url"], headers=headers)
        assert (got.status_code, got.content, got.headers["content-type"]) == (200, PNG, "image/png")
        assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-disposition"].startswith("inline;")
    only_file = await ava.say(files=[response.json()["id"]])
    assert only_file["message"]["text"] == ""


async def test_only_so_many_files_go_with_one_message(visitor: Open) -> None:
    ava = await visitor()
    files = [(await ava.upload(f"{number}.txt", b"log")).json()["id"] for number in range(6)]
    assert "At most 5 files" in check_problem(await ava.send("all of it", files=files), 422, "invalid-input")
    assert len((await ava.say("some of it", files=files[:5]))["message"]["attachments"]) == 5


async def test_what_is_no_picture_is_downloaded(visitor: Open) -> None:
    ava = await visitor()
    file = (await ava.upload("протокол.txt", b"<script>alert(1)</script>")).json()
    got = await ava.get(f"/files/{file['id']}")
    assert got.headers["content-disposition"].startswith("attachment; filename=\"________.txt\"; filename*=UTF-8''%D0")
    assert got.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("virus.exe", b"MZ\x90\x00\x03", 415, "unsupported-file"),
        ("page.html", b"<html>", 415, "unsupported-file"),
        ("image.svg", b"<svg onload='alert(1)'/>", 415, "unsupported-file"),
        ("photo.png", b"not a picture", 415, "unsupported-file"),
        ("archive.zip", b"PK\x03\x04", 415, "unsupported-file"),
        ("data.csv", b"a,b\n", 415, "unsupported-file"),
        ("empty.png", b"", 422, "invalid-input"),
        pytest.param("large.png", PNG + b"\0" * 5_242_880, 413, "too-large", id="large"),
    ],
)
async def test_a_file_we_cannot_take_is_refused(
    visitor: Open, name: str, content: bytes, status: int, code: str
) -> None:
    ava = await visitor()
    check_problem(await ava.upload(name, content), status, code)
    with ava.app.store.read() as uow:
        assert uow.session.execute(select(func.count()).select_from(Attachment)).scalar_one() == 0


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.png",
        "..\\..\\x.png",
        "a\u202egnp.exe.png",
        "x" * 300 + ".png",
        "CON",
        ".png",
        "a\r\nb.png",
        '"',
    ],
)
async def test_an_evil_name_is_made_harmless(visitor: Open, name: str) -> None:
    ava = await visitor()
    kept = (await ava.upload(name, PNG)).json()
    assert kept["name"].endswith(".png")
    assert len(kept["name"]) <= 100
    assert not set('/\\\r\n"\u202e') & set(kept["name"])
    assert (await ava.get(f"/files/{kept['id']}")).status_code == 200


async def test_an_upload_that_never_ends_is_cut_off(visitor: Open) -> None:
    """Without a length in its headers, as anybody can send it."""
    ava = await visitor()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
        while True:
            sent += 1
            yield b"\0" * 262_144

    headers = {**ava.headers, "Content-Type": "multipart/form-data; boundary=b"}
    check_problem(await ava.post("/files", content=endless(), headers=headers), 413, "too-large")
    assert sent < 30


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b"{}"),
        ("image/png", PNG),
        ("multipart/form-data", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b"rubbish"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--b--\r\n',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\ntext\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="a.txt"\r\n\r\ntext\r\n--b--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\na\r\n' * 2 + b"--b--\r\n",
        ),
    ],
)
async def test_a_malformed_upload_is_told_what_is_wrong(visitor: Open, kind: str, content: bytes) -> None:
    ava = await visitor()
    response = await ava.post("/files", content=content, headers={**ava.headers, "Content-Type": kind})
    check_problem(response, 422, "invalid-input")


async def test_files_of_other_conversations_are_not_found(visitor: Open) -> None:
    one, other = await visitor(), await visitor()
    file = (await one.upload("log.txt", b"mine")).json()["id"]
    for wrong in (file, "att_nowhere", "%00", "a%00b", "x" * 300, "a%20b", "%F0%9F%99%8F"):
        check_problem(await other.get(f"/files/{wrong}"), 404, "not-found")


async def test_too_many_files_an_hour_have_to_wait(app: App) -> None:
    async with client_of(app, limits=Limits(uploads_per_hour=2)) as client:
        ava = await Visitor(client, app).open()
        statuses = [(await ava.upload("a.txt", b"a")).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]


# --- receipts ------------------------------------------------------------------------------------------------------


async def a_receipt(ava: Visitor, clock: FakeClock) -> dict[str, Any]:
    """A message with a receipt of Ava's; returns it as the API shows it."""

    def make(uow: Any) -> Any:
        return make_receipt(
            uow,
            kind="cancellation",
            brand=ava.app.packs["joltsms"].brand,
            customer_id=customer_id_of(uow, "ava@jolt.example"),
            conversation_id=ava.conversation_id,
            content=ReceiptContent(
                title="Your number will not renew",
                what="+1 415-555-0101",
                done_at=clock.now(),
                reference="CAN-000001",
                rule_ids=("J-C1",),
                policy_version="1",
            ),
            idempotency_key="r-1",
            now=clock.now(),
        )

    receipt = write(ava.app, make)
    attachment = {
        "id": receipt.id,
        "name": f"Receipt {receipt.reference}.html",
        "media_type": "text/html",
        "size": len(receipt.html),
        "kind": "receipt",
    }
    await ava.app.gateway.say(ava.conversation_id, [Reply("", attachments=(attachment,))], author="bot", name="JoltSMS")
    (shown,) = (await ava.messages(1))[0]["attachments"]
    return dict(shown)


async def test_a_receipt_is_shown_to_its_owner(visitor: Open, clock: FakeClock) -> None:
    ava = await visitor("ava@jolt.example")
    receipt = await a_receipt(ava, clock)
    for headers, url in [(ava.headers, f"{PREFIX}/receipts/{receipt['id']}"), ({}, receipt["url"])]:
        page = await ava.client.get(url, headers=headers)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "CAN-" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        plain = await ava.client.get(url, params=httpx.URL(url).params.merge({"format": "txt"}), headers=headers)
        assert plain.headers["content-type"].startswith("text/plain")
        assert plain.headers["content-disposition"].startswith('attachment; filename="RCP-')
        assert "Your number will not renew" in plain.text
    check_problem(await ava.get(f"/receipts/{receipt['id']}?format=pdf"), 422, "invalid-input")


async def test_a_receipt_is_not_shown_to_others(visitor: Open, clock: FakeClock) -> None:
    ava, ben, anybody = await visitor("ava@jolt.example"), await visitor("ben@jolt.example"), await visitor()
    receipt = await a_receipt(ava, clock)
    for other in (ben, anybody):
        check_problem(await other.get(f"/receipts/{receipt['id']}"), 404, "not-found")
    for wrong in ("rcp_nowhere", "%00", "x" * 300):
        check_problem(await ava.get(f"/receipts/{wrong}"), 404, "not-found")


async def test_a_changed_link_does_not_open(visitor: Open, clock: FakeClock) -> None:
    ava, ben = await visitor("ava@jolt.example"), await visitor("ben@jolt.example")
    receipt = await a_receipt(ava, clock)
    file = (await ava.upload("log.txt", b"mine")).json()["id"]
    link = httpx.URL(receipt["url"])
    params = dict(link.params)
    changed = [
        link.copy_merge_params({"until": str(int(params["until"]) + 1)}),
        link.copy_merge_params({"until": "9" * 5000}),
        link.copy_merge_params({"until": "٣"}),
        link.copy_merge_params({"key": params["key"][:-1]}),
        link.copy_merge_params({"key": ""}),
        link.copy_merge_params({"key": "é"}),
        link.copy_merge_params({"in": ben.conversation_id}),
        link.copy_with(path=f"{PREFIX}/files/{file}"),
        link.copy_with(path=f"{PREFIX}/receipts/rcp_other"),
    ]
    for url in changed:
        check_problem(await ava.client.get(url), 401, "not-authenticated")
    without = httpx.URL(f"{PREFIX}/receipts/{receipt['id']}", params={"in": params["in"], "key": params["key"]})
    check_problem(await ava.client.get(without), 401, "not-authenticated")


async def test_a_link_runs_out(visitor: Open, clock: FakeClock) -> None:
    ava = await visitor("ava@jolt.example")
    url = (await a_receipt(ava, clock))["url"]
    clock.advance(hours=23)
    assert (await ava.client.get(url)).status_code == 200
    clock.advance(days=1)
    assert "run out" in check_problem(await ava.client.get(url), 401, "not-authenticated")
    fresh = (await ava.messages(1))[0]["attachments"][0]["url"]
    assert (await ava.client.get(fresh)).status_code == 200


async def test_a_link_carries_no_token(visitor: Open, clock: FakeClock) -> None:
    ava = await visitor("ava@jolt.example")
    assert ava.token not in (await a_receipt(ava, clock))["url"]


# --- the edges -----------------------------------------------------------------------------------------------------


async def test_unknown_addresses_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    for path in ("/", "/nothing", "/messages/1", "/%00"):
        check_problem(await client.get(PREFIX + path), 404, "not-found")
    for method, path, allowed in [
        ("DELETE", "/messages", {"GET", "HEAD", "POST"}),
        ("PUT", "/sessions", {"POST"}),
        ("POST", "/stream", {"GET", "HEAD"}),
    ]:
        response = await client.request(method, PREFIX + path)
        check_problem(response, 405, "method-not-allowed")
        assert set(response.headers["allow"].split(", ")) == allowed


async def test_every_answer_has_the_security_headers(visitor: Open) -> None:
    ava = await visitor()
    for response in (await ava.get("/messages"), await ava.get("/nothing"), await ava.post("/messages", content=b"")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in response.headers
        assert response.headers["referrer-policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize("allowed", [True, False])
async def test_only_allowed_sites_may_use_the_api(
    allowed: bool, settings: Settings, scripted: ScriptedEngine, clock: FakeClock
) -> None:
    origins = ("https://help.joltsms.example",) if allowed else ()
    app = build(Settings(**{**vars(settings), "allowed_origins": origins}), clock=clock, engine=scripted)
    try:
        async with client_of(app) as client:
            headers = {"Origin": "https://help.joltsms.example"}
            preflight = {
                **headers,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            asked = await client.options(f"{PREFIX}/messages", headers=preflight)
            answer = await client.post(f"{PREFIX}/sessions", json={"brand": "joltsms"}, headers=headers)
            refused = await client.post(f"{PREFIX}/sessions", json={}, headers=headers)
    finally:
        app.close()
    assert (asked.status_code == 200) is allowed
    for response in (asked, answer, refused):
        assert response.headers.get("access-control-allow-origin") == (headers["Origin"] if allowed else None)
        assert "access-control-allow-credentials" not in response.headers
    assert answer.headers["access-control-expose-headers"] == "Retry-After"


async def test_delivery_is_on_record(visitor: Open, app: App) -> None:
    ava = await visitor()
    await app.gateway.say(ava.conversation_id, [Reply("news")], author="agent", name="Mia")
    count = text("SELECT count(*) FROM deliveries WHERE status = 'pending'")
    with app.store.read() as uow:
        assert uow.session.execute(count).scalar_one() == 1
    await ava.messages()
    with app.store.read() as uow:
        assert uow.session.execute(count).scalar_one() == 0


# --- people in the conversation --------------------------------------------------------------------------------------
async def test_people_hear_that_the_customer_writes_and_has_read(
    visitor: Open, client: httpx.AsyncClient, app: App
) -> None:
    ava = await visitor()
    async with app.bus.listen(ava.conversation_id) as hints:
        headers = {"Authorization": f"Bearer {ava.token}"}
        assert (await client.post(f"{PREFIX}/typing", headers=headers)).status_code == 204
        assert hints.get_nowait() == "customer-typing"
        for seq in (1, 1, 99):
            answer = await client.post(f"{PREFIX}/read", headers=headers, json={"seq": seq})
            assert answer.status_code == 204
        assert hints.get_nowait() == "state"
        assert hints.empty()  # told once: nothing more was there to read
    with app.store.read() as uow:
        assert uow.get(Conversation, ava.conversation_id).customer_read_seq == 1


@pytest.mark.parametrize("body", [{}, {"seq": -1}, {"seq": "1"}, {"seq": 2**40}, {"seq": 1, "x": 1}])
async def test_what_was_read_is_a_number(visitor: Open, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    ava = await visitor()
    answer = await client.post(f"{PREFIX}/read", headers={"Authorization": f"Bearer {ava.token}"}, json=body)
    check_problem(answer, 422, "invalid-input")


async def test_nobody_without_a_session_tells_people_anything(client: httpx.AsyncClient) -> None:
    for path in ("typing", "read"):
        check_problem(await client.post(f"{PREFIX}/{path}", json={"seq": 1}), 401, "not-authenticated")
