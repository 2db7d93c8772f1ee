"""An account's prepaid balance: every movement has an entry and a key, and nothing takes more than is there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from bot.errors import Conflict
from bot.ids import new_id
from bot.policy.money import Money
from bot.services.rows import row
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


def put(uow: UnitOfWork, *, account_id: str, amount: Money, kind: str, key: str, now: datetime) -> None:
    """Add to the balance, once for each key; an account without a wallet gets one. Raises Conflict for a currency."""
    wallet = _of(uow, account_id)
    if wallet is None:
        wallet = t.Wallet(id=new_id("wal"), account_id=account_id, balance_minor=0, currency=amount.currency)
        uow.add(wallet)
    if wallet.currency != amount.currency:
        raise Conflict(f"The wallet holds {wallet.currency}, and this is {amount.format()}.", account_id=account_id)
    _move(uow, wallet, amount.minor, kind, key, now)


def take(uow: UnitOfWork, *, account_id: str, amount_minor: int, kind: str, key: str, now: datetime) -> bool:
    """Take from the balance, once for each key; False, and nothing taken, when there is not as much."""
    wallet = _of(uow, account_id)
    return wallet is not None and _move(uow, wallet, -amount_minor, kind, key, now)


def _of(uow: UnitOfWork, account_id: str) -> t.Wallet | None:
    found: t.Wallet | None = row(uow, select(t.Wallet).where(t.Wallet.account_id == account_id))
    return found


def _move(uow: UnitOfWork, wallet: t.Wallet, minor: int, kind: str, key: str, now: datetime) -> bool:
    if row(uow, select(t.WalletEntry.id).where(t.WalletEntry.idempotency_key == key)) is not None:
        return True
    changed = uow.session.execute(
        update(t.Wallet)
        .where(t.Wallet.id == wallet.id, t.Wallet.balance_minor + minor >= 0)
        .values(balance_minor=t.Wallet.balance_minor + minor)
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount != 1:
        return False
    uow.add(
        t.WalletEntry(id=new_id("wle"), wallet_id=wallet.id, amount_minor=minor, kind=kind, at=now, idempotency_key=key)
    )
    return True
