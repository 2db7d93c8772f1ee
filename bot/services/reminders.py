"""Reminders a week and a day before something is lost for good, with a signed link that keeps it if policy allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import jwt
from sqlalchemy import select

from bot.errors import NotAuthenticated
from bot.policy import decide as policy
from bot.policy.decision import Decision, Outcome, Request, RequestKind
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.policy.reminders import IRREVERSIBLE, REMIND
from bot.services import event_words
from bot.services.facts import collect
from bot.services.mail import enqueue_mail
from bot.services.rows import row, rows
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_AUDIENCE = "keep"


@dataclass(frozen=True)
class Claim:
    """What a reminder's link speaks for: a customer's wish to undo these cancellations."""

    customer_id: str
    cancellation_ids: tuple[str, ...]


class KeepLinks:
    """Makes the links of reminders and reads them back; a link works until what it reminds of happens."""

    def __init__(self, secret: str, base_url: str) -> None:
        """`secret` is the server's own, `base_url` where it is reached from outside, without a slash at its end."""
        self._secret = secret
        self._base_url = base_url

    def url(self, claim: Claim, *, until: datetime) -> str:
        """The address to put into a mail."""
        return f"{self._base_url}/keep/{self.token(claim, until=until)}"

    def token(self, claim: Claim, *, until: datetime) -> str:
        """The last part of that address."""
        claims = {
            "aud": _AUDIENCE,
            "sub": claim.customer_id,
            "cancellations": list(claim.cancellation_ids),
            "exp": int(until.timestamp()),
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str, *, now: datetime) -> Claim:
        """What a token speaks for. Raises NotAuthenticated when it was not made here or has run out."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                # Checked below against the moment that was passed in, not against the library's clock.
                options={"require": ["sub", "cancellations", "exp"], "verify_exp": False},
            )
        except jwt.InvalidTokenError as error:
            raise NotAuthenticated("This link is not complete. Please open it from the e-mail again.") from error
        if now >= datetime.fromtimestamp(claims["exp"], timezone.utc):
            raise NotAuthenticated("This link has run out: what it was about has happened meanwhile.")
        return Claim(claims["sub"], tuple(claims["cancellations"]))


def send(uow: UnitOfWork, *, pack: Pack, event: Any, links: KeepLinks | None, now: datetime) -> Mapping[str, Any] | str:
    """Mail what is about to be lost to whoever cancelled; returns the result, or why nobody needs reminding."""
    reminded = row(uow, select(t.LifecycleEvent).where(t.LifecycleEvent.id == event.subject_id))
    if now >= reminded.due_at:
        return "it has happened"
    if _is_overtaken(uow, event, now):
        return "a later reminder is due"
    losses = _losses(uow, event.account_id, reminded.due_at)
    if not losses:
        return "nothing is lost any more"
    mailed = [
        _mail(uow, pack, customer, cancellations, losses, event, links, now)
        for customer, cancellations in _leavers(uow, losses)
        if customer.erased_at is None
    ]
    return {"mails": mailed, "event_ids": [loss.id for loss in losses]} if mailed else "nobody can be reminded"


def send_end_of_pause(uow: UnitOfWork, *, pack: Pack, pause: Any, now: datetime) -> Mapping[str, Any] | str:
    """Mail that a pause ends by itself and what is charged then; returns the result, or why nobody is told."""
    customer = uow.get(t.Customer, pause.customer_id)
    subscription = uow.get(t.Subscription, pause.subscription_id)
    if customer.erased_at is not None or subscription.status != "active":
        return "nobody has to be told"
    brand = pack.brand
    day = event_words.day_of(pause.resumes_at, brand.zone)
    price = Money(subscription.price_minor, subscription.currency).format()
    used_first = subscription.period_end > pause.starts_at
    then = "The days that you had paid for are used first." if used_first else f"The new period costs {price}."
    plain = "\n\n".join(
        (
            f"Hello {customer.name}," if customer.name else "Hello,",
            f"your pause {pause.reference} of {subscription.plan} ends on {day}: it runs again from then on. {then}",
            f"Would you rather cancel it, or start earlier? Tell us before then, at {brand.contacts.help_center}.",
            f"{brand.name} support\n{brand.contacts.help_center}\n",
        )
    )
    mail = enqueue_mail(
        uow,
        brand=brand,
        to=customer.email,
        subject=f"{brand.name}: your pause ends on {day}",
        plain=plain,
        idempotency_key=f"pause-ends:{pause.id}",
        now=now,
    )
    return {"mails": [mail]}


def may_resume(
    uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, subscription_id: str, product: str, now: datetime
) -> Decision:
    """What the pack says about resuming one subscription now; nothing is recorded."""
    facts = collect(uow, pack=pack, customer=customer, subscription_id=subscription_id, now=now)
    known = product if pack.product(product) else None
    return policy.decide(pack, facts, Request(RequestKind.RESUME, now, product=known, subscription_id=subscription_id))


def _is_overtaken(uow: UnitOfWork, event: Any, now: datetime) -> bool:
    later = select(t.LifecycleEvent.id).where(
        t.LifecycleEvent.kind == REMIND,
        t.LifecycleEvent.subject_id == event.subject_id,
        t.LifecycleEvent.due_at > event.due_at,
        t.LifecycleEvent.due_at <= now,
    )
    return row(uow, later) is not None


def _losses(uow: UnitOfWork, account_id: str, at: datetime) -> list[Any]:
    """What the account loses for good at that moment, as things stand."""
    found = rows(
        uow,
        select(t.LifecycleEvent)
        .where(
            t.LifecycleEvent.account_id == account_id,
            t.LifecycleEvent.due_at == at,
            t.LifecycleEvent.status == "scheduled",
            t.LifecycleEvent.kind.in_(IRREVERSIBLE),
        )
        .order_by(t.LifecycleEvent.id),
    )
    return sorted(found, key=lambda event: IRREVERSIBLE.index(event.kind))


def _leavers(uow: UnitOfWork, losses: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Who cancelled what the losses come from."""
    ids = {loss.cancellation_id for loss in losses}
    cancellations = rows(
        uow, select(t.Cancellation).where(t.Cancellation.id.in_(ids)).order_by(t.Cancellation.reference)
    )
    by_customer: dict[str, list[Any]] = {}
    for cancellation in cancellations:
        by_customer.setdefault(cancellation.customer_id, []).append(cancellation)
    return [(uow.get(t.Customer, customer_id), theirs) for customer_id, theirs in by_customer.items()]


def _mail(
    uow: UnitOfWork,
    pack: Pack,
    customer: Any,
    cancellations: Sequence[Any],
    losses: Sequence[Any],
    event: Any,
    links: KeepLinks | None,
    now: datetime,
) -> str:
    theirs = {cancellation.id for cancellation in cancellations}
    ref = CustomerRef(customer.id, customer.brand, customer.email, customer.name)
    at = losses[0].due_at
    day = event_words.day_of(at, pack.brand.zone)
    decided = {
        cancellation.id: may_resume(
            uow,
            pack=pack,
            customer=ref,
            subscription_id=cancellation.subscription_id,
            product=uow.get(t.Subscription, cancellation.subscription_id).product,
            now=now,
        )
        for cancellation in cancellations
    }
    keepable = tuple(id_ for id_, decision in decided.items() if decision.outcome is Outcome.ALLOW)
    if keepable and links is not None:
        url = links.url(Claim(customer.id, keepable), until=at)
        how = [f"Would you rather keep it? One click is enough:\n{url}"]
    else:
        says = (sentence for each in decided.values() for sentence in (*each.reasons, *each.next_steps))
        how = list(dict.fromkeys(says))
    lines = event_words.coming(uow, [loss for loss in losses if loss.cancellation_id in theirs])
    brand = pack.brand
    plain = "\n\n".join(
        (
            f"Hello {customer.name}," if customer.name else "Hello,",
            f"on {day} this happens, because of your cancellation {', '.join(c.reference for c in cancellations)}:",
            "\n".join(f"- {line}" for line in lines),
            *how,
            "If you want it to happen, you do not have to do anything.",
            f"{brand.name} support\n{brand.contacts.help_center}\n",
        )
    )
    return enqueue_mail(
        uow,
        brand=brand,
        to=customer.email,
        subject=f"{brand.name}: what ends on {day}",
        plain=plain,
        # Two cancellations that end alike remind once.
        idempotency_key=f"reminder:{event.account_id}:{customer.id}:{at.isoformat()}:{event.due_at.isoformat()}",
        now=now,
    )
