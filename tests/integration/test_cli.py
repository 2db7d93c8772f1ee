"""The `supportbot` command: what it prints, its exit codes, and one clear sentence for each mistake."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.cli import main
from bot.conversation import history
from bot.policy.loader import load_packs
from bot.services import handoff
from bot.services.outbox import OutboxKind, enqueue
from bot.services.ports import SystemClock
from bot.settings import PROJECT
from bot.store.tables import Agent, Conversation, Outbox, Ticket
from bot.store.unit_of_work import Store, make_engine

COMMANDS = [
    "run",
    "train",
    "chat",
    "parse",
    "db",
    "policy",
    "brand",
    "tick",
    "agents",
    "mail",
    "nlu",
    "outbox",
    "evaluate",
    "bench",
]
PACK = PROJECT / "data" / "policies" / "joltsms.yml"
PROGRAM = Path(sys.executable).parent / "supportbot"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing is set but folders for this test alone; of the brands there is one."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    packs = tmp_path / "packs"
    packs.mkdir()
    shutil.copy(PACK, packs)
    return {**kept, "SUPPORTBOT_VAR": str(tmp_path / "var"), "SUPPORTBOT_PACKS": str(packs)}


@pytest.fixture
def supportbot(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logs_as_before: None,
) -> Run:
    """Runs a command in this process."""

    def run(*arguments: str, text: str = "", **environ: str) -> Done:
        monkeypatch.setattr(os, "environ", {**environment, **environ})
        monkeypatch.setattr(sys, "argv", [str(PROGRAM), *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return Done(int(end.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def process(environment: dict[str, str]) -> Run:
    """Runs a command in a process of its own, as it is installed."""

    def run(*arguments: str, **environ: str) -> Done:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**environment, **environ},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def seeded(demo_file: Path, environment: dict[str, str]) -> Path:
    """A database with the demo customers, at the default place; gives its file."""
    file = Path(environment["SUPPORTBOT_VAR"]) / "supportbot.db"
    file.parent.mkdir()
    shutil.copyfile(demo_file, file)
    return file


def refused(done: Done, *words: str, code: int = 2) -> None:
    """Nothing on standard output, the exit code, and a sentence that has these words."""
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert done.code == code


# --- help ------------------------------------------------------------------------------------------------------------


def test_help_lists_every_command(supportbot: Run) -> None:
    """Each with what it does."""
    done = supportbot("--help")
    assert done.code == 0
    listed = [line.split() for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert sorted(words[0] for words in listed) == sorted(COMMANDS)
    assert all(len(words) > 2 for words in listed)


def test_help_is_there_at_once() -> None:
    """No command's help waits for Rasa, a database or a web server to be imported."""
    program = "import sys, bot.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert {"rasa", "sqlalchemy", "starlette", "spacy", "yaml", "rich"} & set(loaded.stdout.split()) == set()


def test_an_unknown_command_or_option_is_a_wrong_use(supportbot: Run) -> None:
    """With what to type for help."""
    refused(supportbot("fly"), "No such command", "--help")
    refused(supportbot("db", "upgrade", "--fast"), "No such option", "--help")


# --- settings and surprises ------------------------------------------------------------------------------------------


def test_a_setting_that_cannot_be_used_is_named(supportbot: Run) -> None:
    """Before anything is done."""
    refused(supportbot("run", PORT="http"), "PORT must be a port from 1 to 65535, not 'http'.")


def test_a_database_that_cannot_be_reached_is_named_without_its_password(supportbot: Run) -> None:
    """The reason is the driver's."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://bot:hunter2@127.0.0.1:{nobody.getsockname()[1]}/support"
        done = supportbot("db", "upgrade", DATABASE_URL=url)
    refused(done, "The database postgresql://bot:***@127.0.0.1", "refused", code=1)
    assert "hunter2" not in done.stderr


def test_what_nobody_foresaw_is_kept_in_a_log(supportbot: Run, tmp_path: Path) -> None:
    """The sentence says where; the log has the stack trace."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "supportbot.db").write_bytes(b"this is no database, whatever its name says" * 100)
    done = supportbot("db", "upgrade")
    log = tmp_path / "var" / "log" / "errors.log"
    refused(done, "not foreseen", str(log), code=1)
    assert "Traceback" in log.read_text()


def test_a_port_in_use_is_noticed_at_once(process: Run, tmp_path: Path) -> None:
    """Before the model is looked for, which is not there, and saying what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = process("run", PORT=port, SUPPORTBOT_DEMO="1", SUPPORTBOT_MODELS=str(tmp_path / "none"))
    refused(done, f"127.0.0.1:{port}", "Address already in use", "PORT", code=1)


def test_output_that_nobody_reads_is_no_error(seeded: Path, environment: dict[str, str]) -> None:
    """As in `supportbot db show ... | head -1`."""
    command = f"{PROGRAM} db show finn@jolt.example --json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("{\n", "")


# --- run without what it needs ---------------------------------------------------------------------------------------


def test_outside_demo_mode_nothing_is_served_without_secrets(supportbot: Run, seeded: Path) -> None:
    """All that is missing is named."""
    refused(supportbot("run", PORT=free_port()), "SUPPORTBOT_SECRET", "SUPPORTBOT_JWT_SECRET_JOLTSMS", "SMTP_URL")


def test_an_old_database_is_not_served(supportbot: Run) -> None:
    """Migrating is a deliberate act."""
    refused(supportbot("run", PORT=free_port(), SUPPORTBOT_DEMO="1"), "supportbot db upgrade", code=1)


def test_an_untrained_model_is_not_served(supportbot: Run, seeded: Path, tmp_path: Path) -> None:
    """Nor parsed with, nor chatted with."""
    untrained = {"SUPPORTBOT_MODELS": str(tmp_path / "none"), "SUPPORTBOT_DEMO": "1", "PORT": free_port()}
    for command in (["run"], ["parse"], ["chat", "--brand", "joltsms"]):
        refused(supportbot(*command, **untrained), "supportbot train", code=1)


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


# --- db --------------------------------------------------------------------------------------------------------------


def test_the_database_is_made_filled_and_shown(supportbot: Run) -> None:
    """Seeding again changes nothing."""
    assert supportbot("db", "upgrade").code == 0
    assert supportbot("db", "seed").stdout == "Added 14 demo customers.\n"
    assert supportbot("db", "seed").stdout == "All demo customers are there.\n"
    shown = json.loads(supportbot("db", "show", "ava@jolt.example", "--json").stdout)
    assert shown["customer"]["email"] == "ava@jolt.example"
    assert [row["price_minor"] for row in shown["subscriptions"]] == [1500]


def test_a_customer_is_shown_to_people_too(supportbot: Run, seeded: Path) -> None:
    """Without what is empty."""
    shown = supportbot("db", "show", "AVA@jolt.example").stdout
    assert "email: ava@jolt.example" in shown
    assert "refunds" not in shown


def test_an_unknown_customer_is_said_to_be_unknown(supportbot: Run, seeded: Path) -> None:
    """With the address, in case of a slip."""
    refused(supportbot("db", "show", "nobody@jolt.example", "--json"), "nobody@jolt.example")


@pytest.mark.parametrize(
    "command",
    [["db", "seed"], ["db", "show", "ava@jolt.example"], ["tick"], ["agents", "add", "a@b.example", "--name", "A"]],
)
def test_a_database_without_the_schema_is_not_worked_on(supportbot: Run, command: list[str]) -> None:
    """The sentence says what to run."""
    refused(supportbot(*command, text="long enough to do\n"), "supportbot db upgrade", code=1)


# --- policy ----------------------------------------------------------------------------------------------------------


def test_the_packs_of_this_release_are_fine(supportbot: Run) -> None:
    """All of them, and each by itself."""
    everything = supportbot("policy", "check", SUPPORTBOT_PACKS="")
    one = supportbot("policy", "check", str(PACK))
    assert (everything.code, one.code) == (0, 0)
    assert one.stdout in everything.stdout
    assert one.stdout.startswith("joltsms: version ")


def test_each_problem_of_a_pack_has_file_line_and_key(supportbot: Run, tmp_path: Path) -> None:
    """One a line, as editors understand them."""
    lines = PACK.read_text(encoding="utf-8").splitlines()
    number = next(index for index, line in enumerate(lines, 1) if line.strip().startswith("currency:"))
    lines[number - 1] = lines[number - 1].partition(":")[0] + ": dollars"
    broken = tmp_path / "joltsms.yml"
    broken.write_text("\n".join(lines), encoding="utf-8")
    refused(supportbot("policy", "check", str(broken)), f"{broken}:{number}: brand.currency: ", code=1)
    refused(supportbot("policy", "check", SUPPORTBOT_PACKS=str(tmp_path)), f"{broken}:{number}:", code=1)


def test_a_pack_that_is_not_there_is_named(supportbot: Run) -> None:
    """Not with a stack trace."""
    refused(supportbot("policy", "check", "nowhere.yml"), "nowhere.yml", "cannot be read", code=1)


def test_a_decision_is_json_in_and_json_out(supportbot: Run, tmp_path: Path) -> None:
    """From a file or from standard input, and the same each time."""
    question = json.dumps({"request": {"kind": "cancel", "now": "2026-11-22T09:00:00+00:00"}, "facts": {}})
    (tmp_path / "facts.json").write_text(question)
    one = supportbot("policy", "decide", "--brand", "joltsms", "--facts", str(tmp_path / "facts.json"))
    two = supportbot("policy", "decide", "--brand", "joltsms", "--facts", "-", text=question)
    assert one.code == 0, one.stderr
    assert one.stdout == two.stdout
    assert {"outcome", "rule_id", "policy_version"} <= json.loads(one.stdout).keys()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        pytest.param("{", ["Standard input is not JSON"], id="half an object"),
        pytest.param("[" * 100_000, ["not JSON"], id="too deep"),
        pytest.param("", ["not JSON"], id="nothing"),
        pytest.param("[]", ["request", "facts"], id="a list"),
        pytest.param('{"facts": {}}', ["request", "missing"], id="no request"),
        pytest.param('{"request": {"kind": "cancel"}, "facts": {"shoe_size": 44}}', ["shoe_size"], id="no such fact"),
        pytest.param('{"request": {"kind": "fly"}, "facts": {}}', ["kind"], id="no such kind"),
        pytest.param('{"request": {"kind": "cancel", "now": "yesterday"}, "facts": {}}', ["now"], id="no moment"),
    ],
)
def test_a_question_that_cannot_be_decided_is_refused(supportbot: Run, question: str, words: list[str]) -> None:
    """Naming what is wrong with it."""
    refused(supportbot("policy", "decide", "--brand", "joltsms", "--facts", "-", text=question), *words)


def test_a_file_of_facts_that_is_not_there_is_named(supportbot: Run) -> None:
    """As it was typed."""
    refused(
        supportbot("policy", "decide", "--brand", "joltsms", "--facts", "nowhere.json"), "nowhere.json cannot be read"
    )


def test_an_unknown_brand_gets_the_known_ones(supportbot: Run) -> None:
    """In case of a slip."""
    refused(supportbot("policy", "decide", "--brand", "jolt", "--facts", "-", text="{}"), "'jolt'", "joltsms")


def test_a_rule_is_explained_with_its_source(supportbot: Run, seeded: Path) -> None:
    """A customer's address is nowhere in it."""
    done = supportbot("policy", "explain", "j-r1")
    assert done.code == 0
    assert "J-R1 of joltsms (policy version" in done.stdout
    assert "matter is one of duplicate_charge, general" in done.stdout
    assert "data/help_center/joltsms/refunds.md, section billing-errors-and-duplicate-charges" in done.stdout
    assert "@" not in done.stdout
    assert "applies from 2026-06-19" in supportbot("policy", "explain", "J-R6-withdrawal", "--brand", "joltsms").stdout


def test_an_unknown_rule_gets_those_near_it(supportbot: Run, seeded: Path) -> None:
    """And an unknown brand those there are."""
    refused(supportbot("policy", "explain", "J-R11"), "There is no rule J-R11", "Near it: J-R1")
    refused(supportbot("policy", "explain", "J-R1", "--brand", "acme"), "'acme'", "joltsms")


def test_a_brand_is_started_and_says_what_is_missing(supportbot: Run, tmp_path: Path) -> None:
    """Started twice, or under a name that cannot be one, nothing is written."""
    places = {"SUPPORTBOT_PACKS": str(tmp_path / "p"), "SUPPORTBOT_HELP": str(tmp_path / "h")}
    done = supportbot("brand", "new", "acme", **places)
    pack = tmp_path / "p" / "acme.yml"
    assert (done.code, done.stdout.count("Wrote ")) == (0, 2)
    assert (tmp_path / "h" / "acme" / "leaving.md").is_file()
    missing = f"{pack}:8: brand.name: is not filled in yet: it must be text"
    refused(supportbot("policy", "check", str(pack), **places), missing, code=1)
    refused(supportbot("brand", "new", "acme", **places), "There is a brand acme already")
    refused(supportbot("brand", "new", "Acme!", **places), "'Acme!' cannot be a brand's name", "acme-phone")


def test_a_source_without_an_article_is_a_problem(supportbot: Run, tmp_path: Path) -> None:
    """With file, line and key, like every other."""
    broken = tmp_path / "joltsms.yml"
    text = PACK.read_text(encoding="utf-8").replace("source: refunds#at-a-glance", "source: refunds#glance", 1)
    broken.write_text(text, encoding="utf-8")
    number = text[: text.index("refunds#glance")].count("\n") + 1
    refused(supportbot("policy", "check", str(broken)), f"{broken}:{number}: rules.refund[0].source: ", code=1)


# --- tick ------------------------------------------------------------------------------------------------------------


def test_time_can_be_moved_on(supportbot: Run, process: Run, seeded: Path) -> None:
    """What Finn cancelled happens when it is due, and once."""
    assert supportbot("tick").stdout == "Carried out 0 events.\n"
    first = process("tick", "--now", "2099-01-01T00:00:00Z").stdout
    second = supportbot("tick", "--now", "2099-01-01T00:00:00Z").stdout
    assert first != second == "Carried out 0 events.\n"


def test_who_waits_for_a_person_is_not_forgotten_without_a_running_server(process: Run, seeded: Path) -> None:
    """Asked when the promised time is over, and given a case when nothing is chosen: each once."""
    now = SystemClock().now()
    store = Store(make_engine(f"sqlite:///{seeded}"))
    with store.write() as uow:
        talk = history.open_conversation(
            uow, brand="joltsms", channel="widget", external_id="w", greeting=[], name="JoltSMS", now=now
        ).id
        pack = load_packs(PROJECT / "data" / "policies")["joltsms"]
        handoff.queue_up(uow, pack=pack, conversation_id=talk, reason="asked", message_id="m", now=now)
        uow.commit()
    told = "Told 1 who wait for a person how it goes on.\n"
    for minutes, expected in ((1, ""), (6, told), (6, ""), (40, told), (40, "")):
        at = (now + timedelta(minutes=minutes)).isoformat()
        assert process("tick", "--now", at).stdout == f"Carried out 0 events.\n{expected}", minutes
    with store.read() as uow:
        assert uow.get(Conversation, talk).owner == "bot"
        assert len(uow.session.execute(select(Ticket).where(Ticket.conversation_id == talk)).all()) == 1
    store.close()


@pytest.mark.parametrize("moment", ["tomorrow", "2026-13-01", ""])
def test_a_moment_that_is_none_is_refused(supportbot: Run, seeded: Path, moment: str) -> None:
    """Saying how one is written."""
    refused(supportbot("tick", "--now", moment), "--now", "2026-12-01T09:00:00+00:00")


# --- agents ----------------------------------------------------------------------------------------------------------


def test_an_agent_is_added_once(supportbot: Run, seeded: Path) -> None:
    """With a hash of the password, for all brands unless some are named."""
    add = ["agents", "add", "Rosa@desk.example", "--name", "Rosa", "--role", "supervisor"]
    done = supportbot(*add, text="correct horse battery\n")
    assert done.stdout == "Added rosa@desk.example as supervisor for joltsms.\n", done.stderr
    refused(supportbot(*add, text="correct horse battery\n"), "rosa@desk.example", "already")
    store = Store(make_engine(f"sqlite:///{seeded}"))
    with store.read() as uow:
        agent = uow.session.execute(select(Agent)).scalar_one()
        assert agent.password_hash.startswith("$argon2id$")
        assert agent.brands == ["joltsms"]
    store.close()


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (["rosa", "--name", "Rosa"], "correct horse battery", ["e-mail address"]),
        (["rosa@desk.example", "--name", " "], "correct horse battery", ["name"]),
        (["rosa@desk.example", "--name", "Rosa"], "horse", ["password", "12"]),
        (["rosa@desk.example", "--name", "Rosa", "--brand", "acme"], "correct horse battery", ["acme", "joltsms"]),
        (["rosa@desk.example", "--name", "Rosa", "--role", "boss"], "correct horse battery", ["boss", "supervisor"]),
    ],
)
def test_an_agent_that_cannot_be_is_refused(
    supportbot: Run, seeded: Path, arguments: list[str], password: str, words: list[str]
) -> None:
    """Saying what would do."""
    refused(supportbot("agents", "add", *arguments, text=password + "\n"), *words)


def test_dead_letters_are_listed_and_sent_again(supportbot: Run, seeded: Path) -> None:
    assert "Nothing was given up" in supportbot("outbox", "list").stdout
    store = Store(make_engine(f"sqlite:///{seeded}"))
    with store.write() as uow:
        given = {"kind": OutboxKind.EMAIL, "recipient": "a@b.example", "payload": {}, "idempotency_key": "dead"}
        out = enqueue(uow, now=SystemClock().now(), **given)
        row = uow.get(Outbox, out)
        row.status, row.attempts, row.last_error = "dead", 10, "550 no such user"
        uow.commit()
    assert "email to a@b.example: 550 no such user" in supportbot("outbox", "list").stdout
    assert json.loads(supportbot("outbox", "list", "--json").stdout)[0]["id"] == out
    assert supportbot("outbox", "retry", "--all").stdout == "1 to be sent again.\n"
    with store.read() as uow:
        assert uow.get(Outbox, out).status == "pending"
    store.close()
    refused(supportbot("outbox", "retry", out), "only what was given up")
    refused(supportbot("outbox", "retry"), "Name the ids")


def test_a_mail_piped_in_is_taken_once(supportbot: Run, seeded: Path) -> None:
    mail = "From: Zoe <zoe@mail.example>\nTo: support@joltsms.example\nMessage-ID: <1@x>\nSubject: Hi\n\nHello?\n"
    assert supportbot("mail", "receive", text=mail).stdout.startswith("opened TCK-")
    assert supportbot("mail", "receive", text=mail).stdout.startswith("known TCK-")
    refused(supportbot("mail", "receive", text="Subject: nobody\n\nx"), "no sender")


def test_agents_are_changed_and_shut_out(supportbot: Run, seeded: Path) -> None:
    supportbot("agents", "add", "amy@desk.example", "--name", "Amy", text="correct horse battery\n")
    assert (
        "is supervisor for joltsms now"
        in supportbot("agents", "change", "amy@desk.example", "--role", "supervisor").stdout
    )
    assert "cannot sign in any more" in supportbot("agents", "deactivate", "amy@desk.example").stdout
    assert "Amy, supervisor for joltsms, deactivated" in supportbot("agents", "list").stdout
    assert "may sign in again" in supportbot("agents", "deactivate", "amy@desk.example", "--undo").stdout
    refused(supportbot("agents", "deactivate", "nobody@desk.example"), "no agent")
    refused(supportbot("agents", "change", "amy@desk.example"), "Say what to change")
