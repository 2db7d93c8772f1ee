"""The people who work at the desk: who they are, and the sessions of their browsers."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select

from bot.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from bot.ids import new_id
from bot.services import audit, handoff, presence
from bot.services.limits import spend
from bot.services.rows import row, rows
from bot.store.tables import Agent, AgentLink, AgentSession
from bot.store.unit_of_work import Store, UnitOfWork

LEAST_PASSWORD = 12  # characters
SESSION_LIFETIME = timedelta(hours=12)
TRIES_WINDOW = timedelta(minutes=15)
TRIES_PER_EMAIL = 10
TRIES_PER_ADDRESS = 30
DEMO_EMAIL = "agent@desk.example"
_MOST_PASSWORD = 200
_EMAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,255}")


class Role(str, Enum):
    """What somebody may do at the desk."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


@dataclass(frozen=True)
class AgentView:
    """Somebody at the desk, and the brands they work for."""

    id: str
    email: str
    name: str
    role: Role
    brands: tuple[str, ...]
    active: bool = True


@dataclass(frozen=True)
class SignedIn:
    """An agent's session; `csrf` must come back with every form of it."""

    agent: AgentView
    csrf: str
    expires_at: datetime


def add_agent(
    uow: UnitOfWork,
    *,
    email: str,
    name: str,
    password: str,
    role: Role,
    brands: Sequence[str],
    known_brands: Collection[str],
    now: datetime,
) -> AgentView:
    """Add somebody; the password is kept as an Argon2 hash. Raises InvalidInput, or Conflict for a known address."""
    address = _normal(email)
    if not _is_email(address):
        raise InvalidInput(f"{email!r} is not an e-mail address. It should be like name@example.com.")
    if not 0 < len(name.strip()) <= 80 or not name.isprintable():
        raise InvalidInput("An agent needs a name that customers will see, of at most 80 characters.")
    if not LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
        raise InvalidInput(f"The password must have {LEAST_PASSWORD} to {_MOST_PASSWORD} characters.")
    if unknown := sorted(set(brands) - set(known_brands)):
        raise InvalidInput(f"There is no brand {unknown[0]!r}. Known: {', '.join(sorted(known_brands))}.")
    if is_known(uow, address):
        raise Conflict(f"There is an agent with the e-mail address {address} already.")
    agent = Agent(
        id=new_id("agt"),
        email=address,
        name=name.strip(),
        password_hash=_hasher().hash(password),
        role=role.value,
        brands=sorted(set(brands)),
        active=True,
        created_at=now,
    )
    uow.add(agent)
    audit.record(uow, actor="system", action="agent.added", subject=agent.id, data={"role": role.value}, now=now)
    return _view(agent)


def everybody(uow: UnitOfWork) -> list[AgentView]:
    """Everybody who works or worked at the desk, by name."""
    return [_view(agent) for agent in rows(uow, select(Agent).order_by(Agent.name, Agent.id))]


def is_known(uow: UnitOfWork, email: str) -> bool:
    """Whether there is an agent of that address."""
    return row(uow, select(Agent.id).where(Agent.email == _normal(email))) is not None


def agent_with_email(uow: UnitOfWork, email: str) -> AgentView:
    """The agent of that address. Raises NotFound."""
    agent = row(uow, select(Agent).where(Agent.email == _normal(email)))
    if agent is None:
        raise NotFound(f"There is no agent with the e-mail address {_normal(email)}.")
    return _view(agent)


def deactivate(uow: UnitOfWork, *, agent_id: str, actor: str, now: datetime) -> list[str]:
    """Let somebody work here no more: signed out everywhere at once, what they had goes back to the queue.

    Returns the conversations that wait again. Raises NotFound.
    """
    agent = _held(uow, agent_id)
    if not agent.active:
        return []
    agent.active = False
    _sign_out_everywhere(uow, agent_id)
    audit.record(uow, actor=actor, action="agent.deactivated", subject=agent_id, now=now)
    return handoff.let_go(uow, agent_id=agent_id, now=now)


def activate(uow: UnitOfWork, *, agent_id: str, actor: str, now: datetime) -> AgentView:
    """Let somebody work here again. Raises NotFound."""
    agent = _held(uow, agent_id)
    if not agent.active:
        agent.active = True
        audit.record(uow, actor=actor, action="agent.activated", subject=agent_id, now=now)
    uow.session.flush()
    return _view(agent)


def link_user(uow: UnitOfWork, *, agent_id: str, channel: str, channel_user: str, actor: str, now: datetime) -> None:
    """Say which user of a channel an agent is, in place of whoever that user was before. Raises NotFound."""
    _held(uow, agent_id)
    same = AgentLink.channel == channel, AgentLink.channel_user == channel_user
    uow.session.execute(delete(AgentLink).where(*same))
    uow.add(AgentLink(id=new_id("agl"), agent_id=agent_id, channel=channel, channel_user=channel_user, created_at=now))
    audit.record(uow, actor=actor, action="agent.linked", subject=agent_id, data={"channel": channel}, now=now)


def change_agent(
    uow: UnitOfWork,
    *,
    agent_id: str,
    actor: str,
    known_brands: Collection[str],
    now: datetime,
    role: Role | None = None,
    brands: Sequence[str] | None = None,
) -> list[str]:
    """Change what somebody may do or for whom they work: signed out everywhere at once, with what changed.

    Conversations of brands no longer theirs go back to the queue; returns those. Raises NotFound, InvalidInput.
    """
    agent = _held(uow, agent_id)
    if unknown := sorted(set(brands or ()) - set(known_brands)):
        raise InvalidInput(f"There is no brand {unknown[0]!r}. Known: {', '.join(sorted(known_brands))}.")
    new_role = role.value if role else agent.role
    new_brands = sorted(set(brands)) if brands is not None else list(agent.brands)
    if (new_role, new_brands) == (agent.role, sorted(agent.brands)):
        return []
    lost = sorted(set(agent.brands) - set(new_brands))
    data = {"role": new_role, "brands": new_brands}
    agent.role, agent.brands = new_role, new_brands
    _sign_out_everywhere(uow, agent_id)
    audit.record(uow, actor=actor, action="agent.changed", subject=agent_id, data=data, now=now)
    return handoff.let_go(uow, agent_id=agent_id, now=now, brands=lost) if lost else []


def ensure_demo_agent(uow: UnitOfWork, *, password: str, brands: Sequence[str], now: datetime) -> AgentView:
    """The agent of demo mode, who works for all `brands` and signs in with this password; safe to repeat."""
    agent = row(uow, select(Agent).where(Agent.email == DEMO_EMAIL))
    if agent is None:
        return add_agent(
            uow,
            email=DEMO_EMAIL,
            name="Robin Demo",
            password=password,
            role=Role.SUPERVISOR,
            brands=brands,
            known_brands=brands,
            now=now,
        )
    if not _fits(agent.password_hash, password):
        agent.password_hash = _hasher().hash(password)
    agent.brands, agent.role = sorted(set(brands)), Role.SUPERVISOR.value
    uow.session.flush()
    return _view(agent)


def sign_in(store: Store, *, email: str, password: str, address: str, now: datetime) -> str:
    """Open a session and return its token, which cannot be read again; `address` is the network address.

    Takes the store: a try counts though it fails, and hashing holds no transaction. Raises NotAuthenticated, the same
    and after the same work whether the e-mail is unknown, the password wrong or the agent deactivated; TooMany.
    """
    normal = _normal(email)
    with store.write() as uow:
        for key, limit in (("address", TRIES_PER_ADDRESS), ("email", TRIES_PER_EMAIL)):
            tried = _hash(address if key == "address" else normal)
            sentence = "Too many tries to sign in. Please wait a quarter of an hour, then try again."
            spend(uow, f"desk-{key}:{tried}", limit=limit, per=TRIES_WINDOW, now=now, sentence=sentence)
        agent = row(uow, select(Agent).where(Agent.email == normal)) if _is_email(normal) else None
        uow.commit()
    right = _fits(agent.password_hash if agent else _nobodys_hash(), password)
    with store.write() as uow:
        if agent is None or not right or not agent.active:
            audit.record(uow, actor="system", action="agent.refused", subject=agent.id if agent else "desk", now=now)
            uow.commit()
            raise NotAuthenticated("That e-mail address and password do not match. Please try again.")
        token = secrets.token_urlsafe(32)
        uow.session.execute(delete(AgentSession).where(AgentSession.expires_at <= now))
        uow.add(
            AgentSession(
                token_hash=_hash(token),
                agent_id=agent.id,
                csrf=secrets.token_urlsafe(32),
                created_at=now,
                expires_at=now + SESSION_LIFETIME,
            )
        )
        audit.record(uow, actor=agent.id, action="agent.signed-in", subject=agent.id, now=now)
        uow.commit()
    return token


def agent_of(uow: UnitOfWork, token: str, *, now: datetime) -> SignedIn | None:
    """Whose session a token is, for 12 hours; None as soon as it ended or the agent was deactivated."""
    session = uow.get(AgentSession, _hash(token))
    if session is None or now >= session.expires_at:
        return None
    agent = uow.get(Agent, session.agent_id)
    return SignedIn(_view(agent), session.csrf, session.expires_at) if agent.active else None


def sign_out(uow: UnitOfWork, token: str, *, now: datetime) -> None:
    """End a session at once; one that has ended already changes nothing."""
    session = uow.get(AgentSession, _hash(token))
    if session is not None:
        audit.record(uow, actor=session.agent_id, action="agent.signed-out", subject=session.agent_id, now=now)
        uow.session.delete(session)
        uow.session.flush()
        others = select(AgentSession.agent_id).where(AgentSession.agent_id == session.agent_id)
        if row(uow, others.where(AgentSession.expires_at > now)) is None:
            presence.gone(uow, agent_id=session.agent_id)


def _view(agent: Agent) -> AgentView:
    return AgentView(agent.id, agent.email, agent.name, Role(agent.role), tuple(agent.brands), bool(agent.active))


def _held(uow: UnitOfWork, agent_id: str) -> Any:
    agent = row(uow, select(Agent).where(Agent.id == agent_id).with_for_update())
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent


def _sign_out_everywhere(uow: UnitOfWork, agent_id: str) -> None:
    uow.session.execute(delete(AgentSession).where(AgentSession.agent_id == agent_id))
    presence.gone(uow, agent_id=agent_id)
    uow.session.flush()


def _normal(email: str) -> str:
    return email.strip().lower()


def _is_email(address: str) -> bool:
    return bool(_EMAIL.fullmatch(address)) and address.isprintable()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    # OWASP's parameters for Argon2id: 19 MiB and two passes, so that several at once fit a small machine.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
