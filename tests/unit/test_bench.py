"""The measurements' arithmetic and report; nothing here is timed."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import yaml

from bench import report, run, stock
from bench.conversations import MIX, ROUND, Customer, endless
from bench.desk import DeskFigures, Journeys
from bench.figures import Spread, percentile
from bench.load import Growth, Plan, Player, Step, typed
from bench.ours import GatewayFigures
from bench.served import ServedFigures
from bench.stock import StockModel

PLAN = Plan(repeats=3, rounds=1, clients=16, long_turns=502)


def machine(load: float = 0.0) -> report.Machine:
    """A machine with two cores."""
    return report.Machine("a processor", 2, 8.0, "Linux x86_64", "3.10.13", {"rasa": "3.6.21"}, "2026-11-22", load)


def served(milliseconds: float, rate: float) -> ServedFigures:
    """Three repeats that are all alike."""
    turns = [[milliseconds / 1000] * 20] * 3
    return ServedFigures([4.0, 5.0, 6.0], turns, [rate] * 3, [0.01] * 3, [Growth(0.01, 0.02)] * 3, 300_000_000)


def results(*, with_stock: bool, epochs: int = 30, kept: bool = False, load: float = 0.0) -> report.Results:
    """Ours takes 10 ms a turn, stock 80 ms."""
    model = StockModel(Path("stock"), epochs, 300.0, "2026-11-21", kept)
    turns = report.Turns(
        plan=PLAN,
        training=[30.0],
        gateway=GatewayFigures([[0.010] * 20] * 3, [100.0, 90.0, 110.0], [Growth(0.010, 0.011)] * 3),
        served=served(12, 80),
        stock=report.Stock(model, served(80, 20), served(100, 10), Plan(3, 1, 16, 122)) if with_stock else None,
    )
    return report.Results(machine=machine(load), seconds=600, turns=turns)


def at_the_desk(milliseconds: float, *, screen: bool = True) -> report.Results:
    """Two repeats of twenty messages, one of them slower than the others."""
    seconds = [[milliseconds / 1000] * 18 + [milliseconds / 500] * 2] * 2
    figures = DeskFigures(9, 50, seconds, seconds, seconds if screen else [], [0.5, 0.6])
    return report.Results(machine=machine(), seconds=120, desk=figures)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1.0), (50, 10.0), (95, 19.0), (99, 20.0), (100, 20.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(20, 0, -1)], percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 95), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_a_spread_has_the_middle_and_the_ends() -> None:
    assert Spread.of(iter([3.0, 1.0, 2.0])) == Spread(median=2.0, least=1.0, most=3.0, repeats=3)


def test_a_ratio_says_how_many_times_better_than_stock() -> None:
    rows = {row.name: row for row in report.rows(results(with_stock=True))}
    assert rows["turn, median"].ratio == pytest.approx(8)
    assert rows["turns/s, 16 clients"].ratio == pytest.approx(5)
    assert rows["training"].ratio == pytest.approx(10)
    assert rows["turns/s, 16 clients"].ratio_stored == pytest.approx(10)
    assert rows["training"].ratio_stored is None


def test_budgets_are_held_against_the_ratio_or_the_figure() -> None:
    rows = {row.name: row for row in report.rows(results(with_stock=True))}
    assert rows["turn, median"].met is True
    assert rows["start to ready"].met is True
    assert rows["turn over HTTP, median"].met is None
    slow = report.Row("start to ready", "s", Spread.of([21.0]), must=20)
    assert slow.met is False


def test_without_stock_there_are_no_ratios_and_no_verdicts_on_them() -> None:
    rows = {row.name: row for row in report.rows(results(with_stock=False))}
    assert all(row.ratio is None for row in rows.values())
    assert rows["turn, median"].met is None
    assert "Stock Rasa was not measured" in report.as_markdown(results(with_stock=False))


@pytest.mark.parametrize(
    ("epochs", "kept", "sentence"),
    [
        (100, False, "Stock Rasa was trained with 100 epochs, in this run."),
        (30, False, "with 30 epochs (its default is 100, and takes longer), in this run."),
        (30, True, "takes longer), in an earlier run of 2026-11-21."),
    ],
)
def test_the_report_says_how_stock_was_trained(epochs: int, kept: bool, sentence: str) -> None:
    assert sentence in report.as_markdown(results(with_stock=True, epochs=epochs, kept=kept))


def test_the_report_warns_of_a_busy_machine() -> None:
    assert "not to be relied on" in report.as_markdown(results(with_stock=True, load=3.0))
    assert "not to be relied on" not in report.as_markdown(results(with_stock=True, load=0.1))


@pytest.mark.parametrize(("milliseconds", "met"), [(149, True), (151, False)])
def test_the_desks_budget_is_held_against_the_slow_ones(milliseconds: float, met: bool) -> None:
    rows = [row for row in report.rows(at_the_desk(milliseconds)) if row.must is not None]
    assert [row.met for row in rows] == [met] * 3
    assert all("95th percentile" in row.name for row in rows)


def test_the_report_of_the_desk_says_how_much_was_measured_and_whether_a_browser_was_there() -> None:
    text = report.as_markdown(at_the_desk(50))
    assert "40 messages and 40 answers in 2 repeats" in text
    assert "one of the pages in a real browser" in text
    assert "9 chats, 50 pages" in text
    assert "Stock Rasa was not" not in text
    without = report.as_markdown(at_the_desk(50, screen=False))
    assert "no browser" in without
    assert "screen of a browser" not in without


async def test_a_message_that_is_lost_fails_the_measurement() -> None:
    journeys = Journeys()
    journeys.leave("#1#")
    journeys.leave("#2#")
    journeys.arrive("<p>something #1#</p>")
    journeys.arrive("<p>never sent #3#</p>")
    with pytest.raises(RuntimeError, match="1 of 2 messages never arrived"):
        await journeys.all_arrived(patience=0)
    journeys.arrive("#2#")
    assert all(seconds >= 0 for seconds in await journeys.all_arrived(patience=0))


def test_the_report_is_a_table_and_json_with_every_value(tmp_path: Path) -> None:
    table, values = report.write(results(with_stock=True), tmp_path / "reports")
    lines = table.read_text().splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    ours, stock, stored = "10.0 ms (10.0 to 10.0)", "80.0 ms (80.0 to 80.0)", "100 ms (100 to 100)"
    assert cells == ["turn, median", ours, stock, "8.0 x", stored, "10.0 x", "5 x", "met"]
    kept = json.loads(values.read_text())
    assert kept["turns"]["gateway"]["rates"] == [100.0, 90.0, 110.0]
    assert kept["rows"][0]["met"] is True


def test_the_late_window_has_the_messages_of_the_early_one() -> None:
    for plan in (run.FULL, run.STOCK, run.QUICK):
        steps = endless(plan.long_turns).steps
        assert steps[2 : 2 + len(ROUND)] == steps[-len(ROUND) :]
        assert plan.late_turn == plan.long_turns - 2


def test_a_text_is_typed_another_way_and_stays_the_same_text() -> None:
    chance = Random(1)
    versions = {typed("how do I cancel a number?", chance) for _ in range(100)}
    assert len(versions) > 90
    assert {version.lower() for version in versions} == {"how do i cancel a number?"}
    assert typed("thank you", chance) == "thank you"


async def test_every_client_plays_the_whole_mix() -> None:
    """Whatever takes the messages sees each script once a client, and buttons untouched."""
    seen: list[Step] = []

    class Listener:
        async def send(self, step: Step) -> None:
            seen.append(step)

    rate = await Player(lambda script: Listener()).together(4)
    assert rate > 0
    assert len(seen) == 4 * sum(len(script.steps) for script in MIX)
    assert sum(step.button for step in seen) == 4 * sum(step.button for script in MIX for step in script.steps)


def test_the_stock_project_is_our_data_with_rasas_default_configuration() -> None:
    files = stock.project_files(epochs=7)
    config = yaml.safe_load(files["config.yml"])
    names = [component["name"] for component in (*config["pipeline"], *config["policies"])]
    assert "DIETClassifier" in names
    assert "TEDPolicy" in names
    assert {component["epochs"] for component in config["pipeline"] if "epochs" in component} == {7}
    intents = yaml.safe_load(files["domain.yml"])["intents"]
    assert {step.intent for script in (*MIX, endless(5)) for step in script.steps} <= set(intents)
    assert {rule["rule"] for rule in yaml.safe_load(files["data/rules.yml"])["rules"]} >= {
        "start cancel_form",
        "answer thank",
    }


def test_only_signed_in_conversations_change_something() -> None:
    changing = {script.name for script in MIX if script.customer is not Customer.ANONYMOUS}
    assert changing == {"cancel", "refund", "investigation"}


def test_the_desk_alone_is_not_compared_with_stock(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--desk", "--stock"])
    assert "which stock Rasa does not have" in capsys.readouterr().err


@pytest.mark.parametrize("epochs", ["0", "101", "many"])
def test_a_number_of_epochs_that_cannot_be_is_refused(epochs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--stock", "--stock-epochs", epochs])
    assert "from 1 to 100" in capsys.readouterr().err
