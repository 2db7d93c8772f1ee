"""Receipts: durable records of what was done, made from one content as a page, as plain text and as a mail."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.errors import Conflict, NotFound
from bot.ids import new_id
from bot.policy.dates import format_date
from bot.policy.money import Money
from bot.policy.pack import Brand
from bot.services.mail import enqueue_mail
from bot.services.ports import EmailAttachment
from bot.store.tables import Customer, Receipt
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ConsentGiven:
    """What the customer agreed to, word for word, and when."""

    wording: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ReceiptContent:
    """What a receipt says. Moments are aware; they are shown in the brand's time zone.

    `what` names the thing it is about, `reference` is the number of what was done (CAN-, RFD-, ...), `effects` are the
    consequences told, `undo` says how and until when it can be undone, `details` are further (label, value) lines.
    """

    title: str
    what: str
    done_at: datetime
    reference: str
    rule_ids: tuple[str, ...]
    policy_version: str
    effective_at: datetime | None = None
    money: Money | None = None
    details: tuple[tuple[str, str], ...] = ()
    effects: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    consents: tuple[ConsentGiven, ...] = ()


@dataclass(frozen=True)
class ReceiptView:
    """A receipt as it was given; `html` is a whole page, `data` the content as JSON."""

    id: str
    reference: str
    kind: str
    html: str
    plain: str
    data: Mapping[str, Any]
    created_at: datetime


def make_receipt(
    uow: UnitOfWork,
    *,
    kind: str,
    brand: Brand,
    customer_id: str,
    conversation_id: str | None,
    content: ReceiptContent,
    idempotency_key: str,
    now: datetime,
    attachments: Sequence[EmailAttachment] = (),
) -> ReceiptView:
    """Write a receipt and queue its mail to the customer, once for each key; an erased customer gets no mail.

    `attachments` go with the mail. Raises Conflict, NotFound.
    """
    known = uow.session.execute(select(Receipt).where(Receipt.idempotency_key == idempotency_key)).scalar()
    if known is not None:
        if known.customer_id != customer_id:
            raise Conflict("That key was already used for another receipt.")
        return _view(known)
    customer = uow.get(Customer, customer_id)
    if customer is None:
        raise NotFound("There is no such customer.")
    reference = f"RCP-{uow.next_number('RCP'):06d}"
    page = _Page(reference, brand, customer.name, content)
    row = Receipt(
        id=new_id("rcp"),
        reference=reference,
        brand=brand.id,
        kind=kind,
        customer_id=customer_id,
        conversation_id=conversation_id,
        data=_data(content),
        html=page.html(),
        plain=page.plain(),
        created_at=now,
        idempotency_key=idempotency_key,
    )
    uow.add(row)
    if customer.erased_at is None:
        enqueue_mail(
            uow,
            brand=brand,
            to=customer.email,
            subject=f"{content.title} ({content.reference})",
            plain=row.plain,
            html=row.html,
            attachments=attachments,
            idempotency_key=f"receipt:{row.id}",
            now=now,
        )
    return _view(row)


def receipt_view(uow: UnitOfWork, receipt_id: str, *, customer_id: str) -> ReceiptView:
    """A receipt of this customer. Raises NotFound, also for somebody else's."""
    row = uow.get(Receipt, receipt_id)
    if row is None or row.customer_id != customer_id:
        raise NotFound("There is no such receipt.")
    return _view(row)


def receipt_with_key(uow: UnitOfWork, idempotency_key: str) -> ReceiptView | None:
    """The receipt that was made under that key, None if there is none."""
    row = uow.session.execute(select(Receipt).where(Receipt.idempotency_key == idempotency_key)).scalar()
    return None if row is None else _view(row)


def style_source() -> str:
    """What `style-src` of a Content-Security-Policy must allow to show the page: the hash of its one style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"


def _view(row: Receipt) -> ReceiptView:
    return ReceiptView(row.id, row.reference, row.kind, row.html, row.plain, row.data, row.created_at)


def _data(content: ReceiptContent) -> dict[str, Any]:
    money = content.money
    return {
        "title": content.title,
        "what": content.what,
        "done_at": content.done_at.isoformat(),
        "effective_at": content.effective_at.isoformat() if content.effective_at else None,
        "amount_minor": money.minor if money else None,
        "currency": money.currency if money else None,
        "reference": content.reference,
        "rule_ids": list(content.rule_ids),
        "policy_version": content.policy_version,
        "details": [list(line) for line in content.details],
        "effects": list(content.effects),
        "undo": list(content.undo),
        "consents": [{"wording": consent.wording, "at": consent.at.isoformat()} for consent in content.consents],
    }


# --- how it looks ----------------------------------------------------------------------------------------------------

_STYLE = (
    "body{margin:0;background:#f3f4f6;color:#111827;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:40rem;margin:1.5rem auto;padding:1.5rem 2rem;background:#fff;border:1px solid #d1d5db}"
    "h1{font-size:1.4rem;margin:0 0 .25rem}h2{font-size:1rem;margin:1.5rem 0 .25rem}"
    "p{margin:.25rem 0}ul{margin:.25rem 0;padding-left:1.25rem}"
    "table{width:100%;border-collapse:collapse;margin-top:1rem}"
    "th,td{padding:.4rem 0;border-top:1px solid #e5e7eb;text-align:left;vertical-align:top}"
    "th{width:35%;padding-right:1rem;font-weight:600}"
    ".quiet{color:#4b5563;font-size:.9rem}footer{margin-top:1.5rem;border-top:1px solid #d1d5db;padding-top:.75rem}"
    "@media print{body{background:#fff}main{margin:0;border:0;padding:0;max-width:none}}"
)


class _Page:
    """One receipt's words, laid out twice from the same sections."""

    def __init__(self, reference: str, brand: Brand, name: str, content: ReceiptContent) -> None:
        self._brand = brand
        self._name = name
        self._content = content
        self._reference = reference

    def html(self) -> str:
        """A page that needs nothing from elsewhere, runs nothing and prints well."""
        content, brand = self._content, self._brand
        rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in self._table())
        lists = "".join(
            f"<h2>{escape(title)}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
            for title, lines in self._sections()
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{escape(f'{brand.name}: {content.title}')}</title><style>{_STYLE}</style></head>"
            f'<body><main><p class="quiet">{escape(brand.name)}</p><h1>{escape(content.title)}</h1>'
            f"<p>{escape(self._greeting())}</p><table>{rows}</table>{lists}"
            f'<footer class="quiet"><p>{escape(self._contact())}</p></footer></main></body></html>\n'
        )

    def plain(self) -> str:
        """The same for a mail program or a terminal."""
        width = max(len(label) for label, _ in self._table()) + 2
        lines = [self._brand.name, self._content.title, "", self._greeting(), ""]
        lines += [f"{label + ':':<{width}}{value}" for label, value in self._table()]
        for title, items in self._sections():
            lines += ["", f"{title}:", *(f"- {item}" for item in items)]
        return "\n".join([*lines, "", self._contact(), ""])

    def _greeting(self) -> str:
        return f"Hello {self._name}, this is your receipt." if self._name else "This is your receipt."

    def _table(self) -> list[tuple[str, str]]:
        content, zone = self._content, self._brand.zone
        lines = [("What", content.what), ("Done on", _moment(content.done_at, zone))]
        if content.effective_at is not None:
            lines.append(("Takes effect", _moment(content.effective_at, zone)))
        if content.money is not None:
            lines.append(("Amount", content.money.format()))
        lines += content.details
        rules = f"{', '.join(content.rule_ids)} (policy version {content.policy_version})"
        return [*lines, ("Reference", content.reference), ("Receipt", self._reference), ("Rules applied", rules)]

    def _sections(self) -> list[tuple[str, Sequence[str]]]:
        content, zone = self._content, self._brand.zone
        agreed = [f"{consent.wording} ({_moment(consent.at, zone)})" for consent in content.consents]
        sections = [("What happens", content.effects), ("How to undo it", content.undo), ("What you agreed to", agreed)]
        return [(title, lines) for title, lines in sections if lines]

    def _contact(self) -> str:
        contacts = self._brand.contacts
        return f"Questions? {contacts.help_center} or {contacts.email}. Please mention {self._content.reference}."


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{format_date(moment, zone)}, {local:%H:%M} {local:%Z}"
