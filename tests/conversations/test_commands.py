"""The commands that need the trained model: `run`, `chat`, `parse`, `train --if-needed`; each also as a process."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.cli import main
from bot.conversation.engine import RasaEngine

pytestmark = pytest.mark.conversation
PROGRAM = str(Path(sys.executable).parent / "supportbot")
Talk = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(models: Path, demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Demo mode with the trained model and a database of this module's own."""
    var = tmp_path_factory.mktemp("var")
    shutil.copy(demo_file, var)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "SUPPORTBOT_VAR": str(var), "SUPPORTBOT_MODELS": str(models), "SUPPORTBOT_DEMO": "1"}


@pytest.fixture
def talk(environment: dict[str, str]) -> Talk:
    """Runs a command with lines on its standard input."""

    def run(*arguments: str, lines: str | bytes) -> subprocess.CompletedProcess[str]:
        text = lines.encode() if isinstance(lines, str) else lines
        done = subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, env=environment)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def here(
    environment: dict[str, str],
    engine: RasaEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logs_as_before: None,
) -> Talk:
    """The same in this process, which has loaded the model; None takes a variable away."""
    monkeypatch.setattr("bot.app.load_engine", lambda settings: engine)

    def run(*arguments: str, lines: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        changed = {name: value for name, value in {**environment, **variables}.items() if value is not None}
        monkeypatch.setattr(os, "environ", changed)
        monkeypatch.setattr(sys, "argv", [PROGRAM, *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), printed.out, printed.err)

    return run


# --- set-up ----------------------------------------------------------------------------------------------------------


def test_setting_up_again_after_serving_has_nothing_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    """As `make run` does it the second time."""
    fresh = {**environment, "SUPPORTBOT_VAR": str(tmp_path)}
    told = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "deploy/prepare.py"], capture_output=True, text=True, env=fresh)
        assert done.returncode == 0, done.stderr
        told.append("14 customers" in done.stdout + done.stderr)
        chat = [PROGRAM, "chat", "--brand", "joltsms", "--as", "ava@jolt.example"]
        assert subprocess.run(chat, input=b"thanks\n", capture_output=True, env=fresh).returncode == 0
    assert told == [True, False]


# --- parse -----------------------------------------------------------------------------------------------------------


def test_each_line_is_parsed_to_one_json_object(talk: Talk) -> None:
    """Also one that is empty, not text, or looks like a command."""
    done = talk(
        "parse", lines="cancel my number +14155550101\n\n\U0001f642\n/restart\n".encode() + b"\xff\xfe\nno newline"
    )
    assert (done.returncode, done.stderr) == (0, "")
    parsed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["text"] for one in parsed[1:4]] == ["", "\U0001f642", "/restart"]
    assert len(parsed) == 6
    assert parsed[0]["intent"] == "cancel_subscription"
    assert [entity["value"] for entity in parsed[0]["entities"]] == ["+14155550101"]
    for one in parsed:
        assert {"text", "intent", "confidence", "ranking", "entities"} <= one.keys()
        assert 0 <= one["confidence"] <= 1


# --- chat ------------------------------------------------------------------------------------------------------------


def test_a_number_presses_a_button(talk: Talk) -> None:
    """Ava cancels her number with nothing but the numbers in front of the buttons."""
    done = talk("chat", "--brand", "joltsms", "--as", "ava@jolt.example", lines="1\n1\n")
    assert done.returncode == 0
    assert "[1] Cancel" in done.stdout
    assert "+1 415-555-0101" in done.stdout
    assert "[1] Continue cancelling" in done.stdout


def test_a_mistake_ends_no_chat(here: Talk, tmp_path: Path) -> None:
    """Each gets its sentence, and the next line its answer."""
    (tmp_path / "notes.exe").write_bytes(b"MZ\x90\x00")
    lines = f"\n/file\n/file {tmp_path}/nothing.png\n/file {tmp_path}/notes.exe\n{'x' * 10_000}\n/restart\nthank you\n"
    done = here("chat", "--brand", "joltsms", lines=lines)
    assert (done.returncode, done.stderr) == (0, "")
    for sentence in ("The message is empty", "Say which file", "cannot be read", "cannot take this kind", "10,000"):
        assert sentence in done.stdout, sentence
    assert done.stdout.rstrip().splitlines()[-1] not in ("", lines)


def test_a_file_is_sent_by_its_path(here: Talk, tmp_path: Path) -> None:
    """Names may have blanks."""
    (tmp_path / "my notes.txt").write_text("no text since Monday")
    done = here("chat", "--brand", "joltsms", "--as", "cara@jolt.example", lines=f"/file {tmp_path}/my notes.txt\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--brand", "acme"], "There is no brand 'acme'. Known: joltsms"),
        (
            ["--brand", "joltsms", "--as", "nobody@jolt.example"],
            "No customer of JoltSMS has the e-mail address nobody@",
        ),
    ],
)
def test_a_chat_with_nobody_does_not_start(here: Talk, arguments: list[str], sentence: str) -> None:
    """It says who there is."""
    done = here("chat", *arguments, lines="hello\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(sentence)


def test_a_demo_goes_on_in_the_terminal_without_being_told_so(here: Talk, environment: dict[str, str]) -> None:
    """After `make run`, `supportbot chat` needs no variable."""
    Path(environment["SUPPORTBOT_VAR"], "secrets.json").unlink(missing_ok=True)
    command = ("chat", "--brand", "joltsms")
    assert "SUPPORTBOT_SECRET" in here(*command, lines="", SUPPORTBOT_DEMO=None).stderr
    assert here(*command, lines="").returncode == 0
    assert here(*command, lines="", SUPPORTBOT_DEMO=None).returncode == 0


# --- train -----------------------------------------------------------------------------------------------------------


def test_a_current_model_is_not_trained_again(talk: Talk) -> None:
    """Set-up relies on it."""
    done = talk("train", "--if-needed", lines="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "is current" in done.stdout


# --- run -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that has said that it serves, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PROGRAM, "run"]
    with subprocess.Popen(command, env={**environment, "PORT": str(port)}, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if line == f"supportbot serves on http://localhost:{port}\n":
                    break
            assert server.poll() is None, said
            yield server, f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def test_the_server_serves_until_asked_to_stop(served: tuple[subprocess.Popen[str], str]) -> None:
    """By Ctrl-C; a browser that listens to the stream does not hold it up. SIGTERM is `test_restart.py`'s."""
    server, address = served
    assert _get(address + "/healthz") == 200
    assert _get(address + "/readyz") == 200
    request = urllib.request.Request(
        address + "/api/widget/v1/sessions", b'{"brand": "joltsms"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        token = json.load(answer)["token"]
    stream = urllib.request.Request(address + "/api/widget/v1/stream", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(stream) as listening:
        assert listening.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=9) == 0
    with pytest.raises(urllib.error.URLError):
        _get(address + "/healthz")


def _get(address: str) -> int:
    with urllib.request.urlopen(address) as answer:
        return int(answer.status)
