"""A receipt says everything that was done, in words that cannot run, once."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.errors import Conflict, NotFound
from bot.policy.money import Money
from bot.services.receipts import (
    ConsentGiven,
    ReceiptContent,
    ReceiptView,
    make_receipt,
    receipt_view,
    style_source,
)
from bot.store.erased import find
from bot.store.tables import Customer, Outbox, Receipt
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.brands import JOLT, customer_id_of
from tests.fakes.clock import START

CONTENT = ReceiptContent(
    title="Your number will not renew",
    what="+1 415-555-0101, SUB-1001",
    done_at=START,
    effective_at=datetime(2026, 12, 1, 15, 0, tzinfo=timezone.utc),
    money=Money(1500, "USD"),
    reference="CAN-000002",
    rule_ids=("J-C1", "J-C3"),
    policy_version="2026-11-22",
    details=(("Reason", "Too expensive"),),
    effects=("The number works until it is released.",),
    undo=("Say resume before that date.",),
    consents=(ConsentGiven("I know that the number may go to somebody else.", START),),
)


@pytest.fixture
def uow(demo_store: Store) -> Iterator[UnitOfWork]:
    """One unit of work on the demo data."""
    with demo_store.write() as unit:
        yield unit


def made(uow: UnitOfWork, content: ReceiptContent = CONTENT, **changes: Any) -> ReceiptView:
    """A receipt of Ava's, with some arguments changed."""
    arguments: dict[str, Any] = {
        "kind": "cancellation",
        "brand": JOLT,
        "customer_id": customer_id_of(uow, "ava@jolt.example"),
        "conversation_id": None,
        "content": content,
        "idempotency_key": "message-1:receipt",
        "now": START,
    }
    return make_receipt(uow, **{**arguments, **changes})


class _Text(HTMLParser):
    """The words of a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize(
    "said",
    [
        "JoltSMS",
        "Ava Moreno",
        "Your number will not renew",
        "+1 415-555-0101, SUB-1001",
        "16 March 2026, 11:00 EDT",
        "1 December 2026, 10:00 EST",
        "USD 15.00",
        "CAN-000002",
        "RCP-000001",
        "J-C1, J-C3 (policy version 2026-11-22)",
        "Too expensive",
        "The number works until it is released.",
        "Say resume before that date.",
        "I know that the number may go to somebody else. (16 March 2026, 11:00 EDT)",
        "help.joltsms.example",
        "support@joltsms.example",
    ],
)
def test_page_and_text_say_the_same(uow: UnitOfWork, said: str) -> None:
    """Times are those of the brand's zone, winter and summer, with the zone's name."""
    receipt = made(uow)
    assert said in receipt.plain
    assert said in "\n".join(_Text(receipt.html).words)


def test_what_there_is_not_is_left_out(uow: UnitOfWork) -> None:
    content = dataclasses.replace(CONTENT, effective_at=None, money=None, details=(), effects=(), undo=(), consents=())
    receipt = made(uow, content)
    for heading in ("Takes effect", "Amount", "How to undo it", "What you agreed to", "What happens"):
        assert heading not in receipt.plain + receipt.html


def test_nothing_in_it_can_run_or_be_fetched(uow: UnitOfWork) -> None:
    """Markup in a name, a reason or a title stays text."""
    bad = '<script>alert("x")</script><img src=//evil onerror=alert(1)>'
    uow.get(Customer, customer_id_of(uow, "ava@jolt.example")).name = bad
    content = dataclasses.replace(
        CONTENT,
        title=bad,
        what=bad,
        details=((bad, bad),),
        effects=(bad,),
        undo=(bad,),
        consents=(ConsentGiven(bad, START),),
    )
    page = _Text(made(uow, content).html)
    allowed = {"html", "head", "meta", "title", "style", "body", "main", "footer", "h1", "h2", "p", "ul", "li"}
    assert {tag for tag, _ in page.tags} <= allowed | {"table", "tr", "th", "td"}
    assert {name for _, attributes in page.tags for name in attributes} <= {
        "lang",
        "charset",
        "name",
        "content",
        "class",
        "scope",
    }


def test_the_style_source_is_the_hash_of_the_pages_one_style(uow: UnitOfWork) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", made(uow).html)
    assert style_source() == f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def test_it_is_mailed_in_the_same_transaction(uow: UnitOfWork) -> None:
    receipt = made(uow)
    (mail,) = uow.session.execute(select(Outbox)).scalars()
    assert (mail.kind, mail.recipient, mail.status) == ("email", "ava@jolt.example", "pending")
    assert mail.payload["subject"] == "Your number will not renew (CAN-000002)"
    assert (mail.payload["plain"], mail.payload["html"]) == (receipt.plain, receipt.html)
    assert (mail.payload["sender_name"], mail.payload["reply_to"]) == ("JoltSMS", "support@joltsms.example")


def test_the_same_key_makes_one_receipt_and_one_mail(uow: UnitOfWork) -> None:
    assert made(uow) == made(uow)
    for table in (Receipt, Outbox):
        assert uow.session.execute(select(func.count()).select_from(table)).scalar_one() == 1


def test_a_key_of_somebody_elses_receipt_shows_nothing(uow: UnitOfWork) -> None:
    made(uow)
    with pytest.raises(Conflict):
        made(uow, customer_id=customer_id_of(uow, "ben@jolt.example"))


def test_a_receipt_shows_to_its_customer_only(uow: UnitOfWork) -> None:
    receipt = made(uow)
    assert receipt_view(uow, receipt.id, customer_id=customer_id_of(uow, "ava@jolt.example")) == receipt
    for receipt_id, email in ((receipt.id, "ben@jolt.example"), ("rcp_x", "ava@jolt.example")):
        with pytest.raises(NotFound):
            receipt_view(uow, receipt_id, customer_id=customer_id_of(uow, email))


def test_the_content_is_kept_as_data(uow: UnitOfWork) -> None:
    data = made(uow).data
    assert (data["amount_minor"], data["currency"], data["rule_ids"]) == (1500, "USD", ["J-C1", "J-C3"])
    assert data["effective_at"] == "2026-12-01T15:00:00+00:00"


def test_nobody_gets_no_receipt(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        made(uow, customer_id="cus_nobody")


def test_an_erased_customer_is_greeted_without_a_name(uow: UnitOfWork) -> None:
    ned = find(uow, "smrtphone", "ned@smrt.example")
    assert ned is not None
    receipt = made(uow, customer_id=ned.id)
    assert "\nThis is your receipt.\n" in receipt.plain
    assert uow.session.execute(select(Outbox.id)).first() is None, "there is no address to mail it to"
