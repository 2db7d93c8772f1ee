"""The record of what was done, by whom and to what: written with the change, never changed, free of personal data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.store.tables import AuditLog
from bot.store.unit_of_work import UnitOfWork

_REMOVED = "[removed]"
# The log outlives the people in it: erasing somebody cannot reach rows that nobody may change.
_PERSONAL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+|\+\d[\d ().-]{6,}\d")


def record(
    uow: UnitOfWork, *, actor: str, action: str, subject: str, data: Mapping[str, Any] | None = None, now: datetime
) -> None:
    """Write one line: `actor` is `bot`, `system` or an agent's id, `action` like `refund.issued`, `subject` an id.

    E-mail addresses and phone numbers in `data` (JSON) are replaced, whoever forgot to leave them out.
    """
    uow.add(
        AuditLog(
            at=now,
            actor=_clean(actor)[:80],
            action=action[:80],
            subject=_clean(subject)[:80],
            data=_clean(dict(data or {})),
        )
    )


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _PERSONAL.sub(_REMOVED, value)
    if isinstance(value, Mapping):
        return {str(key): _clean(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    return value
