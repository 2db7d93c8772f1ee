"""`supportbot bench`: measures, prints the table and keeps it in reports/."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import aiohttp

from bench import desk, ours, report, served, stock
from bench.desk import DeskPlan
from bench.load import Plan
from bench.processes import ProcessFailed
from bot.conversation.training import find_model, is_current
from bot.settings import PROJECT

FULL = Plan(repeats=3, rounds=4, clients=16, long_turns=502)
STOCK = Plan(repeats=2, rounds=2, clients=16, long_turns=122)
QUICK = Plan(repeats=1, rounds=1, clients=4, long_turns=52)
DESK_FULL = DeskPlan(repeats=3, seconds=60)
DESK_QUICK = DeskPlan(repeats=1, seconds=12)
# What a turn costs does not depend on it, and training for more takes longer than everything else together.
_EPOCHS = 4


def main(arguments: Sequence[str]) -> int:
    """Measure what the options ask for; the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _stop)
    began, now = time.monotonic(), datetime.now(timezone.utc)
    cache = PROJECT / "var" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    here = report.machine(now)
    if here.busy:
        _say(f"The machine is busy (load {here.load}); the figures will not be reliable.")
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as folder:
        try:
            results = _measure(options, Path(folder), cache, here, began)
        except (ProcessFailed, RuntimeError, aiohttp.ClientError) as error:
            _say(f"{error}{_last_lines(error)}")
            return 1
    table, values = report.write(results, options.out)
    print(table.read_text(encoding="utf-8"))
    _say(f"Kept in {table} and, with every value, {values}.")
    return 0


def _measure(
    options: argparse.Namespace, folder: Path, cache: Path, here: report.Machine, began: float
) -> report.Results:
    turns = None if options.desk else _measure_turns(options, folder, cache)
    if turns is None:
        _provide_model(folder)
    _say("The desk with fifty open pages.")
    figures = desk.measure(ours.served(folder, "desk"), DESK_QUICK if options.quick else DESK_FULL)
    return report.Results(here, time.monotonic() - began, turns, figures)


def _provide_model(folder: Path) -> None:
    """The project's trained model if it is current, or one trained now: the desk does not depend on what it learnt."""
    model = find_model(PROJECT / "models")
    if model is None or not is_current(model, PROJECT):
        _say("Training.")
        ours.train(folder)
    else:
        (folder / "models").symlink_to(model.path.parent)


def _measure_turns(options: argparse.Namespace, folder: Path, cache: Path) -> report.Turns:
    plan = QUICK if options.quick else FULL
    stock_plan = QUICK if options.quick else STOCK
    _say("Training.")
    training = [ours.train(folder) for _ in range(plan.repeats)]
    _say("Turns through the gateway.")
    gateway = ours.measure_gateway(folder, plan)
    _say("Start, and turns over HTTP.")
    # No long conversation: over HTTP a conversation may send only so many messages a minute.
    over_http = served.measure(functools.partial(ours.served, folder), replace(plan, long_turns=0))
    baseline = None
    if options.stock:
        _say(f"Stock Rasa: training with {options.stock_epochs} epochs, unless an earlier run did.")
        model = stock.train(cache, epochs=options.stock_epochs, fresh=options.fresh)
        _say("Stock Rasa: start, and turns over HTTP, with conversations in memory.")
        in_memory = served.measure(functools.partial(stock.served, model, folder, stored=False), stock_plan)
        _say("Stock Rasa: the same with conversations in SQLite.")
        stored = served.measure(functools.partial(stock.served, model, folder, stored=True), stock_plan)
        baseline = report.Stock(model, in_memory, stored, stock_plan)
    return report.Turns(plan, training, gateway, over_http, baseline)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="supportbot bench", description="Measure speed and memory.")
    parser.add_argument("--desk", action="store_true", help="measure the desk alone: a busy agent, fifty open pages")
    parser.add_argument("--stock", action="store_true", help="measure stock Rasa too, for the ratios (slow)")
    parser.add_argument(
        "--stock-epochs", type=_epochs, default=_EPOCHS, metavar="N", help="train stock Rasa this long (%(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="train stock Rasa though an earlier run did")
    parser.add_argument("--quick", action="store_true", help="measure little, to see that it works")
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "reports", metavar="FOLDER", help="where to keep the results (reports/)"
    )
    options = parser.parse_args(list(arguments))
    if options.desk and options.stock:
        parser.error("--desk measures the desk alone, which stock Rasa does not have")
    return options


def _epochs(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= stock.DEFAULT_EPOCHS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {stock.DEFAULT_EPOCHS}, not {text!r}")
    return int(text)


def _stop(signum: int, frame: object) -> None:
    """End the measured servers too when asked to end."""
    raise SystemExit(128 + signum)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _last_lines(error: Exception) -> str:
    """The end of a failed process's output, which goes with the temporary folder."""
    log = getattr(error, "log", None)
    if log is None:
        return ""
    return "\n" + "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
