"""Help articles: what the loader takes and refuses, what a search finds, what rendering lets through."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bot.errors import NotFound
from bot.services.help_center import HelpCenter, HelpCenterError, highlight, render_html

ARTICLES = Path(__file__).parents[3] / "data" / "help_center"
GOOD = """---
title: Cancel a number
slug: cancel
summary: How it is done.
order: 10
---
## First, the steps

1. Open **Numbers**.
2. Press [Stop](refunds#why).

## What’s next?

| Day | What |
|---|---|
| first | nothing |

- still yours
- until then
"""


@pytest.fixture(scope="module")
def real() -> HelpCenter:
    """The articles that ship."""
    return HelpCenter.load(ARTICLES)


def write(root: Path, text: str, *, brand: str = "acme", name: str = "cancel.md") -> Path:
    path = root / brand / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_an_article_is_loaded_with_its_sections(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    article = HelpCenter.load(tmp_path).article("acme", "cancel")
    assert (article.brand, article.title, article.summary) == ("acme", "Cancel a number", "How it is done.")
    assert [(section.id, section.title) for section in article.sections] == [
        ("first-the-steps", "First, the steps"),
        ("whats-next", "What’s next?"),
    ]
    assert article.sections[0].text == "1. Open Numbers.\n2. Press Stop."
    assert article.sections[1].text == "Day: What\nfirst: nothing\n- still yours\n- until then"
    assert article.sections[0].markdown.startswith("1. Open **Numbers**.")


def test_articles_come_in_the_order_of_their_front_matter(tmp_path: Path) -> None:
    for slug, order in (("a", 30), ("b", 4), ("c", 20)):
        write(tmp_path, GOOD.replace("slug: cancel", f"slug: {slug}").replace("10", str(order)), name=f"{slug}.md")
    assert [article.slug for article in HelpCenter.load(tmp_path).articles("acme")] == ["b", "c", "a"]


def test_a_brand_without_articles_has_none_and_finds_nothing(tmp_path: Path) -> None:
    help_center = HelpCenter.load(tmp_path)
    assert help_center.articles("acme") == ()
    assert help_center.search("acme", "cancel") == []
    with pytest.raises(NotFound):
        help_center.article("acme", "cancel")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "problem"),
    [
        ("---\ntitle", "title", 1, "front matter", "open with"),
        ("order: 10\n---\n", "order: 10\n", 1, "front matter", "never closed"),
        ("title: Cancel a number", "title: a: b", 2, "front matter", "not allowed in this context"),
        ("title: Cancel a number", "title: [a]", 2, "title", "must be a text"),
        ("title: Cancel a number", "title:", 2, "title", "must be a text"),
        ("slug: cancel\n", "", 2, "slug", "missing"),
        ("slug: cancel", "slug: Cancel It", 3, "slug", "small letters"),
        ("slug: cancel", "slug: other", 3, "slug", "'cancel'"),
        ("summary:", "sumary:", 4, "sumary", "unknown key"),
        ("order: 10", "order: ten", 5, "order", "whole number"),
        ("order: 10", "order: 10\norder: 20", 6, "order", "twice"),
        ("## First, the steps\n", "Hello.\n", 7, "body", "before the first"),
        ("## First", "# First", 7, "body", "`#` heading"),
        ("## What’s next?", "## First, the steps", 12, "body", "a second heading"),
        ("## What’s next?", "## Empty\n\n## What’s next?", 12, "body", "nothing under"),
        ("## What’s next?", "## ???", 12, "body", "letters or digits"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, line: int, key: str, problem: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(HelpCenterError, match=re.escape(problem)) as caught:
        HelpCenter.load(tmp_path)
    assert (caught.value.file, caught.value.line, caught.value.key) == (path, line, key)
    assert str(caught.value).startswith(f"{path}:{line}: {key}: ")


def test_front_matter_alone_or_no_mapping_or_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.split("## First")[0])
    with pytest.raises(HelpCenterError, match="no `##` section"):
        HelpCenter.load(tmp_path)
    path.write_text("---\n- a list\n---\n## A\n\nb\n", encoding="utf-8")
    with pytest.raises(HelpCenterError, match="key: value"):
        HelpCenter.load(tmp_path)
    path.write_bytes(b"---\n\xff\n---\n")
    with pytest.raises(HelpCenterError, match="UTF-8"):
        HelpCenter.load(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HelpCenterError, match="no such folder"):
        HelpCenter.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How do I cancel my number?", "cancel-a-number#how-to-cancel"),
        ("stop auto renewal", "cancel-a-number#how-to-cancel"),
        ("I was charged twice", "refunds#billing-errors-and-duplicate-charges"),
        ("charged but don't see my number", "charged-but-no-number#what-to-do"),
        ("partial refund for unused days", "cancel-a-number#is-there-a-refund-for-unused-days"),
        ("whatsapp banned my account", "platform-rejections#is-it-refundable"),
        ("why are vendor costs mentioned", "why-fees-are-not-refundable#why-we-mention-vendor-costs"),
        ("move my renewal date", "change-renewal-date#how-to-move-the-date"),
        ("what counts as a technical failure", "technical-failures#what-counts-as-a-technical-failure"),
        ("what becomes of my Slack notifications", "after-cancellation#slack-discord-and-webhook-notifications"),
        ("support e-mail address", "contact-us#ways-to-reach-us"),
        ("is it VoIP", "getting-started#what-you-get"),
        ("can I have a released number back", "after-cancellation#getting-a-released-number-back"),
        ("screenshots or logs", "request-an-investigation#what-to-send"),
    ],
)
def test_every_question_of_the_brand_finds_its_section_first(real: HelpCenter, query: str, expected: str) -> None:
    best = real.search("joltsms", query, 1)[0]
    assert f"{best.article.slug}#{best.section.id}" == expected


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cancle my numbr", "cancel-a-number"),
        ("notificaitons", "after-cancellation"),
        ("recieve no text", "technical-failures"),
        ("investig", "request-an-investigation"),
        ("CANCELLING", "cancel-a-number"),
        ("vendör", "why-fees-are-not-refundable"),
    ],
)
def test_typos_unfinished_words_and_other_forms_are_understood(real: HelpCenter, typed: str, meant: str) -> None:
    assert real.search("joltsms", typed)[0].article.slug == meant


@pytest.mark.parametrize("query", ["", "   ", "why", "???", "🙂🙂", "do you have an api", "x" * 10_000])
def test_a_query_without_a_known_word_finds_nothing(real: HelpCenter, query: str) -> None:
    assert real.search("joltsms", query) == []


def test_scores_fall_lie_between_0_and_1_and_tell_a_hit_from_noise(real: HelpCenter) -> None:
    found = real.search("joltsms", "what is a technical failure", 50)
    scores = [passage.score for passage in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    noise = real.search("joltsms", "weather in Paris tomorrow, will it rain or be days of sun")
    assert scores[0] > 0.5 > max((passage.score for passage in noise), default=0)


def test_the_limit_holds(real: HelpCenter) -> None:
    assert len(real.search("joltsms", "number", 3)) == 3
    assert real.search("joltsms", "number", 0) == []


def test_a_passage_carries_the_part_that_matches_within_its_length(real: HelpCenter) -> None:
    best = real.search("joltsms", "app rejected or flagged, outside your control", 20)
    glance = next(passage for passage in best if passage.section.id == "at-a-glance")
    assert "outside our control" in glance.text
    assert all(len(passage.text) <= 282 for passage in best)


def test_a_pasted_letter_of_ten_thousand_characters_is_searched_quickly(real: HelpCenter) -> None:
    letter = " ".join(f"refnd{number} cancell{number}q" for number in range(600))
    started = time.thread_time()
    real.search("joltsms", letter)
    assert time.thread_time() - started < 1


def test_the_words_found_are_highlighted_and_nothing_is_lost(real: HelpCenter) -> None:
    passage = real.search("joltsms", "cancle refunds")[0]
    text = "Cancelling is no refund; it isn’t a part."
    pieces = highlight(text, passage.stems)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, asked in pieces if asked] == ["Cancelling", "refund"]


@pytest.mark.parametrize(
    "markdown",
    ["<script>alert(1)</script>", "a <b onclick='x()'>b</b>", "[x](javascript:alert(1))", "![x](data:text/html,<b>)"],
)
def test_raw_html_and_script_links_are_rendered_as_text(markdown: str) -> None:
    html = render_html(markdown)
    assert not re.search(r"<(script|b|a|img)\b", html)


def test_a_table_is_rendered_with_column_headers() -> None:
    assert '<th scope="col">Day</th>' in render_html("| Day |\n|---|\n| one |")


def test_every_link_between_the_articles_leads_somewhere(real: HelpCenter) -> None:
    for brand in (path.name for path in ARTICLES.iterdir()):
        targets = {article.slug for article in real.articles(brand)}
        targets |= {f"{article.slug}#{section.id}" for article in real.articles(brand) for section in article.sections}
        for article in real.articles(brand):
            for section in article.sections:
                links = re.findall(r"\]\(([^)]+)\)", section.markdown)
                assert [link for link in links if ":" not in link and link not in targets] == []


def test_every_source_that_a_policy_pack_names_is_a_section(real: HelpCenter) -> None:
    for pack in (ARTICLES.parent / "policies").glob("*.yml"):
        sections = {f"{article.slug}#{part.id}" for article in real.articles(pack.stem) for part in article.sections}
        named = re.findall(r"^\s*source: (\S+)$", pack.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(named) - sections == set()


@pytest.mark.parametrize(
    "fact",
    [
        r"\*\*Stop auto-renew\*\*.*\*\*Cancel\*\*",
        r"\*\*Renews on\*\*",
        r"Rent again on the day",
        r"physical SIM",
        r"not an internet \(VoIP\) number",
        r"dashboard.*webhook.*Slack.*Discord.*e-mail",
        r"may be given to another customer",
        r"Notifications that belong to the number.*stop when",
        r"whole fee of your latest billing period back, or.*credit of the same value",
        r"unless a law that applies to you",
        r"fair chance",
        r"neither get SMS working again nor give you another number",
        r"IP address.*fingerprint.*how quickly",
        r"order ID or subscription ID",
        r"https://help\.joltsms\.com",
        r"support@joltsms\.example",
        r"bills us for that straight away, used or not",
    ],
)
def test_the_facts_of_the_brand_are_there(real: HelpCenter, fact: str) -> None:
    whole = " ".join(section.markdown for article in real.articles("joltsms") for section in article.sections)
    assert re.search(fact, " ".join(whole.split()))
