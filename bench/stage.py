"""A fresh demo database with as many customers as the measured conversations need, in a folder of its own."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.conversations import CANCEL, INVESTIGATION, REFUND, Customer, Script
from bot.app import greeting, make_identity
from bot.channels.widget.sessions import OpenedSession, open_session
from bot.ids import new_id
from bot.policy.loader import load_packs
from bot.services import agents, handoff
from bot.services.ports import SystemClock
from bot.settings import Settings
from bot.store import demo, schema
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork, make_engine

BRAND = "joltsms"
_PRICE, _CURRENCY = 1500, "USD"
_LEAVES: dict[str, Any] = {CANCEL.name: t.Cancellation, REFUND.name: t.Refund, INVESTIGATION.name: t.Investigation}
"""What each of these conversations must leave in the database, once."""


class Stage:
    """Opens conversations directly in the database, and sees whether they came to their end."""

    def __init__(self, folder: Path, models: Path, *, port: int = 5005) -> None:
        """Make the database in `folder`; `models` has the trained model."""
        folder.mkdir(parents=True)
        self.environment: Mapping[str, str] = {
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(folder),
            "SUPPORTBOT_MODELS": str(models),
            "SUPPORTBOT_LOG_FORMAT": "json",
            "SUPPORTBOT_SECRET": secrets.token_urlsafe(32),
            f"SUPPORTBOT_JWT_SECRET_{BRAND.upper()}": secrets.token_urlsafe(32),
            "DATABASE_URL": f"sqlite:///{folder / 'bench.db'}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "SUPPORTBOT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        self.settings = Settings.from_env(self.environment)
        self._packs = load_packs(self.settings.packs)
        self._identity = make_identity(self.settings.complete(self._packs), self._packs)
        self._clock = SystemClock()
        self._opened: Counter[str] = Counter()
        self._store = Store(make_engine(self.settings.database_url))
        schema.upgrade(self._store.engine)
        demo.seed(self._store, now=self._clock.now())

    def open(self, script: Script) -> OpenedSession:
        """A new conversation for a script, signed in as a new customer if the script has one."""
        self._opened[script.name] += 1
        now = self._clock.now()
        pack = self._packs[BRAND]
        with self._store.write() as uow:
            email = _add_customer(uow, script.customer, now) if script.customer is not Customer.ANONYMOUS else None
            opened = open_session(
                uow,
                self._identity,
                brand=BRAND,
                brand_name=pack.brand.name,
                jwt=self._identity.issue_demo_token(BRAND, email, now=now) if email else None,
                token=None,
                address=new_id("bench"),  # each from an address of its own: new chats of one address are limited
                greeting=[greeting(pack)],
                unknown=greeting(pack),  # all of them are known
                now=now,
            )
            uow.commit()
        return opened

    def queue_up(self, conversations: Sequence[str]) -> None:
        """Let conversations wait for a person."""
        now = self._clock.now()
        with self._store.write() as uow:
            for each in conversations:
                handoff.queue_up(
                    uow,
                    pack=self._packs[BRAND],
                    conversation_id=each,
                    reason="asked",
                    message_id=new_id("bench"),
                    now=now,
                )
            uow.commit()

    def add_agent(self, name: str) -> tuple[str, str]:
        """Somebody who works at the desk: the e-mail address and the password."""
        email, password = f"{new_id('agent')}@bench.example", secrets.token_urlsafe(16)
        with self._store.write() as uow:
            agents.add_agent(
                uow,
                email=email,
                name=name,
                password=password,
                role=agents.Role.AGENT,
                brands=[BRAND],
                known_brands=list(self._packs),
                now=self._clock.now(),
            )
            uow.commit()
        return email, password

    def check(self) -> None:
        """Raise RuntimeError unless every conversation did what it is for, once, and no turn failed."""
        with self._store.read() as uow:
            failed = uow.session.execute(select(func.count()).where(t.Message.attempts > 1)).scalar_one()
            waiting = uow.session.execute(select(func.count()).where(t.Message.status == "received")).scalar_one()
            if failed or waiting:
                raise RuntimeError(f"{failed} turns failed and {waiting} were not answered.")
            for name, table in _LEAVES.items():
                customers = select(t.Customer.id).where(t.Customer.email.like("%@bench.example"))
                done = uow.session.execute(select(func.count()).where(table.customer_id.in_(customers))).scalar_one()
                if done != self._opened[name]:
                    raise RuntimeError(
                        f"{self._opened[name]} {name} conversations left {done} rows in {table.__tablename__}: "
                        "their script in bench/conversations.py does not fit the dialogue."
                    )

    def close(self) -> None:
        """Give back the database."""
        self._store.close()


def _add_customer(uow: UnitOfWork, kind: Customer, now: datetime) -> str:
    """A customer with one number in its second period; the e-mail address."""
    index = uow.next_number("bench")
    start = demo.months_later(now.replace(microsecond=0) - timedelta(days=10), -1)
    starts = [start, demo.months_later(start, 1), demo.months_later(start, 2)]
    customer = t.Customer(
        id=new_id("cus"), brand=BRAND, email=f"customer{index}@bench.example", name="Robin Vale", created_at=start
    )
    account = t.Account(
        id=new_id("acc"), brand=BRAND, name=customer.name, country="US", status="active", created_at=start
    )
    uow.add(customer, account)
    rented = t.Subscription(
        id=f"SUB-{500_000 + index}",
        account_id=account.id,
        product="number",
        plan="US number, monthly",
        status="active",
        provisioning="ok",
        price_minor=_PRICE,
        currency=_CURRENCY,
        interval_months=1,
        started_at=start,
        period_start=starts[1],
        period_end=starts[2],
    )
    uow.add(t.Membership(id=new_id("mem"), account_id=account.id, customer_id=customer.id, role="owner"), rented)
    charged = list(pairwise(starts))
    for number, (begins, ends) in enumerate(charged):
        invoice = t.Invoice(
            id=f"INV-{500_000 + 2 * index + number}",
            account_id=account.id,
            subscription_id=rented.id,
            amount_minor=_PRICE,
            currency=_CURRENCY,
            status="paid",
            period_start=begins,
            period_end=ends,
            issued_at=begins,
        )
        uow.add(invoice)
        twice = kind is Customer.OVERCHARGED and number == len(charged) - 1
        uow.add(*(_charge(invoice, begins + timedelta(minutes=2 * again)) for again in range(2 if twice else 1)))
    phone = t.PhoneNumber(
        id=new_id("num"),
        account_id=account.id,
        subscription_id=rented.id,
        e164=f"+1415556{index:04d}",
        status="active",
        monthly_fee_minor=0,
        activated_at=start,
    )
    uow.add(phone)
    if kind is not Customer.SILENT:
        uow.add(
            *(
                t.InboundSms(
                    id=new_id("sms"),
                    phone_number_id=phone.id,
                    received_at=now - timedelta(days=days),
                    sender_kind="mobile" if days == 1 else "platform",
                )
                for days in (12, 7, 3, 1)
            )
        )
    return str(customer.email)


def _charge(invoice: t.Invoice, at: datetime) -> t.Charge:
    return t.Charge(
        id=new_id("chg"),
        account_id=invoice.account_id,
        invoice_id=invoice.id,
        kind="subscription",
        amount_minor=invoice.amount_minor,
        currency=invoice.currency,
        charged_at=at,
    )
