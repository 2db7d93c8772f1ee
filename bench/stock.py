"""Stock Rasa on this project's data: trained, served and asked the way Rasa's own demo bots are.

The pipeline and the policies are Rasa's default ones, read from the installed package; only the number of epochs can be
lowered, which shortens training and does not change what a turn costs. The dialogue does less than ours: a form each
for the cancellation and the investigation, and for every other intent a rule to one custom action, which says a
sentence with two buttons; nothing is looked up, decided or done. Stories follow the measured conversations, so that
the machine-learning policies have something to learn.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bench.conversations import CANCEL, INVESTIGATION, MIX, Script, Step, endless
from bench.processes import Server, free_port, run, serving
from bot.settings import PROJECT

DEFAULT_EPOCHS = 100
_READY_SECONDS = 300
_ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SANIC_HOST": "127.0.0.1",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
_FALLBACK = "nlu_fallback"
_EXAMPLES = "data/nlu/"
_ANSWER = {"action": "action_answer"}
_FORMS = {
    CANCEL.name: ("cancel_form", ("cancel_consequences", "cancel_reason", "cancel_consent")),
    INVESTIGATION.name: ("report_form", ("report_test", "report_description", "report_since", "report_files")),
}
"""The conversations in which something is collected: their form and its slots, each filled by what is said next."""
_ACTIONS = '''"""The actions of the stock bot."""

from rasa_sdk import Action, FormValidationAction


class Answer(Action):
    def name(self):
        return "action_answer"

    def run(self, dispatcher, tracker, domain):
        buttons = [{"title": "Yes", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}]
        dispatcher.utter_message(text="Here is what I know about that. Shall I go on?", buttons=buttons)
        return []


class ValidateCancelForm(FormValidationAction):
    def name(self):
        return "validate_cancel_form"


class ValidateReportForm(FormValidationAction):
    def name(self):
        return "validate_report_form"
'''


@dataclass(frozen=True)
class StockModel:
    """A trained stock project, and how long training took: then, if it was kept from an earlier run.

    `same_examples`: whether it was trained on the examples of today. What a turn costs does not depend on them.
    """

    project: Path
    epochs: int
    training_seconds: float
    trained_at: str
    kept: bool
    same_examples: bool = True


def train(cache: Path, *, epochs: int, fresh: bool) -> StockModel:
    """Train stock Rasa with `rasa train`, or take an earlier run's model of the same intents and configuration."""
    files = project_files(epochs)
    examples = {name for name in files if name.startswith(_EXAMPLES)}
    project = cache / f"stock-{_digest(files, files.keys() - examples)}"
    record, today = project / "training.json", _digest(files, examples)
    if not fresh and record.is_file():
        known = json.loads(record.read_text())
        same = known.pop("examples", None) == today
        return StockModel(project=project, epochs=epochs, kept=True, same_examples=same, **known)
    shutil.rmtree(project, ignore_errors=True)
    for name, text in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    seconds = run(
        [*_rasa(), "train", "--fixed-model-name", "stock"], env=_ENVIRONMENT, cwd=project, log=project / "train.log"
    )
    trained: dict[str, Any] = {"training_seconds": seconds, "trained_at": datetime.now(timezone.utc).isoformat()}
    record.write_text(json.dumps({**trained, "examples": today}))
    return StockModel(project=project, epochs=epochs, kept=False, **trained)


def _digest(files: Mapping[str, str], names: Iterable[str]) -> str:
    content = "\0".join(f"{name}\0{files[name]}" for name in sorted(names))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class StockServer:
    """`rasa run` and `rasa run actions`, talking over loopback."""

    def __init__(self, url: str, servers: tuple[Server, ...], start_seconds: float) -> None:
        self.url = url
        self.start_seconds = start_seconds
        self._servers = servers
        self._opened = 0

    def resident_bytes(self) -> int:
        """Memory of both processes."""
        return sum(server.resident_bytes() for server in self._servers)

    def processor_seconds(self) -> float:
        """Processor time that both processes have used so far."""
        return sum(server.processor_seconds() for server in self._servers)

    def conversation(self, http: aiohttp.ClientSession, script: Script) -> StockConversation:
        """A new conversation."""
        self._opened += 1
        return StockConversation(http, self.url, f"{script.name}-{self._opened}")


@dataclass(frozen=True)
class StockConversation:
    """One conversation over Rasa's REST channel."""

    http: aiohttp.ClientSession
    url: str
    sender: str

    async def send(self, step: Step) -> None:
        """Say something and wait for the answer."""
        message = f"/{step.intent}" if step.button else step.text
        async with self.http.post(
            f"{self.url}/webhooks/rest/webhook", json={"sender": self.sender, "message": message}
        ) as response:
            response.raise_for_status()
            if not await response.json():
                raise RuntimeError(f"Stock Rasa did not answer {message!r}.")


@contextlib.contextmanager
def served(model: StockModel, folder: Path, name: str, *, stored: bool) -> Iterator[StockServer]:
    """Start both servers and wait until both answer.

    Rasa keeps conversations in memory unless told otherwise; `stored` tells it to keep them in SQLite, as ours are.
    """
    port, actions_port = free_port(), free_port()
    log, endpoints = folder / "stock.log", folder / f"stock-{name}.yml"
    settings: dict[str, Any] = {"action_endpoint": {"url": f"http://127.0.0.1:{actions_port}/webhook"}}
    if stored:
        database = str(folder / f"stock-{name}.db")
        settings["tracker_store"] = {"type": "SQL", "dialect": "sqlite", "db": database}
    endpoints.write_text(_yaml(settings))
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Server:
            command = [*_rasa(), "run", *arguments]
            return stack.enter_context(serving(command, env=_ENVIRONMENT, cwd=model.project, log=log))

        actions = start("actions", "--port", str(actions_port))
        rasa = start("--interface", "127.0.0.1", "--port", str(port), "--endpoints", str(endpoints))
        actions.wait(f"http://127.0.0.1:{actions_port}/health", seconds=_READY_SECONDS)
        rasa.wait(f"http://127.0.0.1:{port}/", seconds=_READY_SECONDS)
        yield StockServer(f"http://127.0.0.1:{port}", (rasa, actions), time.perf_counter() - started)


def _rasa() -> list[str]:
    return [sys.executable, "-m", "rasa"]


def project_files(epochs: int) -> dict[str, str]:
    """The files of the stock project."""
    nlu = {
        f"{_EXAMPLES}{file.name}": file.read_text(encoding="utf-8")
        for file in sorted((PROJECT / "data/nlu").glob("*.yml"))
    }
    intents = sorted(
        {item["intent"] for text in nlu.values() for item in yaml.safe_load(text)["nlu"] if "intent" in item}
    )
    forms = {script.steps[0].intent: _FORMS[script.name][0] for script in MIX if script.name in _FORMS}
    rules = [
        *({"rule": f"start {form}", "steps": [{"intent": intent}, *_opened(form)]} for intent, form in forms.items()),
        *(
            {"rule": f"end {form}", "condition": [{"active_loop": form}], "steps": _ended(form)}
            for form in forms.values()
        ),
        *(
            {"rule": f"answer {intent}", "steps": [{"intent": intent}, _ANSWER]}
            for intent in [*intents, _FALLBACK]
            if intent not in forms
        ),
    ]
    stories = [{"story": script.name, "steps": _story(script)} for script in (*MIX, endless(10))]
    return {
        **nlu,
        "data/rules.yml": _yaml({"version": "3.1", "rules": rules}),
        "data/stories.yml": _yaml({"version": "3.1", "stories": stories}),
        "domain.yml": _yaml(_domain(intents)),
        "config.yml": _yaml(_configuration(epochs)),
        "credentials.yml": "rest:\n",
        "actions.py": _ACTIONS,
    }


def _configuration(epochs: int) -> dict[str, Any]:
    default = resources.files("rasa.engine.recipes.config_files").joinpath("default_config.yml")
    configuration: dict[str, Any] = yaml.safe_load(default.read_text(encoding="utf-8"))
    for component in (*configuration["pipeline"], *configuration["policies"]):
        if "epochs" in component:
            component["epochs"] = min(epochs, component["epochs"])
    return configuration


def _domain(intents: list[str]) -> dict[str, Any]:
    slots = {
        slot: {
            "type": "text",
            "influence_conversation": False,
            "mappings": [{"type": "from_text", "conditions": [{"active_loop": form, "requested_slot": slot}]}],
        }
        for form, names in _FORMS.values()
        for slot in names
    }
    return {
        "version": "3.1",
        "intents": intents,
        "actions": ["action_answer", *(f"validate_{form}" for form, _ in _FORMS.values())],
        "slots": slots,
        "forms": {form: {"required_slots": list(names)} for form, names in _FORMS.values()},
        "responses": {f"utter_ask_{slot}": [{"text": "Could you tell me a little more about that?"}] for slot in slots},
    }


def _story(script: Script) -> list[dict[str, Any]]:
    """The script as Rasa's stories tell it, in which a form's own turns are left out."""
    form, slots = _FORMS.get(script.name, ("", ()))
    start = [{"intent": script.steps[0].intent}, *_opened(form), *_ended(form)] if form else []
    rest = script.steps[1 + len(slots) :] if form else script.steps
    return [*start, *(part for step in rest for part in ({"intent": step.intent}, _ANSWER))]


def _opened(form: str) -> list[dict[str, Any]]:
    return [{"action": form}, {"active_loop": form}]


def _ended(form: str) -> list[dict[str, Any]]:
    return [{"action": form}, {"active_loop": None}, _ANSWER]


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
