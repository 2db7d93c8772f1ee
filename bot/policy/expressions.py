"""Read a pack's conditions, dates and amounts; what is wrong becomes a problem with the line and key it stands at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.policy.amounts import Amount, Least, Part, Sum
from bot.policy.conditions import ALWAYS, AllOf, AnyOf, Condition, Not, Operator, Test
from bot.policy.dates import DateExpression, DayTime, Each, Earliest, Latest, Shift
from bot.policy.facts import FACTS, FactKind, FactSpec, FactValue
from bot.policy.yaml_source import Document, Path

_COMBINATIONS = ("all", "any", "not")
_MOMENTS = (FactKind.DATETIME, FactKind.DATE)
_NUMBERS = (FactKind.INT, FactKind.MONEY_MINOR)
_PLAIN = (FactKind.BOOL, FactKind.ENUM, FactKind.TEXT, *_NUMBERS)
_MOST_DAYS, _MOST_MONTHS, _MOST_YEARS = 36_525, 1_200, 100

_FITS: Mapping[Operator, tuple[FactKind, ...]] = {
    Operator.IS: _PLAIN,
    Operator.IS_NOT: _PLAIN,
    Operator.IN: (FactKind.ENUM, FactKind.TEXT, *_NUMBERS),
    Operator.NOT_IN: (FactKind.ENUM, FactKind.TEXT, *_NUMBERS),
    Operator.AT_LEAST: _NUMBERS,
    Operator.AT_MOST: _NUMBERS,
    Operator.BEFORE: _MOMENTS,
    Operator.AFTER: _MOMENTS,
    Operator.HAS: (FactKind.TEXT_LIST,),
    Operator.UNKNOWN: tuple(FactKind),
}

_WORDS: Mapping[FactKind, str] = {
    FactKind.BOOL: "true or false",
    FactKind.INT: "a whole number",
    FactKind.MONEY_MINOR: "a whole number of minor units",
    FactKind.TEXT: "text",
    FactKind.TEXT_LIST: "a list of text",
    FactKind.DATETIME: "a moment",
    FactKind.DATETIME_LIST: "a list of moments",
    FactKind.DATE: "a day",
}


@dataclass(frozen=True)
class Reader:
    """Reads expressions of one document; `products`, `evidence` and `dates` are those the pack itself defines."""

    document: Document
    products: Collection[str]
    evidence: Collection[str]
    dates: Mapping[str, DateExpression] = MappingProxyType({})

    def condition(self, value: Any, path: Path) -> Condition:
        """Read a mapping of facts to values or operators; several entries must all hold. None is always."""
        if value is None:
            return ALWAYS
        if not isinstance(value, Mapping) or not value:
            self.document.complain(path, "a condition must be a mapping of facts, `all`, `any` or `not`")
            return ALWAYS
        parts: list[Condition] = []
        for key, below in value.items():
            if key in _COMBINATIONS:
                parts.append(self._combination(key, below, (*path, key)))
            else:
                parts.extend(self._tests(key, below, (*path, key)))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def date(self, value: Any, path: Path) -> DateExpression:
        """Read the name of a date, or `from` with years, months, days and `at`, `latest_of` or `earliest_of`."""
        if isinstance(value, str):
            return self.dates.get(value) or self._shift({"from": value}, path)
        if isinstance(value, Mapping) and len(value) == 1:
            for key, kind in (("latest_of", Latest), ("earliest_of", Earliest)):
                if key in value:
                    parts = value[key]
                    if isinstance(parts, list) and parts:
                        return kind(tuple(self.date(part, (*path, key, i)) for i, part in enumerate(parts)))
                    self.document.complain((*path, key), "must be a list of dates")
                    return Shift("now")
        if isinstance(value, Mapping):
            return self._shift(value, path)
        self.document.complain(path, "a date must be the name of a date fact, or a mapping with `from`")
        return Shift("now")

    def dates_of_event(self, value: Any, path: Path) -> DateExpression | Each:
        """Read a date, or `each` with the name of a fact that is a list of moments."""
        if not isinstance(value, Mapping) or "each" not in value:
            return self.date(value, path)
        self._only_keys(value, ("each",), path, "a repeated date")
        fact = str(value["each"])
        if fact not in FACTS or FACTS[fact].kind is not FactKind.DATETIME_LIST:
            self.document.complain((*path, "each"), f"`{fact}` is not a fact that lists moments")
        return Each(fact)

    def amount(self, value: Any, path: Path) -> Amount:
        """Read the name of a money fact, or `of` with `times` and `over`, or `sum`, or `least`."""
        if isinstance(value, str):
            return self._part({"of": value}, path)
        if isinstance(value, Mapping) and len(value) == 1:
            for key, kind in (("sum", Sum), ("least", Least)):
                if key in value:
                    parts = value[key]
                    if isinstance(parts, list) and parts:
                        return kind(tuple(self.amount(part, (*path, key, i)) for i, part in enumerate(parts)))
                    self.document.complain((*path, key), "must be a list of amounts")
                    return Part(0)
        if isinstance(value, Mapping):
            return self._part(value, path)
        self.document.complain(path, "an amount must be the name of a money fact, or a mapping with `of`")
        return Part(0)

    def _combination(self, key: str, value: Any, path: Path) -> Condition:
        if key == "not":
            return Not(self.condition({} if value is None else value, path))
        if not isinstance(value, list) or not value:
            self.document.complain(path, f"`{key}` must be a list of conditions")
            return ALWAYS
        parts = tuple(self.condition({} if part is None else part, (*path, i)) for i, part in enumerate(value))
        return AllOf(parts) if key == "all" else AnyOf(parts)

    def _tests(self, fact: str, value: Any, path: Path) -> list[Condition]:
        spec = FACTS.get(fact)
        if spec is None:
            self.document.complain(path, f"there is no fact `{fact}`")
            return []
        if not isinstance(value, Mapping):
            return [self._test(spec, Operator.IS, value, path)]
        if not value:
            self.document.complain(path, "must name a value or an operator")
        tests: list[Condition] = []
        for name, expected in value.items():
            if name not in Operator._value2member_map_:
                known = ", ".join(operator.value for operator in Operator)
                self.document.complain((*path, name), f"there is no operator `{name}`; known: {known}")
                continue
            tests.append(self._test(spec, Operator(name), expected, (*path, name)))
        return tests

    def _test(self, spec: FactSpec, operator: Operator, value: Any, path: Path) -> Condition:
        if spec.kind not in _FITS[operator]:
            self.document.complain(path, f"`{operator.value}` does not fit `{spec.name}`, which is {_kind(spec)}")
            return ALWAYS
        if operator in (Operator.BEFORE, Operator.AFTER):
            return Test(spec.name, operator, self.date(value, path))
        if operator in (Operator.IN, Operator.NOT_IN):
            if not isinstance(value, list) or not value:
                self.document.complain(path, f"`{operator.value}` needs a list of values")
                return ALWAYS
            for index, item in enumerate(value):
                self._check_value(spec, item, (*path, index))
            return Test(spec.name, operator, tuple(value))
        if operator is Operator.UNKNOWN:
            if not isinstance(value, bool):
                self.document.complain(path, "`unknown` is true or false")
        else:
            self._check_value(spec, value, path)
        expected: FactValue = value
        return Test(spec.name, operator, expected)

    def _check_value(self, spec: FactSpec, value: Any, path: Path) -> None:
        fits = {
            FactKind.BOOL: isinstance(value, bool),
            FactKind.INT: isinstance(value, int) and not isinstance(value, bool),
            FactKind.MONEY_MINOR: isinstance(value, int) and not isinstance(value, bool),
            FactKind.ENUM: value in spec.values,
            FactKind.TEXT: isinstance(value, str),
            FactKind.TEXT_LIST: isinstance(value, str),
        }
        if not fits.get(spec.kind, False):
            self.document.complain(path, f"`{spec.name}` is {_kind(spec)}, not {value!r}")
        elif spec.name == "product" and value not in self.products:
            self.document.complain(path, f"the pack has no product `{value}`")
        elif spec.name == "evidence_given" and value not in self.evidence:
            self.document.complain(path, f"the pack has no evidence `{value}`")

    def _shift(self, value: Mapping[str, Any], path: Path) -> Shift:
        self._only_keys(value, ("from", "years", "months", "days", "at"), path, "a date")
        fact = str(value.get("from"))
        if fact not in FACTS or FACTS[fact].kind not in _MOMENTS:
            self.document.complain((*path, "from") if "from" in value else path, f"`{fact}` is not a date fact")
            fact = "now"
        moved = {
            key: self._number(value.get(key, 0), -most, most, (*path, key))
            for key, most in (("years", _MOST_YEARS), ("months", _MOST_MONTHS), ("days", _MOST_DAYS))
        }
        at = value.get("at")
        if at is not None and at not in DayTime._value2member_map_:
            known = " or ".join(time.value for time in DayTime)
            self.document.complain((*path, "at"), f"must be {known}, not {at!r}")
            at = None
        return Shift(fact, moved["years"], moved["months"], moved["days"], DayTime(at) if at else None)

    def _part(self, value: Mapping[str, Any], path: Path) -> Part:
        self._only_keys(value, ("of", "times", "over"), path, "an amount")
        of, times, over = value.get("of"), value.get("times", 1), value.get("over", 1)
        for key, number, kinds, least in (
            ("of", of, (FactKind.MONEY_MINOR,), 0),
            ("times", times, (FactKind.INT,), 0),
            ("over", over, (FactKind.INT,), 1),
        ):
            here = (*path, key) if key in value else path
            if isinstance(number, str):
                if number not in FACTS or FACTS[number].kind not in kinds:
                    self.document.complain(here, f"`{number}` is not a fact of kind {kinds[0].value}")
            else:
                self._number(number, least, 10**12, here)
        return Part(of if of is not None else 0, times, over)

    def _number(self, value: Any, least: int, most: int, path: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.document.complain(path, f"must be a whole number from {least} to {most}, not {value!r}")
            return 0
        return value

    def _only_keys(self, value: Mapping[str, Any], known: tuple[str, ...], path: Path, what: str) -> None:
        for key in value:
            if key not in known:
                self.document.complain((*path, key), f"is not part of {what}; known: {', '.join(known)}")


def _kind(spec: FactSpec) -> str:
    return _WORDS.get(spec.kind) or f"one of {', '.join(spec.values)}"
