"""How an erased customer is still recognised: by a digest that a guess cannot be checked against without its key."""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import select

from bot.store.tables import Customer
from bot.store.unit_of_work import UnitOfWork

_MARK = "erased:"
_KEYED = "erased:keyed:"


def address_digest(uow: UnitOfWork, brand: str, email: str) -> str:
    """What an erased customer's row has in place of the address: the same for a brand, an address and a store's key."""
    return _keyed(uow.address_key, hashlib.sha256(f"{brand}\0{email.strip().lower()}".encode()).hexdigest())


def is_digest(email: str) -> bool:
    """Whether this stands in place of an address."""
    return email.startswith(_MARK)


def is_address_of(uow: UnitOfWork, customer: Customer, email: str) -> bool:
    """Whether a customer, erased or not, is the one with that address."""
    return bool(customer.email in (email, address_digest(uow, customer.brand, email)))


def find(uow: UnitOfWork, brand: str, email: str) -> Customer | None:
    """The customer with that (lower-case) address; one whose data was erased only if nobody has it now."""
    for known_as in (email, address_digest(uow, brand, email)):
        found = select(Customer).where(Customer.brand == brand, Customer.email == known_as)
        customer: Customer | None = uow.session.execute(found).scalar()
        if customer is not None:
            return customer
    return None


def key_digests(uow: UnitOfWork) -> int:
    """Key the digests that were written without one, by an earlier release or before there was a secret.

    Returns how many; it does not need the addresses.
    """
    if not uow.address_key:
        return 0
    plain = select(Customer).where(Customer.email.startswith(_MARK), ~Customer.email.startswith(_KEYED))
    found = list(uow.session.execute(plain).scalars())
    for customer in found:
        customer.email = _keyed(uow.address_key, customer.email.removeprefix(_MARK))
    uow.session.flush()
    return len(found)


def _keyed(key: bytes, digest: str) -> str:
    if not key:
        return _MARK + digest
    return _KEYED + hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()
