"""What the demo agent finds ready at the desk: canned replies and macros, so that there is something to try."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bot.services import canned
from bot.store import demo
from bot.store.unit_of_work import UnitOfWork


def furnish(uow: UnitOfWork, *, brands: Collection[str], agent_id: str, now: datetime) -> None:
    """Put replies and macros into each brand that has none of either yet."""
    for brand in brands:
        if canned.replies(uow, brands=[brand]) or canned.macros(uow, brands=[brand]):
            continue
        for name, body in demo.canned_replies(brand).items():
            canned.save_reply(uow, brand=brand, name=name, body=body, agent_id=agent_id, now=now)
        for name, steps in demo.MACROS.items():
            canned.save_macro(uow, brand=brand, name=name, text=steps, agent_id=agent_id, now=now)
