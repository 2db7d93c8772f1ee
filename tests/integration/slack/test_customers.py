"""What a customer does in Slack, and what comes of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from bot.channels.slack import words
from bot.conversation.engine import DialogueState, EngineResult, EngineTurn
from bot.conversation.messages import Reply
from bot.dialogue.asking import Asking, Expect, FlowState
from bot.services.attachments import store_attachment
from bot.services.receipts import ReceiptContent, make_receipt
from bot.store.tables import Attachment, ChannelEvent, Conversation, Delivery, Identity, Message, MessageChange
from tests.fakes.brands import customer_id_of
from tests.fakes.engine import said
from tests.fakes.slack_server import Trouble, anybody_pinged, choices, shown
from tests.integration.slack.conftest import Town

NASTY = "<!channel> <@U0BEN> @everyone <https://evil.example|your bank> & *b* ```x``` https://evil.example"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def rows(town: Town, table: type[Any], **by: Any) -> list[Any]:
    """Rows of a table, oldest first."""
    with town.app.store.read() as uow:
        return list(uow.session.query(table).filter_by(**by).order_by(table.id).all())


def offering(*titles: str, text: str = "Choose") -> Any:
    """A script that answers everything with these buttons."""

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        buttons = tuple({"title": title, "payload": {"intent": "affirm"}} for title in titles)
        return said(f"{text} {turn.text}", buttons=buttons)

    return script


def asking(expect: Expect, step: str) -> Any:
    """A script that asks, with a flow under way."""

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        flow = FlowState(name="cancel", id="f", asking=Asking(step=step, expects=(expect,)))
        result = said(f"Asking after {turn.text}")
        result.state.data["slots"]["flows"] = [flow.to_json()]  # type: ignore[index]
        return result

    return script


# --- direct messages


async def test_a_direct_message_is_answered_after_a_greeting(town: Town) -> None:
    told = await town.ava.says("hello <you> & ava@jolt.example, see https://jolt.example")
    assert told.acknowledged_after is not None
    texts = await town.heard(town.ava, 2)
    assert "JoltSMS" in texts[0]
    assert texts[1] == "You said: hello <you> & ava@jolt.example, see https://jolt.example"


async def test_a_thread_with_the_assistant_stays_one_and_shows_who_writes(socket_town: Town) -> None:
    town = socket_town
    await town.ava.says("hello", thread="1700000000.000001")
    await town.heard(town.ava, 2)
    await town.server.until(lambda: town.server.statuses)
    assert town.server.statuses[0]["thread_ts"] == "1700000000.000001"
    (conversation,) = rows(town, Conversation, channel="slack")
    await town.app.gateway.say(conversation.id, [Reply("News for you.")], author="system", name="JoltSMS")
    assert (await town.heard(town.ava, 3))[2] == "News for you."
    assert {message["thread_ts"] for message in town.ava.heard()} == {"1700000000.000001"}


async def test_it_is_acknowledged_at_once_however_long_the_answer_takes(town: Town) -> None:
    release = asyncio.Event()

    async def slow(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        await release.wait()
        return said("at last")

    town.engine.script = slow
    told = await town.ava.says("hello")
    assert told.acknowledged_after is not None
    assert len(town.ava.heard()) < 2
    release.set()
    assert (await town.heard(town.ava, 2))[1] == "at last"


async def test_redelivery_also_under_a_new_event_id_is_answered_once(town: Town) -> None:
    body = town.ava.message("hello")
    await town.server.tell("event", body)
    await town.heard(town.ava, 2)
    await town.server.tell("event", body, retry=1)
    await town.server.tell("event", {**body, "event_id": "Ev0NEW"}, retry=2)
    await town.ava.says("and now")
    await town.heard(town.ava, 3)
    assert [row.text for row in rows(town, Message, author="customer")] == ["hello", "and now"]


async def test_what_somebody_sends_quickly_is_answered_in_order(town: Town) -> None:
    bodies = [town.ava.message(f"message {number}") for number in range(6)]
    if town.server.mode == "socket":
        await asyncio.gather(*(town.server.tell("event", body) for body in bodies))
    else:
        for body in bodies:
            await town.server.tell("event", body)
    texts = await town.heard(town.ava, 7)
    assert texts[1:] == [f"You said: message {number}" for number in range(6)]


async def test_nothing_that_a_customer_types_pings_links_or_breaks_out(socket_town: Town) -> None:
    town = socket_town
    town.engine.script = offering(NASTY[:60], text="You said:")
    await town.ava.says(NASTY)
    texts = await town.heard(town.ava, 2)
    assert texts[1] == f"You said: {NASTY}"
    await town.ava.presses(NASTY[:20])
    await town.heard(town.ava, 3)
    assert anybody_pinged(town.server) == []
    posted = [values for method, values in town.server.calls if method == "chat.postMessage"]
    assert {values["parse"] for values in posted} == {"none"}


async def test_links_to_our_own_help_are_links(socket_town: Town) -> None:
    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said("See http://localhost:5005/help/joltsms/refunds#top, not http://localhost.evil.example/.")

    socket_town.engine.script = script
    await socket_town.ava.says("hello")
    await socket_town.heard(socket_town.ava, 2)
    elements = socket_town.ava.heard()[1]["blocks"][0]["elements"][0]["elements"]
    assert [e["url"] for e in elements if e["type"] == "link"] == ["http://localhost:5005/help/joltsms/refunds#top"]


async def test_a_long_answer_comes_in_blocks_that_end_where_sentences_do(socket_town: Town) -> None:
    sentence = "This is a sentence of some length, which goes on for a while. "

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        return said((sentence * 150).strip())

    socket_town.engine.script = script
    await socket_town.ava.says("hello")
    await socket_town.heard(socket_town.ava, 2)
    blocks = [shown({"blocks": [block]}) for block in socket_town.ava.heard()[1]["blocks"]]
    assert len(blocks) == 4
    assert all(len(block) <= 3000 and block.endswith("while.") for block in blocks)


async def test_edits_and_deletions_are_noted_and_not_answered(town: Town) -> None:
    body = town.ava.message("cancel my number")
    await town.server.tell("event", body)
    await town.heard(town.ava, 2)
    ts = body["event"]["ts"]
    await town.ava.edits(ts, "cancel my number", "keep my number")
    await town.ava.deletes(ts, "keep my number")
    await town.server.until(lambda: len(rows(town, MessageChange)) == 2)
    await town.server.until(lambda: not rows(town, ChannelEvent, done_at=None))
    assert sorted((r.kind, r.text) for r in rows(town, MessageChange)) == [
        ("deleted", ""),
        ("edited", "keep my number"),
    ]
    assert len(town.ava.heard()) == 2


async def test_what_was_handled_is_not_kept_twice(socket_town: Town) -> None:
    await socket_town.ava.says("hello")
    await socket_town.heard(socket_town.ava, 2)
    await socket_town.server.until(lambda: not rows(socket_town, ChannelEvent, done_at=None))
    assert [row.payload for row in rows(socket_town, ChannelEvent)] == [None]


# --- buttons


async def test_a_choice_is_taken_once_and_replaces_the_buttons(town: Town) -> None:
    town.engine.script = offering("Yes, please", "No")
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    message, action = town.ava.choice("Yes")
    body = town.ava.action(message, action)
    await asyncio.gather(*(town.server.tell("interaction", body) for _ in range(2)))
    await town.heard(town.ava, 3)
    await town.server.until(lambda: town.ava.heard()[1].get("updated"))
    assert [row.text for row in rows(town, Message, author="customer")] == ["hello", "Yes, please"]
    assert "You chose: Yes, please" in town.ava.texts()[1]
    assert choices(town.ava.heard()[1]) == []


async def test_many_choices_are_a_list(socket_town: Town) -> None:
    socket_town.engine.script = offering(*(f"Number {n}" for n in range(8)))
    await socket_town.ava.says("hello")
    await socket_town.heard(socket_town.ava, 2)
    kinds = {choice["action"]["type"] for choice in choices(socket_town.ava.heard()[1])}
    assert kinds == {"static_select"}
    await socket_town.ava.presses("Number 6")
    await socket_town.heard(socket_town.ava, 3)
    assert rows(socket_town, Message, author="customer")[-1].text == "Number 6"


async def test_nobody_presses_somebody_elses_button(socket_town: Town) -> None:
    town = socket_town
    town.engine.script = offering("Yes, cancel")
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    message, action = town.ava.choice("Yes")
    ben = town.server.person("U0BEN")
    await ben.acts(message, action)
    assert (await town.heard(ben, 1)) == [words.NOT_YOURS]
    assert [row.text for row in rows(town, Message, author="customer")] == ["hello"]


@pytest.mark.parametrize("value", ["", "cnv_nobody|b1.0", "|", "x" * 500])
async def test_a_forged_button_does_nothing(socket_town: Town, value: str) -> None:
    town = socket_town
    town.engine.script = offering("Yes, cancel")
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    message, action = town.ava.choice("Yes")
    await town.ava.acts(message, {**action, "value": value})
    assert (await town.heard(town.ava, 3))[2] == words.NOT_YOURS


# --- where others read along


async def test_a_mention_is_answered_in_a_thread(town: Town) -> None:
    general = town.server.room("T0EXAMPLE", "C0GENERAL0EXAMPLE")
    await town.ava.mentions("what is your refund policy?")
    await town.server.until(lambda: len(general.messages) == 2)
    question, answer = general.messages
    assert answer["thread_ts"] == question["ts"]
    assert shown(answer) == "You said: what is your refund policy?"
    assert town.ava.heard() == []


async def test_a_matter_of_an_account_moves_to_direct_messages(town: Town) -> None:
    general = town.server.room("T0EXAMPLE", "C0GENERAL0EXAMPLE")
    town.engine.script = asking(Expect.EMAIL, "email")
    await town.ava.mentions("cancel my number")
    assert (await town.heard(town.ava, 1)) == ["Asking after cancel my number"]
    await town.server.until(lambda: len(general.messages) == 2)
    assert general.messages[1]["text"] == words.ANSWERED_DIRECTLY


async def test_what_a_known_customer_is_told_is_never_public(socket_town: Town) -> None:
    town = socket_town
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    _link(town, "ava@jolt.example")
    await town.ava.mentions("when does my number renew?")
    assert (await town.heard(town.ava, 3))[2] == "You said: when does my number renew?"
    general = town.server.room("T0EXAMPLE", "C0GENERAL0EXAMPLE")
    await town.server.until(lambda: len(general.messages) == 2)
    assert general.messages[1]["text"] == words.ANSWERED_DIRECTLY


def _link(town: Town, email: str) -> None:
    identity, now = town.app.identity, town.clock.now()
    with town.app.store.write() as uow:
        customer = identity.verify_token(uow, "joltsms", identity.issue_demo_token("joltsms", email, now=now), now=now)
        (conversation,) = uow.session.query(Conversation).filter_by(channel="slack").all()
        identity.bind(uow, conversation.id, customer, now=now)
        identity.link(uow, channel="slack", channel_user="T0EXAMPLE/U0AVA", customer=customer, now=now)
        uow.commit()


# --- /support, home, forms


async def test_support_is_answered_directly(town: Town) -> None:
    told = await town.ava.commands("I was charged twice")
    assert words.TAKEN_DIRECTLY in str(told.response)
    assert (await town.heard(town.ava, 2))[1] == "You said: I was charged twice"
    assert "unlink" in str((await town.ava.commands("")).response)


async def test_unlink_forgets_and_the_next_conversation_may_be_somebody_elses(socket_town: Town) -> None:
    town = socket_town
    assert (await town.ava.commands("unlink")).response == {"text": words.NOT_LINKED}
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    _link(town, "ava@jolt.example")
    assert (await town.ava.commands("unlink")).response == {"text": words.UNLINKED}
    assert rows(town, Identity) == []
    await town.ava.says("hello again")
    await town.heard(town.ava, 4)
    assert [row.customer_id is None for row in rows(town, Conversation, channel="slack")] == [False, True]


async def test_home_shows_what_is_theirs_to_whoever_proved_it(socket_town: Town) -> None:
    town = socket_town
    assert "which account is yours" in shown(await town.ava.opens_home())
    _link(town, "ava@jolt.example")
    view = shown(await town.ava.opens_home())
    assert "+1 415-555-0101" in view
    assert "Your open cases" in view
    await town.ava.presses_in_home("Talk to a person")
    await town.server.until(lambda: [m for m in town.ava.texts() if m == "You said: Talk to a person"])


async def test_the_code_may_be_given_in_a_form(town: Town) -> None:
    town.engine.script = asking(Expect.CODE, "code")
    await town.ava.says("cancel")
    await town.heard(town.ava, 2)
    view = await town.ava.opened(lambda: town.ava.presses(words.CODE_FORM))
    await town.ava.submits(view, code="123456")
    await town.ava.submits(view, code="123456")
    await town.heard(town.ava, 3)
    assert [row.text for row in rows(town, Message, author="customer")] == ["cancel", "123456"]
    assert all(row.payload is None for row in rows(town, ChannelEvent))


async def test_a_form_of_a_question_that_is_over_does_not_open(socket_town: Town) -> None:
    town = socket_town
    town.engine.script = asking(Expect.CODE, "code")
    await town.ava.says("cancel")
    await town.heard(town.ava, 2)
    old = town.ava.choice(words.CODE_FORM)
    town.engine.script = offering("Yes")
    await town.ava.says("never mind")
    await town.heard(town.ava, 3)
    await town.ava.acts(*old)
    assert (await town.heard(town.ava, 4))[3] == words.OVER
    assert town.server.views == {}


# --- files


async def test_files_are_taken_as_the_pack_allows(town: Town) -> None:
    files = [
        {"name": "screen.png", "content": PNG, "mimetype": "image/png"},
        {"name": "run.exe", "content": b"MZ\x90\0" * 9, "mimetype": "application/x-msdownload"},
        {"name": "huge.png", "content": PNG, "size": 10**9, "mimetype": "image/png"},
    ]
    await town.ava.says("look", files=files)
    await town.server.until(lambda: len(town.ava.heard()) >= 4)
    texts = "\n".join(town.ava.texts())
    assert "run.exe: We cannot take this kind of file" in texts
    assert "huge.png: the file is too large" in texts
    assert [(row.name, bytes(row.content)) for row in rows(town, Attachment)] == [("screen.png", PNG)]
    assert [row.text for row in rows(town, Message, author="customer")] == ["look"]


async def test_our_token_goes_to_slack_only(socket_town: Town) -> None:
    town = socket_town
    body = town.ava.message("look", files=[{"name": "a.png", "content": PNG, "mimetype": "image/png"}])
    body["event"]["files"][0]["url_private_download"] = "https://evil.example/a.png"
    await town.server.tell("event", body)
    await town.server.until(lambda: any("could not get the file" in text for text in town.ava.texts()))
    assert rows(town, Attachment) == []


async def test_a_receipt_comes_as_a_file_before_its_message(socket_town: Town) -> None:
    town = socket_town
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    _link(town, "ava@jolt.example")
    with town.app.store.write() as uow:
        receipt = make_receipt(
            uow, kind="refund", brand=town.app.packs["joltsms"].brand,
            customer_id=customer_id_of(uow, "ava@jolt.example"), conversation_id=None, idempotency_key="r",
            now=town.clock.now(),
            content=ReceiptContent(
                title="Refund", what="a charge", done_at=town.clock.now(), reference="RFD-1", rule_ids=("X-1",),
                policy_version="1",
            ),
        )  # fmt: skip
        uow.commit()

    async def script(turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        from bot.conversation.engine import EngineReply

        attachment = {
            "id": receipt.id, "name": f"Receipt {receipt.reference}.html", "media_type": "text/html", "size": 1,
            "kind": "receipt",
        }  # fmt: skip
        result = said("Done")
        reply = EngineReply(text="Done", custom={"attachments": [attachment]})
        return EngineResult((reply,), result.state, (), "inform", 1.0)

    town.engine.script = script
    await town.ava.says("refund me")
    await town.server.until(lambda: town.ava.texts()[-1:] == ["Done"])
    shared = town.ava.heard()[2]["files"][0]
    assert shared["title"] == f"Receipt {receipt.reference}.html"
    assert receipt.plain.encode() == town.server.files[shared["id"]]["content"]


# --- when things fail


async def test_being_told_to_wait_is_obeyed_in_order(town: Town) -> None:
    town.server.troubles["chat.postMessage"].append(Trouble(429, retry_after=1, times=1))
    began = time.monotonic()
    await town.ava.says("one")
    await town.ava.says("two")
    texts = await town.heard(town.ava, 3)
    assert time.monotonic() - began >= 1
    assert texts[1:] == ["You said: one", "You said: two"]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(500, times=2),
        Trouble(503, times=1, acts=True),
        Trouble(500, times=1, drop=True),
        Trouble(500, times=1, acts=True, drop=True),
    ],
    ids=["not done", "done but not said", "cut off", "done, then cut off"],
)
async def test_a_failing_platform_gets_each_message_once(socket_town: Town, trouble: Trouble) -> None:
    town = socket_town
    town.server.troubles["chat.postMessage"].append(trouble)
    await town.ava.says("one")
    await town.ava.says("two")
    await town.server.until(
        lambda: all(row.status == "delivered" for row in rows(town, Delivery)) and rows(town, Delivery)
    )
    texts = await town.heard(town.ava, 3)
    assert texts[1:] == ["You said: one", "You said: two"]


async def test_a_customer_who_cannot_be_reached_holds_up_nobody(socket_town: Town) -> None:
    town = socket_town
    ben = town.server.person("U0BEN")
    body = ben.message("hello")
    body["event"]["channel"] = "D0NOWHERE"
    await town.server.tell("event", body)
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    await town.server.until(lambda: [row for row in rows(town, Delivery) if row.error == "channel_not_found"])


@pytest.mark.parametrize("refused", [True, False])
async def test_a_file_comes_with_its_words_and_without_it_they_come_all_the_same(
    socket_town: Town, refused: bool
) -> None:
    town = socket_town
    await town.ava.says("hello")
    await town.heard(town.ava, 2)
    (conversation,) = rows(town, Conversation, channel="slack")
    with town.app.store.write() as uow:
        kept = store_attachment(
            uow, conversation_id=conversation.id, filename="steps.txt", content=b"1. restart",
            now=town.clock.now(), max_bytes=2**20, kinds=("text/plain",),
        )  # fmt: skip
        uow.commit()
    if refused:
        town.server.troubles["files.completeUploadExternal"].append(Trouble(200, error="storage_limit_reached"))
    file = {"id": kept.id, "name": kept.name, "media_type": kept.media_type, "size": kept.size}
    await town.app.gateway.say(conversation.id, [Reply("Try this.", attachments=(file,))], author="agent", name="Zoe")
    await town.server.until(lambda: "Try this." in town.ava.texts()[-1])
    sent = [each["name"] for message in town.ava.heard() for each in message.get("files", ())]
    assert sent == ([] if refused else ["steps.txt"])
    assert ("did not take the file steps.txt" in town.ava.texts()[-1]) == refused
    await town.server.until(lambda: {row.status for row in rows(town, Delivery)} == {"delivered"})
