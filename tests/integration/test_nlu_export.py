"""`supportbot nlu export`: what was reviewed becomes a change of the training data, and it can be measured first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bot.cli import supportbot
from bot.services import review
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.test_review import KNOWN, TORN, said
from tests.unit.services.usecases import agent, conversation


@pytest.fixture
def project(sqlite_demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one training message, and a message that was reviewed."""
    with sqlite_demo_store.write() as uow:
        amy = agent(uow, "Amy")
        message = said(uow, conversation(uow), "smth with my bill, mail ava@jolt.example", TORN)
        review.decide(
            uow,
            agent_id=amy,
            brands=("joltsms",),
            message_id=message,
            intent="check_invoices",
            known=KNOWN,
            now=START,
        )
        uow.commit()
    folder = tmp_path / "data" / "nlu"
    folder.mkdir(parents=True)
    (folder / "account.yml").write_text(
        'version: "3.1"\nnlu:\n- intent: check_invoices\n  examples: |\n    - my bills\n', encoding="utf-8"
    )
    monkeypatch.setattr("bot.settings.PROJECT", tmp_path)
    monkeypatch.setenv("DATABASE_URL", sqlite_demo_store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("SUPPORTBOT_VAR", str(tmp_path))
    return tmp_path


def test_it_is_written_once_without_personal_data(project: Path) -> None:
    first = CliRunner().invoke(supportbot, ["nlu", "export"], catch_exceptions=False)
    assert "1 reviewed, 1 new" in first.output
    written = (project / "data" / "nlu" / "reviewed.yml").read_text(encoding="utf-8")
    assert "- smth with my bill, mail name@example.com\n" in written
    assert "ava@" not in written
    again = CliRunner().invoke(supportbot, ["nlu", "export"], catch_exceptions=False)
    assert "0 reviewed, 0 new" in again.output
    assert "1 in the training data already" in CliRunner().invoke(supportbot, ["nlu", "export", "--again"]).output


def test_whether_it_helps_is_told_and_nothing_is_changed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def cross_validate(*, data: Path, **_: object) -> SimpleNamespace:
        files = len(list(data.glob("*.yml")))
        measured.append(files)
        score = SimpleNamespace(intent="check_invoices", f1=0.8 + files / 20)
        share = 0.8 + files / 20
        return SimpleNamespace(accuracy=share, macro_f1=share, out_of_scope_recall=0.9, intents=(score,))

    monkeypatch.setattr("bot.nlu.evaluate.cross_validate", cross_validate)
    told = CliRunner().invoke(supportbot, ["nlu", "export", "--check"], catch_exceptions=False).output
    assert measured == [1, 2]
    assert "Accuracy: 85.0 % as it is, 90.0 % with them" in told
    assert "check_invoices: F1 +5.0 points" in told
    assert "They help." in told
    assert not (project / "data" / "nlu" / "reviewed.yml").exists()
