"""A made-up brand beside the real ones: its pack and its articles are all it needs, for leaving and for money back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bot.services import lifecycle
from bot.settings import PROJECT, Settings
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock
from tests.fourth_brand import BRANDS, DEB, MIA, NOW, OLE, YAN, seed

pytestmark = pytest.mark.conversation
Start = Callable[..., Chat]


@pytest.fixture
def clock() -> FakeClock:
    """After the law about withdrawing has come into force."""
    return FakeClock(NOW)


@pytest.fixture
def settings(sqlite_demo_store: Store, tmp_path: Path, _read_once: None, cheap_passwords: None) -> Settings:
    """Demo mode with four brands: copies of the real ones' packs and articles, and the made-up one's."""
    for folder in ("policies", "help_center"):
        shutil.copytree(PROJECT / "data" / folder, tmp_path / folder)
        shutil.copytree(BRANDS / folder, tmp_path / folder, dirs_exist_ok=True)
    seed(sqlite_demo_store)
    return Settings.from_env(
        {
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(tmp_path / "var"),
            "SUPPORTBOT_PACKS": str(tmp_path / "policies"),
            "SUPPORTBOT_HELP": str(tmp_path / "help_center"),
            "DATABASE_URL": str(sqlite_demo_store.engine.url),
        }
    )


@pytest.fixture
def tandem(chat: Start) -> Start:
    """Starts conversations with the made-up brand."""

    def start(as_email: str | None = None) -> Chat:
        return chat(as_email, brand="tandem")

    return start


async def leave(customer: Chat) -> None:
    """Through the whole flow, by the buttons."""
    await customer.say("I want to cancel my subscription")
    await customer.press("Continue cancelling")
    await customer.press("Skip")
    await customer.press("I agree")
    await customer.press("Yes, cancel")


async def test_leaving_takes_thirty_days_of_notice(tandem: Start) -> None:
    """The thirtieth day is 5 August in Berlin, and it ends at 22:00 UTC: later than the paid period."""
    ole = tandem(OLE)
    await leave(ole)
    (cancellation,) = ole.rows(t.Cancellation, subscription_id="SUB-ole")
    (receipt,) = ole.rows(t.Receipt)
    assert cancellation.effective_at == datetime(2026, 8, 5, 22, 0, tzinfo=timezone.utc)
    assert ole.decided() == ["T-C1:allow"]
    assert [consent["wording"] for consent in cancellation.consents] == ["I know that the notice is 30 days."]
    assert cancellation.offers == ["pause"]
    assert "6 August 2026" in "\n".join(ole.transcript)
    assert ole.attachments() == [f"Receipt {receipt.reference}.html"]
    assert len(ole.mails(OLE)) == 1


async def test_a_yearly_plan_runs_to_the_end_of_its_year(tandem: Start) -> None:
    yan = tandem(YAN)
    await leave(yan)
    (cancellation,) = yan.rows(t.Cancellation, subscription_id="SUB-yan")
    assert cancellation.effective_at == NOW + timedelta(days=265)
    assert cancellation.offers == ["talk"]


async def test_a_pause_is_offered_beside_the_button_that_cancels(tandem: Start) -> None:
    """Choosing it cancels nothing, cancelling stays one click away, and it is done once with its receipt."""
    ole = tandem(OLE)
    told = await ole.say("I want to cancel my subscription")
    assert "pause for up to three months" in told
    assert {"Continue cancelling", "Pause instead"} <= set(ole.titles())
    await ole.press("Pause instead")
    assert ole.titles() == ["One month", "Two months", "Three months", "Cancel instead"]
    asked = await ole.press("Two months")
    assert "use everything until" in asked
    assert "from 2 August 2026 until 2 October 2026" in asked
    assert ole.titles() == ["Yes, pause it", "No, leave it running", "Cancel instead"]
    told = await ole.press("Yes, pause it")
    (pause,) = ole.rows(t.Pause)
    (receipt,) = ole.rows(t.Receipt)
    assert pause.reference in told
    assert (pause.status, pause.instead_of_cancelling) == ("scheduled", True)
    assert ole.decided() == ["T-P2:allow"]
    assert ole.attachments() == [f"Receipt {receipt.reference}.html"]
    assert ole.titles() == ["Undo this"], "and nobody is asked again whether to cancel"
    assert ole.rows(t.Cancellation, subscription_id="SUB-ole") == []


async def test_a_pause_is_asked_for_in_words_and_ended_in_words(tandem: Start, clock: FakeClock) -> None:
    ole = tandem(OLE)
    asked = await ole.say("can I put my plan on hold for two months?")
    assert "Shall I pause Line, monthly from 2 August 2026 until 2 October 2026?" in asked
    await ole.say("yes")
    assert len(ole.rows(t.Pause, status="scheduled")) == 1
    clock.advance(days=40)
    lifecycle.tick(ole.app.store, now=clock.now(), packs=ole.app.packs)
    ole = tandem(OLE)
    told = await ole.say("show me my subscription")
    assert "is paused until 2 October 2026, and costs nothing until then" in told
    asked = await ole.say("unpause my plan")
    assert "Shall I start Line, monthly again today?" in asked
    told = await ole.press("Yes, start again")
    assert "goes on and renews on 15 September 2026 for EUR 9.00" in told
    assert len(ole.rows(t.Pause, status="over")) == 1
    assert len(ole.rows(t.Receipt)) == 2


async def test_paused_and_cancelled_after_all(tandem: Start) -> None:
    """A pause that has not begun is called off by it, and is not offered a second time while it stands."""
    ole = tandem(OLE)
    await ole.say("pause my plan for a month")
    await ole.press("Yes, pause it")
    assert "Pause instead" not in (await ole.say("cancel my subscription") and ole.titles())
    await ole.press("Skip")
    await ole.press("I agree")
    await ole.press("Yes, cancel")
    assert [pause.status for pause in ole.rows(t.Pause)] == ["undone"]
    assert len(ole.rows(t.Cancellation, subscription_id="SUB-ole")) == 1


async def test_a_yearly_plan_cannot_pause_and_it_says_why(tandem: Start) -> None:
    yan = tandem(YAN)
    assert "A yearly plan cannot be paused" in await yan.say("I'd like to pause my plan")
    assert (yan.decided(), yan.rows(t.Pause)) == (["T-P1:refuse"], [])


async def test_somebody_who_would_rather_pause_says_so_while_cancelling(tandem: Start) -> None:
    ole = tandem(OLE)
    await ole.say("I want to cancel my subscription")
    await ole.say("hm, pause it instead")
    assert ole.titles()[:3] == ["One month", "Two months", "Three months"]
    await ole.press("Cancel instead")
    assert "Continue cancelling" in ole.titles()


async def test_what_was_promised_is_done_on_its_date(tandem: Start) -> None:
    ole = tandem(OLE)
    await leave(ole)
    (cancellation,) = ole.rows(t.Cancellation, subscription_id="SUB-ole")
    for moment, status in (
        (cancellation.effective_at - timedelta(seconds=1), "not_renewing"),
        (cancellation.effective_at, "ended"),
    ):
        lifecycle.tick(ole.app.store, now=moment, packs=ole.app.packs)
        assert ole.rows(t.Subscription, id="SUB-ole")[0].status == status


async def test_undoing_it_before_the_notice_is_over(tandem: Start, clock: FakeClock) -> None:
    ole = tandem(OLE)
    await leave(ole)
    clock.advance(minutes=5)
    await ole.say("I changed my mind, I want to keep it")
    if "Yes" in " ".join(ole.titles()):
        await ole.press("Yes")
    assert ole.rows(t.Subscription, id="SUB-ole")[0].status == "active"


async def test_within_fourteen_days_all_of_it_comes_back_once(tandem: Start) -> None:
    mia = tandem(MIA)
    for _ in range(2):
        await mia.say("I want my money back")
        if "I changed my mind" in mia.titles():
            await mia.press("I changed my mind")
    (refund,) = mia.rows(t.Refund)
    assert (refund.amount_minor, refund.currency, refund.charge_id) == (900, "EUR", "CHG-mia")
    assert mia.decided()[0] == "T-R2:refund"
    assert len(mia.mails(MIA)) == 1


async def test_after_that_a_month_is_not_paid_back(tandem: Start) -> None:
    ole = tandem(OLE)
    await ole.say("I want my money back")
    told = await ole.press("I changed my mind")
    assert "not paid back" in told
    assert (ole.decided(), ole.rows(t.Refund)) == (["T-R9:refuse"], [])


async def test_the_unused_part_of_a_year_comes_back_as_credit(tandem: Start) -> None:
    """265 of 365 days of EUR 120.00, rounded down."""
    yan = tandem(YAN)
    await yan.say("I want my money back")
    told = await yan.press("I changed my mind")
    (credit,) = yan.rows(t.Credit, charge_id="CHG-yan")
    assert (credit.amount_minor, credit.currency) == (8712, "EUR")
    assert "EUR 87.12" in told
    assert yan.decided() == ["T-R3:credit"]


async def test_a_withdrawal_is_stated_and_confirmed_and_goes_to_a_person_with_a_receipt(tandem: Start) -> None:
    """Two steps; nothing is on record before the second."""
    deb = tandem(DEB)
    await deb.say("I want my money back")
    asked = await deb.press("I changed my mind")
    statement = "I withdraw from my contract with Tandem Lines. It is about my plan Line, monthly."
    assert statement in asked
    assert deb.titles() == ["Confirm withdrawal", "Not now"]
    assert (deb.decided(), deb.rows(t.Receipt)) == ([], [])
    told = await deb.press("Confirm withdrawal")
    (ticket,) = deb.rows(t.Ticket, brand="tandem")
    (receipt,) = deb.rows(t.Receipt)
    assert ticket.reference in told
    assert (ticket.kind, ticket.priority, receipt.kind) == ("statement", "high", "statement")
    assert "Directive (EU) 2023/2673" in ticket.summary
    assert statement in receipt.plain
    assert "6 July 2026" in receipt.plain
    assert "Directive (EU) 2023/2673" in receipt.plain
    assert deb.attachments() == [f"Receipt {receipt.reference}.html"]
    assert len(deb.mails(DEB)) == 1
    assert deb.decided() == ["T-R2-withdrawal:handoff"]
    assert deb.rows(t.Refund) == []


@pytest.mark.parametrize("answer", ["[Not now]", "no"])
async def test_a_withdrawal_that_is_not_confirmed_leaves_nothing(tandem: Start, answer: str) -> None:
    deb = tandem(DEB)
    await deb.say("I want my money back")
    await deb.press("I changed my mind")
    await (deb.press(answer.strip("[]")) if answer.startswith("[") else deb.say(answer))
    assert (deb.decided(), deb.rows(t.Receipt), deb.rows(t.Ticket, brand="tandem")) == ([], [], [])


async def test_its_questions_are_answered_from_its_own_articles(tandem: Start) -> None:
    anyone = tandem()
    told = await anyone.say("how do I cancel?")
    assert "The notice is 30 days" in told
    assert "/help/tandem/leaving#how-to-cancel" in told


async def test_the_other_brands_are_served_as_before(chat: Start) -> None:
    assert "auto-renew" in await chat(brand="joltsms").say("how do I cancel my number?")
