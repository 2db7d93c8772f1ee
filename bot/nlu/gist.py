"""What a message says itself and once: without pasted code and quoted lines, and without repetitions."""

from __future__ import annotations

import re

LONGEST = 60  # words of what may be repeated
TIMES = 3  # said so often it counts as once; twice may be emphasis, and costs little

_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"\S+")
_EDGE = re.compile(r"^\W+|\W+$")


def gist(text: str) -> str:
    """The words of a message that tell what its author wants; the message as it is if that leaves nothing."""
    own = _QUOTED_LINE.sub(" ", _FENCED.sub(" ", text))
    return _once(own if _LETTER.search(own) else text)


def _once(text: str) -> str:
    """The text with each run of words that is said three times or more on end said once."""
    spans = list(_WORD.finditer(text))
    words = [_EDGE.sub("", span[0]).lower() or span[0] for span in spans]
    parts: list[str] = []
    kept_to = start = 0
    while start + TIMES <= len(words):
        for length in range(1, min(LONGEST, (len(words) - start) // TIMES) + 1):
            end = _end_of_run(words, start, length)
            if end - start >= TIMES * length:
                parts.append(text[kept_to : spans[start + length - 1].end()])
                kept_to = spans[end - 1].end()
                start = end
                break
        else:
            start += 1
    return "".join([*parts, text[kept_to:]])


def _end_of_run(words: list[str], start: int, length: int) -> int:
    """Where words that repeat those `length` places before end, in whole repetitions."""
    end = start + length
    while end < len(words) and words[end] == words[end - length]:
        end += 1
    return end - (end - start) % length
