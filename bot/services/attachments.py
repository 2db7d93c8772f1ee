"""Files that customers send: what they really are is read from their content, never from their name."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from bot.errors import InvalidInput, NotFound, TooLarge, UnsupportedFile
from bot.ids import new_id
from bot.store.tables import Attachment
from bot.store.unit_of_work import UnitOfWork

MAX_BYTES = 5 * 1024 * 1024
_MAX_NAME = 100

_ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    "application/pdf": (".pdf",),
    "text/plain": (".txt", ".log"),
    "text/csv": (".csv",),
    "application/json": (".json",),
}
KINDS = frozenset(_ENDINGS)
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)
_ALLOWED_CONTROLS = frozenset("\t\n\r\f")


@dataclass(frozen=True)
class AttachmentView:
    """A file that was kept; `size` in bytes, `sha256` in hexadecimal."""

    id: str
    conversation_id: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime


def store_attachment(
    uow: UnitOfWork,
    *,
    conversation_id: str,
    filename: str,
    content: bytes,
    now: datetime,
    max_bytes: int = MAX_BYTES,
    kinds: Collection[str] = KINDS,
) -> AttachmentView:
    """Keep a file of a conversation, under a safe name. `kinds` are the media types this brand takes.

    Raises TooLarge, UnsupportedFile, or InvalidInput for an empty file.
    """
    if not content:
        raise InvalidInput("The file is empty. Please choose another one.")
    check_size(len(content), max_bytes)
    media_type = sniff(content, filename)
    if media_type is None or media_type not in kinds:
        raise UnsupportedFile(f"We cannot take this kind of file. What works: {_listed(kinds)}.")
    row = Attachment(
        id=new_id("att"),
        conversation_id=conversation_id,
        name=safe_name(filename, media_type),
        media_type=media_type,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
        created_at=now,
    )
    uow.add(row)
    return view(row)


def check_size(size: int, max_bytes: int) -> None:
    """Whether a file of that many bytes is taken, for who need not read it to know. Raises TooLarge."""
    if size > max_bytes:
        raise TooLarge(
            f"The file is {_readable(size)}, and the most we can take is {_readable(max_bytes)}.", limit=max_bytes
        )


def keep_own(
    uow: UnitOfWork, *, conversation_id: str, name: str, media_type: str, content: bytes, now: datetime
) -> AttachmentView:
    """Keep a file that we made for a conversation ourselves: its name and kind are taken as they are."""
    row = Attachment(
        id=new_id("att"),
        conversation_id=conversation_id,
        name=name,
        media_type=media_type,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
        created_at=now,
    )
    uow.add(row)
    return view(row)


def read_attachment(uow: UnitOfWork, attachment_id: str, *, conversation_id: str) -> tuple[AttachmentView, bytes]:
    """A file of this conversation with its content. Raises NotFound, also for a file of another conversation."""
    row = uow.get(Attachment, attachment_id)
    if row is None or row.conversation_id != conversation_id:
        raise NotFound("There is no such file in this conversation.")
    return view(row), bytes(row.content)


def sniff(content: bytes, filename: str) -> str | None:
    """What the file is: one of KINDS, or None. Among plain texts the name's ending decides, if the content agrees."""
    for signature, media_type in _SIGNATURES:
        if signature.match(content):
            return media_type
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(letter) == "Cc" and letter not in _ALLOWED_CONTROLS for letter in text):
        return None
    ending = _ending(filename)
    if ending == ".csv":
        return "text/csv"
    if ending == ".json":
        return "application/json" if _is_json(text) else None
    return "text/plain" if ending in ("", *_ENDINGS["text/plain"]) else None


def safe_name(filename: str, media_type: str) -> str:
    """The file's name without folders, control and direction characters, with an ending that tells the truth."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", filename))[-1]
    shown = "".join(letter for letter in last if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    shown = " ".join(re.sub(r'[<>:"|?*]', "_", shown).split()).strip(". ")
    endings = _ENDINGS[media_type]
    ending = _ending(shown)
    stem, ending = (shown[: -len(ending)], ending) if ending in endings else (shown, endings[0])
    return (stem[: _MAX_NAME - len(ending)].strip(". ") or "file") + ending


def _ending(filename: str) -> str:
    found = re.search(r"\.[A-Za-z0-9]{1,10}$", filename.strip())
    return found.group().lower() if found else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _readable(size: int) -> str:
    return f"{size} bytes" if size < 100_000 else f"{size / 1024 / 1024:.1f} MB".replace(".0 ", " ")


def _listed(kinds: Collection[str]) -> str:
    return ", ".join(ending.lstrip(".") for kind, endings in _ENDINGS.items() if kind in kinds for ending in endings)


def view(row: Attachment) -> AttachmentView:
    """The view of a file's row."""
    return AttachmentView(row.id, row.conversation_id, row.name, row.media_type, row.size, row.sha256, row.created_at)
