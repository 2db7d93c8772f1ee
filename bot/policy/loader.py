"""Load policy packs from YAML files; a pack with a mistake is refused with the file, line and key of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from bot.policy.checks import check_meaning
from bot.policy.conditions import Condition, Operator, Test
from bot.policy.decision import Approval, EventKind, Matter, Outcome, RequestKind, Source
from bot.policy.errors import PackError, Problem
from bot.policy.expressions import Reader
from bot.policy.pack import (
    Alternative,
    Answer,
    AnswerVariant,
    Brand,
    CallTerms,
    CancelTerms,
    Consent,
    Contacts,
    DatedTerm,
    DeskTerms,
    EffectTerm,
    EventTerm,
    Evidence,
    InvestigationField,
    InvestigationTerms,
    Law,
    Limits,
    OpenTime,
    Pack,
    PauseLength,
    PauseTerms,
    Product,
    Question,
    Reason,
    RefundMatter,
    RemovalTerm,
    Rule,
    Says,
    SelfService,
    Suggestion,
    Target,
    Theme,
    UndoTerm,
    Upload,
    WhoMay,
)
from bot.policy.schema import WEEKDAYS, check_shape
from bot.policy.yaml_source import Document, Path, parse


def load_pack(path: FilePath) -> Pack:
    """Load one pack. Raises PackError with every problem found."""
    return parse_pack(_read(path), str(path))


def load_packs(folder: FilePath) -> dict[str, Pack]:
    """Load every `*.yml` of a folder, by brand id. Raises PackError; a file must be named for its brand."""
    packs: dict[str, Pack] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yml")):
        try:
            pack = load_pack(path)
        except PackError as error:
            problems.extend(error.problems)
            continue
        if pack.brand.id != path.stem:
            problems.append(Problem(str(path), 1, "brand.id", f"the file must be named {pack.brand.id}.yml"))
        packs[pack.brand.id] = pack
    if not packs and not problems:
        problems.append(Problem(str(folder), 1, "", "there is no policy pack (*.yml) in this folder"))
    if problems:
        raise PackError(tuple(problems))
    return packs


def check_pack(path: FilePath) -> list[Problem]:
    """Return every problem of a pack, in the order of their lines; an empty list when it can be served."""
    try:
        load_pack(path)
    except PackError as error:
        return list(error.problems)
    return []


def parse_pack(text: str, file: str) -> Pack:
    """Make a pack of YAML text; `file` is the name that problems mention. Raises PackError."""
    document = parse(text, file)
    if not document.problems:
        check_shape(document)
    if not document.problems:
        pack = _Builder(document).pack()
        check_meaning(pack, document)
        if not document.problems:
            return pack
    raise PackError(tuple(sorted(dict.fromkeys(document.problems), key=lambda problem: problem.line)))


def _read(path: FilePath) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
        raise PackError((Problem(str(path), 1, "", f"cannot be read: {reason}"),)) from error


class _Builder:
    """Turns data whose shape is right into a pack; what expressions get wrong is added to the document's problems."""

    def __init__(self, document: Document) -> None:
        data: Mapping[str, Any] = document.data
        self._document = document
        self._data = data
        products, evidence = {product["id"] for product in data["products"]}, set(data["evidence"])
        first = Reader(document, products, evidence)  # a named date rests on facts, not on other named dates
        self._dates = {name: first.date(value, ("dates", name)) for name, value in data.get("dates", {}).items()}
        self._read = Reader(document, products, evidence, self._dates)

    def pack(self) -> Pack:
        data = self._data
        rules = {
            kind: tuple(
                self._rule(rule, ("rules", kind.value, index)) for index, rule in enumerate(data["rules"][kind.value])
            )
            for kind in RequestKind
        }
        return Pack(
            version=data["version"],
            brand=self._brand(data["brand"]),
            products=tuple(
                Product(
                    id=value["id"],
                    title=value["title"],
                    plural=value["plural"],
                    target=Target(value["target"]),
                    can_cancel=value["can_cancel"],
                    also_cancels=tuple(value.get("also_cancels", ())),
                    names=tuple(value.get("names", ())),
                )
                for value in data["products"]
            ),
            evidence=MappingProxyType({key: self._evidence(key, value) for key, value in data["evidence"].items()}),
            rules=MappingProxyType(rules),
            cancel=self._cancel(data["cancel"], ("cancel",)),
            investigation=self._investigation(data["investigation"]),
            limits=Limits(**data["limits"]),
            answers=MappingProxyType(
                {intent: self._answer(intent, value) for intent, value in data["answers"].items()}
            ),
            texts=MappingProxyType({name: _says(value) for name, value in data["texts"].items()}),
            suggestions=tuple(Suggestion(each["intent"], each["title"]) for each in data["suggestions"]),
            refund_matters=tuple(
                RefundMatter(Matter(each["matter"]), each["title"]) for each in data["refund_matters"]
            ),
            dates=MappingProxyType(self._dates),
            calls=_calls(data["calls"]) if "calls" in data else None,
            pause=self._pause(data["pause"]) if "pause" in data else None,
            desk=self._desk(data["desk"]) if "desk" in data else None,
        )

    def _brand(self, value: Mapping[str, Any]) -> Brand:
        upload = value["upload"]
        return Brand(
            id=value["id"],
            name=value["name"],
            contacts=Contacts(**value["contacts"]),
            links=MappingProxyType(dict(value["links"])),
            time_zone=value["time_zone"],
            currency=value["currency"],
            theme=Theme(**value["theme"]),
            upload=Upload(upload["max_bytes"], tuple(upload["kinds"]), upload["max_files"]),
            names=tuple(value.get("names", ())),
        )

    def _evidence(self, key: str, value: Mapping[str, Any]) -> Evidence:
        have: Condition = Test("evidence_given", Operator.HAS, key)
        if "have" in value:
            have = self._read.condition(value["have"], ("evidence", key, "have"))
        return Evidence(key, value["title"], value["asks"], have)

    def _rule(self, value: Mapping[str, Any], path: Path) -> Rule:
        law = value.get("law")
        return Rule(
            id=value["id"],
            title=value["title"],
            outcome=Outcome(value["outcome"]),
            says=_says(value["says"]),
            source=_source(value["source"]),
            when=self._read.condition(value.get("when"), (*path, "when")),
            amount=self._read.amount(value["amount"], (*path, "amount")) if "amount" in value else None,
            charge=value.get("charge"),
            needs=tuple(value.get("needs", ())),
            next_steps=_says(value.get("next_steps", ())),
            offers=tuple(value.get("offers", ())),
            approval=Approval(value.get("approval", Approval.NONE.value)),
            law=self._law(law, (*path, "law")) if law else None,
            tell=value.get("tell"),
            statement=_says(value.get("statement", ())),
        )

    def _law(self, value: Mapping[str, Any], path: Path) -> Law | None:
        try:
            return Law(value["name"], date.fromisoformat(value["since"]))
        except ValueError:
            self._document.complain((*path, "since"), f"there is no day {value['since']}")
            return None

    def _desk(self, value: Mapping[str, Any]) -> DeskTerms:
        holidays = []
        for index, day in enumerate(value.get("holidays", ())):
            try:
                holidays.append(date.fromisoformat(day))
            except ValueError:
                self._document.complain(("desk", "holidays", index), f"there is no day {day}")
        return DeskTerms(
            hours=MappingProxyType(
                {WEEKDAYS.index(day): tuple(map(_open_time, times)) for day, times in value["hours"].items()}
            ),
            holidays=tuple(holidays),
            first_reply_minutes=value["first_reply_minutes"],
            next_reply_minutes=value["next_reply_minutes"],
            resolve_hours=value["resolve_hours"],
            promise_minutes=value["promise_minutes"],
            away_reply=_says(value["away_reply"]),
        )

    def _cancel(self, value: Mapping[str, Any], path: Path) -> CancelTerms:
        who, steps = value["who_may"], value["self_service"]
        read = self._read

        def each(key: str) -> list[tuple[Mapping[str, Any], Path]]:
            return [(item, (*path, key, index)) for index, item in enumerate(value.get(key, ()))]

        return CancelTerms(
            who_may=WhoMay(tuple(who["roles"]), who["rule"], _says(who["says"]), _source(who["source"])),
            self_service=SelfService(tuple(steps["steps"]), steps["rule"], _source(steps["source"])),
            questions=tuple(Question(question) for question in value["questions"]),
            effective=tuple(
                DatedTerm(read.date(i["at"], (*p, "at")), i["rule"], read.condition(i.get("when"), (*p, "when")))
                for i, p in each("effective")
            ),
            undo=tuple(
                UndoTerm(
                    read.date(i["at"], (*p, "at")),
                    i["rule"],
                    _says(i["says"]),
                    read.condition(i.get("when"), (*p, "when")),
                )
                for i, p in each("undo")
            ),
            effects=tuple(
                EffectTerm(
                    id=i["id"],
                    title=i["title"],
                    says=_says(i["says"]),
                    source=_source(i["source"]),
                    at=read.date(i["at"], (*p, "at")) if "at" in i else None,
                    when=read.condition(i.get("when"), (*p, "when")),
                    offers=tuple(i.get("offers", ())),
                )
                for i, p in each("effects")
            ),
            events=tuple(
                EventTerm(
                    kind=EventKind(i["kind"]),
                    at=read.dates_of_event(i["at"], (*p, "at")),
                    rule_id=i["rule"],
                    when=read.condition(i.get("when"), (*p, "when")),
                )
                for i, p in each("events")
            ),
            consents=tuple(
                Consent(i["id"], i["version"], i["wording"], read.condition(i.get("when"), (*p, "when")))
                for i, p in each("consents")
            ),
            alternatives=tuple(
                Alternative(
                    i["id"], i["title"], i["says"], i.get("intent"), read.condition(i.get("when"), (*p, "when"))
                )
                for i, p in each("alternatives")
            ),
            reasons=tuple(Reason(i["id"], i["title"]) for i, _ in each("reasons")),
            remove_numbers=self._removal(value["remove_numbers"], (*path, "remove_numbers"))
            if "remove_numbers" in value
            else None,
        )

    def _removal(self, value: Mapping[str, Any], path: Path) -> RemovalTerm:
        when = self._read.condition(value.get("when"), (*path, "when"))
        return RemovalTerm(_says(value["says"]), value["rule"], when)

    def _pause(self, value: Mapping[str, Any]) -> PauseTerms:
        return PauseTerms(
            title=value["title"],
            rule_id=value["rule"],
            starts=self._read.date(value["starts"], ("pause", "starts")),
            lengths=tuple(PauseLength(each["id"], each["title"], each["months"]) for each in value["lengths"]),
            says=_says(value["says"]),
        )

    def _investigation(self, value: Mapping[str, Any]) -> InvestigationTerms:
        return InvestigationTerms(
            rule_id=value["rule"],
            says=_says(value["says"]),
            fields=tuple(InvestigationField(field["evidence"], field["required"]) for field in value["fields"]),
            test_sms=value["test_sms"],
            source=_source(value["source"]),
        )

    def _answer(self, intent: str, value: Mapping[str, Any]) -> Answer:
        variants = tuple(
            AnswerVariant(
                _says(variant["says"]),
                self._read.condition(variant.get("when"), ("answers", intent, "for_account", index, "when")),
            )
            for index, variant in enumerate(value.get("for_account", ()))
        )
        return Answer(
            intent=intent,
            says=_says(value["says"]),
            rule_ids=tuple(value["rules"]),
            source=_source(value["source"]),
            for_account=variants,
            offers=tuple(value.get("offers", ())),
        )


def _calls(value: Mapping[str, Any]) -> CallTerms:
    return CallTerms(
        title=value["title"],
        rule_id=value["rule"],
        days=tuple(sorted(WEEKDAYS.index(day) for day in value["days"])),
        opens=time.fromisoformat(value["from"]),
        closes=time.fromisoformat(value["to"]),
        minutes=value["minutes"],
        notice_hours=value["notice_hours"],
        days_ahead=value["days_ahead"],
    )


def _open_time(stretch: str) -> OpenTime:
    opens, closes = (60 * int(clock[:2]) + int(clock[3:]) for clock in stretch.split("-"))
    return OpenTime(opens, closes)


def _says(value: str | list[str] | tuple[str, ...]) -> Says:
    return (value,) if isinstance(value, str) else tuple(value)


def _source(value: str) -> Source:
    article, _, section = value.partition("#")
    return Source(article, section)
