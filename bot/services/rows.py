"""Reading rows as they are in the database now, and holding a customer's accounts still while something is decided."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select

from bot.store import tables as t
from bot.store.prepared import Prepared
from bot.store.unit_of_work import UnitOfWork

_AS_STORED = {"populate_existing": True}
_memberships: Any = t.Membership.__table__  # type: ignore[attr-defined]
_ROLES = Prepared(
    select(_memberships.c.account_id, _memberships.c.role).where(_memberships.c.customer_id == bindparam("customer"))
)


def rows(uow: UnitOfWork, statement: Any, **values: Any) -> list[Any]:
    """The first column of every row found, as stored now, also where this unit of work had read it before.

    `values` are those of the statement's bind parameters, if it has any: what is asked often is made once.
    """
    return list(uow.session.execute(statement, values or None, execution_options=_AS_STORED).scalars())


def row(uow: UnitOfWork, statement: Any, **values: Any) -> Any:
    """The first row found, as `rows` reads it, or None. A statement with bind parameters brings a limit of its own."""
    return next(iter(rows(uow, statement if values else statement.limit(1), **values)), None)


def roles(uow: UnitOfWork, customer_id: str) -> dict[str, str]:
    """The customer's role in each of their accounts, by account id."""
    found = uow.remembered(("roles", customer_id), lambda: _ROLES.all(uow, customer=customer_id))
    return dict(found)


def lock_accounts_of(uow: UnitOfWork, customer_id: str) -> None:
    """Hold all accounts of a customer until the unit of work ends: whoever decides about them next waits."""
    lock_accounts(uow, *roles(uow, customer_id))


def lock_accounts(uow: UnitOfWork, *account_ids: str) -> None:
    """Hold accounts until the unit of work ends, in one order for everybody, so that no two wait for each other."""
    rows(uow, select(t.Account).where(t.Account.id.in_(account_ids)).order_by(t.Account.id).with_for_update())


def lock_customer(uow: UnitOfWork, customer_id: str) -> None:
    """Hold a customer's row until the unit of work ends, for what belongs to the person and not to an account."""
    rows(uow, select(t.Customer).where(t.Customer.id == customer_id).with_for_update())
