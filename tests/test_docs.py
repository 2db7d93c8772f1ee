"""What the documentation says there is, there is; and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from bot import errors
from bot.channels.widget import api as widget
from bot.cli import supportbot
from bot.desk.routes import DeskDeps
from bot.desk.routes import routes as desk_routes
from bot.metrics import Metrics
from bot.nlu.assets import SPECS
from bot.policy.loader import load_packs
from bot.settings import JWT_SECRET_PREFIX, Settings
from bot.store import demo

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _first_cells(name: str) -> list[str]:
    """What stands in the first column of a page's tables, without backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", _text(name), re.M)


class _Recording(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_every_setting_is_documented() -> None:
    """And nothing is that is not read."""
    environ = _Recording()
    Settings.from_env(environ)
    of_models = {name for spec in SPECS for name in (spec.path_variable, spec.hash_variable)}
    documented = _first_cells("docs/settings.md")
    assert sorted(documented) == sorted(environ.asked | of_models | {f"{JWT_SECRET_PREFIX}<BRAND>"})


@pytest.mark.parametrize(
    ("variable", "attribute"),
    [("HOST", "host"), ("PORT", "port"), ("SUPPORTBOT_DEMO", "demo"), ("SUPPORTBOT_LOG_FORMAT", "log_format")],
)
def test_documented_defaults_are_the_defaults(variable: str, attribute: str) -> None:
    """Those that are values."""
    default = re.search(rf"^\| `{variable}` \| `([^`]+)` \|", _text("docs/settings.md"), re.M)
    assert default
    assert getattr(Settings.from_env({}), attribute) == getattr(Settings.from_env({variable: default[1]}), attribute)


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for each, below in command.commands.items():
            yield from _commands(below, f"{name} {each}")
    else:
        yield name


def test_every_command_is_documented() -> None:
    """And no other."""
    documented = [cell for cell in _first_cells("docs/operations.md") if cell.startswith("supportbot ")]
    assert sorted(documented) == sorted(_commands(supportbot, "supportbot"))


def test_every_address_of_the_desk_is_documented() -> None:
    """And no other."""
    deps = DeskDeps(store=None, packs={}, clock=None, gateway=None, secure_cookies=True)  # type: ignore[arg-type]
    documented = {cell for cell in _first_cells("docs/desk.md") if cell.startswith("/desk")}
    assert documented == {route.path for route in desk_routes(deps)}  # type: ignore[attr-defined]


def test_every_metric_is_documented() -> None:
    """Under the name that Prometheus sees."""
    names = [m.name + ("_total" if m.type == "counter" else "") for m in Metrics().registry.collect()]
    documented = [cell for cell in _first_cells("docs/operations.md") if cell.startswith("supportbot_")]
    assert sorted(documented) == sorted(names)


def test_every_error_of_the_api_is_documented() -> None:
    """With its status."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    codes = {kind.code: kind.status for kind in kinds if kind is not errors.SupportBotError}
    of_the_edge = {"internal": 500, "method-not-allowed": 405}
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \|", _text("docs/errors.md"), re.M)
    assert {code: int(status) for code, status in rows} == codes | of_the_edge


def test_the_readme_names_every_demo_customer_of_the_brands_that_are_served() -> None:
    """By the address that one signs in as."""
    served = load_packs(ROOT / "data" / "policies")
    emails = {customer.email for brand in served for customer in demo.demo_customers(brand)}
    assert set(re.findall(r"\w+@\w+\.example", _text("README.md"))) >= emails


def test_every_make_target_that_is_documented_exists() -> None:
    """And each has its line in `make help`."""
    makefile = _text("Makefile")
    targets = set(re.findall(r"^([a-z]+):.* ## ", makefile, re.M))
    code = re.compile(r"(?:`|^    )make ([a-z]+)\b", re.M)
    assert {name for page in PAGES for name in code.findall(page.read_text(encoding="utf-8"))} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    assert set(phony[1].split()) == targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Files exist, and so do the headings linked to."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_the_widgets_addresses_that_are_documented_exist() -> None:
    """Its prefix is part of operators' proxies."""
    assert f"{widget.PREFIX}/stream" in _text("docs/operations.md")
