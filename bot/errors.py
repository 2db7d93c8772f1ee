"""Every error the system raises on purpose: one tree, with data; edges translate it to HTTP, chat or exit codes."""

from __future__ import annotations


class SupportBotError(Exception):
    """Base of all deliberate errors; `str(error)` is a clear sentence for the person at the edge.

    `code` is stable and documented (docs/errors.md); `status` is the HTTP status an edge should use.
    """

    code = "error"
    status = 500

    def __init__(self, message: str, **data: object) -> None:
        super().__init__(message)
        self.data = data


class InvalidInput(SupportBotError):
    """What was sent is malformed: the sentence says what is wrong and what would be right."""

    code = "invalid-input"
    status = 422


class TooLarge(InvalidInput):
    """A text or a file is over its limit."""

    code = "too-large"
    status = 413


class UnsupportedFile(InvalidInput):
    """A file of a kind that we do not take."""

    code = "unsupported-file"
    status = 415


class NotFound(SupportBotError):
    """The thing named does not exist, or is not this customer's to see (the answer is the same)."""

    code = "not-found"
    status = 404


class UnknownCustomer(NotFound):
    """Somebody is signed in at the host site, with an address that no account of the brand has."""


class UnknownBrand(NotFound):
    """No policy pack of that name is loaded."""

    code = "unknown-brand"


class NotAuthenticated(SupportBotError):
    """No valid proof of who is speaking."""

    code = "not-authenticated"
    status = 401


class UnsignedMail(SupportBotError):
    """A mail was handed in without proof that the mail service did it."""

    code = "unsigned-mail"
    status = 401


class ProofTooOld(NotAuthenticated):
    """Known customer, but the proof is older than money and cancelling allow (30 minutes)."""

    code = "proof-too-old"


class Forbidden(SupportBotError):
    """Known, but not allowed."""

    code = "forbidden"
    status = 403


class Conflict(SupportBotError):
    """The state changed meanwhile, or the same key was used for something else."""

    code = "conflict"
    status = 409


class TooMany(SupportBotError):
    """A rate limit; `data['retry_after']` is in seconds."""

    code = "too-many-requests"
    status = 429


class Unavailable(SupportBotError):
    """A part we depend on does not answer; nothing was lost and trying again is safe."""

    code = "unavailable"
    status = 503
