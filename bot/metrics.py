"""Counters and times for Prometheus, one registry an application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What operators watch; every metric is described in docs/operations.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.turns = Counter(
            "supportbot_turns_total",
            "Messages answered by the bot",
            ["brand", "channel", "intent", "verdict"],
            registry=self.registry,
        )
        self.failures = Counter(
            "supportbot_turn_failures_total", "Turns that broke on our side", ["brand"], registry=self.registry
        )
        self.seconds = Histogram(
            "supportbot_turn_seconds",
            "From a message read to its replies stored",
            ["brand"],
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=self.registry,
        )
        self.lifecycle = Counter(
            "supportbot_lifecycle_events_total", "Dated events carried out", ["result"], registry=self.registry
        )
        self.outbox = Counter("supportbot_outbox_total", "Items handed over", ["result"], registry=self.registry)
        self.deliveries = Counter(
            "supportbot_deliveries_total", "Messages pushed to channels", ["channel", "result"], registry=self.registry
        )
        self._dead = Gauge("supportbot_outbox_dead", "Dead letters waiting for somebody", registry=self.registry)
        self._waiting = Gauge(
            "supportbot_messages_waiting", "Messages taken in and not answered yet", registry=self.registry
        )

    def turn(self, line: Mapping[str, Any]) -> None:
        """Count one turn, from its log line."""
        self.turns.labels(line["brand"], line["channel"], line["intent"] or "none", line["verdict"] or "none").inc()
        self.seconds.labels(line["brand"]).observe(line["milliseconds"] / 1000)
        if line["failure"]:
            self.failures.labels(line["brand"]).inc()

    def watch(self, *, dead: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Where the gauges read from."""
        self._dead.set_function(dead)
        self._waiting.set_function(waiting)

    def text(self) -> bytes:
        """The exposition format."""
        return bytes(generate_latest(self.registry))
