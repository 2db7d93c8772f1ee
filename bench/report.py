"""The figures as a table, and as JSON with every single value."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.desk import DeskFigures
from bench.figures import Spread, median, percentile
from bench.load import Growth, Plan
from bench.ours import GatewayFigures
from bench.served import ServedFigures
from bench.stock import DEFAULT_EPOCHS, StockModel

_LIBRARIES = ("rasa", "spacy", "onnxruntime", "SQLAlchemy", "uvicorn", "tensorflow")
_HEADER = ("measured", "supportbot", "stock Rasa", "ratio", "stock Rasa, stored", "ratio", "must", "")
_MEGABYTE = 1_000_000
_DESK_MOST = 300.0  # milliseconds


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured. `load` is the machine's load in the minute before."""

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    libraries: dict[str, str]
    started_at: str
    load: float

    @property
    def busy(self) -> bool:
        """Whether something else was running, so that the figures say little."""
        return self.load > self.cores / 4


@dataclass(frozen=True)
class Stock:
    """The baseline of the same run: with conversations in memory, as Rasa comes, and stored in SQLite, as ours are."""

    model: StockModel
    in_memory: ServedFigures
    stored: ServedFigures
    plan: Plan


@dataclass(frozen=True)
class Turns:
    """What was measured of conversations with the bot."""

    plan: Plan
    training: list[float]
    gateway: GatewayFigures
    served: ServedFigures
    stock: Stock | None = None


@dataclass(frozen=True)
class Results:
    """Everything that was measured; conversations with the bot, the desk, or both."""

    machine: Machine
    seconds: float
    turns: Turns | None = None
    desk: DeskFigures | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `faster`: more is better. `must`: the most that ours may be or, if `times`, the least that the ratio may be.
    """

    name: str
    unit: str
    ours: Spread
    stock: Spread | None = None
    stored: Spread | None = None
    faster: bool = False
    must: float | None = None
    times: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better than stock Rasa as it comes."""
        return self._ratio(self.stock)

    @property
    def ratio_stored(self) -> float | None:
        """How many times better than stock Rasa that stores conversations too."""
        return self._ratio(self.stored)

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None without one, or without the baseline that it needs.

        What counts is the baseline that stores conversations: the other one loses what ours must not lose.
        """
        if self.must is None:
            return None
        if self.times:
            return None if self.ratio_stored is None else self.ratio_stored >= self.must
        return self.ours.median <= self.must

    def _ratio(self, theirs: Spread | None) -> float | None:
        if theirs is None:
            return None
        return self.ours.median / theirs.median if self.faster else theirs.median / self.ours.median


def machine(now: datetime) -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        libraries={name: version(name) for name in _LIBRARIES},
        started_at=now.isoformat(timespec="seconds"),
        load=round(os.getloadavg()[0], 2),
    )


def rows(results: Results) -> list[Row]:
    """The table's lines."""
    return [
        *(_turn_rows(results.turns) if results.turns else ()),
        *(_desk_rows(results.desk) if results.desk else ()),
    ]


def _turn_rows(results: Turns) -> list[Row]:
    gateway, ours = results.gateway, _spreads(results.served)
    clients = f"{results.plan.clients} clients"

    def row(name: str, unit: str, key: str, spread: Spread, **more: Any) -> Row:
        return Row(name, unit, spread, *_baseline(results.stock, key), **more)

    return [
        row("turn, median", "ms", "median", _medians(gateway.turns), must=5, times=True),
        row("turn, 95th percentile", "ms", "tail", _tails(gateway.turns)),
        row(f"turns/s, {clients}", "/s", "rate", Spread.of(gateway.rates), faster=True, must=5, times=True),
        row("turn over HTTP, median", "ms", "median", ours["median"]),
        row("turn over HTTP, 95th percentile", "ms", "tail", ours["tail"]),
        row(f"turns/s over HTTP, {clients}", "/s", "rate", ours["rate"], faster=True),
        row(f"processor time a turn over HTTP, {clients}", "ms", "processor", ours["processor"]),
        row(_growth_name(results), "x", "growth", _growths(gateway.growths), must=1.5),
        row("start to ready", "s", "start", ours["start"], must=20),
        row("training", "s", "training", Spread.of(results.training), must=90),
        row("memory after the load", "MB", "memory", ours["memory"], must=800),
    ]


def _desk_rows(desk: DeskFigures) -> list[Row]:
    there = f"{desk.chats} chats, {desk.pages} pages"
    screen = (
        Row("message to the screen of a browser, 95th percentile", "ms", _tails(desk.to_screen), must=_DESK_MOST)
        if desk.to_screen
        else None
    )
    found = [
        Row(f"message to the agent's page, {there}, median", "ms", _medians(desk.to_agent)),
        Row("message to the agent's page, 95th percentile", "ms", _tails(desk.to_agent), must=_DESK_MOST),
        screen,
        Row("answer to the customer's chat, median", "ms", _medians(desk.to_customer)),
        Row("answer to the customer's chat, 95th percentile", "ms", _tails(desk.to_customer), must=_DESK_MOST),
        Row("processor of the server meanwhile", "% of a core", Spread.of(100 * share for share in desk.processor)),
    ]
    return [row for row in found if row is not None]


def as_markdown(results: Results) -> str:
    """The table, and under which conditions it was measured."""
    lines = [_line(_HEADER), _line(["---"] * len(_HEADER)), *(_line(_cells(row)) for row in rows(results))]
    return "\n".join([*lines, "", *_conditions(results), ""])


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write bench.md and bench.json."""
    folder.mkdir(parents=True, exist_ok=True)
    table, values = folder / "bench.md", folder / "bench.json"
    table.write_text(as_markdown(results), encoding="utf-8")
    content = {"rows": [_as_json(row) for row in rows(results)], **dataclasses.asdict(results)}
    values.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    return table, values


def _baseline(stock: Stock | None, key: str) -> tuple[Spread | None, Spread | None]:
    if stock is None:
        return None, None
    if key == "training":
        return Spread.of([stock.model.training_seconds]), None
    if key == "growth":
        return _growths(stock.in_memory.growths), _growths(stock.stored.growths)
    return _spreads(stock.in_memory)[key], _spreads(stock.stored)[key]


def _spreads(figures: ServedFigures) -> dict[str, Spread]:
    return {
        "median": _medians(figures.turns),
        "tail": _tails(figures.turns),
        "rate": Spread.of(figures.rates),
        "processor": Spread.of(1000 * seconds for seconds in figures.processor),
        "start": Spread.of(figures.starts),
        "memory": Spread.of([figures.resident_bytes / _MEGABYTE]),
    }


def _conditions(results: Results) -> list[str]:
    here = results.machine
    libraries = ", ".join(f"{name} {number}" for name, number in here.libraries.items())
    said = [
        f"{here.cpu}, {here.cores} cores, {here.memory_gb:.0f} GB, {here.system}; Python {here.python}, {libraries}. "
        f"{here.started_at}, {results.seconds / 60:.0f} minutes. Medians of repeats, least and most in brackets.",
    ]
    if here.busy:
        said.append(f"**The machine was busy (load {here.load} at the start): the figures are not to be relied on.**")
    if results.turns is not None:
        said += _conditions_of_turns(results.turns)
    if results.desk is not None:
        said.append(_conditions_of_the_desk(results.desk))
    return ["- " + sentence for sentence in said]


def _conditions_of_turns(turns: Turns) -> list[str]:
    said = [
        f"{turns.plan.repeats} repeats; a repeat of single turns is the mix of conversations {turns.plan.rounds} times."
    ]
    if turns.stock is None:
        said.append("Stock Rasa was not measured; `--stock` does it.")
    else:
        model = turns.stock.model
        said.append(
            f"Stock Rasa was trained with {model.epochs} epochs"
            + ("" if model.epochs == DEFAULT_EPOCHS else f" (its default is {DEFAULT_EPOCHS}, and takes longer)")
            + (f", in an earlier run of {model.trained_at}" if model.kept else ", in this run")
            + ("." if model.same_examples else ", on training examples that have changed since.")
        )
        said.append(
            f"Stock Rasa: {turns.stock.plan.repeats} repeats of {turns.stock.plan.rounds} times the mix, over "
            "its REST channel. “Stored”: with its SQL tracker store on SQLite; as it comes it forgets conversations "
            "when it stops. The first three lines hold our gateway against that HTTP; the two budgets of speed are "
            "against the stored one."
        )
    return said


def _conditions_of_the_desk(desk: DeskFigures) -> str:
    counts = " and ".join(
        f"{sum(map(len, repeats))} {what}"
        for what, repeats in (("messages", desk.to_agent), ("answers", desk.to_customer))
    )
    shown = "one of the pages in a real browser" if desk.to_screen else "no browser, which was not found"
    return (
        f"The desk: {counts} in {len(desk.to_agent)} repeats, from before the sender's request until the other side "
        f"has the words; {desk.pages} open pages, {shown}; clients and server on the same cores."
    )


def _growth_name(results: Turns) -> str:
    name = f"turn {results.plan.late_turn} / turn 5"
    return name + (f" (stock: turn {results.stock.plan.late_turn})" if results.stock else "")


def _cells(row: Row) -> list[str]:
    must = "" if row.must is None else f"{row.must:g} x" if row.times else f"{row.must:g} {row.unit}"
    met = "" if row.met is None else "met" if row.met else "MISSED"
    return [
        row.name,
        _spread(row.ours, row.unit),
        _spread(row.stock, row.unit),
        _times(row.ratio),
        _spread(row.stored, row.unit),
        _times(row.ratio_stored),
        must,
        met,
    ]


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f} x"


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    middle = f"{_number(spread.median)} {unit}"
    return middle if spread.repeats == 1 else f"{middle} ({_number(spread.least)} to {_number(spread.most)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _medians(repeats: list[list[float]]) -> Spread:
    return Spread.of(1000 * median(turns) for turns in repeats)


def _tails(repeats: list[list[float]]) -> Spread:
    return Spread.of(1000 * percentile(turns, 95) for turns in repeats)


def _growths(repeats: list[Growth]) -> Spread:
    return Spread.of(growth.ratio for growth in repeats)


def _as_json(row: Row) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "ratio": row.ratio, "ratio_stored": row.ratio_stored, "met": row.met}


def _cpu() -> str:
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())
