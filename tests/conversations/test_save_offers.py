"""Where something is offered instead of cancelling, cancelling is one click beside it: every brand, both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.policy.loader import load_packs
from bot.settings import PROJECT, Settings
from bot.store import tables as t
from bot.store.demo import demo_customers
from bot.store.unit_of_work import Store
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
WHO = {"joltsms": "ava", "smartercontact": "hal", "smrtphone": "kim"}
BEFORE = ("All of them", "None, keep them")  # what is asked before: which, and whether numbers go first


@pytest.fixture
def settings(demo_store: Store, tmp_path: Path, _read_once: None, cheap_passwords: None) -> Settings:
    """Demo mode on SQLite and on PostgreSQL, with everybody in California."""
    with demo_store.write() as uow:
        uow.session.execute(update(t.Account).values(country="US", state="CA"))
        uow.commit()
    url = demo_store.engine.url.render_as_string(hide_password=False)
    return Settings.from_env({"SUPPORTBOT_DEMO": "1", "SUPPORTBOT_VAR": str(tmp_path), "DATABASE_URL": url})


@pytest.mark.parametrize("brand", sorted(load_packs(PROJECT / "data" / "policies")))
async def test_going_on_is_one_click_beside_every_offer(chat: Callable[..., Chat], brand: str) -> None:
    """It is the first button, and pressing it shows no offer again; what was offered is on record."""
    email = next(one.email for one in demo_customers(brand) if one.email.startswith(WHO[brand]))
    customer = chat(email, brand=brand)
    pack = customer.app.packs[brand]
    offers = {alternative.title for alternative in pack.cancel.alternatives}
    await customer.say("I want to cancel everything")
    while not offers & set(customer.titles()):
        await customer.press(next(title for title in BEFORE if title in customer.titles()))
    assert customer.titles()[0] == "Continue cancelling"
    shown = [alternative.id for alternative in pack.cancel.alternatives if alternative.title in customer.titles()]
    await customer.press("Continue cancelling")
    assert not offers & set(customer.titles())
    for title in ("Skip", "I agree", "I agree", "Yes, cancel"):
        if title in customer.titles():
            await customer.press(title)
    made = customer.rows(t.Cancellation, customer_id=customer.rows(t.Customer, email=email)[0].id)
    kept = [cancellation for cancellation in made if cancellation.requested_at == customer.app.clock.now()]
    assert kept
    assert all(cancellation.offers == shown for cancellation in kept)
