"""A process that is killed loses nothing and repeats nothing: real processes, a real SIGKILL, a new start."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from bot.app import App, make_identity
from bot.channels.widget.sessions import NEW_SESSIONS_PER_MINUTE
from bot.conversation import history
from bot.policy.loader import load_packs
from bot.services.ports import SystemClock
from bot.settings import PROJECT, Settings
from bot.store.tables import Cancellation, Message, Outbox, Receipt
from bot.store.unit_of_work import Store, make_engine
from tests.conversations.chat import Chat
from tests.integration.serving import Browser

pytestmark = pytest.mark.conversation
FATAL = "Yes, cancel"
DIES = Path(__file__).with_name("server_that_dies.py")
RUNS = ("-c", "from bot.cli import main; main()", "run")


class Installation:
    """A database of its own, and servers on it, one at a time."""

    def __init__(self, folder: Path, models: Path, demo_file: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {
            **kept,
            "PYTHONPATH": str(PROJECT),
            "PORT": port,
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(folder),
            "SUPPORTBOT_MODELS": str(models),
        }
        self.base = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        self.settings = Settings.from_env(self.environment)
        shutil.copy(demo_file, folder / demo_file.name)
        self.store = Store(make_engine(self.settings.database_url))

    @contextlib.contextmanager
    def server(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A server process, once it answers; killed at the end if it still runs."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, cwd=PROJECT, stdout=log, stderr=log
            )
        try:
            give_up = time.monotonic() + 90
            while True:
                assert process.poll() is None, self._log.read_text()[-3000:]
                assert time.monotonic() < give_up, self._log.read_text()[-3000:]
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"{self.base}/readyz").status_code == 200:
                        break
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait()

    def sign_in(self, email: str) -> Browser:
        """A browser whose customer the host site has signed in."""
        packs = load_packs(self.settings.packs)
        identity = make_identity(self.settings.complete(packs), packs)
        token = identity.issue_demo_token("joltsms", email, now=SystemClock().now())
        session = httpx.post(f"{self.base}/api/widget/v1/sessions", json={"brand": "joltsms", "identity": token})
        return Browser(self.base, token=session.json()["token"])

    def count(self, table: Any, *conditions: Any) -> int:
        """How many rows there are."""
        with self.store.read() as uow:
            return int(uow.session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


@pytest.fixture
def installation(tmp_path: Path, models: Path, demo_file: Path) -> Iterator[Installation]:
    """Demo data as of today, in a folder of its own."""
    made = Installation(tmp_path, models, demo_file)
    yield made
    made.store.close()


def press(browser: Browser, title: str, client_id: str) -> dict[str, Any]:
    """Press the latest button of that title."""
    buttons = [button for message in browser.messages() for button in message["buttons"] if button["title"] == title]
    response = browser.client.post("/messages", json={"client_id": client_id, "button": buttons[-1]["id"]})
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancellation_cut_off_by_a_kill_is_done_once_and_told_once(installation: Installation, moment: str) -> None:
    """Killed before anything was done, and after the number was cancelled but before the customer was told."""
    before = {table: installation.count(table) for table in (Cancellation, Receipt, Outbox)}
    with installation.server(str(DIES), moment, FATAL) as process, installation.sign_in("ava@jolt.example") as ava:
        ava.send("please cancel my number", "c-1")
        press(ava, "Continue cancelling", "c-2")
        press(ava, "Skip", "c-3")
        with pytest.raises(httpx.TransportError):
            press(ava, FATAL, "c-4")
        assert process.wait(10) == -signal.SIGKILL
    assert installation.count(Cancellation) - before[Cancellation] == (moment == "after")
    assert installation.count(Message, Message.status == "received") == 1

    with installation.server(*RUNS), Browser(installation.base, token=ava.token) as again:
        messages = again.messages()  # the answer is there before the first request is
        fatal = next(message for message in messages if message["text"] == FATAL)
        answer = [message for message in messages if message["seq"] > fatal["seq"]]
        assert answer[0]["text"].startswith("Done.")
        button = next(b for m in messages for b in m["buttons"] if b["title"] == FATAL)["id"]
        repeated = again.client.post("/messages", json={"client_id": "c-4", "button": button}).json()
        assert repeated["replies"] == answer
        assert again.messages() == messages
        assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
        (link,) = [attachment["url"] for message in messages for attachment in message["attachments"]]
        assert httpx.get(installation.base + link).status_code == 200
        assert again.send("is it cancelled?", "c-5")["replies"]
    after = {table: installation.count(table) for table in before}
    assert after == {table: count + 1 for table, count in before.items()}


def test_the_server_stops_when_asked_with_a_stream_open_and_believes_no_header(installation: Installation) -> None:
    with installation.server(*RUNS) as process, Browser(installation.base) as browser, browser.tab() as tab:
        tab.until(1)
        statuses = []
        for number in range(NEW_SESSIONS_PER_MINUTE + 5):
            response = httpx.post(
                f"{installation.base}/api/widget/v1/sessions",
                json={"brand": "joltsms"},
                headers={"X-Forwarded-For": f"10.1.1.{number}"},
            )
            statuses.append(response.status_code)
        assert statuses[-1] == 429
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert tab.ended()
        assert process.wait(20) == 0
        assert time.monotonic() - asked < 8  # uvicorn would wait ten seconds for a stream that does not end


async def test_a_turn_run_again_says_what_was_done_and_does_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process: the answer could not be stored the first time, and the turn is run again."""
    ava = Chat(app, as_email="ava@jolt.example")
    await ava.say("please cancel my number")
    await ava.press("Continue cancelling")
    await ava.press("Skip")
    keep_answer = history.keep_answer

    def broken(*args: Any, **more: Any) -> bool:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(history, "keep_answer", broken)
    with pytest.raises(RuntimeError):
        await ava.press(FATAL)
    monkeypatch.setattr(history, "keep_answer", keep_answer)
    with ava.app.store.read() as uow:
        (left,) = uow.session.execute(select(Message).where(Message.status == "received")).scalars()
        assert left.outcomes is not None
        cancelled = uow.session.execute(select(func.count()).select_from(Cancellation)).scalar_one()

    assert await ava.app.gateway.repair() == 1
    with ava.app.store.read() as uow:
        replies = history.exchange(uow, left.id, repeated=True).replies
        assert uow.session.execute(select(func.count()).select_from(Cancellation)).scalar_one() == cancelled
        assert uow.get(Message, left.id).outcomes is None
    assert replies[0].text.startswith("Done.")
    assert [attachment.kind for reply in replies for attachment in reply.attachments] == ["receipt"]
