"""Help articles: loaded from Markdown files, searched by words and by meaning, rendered to safe HTML."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.errors import NotFound, SupportBotError
from bot.policy.yaml_source import compose
from bot.services.meaning import Meanings, SectionMeanings

_KEYS = ("title", "slug", "summary", "order")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_EXCERPT_CHARACTERS = 280


class HelpCenterError(SupportBotError):
    """An article file is wrong; `file`, `line` (from 1) and `key` (front-matter key, or `body`) say where."""

    code = "help-center-invalid"

    def __init__(self, *, file: Path, line: int, key: str, problem: str) -> None:
        super().__init__(f"{file}:{line}: {key}: {problem}", file=str(file), line=line, key=key)
        self.file = file
        self.line = line
        self.key = key


@dataclass(frozen=True)
class Section:
    """One `##` part of an article; `id` is its heading's slug, `text` is `markdown` without mark-up."""

    id: str
    title: str
    markdown: str
    text: str


@dataclass(frozen=True)
class Article:
    """One help article of one brand."""

    brand: str
    slug: str
    title: str
    summary: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Passage:
    """A section found by a search; `text` is its best part, `stems` are what `highlight` needs.

    `score` lies between 0 and 1: the share of the query's words that the section carries, or with meanings one third
    that and two thirds likeness. It can be compared between queries, so that one threshold serves a caller who must
    decide whether anything was found at all.
    """

    article: Article
    section: Section
    text: str
    score: float
    stems: frozenset[str] = frozenset()


class HelpCenter:
    """All help articles of all brands; immutable, so it may be shared between threads."""

    def __init__(self, articles: Sequence[Article], *, meanings: Meanings | None = None) -> None:
        """`articles` are kept in the order given. Without `meanings` a search goes by words alone."""
        brands: dict[str, list[Article]] = {}
        for article in articles:
            brands.setdefault(article.brand, []).append(article)
        self._articles = {brand: tuple(its) for brand, its in brands.items()}
        self._indexes = {brand: _Index(its, meanings) for brand, its in brands.items()}

    @classmethod
    def load(cls, root: Path, *, meanings: Meanings | None = None) -> HelpCenter:
        """Read `root/<brand>/<slug>.md`, each brand's articles in the order of their front matter.

        Raises HelpCenterError for the first file that is wrong, and for a root that is no folder.
        """
        if not root.is_dir():
            raise HelpCenterError(file=root, line=1, key="root", problem="no such folder of help articles")
        found: list[tuple[str, int, Article]] = []
        for path in sorted(root.glob("*/*.md")):
            order, article = _read(path)
            found.append((article.brand, order, article))
        found.sort(key=lambda entry: (entry[0], entry[1], entry[2].slug))
        return cls([article for _, _, article in found], meanings=meanings)

    def articles(self, brand: str) -> tuple[Article, ...]:
        """The brand's articles in reading order; empty for a brand that has none."""
        return self._articles.get(brand, ())

    def article(self, brand: str, slug: str) -> Article:
        """The article of that slug. Raises NotFound."""
        for article in self.articles(brand):
            if article.slug == slug:
                return article
        raise NotFound("There is no help article of that name.", brand=brand, slug=slug)

    def search(self, brand: str, query: str, limit: int = 10) -> list[Passage]:
        """The brand's sections that answer `query`, best first; tolerates typos and unfinished words."""
        index = self._indexes.get(brand)
        return index.search(query, limit) if index else []

    def prepare(self) -> None:
        """Do now what the first search would have to: find the meaning of all sections."""
        for index in self._indexes.values():
            index.search("help", 1)


def render_html(markdown: str) -> str:
    """HTML of an article's Markdown. Raw HTML in it comes out as text, and script links are not linked."""
    tokens = _MARKDOWN.parse(markdown)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def highlight(text: str, stems: frozenset[str]) -> list[tuple[str, bool]]:
    """`text` cut into consecutive pieces, each with whether it is a word of one of the `stems`."""
    pieces: list[tuple[str, bool]] = []
    position = 0
    for match in _WORD.finditer(text):
        if stems.intersection(_terms(match.group())):
            pieces += [(text[position : match.start()], False), (match.group(), True)]
            position = match.end()
    pieces.append((text[position:], False))
    return [piece for piece in pieces if piece[0]]


# --- reading a file ---------------------------------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _read(path: Path) -> tuple[int, Article]:
    """The article in `path` and its place in the brand's order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise HelpCenterError(file=path, line=1, key="body", problem="the file is not UTF-8 text") from error
    if not lines or lines[0].strip() != "---":
        raise HelpCenterError(file=path, line=1, key="front matter", problem="the file must open with a line `---`")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        raise HelpCenterError(file=path, line=1, key="front matter", problem="it is never closed by a line `---`")
    title, slug, summary, order = _front_matter(path, "\n".join(lines[1:end]))
    sections = _sections(path, lines[end + 1 :], first_line=end + 2)
    return order, Article(path.parent.name, slug, title, summary, sections)


def _front_matter(path: Path, source: str) -> tuple[str, str, str, int]:
    def wrong(node_line: int, key: str, problem: str) -> HelpCenterError:
        return HelpCenterError(file=path, line=node_line + 2, key=key, problem=problem)  # 0-based, and after `---`

    try:
        node = compose(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise wrong(mark.line if mark else 0, "front matter", problem) from error
    if not isinstance(node, yaml.MappingNode):
        raise wrong(0, "front matter", "it must be `key: value` lines")
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line
        if key not in _KEYS:
            raise wrong(line, key, f"unknown key; known are {', '.join(_KEYS)}")
        if key in values:
            raise wrong(line, key, "given twice")
        if not isinstance(value_node, yaml.ScalarNode) or not value_node.value.strip():
            raise wrong(line, key, "must be a text on its line")
        values[key] = value_node.value.strip()
        lines[key] = line
    for key in _KEYS:
        if key not in values:
            raise wrong(0, key, "missing")
    if not re.fullmatch(r"[0-9]{1,6}", values["order"]):
        raise wrong(lines["order"], "order", "must be a whole number such as 10")
    if not _SLUG.fullmatch(values["slug"]):
        raise wrong(lines["slug"], "slug", "must be small letters and digits joined by single hyphens")
    if values["slug"] != path.stem:
        raise wrong(lines["slug"], "slug", f"must be the file's name, {path.stem!r}")
    return values["title"], values["slug"], values["summary"], int(values["order"])


def _sections(path: Path, lines: Sequence[str], *, first_line: int) -> tuple[Section, ...]:
    def wrong(line: int, problem: str) -> HelpCenterError:
        return HelpCenterError(file=path, line=first_line + line, key="body", problem=problem)

    tokens = _MARKDOWN.parse("\n".join(lines))
    starts: list[tuple[int, int, str]] = []  # the heading's first line, the line after it, its title
    for token, inline in pairwise(tokens):
        if token.level or not token.map:
            continue
        if token.type == "heading_open" and token.tag == "h1":
            raise wrong(token.map[0], "a `#` heading; the title belongs in the front matter")
        if token.type == "heading_open" and token.tag == "h2":
            starts.append((token.map[0], token.map[1], _inline_text(inline)))
        elif not starts:
            raise wrong(token.map[0], "text before the first `##` heading")
    if not starts:
        raise wrong(0, "no `##` section")
    sections: list[Section] = []
    for (start, body, title), (end, _, _) in zip(starts, [*starts[1:], (len(lines), 0, "")], strict=True):
        markdown = "\n".join(lines[body:end]).strip()
        section_id = "-".join(_WORD.findall(_plain(title).replace("'", "")))
        if not section_id:
            raise wrong(start, "a heading needs letters or digits")
        if any(section.id == section_id for section in sections):
            raise wrong(start, f"a second heading {title!r}")
        if not markdown:
            raise wrong(start, f"nothing under the heading {title!r}")
        sections.append(Section(section_id, title, markdown, _text(markdown)))
    return tuple(sections)


def _text(markdown: str) -> str:
    """The Markdown as plain text: a line a paragraph, list item or table row."""
    lines: list[str] = []
    numbers: list[int | None] = []  # the next number of each list we are in; None in a list without numbers
    bullet = ""
    row: list[str] | None = None
    for token in _MARKDOWN.parse(markdown):
        if token.type == "ordered_list_open":
            numbers.append(int(token.attrGet("start") or 1))
        elif token.type == "bullet_list_open":
            numbers.append(None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            numbers.pop()
        elif token.type == "list_item_open":
            number = numbers[-1]
            bullet = "- " if number is None else f"{number}. "
            if number is not None:
                numbers[-1] = number + 1
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            lines.append(": ".join(row))
            row = None
        elif token.type == "inline" and row is not None:
            row.append(_inline_text(token))
        elif token.type == "inline":
            lines.append(bullet + _inline_text(token))
            bullet = ""
        elif token.type in ("fence", "code_block"):
            lines.append(token.content.rstrip())
    return "\n".join(lines)


def _inline_text(token: Token) -> str:
    parts = (" " if child.type in ("softbreak", "hardbreak") else child.content for child in token.children or ())
    return "".join(parts).strip()


# --- searching --------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STOP_WORDS = frozenset(
    _WORD.findall(
        """a about all am an and any are arent as at be been but by can cannot cant could couldnt did didnt do does
        doesnt dont for from get got had has hasnt have havent he hello her hi how i id if im in is isnt it its
        ive just may me my need of on or our please see she should so some than that the their them then there
        these they this to up us want was wasnt we were what when where which who why will with wont would you
        your"""
    )
)
# Longest first. Cuts cancel, cancelled and cancellation to one stem; it need not be a word.
_SUFFIXES = tuple(
    sorted(
        _WORD.findall(
            """ations ation ating ated ates ate ings ing ions ion ments ment able ible als al ures ure ers er ed es ies
            s e y"""
        ),
        key=len,
        reverse=True,
    )
)
_MOST_TERMS = 32  # of a query: a pasted letter must not cost seconds
_SATURATION, _LENGTH_WEIGHT = 1.2, 0.5  # BM25's k1 and b; b is low because our sections are all short
_TITLE_WEIGHT, _HEADING_WEIGHT, _SUMMARY_WEIGHT = 3, 3, 1  # how many times as much as in the text a word counts
_LEAST_LIKENESS_FOUND = 0.3  # of a section that has no word of the query
_PREFIX_LIKENESS, _TYPO_LIKENESS, _LEAST_LIKENESS = 0.8, 0.7, 0.6


def _plain(text: str) -> str:
    """Small letters without accents, typographic apostrophes made plain, e-mail and email one word."""
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"\be-mail", "email", plain)


def _terms(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order."""
    words = (word.replace("'s", "").replace("'", "") for word in _WORD.findall(_plain(text)))
    return [_stem(word) for word in words if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _likeness(asked: str, known: str) -> float:
    """1 for the same stem, less for a stem begun or misspelled, 0 for another word."""
    if asked == known:
        return 1.0
    shorter, longer = sorted((len(asked), len(known)))
    if shorter >= 4 and (known.startswith(asked) or asked.startswith(known)):
        return max(_LEAST_LIKENESS, _PREFIX_LIKENESS * shorter / longer)
    allowed = 0 if shorter < 4 or longer < 5 else 1 if shorter < 8 else 2
    return _TYPO_LIKENESS if allowed and asked[0] == known[0] and _within(asked, known, allowed) else 0.0


def _within(one: str, other: str, most: int) -> bool:
    """Whether at most `most` letters inserted, dropped, replaced or swapped with a neighbour make one the other."""
    if abs(len(one) - len(other)) > most:
        return False
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, previous, row = row, before, [i]
        for j, known in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != known))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == known:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most


@dataclass(frozen=True)
class _Entry:
    article: Article
    section: Section
    counts: Counter[str]
    length: int


class _Index:
    """BM25 over the sections of one brand, the words of title, heading and summary counted with the text's.

    With meanings, a section's score is one third that and two thirds how alike it is to the query.
    """

    def __init__(self, articles: Sequence[Article], meanings: Meanings | None) -> None:
        self._entries = [_entry(article, section) for article in articles for section in article.sections]
        self._mean_length = sum(entry.length for entry in self._entries) / len(self._entries)
        frequency = Counter(term for entry in self._entries for term in entry.counts)
        total = len(self._entries)
        self._rarity = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}
        self._unknown_rarity = math.log(1 + (total + 0.5) / 0.5)
        told = [(entry.article.title, entry.section.title, entry.section.text) for entry in self._entries]
        self._meanings = SectionMeanings(told, meanings) if meanings else None

    def search(self, query: str, limit: int) -> list[Passage]:
        asked = [self._known(term) for term in list(dict.fromkeys(_terms(query)))[:_MOST_TERMS]]
        ideal = sum(max((self._rarity[term] for term in known), default=self._unknown_rarity) for known in asked)
        if not ideal and (self._meanings is None or not query.strip()):
            return []
        by_words = [self._score(entry, asked) / ideal if ideal else 0.0 for entry in self._entries]
        near = [(0.0, "")] * len(self._entries)
        if self._meanings is not None:
            near = self._meanings.likeness(query)
            by_words = [(words + 2 * max(like, 0.0)) / 3 for words, (like, _) in zip(by_words, near, strict=True)]
        scored = sorted(zip(by_words, self._entries, near, strict=True), key=lambda found: -found[0])
        wanted = frozenset(term for known in asked for term in known)
        return [
            Passage(entry.article, entry.section, _excerpt(entry.section.text, wanted, sentence), score, wanted)
            for score, entry, (_, sentence) in scored[: max(limit, 0)]
            if score >= _LEAST_LIKENESS_FOUND or (score > 0 and (self._meanings is None or self._score(entry, asked)))
        ]

    def _known(self, asked: str) -> dict[str, float]:
        """The indexed stems that a stem of the query may mean, with their likeness; only itself if it is indexed."""
        if asked in self._rarity:
            return {asked: 1.0}
        likely = {term: _likeness(asked, term) for term in self._rarity}
        return {term: likeness for term, likeness in likely.items() if likeness}

    def _score(self, entry: _Entry, asked: Sequence[Mapping[str, float]]) -> float:
        return sum(max(self._weights(entry, known), default=0.0) for known in asked)

    def _weights(self, entry: _Entry, known: Mapping[str, float]) -> Iterator[float]:
        length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * entry.length / self._mean_length
        for term, likeness in known.items():
            count = entry.counts[term]
            yield likeness * self._rarity[term] * count / (count + _SATURATION * length)


def _entry(article: Article, section: Section) -> _Entry:
    counts: Counter[str] = Counter()
    for text, weight in (
        (article.title, _TITLE_WEIGHT),
        (section.title, _HEADING_WEIGHT),
        (article.summary, _SUMMARY_WEIGHT),
        (section.text, 1),
    ):
        for term in _terms(text):
            counts[term] += weight
    return _Entry(article, section, counts, sum(counts.values()))


def _excerpt(text: str, wanted: frozenset[str], near: str = "") -> str:
    """As many whole lines as fit, from the line (or the one before its list) that has most of the wanted stems.

    `near` is the sentence that is nearest in meaning: it counts as two.
    """
    lines = text.splitlines()
    hits = [len(wanted.intersection(_terms(line))) + 2 * bool(near and near in line) for line in lines]
    start = hits.index(max(hits))
    while start and re.match(r"- |\d+\. ", lines[start]) and len("\n".join(lines[start - 1 :])) <= _EXCERPT_CHARACTERS:
        start -= 1
    excerpt = lines[start]
    for line in lines[start + 1 :]:
        if len(excerpt) + 1 + len(line) > _EXCERPT_CHARACTERS:
            break
        excerpt += "\n" + line
    if len(excerpt) <= _EXCERPT_CHARACTERS:
        return excerpt
    return excerpt[:_EXCERPT_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:.") + " …"
