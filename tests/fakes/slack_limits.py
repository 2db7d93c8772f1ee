"""Slack's published limits: what a message may hold, and how often methods may be called."""

from __future__ import annotations

import re
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 40_000
_PINGS = re.compile(r"<(?:@[UW][A-Z0-9]+|!(?:here|channel|everyone|subteam\^)[^>]*)>")
_LINKS = re.compile(r"<(?:https?|mailto|tel):[^>]*>")
# Calls a minute and workspace, by tier: https://docs.slack.dev/apis/web-api/rate-limits
_TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
_TIER = {
    "conversations.open": 3,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.info": 3,
    "chat.update": 3,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "files.info": 4,
    "users.info": 4,
    "views.open": 4,
    "views.publish": 4,
    "views.update": 4,
    "assistant.threads.setStatus": 4,
}
_BURST = 3  # "short bursts" over one message a second and channel are let through
_WORKSPACE = 300  # "several hundred" posted messages a minute


class RefusedError(Exception):
    """The API says no; `code` as Slack names it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Limits:
    """Counts calls; `seconds` to wait where one is too many."""

    strict: bool = False
    calls: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    refused: int = 0

    def wait(self, team: str, method: str, channel: str) -> int:
        """0, or how many seconds to wait."""
        if not self.strict:
            return 0
        now = time.monotonic()
        if method == "chat.postMessage":
            checks = [(f"{team}/{channel}", 1.0 * _BURST, _BURST + 1), (f"{team}", 60.0, _WORKSPACE)]
        elif method in _TIER:
            checks = [(f"{team}/{method}", 60.0, _TIERS[_TIER[method]])]
        else:
            return 0
        for key, window, most in checks:
            seen = self.calls[key]
            while seen and seen[0] <= now - window:
                seen.popleft()
            if len(seen) >= most:
                self.refused += 1
                return max(1, int(seen[0] + window - now + 0.999))
        for key, *_ in checks:
            self.calls[key].append(now)
        return 0


def pings(text: str) -> list[str]:
    """Who would be notified by a text."""
    return _PINGS.findall(text)


def links(text: str) -> list[str]:
    """Links of a text."""
    return _LINKS.findall(text)


def check_message(values: Mapping[str, Any]) -> None:
    """Raises RefusedError as Slack would."""
    text, blocks = values.get("text") or "", values.get("blocks") or []
    if not text and not blocks:
        raise RefusedError("no_text")
    if len(text) > MAX_TEXT:
        raise RefusedError("msg_too_long")
    check_blocks(blocks, most=50)


def check_view(view: Mapping[str, Any]) -> None:
    """Raises RefusedError as Slack would."""
    if view["type"] == "modal":
        _plain(view["title"], 24)
        for name in ("submit", "close"):
            if view.get(name):
                _plain(view[name], 24)
        _need(len(view.get("private_metadata", "")) <= 3000)
        has_input = any(block["type"] == "input" for block in view["blocks"])
        _need(not has_input or "submit" in view)
    check_blocks(view["blocks"], most=100)


def check_blocks(blocks: Sequence[Mapping[str, Any]], *, most: int) -> None:
    """Raises RefusedError as Slack would."""
    _need(len(blocks) <= most)
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    _need(len(ids) == len(set(ids)))
    for block in blocks:
        _need(len(block.get("block_id", "")) <= 255)
        _CHECKS[block["type"]](block) if block["type"] in _CHECKS else _need(False)


def _need(true: bool) -> None:
    if not true:
        raise RefusedError("invalid_blocks")


def _plain(text: Mapping[str, Any], most: int) -> None:
    _need(text["type"] == "plain_text" and 1 <= len(text["text"]) <= most)


def _text(text: Mapping[str, Any], most: int) -> None:
    _need(text["type"] in ("plain_text", "mrkdwn") and 1 <= len(text["text"]) <= most)


def _section(block: Mapping[str, Any]) -> None:
    _need("text" in block or "fields" in block)
    if "text" in block:
        _text(block["text"], 3000)
    _need(len(block.get("fields", [])) <= 10)
    for field_ in block.get("fields", []):
        _text(field_, 2000)
    if "accessory" in block:
        _element(block["accessory"])


def _context(block: Mapping[str, Any]) -> None:
    _need(1 <= len(block["elements"]) <= 10)
    for element in block["elements"]:
        _text(element, 3000)


def _actions(block: Mapping[str, Any]) -> None:
    _need(1 <= len(block["elements"]) <= 25)
    ids = [element["action_id"] for element in block["elements"]]
    _need(len(ids) == len(set(ids)))
    for element in block["elements"]:
        _element(element)


def _element(element: Mapping[str, Any]) -> None:
    _need(len(element["action_id"]) <= 255)
    kind = element["type"]
    if kind == "button":
        _plain(element["text"], 75)
        _need(len(element.get("value", "")) <= 2000)
        _need(element.get("style", "primary") in ("primary", "danger"))
    elif kind == "static_select":
        _plain(element["placeholder"], 150)
        _need(1 <= len(element["options"]) <= 100)
        for option in element["options"]:
            _plain(option["text"], 75)
            _need(1 <= len(option["value"]) <= 150)
    elif kind == "plain_text_input":
        _need(element.get("max_length", 3000) <= 3000)
    else:
        _need(kind == "datepicker" or (kind == "file_input" and 1 <= element.get("max_files", 10) <= 10))


def _input(block: Mapping[str, Any]) -> None:
    _plain(block["label"], 2000)
    if block.get("hint"):
        _plain(block["hint"], 2000)
    _need(block["element"]["type"] in ("plain_text_input", "static_select", "file_input", "datepicker"))
    _element(block["element"])


def _rich_text(block: Mapping[str, Any]) -> None:
    _need(len(block["elements"]) >= 1)
    size = 0
    for section in block["elements"]:
        _need(section["type"] in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"))
        for element in section["elements"]:
            _need(element["type"] in ("text", "link", "emoji"))
            _need(bool(element.get("text") or element.get("url") or element.get("name")))
            size += len(element.get("text", "")) + len(element.get("url", ""))
    _need(size <= 3000)


def _header(block: Mapping[str, Any]) -> None:
    _plain(block["text"], 150)


_CHECKS = {
    "section": _section,
    "context": _context,
    "actions": _actions,
    "input": _input,
    "rich_text": _rich_text,
    "header": _header,
    "divider": lambda block: None,
}
