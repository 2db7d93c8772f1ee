"""Whether what a pack names as its source is published: each `article#section` against the help articles there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bot.policy.errors import Problem
from bot.policy.yaml_source import Path, parse


def check_sources(text: str, file: str, published: Mapping[str, Collection[str]]) -> list[Problem]:
    """Return a problem for each source of a pack that is not among `published`: section ids by article.

    `text` is the pack's YAML, `file` the name that problems mention.
    """
    document = parse(text, file)
    for where, source in _sources(document.data, ()):
        article, _, section = source.partition("#")
        if article not in published:
            document.complain(where, f"there is no help article `{article}`")
        elif section not in published[article]:
            known = ", ".join(published[article])
            document.complain(where, f"the help article `{article}` has no section `{section}`; it has {known}")
    return sorted(document.problems, key=lambda problem: problem.line)


def _sources(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "source" and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _sources(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _sources(value, (*path, index))
