"""A brand's figures as tables with bars, for the page and as CSV: every bar has its number beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.policy.pack import Pack
from bot.services.desk_words import words
from bot.services.figures import DEFINITIONS, Fate, Figures, Times

_FATES = {
    Fate.CONFIRMED: "Settled, and the customer confirmed it",
    Fate.LEFT: "Settled, left for 24 hours",
    Fate.PERSON: "Went to a person",
    Fate.RETURNED: "Came back with the same matter",
    Fate.NOT_UNDERSTOOD: "Left after not being understood",
    Fate.OPEN: "Still open",
}
_BAR = 100.0


@dataclass(frozen=True)
class Bar:
    """One bar: from where to where, of a hundred, which of the table's columns it is of, and its number."""

    x: float
    width: float
    series: int


@dataclass(frozen=True)
class Line:
    """A line of a table: what it is about, its numbers as they are shown, and its bars."""

    label: str
    cells: tuple[str, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    """A table with bars; `columns` name the numbers, `series` those of them that the bars show."""

    id: str
    title: str
    says: str
    columns: tuple[str, ...]
    series: tuple[str, ...]
    lines: tuple[Line, ...]
    empty: str

    @property
    def described(self) -> str:
        """The picture in words, for who cannot see it."""
        return "; ".join(f"{line.label}: {', '.join(line.cells)}" for line in self.lines)


@dataclass(frozen=True)
class Tile:
    """One number with its name and what to know about it."""

    title: str
    value: str
    under: str


def tiles(found: Figures) -> tuple[Tile, ...]:
    """The numbers that are looked at first."""
    there = [each for each in found.online if not each.away]
    wait = f"longest {length(found.longest_wait.total_seconds())}" if found.longest_wait else "nobody waits"
    rated, settled = found.csat, found.by_bot
    counted = sum(count for fate, count in settled.fates.items() if fate is not Fate.OPEN)
    return (
        Tile("Waiting now", str(found.waiting), wait),
        Tile("Online", str(len(there)), f"{found.with_people} conversations with people"),
        Tile("First reply", *_time(found.first_reply)),
        Tile("Resolution", *_time(found.resolution)),
        Tile("CSAT", percent(rated.share), f"{rated.rated} of {rated.asked} rated"),
        Tile("Settled by the bot alone", percent(settled.share), f"of {counted} matters"),
    )


def charts(found: Figures, pack: Pack) -> tuple[Chart, ...]:
    """Everything else, each with its definition."""
    rules = {rule.id: rule.title for rule in pack.all_rules()}
    return (
        _chart(
            "load",
            "Who is online",
            "Conversations that each has now.",
            ("Conversations",),
            [(f"{each.name}{', away' if each.away else ''}", (each.load,)) for each in found.online],
            "Nobody is at the desk.",
        ),
        _chart(
            "resolved",
            "Resolved by",
            "Conversations that each resolved in the period.",
            ("Resolved",),
            [(name or "Somebody who left", (count,)) for name, count in found.resolved_by],
            "Nobody resolved a conversation.",
        ),
        _chart(
            "by-bot",
            "What the bot settled alone",
            DEFINITIONS["by_bot"],
            ("Matters",),
            [(_FATES[fate], (count,)) for fate, count in found.by_bot.fates.items() if count],
            "Nothing was asked.",
        ),
        _chart(
            "handoffs",
            "Why people were needed",
            DEFINITIONS["handoffs"],
            ("In the chat", "As a ticket"),
            [(reason_of(reason), (chat, ticket)) for reason, chat, ticket in found.handoffs],
            "Nothing was handed over.",
        ),
        _chart(
            "csat",
            "Ratings",
            DEFINITIONS["csat"],
            ("Ratings",),
            [(f"{score} of 5", (count,)) for score, count in found.csat.scores.items()] if found.csat.rated else [],
            "Nobody rated anything.",
        ),
        _money(found, rules),
        _chart(
            "leaving",
            "Cancellations and who stayed",
            DEFINITIONS["leaving"],
            ("Cancelled", "Undone", "Kept"),
            [(each.title, (each.cancelled, each.undone, each.kept)) for each in found.reasons]
            + ([("Paused instead", (0, 0, found.paused_instead))] if found.paused_instead else []),
            "Nobody cancelled.",
            first_includes_second=True,
        ),
    )


def _money(found: Figures, rules: dict[str, str]) -> Chart:
    most = max((each.amount.minor for each in found.money), default=0)
    lines = tuple(
        Line(
            label=f"{each.rule_id} {rules.get(each.rule_id, '')}".strip(),
            cells=(each.kind, str(each.count), each.amount.format()),
            bars=(Bar(0, _BAR * each.amount.minor / most, 0),),
        )
        for each in found.money
    )
    columns = ("Kind", "How many", "Amount")
    title, empty = "Refunds and credits by rule", "Nothing was given back."
    return Chart("money", title, DEFINITIONS["money"], columns, ("Amount",), lines, empty)


def _chart(
    id_: str,
    title: str,
    says: str,
    columns: tuple[str, ...],
    counted: Iterable[tuple[str, Sequence[int]]],
    empty: str,
    *,
    first_includes_second: bool = False,
) -> Chart:
    def apart(numbers: Sequence[int]) -> Sequence[int]:
        """What the bars show: nothing twice."""
        return (numbers[0] - numbers[1], *numbers[1:]) if first_includes_second else numbers

    listed = [(label, tuple(numbers)) for label, numbers in counted]
    most = max((sum(apart(numbers)) for _, numbers in listed), default=0)
    lines = []
    for label, numbers in listed:
        bars, x = [], 0.0
        for series, number in enumerate(apart(numbers)):
            width = _BAR * number / most if most else 0.0
            bars.append(Bar(x, width, series))
            x += width
        lines.append(Line(label, tuple(str(number) for number in numbers), tuple(bars)))
    return Chart(id_, title, says, columns, columns, tuple(lines), empty)


def as_csv(found: Figures, pack: Pack) -> str:
    """All figures, a number a line, for a spreadsheet; times in seconds, money in minor units, shares from 0 to 1."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    zone = pack.brand.zone
    period = (found.since.astimezone(zone).date().isoformat(), found.until.astimezone(zone).isoformat())
    write(("brand", "from", "until", "figure", "about", "measure", "value"))
    for figure, about, measure, value in _numbers(found):
        write((found.brand, *period, figure, _harmless(about), measure, "" if value is None else value))
    return out.getvalue()


def _numbers(found: Figures) -> Iterable[tuple[str, str, str, float | int | None]]:
    yield "waiting", "", "now", found.waiting
    yield "waiting", "", "longest_seconds", found.longest_wait.total_seconds() if found.longest_wait else None
    yield "with_people", "", "now", found.with_people
    for agent in found.online:
        yield "online", agent.name, "conversations", agent.load
    for name, took in (("first_reply", found.first_reply), ("resolution", found.resolution)):
        yield name, "", "count", took.count
        yield name, "", "median_seconds", took.median
        yield name, "", "slowest_tenth_seconds", took.slowest_tenth
    for name, count in found.resolved_by:
        yield "resolved_by", name, "count", count
    yield "csat", "", "asked", found.csat.asked
    yield "csat", "", "rated", found.csat.rated
    yield "csat", "", "share", found.csat.share
    for score, count in found.csat.scores.items():
        yield "csat", str(score), "count", count
    yield "by_bot", "", "share", found.by_bot.share
    for fate, count in found.by_bot.fates.items():
        yield "by_bot", fate.value, "count", count
    for reason, chat, ticket in found.handoffs:
        yield "handoffs", reason, "chat", chat
        yield "handoffs", reason, "ticket", ticket
    for each in found.money:
        yield "money", f"{each.rule_id} {each.kind}", "count", each.count
        yield "money", f"{each.rule_id} {each.kind}", f"amount_minor_{each.amount.currency}", each.amount.minor
    for left in found.reasons:
        for measure, count in (("cancelled", left.cancelled), ("undone", left.undone), ("kept", left.kept)):
            yield "leaving", left.id or "none", measure, count
    yield "leaving", "", "paused_instead", found.paused_instead


def _harmless(cell: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def length(seconds: float) -> str:
    """Such as `45 s`, `6 min`, `3.5 h` or `2.1 days`."""
    took = timedelta(seconds=seconds)
    if took < timedelta(minutes=1):
        return f"{seconds:.0f} s"
    if took < timedelta(hours=1):
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if took < timedelta(days=2) else f"{seconds / 86_400:.1f} days"


def percent(share: float | None) -> str:
    """Such as `87 %`; a dash where nothing was counted."""
    return "–" if share is None else f"{share * 100:.0f} %"


def reason_of(reason: str) -> str:
    """A reason of a hand-off in words; rules are named by their id."""
    named = {
        "asked": "Asked for a person",
        "misses": "Not understood",
        "anger": "Angry",
        "loop": "Going in circles",
        "limit": "Above a limit of the policy",
        "law": "The law may ask for more",
        "taken": "Somebody took it",
    }
    return named.get(reason, reason if reason[:1].isupper() else words(reason))


def _time(took: Times) -> tuple[str, str]:
    if took.median is None or took.slowest_tenth is None:
        return "–", "none yet"
    return length(took.median), f"median of {took.count}, 9 of 10 within {length(took.slowest_tenth)}"
