"""What channels and the gateway exchange: one neutral shape for messages in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.errors import TooLarge

MAX_TEXT = 4_000  # characters; also what the widget counts down from
# A character that shows on a screen: no blank, control or direction mark, nothing of zero width. Means the same to
# Python and to JSON Schema.
VISIBLE = (
    r"[^\s\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
_SHOWS = re.compile(VISIBLE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """A text that every database, terminal and file can hold: no control characters but tabs and line ends, no halves
    of a surrogate pair; empty if nothing of it would show.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    kept = _CONTROLS.sub("", whole.replace("\r\n", "\n").replace("\r", "\n"))
    return kept.strip() if _SHOWS.search(kept) else ""


def too_long(text: str) -> TooLarge:
    """The error for a text over `MAX_TEXT`."""
    return TooLarge(
        f"This message is {len(text):,} characters long and the limit is {MAX_TEXT:,}. "
        "Please shorten it, or send the long part as a text file.",
        limit=MAX_TEXT,
    )


@dataclass(frozen=True)
class InboundMessage:
    """A customer's message as a channel hands it over: text, a pressed button, or files.

    `external_id` is the channel's own id of the message; the pair (channel, external_id) is taken in once.
    """

    conversation_id: str
    channel: str
    external_id: str
    text: str = ""
    button_id: str | None = None
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ButtonView:
    """A button as a customer sees it; what it means stays on the server."""

    id: str
    title: str


@dataclass(frozen=True)
class AttachmentView:
    """A file or receipt that goes with a message; `path` is relative to the channel's own addresses."""

    id: str
    name: str
    media_type: str
    size: int
    kind: str = "file"  # file | receipt


@dataclass(frozen=True)
class MessageView:
    """A stored message as channels show it."""

    id: str
    conversation_id: str
    seq: int
    author: str
    name: str
    text: str
    at: datetime
    buttons: tuple[ButtonView, ...] = ()
    attachments: tuple[AttachmentView, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """A message that was taken in, and what was said to it. `repeated`: it had been taken in before."""

    message: MessageView
    replies: tuple[MessageView, ...]
    repeated: bool = False


@dataclass(frozen=True)
class Reply:
    """Something to say, before it is stored and numbered. A button's payload is for the server only."""

    text: str
    buttons: tuple[Mapping[str, Any], ...] = ()  # {title, payload}
    attachments: tuple[Mapping[str, Any], ...] = field(default=())
