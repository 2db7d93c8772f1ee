"""Agents of the desk: adding them, signing in and out, and how guessing is slowed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotAuthenticated, TooMany
from bot.services import agents
from bot.services.agents import AgentView, Role
from bot.store.tables import Agent, AgentSession, AuditLog
from bot.store.unit_of_work import Store
from tests.fakes.clock import START

BRANDS = ("joltsms", "smrtphone")
PASSWORD = "correct horse battery"
SOON = START + timedelta(minutes=1)


def add(store: Store, **changed: object) -> AgentView:
    values = {
        "email": "Rae@Desk.Example ",
        "name": "Rae Kim",
        "password": PASSWORD,
        "role": Role.AGENT,
        "brands": ["joltsms"],
        "known_brands": BRANDS,
        "now": START,
    } | changed
    with store.write() as uow:
        agent = agents.add_agent(uow, **values)  # type: ignore[arg-type]
        uow.commit()
    return agent


def sign_in(store: Store, *, email: str = "rae@desk.example", password: str = PASSWORD, **more: object) -> str:
    values = {"address": "192.0.2.1", "now": START} | more
    return agents.sign_in(store, email=email, password=password, **values)  # type: ignore[arg-type]


def test_an_agent_is_added_with_a_hashed_password(store: Store) -> None:
    agent = add(store)
    assert (agent.email, agent.name, agent.role, agent.brands) == (
        "rae@desk.example",
        "Rae Kim",
        Role.AGENT,
        ("joltsms",),
    )
    with store.read() as uow:
        row = uow.get(Agent, agent.id)
        assert row.password_hash.startswith("$argon2id$")
        assert PASSWORD not in row.password_hash
        assert uow.session.execute(select(AuditLog.action)).scalars().all() == ["agent.added"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"email": "rae"}, "not an e-mail address"),
        ({"email": "rae@de\x00sk.example"}, "not an e-mail address"),
        ({"email": "Rae <rae@desk.example>"}, "not an e-mail address"),
        ({"name": "  "}, "needs a name"),
        ({"name": "Rae\x07"}, "needs a name"),
        ({"name": "R" * 81}, "needs a name"),
        ({"password": "elevenchars"}, "12 to 200"),
        ({"password": "x" * 201}, "12 to 200"),
        ({"brands": ["acme"]}, "no brand 'acme'"),
    ],
)
def test_an_agent_that_cannot_be_is_refused_with_the_reason(
    sqlite_store: Store, changed: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        add(sqlite_store, **changed)


def test_an_address_is_one_agents_only(store: Store) -> None:
    add(store)
    with pytest.raises(Conflict, match=r"rae@desk\.example"):
        add(store, email="RAE@desk.example", name="Another")


def test_a_session_lasts_twelve_hours_and_its_token_is_not_kept(store: Store) -> None:
    agent = add(store)
    token = sign_in(store, email=" RAE@desk.example")
    with store.read() as uow:
        assert uow.session.execute(select(AgentSession.token_hash)).scalar() != token
        signed_in = agents.agent_of(uow, token, now=START + timedelta(hours=11, minutes=59))
        assert signed_in is not None
        assert signed_in.agent == agent
        assert len(signed_in.csrf) >= 32
        assert agents.agent_of(uow, token, now=START + timedelta(hours=12)) is None
        assert agents.agent_of(uow, "another", now=SOON) is None


def test_signing_out_ends_that_session_only(store: Store) -> None:
    add(store)
    token, other = sign_in(store), sign_in(store)
    for _ in range(2):
        with store.write() as uow:
            agents.sign_out(uow, token, now=SOON)
            uow.commit()
    with store.read() as uow:
        assert agents.agent_of(uow, token, now=SOON) is None
        assert agents.agent_of(uow, other, now=SOON) is not None


def test_a_deactivated_agent_loses_access_at_once_and_cannot_come_back(store: Store) -> None:
    agent = add(store)
    token = sign_in(store)
    with store.write() as uow:
        uow.get(Agent, agent.id).active = False
        uow.commit()
    with store.read() as uow:
        assert agents.agent_of(uow, token, now=SOON) is None
    with pytest.raises(NotAuthenticated):
        sign_in(store)


@pytest.mark.parametrize("email", ["rae@desk.example", "nobody@desk.example", "no address", "x\x00@desk.example", ""])
def test_every_failure_sounds_and_works_the_same(store: Store, monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    """One password hash is checked whether or not there is such an agent."""
    add(store)
    checked = []

    def check(password_hash: str, password: str) -> bool:
        checked.append(password_hash)
        return False

    monkeypatch.setattr(agents, "_fits", check)
    with pytest.raises(NotAuthenticated, match=r"^That e-mail address and password do not match\. Please try again\.$"):
        sign_in(store, email=email, password="wrong")
    assert [each.split("$")[1:4] for each in checked] == [["argon2id", "v=19", "m=19456,t=2,p=1"]]


def test_guessing_one_agents_password_is_slowed_wherever_it_comes_from(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(sqlite_store)
    with monkeypatch.context() as quick:
        quick.setattr(agents, "_fits", lambda *_: False)
        for n in range(agents.TRIES_PER_EMAIL):
            with pytest.raises(NotAuthenticated):
                sign_in(sqlite_store, password="wrong", address=f"192.0.2.{n}")
    with pytest.raises(TooMany, match="quarter of an hour"):
        sign_in(sqlite_store, address="198.51.100.7")
    assert sign_in(sqlite_store, now=START + agents.TRIES_WINDOW)


def test_guessing_from_one_address_is_slowed_whoever_it_is_for(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(sqlite_store)
    with monkeypatch.context() as quick:
        quick.setattr(agents, "_fits", lambda *_: False)
        for n in range(agents.TRIES_PER_ADDRESS):
            with pytest.raises(NotAuthenticated):
                sign_in(sqlite_store, email=f"agent{n}@desk.example")
    with pytest.raises(TooMany):
        sign_in(sqlite_store)
    assert sign_in(sqlite_store, address="198.51.100.7")


def test_signing_in_and_failing_to_are_on_record_without_the_address(store: Store) -> None:
    agent = add(store)
    with pytest.raises(NotAuthenticated):
        sign_in(store, password="wrong")
    sign_in(store)
    with store.read() as uow:
        lines = uow.session.execute(select(AuditLog).order_by(AuditLog.id)).scalars().all()
    assert [(line.actor, line.action) for line in lines[1:]] == [
        ("system", "agent.refused"),
        (agent.id, "agent.signed-in"),
    ]
    assert all(line.subject == agent.id for line in lines)


def test_the_demo_agent_is_made_once_and_takes_the_password_that_is_shown(store: Store) -> None:
    ids = set()
    for password, brands in (("first-password", ("joltsms",)), ("other-password", BRANDS)):
        with store.write() as uow:
            ids.add(agents.ensure_demo_agent(uow, password=password, brands=brands, now=START).id)
            uow.commit()
        token = sign_in(store, email=agents.DEMO_EMAIL, password=password)
        with store.read() as uow:
            signed_in = agents.agent_of(uow, token, now=SOON)
        assert signed_in is not None
        assert signed_in.agent.brands == tuple(sorted(brands))
    assert len(ids) == 1
