"""Statements of every turn: compiled once for a database, then handed straight to its driver."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from bot.store.unit_of_work import UnitOfWork

_Process = Callable[[Any], Any]


@dataclass(frozen=True)
class _Compiled:
    """A statement in a database's own words. `names` are its values in the driver's order, None if it takes names."""

    text: str
    fixed: Mapping[str, Any]
    names: tuple[str, ...] | None
    processors: Mapping[str, _Process]
    types: tuple[Any, ...]
    row: Any

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver wants them."""
        given = {**self.fixed, **values}
        for name, process in self.processors.items():
            given[name] = process(given[name])
        return given if self.names is None else tuple([given[name] for name in self.names])


class Prepared:
    """A statement on tables, with bind parameters. It costs a tenth of what a session's way to the database costs.

    It sees what the session has sent, so whoever changed mapped rows flushes first; mapped rows do not see what it
    changes. Values are converted as the columns' types want, and errors are those of SQLAlchemy.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}
        self._readers: dict[tuple[str, tuple[Any, ...]], list[_Process | None]] = {}

    def all(self, uow: UnitOfWork, **values: Any) -> list[Any]:
        """The rows found, with columns by name."""
        compiled, cursor = self._run(uow, values)
        found: list[Any] = cursor.fetchall()
        if found:
            readers = self._reading(uow, compiled, cursor.description)
            found = [
                compiled.row(*[value if read is None else read(value) for read, value in zip(readers, row)])  # noqa: B905
                for row in found
            ]
        cursor.close()
        return found

    def first(self, uow: UnitOfWork, **values: Any) -> Any:
        """The first row found, or None."""
        return next(iter(self.all(uow, **values)), None)

    def change(self, uow: UnitOfWork, **values: Any) -> int:
        """Change or add rows; how many were."""
        uow.session.memory.clear()
        _, cursor = self._run(uow, values)
        count = int(cursor.rowcount)
        cursor.close()
        return count

    def add(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add several rows."""
        uow.session.memory.clear()
        _, cursor = self._run(uow, *rows, many=True)
        cursor.close()

    def _run(self, uow: UnitOfWork, *values: Mapping[str, Any], many: bool = False) -> tuple[_Compiled, Any]:
        connection = uow.session.connection()
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name) or self._compile(dialect)
        cursor = connection.connection.cursor()
        parameters = [compiled.parameters(each) for each in values]
        try:
            if many:
                cursor.executemany(compiled.text, parameters)
            else:
                cursor.execute(compiled.text, parameters[0])
        except dialect.dbapi.Error as error:
            cursor.close()
            raise DBAPIError.instance(
                compiled.text, parameters, error, dialect.dbapi.Error, hide_parameters=True, dialect=dialect
            ) from error
        return compiled, cursor

    def _compile(self, dialect: Any) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect)
        columns = compiled._result_columns or ()
        made = _Compiled(
            text=str(compiled),
            fixed=dict(compiled.params),
            names=tuple(compiled.positiontup) if compiled.positional else None,
            processors=dict(compiled._bind_processors),
            types=tuple(kind for *_, kind in columns),
            row=namedtuple("row", [name for name, *_ in columns]),
        )
        self._compiled[dialect.name] = made
        return made

    def _reading(self, uow: UnitOfWork, compiled: _Compiled, description: Any) -> list[_Process | None]:
        dialect = uow.session.connection().dialect
        codes = tuple(column[1] for column in description)
        key = (dialect.name, codes)
        if key not in self._readers:
            self._readers[key] = [
                kind._cached_result_processor(dialect, code) for kind, code in zip(compiled.types, codes, strict=True)
            ]
        return self._readers[key]
