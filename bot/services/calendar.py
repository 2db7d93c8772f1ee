"""Calendar files with one appointment (RFC 5545), as calendars of all makes read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

MEDIA_TYPE = "text/calendar"
_LONGEST_LINE = 75  # octets, without the line's end


@dataclass(frozen=True)
class Appointment:
    """What is in the file; `uid` stays the same when it is made again, moments are aware."""

    uid: str
    title: str
    description: str
    starts_at: datetime
    ends_at: datetime
    organizer_name: str
    organizer_email: str
    made_at: datetime


def calendar_file(appointment: Appointment) -> bytes:
    """The file's content."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//supportbot//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{_text(appointment.uid)}",
        f"DTSTAMP:{_moment(appointment.made_at)}",
        f"DTSTART:{_moment(appointment.starts_at)}",
        f"DTEND:{_moment(appointment.ends_at)}",
        f"SUMMARY:{_text(appointment.title)}",
        f"DESCRIPTION:{_text(appointment.description)}",
        f"ORGANIZER;CN={_quoted(appointment.organizer_name)}:mailto:{appointment.organizer_email}",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{_text(appointment.title)}",
        "TRIGGER:-PT15M",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return b"".join(_folded(line) for line in lines)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return "\\n".join(escaped.splitlines())


def _quoted(value: str) -> str:
    """A parameter's value: nothing can end the quotes, or the line."""
    return '"' + "".join(letter for letter in value if letter.isprintable() and letter != '"') + '"'


def _folded(line: str) -> bytes:
    """The line in pieces of at most 75 octets, cut between characters; those after the first begin with a blank."""
    pieces, piece = [], b""
    for letter in line:
        encoded = letter.encode()
        if len(piece) + len(encoded) > _LONGEST_LINE:
            pieces.append(piece)
            piece = b" "
        piece += encoded
    return b"\r\n".join([*pieces, piece]) + b"\r\n"
