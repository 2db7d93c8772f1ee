"""Text for Slack and from Slack: nothing that anybody typed can ping, link or break out, and long text is split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bot.channels import splitting

BLOCK_ROOM = 3_000  # characters: https://docs.slack.dev/reference/block-kit/blocks/section-block
_MARKED = re.compile(r"<([^<>]*)>")
_ADDRESS = re.compile(r"https?://[^\s<>\"”]+[^\s<>\"”.,;:!?)\]]")


def escape(text: str) -> str:
    """Text for where Slack reads marks: its three control characters are written out, so that there are no marks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, *, bot: str = "") -> str:
    """What somebody typed, from how Slack sends it: marks as their words, the mention of our own bot left out."""

    def words(mark: re.Match[str]) -> str:
        inner, _, label = mark[1].partition("|")
        if inner.startswith("@"):
            return "" if inner[1:] == bot else f"@{label or inner[1:]}"
        if inner.startswith("#"):
            return f"#{label or inner[1:]}"
        if inner.startswith("!"):
            return label or f"@{inner[1:].partition('^')[0]}"
        return (label or inner).removeprefix("mailto:").removeprefix("tel:")

    unmarked = _MARKED.sub(words, text)
    return unmarked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def split(text: str, room: int = BLOCK_ROOM) -> list[str]:
    """Pieces of at most `room` characters, as `splitting.split` makes them; none of nothing, and what fits as it is."""
    text = text.strip()
    return splitting.split(text, room, fenced=False) if len(text) > room else [text] if text else []


def rich_text(text: str, trusted: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Blocks in which every character is itself; addresses that begin with one of `trusted` are links."""
    return [
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": list(_elements(piece, trusted))}],
        }
        for piece in split(text)
    ]


def _elements(text: str, trusted: Sequence[str]) -> Iterator[dict[str, Any]]:
    done = 0
    for match in _ADDRESS.finditer(text):
        if not match[0].startswith(tuple(trusted)) or not trusted:
            continue
        if match.start() > done:
            yield {"type": "text", "text": text[done : match.start()]}
        yield {"type": "link", "url": match[0]}
        done = match.end()
    if done < len(text):
        yield {"type": "text", "text": text[done:]}


def shortened(text: str, room: int) -> str:
    """As much of a title as there is room for."""
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def note(text: str) -> dict[str, Any]:
    """A line in small letters, in which every character is itself."""
    return {"type": "context", "elements": [{"type": "plain_text", "text": shortened(text, BLOCK_ROOM)}]}
