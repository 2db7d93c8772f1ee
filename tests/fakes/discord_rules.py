"""What Discord refuses, and with which error: the limits of its documentation, for the fake server."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_CONTENT = 2_000
MAX_FILE = 10 * 1024 * 1024
MAX_FILES = 10
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_OPTIONS = 25
EPHEMERAL, COMPONENTS_V2 = 1 << 6, 1 << 15
_PAYLOADS = Path(__file__).resolve().parent.parent / "payloads" / "discord"
_NAME = re.compile(r"[-_'\w]{1,32}")


def documented(name: str, /, **values: Any) -> dict[str, Any]:
    """A payload as the documentation shows it, with values of this case."""
    payload: dict[str, Any] = copy.deepcopy(_read(name))
    payload.update(values)
    return payload


def _read(name: str) -> dict[str, Any]:
    if name not in _KNOWN:
        _KNOWN[name] = json.loads((_PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return _KNOWN[name]


_KNOWN: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class File:
    """A file that goes with a message."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


class RefusedError(Exception):
    """An answer of 400 and up: HTTP status, Discord's own code, its sentence."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


def _invalid(where: str, why: str) -> RefusedError:
    error = RefusedError(400, 50035, "Invalid Form Body")
    error.body["errors"] = {where: {"_errors": [{"code": "BASE_TYPE_BAD_LENGTH", "message": why}]}}  # type: ignore[assignment]
    return error


def check_message(payload: Mapping[str, Any], files: Sequence[File]) -> None:
    """Whether a message may be sent. Raises RefusedError."""
    content = payload.get("content") or ""
    components = payload.get("components") or []
    if len(content) > MAX_CONTENT:
        raise _invalid("content", f"Must be {MAX_CONTENT} or fewer in length.")
    if not content.strip() and not files and not components and not payload.get("embeds"):
        raise RefusedError(400, 50006, "Cannot send an empty message")
    if len(files) > MAX_FILES:
        raise _invalid("attachments", f"Must be {MAX_FILES} or fewer in length.")
    if any(len(file.content) > MAX_FILE for file in files):
        raise RefusedError(413, 40005, "Request entity too large")
    if len(str(payload.get("nonce") or "")) > 25:
        raise _invalid("nonce", "Must be 25 or fewer in length.")
    if payload.get("flags", 0) & COMPONENTS_V2:
        raise _invalid("flags", "This fake knows no second version of components.")
    _check_rows(components)


def _check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    if len(rows) > MAX_ROWS:
        raise _invalid("components", f"Must be {MAX_ROWS} or fewer in length.")
    names: list[str] = []
    for row in rows:
        if row["type"] != 1:
            raise _invalid("components", "Value of field “type” must be one of (1,).")
        inner = row["components"]
        kinds = {component["type"] for component in inner}
        if not inner or (kinds == {2} and len(inner) > MAX_BUTTONS) or (3 in kinds and len(inner) > 1):
            raise _invalid("components", "Must be between 1 and 5 in length.")
        for component in inner:
            names += _check_component(component)
    if len(names) != len(set(names)):
        raise _invalid("components", "Component custom id cannot be duplicated")


def _check_component(component: Mapping[str, Any]) -> list[str]:
    if component["type"] == 2:
        label = component.get("label") or ""
        if not 1 <= len(label) <= 80:
            raise _invalid("label", "Must be between 1 and 80 in length.")
        if component["style"] == 5:
            return []
    elif component["type"] == 3:
        options = component["options"]
        if not 1 <= len(options) <= MAX_OPTIONS:
            raise _invalid("options", "Must be between 1 and 25 in length.")
        if any(not 1 <= len(option[part]) <= 100 for option in options for part in ("label", "value")):
            raise _invalid("options", "Must be between 1 and 100 in length.")
        if len({option["value"] for option in options}) != len(options):
            raise _invalid("options", "The specified option value is already used")
        if len(component.get("placeholder") or "") > 150:
            raise _invalid("placeholder", "Must be 150 or fewer in length.")
    if not 1 <= len(component["custom_id"]) <= 100:
        raise _invalid("custom_id", "Must be between 1 and 100 in length.")
    return [component["custom_id"]]


def check_modal(modal: Mapping[str, Any]) -> None:
    """Whether a modal may be shown. Raises RefusedError."""
    if not 1 <= len(modal["title"]) <= 45:
        raise _invalid("title", "Must be between 1 and 45 in length.")
    if not 1 <= len(modal["custom_id"]) <= 100:
        raise _invalid("custom_id", "Must be between 1 and 100 in length.")
    if not 1 <= len(modal["components"]) <= 5:
        raise _invalid("components", "Must be between 1 and 5 in length.")
    for label, field in fields_of(modal):
        if not 1 <= len(label) <= 45:
            raise _invalid("label", "Must be between 1 and 45 in length.")
        if len(field.get("placeholder") or "") > 100:
            raise _invalid("placeholder", "Must be 100 or fewer in length.")
        if field["type"] == 4 and not 1 <= field.get("max_length", 4000) <= 4000:
            raise _invalid("max_length", "Must be between 1 and 4000.")


def fields_of(modal: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The fields of a modal with their labels."""
    found = []
    for component in modal["components"]:
        if component["type"] == 18:
            found.append((component["label"], component["component"]))
        elif component["type"] == 1:
            found += [(inner["label"], inner) for inner in component["components"]]
    return found


def check_commands(commands: Sequence[Mapping[str, Any]]) -> None:
    """Whether commands may be registered. Raises RefusedError."""
    if len({command["name"] for command in commands}) != len(commands) or len(commands) > 100:
        raise _invalid("name", "Application command names must be unique")
    for command in commands:
        for each in (command, *command.get("options", ())):
            if not _NAME.fullmatch(each["name"]) or each["name"] != each["name"].lower():
                raise _invalid("name", "Command name is invalid")
            if not 1 <= len(each["description"]) <= 100:
                raise _invalid("description", "Must be between 1 and 100 in length.")


def pings(payload: Mapping[str, Any]) -> set[str]:
    """Whom a message would notify: `everyone`, or ids of users and roles."""
    content = payload.get("content") or ""
    allowed = payload.get("allowed_mentions")
    kinds = {"everyone", "users", "roles"} if allowed is None else set(allowed.get("parse", ()))
    found: set[str] = set()
    if "everyone" in kinds and re.search(r"@(everyone|here)\b", content):
        found.add("everyone")
    for kind, pattern in (("users", r"<@!?(\d+)>"), ("roles", r"<@&(\d+)>")):
        named = set(re.findall(pattern, content))
        found |= named if kind in kinds else named & set((allowed or {}).get(kind, ()))
    return found
