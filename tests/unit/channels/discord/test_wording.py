"""Nothing that somebody wrote can mention, link or format on Discord; long texts come in parts that read well."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.discord.wording import MAX_MESSAGE, escape, messages, read, shortened
from bot.channels.splitting import split
from tests.fakes.discord_rules import pings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, nothing in it", "plain text, nothing in it"),
        ("**bold** and _it_ and `code`", r"\*\*bold\*\* and \_it\_ and \`code\`"),
        ("[click me](https://evil.example)", r"\[click me\](https://evil.example)"),
        ("@everyone and @here", "@\u200beveryone and @\u200bhere"),
        ("<@123> <@&45> <#6> <t:1:R> </cmd:7>", r"\<@" "\u200b" r"123> \<@" "\u200b" r"&45> \<#6> \<t:1:R> \</cmd:7>"),
        ("# head\n> quote\n- item\n1. one", "\\# head\n\\> quote\n\\- item\n1\u200b. one"),
        ("||secret||", r"\|\|secret\|\|"),
        ("see http://localhost:5005/help/a_b/c_d#e_f.", "see http://localhost:5005/help/a_b/c_d#e_f."),
        ("https://a.example/x_y**bold**", r"https://a.example/x_y\*\*bold\*\*"),
    ],
)
def test_formatting_is_shown_and_not_done(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(alphabet="@everyonhr<>&!#*_`|[]() 0123456789\n-", max_size=60))
def test_no_text_can_mention_anybody(text: str) -> None:
    for part in messages(text):
        assert pings({"content": part}) == set()


def test_long_texts_break_after_sentences() -> None:
    text = " ".join(f"This is sentence number {n}, and it says a little." for n in range(100))
    parts = messages(text)
    assert len(parts) == 3
    assert all(len(part) <= MAX_MESSAGE and part.endswith("a little.") for part in parts)
    assert " ".join(parts) == text


def test_code_blocks_are_kept_whole_and_unescaped() -> None:
    code = "```json\n{\n" + "\n".join(f'  "key_{n}": "*value*",' for n in range(40)) + "\n}\n```"
    text = "Look. " * 250 + "\n\n" + code + "\n\nThat is *all*."
    first, *rest = messages(text)
    assert "```" not in first
    assert rest == [code + "\n" + r"That is \*all\*."]


def test_a_code_block_over_the_limit_breaks_between_lines_and_every_part_is_fenced() -> None:
    code = "```py\n" + "\n".join(f"line_{n} = {n}" for n in range(400)) + "\n```"
    parts = messages(code)
    assert len(parts) > 1
    assert all(part.startswith("```py\n") and part.endswith("\n```") and len(part) <= MAX_MESSAGE for part in parts)
    inner = "\n".join(part[len("```py\n") : -len("\n```")] for part in parts)
    assert inner == code[len("```py\n") : -len("\n```")]


def test_nobody_gets_out_of_a_code_block() -> None:
    (part,) = messages("```\nx ``` @everyone\n```")
    assert part.count("```") == 2


def test_emoji_made_of_several_characters_are_not_torn() -> None:
    family = "👨‍👩‍👧‍👦"
    parts = split(family * 900, 2000)
    assert "".join(parts) == family * 900
    assert all(re.fullmatch(f"({family})+", part) for part in parts)


@given(st.text(max_size=3000), st.integers(min_value=20, max_value=400))
def test_no_part_is_over_the_limit_and_no_letter_gets_lost(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(len(part) <= limit for part in parts)
    if "```" not in text:
        assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)


def test_what_people_write_is_read_without_discords_own_marks() -> None:
    assert read("<@99> cancel it <:sad:123>", bot_id=99) == "cancel it :sad:"
    assert shortened("x" * 90, 80) == "x" * 79 + "…"
