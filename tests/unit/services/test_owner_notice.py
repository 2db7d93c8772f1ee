"""The owner is told once who asked for what, in the pack's words."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.errors import NotFound
from bot.services import owner_notice
from bot.services.owner_notice import NoticeStatus, OwnerNotice
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import count, person, served


def tell(
    uow: UnitOfWork, who: str = "lee@smrt.example", *, key: str = "k", now: datetime = START, account: str = ""
) -> OwnerNotice:
    """Somebody wants the owner of Kim's account told."""
    return owner_notice.tell(
        uow,
        pack=served("smrtphone"),
        customer=person(uow, who),
        account_id=account or uow.get(t.Subscription, "SUB-1014").account_id,
        what="cancelling smrtPhone",
        conversation_id=None,
        key=key,
        now=now,
    )


def test_the_owner_gets_one_mail_that_names_who_asked(demo_store: Store) -> None:
    with demo_store.write() as uow:
        assert tell(uow) == OwnerNotice(NoticeStatus.SENT, ("Kim Sandoval",))
        assert tell(uow) == OwnerNotice(NoticeStatus.SENT, ("Kim Sandoval",)), "a turn that is run again"
        assert tell(uow, key="later", now=START + timedelta(days=29)).status is NoticeStatus.SENT_BEFORE
        uow.commit()
    with demo_store.read() as uow:
        mail = uow.session.execute(select(t.Outbox)).scalar_one()
        assert mail.recipient == "kim@smrt.example"
        assert mail.payload["subject"] == "Lee Sandoval asked about cancelling smrtPhone"
        assert "Lee Sandoval" in mail.payload["plain"]
        assert count(uow, t.AuditLog, t.AuditLog.action == "owner.told") == 1


def test_after_30_days_they_may_ask_again(demo_store: Store) -> None:
    with demo_store.write() as uow:
        tell(uow)
        assert tell(uow, key="later", now=START + timedelta(days=30)).status is NoticeStatus.SENT
        assert count(uow, t.Outbox) == 2


def test_nobody_is_told_where_nobody_else_may_decide(demo_store: Store) -> None:
    with demo_store.write() as uow:
        assert tell(uow, "kim@smrt.example") == OwnerNotice(NoticeStatus.NOBODY, ())
        assert count(uow, t.Outbox) == 0


def test_only_members_can_have_anybody_told(demo_store: Store) -> None:
    with demo_store.write() as uow, pytest.raises(NotFound):
        tell(uow, "mona@smrt.example")
