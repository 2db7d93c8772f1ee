"""Files of conversations on their way to Slack, and what of ours is in a room or thread already."""

from __future__ import annotations

from typing import Any

from bot.channels.slack.api import call
from bot.channels.slack.kit import Kit
from bot.channels.slack.tokens import Installation
from bot.conversation import history
from bot.conversation.messages import AttachmentView
from bot.services.attachments import read_attachment
from bot.services.receipts import receipt_view
from bot.store.unit_of_work import UnitOfWork

EVENT_TYPE = "supportbot_message"
_LOOK_BACK = 30  # messages of a room
_PAGE = 200  # messages of a thread, which Slack tells from its beginning on
_MOST_PAGES = 10


def marked(identifier: str) -> dict[str, Any]:
    """By what `arrived` knows a message of ours again."""
    return {"event_type": EVENT_TYPE, "event_payload": {"id": identifier}}


async def upload(
    kit: Kit, installation: Installation, room: str, thread: str, conversation_id: str, attachment: AttachmentView
) -> None:
    """Send a file of a conversation to a room or thread. Raises what `call` does, and what the client raises."""
    name, content = await kit.deps.store.reading(lambda uow: _content(uow, conversation_id, attachment))
    client = kit.api.client(installation.token)
    more: dict[str, Any] = {"thread_ts": thread} if thread else {}
    await call(
        lambda: client.files_upload_v2(channel=room, filename=name, title=attachment.name, content=content, **more)
    )


async def arrived(kit: Kit, installation: Installation, room: str, thread: str) -> dict[str, str]:
    """Ids of our latest messages that are there, with where; and names of files that came after the last of them."""
    client = kit.api.client(installation.token)
    if thread:
        messages = await _thread(client, room, thread)
    else:
        limits = {"limit": _LOOK_BACK, "include_all_metadata": True}
        messages = (await call(lambda: client.conversations_history(channel=room, **limits)))["messages"][::-1]
    found: dict[str, str] = {}
    files: dict[str, str] = {}
    for message in messages:
        if message.get("user") != installation.bot_user:
            continue
        payload = (message.get("metadata") or {}).get("event_payload") or {}
        files |= {file.get("title", ""): message["ts"] for file in message.get("files") or ()}
        if "id" in payload:
            found[payload["id"]] = f"{room}/{message['ts']}"
            files = {}  # they were that message's
    return found | files


async def _thread(client: Any, room: str, thread: str) -> list[Any]:
    messages: list[Any] = []
    cursor = ""
    for _ in range(_MOST_PAGES):
        more = {"cursor": cursor} if cursor else {}
        page = await call(
            lambda more=more: client.conversations_replies(
                channel=room, ts=thread, limit=_PAGE, include_all_metadata=True, **more
            )
        )
        messages += page["messages"]
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            break
    return messages


def _content(uow: UnitOfWork, conversation_id: str, attachment: AttachmentView) -> tuple[str, bytes]:
    """A file's name and content; a receipt as text, which Slack shows as it is."""
    if attachment.kind != "receipt":
        view, content = read_attachment(uow, attachment.id, conversation_id=conversation_id)
        return view.name, content
    customer_id = history.conversation(uow, conversation_id).customer_id or ""
    receipt = receipt_view(uow, attachment.id, customer_id=customer_id)
    return f"{receipt.reference}.txt", receipt.plain.encode()
