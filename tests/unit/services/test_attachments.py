"""A file is what its content says, under a name that cannot do harm."""

from __future__ import annotations

import hashlib

import pytest

from bot.errors import InvalidInput, NotFound, TooLarge, UnsupportedFile
from bot.services.attachments import AttachmentView, read_attachment, safe_name, sniff, store_attachment
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.brands import a_conversation
from tests.fakes.clock import START

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def _store(uow: UnitOfWork, filename: str, content: bytes, **limits: object) -> AttachmentView:
    conversation = a_conversation(uow)
    return store_attachment(
        uow,
        conversation_id=conversation,
        filename=filename,
        content=content,
        now=START,
        **limits,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (PNG, "shot.png", "image/png"),
        (PNG, "shot.exe", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "shot", "image/jpeg"),
        (b"RIFF\x10\n\0\0WEBPVP8 ", "shot.webp", "image/webp"),
        (b"GIF89a...", "shot.gif", "image/gif"),
        (b"%PDF-1.7\n...", "bill.pdf", "application/pdf"),
        ("naïve text\twith\r\nlines".encode(), "notes.txt", "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "inbox.LOG", "text/plain"),
        (b"no ending", "README", "text/plain"),
        (b"a,b\n1,2\n", "log.csv", "text/csv"),
        (b'{"event": "sms"}', "hook.json", "application/json"),
        (b"{not json", "hook.json", None),
        (b"[" * 100_000, "deep.json", None),
        (b"<html><script>", "page.html", None),
        (b"<svg onload=alert(1)>", "logo.svg", None),
        (b"#!/bin/sh", "run.sh", None),
        (b"MZ\x90\0\x03", "setup.exe", None),
        (b"MZ\x90\0\x03", "setup.txt", None),
        (b"PK\x03\x04", "all.zip", None),
        (b"text\0with a nul", "a.txt", None),
        (b"\x1b[2Jterminal", "a.log", None),
        (b"\xff\xfe\x00", "a.txt", None),
        (b"PNG", "shot.png", None),
    ],
)
def test_the_content_says_what_a_file_is(content: bytes, filename: str, kind: str | None) -> None:
    assert sniff(content, filename) == kind


@pytest.mark.parametrize(
    ("given", "kind", "safe"),
    [
        ("shot.png", "image/png", "shot.png"),
        ("Shot.PNG", "image/png", "Shot.png"),
        ("photo.jpeg", "image/jpeg", "photo.jpeg"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\Users\\ava\\inbox.log", "text/plain", "inbox.log"),
        ("setup.exe", "image/png", "setup.exe.png"),
        ("txt.\u202egnp.exe", "image/png", "txt.gnp.exe.png"),
        ('a<b>:"c"|?*.png', "image/png", "a_b___c____.png"),
        ("a\r\nSet-Cookie: x.png", "image/png", "aSet-Cookie_ x.png"),
        ("", "image/png", "file.png"),
        ("...", "image/png", "file.png"),
        (".png", "image/png", "png.png"),
        ("x" * 500 + ".png", "image/png", "x" * 96 + ".png"),
        ("снимок экрана.png", "image/png", "снимок экрана.png"),
    ],
)
def test_a_name_is_made_safe_and_true(given: str, kind: str, safe: str) -> None:
    assert safe_name(given, kind) == safe


def test_a_file_comes_back_as_it_was_sent(store: Store) -> None:
    with store.write() as uow:
        kept = _store(uow, "shot.png", PNG)
        uow.commit()
    assert (kept.name, kept.media_type, kept.size) == ("shot.png", "image/png", len(PNG))
    assert kept.sha256 == hashlib.sha256(PNG).hexdigest()
    with store.read() as uow:
        assert read_attachment(uow, kept.id, conversation_id=kept.conversation_id) == (kept, PNG)


def test_a_file_shows_in_its_own_conversation_only(store: Store) -> None:
    with store.write() as uow:
        kept, other = _store(uow, "shot.png", PNG), a_conversation(uow)
        for file, conversation in ((kept.id, other), ("att_x", kept.conversation_id)):
            with pytest.raises(NotFound):
                read_attachment(uow, file, conversation_id=conversation)


def test_a_file_over_the_limit_is_refused_with_both_sizes(store: Store) -> None:
    with store.write() as uow, pytest.raises(TooLarge, match=r"is 5\.1 MB, and the most we can take is 5 MB"):
        _store(uow, "a.txt", b"x" * (5 * 1024 * 1024 + 100_000))


def test_a_file_at_the_limit_is_taken(store: Store) -> None:
    with store.write() as uow:
        assert _store(uow, "a.txt", b"x" * 1000, max_bytes=1000).size == 1000
        with pytest.raises(TooLarge, match="is 1001 bytes, and the most we can take is 1000 bytes"):
            _store(uow, "a.txt", b"x" * 1001, max_bytes=1000)


def test_an_empty_file_is_refused(store: Store) -> None:
    with store.write() as uow, pytest.raises(InvalidInput, match="empty"):
        _store(uow, "a.txt", b"")


def test_a_kind_the_brand_does_not_take_is_refused_with_those_it_does(store: Store) -> None:
    with store.write() as uow, pytest.raises(UnsupportedFile, match=r"What works: png, jpg, jpeg\.$"):
        _store(uow, "a.pdf", b"%PDF-1.7", kinds=("image/png", "image/jpeg"))
