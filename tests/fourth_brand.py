"""A made-up brand for tests, with its pack, its articles and some customers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from bot.ids import new_id
from bot.settings import PROJECT
from bot.store import tables as t
from bot.store.unit_of_work import Store

BRANDS = PROJECT / "tests" / "fixtures" / "brands"
NOW = datetime(2026, 7, 6, 15, 0, tzinfo=timezone.utc)
MIA, OLE, YAN, DEB = (f"{name}@tandem.example" for name in ("mia", "ole", "yan", "deb"))


def seed(store: Store) -> None:
    """Mia began five days ago, Ole two months ago, Yan pays by the year, Deb began five days ago in Germany."""
    monthly = {"plan": "Line, monthly", "price_minor": 900, "interval_months": 1}
    yearly = {"plan": "Line, yearly", "price_minor": 12000, "interval_months": 12}
    days = timedelta(days=1)
    with store.write() as uow:
        for email, country, plan, started, start, end in (
            (MIA, "CH", monthly, NOW - 5 * days, NOW - 5 * days, NOW + 26 * days),
            (OLE, "CH", monthly, NOW - 65 * days, NOW - 4 * days, NOW + 27 * days),
            (YAN, "CH", yearly, NOW - 100 * days, NOW - 100 * days, NOW + 265 * days),
            (DEB, "DE", monthly, NOW - 5 * days, NOW - 5 * days, NOW + 26 * days),
        ):
            name = email.split("@")[0]
            customer = t.Customer(
                id=new_id("cus"), brand="tandem", email=email, name=f"{name.title()} Berg", created_at=started
            )
            account = t.Account(
                id=new_id("acc"), brand="tandem", name=customer.name, country=country, created_at=started
            )
            uow.add(customer)
            uow.add(account)
            uow.add(t.Membership(id=new_id("mem"), account_id=account.id, customer_id=customer.id, role="owner"))
            line = t.Subscription(
                id=f"SUB-{name}",
                account_id=account.id,
                product="line",
                status="active",
                currency="EUR",
                started_at=started,
                period_start=start,
                period_end=end,
                **plan,
            )
            uow.add(line)
            invoice = t.Invoice(
                id=f"INV-{name}",
                account_id=account.id,
                subscription_id=line.id,
                amount_minor=line.price_minor,
                currency="EUR",
                status="paid",
                period_start=start,
                period_end=end,
                issued_at=start,
            )
            uow.add(invoice)
            uow.add(
                t.Charge(
                    id=f"CHG-{name}",
                    account_id=account.id,
                    invoice_id=invoice.id,
                    amount_minor=line.price_minor,
                    currency="EUR",
                    charged_at=start,
                )
            )
        uow.commit()
