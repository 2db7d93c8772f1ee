"""The shape of the code: imports point one way, brands are data, and nothing of anybody's machine is committed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each package with the packages that it may import besides itself; modules of `EVERYBODY` serve all of them.
EVERYBODY = {"errors", "ids"}
ALLOWED: dict[str, set[str]] = {
    "policy": set(),
    "store": {"policy"},
    "services": {"policy", "store"},
    "nlu": {"policy"},
    "dialogue": {"policy", "store", "services", "nlu"},
    "conversation": {"policy", "store", "services", "nlu", "dialogue"},
    "channels": {"policy", "store", "services", "dialogue", "conversation"},
    "desk": {"policy", "store", "services", "dialogue", "conversation"},
    "web": {"policy", "services"},
}
# What puts everything together may import anything and is imported by nothing below it.
TOP = {"app", "cli", "server", "settings", "secrets", "logs", "metrics"}
WITHOUT_FRAMEWORKS = ("policy", "store", "services", "dialogue")
FRAMEWORKS = {"rasa", "rasa_sdk", "sanic", "starlette", "uvicorn", "sse_starlette", "slack_bolt", "discord"}
BRANDS = {"joltsms", "smartercontact", "smrtphone"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    """Full names of what a module imports, also inside functions."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(path: Path) -> Iterator[tuple[str, str]]:
    """The parts of `bot` that a module imports, each with the import's full name."""
    for name in _imports(path):
        package, _, rest = name.partition(".")
        if package == "bot" and rest:
            yield rest.partition(".")[0], name
        elif package == "actions":
            yield "actions", name


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    """A package imports those below it and none beside or above it."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules(f"bot/{package}")
        for part, name in _ours(path)
        if part not in ALLOWED[package] | EVERYBODY | {package}
    ]
    assert wrong == []


def test_every_part_of_the_code_has_its_place() -> None:
    """A new package must be put into the order above."""
    found = {path.stem for path in (ROOT / "bot").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} <= ALLOWED.keys() | EVERYBODY | TOP


def test_actions_are_thin() -> None:
    """They hand over to the dialogue; the composition root only where nobody has built it, under stock Rasa."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules("actions")
        for part, name in _ours(path)
        if part not in {"actions", "dialogue", "services"} | EVERYBODY and name != "bot.app.conductor_from_environment"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", WITHOUT_FRAMEWORKS)
def test_business_code_knows_no_framework(package: str) -> None:
    """Neither Rasa nor anything of the web."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules(f"bot/{package}")
        for name in _imports(path)
        if name.partition(".")[0] in FRAMEWORKS
    ]
    assert wrong == []


def test_business_code_runs_without_frameworks() -> None:
    """Not by way of somebody else either: importing all of it loads none of them."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("policy", "store", "services")
        for path in _modules(f"bot/{package}")
        if path.name != "__init__.py" and "migrations" not in path.parts
    ]
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(loaded.stdout.split()) & FRAMEWORKS == set()


def test_policy_is_pure() -> None:
    """No clock, no chance, no network; of files only those know that load packs."""
    forbidden = {"random", "secrets", "socket", "time", "sqlalchemy", "requests", "httpx", "asyncio", "os"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _modules("bot/policy")
        for name in _imports(path)
        if name.partition(".")[0] in forbidden
        or (name.startswith("pathlib") and path.name not in ("loader.py", "shelf.py"))
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["policy", "store", "services", "dialogue"])
def test_time_is_passed_in(package: str) -> None:
    """Only the system clock asks what time it is, so that everything can be replayed."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _modules(f"bot/{package}")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow", "today")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("datetime", "date")
        and path.name != "ports.py"
    ]
    assert wrong == []


def test_brands_are_data() -> None:
    """No code knows a brand or one of its rules: a fourth brand is a new pack.

    The demo data has their names in it.
    """
    named = {ROOT / "bot" / "store" / "demo.py"}
    rule = re.compile(r"[JSP]-[CR]\d+")
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} says {node.value!r}"
        for path in [*_modules("bot"), *_modules("actions")]
        if path not in named
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.value.lower() in BRANDS or rule.fullmatch(node.value))
    ]
    assert wrong == []


def _committed() -> list[Path]:
    """Every text file that belongs to the project."""
    folders = ("bot", "actions", "data", "tests", "docs", "deploy", "bench", ".ci")
    within = [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    files = [
        path
        for path in [*ROOT.iterdir(), *within]
        if path.is_file() and path.name != ".git" and path.stat().st_size < 2**20
    ]
    return [path for path in files if b"\0" not in path.read_bytes()]


def test_nothing_of_a_machine_is_committed() -> None:
    """No addresses of package indexes, and no folders of whoever wrote it."""
    marks = {
        "a folder of somebody's machine": r"(?<![\w.$}~])/(?:work|root|home/(?!linuxbrew)\w+|Users/\w+|tmp)/",
        "a package index": r"https?://[^\s\"'`<>]*(?:/simple\b|pypi|pythonhosted)",
        "an option for a package index": r"--(?:extra-)?index-url[ =]|--find-links",
    }
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in _committed()
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        for what, mark in marks.items()
        if re.search(mark, line)
    ]
    assert wrong == []
