"""A mailer that keeps what it was given, and fails when told to."""

from __future__ import annotations

from bot.services.ports import Email


class FakeMailer:
    """Implements `bot.services.ports.Mailer`; `failures` are raised first, one a call."""

    def __init__(self, *failures: Exception) -> None:
        self.sent: list[Email] = []
        self.failures = list(failures)

    def send(self, email: Email) -> None:
        """Keep the mail, or raise the next failure."""
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(email)
