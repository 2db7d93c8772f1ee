"""Texts for Slack and from Slack."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.slack.formatting import BLOCK_ROOM, escape, plain, rich_text, split
from tests.fakes.slack_limits import check_blocks, links, pings
from tests.fakes.slack_server import escaped, shown


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("hello", "hello"),
        ("<@UBOT> hello", "hello"),
        ("ask <@U1|ava> in <#C1|general>", "ask @ava in #general"),
        ("<mailto:ava@jolt.example|ava@jolt.example>", "ava@jolt.example"),
        ("<tel:+14155550101|+1 415-555-0101>", "+1 415-555-0101"),
        ("<https://jolt.example/a?b=1&amp;c=2>", "https://jolt.example/a?b=1&c=2"),
        ("<https://jolt.example|our site>", "our site"),
        ("<!here> and <!subteam^S1|@team> and <!channel>", "@here and @team and @channel"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("&amp;lt;", "&lt;"),
        ("<@U2> hello", "@U2 hello"),
    ],
)
def test_what_was_typed_is_read_from_how_slack_sends_it(sent: str, typed: str) -> None:
    assert plain(sent, bot="UBOT") == typed


@given(st.text(alphabet=st.sampled_from("ab <>&|!@#*_`~\n\\")))
def test_what_is_typed_comes_back_as_it_was(text: str) -> None:
    assert plain(escaped(text)) == text.strip()


@given(st.text())
def test_escaped_text_has_no_marks(text: str) -> None:
    assert pings(escape(text)) == links(escape(text)) == []
    assert "<" not in escape(text)


@given(st.text(alphabet=st.sampled_from("ab. !?\n"), max_size=9000), st.integers(20, 3000))
def test_pieces_are_short_enough_and_lose_nothing(text: str, room: int) -> None:
    pieces = split(text, room)
    assert all(0 < len(piece) <= room for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two. Three four.", ["One two. Three four."]),
        ("This is one. This is two. And three.", ["This is one. This is two.", "And three."]),
        ("First paragraph\n\nSecond one. It goes on", ["First paragraph", "Second one. It goes on"]),
        ("wordwordwordwordword wordwordword", ["wordwordwordwordword", "wordwordword"]),
        ("x" * 60, ["x" * 25, "x" * 25, "x" * 10]),
        ("  ", []),
    ],
)
def test_they_end_where_sentences_do(text: str, pieces: list[str]) -> None:
    assert split(text, 25) == pieces


@given(st.text(min_size=1, max_size=5000).filter(str.strip))
def test_rich_text_is_what_was_said_and_slack_takes_it(text: str) -> None:
    blocks = rich_text(text, ["https://help.example/"])
    check_blocks(blocks, most=50)
    assert "".join("".join(shown({"blocks": [b]}) for b in blocks).split()) == "".join(
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").split()
    )


def test_only_our_own_addresses_are_links() -> None:
    text = (
        "See https://help.example/a#b. Not https://help.example.evil/ nor https://evil.example/?https://help.example/"
    )
    elements = json.loads(json.dumps(rich_text(text, ["https://help.example/"])))[0]["elements"][0]["elements"]
    assert [e["url"] for e in elements if e["type"] == "link"] == ["https://help.example/a#b"]
    assert len(rich_text("x" * (BLOCK_ROOM + 1))) == 2
