"""The demo customers, one for each situation that a policy knows, dated from seeding; and what a desk has ready."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.policy.decision import Decision as PolicyDecision
from bot.policy.decision import EventKind, Outcome, Request, RequestKind, Source
from bot.policy.reminders import IRREVERSIBLE, REMIND, reminder_dates
from bot.store import tables as t
from bot.store.erased import address_digest, find
from bot.store.unit_of_work import Store, UnitOfWork

_JOLT, _SMARTER, _SMRT = "joltsms", "smartercontact", "smrtphone"
_USD = "USD"
_POLICY_VERSION = "demo"  # these decisions were not made by a pack


@dataclass(frozen=True)
class DemoCustomer:
    """Somebody to sign in as, and what is worth trying then."""

    email: str
    name: str
    what_to_try: str


_CUSTOMERS: dict[str, tuple[DemoCustomer, ...]] = {
    _JOLT: (
        DemoCustomer("ava@jolt.example", "Ava Moreno", "Cancel a working number, get the receipt, change your mind."),
        DemoCustomer("ben@jolt.example", "Ben Okafor", "Say you were charged twice, then ask about it again."),
        DemoCustomer("cara@jolt.example", "Cara Lindqvist", "Report that your number gets no texts at all."),
        DemoCustomer("dan@jolt.example", "Dan Petrov", "Ask for your money back after the investigation."),
        DemoCustomer("eve@jolt.example", "Eve Nakamura", "Ask where the number of invoice INV-2005 is."),
        DemoCustomer("finn@jolt.example", "Finn Gallagher", "Cancel one of three numbers: the one ending 0107, say."),
        DemoCustomer("gia@jolt.example", "Gia Romano", "Ask for your released number back."),
    ),
    _SMARTER: (
        DemoCustomer("hal@smarter.example", "Hal Whitaker", "Cancel one plan, and ask which fees remain."),
        DemoCustomer("iris@smarter.example", "Iris Chen", "Resume before the period ends."),
        DemoCustomer("jon@smarter.example", "Jon Abebe", "Ask what became of your numbers and data."),
    ),
    _SMRT: (
        DemoCustomer("kim@smrt.example", "Kim Sandoval", "Cancel smrtDialer alone, or everything."),
        DemoCustomer("lee@smrt.example", "Lee Sandoval", "Try to cancel without being the Account Owner."),
        DemoCustomer("mona@smrt.example", "Mona Haddad", "Come back within the 90 days."),
        DemoCustomer("ned@smrt.example", "Ned Fischer", "Ask for an account that has been erased."),
    ),
}

_REPLIES: Mapping[str, str] = {
    "hello": "Hello {first_name}, this is {agent} from {brand}. I have read what you told our assistant, so you need "
    "not repeat it. Give me a moment to look into it.",
    "hello-visitor": "Hello, this is {agent} from {brand}. To look into your account I need to know who you are: "
    "please sign in on our site, then write here again.",
    "one-moment": "Thank you for waiting. I am still on it, and write again within ten minutes.",
    "case": "Your case is {case}. We go on there by e-mail, at {email}; just answer the mail if anything comes to "
    "mind.",
    "refund": "I have checked it: you get {refund_amount} back, as {refund}.",
    "anything-else": "Is there anything else that I can do for you, {first_name}?",
}
_REPLIES_OF: Mapping[str, Mapping[str, str]] = {
    _JOLT: {
        "test-text": "Could you send a text to your number from an ordinary mobile phone, not from an app or a "
        "website, and tell me when you sent it? That shows us where messages stop.",
        "keeps-working": "Auto-renew is off. Your number works until {ends_on} and is released then; until that day "
        "you can change your mind.",
    },
    _SMARTER: {
        "runs-until": "Your plan does not renew. You can use it until {ends_on}, and resume at any time before.",
    },
    _SMRT: {
        "port-out-first": "Before we cancel: numbers that are not ported out are lost and cannot be recovered. Would "
        "you like to take any of them with you first?",
        "owner-only": "Only the Account Owner can cancel. Could you ask them to write to us, or to {support_email}?",
    },
}
MACROS: Mapping[str, str] = {
    "wait-for-customer": "reply: I have what I need from our side, and wait for your answer. This chat stays open.\n"
    "note: Waiting for the customer.\n"
    "snooze: 60",
    "to-supervisor": "reply: I am asking my supervisor to decide this, so that you need not explain it twice.\n"
    "note: Needs a supervisor's decision. What was decided so far is in the summary.\n"
    "transfer: supervisor",
    "wrap-up": "reply: Thank you for your patience, {first_name}. I close this chat now; write here again whenever you "
    "like.\n"
    "resolve: answered",
}
"""Macros of every brand, as they are typed."""


def demo_customers(brand: str) -> list[DemoCustomer]:
    """Whom one can sign in as at a brand's demo help center; empty for a brand without any."""
    return list(_CUSTOMERS.get(brand, ()))


def canned_replies(brand: str) -> dict[str, str]:
    """The canned replies that a brand's desk starts with."""
    return {**_REPLIES, **_REPLIES_OF.get(brand, {})}


def seed(store: Store, *, now: datetime) -> int:
    """Add the demo customers that are missing, with their history relative to `now`; returns how many were added.

    Safe to repeat: a customer that exists is left as it is, so that what was tried in a demo stays. One whose address
    is kept under another key than this store has is known by the rest of their rows.
    """
    with store.write() as uow:
        added = sum(_Scene(uow, now.replace(microsecond=0)).play(who, brand) for brand, who in _everybody())
        uow.commit()
    return added


def _everybody() -> list[tuple[str, DemoCustomer]]:
    return [(brand, customer) for brand, customers in _CUSTOMERS.items() for customer in customers]


def months_later(moment: datetime, months: int) -> datetime:
    """The same day some months later (earlier if negative), or the last day of a month that is too short for it."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


class _Scene:
    """Writes the rows of the demo customers; each method named like a customer tells one story."""

    def __init__(self, uow: UnitOfWork, now: datetime) -> None:
        self._uow = uow
        self._now = now

    def play(self, who: DemoCustomer, brand: str) -> bool:
        """Add this customer unless it exists."""
        if find(self._uow, brand, who.email) is not None:
            return False
        customer = t.Customer(
            id=new_id("cus"), brand=brand, email=who.email, name=who.name, created_at=self._ago(days=200)
        )
        story: Callable[[t.Customer], None] = getattr(self, "_" + who.email.split("@")[0])
        try:
            with self._uow.session.begin_nested():
                self._uow.add(customer)
                story(customer)
        except IntegrityError:
            return False
        return True

    # --- JoltSMS

    def _ava(self, customer: t.Customer) -> None:
        """One number that works, renewed 10 days ago."""
        account = self._account(customer)
        rented = self._rental(account, "SUB-1001", "INV-2001", renewed=10, periods=4)
        number = self._number(account, "+14155550101", rented)
        self._texts(number, 26, 19, 12, 7, 3, 1)

    def _ben(self, customer: t.Customer) -> None:
        """Charged twice for one period, two minutes apart."""
        account = self._account(customer)
        rented = self._rental(account, "SUB-1002", "INV-2002", renewed=6, periods=3)
        self._texts(self._number(account, "+14155550102", rented), 20, 9, 4, 2)
        self._charge(account.id, "INV-2002", rented.price_minor, rented.period_start + timedelta(minutes=2))

    def _cara(self, customer: t.Customer) -> None:
        """A number that never received anything; nobody has looked into it."""
        account = self._account(customer)
        rented = self._rental(account, "SUB-1003", "INV-2003", renewed=8, periods=1)
        self._number(account, "+14155550103", rented)

    def _dan(self, customer: t.Customer) -> None:
        """An investigation that found the fault on our side, and no remedy."""
        account = self._account(customer)
        rented = self._rental(account, "SUB-1004", "INV-2004", renewed=20, periods=1)
        number = self._number(account, "+14155550104", rented)
        opened, closed = self._ago(days=16), self._ago(days=2)
        ticket = t.Ticket(
            id=new_id("tck"),
            reference=f"TCK-{self._uow.next_number('TCK'):06d}",
            brand=_JOLT,
            kind="investigation",
            customer_id=customer.id,
            contact_email=customer.email,
            subject="SUB-1004: the number receives no texts",
            summary="No text has arrived since the number was rented, nor did a test from an ordinary phone.",
            status="resolved",
            priority="high",
            created_at=opened,
            updated_at=closed,
            idempotency_key="demo:dan:ticket",
        )
        self._uow.add(ticket)
        self._uow.add(
            self._ticket_event(
                ticket, "opened", "customer", "Nothing was received since the number was rented.", opened
            ),
            self._ticket_event(
                ticket,
                "investigation_closed",
                "engineering",
                "The SIM is not registered with the carrier. It cannot be restored, and no replacement is in stock.",
                closed,
            ),
            t.Investigation(
                id=new_id("inv"),
                ticket_id=ticket.id,
                account_id=account.id,
                customer_id=customer.id,
                phone_number_id=number.id,
                status="closed",
                details={
                    "name": customer.name,
                    "email": customer.email,
                    "order_or_subscription_id": rented.id,
                    "phone_number": number.e164,
                    "description": "No texts at all, not even from my own phone.",
                    "since": rented.started_at.date().isoformat(),
                },
                cause="ours",
                had_fair_chance=True,
                restored=False,
                replaced=False,
                opened_at=opened,
                closed_at=closed,
            ),
        )

    def _eve(self, customer: t.Customer) -> None:
        """Paid, but the number could not be set up."""
        account = self._account(customer)
        self._rental(account, "SUB-1005", "INV-2005", renewed=3, periods=1, status="failed", provisioning="failed")

    def _finn(self, customer: t.Customer) -> None:
        """Three numbers; the first is already not renewing."""
        account = self._account(customer)
        first = self._rental(account, "SUB-1006", "INV-2006", renewed=21, periods=5, status="not_renewing")
        second = self._rental(account, "SUB-1007", "INV-2007", renewed=14, periods=3)
        third = self._rental(account, "SUB-1008", "INV-2008", renewed=5, periods=2)
        leaving = self._number(account, "+14155550105", first)
        self._texts(leaving, 30, 11, 2)
        self._texts(self._number(account, "+14155550106", second), 8, 1)
        self._texts(self._number(account, "+14155550107", third), 3)
        self._cancellation(
            customer,
            account,
            first,
            rule_id="J-C1",
            requested=self._ago(days=2),
            effective=first.period_end,
            undo_until=first.period_end,
            events=[
                (EventKind.END_SUBSCRIPTION, first.id, "J-C1", first.period_end),
                (EventKind.RELEASE_NUMBER, leaving.id, "J-C3", first.period_end),
            ],
        )

    def _gia(self, customer: t.Customer) -> None:
        """A number that was released when its term ended."""
        account = self._account(customer)
        ended = self._ago(days=6)
        rented = self._rental(account, "SUB-1009", "INV-2009", ended=ended, periods=4)
        number = self._number(account, "+14155550108", rented, status="released", released_at=ended)
        self._texts(number, 60, 33, 9)
        self._cancellation(
            customer,
            account,
            rented,
            rule_id="J-C1",
            requested=self._ago(days=19),
            effective=ended,
            undo_until=ended,
            events=[
                (EventKind.END_SUBSCRIPTION, rented.id, "J-C1", ended),
                (EventKind.RELEASE_NUMBER, number.id, "J-C3", ended),
            ],
        )

    # --- Smarter Contact

    def _hal(self, customer: t.Customer) -> None:
        """Two plans, four numbers, a wallet, and messages scheduled beyond the period."""
        account = self._account(customer, name="Whitaker Home Buyers", state="FL")
        messaging = self._subscription(account, "SUB-1010", "messaging", "Messaging", 9900, renewed=12)
        calling = self._subscription(account, "SUB-1011", "calling", "Calling", 7900, renewed=12)
        self._bill(messaging, "INV-2010", periods=4)
        self._bill(calling, "INV-2011", periods=4)
        for e164 in ("+12125550111", "+12125550112", "+12125550113", "+12125550114"):
            self._number(account, e164, fee=200)
        movements = [(70, 5000, "top_up"), (42, -800, "number_fees"), (30, 2500, "top_up")]
        self._wallet(account, [*movements, (12, -800, "number_fees"), (4, -1690, "messages")])
        later = messaging.period_end + timedelta(days=3)
        self._uow.add(
            self._scheduled(account, "sms", 120, 2, later),
            self._scheduled(account, "rvm", 15, 5, later + timedelta(days=1)),
            t.Registration(id=new_id("reg"), account_id=account.id, kind="10dlc", status="active"),
        )

    def _iris(self, customer: t.Customer) -> None:
        """Cancelled; the period has five days left."""
        account = self._account(customer, name="Chen Property Group", state="TX")
        ends = self._now + timedelta(days=5)
        plan = self._subscription(
            account, "SUB-1012", "messaging", "Messaging", 9900, period_end=ends, status="not_renewing"
        )
        self._bill(plan, "INV-2012", periods=6)
        numbers = [self._number(account, e164, fee=200) for e164 in ("+12125550115", "+12125550116")]
        self._wallet(account, [(55, 4000, "top_up"), (25, -400, "number_fees"), (9, -1145, "messages")])
        registration = t.Registration(id=new_id("reg"), account_id=account.id, kind="10dlc", status="active")
        self._uow.add(registration)
        self._smarter_cancellation(customer, account, plan, numbers, registration, self._ago(days=9))

    def _jon(self, customer: t.Customer) -> None:
        """The cancellation took effect ten days ago: numbers go in four days, 10DLC in twenty, data in a year."""
        account = self._account(customer, name="Abebe Acquisitions", state="GA")
        ended = self._ago(days=10)
        plan = self._subscription(account, "SUB-1013", "messaging", "Messaging", 9900, period_end=ended, status="ended")
        self._bill(plan, "INV-2013", periods=3)
        numbers = [
            self._number(account, e164, fee=200, status="releasing") for e164 in ("+12125550117", "+12125550118")
        ]
        self._wallet(account, [(80, 3000, "top_up"), (41, -400, "number_fees"), (10, -400, "number_fees")])
        registration = t.Registration(id=new_id("reg"), account_id=account.id, kind="10dlc", status="active")
        self._uow.add(registration)
        self._smarter_cancellation(customer, account, plan, numbers, registration, self._ago(days=26))

    def _smarter_cancellation(
        self,
        customer: t.Customer,
        account: t.Account,
        plan: t.Subscription,
        numbers: list[t.PhoneNumber],
        registration: t.Registration,
        requested: datetime,
    ) -> None:
        ends = plan.period_end
        self._cancellation(
            customer,
            account,
            plan,
            rule_id="S-C2",
            requested=requested,
            effective=ends,
            undo_until=ends,
            events=[
                (EventKind.END_SUBSCRIPTION, plan.id, "S-C2", ends),
                (EventKind.TAKE_NUMBER_FEES, account.id, "S-C5", ends),
                (EventKind.CREDIT_UNSENT, account.id, "S-R1", ends),
                *((EventKind.RELEASE_NUMBER, number.id, "S-C6", ends + timedelta(days=14)) for number in numbers),
                (EventKind.END_10DLC, registration.id, "S-C7", ends + timedelta(days=30)),
                (EventKind.ERASE_DATA, account.id, "S-C8", months_later(ends, 12)),
            ],
        )

    # --- smrtPhone

    def _kim(self, customer: t.Customer) -> None:
        """Account Owner with both products, three numbers (one ported out), recordings and credits."""
        account = self._account(customer, name="Sandoval Realty", state="AZ", crm=True)
        phone = self._subscription(account, "SUB-1014", "smrtphone", "Pro", 14900, renewed=9)
        dialer = self._subscription(account, "SUB-1015", "smrtdialer", "smrtDialer", 9900, renewed=9, parent=phone)
        self._bill(phone, "INV-2014", periods=6)
        self._bill(dialer, "INV-2015", periods=4)
        self._number(account, "+16025550121")
        self._number(account, "+16025550122")
        self._number(account, "+16025550123", status="ported_out", ported_out_at=self._ago(days=35))
        self._wallet(account, [(64, 5000, "top_up"), (22, -1875, "calls"), (5, -1250, "messages")])
        self._uow.add(t.Recordings(id=new_id("rec"), account_id=account.id, count=40))

    def _lee(self, customer: t.Customer) -> None:
        """An agent in Kim's account."""
        owned = select(t.Membership.account_id).join(t.Customer, t.Customer.id == t.Membership.customer_id)
        kim = owned.where(t.Customer.brand == _SMRT, t.Customer.email == "kim@smrt.example")
        self._member(self._uow.session.execute(kim).scalar_one(), customer, "agent")

    def _mona(self, customer: t.Customer) -> None:
        """Cancelled 30 days ago, which took smrtDialer along; the term has run out, the 90 days have not."""
        account = self._account(customer, name="Haddad Homes", state="NV", crm=True)
        requested, ended = self._ago(days=30), self._ago(days=12)
        plan = self._subscription(account, "SUB-1016", "smrtphone", "Starter", 7900, period_end=ended, status="ended")
        self._bill(plan, "INV-2016", periods=5)
        dialer = self._subscription(
            account, "SUB-1018", "smrtdialer", "smrtDialer", 9900, period_end=ended, status="ended", parent=plan
        )
        self._bill(dialer, "INV-2018", periods=3)
        number = self._number(account, "+16025550124", status="released", released_at=ended)
        recordings = t.Recordings(id=new_id("rec"), account_id=account.id, count=12)
        self._uow.add(recordings)
        self._smrt_cancellation(customer, account, plan, number, recordings, requested)
        self._cancellation(
            customer,
            account,
            dialer,
            rule_id="P-C6-alone",
            requested=requested,
            effective=ended,
            undo_until=ended,
            events=[(EventKind.END_SUBSCRIPTION, dialer.id, "P-C6-use", ended)],
        )

    def _ned(self, customer: t.Customer) -> None:
        """Cancelled 91 days ago; erased yesterday. A digest of the address alone stays, to tell him so."""
        account = self._account(customer, name="")
        requested, ended, erased = self._ago(days=91), self._ago(days=80), self._ago(days=1)
        plan = self._subscription(account, "SUB-1017", "smrtphone", "Starter", 7900, period_end=ended, status="ended")
        number = self._number(account, "+16025550125", status="released", released_at=ended)
        recordings = t.Recordings(id=new_id("rec"), account_id=account.id, count=0, deleted_at=erased)
        self._uow.add(recordings)
        self._smrt_cancellation(customer, account, plan, number, recordings, requested)
        account.status, account.erased_at, number.e164 = "erased", erased, ""
        customer.name, customer.email, customer.erased_at = "", address_digest(self._uow, _SMRT, customer.email), erased
        self._uow.session.flush()

    def _smrt_cancellation(
        self,
        customer: t.Customer,
        account: t.Account,
        plan: t.Subscription,
        number: t.PhoneNumber,
        recordings: t.Recordings,
        requested: datetime,
    ) -> None:
        gone = requested + timedelta(days=90)
        self._cancellation(
            customer,
            account,
            plan,
            rule_id="P-C9",
            requested=requested,
            effective=plan.period_end,
            undo_until=gone,
            events=[
                (EventKind.END_SUBSCRIPTION, plan.id, "P-C9", plan.period_end),
                (EventKind.RELEASE_NUMBER, number.id, "P-C3", plan.period_end),
                (EventKind.DELETE_RECORDINGS, recordings.id, "P-C4", gone),
                (EventKind.ERASE_DATA, account.id, "P-C5", gone),
            ],
        )

    # --- the building blocks

    def _ago(self, *, days: int) -> datetime:
        return self._now - timedelta(days=days)

    def _account(
        self, customer: t.Customer, *, name: str | None = None, state: str | None = None, crm: bool = False
    ) -> t.Account:
        account = t.Account(
            id=new_id("acc"),
            brand=customer.brand,
            name=customer.name if name is None else name,
            country="US",
            state=state,
            crm_connected=crm,
            status="active",
            created_at=customer.created_at,
        )
        self._uow.add(account)
        self._member(account.id, customer, "owner")
        return account

    def _member(self, account_id: str, customer: t.Customer, role: str) -> None:
        self._uow.add(t.Membership(id=new_id("mem"), account_id=account_id, customer_id=customer.id, role=role))

    def _rental(
        self,
        account: t.Account,
        subscription_id: str,
        invoice_id: str,
        *,
        periods: int,
        renewed: int | None = None,
        ended: datetime | None = None,
        status: str | None = None,
        provisioning: str = "ok",
    ) -> t.Subscription:
        rented = self._subscription(
            account,
            subscription_id,
            "number",
            "US number, monthly",
            1500,
            renewed=renewed,
            period_end=ended,
            status=status or ("ended" if ended else "active"),
            provisioning=provisioning,
        )
        self._bill(rented, invoice_id, periods=periods)
        return rented

    def _subscription(
        self,
        account: t.Account,
        subscription_id: str,
        product: str,
        plan: str,
        price_minor: int,
        *,
        renewed: int | None = None,
        period_end: datetime | None = None,
        status: str = "active",
        provisioning: str = "ok",
        parent: t.Subscription | None = None,
    ) -> t.Subscription:
        if period_end is None:
            start = self._ago(days=renewed or 0)
            period_end = months_later(start, 1)
        else:
            start = months_later(period_end, -1)
        made = t.Subscription(
            id=subscription_id,
            account_id=account.id,
            product=product,
            plan=plan,
            status=status,
            provisioning=provisioning,
            price_minor=price_minor,
            currency=_USD,
            interval_months=1,
            started_at=start,
            period_start=start,
            period_end=period_end,
            ended_at=period_end if status == "ended" else None,
            parent_id=parent.id if parent else None,
        )
        self._uow.add(made)
        return made

    def _bill(self, subscription: t.Subscription, latest_invoice: str, *, periods: int) -> None:
        """Invoices and charges, paid, of the latest period and those before; older ones are numbered from INV-1001."""
        for back in reversed(range(periods)):
            start = months_later(subscription.period_start, -back)
            invoice = t.Invoice(
                id=latest_invoice if back == 0 else f"INV-{1000 + self._uow.next_number('demo-invoice')}",
                account_id=subscription.account_id,
                subscription_id=subscription.id,
                amount_minor=subscription.price_minor,
                currency=subscription.currency,
                status="paid",
                period_start=start,
                period_end=months_later(subscription.period_start, 1 - back),
                issued_at=start,
            )
            self._uow.add(invoice)
            self._charge(subscription.account_id, invoice.id, subscription.price_minor, start)
        subscription.started_at = months_later(subscription.period_start, 1 - periods)

    def _charge(self, account_id: str, invoice_id: str, amount_minor: int, at: datetime) -> None:
        self._uow.add(
            t.Charge(
                id=new_id("chg"),
                account_id=account_id,
                invoice_id=invoice_id,
                kind="subscription",
                amount_minor=amount_minor,
                currency=_USD,
                charged_at=at,
            )
        )

    def _number(
        self,
        account: t.Account,
        e164: str,
        subscription: t.Subscription | None = None,
        *,
        fee: int = 0,
        status: str = "active",
        released_at: datetime | None = None,
        ported_out_at: datetime | None = None,
    ) -> t.PhoneNumber:
        number = t.PhoneNumber(
            id=new_id("num"),
            account_id=account.id,
            subscription_id=subscription.id if subscription else None,
            e164=e164,
            status=status,
            monthly_fee_minor=fee,
            activated_at=subscription.started_at if subscription else account.created_at,
            released_at=released_at,
            ported_out_at=ported_out_at,
        )
        self._uow.add(number)
        return number

    def _texts(self, number: t.PhoneNumber, *days_ago: int) -> None:
        """Inbound texts on those days, from platforms and, every third, from an ordinary phone."""
        self._uow.add(
            *(
                t.InboundSms(
                    id=new_id("sms"),
                    phone_number_id=number.id,
                    received_at=self._ago(days=days),
                    sender_kind="mobile" if index % 3 == 0 else "platform",
                )
                for index, days in enumerate(days_ago)
            )
        )

    def _wallet(self, account: t.Account, movements: list[tuple[int, int, str]]) -> None:
        """A wallet whose balance is the sum of its (days ago, minor units, kind) movements."""
        balance = sum(amount for _, amount, _ in movements)
        wallet = t.Wallet(id=new_id("wal"), account_id=account.id, balance_minor=balance, currency=_USD)
        self._uow.add(wallet)
        self._uow.add(
            *(
                t.WalletEntry(
                    id=new_id("wle"),
                    wallet_id=wallet.id,
                    amount_minor=amount,
                    kind=kind,
                    at=self._ago(days=days),
                    idempotency_key=f"demo:{account.id}:{index}",
                )
                for index, (days, amount, kind) in enumerate(movements)
            )
        )

    def _scheduled(self, account: t.Account, kind: str, quantity: int, price: int, at: datetime) -> t.ScheduledMessage:
        return t.ScheduledMessage(
            id=new_id("sch"),
            account_id=account.id,
            kind=kind,
            quantity=quantity,
            unit_price_minor=price,
            currency=_USD,
            send_at=at,
        )

    def _ticket_event(self, ticket: t.Ticket, kind: str, actor: str, body: str, at: datetime) -> t.TicketEvent:
        key = f"demo:{ticket.reference}:{kind}"
        return t.TicketEvent(
            id=new_id("tev"),
            ticket_id=ticket.id,
            kind=kind,
            actor=actor,
            body=body,
            data={},
            at=at,
            idempotency_key=key,
        )

    def _cancellation(
        self,
        customer: t.Customer,
        account: t.Account,
        subscription: t.Subscription,
        *,
        rule_id: str,
        requested: datetime,
        effective: datetime,
        undo_until: datetime,
        events: list[tuple[EventKind, str, str, datetime]],
    ) -> None:
        """A cancellation with its decision and dated events; those due before now are done."""
        request = Request(RequestKind.CANCEL, requested, product=subscription.product, subscription_id=subscription.id)
        decided = PolicyDecision(
            outcome=Outcome.ALLOW,
            rule_id=rule_id,
            policy_version=_POLICY_VERSION,
            amount=0,
            currency=_USD,
            reasons=(),
            source=Source("demo", "seed"),
        )
        decision = t.Decision(
            id=new_id("dec"),
            brand=customer.brand,
            customer_id=customer.id,
            account_id=account.id,
            subject=subscription.id,
            kind=request.kind.value,
            outcome=decided.outcome.value,
            rule_id=rule_id,
            policy_version=_POLICY_VERSION,
            currency=_USD,
            request=request.to_json(),
            facts={},
            decision=decided.to_json(),
            created_at=requested,
            idempotency_key=f"demo:{subscription.id}:decision",
        )
        self._uow.add(decision)
        cancellation = t.Cancellation(
            id=new_id("can"),
            reference=f"CAN-{self._uow.next_number('CAN'):06d}",
            account_id=account.id,
            subscription_id=subscription.id,
            customer_id=customer.id,
            decision_id=decision.id,
            status="effective" if effective <= self._now else "scheduled",
            requested_at=requested,
            effective_at=effective,
            undo_until=undo_until,
            consents=[],
            offers=[],
            idempotency_key=f"demo:{subscription.id}:cancellation",
        )
        self._uow.add(cancellation)
        promised = [
            self._event(cancellation, kind.value, subject_id, event_rule, due)
            for kind, subject_id, event_rule, due in events
        ]
        self._uow.add(*promised)
        lost = {event.due_at: event for event in reversed(promised) if event.kind in IRREVERSIBLE}
        self._uow.add(
            *(
                self._event(cancellation, REMIND, event.id, event.rule_id, at)
                for moment, event in lost.items()
                for at in reminder_dates(moment, zone=ZoneInfo("UTC"), now=self._now)
            )
        )

    def _event(
        self, cancellation: t.Cancellation, kind: str, subject_id: str, rule_id: str, due: datetime
    ) -> t.LifecycleEvent:
        done = due <= self._now
        return t.LifecycleEvent(
            id=new_id("evt"),
            cancellation_id=cancellation.id,
            account_id=cancellation.account_id,
            kind=kind,
            subject_id=subject_id,
            rule_id=rule_id,
            due_at=due,
            status="done" if done else "scheduled",
            done_at=due if done else None,
        )


# --- showing one customer ------------------------------------------------------------------------------------------


def show(store: Store, email: str, *, brand: str | None = None) -> dict[str, Any]:
    """Everything kept about one customer as JSON values: a list of rows a table, and the number of conversations.

    Raises NotFound for an unknown address, InvalidInput when several brands know it and none is named.
    """
    address = email.strip().lower()
    with store.read() as uow:
        every_brand = uow.session.execute(select(t.Customer.brand).distinct()).scalars()
        brands = sorted(every_brand) if brand is None else [brand]
        found = [customer for each in brands if (customer := find(uow, each, address)) is not None]
        if not found:
            raise NotFound(f"No customer has the e-mail address {address}.")
        if len(found) > 1:
            named = ", ".join(customer.brand for customer in found)
            raise InvalidInput(f"Several brands know {address}: {named}. Say which one.")
        return _everything_about(uow, found[0])


def _everything_about(uow: UnitOfWork, customer: t.Customer) -> dict[str, Any]:
    def rows(table: Any, *conditions: Any, order: Any = None) -> list[dict[str, Any]]:
        query = select(table).where(*conditions).order_by(*([] if order is None else [order]), table.id)
        return [_row(row) for row in uow.session.execute(query).scalars()]

    roles = {
        member.account_id: member.role
        for member in uow.session.execute(select(t.Membership).where(t.Membership.customer_id == customer.id)).scalars()
    }

    def of_accounts(table: Any, order: Any = None) -> list[dict[str, Any]]:
        return rows(table, table.account_id.in_(roles), order=order)

    def of_customer(table: Any, order: Any = None) -> list[dict[str, Any]]:
        return rows(table, table.customer_id == customer.id, order=order)

    charges = of_accounts(t.Charge, t.Charge.charged_at)
    numbers = of_accounts(t.PhoneNumber, t.PhoneNumber.e164)
    wallets = of_accounts(t.Wallet)
    return {
        "customer": _row(customer),
        "accounts": [{**account, "role": roles[account["id"]]} for account in rows(t.Account, t.Account.id.in_(roles))],
        "subscriptions": of_accounts(t.Subscription),
        "phone_numbers": numbers,
        "inbound_sms": rows(
            t.InboundSms,
            t.InboundSms.phone_number_id.in_([number["id"] for number in numbers]),
            order=t.InboundSms.received_at,
        ),
        "invoices": of_accounts(t.Invoice, t.Invoice.issued_at),
        "charges": charges,
        "refunds": rows(t.Refund, t.Refund.charge_id.in_([charge["id"] for charge in charges])),
        "credits": of_accounts(t.Credit),
        "wallets": wallets,
        "wallet_entries": rows(
            t.WalletEntry, t.WalletEntry.wallet_id.in_([wallet["id"] for wallet in wallets]), order=t.WalletEntry.at
        ),
        "scheduled_messages": of_accounts(t.ScheduledMessage),
        "registrations": of_accounts(t.Registration),
        "recordings": of_accounts(t.Recordings),
        "cancellations": of_accounts(t.Cancellation, t.Cancellation.requested_at),
        "lifecycle_events": of_accounts(t.LifecycleEvent, t.LifecycleEvent.due_at),
        "decisions": of_customer(t.Decision, t.Decision.created_at),
        "approvals": rows(
            t.Approval,
            t.Approval.decision_id.in_(select(t.Decision.id).where(t.Decision.customer_id == customer.id)),
        ),
        "investigations": of_accounts(t.Investigation, t.Investigation.opened_at),
        "tickets": of_customer(t.Ticket, t.Ticket.reference),
        "receipts": [
            {key: value for key, value in receipt.items() if key not in ("html", "plain")}
            for receipt in of_customer(t.Receipt, t.Receipt.reference)
        ],
        "conversations": uow.session.execute(
            select(func.count()).select_from(t.Conversation).where(t.Conversation.customer_id == customer.id)
        ).scalar_one(),
    }


def _row(row: Any) -> dict[str, Any]:
    """A row as JSON values; times as ISO 8601 in UTC. The keys that make repeating safe are left out."""
    values = {column.name: getattr(row, column.name) for column in row.__table__.columns}
    values.pop("idempotency_key", None)
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
