"""Splits a long text for platforms with a limit on a message: at sentence ends, with code blocks kept whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

FENCE = "```"
_FENCED = re.compile(r"^```([^\n`]*)\n(.*?)\n?```[ \t]*$", re.DOTALL | re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n{2,}")
_SENTENCES = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*[ \t]+|\n")
_WORDS = re.compile(r"[ \t]+")
_JOINS = ("\u200d", "\ufe0f", "\ufe0e")


def blocks(text: str) -> Iterator[tuple[bool, str, str]]:
    """A text as prose and fenced code: whether it is code, its language, and the prose or what is in the fence."""
    end = 0
    for fenced in _FENCED.finditer(text):
        if prose := text[end : fenced.start()].strip("\n"):
            yield False, "", prose
        yield True, fenced[1].strip(), fenced[2].replace(FENCE, "ˋˋˋ")
        end = fenced.end()
    if prose := text[end:].strip("\n"):
        yield False, "", prose


def split(
    text: str, limit: int, render: Callable[[str], str] = lambda prose: prose, *, fenced: bool = True
) -> list[str]:
    """The text in parts of at most `limit` characters once prose went through `render`; at least one part.

    `fenced`: what stands between fences is code; otherwise all is prose.

    Prose is broken between paragraphs, else after sentences, else between words, else anywhere but within a character
    that is made of several. A code block stays whole if it fits into a part at all, else it is broken between lines.
    """
    parts: list[str] = []

    def add(piece: str, glue: str) -> None:
        if parts and len(parts[-1]) + len(glue) + len(piece) <= limit:
            parts[-1] += glue + piece
        else:
            parts.append(piece)

    for is_code, language, content in blocks(text) if fenced else [(False, "", text)]:
        if is_code:
            for piece in _code(content, language, limit):
                add(piece, "\n")
        else:
            for glue, piece in _prose(content, limit, render):
                add(piece, glue if parts else "")
    return parts or [""]


def _code(content: str, language: str, limit: int) -> Iterator[str]:
    opening, closing = f"{FENCE}{language}\n", f"\n{FENCE}"
    room = limit - len(opening) - len(closing)
    kept: list[str] = []
    for line in content.split("\n"):
        for piece in _cut(line, room, lambda text: text):
            if kept and len("\n".join([*kept, piece])) > room:
                yield opening + "\n".join(kept) + closing
                kept = []
            kept.append(piece)
    yield opening + "\n".join(kept) + closing


def _prose(content: str, limit: int, render: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Rendered pieces that fit, each with what stands between it and the piece before."""
    for number, paragraph in enumerate(_PARAGRAPHS.split(content)):
        glue = "\n\n" if number else "\n"
        if len(render(paragraph)) <= limit:
            yield glue, render(paragraph)
            continue
        for between, sentence in _with_gaps(_SENTENCES, paragraph):
            if len(render(sentence)) <= limit:
                yield between or glue, render(sentence)
            else:
                for gap, word in _with_gaps(_WORDS, sentence):
                    for index, piece in enumerate(_cut(word, limit, render)):
                        yield "" if index else (gap or between or glue), render(piece)
            glue = " "


def _with_gaps(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """What a pattern separates, each with the gap before it; the closing quotes of a sentence stay with it."""
    start, gap = 0, ""
    for found in pattern.finditer(text):
        closing = found[0].rstrip(" \t\n") if found[0] != "\n" else ""
        piece = text[start : found.start()] + closing
        if piece:
            yield gap, piece
        gap, start = found[0][len(closing) :][:1], found.end()
    if text[start:]:
        yield gap, text[start:]


def _cut(word: str, limit: int, render: Callable[[str], str]) -> Iterator[str]:
    """A word in pieces that fit; most fit at once."""
    while len(render(word)) > limit:
        end = limit
        while len(render(word[:end])) > limit:
            end -= max(1, (len(render(word[:end])) - limit) // 2)
        whole = end
        while whole > 1 and not _may_break(word, whole):
            whole -= 1
        end = whole if whole > 1 else end
        yield word[:end]
        word = word[end:]
    yield word


def _may_break(word: str, at: int) -> bool:
    after, before = word[at], word[at - 1]
    joined = after in _JOINS or before == _JOINS[0] or unicodedata.combining(after)
    return not joined and not "\U0001f3fb" <= after <= "\U0001f3ff"
