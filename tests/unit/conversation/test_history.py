"""What is kept of a conversation: each message once, numbered without gaps, answered once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from bot.conversation import history
from bot.conversation.messages import MAX_TEXT, InboundMessage, MessageView, Reply
from bot.errors import Conflict, InvalidInput, NotFound, SupportBotError, TooLarge, TooMany
from bot.ids import new_id
from bot.services.attachments import store_attachment
from bot.services.handoff import change_owner
from bot.store.tables import Agent, Attachment, Conversation, Decision, Delivery, Handoff, Message
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START

T = TypeVar("T")
YES = {"title": "Yes", "payload": {"intent": "affirm"}}
RIGHT_TO_LEFT = "\u200fأريد إلغاء رقمي ‎+1 415 555 0107"


def write(store: Store, work: Callable[[UnitOfWork], T]) -> T:
    with store.write() as uow:
        result = work(uow)
        uow.commit()
        return result


def a_conversation(store: Store, *, external_id: str = "thread-1", buttons: tuple[Any, ...] = ()) -> str:
    greeting = [Reply("Hello.", buttons=buttons)]
    return write(
        store,
        lambda uow: history.open_conversation(
            uow,
            brand="joltsms",
            channel="widget",
            external_id=external_id,
            greeting=greeting,
            name="JoltSMS",
            now=START,
        ),
    ).id


def take_in(store: Store, conversation_id: str, text: str = "hi", **more: Any) -> tuple[MessageView, bool]:
    inbound = InboundMessage(conversation_id, "widget", more.pop("external_id", new_id("ext")), text, **more)
    return write(store, lambda uow: history.take_in(uow, inbound, now=START))


def numbers(store: Store, conversation_id: str) -> list[int]:
    with store.read() as uow:
        return [message.seq for message in history.messages_after(uow, conversation_id, 0, limit=10_000)]


def count(store: Store, table: Any) -> int:
    with store.read() as uow:
        return int(uow.session.execute(select(func.count()).select_from(table)).scalar_one())


def at_once(*works: Callable[[], T]) -> list[T]:
    """All of them in threads that start together."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


# --- taking in -------------------------------------------------------------------------------------------------------


def test_the_same_message_is_stored_once(store: Store) -> None:
    conversation_id = a_conversation(store)
    first, new = take_in(store, conversation_id, "cancel it", external_id="m-1")
    again, new_again = take_in(store, conversation_id, "something else", external_id="m-1")
    assert (new, new_again) == (True, False)
    assert again == first
    assert numbers(store, conversation_id) == [1, 2]


def test_the_same_message_from_many_threads_is_stored_once(store: Store) -> None:
    conversation_id = a_conversation(store)
    results = at_once(*[lambda: take_in(store, conversation_id, external_id="m-1")] * 6)
    assert sum(new for _, new in results) == 1
    assert len({view.id for view, _ in results}) == 1
    assert numbers(store, conversation_id) == [1, 2]


def test_a_thread_is_opened_once_and_greets_once(store: Store) -> None:
    ids = at_once(*[lambda: a_conversation(store, external_id="C1:123.45")] * 6)
    assert len(set(ids)) == 1
    assert count(store, Conversation) == 1
    assert numbers(store, ids[0]) == [1]


def test_messages_in_and_out_at_once_are_numbered_without_gaps(store: Store) -> None:
    conversation_id = a_conversation(store)

    def speak() -> None:
        for _ in range(5):
            write(
                store,
                lambda uow: history.say(
                    uow,
                    conversation_id,
                    [Reply("a"), Reply("b")],
                    author="agent",
                    name="A",
                    in_reply_to=None,
                    now=START,
                ),
            )

    def listen() -> None:
        for _ in range(5):
            take_in(store, conversation_id)

    at_once(speak, listen, listen, speak)
    assert numbers(store, conversation_id) == list(range(1, 32))


def test_an_id_used_in_another_conversation_is_refused(store: Store) -> None:
    one, other = a_conversation(store), a_conversation(store, external_id="thread-2")
    take_in(store, one, "my secret", external_id="m-1")
    with pytest.raises(Conflict):
        take_in(store, other, external_id="m-1")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  hello \n", "hello"),
        ("can\x00cel\x1b[31m", "cancel[31m"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        ("half \ud83d a smile", "half � a smile"),
        ("\ud83d\ude00", "😀"),
        ("🙏🏽👩‍👩‍👧", "🙏🏽👩‍👩‍👧"),
        (RIGHT_TO_LEFT, RIGHT_TO_LEFT),
        ("/cancel_subscription{}", "/cancel_subscription{}"),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        (" " * 50 + "x" * MAX_TEXT + "\x00", "x" * MAX_TEXT),
    ],
)
def test_a_text_is_kept_as_any_database_and_file_can_hold_it(store: Store, typed: str, kept: str) -> None:
    conversation_id = a_conversation(store)
    view, _ = take_in(store, conversation_id, typed)
    with store.read() as uow:
        assert history.messages_after(uow, conversation_id, 1)[0].text == view.text == kept


@pytest.mark.parametrize("empty", ["", " \n\t ", "\x00\x07", "\u200b\u200d\ufeff", "\u202e\u00a0", "\ufe0f"])
def test_a_message_that_shows_nothing_is_refused(store: Store, empty: str) -> None:
    conversation_id = a_conversation(store)
    with pytest.raises(InvalidInput, match=r"The message is empty\. Send a text, press a button or attach a file."):
        take_in(store, conversation_id, empty)
    assert numbers(store, conversation_id) == [1]


@pytest.mark.parametrize("length", [MAX_TEXT + 1, 10_000])
def test_an_overlong_message_is_told_by_how_much(store: Store, length: int) -> None:
    conversation_id = a_conversation(store)
    with pytest.raises(TooLarge, match=f"{length:,} characters long and the limit is 4,000"):
        take_in(store, conversation_id, "y" * length)
    assert numbers(store, conversation_id) == [1]


def test_an_unknown_conversation_takes_nothing(store: Store) -> None:
    with pytest.raises(NotFound):
        take_in(store, "cnv_nowhere")


def test_who_refuses_a_new_message_is_not_asked_about_a_repeated_one(store: Store) -> None:
    conversation_id = a_conversation(store)
    inbound = InboundMessage(conversation_id, "widget", "m-1", "hi")

    def refuse(uow: UnitOfWork) -> None:
        raise TooMany("Not so fast.", retry_after=1)

    with store.write() as uow, pytest.raises(TooMany):
        history.take_in(uow, inbound, now=START, admit=refuse)
    assert numbers(store, conversation_id) == [1]
    write(store, lambda uow: history.take_in(uow, inbound, now=START))
    assert write(store, lambda uow: history.take_in(uow, inbound, now=START, admit=refuse))[1] is False


# --- buttons and files -----------------------------------------------------------------------------------------------


def test_a_button_is_pressed_by_its_id_and_its_meaning_stays_here(store: Store) -> None:
    conversation_id = a_conversation(store, buttons=(YES,))
    with store.read() as uow:
        (greeting,) = history.messages_after(uow, conversation_id, 0)
    (button,) = greeting.buttons
    assert vars(button) == {"id": "b1.0", "title": "Yes"}
    view, _ = take_in(store, conversation_id, "", button_id=button.id)
    assert view.text == "Yes"
    with store.read() as uow:
        assert history.button_payload(uow, conversation_id, button.id) == {"intent": "affirm"}


@pytest.mark.parametrize("button_id", ["b1.1", "b2.0", "1.0", "b1", "b", "", "b1.0 ", "b١.0", "b-1.0", "b" + "9" * 30])
def test_what_is_no_button_here_is_not_found(store: Store, button_id: str) -> None:
    conversation_id = a_conversation(store, buttons=(YES,))
    with pytest.raises((NotFound, InvalidInput)):
        take_in(store, conversation_id, "", button_id=button_id)


def test_a_button_of_another_conversation_is_not_found(store: Store) -> None:
    a_conversation(store, buttons=(YES,))
    other = a_conversation(store, external_id="thread-2")
    with pytest.raises(NotFound, match="not part of this conversation"):
        take_in(store, other, "", button_id="b1.0")


def test_a_file_goes_with_the_first_message_that_names_it(store: Store) -> None:
    conversation_id = a_conversation(store)
    file = write(
        store,
        lambda uow: store_attachment(
            uow, conversation_id=conversation_id, filename="log.txt", content=b"no SMS", now=START
        ),
    )
    first, _ = take_in(store, conversation_id, "", attachment_ids=(file.id, file.id))
    second, _ = take_in(store, conversation_id, "here it is again", attachment_ids=(file.id,))
    assert [a.name for a in first.attachments] == [a.name for a in second.attachments] == ["log.txt"]
    with store.read() as uow:
        assert uow.get(Attachment, file.id).message_id == first.id


def test_a_file_of_another_conversation_is_not_found(store: Store) -> None:
    one, other = a_conversation(store), a_conversation(store, external_id="thread-2")
    file = write(
        store, lambda uow: store_attachment(uow, conversation_id=one, filename="a.txt", content=b"mine", now=START)
    )
    for attachment_id in (file.id, "att_nowhere"):
        with pytest.raises(NotFound, match="please upload it again"):
            take_in(store, other, "look", attachment_ids=(attachment_id,))
    assert numbers(store, other) == [1]


# --- owners ----------------------------------------------------------------------------------------------------------


def give_to(store: Store, conversation_id: str, owner: str) -> None:
    agent = Agent(id=new_id("agt"), email=f"{owner}@x.example", name="A", password_hash="-", role="agent", brands=[])
    agent.created_at = START

    def change(uow: UnitOfWork) -> None:
        uow.add(agent)
        change_owner(
            uow,
            conversation_id=conversation_id,
            to_owner=owner,
            reason="asked",
            actor="test",
            note="",
            key=f"{conversation_id}:{owner}",
            now=START,
            agent_id=agent.id if owner == "human" else None,
        )

    write(store, change)


@pytest.mark.parametrize("owner", ["queued", "human"])
def test_what_is_said_to_people_is_relayed_to_them(store: Store, owner: str) -> None:
    conversation_id = a_conversation(store)
    give_to(store, conversation_id, owner)
    view, _ = take_in(store, conversation_id)
    with store.read() as uow:
        assert uow.get(Message, view.id).status == "relayed"
        assert history.next_pending(uow, conversation_id) is None


def test_a_message_opens_a_closed_conversation_again(store: Store) -> None:
    conversation_id = a_conversation(store)
    give_to(store, conversation_id, "closed")
    take_in(store, conversation_id, external_id="e" * 200)
    with store.read() as uow:
        assert history.conversation(uow, conversation_id).owner == "bot"
        changes = uow.session.execute(select(Handoff.to_owner).order_by(Handoff.id)).scalars().all()
    assert sorted(changes) == ["bot", "closed"]


# --- answering -------------------------------------------------------------------------------------------------------


def keep(store: Store, conversation_id: str, message_id: str, text: str) -> bool:
    return write(
        store,
        lambda uow: (
            history.keep_answer(
                uow,
                conversation_id=conversation_id,
                message_id=message_id,
                replies=[Reply(text), Reply("Anything else?", buttons=(YES,))],
                name="JoltSMS",
                dialogue={"said": text},
                understanding={"intent": "greet"},
                now=START,
            )
            is not None
        ),
    )


def test_an_answer_is_kept_once_whoever_comes_first(store: Store) -> None:
    conversation_id = a_conversation(store)
    message, _ = take_in(store, conversation_id)
    kept = at_once(*[lambda: keep(store, conversation_id, message.id, "Hello")] * 5)
    assert sorted(kept) == [False] * 4 + [True]
    assert numbers(store, conversation_id) == [1, 2, 3, 4]
    assert not keep(store, conversation_id, message.id, "late")
    with store.read() as uow:
        assert history.conversation(uow, conversation_id).dialogue == {"said": "Hello"}
        exchange = history.exchange(uow, message.id, repeated=False)
    assert [reply.seq for reply in exchange.replies] == [3, 4]
    assert [button.id for button in exchange.replies[1].buttons] == ["b4.0"]


def test_waiting_messages_come_oldest_first_and_by_age(store: Store) -> None:
    one, other = a_conversation(store), a_conversation(store, external_id="thread-2")
    for place, (conversation_id, text) in enumerate([(other, "a"), (one, "b"), (one, "c")]):
        inbound = InboundMessage(conversation_id, "widget", text, text)
        moment = START + timedelta(seconds=place)
        write(store, lambda uow, inbound=inbound, moment=moment: history.take_in(uow, inbound, now=moment))
    with store.read() as uow:
        assert history.conversations_waiting(uow, since=START + timedelta(minutes=1)) == [other, one]
        assert history.conversations_waiting(uow, since=START) == [other]
        pending = history.next_pending(uow, one)
        assert pending is not None
        assert (pending.text, pending.attempts) == ("b", 0)


def test_an_unanswerable_message_is_told_from_an_answered_one(store: Store) -> None:
    conversation_id = a_conversation(store)
    first, _ = take_in(store, conversation_id)
    with store.read() as uow:
        assert not history.apologised_before(uow, conversation_id, first.seq)
        assert not history.apologised_before(uow, conversation_id, first.seq + 1)
    write(
        store,
        lambda uow: history.keep_answer(
            uow,
            conversation_id=conversation_id,
            message_id=first.id,
            replies=[Reply("Sorry")],
            name="",
            dialogue=None,
            understanding=None,
            now=START,
        ),
    )
    second, _ = take_in(store, conversation_id)
    with store.read() as uow:
        assert history.apologised_before(uow, conversation_id, second.seq)
    keep(store, conversation_id, second.id, "fine")
    with store.read() as uow:
        assert not history.apologised_before(uow, conversation_id, second.seq + 10)


def test_decisions_are_those_of_the_message_only(store: Store) -> None:
    conversation_id = a_conversation(store)

    def decide(uow: UnitOfWork) -> None:
        for place, key in enumerate(["msg_1:cancel", "msg_1:cancel:2", "msg_11:cancel", "msgx1:cancel", "msg_1"]):
            uow.add(
                Decision(
                    id=f"dec_{place}",
                    brand="joltsms",
                    conversation_id=conversation_id,
                    kind="cancel",
                    outcome="cancel",
                    rule_id=f"J-C{place}",
                    policy_version="1",
                    currency="USD",
                    request={},
                    facts={},
                    decision={},
                    created_at=START,
                    idempotency_key=key,
                )
            )

    write(store, decide)
    with store.read() as uow:
        assert sorted(history.decided(uow, conversation_id, "msg_1")) == ["J-C0:cancel", "J-C1:cancel"]


def test_delivery_is_recorded_up_to_what_was_fetched(store: Store) -> None:
    conversation_id = a_conversation(store)
    message, _ = take_in(store, conversation_id)
    keep(store, conversation_id, message.id, "Hello")
    with store.read() as uow:
        assert history.undelivered(uow, conversation_id, 1)
    assert write(store, lambda uow: history.mark_delivered(uow, conversation_id, 3, now=START)) == 2
    with store.read() as uow:
        assert not history.undelivered(uow, conversation_id, 3)
        assert history.undelivered(uow, conversation_id, 4)
        statuses = uow.session.execute(select(Delivery.status)).scalars().all()
    assert sorted(statuses) == ["delivered", "delivered", "pending"]


def test_pages_of_messages_follow_each_other(store: Store) -> None:
    conversation_id = a_conversation(store)
    for _ in range(5):
        take_in(store, conversation_id)
    with store.read() as uow:
        pages = [
            [message.seq for message in history.messages_after(uow, conversation_id, after, limit=4)]
            for after in (0, 4, 6)
        ]
    assert pages == [[1, 2, 3, 4], [5, 6], []]


def test_every_refusal_is_one_of_ours(store: Store) -> None:
    """Channels translate our errors; nothing else may come out for bad input."""
    conversation_id = a_conversation(store)
    for text, button_id in [("", None), ("z" * 10_000, None), ("", "b9.9")]:
        with pytest.raises(SupportBotError) as caught:
            take_in(store, conversation_id, text, button_id=button_id)
        assert str(caught.value).endswith(".")
