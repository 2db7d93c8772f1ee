"""supportbot itself: its gateway in a process of its own, and the server that `supportbot run` starts."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import aiohttp

from bench.conversations import Script, Step
from bench.load import Growth, Plan, Player
from bench.processes import Server, free_port, run, serving
from bench.stage import Stage
from bot import logs
from bot.app import build
from bot.channels.widget.api import PREFIX
from bot.channels.widget.sessions import CHANNEL
from bot.conversation.gateway import Gateway
from bot.conversation.messages import InboundMessage, MessageView
from bot.ids import new_id
from bot.settings import PROJECT

_COMMAND = str(Path(sys.executable).with_name("supportbot"))
_READY_SECONDS = 120


@dataclass(frozen=True)
class GatewayFigures:
    """From the gateway in to the reply stored, a list entry a repeat; seconds, and turns a second."""

    turns: list[list[float]]
    rates: list[float]
    growths: list[Growth]


def train(folder: Path) -> float:
    """`supportbot train` into `folder`/models: seconds."""
    environment = {"SUPPORTBOT_VAR": str(folder / "training"), "SUPPORTBOT_MODELS": str(folder / "models")}
    return run([_COMMAND, "train"], env=environment, cwd=PROJECT, log=folder / "train.log")


# --- the gateway ------------------------------------------------------------------------------------------------------


def measure_gateway(folder: Path, plan: Plan) -> GatewayFigures:
    """Measure in a process that does nothing else; the model is in `folder`/models."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure_gateway, folder, plan).result()


def _measure_gateway(folder: Path, plan: Plan) -> GatewayFigures:
    stage = Stage(folder / "gateway", folder / "models")
    with contextlib.closing(stage), (folder / "gateway.log").open("w") as log:
        logs.configure(stage.settings.log_format, log)
        app = build(stage.settings)
        try:
            return asyncio.run(_on_gateway(app.gateway, stage, plan))
        finally:
            app.close()


async def _on_gateway(gateway: Gateway, stage: Stage, plan: Plan) -> GatewayFigures:
    def start(script: Script) -> _GatewayConversation:
        return _GatewayConversation(gateway, stage.open(script).conversation_id)

    player = Player(start)
    await player.one_by_one(1)
    stage.check()
    figures = GatewayFigures(
        turns=[await player.one_by_one(plan.rounds) for _ in range(plan.repeats)],
        rates=[await player.together(plan.clients) for _ in range(plan.repeats)],
        growths=[await player.growth(plan.long_turns) for _ in range(plan.repeats)],
    )
    stage.check()
    return figures


@dataclass
class _GatewayConversation:
    gateway: Gateway
    conversation_id: str
    replies: tuple[MessageView, ...] = ()

    async def send(self, step: Step) -> None:
        buttons = {button.title: button.id for reply in self.replies for button in reply.buttons}
        exchange = await self.gateway.receive(
            InboundMessage(
                conversation_id=self.conversation_id,
                channel=CHANNEL,
                external_id=new_id("bench"),
                text="" if step.button else step.text,
                button_id=_pick(buttons, step) if step.button else None,
            )
        )
        if not exchange.replies:
            raise RuntimeError(f"{step.text!r} was not answered.")
        self.replies = exchange.replies


# --- the server -------------------------------------------------------------------------------------------------------


class WidgetServer:
    """`supportbot run` on a database of its own."""

    def __init__(self, stage: Stage, server: Server, start_seconds: float) -> None:
        self.start_seconds = start_seconds
        self.stage = stage
        self._server = server

    def resident_bytes(self) -> int:
        """Memory of the one process."""
        return self._server.resident_bytes()

    def processor_seconds(self) -> float:
        """Processor time that the process has used so far."""
        return self._server.processor_seconds()

    def conversation(self, http: aiohttp.ClientSession, script: Script) -> WidgetConversation:
        """A new conversation."""
        return WidgetConversation(http, self.stage.settings.public_url + PREFIX, self.stage.open(script).token)


@dataclass
class WidgetConversation:
    """One conversation over the widget's HTTP interface."""

    http: aiohttp.ClientSession
    url: str
    token: str = field(repr=False)
    buttons: dict[str, str] = field(default_factory=dict)

    async def send(self, step: Step) -> None:
        """Say something and wait for the answer."""
        said = {"button": _pick(self.buttons, step)} if step.button else {"text": step.text}
        async with self.http.post(
            f"{self.url}/messages",
            json={"client_id": new_id("bench"), **said},
            headers={"Authorization": f"Bearer {self.token}"},
        ) as response:
            response.raise_for_status()
            replies = (await response.json())["replies"]
        if not replies:
            raise RuntimeError(f"{step.text!r} was not answered.")
        self.buttons = {button["title"]: button["id"] for reply in replies for button in reply["buttons"]}


@contextlib.contextmanager
def served(folder: Path, name: str) -> Iterator[WidgetServer]:
    """Start `supportbot run` on a fresh database and wait until it is ready."""
    stage = Stage(folder / name, folder / "models", port=free_port())
    command = [_COMMAND, "run"]
    with contextlib.closing(stage):
        started = time.perf_counter()
        with serving(command, env=stage.environment, cwd=PROJECT, log=folder / f"{name}.log") as server:
            server.wait(f"{stage.settings.public_url}/readyz", seconds=_READY_SECONDS)
            yield WidgetServer(stage, server, time.perf_counter() - started)
        stage.check()


def _pick(buttons: dict[str, str], step: Step) -> str:
    for title, identifier in buttons.items():
        if title.startswith(step.text):
            return identifier
    raise RuntimeError(f"No button begins with {step.text!r}; offered were {', '.join(buttons) or 'none'}.")
