"""Gives the answers of a filled-in form to the dialogue, one to each question as it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from sqlalchemy import update

from bot.channels.channel import ChannelDeps
from bot.conversation import history
from bot.conversation.messages import MessageView
from bot.dialogue.asking import Asking, FlowState, flows_from_slots
from bot.store.tables import Delivery
from bot.store.unit_of_work import UnitOfWork


def open_question(uow: UnitOfWork, conversation_id: str) -> tuple[FlowState, Asking] | None:
    """What is asked in a conversation, and by which flow."""
    dialogue = history.conversation(uow, conversation_id).dialogue or {}
    flows = flows_from_slots(dialogue.get("slots", {}))
    return (flows[-1], flows[-1].asking) if flows and flows[-1].asking else None


async def fill_in(
    deps: ChannelDeps,
    conversation_id: str,
    steps: Collection[str],
    say: Callable[[str], Awaitable[Sequence[MessageView] | None]],
) -> None:
    """Answer the open question, and those that follow, as long as the form has an answer to them.

    `say` gives the answer to that step and returns what was said to it, None if it was refused. Questions that the form
    has answered before they were put are not shown; what is said to the last answer is. What is known meanwhile is not
    asked for, and an answer that nothing asks for would be taken for something else.
    """
    answered: set[str] = set()
    between: list[str] = []
    async with deps.locks.hold(f"deliver:{conversation_id}"):  # nothing is delivered meanwhile
        while True:
            asked = await deps.store.reading(lambda uow: open_question(uow, conversation_id))
            step = asked[1].step if asked else ""
            if step not in steps or step in answered:
                break
            answered.add(step)
            said = await say(step)
            if said is None:
                break
            if between:
                await deps.store.writing(lambda uow, ids=tuple(between): _need_no_delivery(uow, ids))  # type: ignore[misc]
            between = [reply.id for reply in said]
    await deps.bus.publish(conversation_id, "message")


def _need_no_delivery(uow: UnitOfWork, message_ids: tuple[str, ...]) -> None:
    """Questions that the form had answered before they were put."""
    uow.session.execute(
        update(Delivery)
        .where(Delivery.message_id.in_(message_ids), Delivery.status == "pending")
        .values(status="delivered")
        .execution_options(synchronize_session=False)
    )
