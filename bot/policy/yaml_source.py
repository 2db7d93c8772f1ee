"""Read YAML with the line of every key, so that a mistake in a pack can be pointed at.

Only what a pack needs: mappings, lists, text, integers, `true` and `false`. Everything else unquoted stays text, so
that a country code `NO` is Norway and a version `2026-11-21` is no date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer

from bot.policy.errors import PackError, Problem

Path = tuple[str | int, ...]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


def dotted(path: Path) -> str:
    """Return a path as it is shown to people: `rules.refund[2].says`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


class _Loader(Composer, yaml.CSafeLoader):
    """libyaml reads ten times as fast as Python. Nodes are still made by Python, where nesting too deep is an error.

    PyYAML's own way to make them of what libyaml reads would end the process there.
    """

    def __init__(self, stream: str) -> None:
        yaml.CSafeLoader.__init__(self, stream)
        Composer.__init__(self)


def compose(text: str) -> yaml.Node | None:
    """The nodes of one YAML document, None if it is empty. Raises yaml.YAMLError."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    return node


@dataclass
class Document:
    """A parsed file: its plain data, the line of each key and list item, and the problems found so far."""

    file: str
    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, path: Path, message: str) -> None:
        """Add a problem at the key's line, or that of the nearest key around it that exists."""
        nearest = path
        while nearest and nearest not in self.lines:
            nearest = nearest[:-1]
        self.problems.append(Problem(self.file, self.lines.get(nearest, 1), dotted(path), message))


def parse(text: str, file: str) -> Document:
    """Parse one YAML document. Raises PackError when it is not YAML at all; other mistakes are in `problems`."""
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise PackError((Problem(file, line, "", f"not valid YAML: {error.problem or error.context}"),)) from error
    except yaml.YAMLError as error:
        raise PackError((Problem(file, 1, "", f"not valid YAML: {error}"),)) from error
    document = Document(file)
    document.lines[()] = 1
    if root is not None:
        document.data = _value(root, (), document, frozenset())
    return document


def _value(node: yaml.Node, path: Path, document: Document, around: frozenset[int]) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in around:
        document.complain(path, "an alias may not contain itself")
        return None
    inside = around | {id(node)}
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document, inside)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), document, inside) for index, item in enumerate(node.value)]
    return _scalar(node) if isinstance(node, yaml.ScalarNode) else None


def _mapping(node: yaml.MappingNode, path: Path, document: Document, around: frozenset[int]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        below = (*path, key)
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(document.file, line, dotted(path), "a key must be a plain name"))
            continue
        if key in found:
            document.problems.append(Problem(document.file, line, dotted(below), "this key is here twice"))
            continue
        document.lines[below] = line
        found[key] = _value(value_node, below, document, around)
    return found


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "~", "null"):
        return None
    return int(text) if _INTEGER.fullmatch(text) else text
