"""Measures understanding: cross-validation on the project's own data, and public benchmarks by the same means."""

from __future__ import annotations

import csv
import hashlib
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from bot.errors import InvalidInput
from bot.nlu.classifier import (
    OUT_OF_SCOPE,
    Encoder,
    IntentClassifier,
    Judgement,
    Verdict,
    hash_of_data,
    judge,
    read_configuration,
)
from bot.nlu.encoder import shared_encoder
from bot.nlu.entities import find_entities
from bot.nlu.lexicon import shared_lexicon
from bot.nlu.outside import groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
SEED = 7
BINS = 15
WORST = 20
DRAWS = 5
COMPONENT = "bot.nlu.components.IntentModel"

Progress = Callable[[int, int, str], None]
"""Called with the number of steps done, the number of all steps, and the step that begins."""


@dataclass(frozen=True)
class Example:
    """A message and its right intent."""

    text: str
    intent: str


@dataclass(frozen=True)
class IntentScore:
    """How well one intent is understood."""

    intent: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """An intent taken for another, with the messages the model was surest of."""

    intent: str
    taken_for: str
    times: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Verdicts:
    """What the thresholds do. `helpful` is the share of questions back that offer the right intent; `caught` that of
    messages out of scope which are not answered as if they were in scope.
    """

    answered: float
    right_when_answered: float
    asked_back: float
    helpful: float
    unsure: float
    caught: float


@dataclass(frozen=True)
class EntityScore:
    """How well one entity is found with its value: of `right`, `wrong` (found, but not there) and `missed`."""

    entity: str
    right: int
    wrong: int
    missed: int

    @property
    def f1(self) -> float:
        whole = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / whole if whole else 1.0


@dataclass(frozen=True)
class Case:
    """What became of one message. `key` is a hash: reports need not repeat what customers wrote to be compared."""

    key: str
    intent: str
    called: str
    confidence: float
    verdict: str


@dataclass(frozen=True)
class Report:
    """The result of one evaluation. Shares are between 0 and 1, times in seconds unless named otherwise."""

    name: str
    examples: int
    tested: int
    accuracy: float
    accuracy_in_scope: float
    macro_f1: float
    calibration_error: float
    out_of_scope_recall: float
    out_of_scope_precision: float
    verdicts: Verdicts
    intents: tuple[IntentScore, ...]
    confusions: tuple[Confusion, ...]
    milliseconds: float
    training_seconds: float
    data_hash: str
    configuration: Mapping[str, Any]
    entities: tuple[EntityScore, ...] = ()
    cases: tuple[Case, ...] = ()

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def as_markdown(self) -> str:
        """The report for people: figures, the intents from worst to best, the worst confusions."""
        verdicts = self.verdicts
        lines = [
            f"# Understanding: {self.name}",
            "",
            f"{self.examples} messages, {self.tested} tested, data `{self.data_hash[:12]}`.",
            "",
            "| | |",
            "|---|---|",
            f"| accuracy | {self.accuracy:.2%} |",
            f"| accuracy in scope | {self.accuracy_in_scope:.2%} |",
            f"| macro F1 | {self.macro_f1:.2%} |",
            f"| expected calibration error | {self.calibration_error:.2%} |",
            f"| out of scope, recall | {self.out_of_scope_recall:.1%} |",
            f"| out of scope, precision | {self.out_of_scope_precision:.1%} |",
            f"| answered / right when answered | {verdicts.answered:.1%} / {verdicts.right_when_answered:.1%} |",
            f"| asked back / right intent among the choices | {verdicts.asked_back:.1%} / {verdicts.helpful:.1%} |",
            f"| unsure | {verdicts.unsure:.1%} |",
            f"| out of scope and not answered as if in scope | {verdicts.caught:.1%} |",
            f"| median time a message | {self.milliseconds:.1f} ms |",
            f"| training | {self.training_seconds:.1f} s |",
            "",
            "| intent | messages | precision | recall | F1 |",
            "|---|---|---|---|---|",
            *(
                f"| {one.intent} | {one.examples} | {one.precision:.3f} | {one.recall:.3f} | {one.f1:.3f} |"
                for one in sorted(self.intents, key=lambda one: (one.f1, one.intent))
            ),
            "",
            "| intent | taken for | times | for example |",
            "|---|---|---|---|",
            *(
                f"| {one.intent} | {one.taken_for} | {one.times} | {'; '.join(_cell(text) for text in one.examples)} |"
                for one in self.confusions
            ),
        ]
        if self.entities:
            lines += [
                "",
                "| entity | right | wrong | missed | F1 |",
                "|---|---|---|---|---|",
                *(
                    f"| {one.entity} | {one.right} | {one.wrong} | {one.missed} | {one.f1:.3f} |"
                    for one in self.entities
                ),
            ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write the report as JSON, Markdown and pictures into a folder; gives their paths, JSON and Markdown first."""
        from bot.nlu import pictures

        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name}.json", folder / f"{self.name}.md"]
        paths[0].write_text(self.as_json(), encoding="utf-8")
        paths[1].write_text(self.as_markdown(), encoding="utf-8")
        for kind, draw in pictures.KINDS.items():
            paths.append(folder / f"{self.name}-{kind}.png")
            draw(self.cases, paths[-1])
        return tuple(paths)


def cross_validate(
    *, data: Path, config: Path, entities: Path | None = None, grouped: bool = False, progress: Progress | None = None
) -> Report:
    """Five-fold cross-validation of `config` on the NLU files in the folder `data`. Raises InvalidInput.

    `grouped` keeps near twins in one fold, so that none is tested on what its twin taught: the more honest figure.
    `entities` is a file of messages and what is to be found in them.
    """
    examples = read_examples(data)
    labels = [example.intent for example in examples]
    if len(set(labels)) < 2:
        raise InvalidInput(f"Cross-validation needs messages of at least two intents, in .yml files in {data}.")
    encoder = _Remembering(shared_encoder())
    twins = _near_twins([example.text for example in examples], encoder) if grouped else None
    rounds = stratified_folds(labels, FOLDS, SEED, twins)
    splits = [([examples[i] for i in train], [examples[i] for i in test]) for train, test in rounds]
    name = "cross-validation-grouped" if grouped else "cross-validation"
    found = score_entities(entities) if entities else ()
    return _evaluate(name, examples, splits, config, encoder, progress or _silent, found)


def benchmark(
    name: str, *, data: Path, config: Path, shots: int | None = None, progress: Progress | None = None
) -> Report:
    """Train and test on a public set, `banking77` or `clinc150`, as it is split. Raises InvalidInput.

    With `shots`, that many messages an intent are drawn to train on, five times; the figures are of all draws together.
    """
    readers = {"banking77": _read_banking77, "clinc150": _read_clinc150}
    if name not in readers:
        raise InvalidInput(f"There is no benchmark {name}; there are {' and '.join(readers)}.")
    try:
        train, test = readers[name](data)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"The data of {name} cannot be read from {data}: {error}.") from error
    encoder = _Remembering(shared_encoder())
    if shots is None:
        return _evaluate(name, train, [(train, test)], config, encoder, progress or _silent)
    splits = [(_drawn(train, shots, SEED + draw), test) for draw in range(DRAWS)]
    return _evaluate(f"{name}-{shots}-shots", train, splits, config, encoder, progress or _silent)


def score_entities(file: Path) -> tuple[EntityScore, ...]:
    """Scores on a YAML file of `now` and `messages`, each a `text` and what is to be found. Raises InvalidInput."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        now = datetime.fromisoformat(content["now"])
        messages = [(one["text"], [next(iter(each.items())) for each in one["finds"]]) for one in content["messages"]]
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"The entities cannot be read from {file}: {error}.") from error
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for text, meant in messages:
        wanted = Counter((kind, str(value)) for kind, value in meant)
        found = Counter((one.entity, str(one.value)) for one in find_entities(text, now))
        right.update(kind for kind, _ in (wanted & found).elements())
        wrong.update(kind for kind, _ in (found - wanted).elements())
        missed.update(kind for kind, _ in (wanted - found).elements())
    kinds = sorted({*right, *wrong, *missed})
    return tuple(EntityScore(kind, right[kind], wrong[kind], missed[kind]) for kind in kinds)


def changes(before: bytes, after: Report, *, name: str) -> str:
    """What changed since another report (the JSON of `Report.write`), as Markdown. Raises InvalidInput."""
    try:
        old = json.loads(before)
        measured = [each.name for each in fields(Report) if each.type == "float"]
        figures = [(one, float(old[one])) for one in measured]
        intents = {one["intent"]: one["f1"] for one in old["intents"]}
        were_right = {one["key"]: one["intent"] == one["called"] for one in old["cases"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{name} is not a report of `supportbot evaluate`: {error}.") from error
    are_right = {one.key: one.intent == one.called for one in after.cases}
    both = were_right.keys() & are_right.keys()
    gained = sum(are_right[key] and not were_right[key] for key in both)
    lost = sum(were_right[key] and not are_right[key] for key in both)
    now = {one.intent: one.f1 for one in after.intents}
    moved = sorted(
        (now.get(intent, 0.0) - intents.get(intent, 0.0), intent)
        for intent in now.keys() | intents.keys()
        if abs(now.get(intent, 0.0) - intents.get(intent, 0.0)) >= 0.005
    )
    return "\n".join(
        [
            f"# What changed since {name}",
            "",
            f"{len(both)} messages are in both: {gained} are right now and were not, {lost} the other way round.",
            f"{len(are_right) - len(both)} messages are new, {len(were_right) - len(both)} are gone.",
            "",
            "| | before | now |",
            "|---|---|---|",
            *(f"| {one.replace('_', ' ')} | {value:.4g} | {getattr(after, one):.4g} |" for one, value in figures),
            "",
            "| intent | F1 before | now |",
            "|---|---|---|",
            *(f"| {one} | {intents.get(one, 0.0):.3f} | {now.get(one, 0.0):.3f} |" for _, one in moved),
            "",
        ]
    )


def read_examples(folder: Path) -> list[Example]:
    """The messages of all NLU files (Rasa's YAML) in a folder, in the order of files and lines. Raises InvalidInput."""
    examples = []
    for file in sorted(folder.rglob("*.yml")):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise InvalidInput(f"{file} is not YAML: {error}") from error
        for block in content.get("nlu") or []:
            lines = str(block.get("examples") or "").splitlines() if "intent" in block else []
            for line in lines:
                if text := line.strip().removeprefix("-").strip():
                    examples.append(Example(text, block["intent"]))
    return examples


def configuration(config: Path) -> dict[str, Any]:
    """What a config.yml says of the classifier. Raises InvalidInput if it has none."""
    pipeline = (yaml.safe_load(config.read_text(encoding="utf-8")) or {}).get("pipeline") or []
    for component in pipeline:
        if component.get("name") == COMPONENT:
            return {key: value for key, value in component.items() if key != "name"}
    raise InvalidInput(f"The pipeline of {config} has no {COMPONENT}.")


class _Remembering:
    """An encoder that encodes each text once: folds share almost all of theirs."""

    def __init__(self, encoder: Encoder) -> None:
        self.sha256 = encoder.sha256
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}

    def layers_of_few(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encoder.layers_of_few(new), strict=True))
        return [self._known[text] for text in texts]

    def layers_of_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(new, self._encoder.layers_of_all(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def stratified_folds(
    labels: Sequence[str], folds: int, seed: int, group_of: Sequence[int] | None = None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(train, held out) indices: each label is spread evenly over the folds, in an order fixed by the seed.

    Members of one group are in one fold; the fold that has fewest of their label.
    """
    generator = np.random.default_rng(seed)
    fold_of = np.empty(len(labels), np.intp)
    names = np.asarray(labels)
    if group_of is not None:
        members: defaultdict[int, list[int]] = defaultdict(list)
        for index, group in enumerate(group_of):
            members[group].append(index)
        counts: defaultdict[str, NDArray[np.intp]] = defaultdict(lambda: np.zeros(folds, np.intp))
        order = [list(members.values())[one] for one in generator.permutation(len(members))]
        for group_members in sorted(order, key=len, reverse=True):
            label = Counter(labels[one] for one in group_members).most_common(1)[0][0]
            fold = int(counts[label].argmin())
            fold_of[group_members] = fold
            for one in group_members:
                counts[labels[one]][fold] += 1
        return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)]
    offset = 0
    for name in sorted(set(labels)):
        shuffled = generator.permutation(np.flatnonzero(names == name))
        fold_of[shuffled] = (np.arange(len(shuffled)) + offset) % folds
        offset += len(shuffled)
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)]


def _near_twins(texts: Sequence[str], encoder: Encoder) -> list[int]:
    """The group of each message: near twins by meaning are in one."""
    vectors = encoder.layers_of_all(texts)[:, 0]
    return [int(one) for one in groups(vectors, np.zeros(len(texts), bool))]


def _drawn(examples: Sequence[Example], shots: int, seed: int) -> list[Example]:
    """So many examples of each intent, drawn without putting back."""
    generator = np.random.default_rng(seed)
    names = np.asarray([example.intent for example in examples])
    chosen = [generator.permutation(np.flatnonzero(names == name))[:shots] for name in sorted(set(names))]
    return [examples[i] for i in np.concatenate(chosen)]


def _evaluate(
    name: str,
    examples: Sequence[Example],
    splits: Sequence[tuple[list[Example], list[Example]]],
    config: Path,
    encoder: Encoder,
    progress: Progress,
    entities: tuple[EntityScore, ...] = (),
) -> Report:
    settings = configuration(config)
    options, thresholds = read_configuration(settings)
    tested: list[Example] = []
    judgements: list[Judgement] = []
    seconds: list[float] = []
    for step, (train, test) in enumerate(splits):
        progress(step, len(splits), f"fold {step + 1} of {len(splits)}" if len(splits) > 1 else name)
        started = time.perf_counter()
        classifier = IntentClassifier.fit(
            [one.text for one in train],
            [one.intent for one in train],
            options,
            encoder=encoder,
            lexicon=shared_lexicon(),
        )
        seconds.append(time.perf_counter() - started)
        judgements += [judge(classifier.predict(one.text), thresholds) for one in test]
        tested += test
    progress(len(splits), len(splits), "")
    return Report(
        name=name,
        examples=len(examples),
        tested=len(tested),
        **_scores(tested, judgements),
        verdicts=_verdicts(tested, judgements),
        intents=_intent_scores(tested, judgements),
        confusions=_confusions(tested, judgements),
        milliseconds=_milliseconds(classifier, tested),
        training_seconds=seconds[0],
        data_hash=hash_of_data([one.text for one in examples], [one.intent for one in examples]),
        configuration=settings,
        entities=entities,
        cases=tuple(_case(one, made) for one, made in zip(tested, judgements, strict=True)),
    )


def _case(example: Example, judgement: Judgement) -> Case:
    called, confidence = judgement.ranking[0]
    key = hashlib.sha256(example.text.encode()).hexdigest()[:12]
    return Case(key, example.intent, called, round(confidence, 4), judgement.verdict.value)


def _scores(tested: Sequence[Example], judgements: Sequence[Judgement]) -> dict[str, float]:
    right = np.array([judgement.ranking[0][0] == one.intent for one, judgement in zip(tested, judgements, strict=True)])
    outside = np.array([one.intent == OUT_OF_SCOPE for one in tested])
    called_outside = np.array([judgement.ranking[0][0] == OUT_OF_SCOPE for judgement in judgements])
    scores = _intent_scores(tested, judgements)
    return {
        "accuracy": float(right.mean()),
        "accuracy_in_scope": _mean(right[~outside]),
        "macro_f1": statistics.fmean(one.f1 for one in scores),
        "calibration_error": calibration_error(np.array([one.ranking[0][1] for one in judgements]), right),
        "out_of_scope_recall": _mean(called_outside[outside]),
        "out_of_scope_precision": _mean(outside[called_outside]),
    }


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of equal width: the mean distance between confidence and being right."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = [bins == one for one in np.unique(bins)]
    return float(sum(abs(confidence[one].mean() - right[one].mean()) * one.mean() for one in used))


def _verdicts(tested: Sequence[Example], judgements: Sequence[Judgement]) -> Verdicts:
    pairs = list(zip(tested, judgements, strict=True))
    answered = [(one, made) for one, made in pairs if made.verdict is Verdict.ANSWER]
    asked = [(one, made) for one, made in pairs if made.verdict is Verdict.ASK_BACK]
    outside = [made for one, made in pairs if one.intent == OUT_OF_SCOPE]
    return Verdicts(
        answered=len(answered) / len(pairs),
        right_when_answered=_mean([made.ranking[0][0] == one.intent for one, made in answered]),
        asked_back=len(asked) / len(pairs),
        helpful=_mean([one.intent in made.choices for one, made in asked]),
        unsure=1 - (len(answered) + len(asked)) / len(pairs),
        caught=_mean([made.verdict is not Verdict.ANSWER or made.ranking[0][0] == OUT_OF_SCOPE for made in outside]),
    )


def _intent_scores(tested: Sequence[Example], judgements: Sequence[Judgement]) -> tuple[IntentScore, ...]:
    true = Counter(one.intent for one in tested)
    called = Counter(judgement.ranking[0][0] for judgement in judgements)
    hits = Counter(one.intent for one, made in zip(tested, judgements, strict=True) if made.ranking[0][0] == one.intent)
    return tuple(
        IntentScore(
            intent=name,
            examples=true[name],
            precision=hits[name] / called[name] if called[name] else 0.0,
            recall=hits[name] / true[name],
            f1=2 * hits[name] / (true[name] + called[name]),
        )
        for name in sorted(true)
    )


def _confusions(tested: Sequence[Example], judgements: Sequence[Judgement]) -> tuple[Confusion, ...]:
    found: defaultdict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for one, made in zip(tested, judgements, strict=True):
        name, confidence = made.ranking[0]
        if name != one.intent:
            found[one.intent, name].append((-confidence, one.text))
    worst = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:WORST]
    return tuple(
        Confusion(intent, taken_for, len(texts), tuple(text for _, text in sorted(texts)[:5]))
        for (intent, taken_for), texts in worst
    )


def _milliseconds(classifier: IntentClassifier, tested: Sequence[Example]) -> float:
    """Median time of a message that no cache has."""
    times = []
    for number, one in enumerate(tested[:300]):
        text = f"{one.text} {number}"
        started = time.perf_counter()
        classifier.predict(text)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _read_banking77(folder: Path) -> tuple[list[Example], list[Example]]:
    def read(name: str) -> list[Example]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return [Example(row["text"], row["category"]) for row in csv.DictReader(file)]

    return read("train.csv"), read("test.csv")


def _read_clinc150(folder: Path) -> tuple[list[Example], list[Example]]:
    content = json.loads((folder / "data_full.json").read_text(encoding="utf-8"))

    def read(*parts: str) -> list[Example]:
        return [
            Example(text, OUT_OF_SCOPE if intent == "oos" else intent)
            for part in parts
            for text, intent in content[part]
        ]

    return read("train", "oos_train"), read("test", "oos_test")


def _mean(values: Sequence[bool] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _silent(done: int, steps: int, step: str) -> None:
    """No progress wanted."""
