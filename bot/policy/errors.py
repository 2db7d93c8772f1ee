"""The typed errors of policy: each names what was wrong and where, and carries it as data."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import SupportBotError


class PolicyError(SupportBotError):
    """Base of everything the policy package raises on purpose."""

    code = "policy"


class FactError(PolicyError):
    """A fact is not in the registry or its value is of the wrong kind; `fact` names it."""

    code = "invalid-fact"
    status = 422

    def __init__(self, fact: str, message: str) -> None:
        super().__init__(f"fact `{fact}`: {message}")
        self.fact = fact


class RequestError(PolicyError):
    """A request cannot be understood; `key` names the part that is wrong."""

    code = "invalid-request"
    status = 422

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"request `{key}`: {message}")
        self.key = key


class UnknownDateError(PolicyError):
    """A date that a promise rests on cannot be computed because facts are missing; `rule_id` made the promise."""

    code = "unknown-date"

    def __init__(self, rule_id: str, facts: tuple[str, ...]) -> None:
        super().__init__(
            f"rule {rule_id}: its date needs {', '.join(f'`{name}`' for name in facts)}, which is not known"
        )
        self.rule_id = rule_id
        self.facts = facts


@dataclass(frozen=True)
class Problem:
    """One mistake in a policy pack: `line` counts from 1, `key` is the way to it, as in `rules.refund[2].says`."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key or '(pack)'}: {self.message}"


class PackError(PolicyError):
    """A pack was refused; `problems` holds every mistake found, in the order of their lines."""

    code = "invalid-pack"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
