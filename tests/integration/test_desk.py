"""The desk over HTTP: who gets in, what they see and change, and what bad input gets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from types import MappingProxyType

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette

from bot.conversation.gateway import Gateway
from bot.conversation.locks import LocalBus, LocalLocks
from bot.desk.routes import DemoAgent, DeskDeps, routes
from bot.policy.decision import Matter
from bot.services import agents, refunds, tickets
from bot.services.agents import Role
from bot.services.attachments import store_attachment
from bot.services.tickets import Priority, TicketStatus
from bot.store import tables as t
from bot.store.unit_of_work import Store
from bot.web.pages import security_headers
from tests.fakes.clock import START, FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.unit.services.usecases import conversation, customer, jolt, message

TOLD = {f"approval_{choice}": (f"About your money: {choice}.",) for choice in ("refund", "credit", "deny")}
PACKS = {"joltsms": replace(jolt(), texts=MappingProxyType({**jolt().texts, **TOLD}))}
PASSWORD = "correct horse battery"
ATTACK = "<script>alert('x')</script>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@dataclass
class Desk:
    """A desk with two agents for JoltSMS and one for smrtPhone, and what waits for them."""

    store: Store
    clock: FakeClock
    gateway: Gateway
    approval: str
    approval_case: str
    case: str
    attachment: str

    def client(self, *, base_url: str = "http://desk.test", secure: bool = False) -> httpx.AsyncClient:
        """A browser at this desk."""
        deps = DeskDeps(store=self.store, packs=PACKS, clock=self.clock, gateway=self.gateway, secure_cookies=secure)
        app = security_headers(Starlette(routes=routes(deps)))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url)

    def count(self, table: type, *conditions: object) -> int:
        """How many rows there are."""
        with self.store.read() as uow:
            return int(uow.session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())

    def audited(self, action: str) -> list[tuple[str, str]]:
        """Who did that to what, in order."""
        with self.store.read() as uow:
            query = select(t.AuditLog.actor, t.AuditLog.subject).where(t.AuditLog.action == action)
            return [tuple(line) for line in uow.session.execute(query.order_by(t.AuditLog.id))]

    def agent_id(self, name: str) -> str:
        with self.store.read() as uow:
            return str(uow.session.execute(select(t.Agent.id).where(t.Agent.name == name)).scalar_one())

    def change(self, table: type, row_id: str, **values: object) -> None:
        """Change a row behind the desk's back."""
        with self.store.write() as uow:
            for name, value in values.items():
                setattr(uow.get(table, row_id), name, value)
            uow.commit()


def _furnish(store: Store) -> Desk:
    with store.write() as uow:
        for name, brand in (("Amy", "joltsms"), ("Bo", "joltsms"), ("Pia", "smrtphone")):
            agents.add_agent(
                uow,
                email=f"{name.lower()}@desk.example",
                name=name,
                password=PASSWORD,
                role=Role.AGENT,
                brands=[brand],
                known_brands=["joltsms", "smrtphone"],
                now=START,
            )
        dan, cara = customer(uow, "dan"), customer(uow, "cara")
        asked = refunds.request(
            uow,
            pack=PACKS["joltsms"],
            customer=dan,
            matter=Matter.NOT_RECEIVING,
            subscription_id="SUB-1004",
            conversation_id=conversation(uow, dan),
            key="dan",
            now=START,
        )
        assert asked.approval_ticket is not None
        talk = conversation(uow, cara)
        message(uow, talk, f"No texts at all {ATTACK}")
        file = store_attachment(uow, conversation_id=talk, filename="inbox.png", content=PNG, now=START)
        opened = tickets.open_ticket(
            uow,
            brand="joltsms",
            kind="investigation",
            subject=f"No texts {ATTACK}",
            summary=f"Nothing was ever received. {ATTACK}",
            customer_id=cara.customer_id,
            contact_email=cara.email,
            conversation_id=talk,
            idempotency_key="cara",
            now=START - timedelta(days=2),
        )
        approval = uow.session.execute(select(t.Approval.id)).scalar_one()
        uow.commit()
    clock = FakeClock()
    gateway = Gateway(
        store=store, engine=ScriptedEngine(), packs=PACKS, locks=LocalLocks(), bus=LocalBus(), clock=clock
    )
    return Desk(store, clock, gateway, approval, asked.approval_ticket.reference, opened.reference, file.id)


@pytest.fixture
def desk(sqlite_demo_store: Store, cheap_passwords: None) -> Desk:
    """The furnished desk on SQLite."""
    return _furnish(sqlite_demo_store)


@pytest.fixture
def both(demo_store: Store, cheap_passwords: None) -> Desk:
    """The furnished desk, on each database."""
    return _furnish(demo_store)


def field(page: httpx.Response | str, name: str) -> str:
    """The value of the first hidden field of that name."""
    html = page if isinstance(page, str) else page.text
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name}"
    return unescape(found.group(1))


def words(page: httpx.Response) -> str:
    """What a page says, without tags and line breaks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def enter(browser: httpx.AsyncClient, name: str = "amy", password: str = PASSWORD) -> httpx.Response:
    """Sign in through the form."""
    form = await browser.get("/desk")
    fields = {"csrf": field(form, "csrf"), "email": f"{name}@desk.example", "password": password}
    return await browser.post("/desk/sign-in", data=fields)


@pytest.fixture
async def amy(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """Amy's browser, signed in."""
    async with desk.client() as browser:
        assert (await enter(browser)).status_code == 303
        yield browser


@pytest.fixture
async def bo(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """Bo's browser, signed in."""
    async with desk.client() as browser:
        await enter(browser, "bo")
        yield browser


async def decide(browser: httpx.AsyncClient, desk: Desk, choice: str, note: str = "") -> httpx.Response:
    """Open the approval and press one of its buttons."""
    form = {"csrf": field(await browser.get("/desk"), "csrf"), "choice": choice, "note": note}
    return await browser.post(f"/desk/approvals/{desk.approval}", data=form)


# --- getting in and out ----------------------------------------------------------------------------------------------


async def test_signed_out_the_desk_is_a_sign_in_page(desk: Desk) -> None:
    async with desk.client() as browser:
        page = await browser.get("/desk")
    assert page.status_code == 200
    assert "Sign in to the desk" in page.text
    assert "Dan" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_demo_mode_shows_whom_to_sign_in_as(desk: Desk) -> None:
    deps = DeskDeps(
        desk.store, PACKS, desk.clock, desk.gateway, False, DemoAgent("agent@desk.example", "shown-password")
    )
    transport = httpx.ASGITransport(Starlette(routes=routes(deps)))
    async with httpx.AsyncClient(transport=transport, base_url="http://desk.test") as browser:
        assert "shown-password" in (await browser.get("/desk")).text
    assert "shown-password" not in repr(deps)


@pytest.mark.parametrize("secure", [False, True])
async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(desk: Desk, secure: bool) -> None:
    scheme = "https" if secure else "http"
    async with desk.client(base_url=f"{scheme}://desk.test", secure=secure) as browser:
        answer = await enter(browser)
        cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("desk_session="))
        assert answer.headers["location"] == "/desk"
        assert (await browser.get("/desk")).text.count("Sign out") == 1
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/desk" in cookie
    assert ("Secure" in cookie) == secure


async def test_a_wrong_password_and_an_unknown_agent_get_the_same_answer(desk: Desk) -> None:
    async with desk.client() as browser:
        wrong = await enter(browser, password="wrong password")
        unknown = await enter(browser, "nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert "do not match" in wrong.text
    assert words(wrong) == words(unknown)


async def test_guessing_is_slowed_with_the_time_to_wait(desk: Desk) -> None:
    async with desk.client() as browser:
        for _ in range(agents.TRIES_PER_EMAIL):
            await enter(browser, password="wrong password")
        answer = await enter(browser)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "900"
    assert "Please wait" in answer.text


async def test_another_site_cannot_sign_somebody_in(desk: Desk) -> None:
    async with desk.client() as browser:
        fields = {"csrf": "x" * 43, "email": "amy@desk.example", "password": PASSWORD}
        answer = await browser.post("/desk/sign-in", data=fields)
    assert answer.status_code == 403
    assert "desk_session" not in answer.cookies


async def test_signing_in_leads_back_to_the_page_that_was_asked_for_and_nowhere_else(desk: Desk) -> None:
    async with desk.client() as browser:
        page = await browser.get(f"/desk/cases/{desk.case}")
        assert page.status_code == 401
        assert "Cara" not in page.text
        fields = {"csrf": field(page, "csrf"), "email": "amy@desk.example", "password": PASSWORD}
        assert field(page, "next") == f"/desk/cases/{desk.case}"
        there = await browser.post("/desk/sign-in", data={**fields, "next": field(page, "next")})
        assert there.headers["location"] == f"/desk/cases/{desk.case}"
    async with desk.client() as browser:
        fields["csrf"] = field(await browser.get("/desk"), "csrf")
        elsewhere = await browser.post("/desk/sign-in", data={**fields, "next": "//evil.example/desk"})
        assert elsewhere.headers["location"] == "/desk"


async def test_signing_out_ends_the_session_on_the_server(desk: Desk, amy: httpx.AsyncClient) -> None:
    token = amy.cookies["desk_session"]
    await amy.post("/desk/sign-out", data={"csrf": field(await amy.get("/desk"), "csrf")})
    amy.cookies.set("desk_session", token, domain="desk.test", path="/desk")
    assert "Sign in to the desk" in (await amy.get("/desk")).text


async def test_a_deactivated_agent_is_out_at_once(desk: Desk, amy: httpx.AsyncClient) -> None:
    desk.change(t.Agent, desk.agent_id("Amy"), active=False)
    page = await amy.get(f"/desk/cases/{desk.case}")
    assert page.status_code == 401
    assert "Cara" not in page.text


async def test_a_session_ends_after_twelve_hours(desk: Desk, amy: httpx.AsyncClient) -> None:
    desk.clock.advance(hours=12)
    assert "Sign in to the desk" in (await amy.get("/desk")).text


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_the_list_shows_approvals_first_and_then_cases_by_urgency(both: Desk) -> None:
    async with both.client() as browser:
        await enter(browser)
        page = await browser.get("/desk/cases")
    said = words(page)
    assert said.index("Waiting for approval 1 USD 15.00 J-R3") < said.index(both.approval_case) < said.index(both.case)
    assert "Cara Lindqvist cara@jolt.example JoltSMS Normal Open 2 days" in said
    assert "Open 2 Pending 0 Resolved 1 Closed 0 All 3" in said


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"approval_case", "case"}),
        ("status=all", {"approval_case", "case", "TCK-000001"}),
        ("status=resolved", {"TCK-000001"}),
        ("status=closed", set()),
        ("kind=approval", {"approval_case"}),
        ("kind=nothing", set()),
        ("brand=joltsms", {"approval_case", "case"}),
        ("brand=smrtphone", {"approval_case", "case"}),
        ("page=2", set()),
        ("status=%00&kind=%00%27&brand=%00&page=-1", {"approval_case", "case", "TCK-000001"}),
    ],
)
async def test_the_list_can_be_filtered(desk: Desk, amy: httpx.AsyncClient, query: str, shown: set[str]) -> None:
    page = await amy.get(f"/desk/cases?{query}")
    assert page.status_code == 200
    listed = set(re.findall(r'href="/desk/cases/(TCK-\d+)"', page.text))
    assert listed == {getattr(desk, name, name) for name in shown}


async def test_pages_of_the_list_follow_each_other(desk: Desk, amy: httpx.AsyncClient) -> None:
    with desk.store.write() as uow:
        for n in range(60):
            tickets.open_ticket(
                uow,
                brand="joltsms",
                kind="problem",
                subject=f"Case {n}",
                summary="",
                customer_id=None,
                contact_email=None,
                conversation_id=None,
                idempotency_key=f"many-{n}",
                now=START,
                priority=Priority.LOW,
            )
        uow.commit()
    first, second = [
        set(re.findall(r'href="/desk/cases/(TCK-\d+)"', (await amy.get(f"/desk/cases?page={page}")).text))
        for page in (1, 2)
    ]
    assert (len(first), len(second), first & second) == (50, 12, set())
    assert "Page 1 of 2" in words(await amy.get("/desk/cases"))


async def test_a_case_shows_everything_as_text(both: Desk) -> None:
    async with both.client() as browser:
        await enter(browser)
        page = await browser.get(f"/desk/cases/{both.case}")
    said = words(page)
    assert "<script>" not in page.text
    assert said.count(ATTACK) >= 3
    for part in (
        "Nothing was ever received.",
        "No texts at all",
        "cara@jolt.example",
        "Signed in at the brand's site",
        "+1 415-555-0103",
        "INV-2003",
        "USD 15.00",
        "inbox.png",
    ):
        assert part in said


async def test_a_decision_is_shown_with_its_rule_and_version(desk: Desk, amy: httpx.AsyncClient) -> None:
    said = words(await amy.get(f"/desk/cases/{desk.approval_case}"))
    assert f"J-R3 {jolt().rule('J-R3').title}" in said  # type: ignore[union-attr]
    assert f"policy {jolt().version}" in said


async def test_a_case_nobody_proved_says_so(desk: Desk, amy: httpx.AsyncClient) -> None:
    with desk.store.write() as uow:
        opened = tickets.open_ticket(
            uow,
            brand="joltsms",
            kind="handoff",
            subject="A person, please",
            summary="Somebody asks for a person.",
            customer_id=None,
            contact_email="zoe@mail.example",
            conversation_id=conversation(uow),
            idempotency_key="zoe",
            now=START,
        )
        uow.commit()
    said = words(await amy.get(f"/desk/cases/{opened.reference}"))
    assert "zoe@mail.example" in said
    assert "Not proved: do not share or change account data" in said


async def test_a_file_is_shown_without_being_able_to_do_anything(desk: Desk, amy: httpx.AsyncClient) -> None:
    file = await amy.get(f"/desk/cases/{desk.case}/files/{desk.attachment}")
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, PNG, "image/png")
    assert file.headers["content-security-policy"] == "default-src 'none'; sandbox"
    other = await amy.get(f"/desk/cases/{desk.approval_case}/files/{desk.attachment}")
    assert other.status_code == 404


async def test_agents_see_their_brands_only(both: Desk) -> None:
    """A case of another brand is answered like one that does not exist."""
    async with both.client() as browser:
        await enter(browser, "pia")
        page = await browser.get("/desk/cases")
        assert "TCK-" not in page.text
        assert "No open cases." in page.text
        csrf = field(page, "csrf")
        paths = (f"/desk/cases/{both.case}", f"/desk/cases/{both.case}/files/{both.attachment}")
        for path in (*paths, f"/desk/approvals/{both.approval}", "/desk/cases/TCK-999999"):
            page = await browser.get(path)
            assert page.status_code == 404
            assert "in your brands" in page.text
        answer = await browser.post(f"/desk/approvals/{both.approval}", data={"csrf": csrf, "choice": "refund"})
        assert answer.status_code == 404
        note = {"csrf": csrf, "key": "frm_" + "0" * 26, "body": "x"}
        assert (await browser.post(f"/desk/cases/{both.case}/notes", data=note)).status_code == 404
    assert both.count(t.Refund) == 0
    assert both.count(t.TicketEvent, t.TicketEvent.kind == "note") == 0


@pytest.mark.parametrize("path", ["cases/TCK-1%00", "cases/'", "cases/TCK-" + "9" * 40, "approvals/%00", "approvals/x"])
async def test_what_does_not_exist_is_said_plainly(amy: httpx.AsyncClient, path: str) -> None:
    page = await amy.get(f"/desk/{path}")
    assert page.status_code == 404
    assert "There is no such" in page.text


async def test_looking_at_personal_data_is_on_record(desk: Desk, amy: httpx.AsyncClient) -> None:
    amys = desk.agent_id("Amy")
    await amy.get("/desk/cases")
    await amy.get(f"/desk/cases/{desk.case}")
    await amy.get(f"/desk/cases/{desk.case}/files/{desk.attachment}")
    await amy.get(f"/desk/approvals/{desk.approval}")
    assert desk.audited("cases.listed") == [(amys, "desk")]
    assert desk.audited("case.viewed") == [(amys, desk.case)]
    assert desk.audited("attachment.viewed") == [(amys, desk.case)]
    assert desk.audited("approval.viewed") == [(amys, desk.approval)]


# --- changing a case -------------------------------------------------------------------------------------------------


async def test_a_status_is_changed_once_and_on_record(desk: Desk, amy: httpx.AsyncClient) -> None:
    page = await amy.get(f"/desk/cases/{desk.case}")
    form = {name: field(page, name) for name in ("csrf", "key", "shown")} | {"status": "pending"}
    for _ in range(2):
        answer = await amy.post(f"/desk/cases/{desk.case}/status", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/cases/{desk.case}?done=status")
    page = await amy.get(answer.headers["location"])
    assert "The status was changed." in page.text
    assert words(page).count("Amy set the status from open to pending") == 1
    assert desk.audited("ticket.status") == [(desk.agent_id("Amy"), desk.case)]


async def test_a_stale_page_changes_nothing(desk: Desk, amy: httpx.AsyncClient, bo: httpx.AsyncClient) -> None:
    page = await amy.get(f"/desk/cases/{desk.case}")
    stale = {name: field(page, name) for name in ("csrf", "key", "shown")}
    other = {name: field(await bo.get(f"/desk/cases/{desk.case}"), name) for name in ("csrf", "key", "shown")}
    await bo.post(f"/desk/cases/{desk.case}/status", data={**other, "status": "resolved"})
    answer = await amy.post(f"/desk/cases/{desk.case}/status", data={**stale, "status": "pending"})
    assert answer.status_code == 409
    assert "This case is resolved meanwhile, so nothing was changed." in answer.text
    assert field(answer, "shown") == "resolved"
    with desk.store.read() as uow:
        assert uow.session.execute(select(t.Ticket.status).filter_by(reference=desk.case)).scalar() == "resolved"


async def test_a_status_that_is_none_is_refused(desk: Desk, amy: httpx.AsyncClient) -> None:
    page = await amy.get(f"/desk/cases/{desk.case}")
    form = {name: field(page, name) for name in ("csrf", "key", "shown")} | {"status": "burnt"}
    answer = await amy.post(f"/desk/cases/{desk.case}/status", data=form)
    assert answer.status_code == 422
    assert "A case is open, pending, resolved, closed, nothing else." in answer.text


async def test_a_note_is_added_once_and_kept_as_written(both: Desk) -> None:
    async with both.client() as browser:
        await enter(browser)
        page = await browser.get(f"/desk/cases/{both.case}")
        form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "body": f"Called her.\r\n{ATTACK} \x00Zoë"}
        for _ in range(2):
            answer = await browser.post(f"/desk/cases/{both.case}/notes", data=form)
            assert answer.status_code == 303
        page = await browser.get(f"/desk/cases/{both.case}?done=note")
        again = await browser.post(f"/desk/cases/{both.case}/notes", data={**form, "body": "Corrected."})
        assert again.status_code == 303, "another text from the same page is another note"
    assert "The note was added." in page.text
    assert "Amy wrote a note" in words(page)
    with both.store.read() as uow:
        query = select(t.TicketEvent.body).where(t.TicketEvent.kind == "note").order_by(t.TicketEvent.id)
        assert uow.session.execute(query).scalars().all() == [f"Called her.\n{ATTACK} Zoë", "Corrected."]
    assert both.audited("ticket.noted") == [(both.agent_id("Amy"), both.case)] * 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("  \n ", 422, "The note is empty."),
        ("x" * 5_001, 413, "The note has 5,001 characters, and at most 5,000 are kept."),
        ("x" * 10_000_000, 413, "at most 64 kB are taken. Nothing was changed."),
    ],
)
async def test_a_note_that_cannot_be_kept_says_why(
    desk: Desk, amy: httpx.AsyncClient, body: str, status: int, says: str
) -> None:
    page = await amy.get(f"/desk/cases/{desk.case}")
    form = {"csrf": field(page, "csrf"), "key": field(page, "key"), "body": body}
    answer = await amy.post(f"/desk/cases/{desk.case}/notes", data=form)
    assert answer.status_code == status
    assert says in answer.text
    assert desk.count(t.TicketEvent, t.TicketEvent.kind == "note") == 0


# --- deciding --------------------------------------------------------------------------------------------------------


async def test_an_approval_shows_rule_facts_ledger_and_choices(both: Desk) -> None:
    async with both.client() as browser:
        await enter(browser)
        said = words(await browser.get(f"/desk/approvals/{both.approval}"))
    for part in (
        "USD 15.00 for Dan Petrov",
        "Refund or credit, a person chooses",
        "Refund USD 15.00 Give USD 15.00 as credit Deny",
        "This charge INV-2004 USD 15.00 none",
        "Investigation cause Ours",
        "Had fair chance yes",
        "Latest charge USD 15.00",
    ):
        assert part in said


@pytest.mark.parametrize(("choice", "table"), [("refund", t.Refund), ("credit", t.Credit)])
async def test_money_is_given_once_however_often_the_button_is_pressed(both: Desk, choice: str, table: type) -> None:
    async with both.client() as browser:
        await enter(browser)
        for _ in range(2):
            answer = await decide(browser, both, choice, "All four conditions hold.")
            assert answer.headers["location"] == f"/desk/approvals/{both.approval}?done=decided"
        said = words(await browser.get(answer.headers["location"]))
        assert "Your decision was recorded." in said
        assert f"Approved as {choice} by Amy" in said
        assert "All four conditions hold." in said
        assert "Waiting for approval" not in (await browser.get("/desk")).text
    assert both.count(table, table.amount_minor == 1500) == 1  # type: ignore[attr-defined]
    assert both.count(t.Outbox, t.Outbox.recipient == "dan@jolt.example") == 1
    assert both.audited("approval.approved") == [(both.agent_id("Amy"), both.approval)]
    with both.store.read() as uow:
        status = uow.session.execute(select(t.Ticket.status).filter_by(reference=both.approval_case)).scalar()
    assert status == TicketStatus.RESOLVED.value


async def test_denying_needs_a_reason_and_gives_nothing(desk: Desk, amy: httpx.AsyncClient) -> None:
    answer = await decide(amy, desk, "deny", "  ")
    assert answer.status_code == 422
    assert "Say in the note why you deny it." in answer.text
    assert (await decide(amy, desk, "deny", "Wrong account.")).status_code == 303
    assert "Denied by Amy" in words(await amy.get(f"/desk/approvals/{desk.approval}"))
    assert desk.count(t.Refund) == desk.count(t.Credit) == 0


@pytest.mark.parametrize("choice", ["refund", "credit", "deny"])
async def test_what_a_colleague_decided_stays_and_is_said(
    desk: Desk, amy: httpx.AsyncClient, bo: httpx.AsyncClient, choice: str
) -> None:
    await decide(amy, desk, "refund")
    before = desk.count(t.AuditLog, t.AuditLog.action.like("approval.a%"))
    answer = await decide(bo, desk, choice, "Too late.")
    assert answer.status_code == 409
    assert "decided" in words(answer)
    assert "Approved as refund by Amy" in words(answer)
    assert (desk.count(t.Refund), desk.count(t.Credit)) == (1, 0)
    assert desk.count(t.AuditLog, t.AuditLog.action.like("approval.a%")) == before


async def test_above_the_higher_limit_another_person_must_agree(
    desk: Desk, amy: httpx.AsyncClient, bo: httpx.AsyncClient
) -> None:
    desk.change(t.Approval, desk.approval, approvers_needed=2)
    assert "Two people must agree" in words(await bo.get("/desk"))
    for _ in range(2):
        assert (await decide(amy, desk, "credit", "Please check the SIM report.")).status_code == 303
    assert desk.count(t.Credit) == 0
    mine = words(await amy.get(f"/desk/approvals/{desk.approval}"))
    assert "Another person must agree" in mine
    assert "as credit Deny" not in mine
    theirs = words(await bo.get(f"/desk/approvals/{desk.approval}"))
    assert "Amy chose credit. Agree, or deny." in theirs
    assert theirs.count("Please check the SIM report.") == 1
    assert "Refund USD" not in theirs
    disagrees = await decide(bo, desk, "refund")
    assert disagrees.status_code == 409
    assert desk.count(t.Refund) == desk.count(t.Credit) == 0
    assert (await decide(bo, desk, "credit")).status_code == 303
    assert desk.count(t.Credit) == 1
    assert "Approved as credit by Amy and Bo" in words(await bo.get(f"/desk/approvals/{desk.approval}"))


async def test_a_choice_that_is_none_is_refused(desk: Desk, amy: httpx.AsyncClient) -> None:
    answer = await decide(amy, desk, "everything")
    assert answer.status_code == 422
    assert "Choose refund, credit or deny." in answer.text


# --- forms that are not what they should be --------------------------------------------------------------------------


def _changes(desk: Desk) -> tuple[tuple[str, dict[str, str]], ...]:
    key = "frm_" + "0" * 26
    return (
        (f"/desk/cases/{desk.case}/status", {"status": "closed", "shown": "open", "key": key}),
        (f"/desk/cases/{desk.case}/notes", {"body": "From elsewhere.", "key": key}),
        (f"/desk/approvals/{desk.approval}", {"choice": "refund"}),
        ("/desk/sign-out", {"button": ""}),
    )


@pytest.mark.parametrize("csrf", [{}, {"csrf": ""}, {"csrf": "guessed"}, {"csrf": "é"}])
async def test_a_form_without_the_sessions_token_changes_nothing(
    desk: Desk, amy: httpx.AsyncClient, csrf: dict[str, str]
) -> None:
    before = desk.count(t.AuditLog)
    for path, fields in _changes(desk):
        answer = await amy.post(path, data={**fields, **csrf})
        assert answer.status_code == 403
        assert "nothing was changed" in answer.text
    assert desk.count(t.AuditLog) == before
    assert "Sign out" in (await amy.get("/desk")).text


async def test_a_signed_out_change_asks_to_sign_in_and_changes_nothing(desk: Desk) -> None:
    before = desk.count(t.AuditLog)
    async with desk.client() as browser:
        for path, fields in _changes(desk):
            answer = await browser.post(path, data={**fields, "csrf": "x"})
            assert answer.status_code == 401
            assert "You are signed out, so nothing was changed." in answer.text
    assert desk.count(t.AuditLog) == before


@pytest.mark.parametrize("key", ["", "frm_short", "x" * 500])
async def test_a_form_without_its_key_is_refused(desk: Desk, amy: httpx.AsyncClient, key: str) -> None:
    csrf = field(await amy.get("/desk"), "csrf")
    answer = await amy.post(f"/desk/cases/{desk.case}/notes", data={"csrf": csrf, "key": key, "body": "Hello."})
    assert answer.status_code == 422
    assert "This form is incomplete" in answer.text
    assert "Hello." in answer.text, "what was typed is kept"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"csrf": 1}', "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"a=1&" * 50, "application/x-www-form-urlencoded"),
        (b"\xff\xfe=%ff%00&csrf=\xff", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_of_ours_gets_a_sentence(
    desk: Desk, amy: httpx.AsyncClient, content: bytes, media_type: str
) -> None:
    headers = {"content-type": media_type}
    for path in (f"/desk/cases/{desk.case}/notes", "/desk/sign-in"):
        answer = await amy.post(path, content=content, headers=headers)
        assert answer.status_code in (403, 422)
        assert 'role="alert"' in answer.text


async def test_the_stylesheet_is_kept_by_browsers_as_long_as_it_is_the_same(desk: Desk) -> None:
    async with desk.client() as browser:
        path = re.search(r'href="(/desk/static/desk\.css\?v=\w+)"', (await browser.get("/desk")).text)
        assert path
        sheet = await browser.get(path.group(1))
    assert sheet.status_code == 200
    assert "immutable" in sheet.headers["cache-control"]
