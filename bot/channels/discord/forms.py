"""Which question of ours has a form on Discord, what is in it, and what a filled-in form says, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.channels.discord.texts import A_DAY
from bot.channels.discord.wording import shortened
from bot.dialogue.asking import Asking, Expect
from bot.policy.pack import Pack

CODE, EMAIL, TEXT = "code", "email", "text"
DETAILS = "details_"  # followed by the field that is asked for now
FILES = "attachments"
_SINCE = "since"
_SKIP = "skip"
_MOST_FIELDS = 5
_LABEL = 45


@dataclass(frozen=True)
class FormField:
    """One field; `lines` of room to write, `least` and `most` characters, or files."""

    id: str
    label: str
    required: bool = True
    long: bool = False
    least: int = 1
    most: int = 1000
    files: bool = False
    hint: str | None = None


@dataclass(frozen=True)
class FormPage:
    """A form as it is shown."""

    title: str
    fields: tuple[FormField, ...]


def form_of(asking: Asking | None, pack: Pack, *, typing_possible: bool) -> str | None:
    """The form for the open question, None where there is none. On a server nobody can type unseen, so any will do."""
    if asking is None:
        return None if typing_possible else TEXT
    if Expect.CODE in asking.expects:
        return CODE
    if Expect.EMAIL in asking.expects:
        return EMAIL
    if asking.step in _collected(pack) and asking.step != FILES:
        return DETAILS + asking.step
    return None if typing_possible else TEXT


def kind_of(form: str) -> str:
    """Which of `texts.OPEN_FORM` a form is opened with."""
    return "details" if form.startswith(DETAILS) else form


def page(form: str, pack: Pack | None) -> FormPage:
    """What a form shows. A form that this release or brand does not know asks for a text."""
    if form == CODE:
        return FormPage("Confirm that it is you", (FormField("answer", "Code from the e-mail", least=6, most=12),))
    if form == EMAIL:
        return FormPage("Confirm that it is you", (FormField("answer", "E-mail of your account", least=3, most=320),))
    first = form.removeprefix(DETAILS)
    if pack is not None and form.startswith(DETAILS) and first in _collected(pack):
        return FormPage("What our engineers need", _fields_from(first, pack))
    return FormPage("Your answer", (FormField("answer", "Write here", long=True, most=4000),))


def _collected(pack: Pack) -> list[str]:
    return [wanted.evidence for wanted in pack.investigation.fields]


def _fields_from(first: str, pack: Pack) -> tuple[FormField, ...]:
    wanted = pack.investigation.fields
    at = _collected(pack).index(first)
    return tuple(
        FormField(
            id=field.evidence,
            label=shortened(pack.evidence[field.evidence].title.capitalize(), _LABEL),
            required=field.required and field.evidence != FILES,
            long=field.evidence == "description",
            files=field.evidence == FILES,
            hint=A_DAY if field.evidence == _SINCE else None,
        )
        for field in wanted[at : at + _MOST_FIELDS]
    )


@dataclass(frozen=True)
class Said:
    """What one field says: to which question of a flow, None for whichever is open; and whether files go with it."""

    step: str | None
    text: str
    files: bool = False


def said(form: str, values: Mapping[str, str], *, files: int) -> list[Said]:
    """A filled-in form as messages, in the order of its questions."""
    if not form.startswith(DETAILS):
        return [Said(None, values.get("answer", ""))]
    found = []
    for name, value in values.items():
        if name == FILES:
            found.append(Said(name, "" if files else _SKIP, files=bool(files)))
        else:
            found.append(Said(name, value or _SKIP))
    return found
