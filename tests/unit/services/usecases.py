"""What the tests of use cases share: the served pack, and the demo's customers by their first names."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.ids import new_id
from bot.policy.loader import load_pack
from bot.policy.pack import Pack
from bot.services import cancellations
from bot.services.cancellations import CancelResult, ResumeResult
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork
from tests.fakes.clock import START


@lru_cache
def served(brand: str) -> Pack:
    """The pack of a brand that is served."""
    return load_pack(Path(__file__).parents[3] / f"data/policies/{brand}.yml")


def jolt() -> Pack:
    """The pack of JoltSMS that is served."""
    return served("joltsms")


def all_packs() -> dict[str, Pack]:
    """Every pack that is served, by brand."""
    return {brand: served(brand) for brand in ("joltsms", "smartercontact", "smrtphone")}


def customer(uow: UnitOfWork, name: str) -> CustomerRef:
    """A JoltSMS demo customer, such as `ava`."""
    wanted = select(t.Customer).where(t.Customer.email == f"{name}@jolt.example")
    row = uow.session.execute(wanted).scalar_one()
    return CustomerRef(row.id, row.brand, row.email, row.name)


def person(uow: UnitOfWork, email: str) -> CustomerRef:
    """A demo customer of any brand, by address."""
    row = uow.session.execute(select(t.Customer).where(t.Customer.email == email)).scalar_one()
    return CustomerRef(row.id, row.brand, row.email, row.name)


def cancel(uow: UnitOfWork, who: CustomerRef, *ids: str, now: datetime = START, **more: Any) -> CancelResult:
    """Cancel subscriptions with every consent that is asked for."""
    pack = served(who.brand)
    agreed = [(each.id, each.version, each.wording) for each in pack.cancel.consents]
    given = {"reason_id": None, "reason_text": None, "offers": (), "conversation_id": None, "key": f"c-{ids}-{now}"}
    return cancellations.cancel(
        uow, pack=pack, customer=who, subscription_ids=list(ids), consents=agreed, now=now, **{**given, **more}
    )


def resume(uow: UnitOfWork, who: CustomerRef, *ids: str, now: datetime = START, **more: Any) -> ResumeResult:
    """Undo the cancellation of subscriptions."""
    given = {"conversation_id": None, "key": f"r-{ids}-{now}"}
    return cancellations.resume(
        uow, pack=served(who.brand), customer=who, subscription_ids=list(ids), now=now, **{**given, **more}
    )


def conversation(uow: UnitOfWork, owner: CustomerRef | None = None, *, now: datetime = START) -> str:
    """A new conversation on the widget, of that customer if one is given."""
    row = t.Conversation(
        id=new_id("cnv"),
        brand="joltsms",
        channel="widget",
        external_id=new_id("ext"),
        customer_id=owner.customer_id if owner else None,
        proof_at=now if owner else None,
        proof_method="token" if owner else None,
        created_at=now,
        updated_at=now,
    )
    uow.add(row)
    return str(row.id)


def message(uow: UnitOfWork, conversation_id: str, text: str, *, intent: str | None = None, seq: int = 1) -> str:
    """Something the customer said, with the intent it was understood as."""
    row = t.Message(
        id=new_id("msg"),
        conversation_id=conversation_id,
        seq=seq,
        author="customer",
        text=text,
        buttons=[],
        attachments=[],
        channel="widget",
        external_id=new_id("ext"),
        status="answered",
        understanding={"intent": intent} if intent else None,
        created_at=START,
    )
    uow.add(row)
    return str(row.id)


def agent(uow: UnitOfWork, name: str, *, brands: tuple[str, ...] = ("joltsms",), active: bool = True) -> str:
    """A person at the desk; returns their id."""
    row = t.Agent(
        id=new_id("agt"),
        email=f"{name}@desk.example",
        name=name.title(),
        password_hash="-",
        role="agent",
        brands=list(brands),
        active=active,
        created_at=START,
    )
    uow.add(row)
    return str(row.id)


def charge(uow: UnitOfWork, invoice_id: str, amount_minor: int, *, at: datetime = START, currency: str = "USD") -> str:
    """One more charge for an invoice; returns its id."""
    invoice = uow.get(t.Invoice, invoice_id)
    row = t.Charge(
        id=new_id("chg"),
        account_id=invoice.account_id,
        invoice_id=invoice_id,
        amount_minor=amount_minor,
        currency=currency,
        charged_at=at,
    )
    uow.add(row)
    return str(row.id)


def count(uow: UnitOfWork, table: Any, *conditions: Any) -> int:
    """How many rows of a table there are."""
    return int(uow.session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())
