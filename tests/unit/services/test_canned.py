"""Canned replies and macros: what may be kept, how placeholders are filled, and notes that stay inside."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.errors import InvalidInput, NotFound, TooLarge
from bot.services import canned, demo_desk, erasure, notes
from bot.services.canned import Step, fill, parse_steps
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.usecases import agent, conversation, count, customer, jolt


def test_steps_are_read_a_line_each() -> None:
    steps = parse_steps("Reply: Hello {first_name}\n\n hand  back : show my subscriptions")
    assert steps == (Step("reply", "Hello {first_name}"), Step("hand back", "show my subscriptions"))


def test_the_demo_desk_has_something_for_each_brand_and_leaves_what_is_there(store: Store) -> None:
    brands = ["joltsms", "smartercontact", "smrtphone", "a fourth one"]
    with store.write() as uow:
        amy = agent(uow, "amy")
        canned.save_reply(uow, brand="smrtphone", name="own", body="Ours.", agent_id=amy, now=START)
        for _ in range(2):
            demo_desk.furnish(uow, brands=brands, agent_id=amy, now=START)
        ready = {each: [reply.name for reply in canned.replies(uow, brands=[each])] for each in brands}
        assert ready["smrtphone"] == ["own"]
        assert "test-text" in ready["joltsms"]
        assert "runs-until" in ready["smartercontact"]
        assert "hello" in ready["a fourth one"]
        assert [each.name for each in canned.macros(uow, brands=["joltsms"])] == [
            "to-supervisor",
            "wait-for-customer",
            "wrap-up",
        ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no text yet"),
        ("dance: now", "Line 1 should begin with reply, note"),
        ("note: a\nreply", "Line 2 should begin with"),
        ("reply:", "Line 1 says nothing after “reply:”"),
        ("resolve: done\nreply: bye", "Line 2 comes after “resolve”, which ends the macro"),
        ("snooze: soon", "snooze takes minutes"),
        ("transfer: kings", "a team is agent, supervisor or admin"),
        ("reply: {frist_name}", "There is no placeholder {frist_name}"),
        ("\n".join(["note: x"] * 9), "one to 8 steps"),
    ],
)
def test_a_macro_that_makes_no_sense_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence.replace("{", r"\{")):
        parse_steps(text)


def test_placeholders_are_filled_from_what_the_conversation_has(demo_store: Store) -> None:
    with demo_store.read() as uow:
        amy, talk = agent(uow, "amy"), conversation(uow, customer(uow, "cara"))
        known = canned.values(uow, conversation_id=talk, agent_id=amy, pack=jolt())
        assert fill("Hi {first_name}, {agent} of {brand} here.", known) == "Hi Cara, Amy of JoltSMS here."
        with pytest.raises(InvalidInput, match=r"no value for \{refund\}.*Nothing was done"):
            fill("{first_name}: {refund}", known)
        assert fill("{code} {agent}", known, only_known=True) == "{code} Amy"
        stranger = canned.values(uow, conversation_id=conversation(uow), agent_id=amy, pack=jolt())
        with pytest.raises(InvalidInput, match=r"\{first_name\}"):
            fill("Hi {first_name}", stranger)


def test_a_value_that_looks_like_a_placeholder_is_left_as_it_is() -> None:
    assert fill("Hi {name}", {"name": "{refund}", "refund": None}) == "Hi {refund}"


def test_a_macro_of_another_brand_does_not_exist(sqlite_store: Store) -> None:
    with sqlite_store.write() as uow:
        amy = agent(uow, "amy")
        kept = canned.save_macro(uow, brand="joltsms", name="bye", text="resolve: done", agent_id=amy, now=START)
        with pytest.raises(NotFound):
            canned.macro(uow, brand="smrtphone", macro_id=kept.id)


def test_a_note_is_written_once_and_goes_when_its_customer_is_erased(demo_store: Store) -> None:
    with demo_store.write() as uow:
        amy, cara = agent(uow, "amy"), customer(uow, "cara")
        talk = conversation(uow, cara)
        for _ in range(2):
            notes.add(uow, conversation_id=talk, agent_id=amy, body="Called Cara back", key="n-1", now=START)
        assert [(note.agent, note.body) for note in notes.of_conversation(uow, talk)] == [("Amy", "Called Cara back")]
        with pytest.raises(InvalidInput, match="empty"):
            notes.add(uow, conversation_id=talk, agent_id=amy, body=" ", key="n-2", now=START)
        with pytest.raises(TooLarge):
            notes.add(uow, conversation_id=talk, agent_id=amy, body="x" * 5_001, key="n-3", now=START)
        account = uow.session.execute(
            select(t.Membership.account_id).where(t.Membership.customer_id == cara.customer_id)
        ).scalar_one()
        erasure.erase_account(uow, brand=jolt().brand, account_id=account, now=START)
        assert count(uow, t.Note) == 1
        assert notes.of_conversation(uow, talk)[0].body == erasure.ERASED
