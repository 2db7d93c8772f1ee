"""The supervisor's figures, each against numbers worked out by hand; days are the brand's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select

from bot.ids import new_id
from bot.policy.decision import Matter
from bot.policy.money import Money
from bot.services import audit, cancellations, figures, presence, refunds, tickets
from bot.services.figures import ByRule, Fate, Figures, Reason, times
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.unit.services.usecases import agent, cancel, customer, jolt, resume

NOON = datetime(2026, 3, 10, 16, 0, tzinfo=timezone.utc)  # noon in New York, JoltSMS's zone
MIDNIGHT = datetime(2026, 3, 10, 4, 0, tzinfo=timezone.utc)  # the day's first moment there
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def of(store: Store, *, days: int = 1, now: datetime = NOON) -> Figures:
    """JoltSMS's figures."""
    with store.read() as uow:
        return figures.collect(uow, pack=jolt(), days=days, now=now)


def chat(uow: UnitOfWork, *, at: datetime = NOON, owner: str = "bot", **more: Any) -> str:
    """A conversation."""
    row = t.Conversation(
        id=new_id("cnv"),
        brand=more.pop("brand", "joltsms"),
        channel="widget",
        external_id=new_id("ext"),
        owner=owner,
        created_at=at,
        updated_at=at,
        **more,
    )
    uow.add(row)
    return str(row.id)


def handed(
    uow: UnitOfWork, conversation_id: str, at: datetime, *ways: str, reason: str = "asked", who: str = "bot"
) -> None:
    """Changes of owner, a way such as `bot-queued` each."""
    for way in ways:
        before, after = way.split("-")
        uow.add(
            t.Handoff(
                id=new_id("hof"),
                conversation_id=conversation_id,
                from_owner=before,
                to_owner=after,
                reason=reason,
                actor=who,
                at=at,
                idempotency_key=new_id("key"),
            )
        )


def said(uow: UnitOfWork, conversation_id: str, at: datetime, intent: str, *, author: str = "customer") -> None:
    """A message, of the customer's with how it was understood."""
    seq = len(uow.session.execute(select(t.Message.id).where(t.Message.conversation_id == conversation_id)).all()) + 1
    uow.add(
        t.Message(
            id=new_id("msg"),
            conversation_id=conversation_id,
            seq=seq,
            author=author,
            text="-",
            buttons=[],
            attachments=[],
            channel="widget",
            external_id=new_id("ext") if author == "customer" else None,
            status="answered" if author == "customer" else "final",
            understanding={"intent": intent} if author == "customer" else None,
            created_at=at,
        )
    )


def test_a_brand_where_nothing_happened(store: Store) -> None:
    found = of(store)
    assert (found.since, found.until) == (MIDNIGHT, NOON)
    assert (found.waiting, found.longest_wait, found.with_people) == (0, None, 0)
    assert found.first_reply == found.resolution == times([])
    assert (found.csat.rated, found.csat.share, found.by_bot.share) == (0, None, None)
    assert (found.handoffs, found.money, found.reasons, found.paused_instead) == ((), (), (), 0)


def test_times_are_the_middle_one_and_what_nine_of_ten_did_not_exceed() -> None:
    assert (times([30.0]).median, times([30.0]).slowest_tenth) == (30.0, 30.0)
    ten = times([float(each) for each in range(1, 11)])
    assert (ten.count, ten.median, ten.slowest_tenth) == (10, 5.5, 9.0)


def test_first_replies_and_resolutions_of_the_brands_day(store: Store) -> None:
    """Waits of 2 and 6 minutes and one without a reply yet; one resolved after 30 minutes, one handed back.

    What began a second before the day is not of the day, and its resolution today is.
    """
    with store.write() as uow:
        amy = agent(uow, "amy")
        one, two, three, early = (chat(uow) for _ in range(4))
        for conversation_id, begins, replies in (
            (one, MIDNIGHT, MIDNIGHT + 2 * MINUTE),
            (two, MIDNIGHT + HOUR, MIDNIGHT + HOUR + 6 * MINUTE),
            (early, MIDNIGHT - timedelta(seconds=1), MIDNIGHT + 9 * MINUTE),
        ):
            handed(uow, conversation_id, begins, "bot-queued")
            handed(uow, conversation_id, begins + MINUTE, "queued-human", reason="taken", who=amy)
            said(uow, conversation_id, replies, "", author="agent")
        handed(uow, three, NOON - MINUTE, "bot-queued", reason="anger")
        handed(uow, one, MIDNIGHT + 30 * MINUTE, "human-closed", reason="resolved", who=amy)
        handed(uow, two, MIDNIGHT + 2 * HOUR, "human-bot", reason="handed_back", who=amy)
        handed(uow, early, MIDNIGHT + HOUR, "human-closed", reason="resolved", who=amy)
        uow.commit()
    found = of(store)
    assert (found.first_reply.count, found.first_reply.median) == (2, 240.0)
    assert found.resolution.count == 2
    assert found.resolution.median == (30 * 60 + 3601) / 2
    assert found.resolved_by == (("Amy", 2),)
    assert found.handoffs == (("asked", 2, 0), ("anger", 1, 0))


def test_who_waits_and_who_is_there(store: Store) -> None:
    with store.write() as uow:
        amy, pia = agent(uow, "amy"), agent(uow, "pia", brands=("smrtphone",))
        for name in (amy, pia):
            presence.seen(uow, agent_id=name, now=NOON - timedelta(seconds=30))
        for minutes in (3, 20):
            chat(uow, owner="queued", handed_over_at=NOON - minutes * MINUTE)
        chat(uow, owner="queued", brand="smrtphone", handed_over_at=NOON - DAY)
        chat(uow, owner="human", agent_id=amy, handed_over_at=NOON)
        uow.commit()
    found = of(store)
    assert (found.waiting, found.longest_wait, found.with_people) == (2, 20 * MINUTE, 1)
    assert [(each.name, each.load) for each in found.online] == [("Amy", 1)]


def test_ratings_of_the_day(store: Store) -> None:
    """Scores 5, 4 and 2, and one not answered: two of three are good. Yesterday's is not counted."""
    with store.write() as uow:
        amy = agent(uow, "amy")
        for score, at in ((5, NOON), (4, NOON), (2, NOON), (None, NOON), (1, NOON - DAY)):
            conversation_id = chat(uow)
            handed(uow, conversation_id, at, "human-closed", reason="resolved", who=amy)
            handoff_id = uow.session.execute(
                select(t.Handoff.id).where(t.Handoff.conversation_id == conversation_id)
            ).scalar_one()
            uow.add(
                t.Rating(
                    id=new_id("rat"),
                    brand="joltsms",
                    conversation_id=conversation_id,
                    handoff_id=handoff_id,
                    agent_id=amy,
                    score=score,
                    asked_at=at,
                    rated_at=at if score else None,
                )
            )
        uow.commit()
    found = of(store).csat
    assert (found.asked, found.rated, found.share) == (4, 3, 2 / 3)
    assert found.scores == {5: 1, 4: 1, 3: 0, 2: 1, 1: 0}


STORIES: dict[str, tuple[list[tuple[float, str]], dict[Fate, int]]] = {
    "left for a day": ([(-30, "ask_refund_policy")], {Fate.LEFT: 1}),
    "left less than a day ago": ([(-23, "ask_refund_policy")], {Fate.OPEN: 1}),
    "thanked at once": ([(-2, "ask_refund_policy"), (-2, "thank")], {Fate.CONFIRMED: 1}),
    "thanked, then a word more": ([(-2, "check_invoices"), (-2, "thank"), (-1, "inform")], {Fate.OPEN: 1}),
    "small talk is no matter": ([(-30, "greet"), (-30, "thank")], {}),
    "answers belong to the matter": ([(-40, "cancel_subscription"), (-40, "inform"), (-30, "affirm")], {Fate.LEFT: 1}),
    "said again at once": ([(-30, "check_invoices"), (-29, "check_invoices")], {Fate.LEFT: 1}),
    "two matters": ([(-30, "check_invoices"), (-29, "ask_refund_policy")], {Fate.LEFT: 2}),
    "not understood in the end": ([(-30, "check_invoices"), (-29, "nlu_fallback")], {Fate.NOT_UNDERSTOOD: 1}),
    "understood after all": ([(-30, "check_invoices"), (-29, "nlu_fallback"), (-28, "inform")], {Fate.LEFT: 1}),
    "came back after two days": (
        [(-100, "report_duplicate_charge"), (-100, "thank"), (-50, "report_duplicate_charge")],
        {Fate.RETURNED: 1, Fate.LEFT: 1},
    ),
    "came back after eight days": (
        [(-240, "report_duplicate_charge"), (-30, "report_duplicate_charge")],
        {Fate.LEFT: 2},
    ),
    "asked for a person": ([(-30, "request_refund"), (-29.5, "PERSON")], {Fate.PERSON: 1}),
    "a person for the second only": (
        [(-40, "check_invoices"), (-30, "request_refund"), (-29.5, "PERSON")],
        {Fate.LEFT: 1, Fate.PERSON: 1},
    ),
    "a person two days later": ([(-90, "request_refund"), (-30, "PERSON")], {Fate.LEFT: 1}),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_the_bot_settled_alone(sqlite_store: Store, story: str) -> None:
    """Hours before now, and how each message was understood."""
    lines, expected = STORIES[story]
    with sqlite_store.write() as uow:
        conversation_id = chat(uow)
        for hours, intent in lines:
            at = NOON + hours * HOUR
            if intent == "PERSON":
                handed(uow, conversation_id, at, "bot-queued")
            else:
                said(uow, conversation_id, at, intent)
        uow.commit()
    found = of(sqlite_store, days=30).by_bot
    assert {fate: count for fate, count in found.fates.items() if count} == expected
    counted = sum(count for fate, count in expected.items() if fate is not Fate.OPEN)
    settled = sum(expected.get(fate, 0) for fate in figures.SETTLED)
    assert found.share == (settled / counted if counted else None)


def test_a_customer_who_comes_back_in_another_conversation_takes_it_back_too(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ava = customer(uow, "ava").customer_id
        for hours in (-100, -30):
            conversation_id = chat(uow, customer_id=ava)
            said(uow, conversation_id, NOON + hours * HOUR, "check_invoices")
        uow.commit()
    found = of(demo_store, days=30).by_bot
    assert (found.fates[Fate.RETURNED], found.fates[Fate.LEFT], found.share) == (1, 1, 0.5)


def test_a_ticket_counts_as_a_person_and_as_a_reason(store: Store) -> None:
    with store.write() as uow:
        conversation_id = chat(uow)
        said(uow, conversation_id, NOON - 30 * HOUR, "request_refund")
        tickets.open_ticket(
            uow,
            brand="joltsms",
            kind="handoff",
            subject="A person is wanted",
            summary="-",
            customer_id=None,
            contact_email=None,
            conversation_id=conversation_id,
            details={"reason": "limit"},
            idempotency_key="t",
            now=NOON - 29 * HOUR,
        )
        uow.commit()
    found = of(store, days=7)
    assert (found.by_bot.fates[Fate.PERSON], found.by_bot.share) == (1, 0.0)
    assert found.handoffs == (("limit", 0, 1),)


def test_money_by_rule(demo_store: Store) -> None:
    """Ben's second charge of USD 15.00 comes back by J-R1; before the day it is not of the day."""
    with demo_store.write() as uow:
        given = refunds.request(
            uow,
            pack=jolt(),
            customer=customer(uow, "ben"),
            matter=Matter.DUPLICATE_CHARGE,
            conversation_id=None,
            key="ben",
            now=NOON,
        )
        uow.commit()
    assert given.refund is not None
    assert of(demo_store).money == (ByRule("J-R1", "refund", 1, Money(1500, "USD")),)
    assert of(demo_store, now=NOON + DAY).money == ()
    assert of(demo_store, days=7, now=NOON + DAY).money[0].count == 1


def test_leaving_and_staying_by_reason(demo_store: Store) -> None:
    """Ava leaves for money and comes back, Finn leaves without a word, somebody stays after the price was a reason."""
    reason = jolt().cancel.reasons[0]
    with demo_store.write() as uow:
        ava, finn = customer(uow, "ava"), customer(uow, "finn")
        ours = uow.session.execute(
            select(t.Subscription.id)
            .join(t.Membership, t.Membership.account_id == t.Subscription.account_id)
            .where(t.Membership.customer_id == ava.customer_id)
        ).scalar_one()
        cancel(uow, ava, ours, now=NOON - HOUR, reason_id=reason.id)
        resume(uow, ava, ours, now=NOON - MINUTE)
        cancel(uow, finn, "SUB-1007", now=NOON)
        for number in (1, 2):
            cancellations.note_kept(
                uow,
                brand="joltsms",
                subscription_ids=[ours],
                reason_id=reason.id,
                offers=[],
                key=f"k{number}",
                now=NOON,
            )
        audit.record(uow, actor="bot", action="cancellation.kept", subject="x", data={"brand": "smrtphone"}, now=NOON)
        uow.commit()
    assert of(demo_store).reasons == (
        Reason(reason.id, reason.title, cancelled=1, undone=1, kept=2),
        Reason("", "No reason given", cancelled=1, undone=0, kept=0),
    )
