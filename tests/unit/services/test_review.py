"""Messages to learn from: which are worth a look, that each is decided once, and what leaves without personal data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotFound
from bot.ids import new_id
from bot.services import learnt_file, review
from bot.services.erasure import ERASED
from bot.services.review import Reason
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, conversation, customer

KNOWN = ("cancel_subscription", "check_invoices", "out_of_scope")
SURE = {"intent": "check_invoices", "understood": "check_invoices", "confidence": 0.97, "verdict": "answer"}
TORN = {
    "intent": "nlu_fallback",
    "understood": "check_invoices",
    "confidence": 0.4,
    "verdict": "ask_back",
    "choices": ["check_invoices", "request_refund"],
    "ranking": ["check_invoices", "request_refund", "ask_refund_policy"],
}
PERSON = {**SURE, "intent": "talk_to_human"}


def said(
    uow: UnitOfWork, conversation_id: str, text: str, told: Mapping[str, Any] | None, *, button: str | None = None
) -> str:
    """A message of the customer with what was made of it; its id."""
    row = uow.get(t.Conversation, conversation_id)
    row.last_seq += 1
    message_id = new_id("msg")
    uow.add(
        t.Message(
            id=message_id,
            conversation_id=conversation_id,
            seq=row.last_seq,
            author="customer",
            text=text,
            button_id=button,
            buttons=[],
            attachments=[],
            channel="widget",
            status="answered",
            understanding=told,
            created_at=START + timedelta(minutes=row.last_seq),
        )
    )
    uow.session.flush()
    return message_id


def texts(uow: UnitOfWork, *brands: str) -> dict[str, Reason]:
    found = review.waiting(uow, brands=brands or ("joltsms",), now=START + timedelta(days=1))
    return {item.text: item.reason for item in found}


def test_doubt_a_correction_and_a_person_make_a_message_worth_a_look(sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.write() as uow:
        here = conversation(uow)
        said(uow, here, "show my bills", SURE)
        said(uow, here, "smth with my bill", TORN)
        said(uow, here, "when is it", SURE)
        said(uow, here, "never mind", {**SURE, "intent": "stop"})
        said(uow, here, "what about the charge", SURE)
        said(uow, here, "a human", PERSON)
        said(uow, here, "ava@jolt.example", {**TORN, "answered": "email"})
        said(uow, here, "hola quiero", {**TORN, "language": "es"})
        assert texts(uow) == {
            "smth with my bill": Reason.UNSURE,
            "when is it": Reason.CORRECTED,
            "what about the charge": Reason.PERSON,
        }
        assert texts(uow, "smrtphone") == {}


def test_the_choice_a_customer_pressed_is_the_first_guess(sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.write() as uow:
        here = conversation(uow)
        said(uow, here, "smth with my bill", TORN)
        said(uow, here, "Get money back", {"intent": "request_refund", "verdict": "answer"}, button="b2.1")
        (item,) = review.waiting(uow, brands=("joltsms",), now=START + timedelta(days=1))
        assert item.guesses == ("request_refund", "check_invoices", "ask_refund_policy")


def test_a_message_is_decided_once_by_somebody_of_its_brand_and_put_on_record(sqlite_demo_store: Store) -> None:
    with sqlite_demo_store.write() as uow:
        amy = agent(uow, "Amy")
        here = conversation(uow)
        message = said(uow, here, "smth with my bill", TORN)
        given = {"agent_id": amy, "message_id": message, "known": KNOWN, "now": START}
        with pytest.raises(NotFound):
            review.decide(uow, brands=("smrtphone",), intent="check_invoices", **given)
        with pytest.raises(InvalidInput):
            review.decide(uow, brands=("joltsms",), intent="made_up", **given)
        review.decide(uow, brands=("joltsms",), intent="check_invoices", **given)
        review.decide(uow, brands=("joltsms",), intent="check_invoices", **given)
        with pytest.raises(Conflict):
            review.decide(uow, brands=("joltsms",), intent=None, **given)
        assert texts(uow) == {}
        lines = select(t.AuditLog.actor, t.AuditLog.subject).where(t.AuditLog.action == "review.labelled")
        assert [tuple(line) for line in uow.session.execute(lines)] == [(amy, message)]


def test_what_is_learnt_has_no_personal_data_and_goes_out_once(sqlite_demo_store: Store, tmp_path: Path) -> None:
    with sqlite_demo_store.write() as uow:
        amy, ava = agent(uow, "Amy"), customer(uow, "ava")
        here = conversation(uow, ava)
        first_name = ava.name.split()[0]
        kept = said(uow, here, f"{first_name.lower()} here, +1 415 555 0101 or ava@jolt.example: my bill [x]?", TORN)
        skipped = said(uow, here, "skip me", TORN)
        erased = said(uow, here, "my bill is wrong", TORN)
        for message, intent in ((kept, "check_invoices"), (skipped, None), (erased, "check_invoices")):
            review.decide(
                uow, agent_id=amy, brands=("joltsms",), message_id=message, intent=intent, known=KNOWN, now=START
            )
        uow.get(t.Message, erased).text = ERASED
        uow.session.flush()
        (learnt,) = review.learnt(uow)
        assert learnt.text == "Alex here, 555-0100 or name@example.com: my bill [x]?"
        review.mark_exported(uow, [learnt.message_id], now=START)
        assert review.learnt(uow) == []
        assert len(review.learnt(uow, again=True)) == 1
    (tmp_path / "account.yml").write_text(
        'version: "3.1"\nnlu:\n- intent: check_invoices\n  examples: |\n    - my bill\n', encoding="utf-8"
    )
    added = learnt_file.sort_out(
        tmp_path, [learnt, learnt, review.Learnt("m", "joltsms", "My  bill", "check_invoices")]
    )
    assert (len(added.new), added.known) == (1, 2)
    written = learnt_file.write(tmp_path, added.new)
    learnt_file.write(tmp_path, [("out_of_scope", "sing for me")])
    read = {topic["intent"]: topic["examples"] for topic in yaml.safe_load(written.read_text(encoding="utf-8"))["nlu"]}
    assert read == {
        "check_invoices": "- Alex here, 555-0100 or name@example.com: my bill (x)?\n",
        "out_of_scope": "- sing for me\n",
    }
