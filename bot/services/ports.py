"""What the services need from outside: a clock, a mailer, chance; each an interface with its real implementation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The moment, aware UTC."""
        ...


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """The moment, aware UTC."""
        return datetime.now(timezone.utc)


class RandomCodes(Protocol):
    """Makes one-time codes."""

    def six_digits(self) -> str:
        """A code from 000000 to 999999."""
        ...


class SecretCodes:
    """Codes nobody can guess, from the system's source of randomness."""

    def six_digits(self) -> str:
        """A code from 000000 to 999999."""
        return f"{secrets.randbelow(1_000_000):06d}"


@dataclass(frozen=True)
class EmailAttachment:
    """A file that goes with a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Email:
    """One mail to one person, from a brand.

    `message_id` stays the same when a mail is sent again, so that a receiver can tell a repetition; `in_reply_to` and
    `references` are Message-IDs of the thread it belongs to. `by_a_person`: somebody wrote it, so it may be answered.
    """

    to: str
    subject: str
    plain: str
    message_id: str
    sender_name: str
    reply_to: str
    html: str | None = None
    attachments: tuple[EmailAttachment, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    by_a_person: bool = False


class Undeliverable(Exception):
    """The other side refused for good; trying again is pointless."""


class Mailer(Protocol):
    """Sends mail."""

    def send(self, email: Email) -> None:
        """Hand the mail over. Raises Undeliverable when refused for good, anything else when worth another try."""
        ...
