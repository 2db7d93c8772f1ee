"""Our texts in Discord's: shown as they are, with no mention, link or formatting that somebody has put into them."""

from __future__ import annotations

import re

from bot.channels import splitting

MAX_MESSAGE = 2_000
MAX_BUTTON, MAX_OPTION = 80, 100
_ADDRESS = re.compile(r"https?://[^\s<>\"`\\|*\[\]()]+[^\s<>\"`\\|*\[\]().,;:!?'_~]")
_FORMATTING = re.compile(r"([\\*_~`|<\[\]])")
_AT_LINE_START = re.compile(r"(?m)^(\s*)(>|#{1,3} |-# |[-+] |\d+(?=[.)] ))")
_MENTION = re.compile(r"@(?=everyone|here|[&!]?\d)")
_EMOJI = re.compile(r"<a?:(\w{2,32}):\d+>")
_NOTHING = "\u200b"


def escape(text: str) -> str:
    """Prose that Discord shows letter by letter. Web addresses stay as they are, so that they can be opened."""
    shown, end = [], 0
    for address in _ADDRESS.finditer(text):
        shown += [_plain(text[end : address.start()], starts_line=end == 0), address[0]]
        end = address.end()
    shown.append(_plain(text[end:], starts_line=end == 0))
    return "".join(shown)


def _plain(text: str, *, starts_line: bool) -> str:
    text = _MENTION.sub(f"@{_NOTHING}", _FORMATTING.sub(r"\\\1", text))
    head, newline, rest = text.partition("\n")
    if starts_line:
        return _AT_LINE_START.sub(_not_special, text)
    return head + newline + _AT_LINE_START.sub(_not_special, rest)


def _not_special(found: re.Match[str]) -> str:
    mark = found[2]
    return f"{found[1]}{mark}{_NOTHING}" if mark.isdigit() else f"{found[1]}\\{mark}"


def messages(text: str, *, limit: int = MAX_MESSAGE) -> list[str]:
    """A text as the contents of one or several messages of Discord."""
    return splitting.split(text, limit, escape)


def shortened(title: str, limit: int) -> str:
    """A title that fits on a button or into a list."""
    return title if len(title) <= limit else title[: limit - 1].rstrip() + "…"


def read(content: str, *, bot_id: int) -> str:
    """What somebody wrote: without the mention of the bot, and with the names of emoji that a server made itself."""
    return _EMOJI.sub(r":\1:", re.sub(rf"<@!?{bot_id}>", "", content)).strip()
