"""Nobody is somebody without proof, and no proof opens more than it should."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, ProofTooOld, TooMany, UnknownBrand
from bot.services.identity import (
    CODE_TRIES,
    CODES_PER_ADDRESS,
    CodeProblem,
    IdentityService,
    ProofMethod,
    VerifiedCustomer,
)
from bot.store.tables import AuditLog, Conversation, Customer, OneTimeCode, Outbox, RateLimit
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.brands import JOLT, a_conversation, customer_id_of
from tests.fakes.clock import START, FakeClock
from tests.fakes.codes import FixedCodes

SECRET = "the host site's secret, 32 bytes or more"
NOW = START.timestamp()


def make_identity(*codes: str) -> IdentityService:
    """A service for one brand that gives out known codes."""
    return IdentityService(
        brands={"joltsms": JOLT, "smrtphone": JOLT},
        token_secrets={"joltsms": SECRET},
        code_secret="a secret of the server's own, 32 bytes",
        codes=FixedCodes(*codes),
    )


@pytest.fixture
def uow(demo_store: Store) -> Iterator[UnitOfWork]:
    """One unit of work on the demo data."""
    with demo_store.write() as unit:
        yield unit


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token for Ava with some claims changed; None leaves one out."""
    values = {"sub": "user-1", "email": "ava@jolt.example", "exp": NOW + 600, **claims}
    return jwt.encode({k: v for k, v in values.items() if v is not None}, secret, algorithm=algorithm)


# --- tokens of the host site


@pytest.mark.parametrize(
    ("claims", "proof_age"),
    [
        ({}, 0),
        ({"email": " Ava@JOLT.example "}, 0),
        ({"iat": NOW - 1200}, 1200),
        ({"iat": NOW - 1200, "exp": NOW + 2400}, 1200),
        ({"exp": NOW + 3600}, 0),
        ({"exp": NOW - 29}, 0),
        ({"iat": NOW + 29}, 0),
        ({"aud": "somebody", "iss": "jolt"}, 0),
    ],
)
def test_a_good_token_names_its_customer(uow: UnitOfWork, claims: dict[str, Any], proof_age: int) -> None:
    """The proof is as old as the token; half a minute of wrong clocks is forgiven."""
    ava = make_identity().verify_token(uow, "joltsms", token(**claims), now=START)
    assert ava == VerifiedCustomer(
        customer_id_of(uow, "ava@jolt.example"),
        "joltsms",
        "ava@jolt.example",
        "Ava Moreno",
        ProofMethod.TOKEN,
        START - timedelta(seconds=proof_age),
    )
    assert ava.proof_at.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (token(exp=NOW - 31), "has expired"),
        (token(exp=NOW + 3631), "valid for too long"),
        (token(exp=NOW + 3000, iat=NOW - 700), "valid for too long"),
        (token(iat=NOW + 31), "from the future"),
        (token(nbf=NOW + 31), "from the future"),
        (token(exp=None), "no `exp`"),
        (token(sub=None), "no `sub`"),
        (token(email=None), "no `email`"),
        (token(exp="soon"), "`exp` must be a number"),
        (token(exp=True), "`exp` must be a number"),
        (token(exp=1e400), "`exp` must be a number"),
        (token(exp=1e300), "valid for too long"),
        (token(email=["ava@jolt.example"]), "`email`"),
        (token(sub=""), "`sub`"),
        (token(sub=5), "not a valid JWT"),
        (token(secret="another secret of 32 bytes, or even more"), "signature"),
        (token(secret=SECRET * 2, algorithm="HS512"), "HS256"),
        (jwt.encode({"sub": "1", "email": "ava@jolt.example", "exp": NOW + 60}, None, algorithm="none"), "HS256"),
        ("", "not a valid JWT"),
        ("a.b.c", "not a valid JWT"),
        ("ä.ö.ü", "not a valid JWT"),
        (token(filler="x" * 5000), "not a valid JWT"),
    ],
)
def test_a_bad_token_is_refused_with_what_is_wrong(sqlite_store: Store, bad: str, sentence: str) -> None:
    with sqlite_store.read() as uow, pytest.raises(NotAuthenticated, match=sentence):
        make_identity().verify_token(uow, "joltsms", bad, now=START)


def test_a_token_for_nobody_we_know_is_not_found(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        make_identity().verify_token(uow, "joltsms", token(email="zoe@jolt.example"), now=START)


def test_a_customer_of_another_brand_is_not_found(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        make_identity().verify_token(uow, "joltsms", token(email="kim@smrt.example"), now=START)


def test_a_brand_without_a_secret_takes_no_tokens(uow: UnitOfWork) -> None:
    with pytest.raises(NotAuthenticated, match="does not accept"):
        make_identity().verify_token(uow, "smrtphone", token(), now=START)


def test_an_unknown_brand_is_named(uow: UnitOfWork) -> None:
    with pytest.raises(UnknownBrand, match="acme"):
        make_identity().verify_token(uow, "acme", token(), now=START)


def test_a_demo_token_is_a_good_token(uow: UnitOfWork) -> None:
    identity = make_identity()
    made = identity.issue_demo_token("joltsms", "ben@jolt.example", now=START)
    assert identity.verify_token(uow, "joltsms", made, now=START).email == "ben@jolt.example"
    with pytest.raises(NotAuthenticated, match="expired"):
        identity.verify_token(uow, "joltsms", made, now=START + timedelta(minutes=61))


def test_a_short_secret_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        IdentityService(brands={}, token_secrets={}, code_secret="short", codes=FixedCodes())


# --- codes by e-mail


class Codes:
    """Asks for codes and types them, each time with a key of its own."""

    def __init__(self, uow: UnitOfWork, *codes: str) -> None:
        self.uow = uow
        self.identity = make_identity(*codes)
        self.clock = FakeClock()
        self.conversation = a_conversation(uow)
        self._count = 0

    def ask(self, email: str = "ava@jolt.example", *, key: str | None = None, conversation: str | None = None) -> None:
        self.identity.request_code(
            self.uow,
            brand="joltsms",
            email=email,
            conversation_id=conversation or self.conversation,
            idempotency_key=key or self._key(),
            now=self.clock.now(),
        )

    def type(self, code: str, *, key: str | None = None, conversation: str | None = None) -> Any:
        return self.identity.check_code(
            self.uow,
            conversation_id=conversation or self.conversation,
            code=code,
            idempotency_key=key or self._key(),
            now=self.clock.now(),
        )

    def mails(self) -> list[Outbox]:
        return list(self.uow.session.execute(select(Outbox)).scalars())

    def _key(self) -> str:
        self._count += 1
        return f"key-{self._count}"


@pytest.fixture
def codes(uow: UnitOfWork) -> Codes:
    """A conversation in which the code is 123456."""
    return Codes(uow)


@pytest.mark.parametrize("typed", ["123456", " 123 456 ", "123-456"])
def test_the_right_code_proves_who_is_speaking(codes: Codes, typed: str) -> None:
    codes.ask(" AVA@jolt.example")
    codes.clock.advance(minutes=9)
    ava = codes.type(typed)
    assert (ava.email, ava.method, ava.proof_at) == ("ava@jolt.example", ProofMethod.CODE, codes.clock.now())
    assert codes.identity.require_fresh(codes.uow, codes.conversation, now=codes.clock.now()) == ava


def test_the_mail_carries_the_code_and_the_store_only_its_hash(codes: Codes) -> None:
    codes.ask()
    (mail,) = codes.mails()
    assert mail.recipient == "ava@jolt.example"
    assert "123456" in mail.payload["plain"]
    row = codes.uow.session.execute(select(OneTimeCode)).scalar_one()
    assert "123456" not in str([getattr(row, column.name) for column in OneTimeCode.__table__.columns])


def test_an_unknown_address_is_answered_alike_but_gets_no_mail(codes: Codes) -> None:
    """The same rows, the same answers, and no code opens it."""
    codes.ask("zoe@jolt.example")
    assert codes.mails() == []
    assert [codes.type("123456") for _ in range(CODE_TRIES)] == [CodeProblem.WRONG] * 4 + [CodeProblem.TOO_MANY]


def test_an_address_of_another_brand_is_unknown(codes: Codes) -> None:
    codes.ask("kim@smrt.example")
    assert codes.mails() == []
    assert codes.type("123456") is CodeProblem.WRONG


@pytest.mark.parametrize(
    "address", ["", "ava", "ava@", "@jolt.example", "a b@c.example", "ava@x\ud800", "x" * 65 + "@a.b"]
)
def test_what_is_no_address_is_refused(codes: Codes, address: str) -> None:
    with pytest.raises(InvalidInput, match=r"name@example\.com"):
        codes.ask(address)


def test_five_wrong_tries_and_the_right_code_is_too_late(codes: Codes) -> None:
    codes.ask()
    assert [codes.type("000000") for _ in range(CODE_TRIES)] == [CodeProblem.WRONG] * 4 + [CodeProblem.TOO_MANY]
    assert codes.type("123456") is CodeProblem.TOO_MANY


def test_the_fifth_try_may_be_the_right_one(codes: Codes) -> None:
    codes.ask()
    for _ in range(CODE_TRIES - 1):
        codes.type("000000")
    assert isinstance(codes.type("123456"), VerifiedCustomer)


def test_tries_made_at_the_same_moment_all_count(demo_store: Store) -> None:
    """Ten at once are five tries, not ten."""
    with demo_store.write() as uow:
        codes = Codes(uow)
        codes.ask()
        uow.commit()

    def guess(number: int) -> Any:
        with demo_store.write() as uow:
            answer = codes.identity.check_code(
                uow, conversation_id=codes.conversation, code="000000", idempotency_key=f"g{number}", now=START
            )
            uow.commit()
            return answer

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(guess, range(10)))
    assert answers.count(CodeProblem.WRONG) == CODE_TRIES - 1
    with demo_store.read() as uow:
        assert uow.session.execute(select(OneTimeCode.tries)).scalar_one() == CODE_TRIES


def test_requests_made_at_the_same_moment_are_limited_alike(demo_store: Store) -> None:
    with demo_store.write() as uow:
        codes = Codes(uow)
        conversations = [a_conversation(uow) for _ in range(10)]
        uow.commit()

    def ask(conversation: str) -> bool:
        with demo_store.write() as uow:
            try:
                codes.identity.request_code(
                    uow,
                    brand="joltsms",
                    email="ava@jolt.example",
                    conversation_id=conversation,
                    idempotency_key=conversation,
                    now=START,
                )
            except TooMany:
                return False
            uow.commit()
            return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(ask, conversations)) == CODES_PER_ADDRESS


@pytest.mark.parametrize("typed", ["", "hello", "1234567", "\ud800"])
def test_anything_else_is_just_wrong(codes: Codes, typed: str) -> None:
    codes.ask()
    assert codes.type(typed) is CodeProblem.WRONG


def test_a_code_expires_after_ten_minutes(codes: Codes) -> None:
    codes.ask()
    codes.clock.advance(minutes=10)
    assert codes.type("123456") is CodeProblem.EXPIRED


def test_a_code_works_once(codes: Codes) -> None:
    codes.ask()
    codes.type("123456")
    assert codes.type("123456") is CodeProblem.NONE


def test_without_a_request_there_is_no_code(codes: Codes) -> None:
    assert codes.type("123456") is CodeProblem.NONE


def test_a_code_works_in_its_own_conversation_only(codes: Codes) -> None:
    codes.ask()
    assert codes.type("123456", conversation=a_conversation(codes.uow)) is CodeProblem.NONE


def test_only_the_newest_code_counts(uow: UnitOfWork) -> None:
    codes = Codes(uow, "111111", "222222")
    codes.ask()
    codes.clock.advance(seconds=30)
    codes.ask()
    assert codes.type("111111") is CodeProblem.WRONG
    assert isinstance(codes.type("222222"), VerifiedCustomer)


def test_a_request_replayed_sends_one_mail(codes: Codes) -> None:
    for _ in range(3):
        codes.ask(key="message-1:send-code")
    assert len(codes.mails()) == 1


def test_a_try_replayed_counts_once_and_answers_alike(codes: Codes) -> None:
    codes.ask()
    assert [codes.type("000000", key="m1") for _ in range(9)] == [CodeProblem.WRONG] * 9
    first = codes.type("123456", key="m2")
    codes.clock.advance(minutes=20)
    assert codes.type("123456", key="m2") == first
    assert isinstance(first, VerifiedCustomer)


def test_codes_are_limited_for_a_conversation(codes: Codes) -> None:
    for number in range(5):
        codes.ask(f"zoe{number}@jolt.example")
    with pytest.raises(TooMany) as refused:
        codes.ask("ava@jolt.example")
    assert refused.value.data["retry_after"] == 3600
    codes.clock.advance(hours=1)
    codes.ask("ava@jolt.example")


@pytest.mark.parametrize("email", ["ava@jolt.example", "zoe@jolt.example"])
def test_codes_are_limited_for_an_address_known_or_not(codes: Codes, email: str) -> None:
    for _ in range(5):
        codes.ask(email, conversation=a_conversation(codes.uow))
    with pytest.raises(TooMany):
        codes.ask(email, conversation=a_conversation(codes.uow))
    codes.ask("ben@jolt.example", conversation=a_conversation(codes.uow))


def test_limits_hold_no_addresses(codes: Codes) -> None:
    codes.ask()
    keys = codes.uow.session.execute(select(RateLimit.key)).scalars().all()
    assert keys
    assert not any("@" in key for key in keys)


# --- whose conversation it is


def test_a_conversation_never_changes_its_customer(codes: Codes) -> None:
    codes.ask("ava@jolt.example")
    codes.type("123456")
    with pytest.raises(Conflict, match="another account"):
        codes.ask("ben@jolt.example")
    with pytest.raises(Conflict, match="another account"):
        codes.ask("nobody@jolt.example")
    ben = codes.identity.verify_token(codes.uow, "joltsms", token(email="ben@jolt.example"), now=START)
    with pytest.raises(Conflict):
        codes.identity.bind(codes.uow, codes.conversation, ben, now=START)


@pytest.mark.parametrize("typed", ["123456", "000000"])
def test_a_code_for_somebody_else_tells_nothing_once_the_conversation_is_taken(codes: Codes, typed: str) -> None:
    """Right or wrong, the answer is the same, and no try is possible."""
    codes.ask("ben@jolt.example")
    ava = codes.identity.verify_token(codes.uow, "joltsms", token(), now=START)
    codes.identity.bind(codes.uow, codes.conversation, ava, now=START)
    with pytest.raises(Conflict):
        codes.type(typed)


def test_a_conversation_of_another_brand_cannot_be_bound(codes: Codes, uow: UnitOfWork) -> None:
    kim = VerifiedCustomer(
        customer_id_of(uow, "kim@smrt.example"), "smrtphone", "kim@smrt.example", "Kim", ProofMethod.TOKEN, START
    )
    with pytest.raises(Conflict):
        codes.identity.bind(uow, codes.conversation, kim, now=START)


def test_a_code_is_asked_for_in_a_conversation_of_the_same_brand(codes: Codes) -> None:
    with pytest.raises(Conflict, match="another help center"):
        codes.identity.request_code(
            codes.uow,
            brand="smrtphone",
            email="kim@smrt.example",
            conversation_id=codes.conversation,
            idempotency_key="k",
            now=START,
        )


def test_a_proof_is_fresh_for_thirty_minutes_and_known_for_thirty_days(codes: Codes) -> None:
    codes.ask()
    ava = codes.type("123456")

    def at(**later: float) -> Any:
        return codes.identity.require_fresh(codes.uow, codes.conversation, now=START + timedelta(**later))

    assert at(minutes=30) == ava
    with pytest.raises(ProofTooOld):
        at(minutes=30, seconds=1)
    assert codes.identity.speaker(codes.uow, codes.conversation, now=START + timedelta(days=29)) == ava
    with pytest.raises(NotAuthenticated):
        at(days=30)


def test_a_second_proof_renews_the_first_and_an_older_one_does_not(codes: Codes) -> None:
    codes.ask()
    codes.type("123456")
    codes.clock.advance(hours=2)
    codes.ask()
    again = codes.type("123456")
    old = codes.identity.verify_token(codes.uow, "joltsms", token(), now=START)
    codes.identity.bind(codes.uow, codes.conversation, old, now=codes.clock.now())
    assert codes.identity.require_fresh(codes.uow, codes.conversation, now=codes.clock.now()) == again


def test_nobody_is_known_before_a_proof(codes: Codes) -> None:
    assert codes.identity.speaker(codes.uow, codes.conversation, now=START) is None
    with pytest.raises(NotAuthenticated):
        codes.identity.require_fresh(codes.uow, codes.conversation, now=START)


def test_an_unknown_conversation_is_not_found(codes: Codes) -> None:
    with pytest.raises(NotFound):
        codes.identity.speaker(codes.uow, "cnv_nobody", now=START)


def test_binding_is_on_record_once_without_personal_data(codes: Codes) -> None:
    codes.ask()
    codes.type("123456")
    codes.ask()
    codes.type("123456")
    (line,) = codes.uow.session.execute(select(AuditLog)).scalars()
    assert (line.action, line.subject, line.data) == ("conversation.bound", codes.conversation, {"method": "code"})


# --- users of other channels


def _linked(codes: Codes, **later: float) -> VerifiedCustomer | None:
    return codes.identity.linked(
        codes.uow, brand="joltsms", channel="slack", channel_user="U1", now=START + timedelta(**later)
    )


def test_a_linked_user_stays_linked_for_thirty_days(codes: Codes) -> None:
    codes.ask()
    ava = codes.type("123456")
    until = codes.identity.link(codes.uow, channel="slack", channel_user="U1", customer=ava, now=START)
    assert until == START + timedelta(days=30)
    known = _linked(codes, days=29)
    assert known is not None
    assert (known.customer_id, known.method, known.proof_at) == (ava.customer_id, ProofMethod.LINK, START)
    assert _linked(codes, days=30) is None


def test_a_link_is_replaced_by_a_newer_one(codes: Codes) -> None:
    for email in ("ava@jolt.example", "ben@jolt.example"):
        who = codes.identity.verify_token(codes.uow, "joltsms", token(email=email), now=START)
        codes.identity.link(codes.uow, channel="slack", channel_user="U1", customer=who, now=START)
    known = _linked(codes)
    assert known is not None
    assert known.email == "ben@jolt.example"


def test_unlinking_forgets_the_link_and_the_proofs_on_that_channel(codes: Codes) -> None:
    ava = codes.identity.verify_token(codes.uow, "joltsms", token(), now=START)
    slack, widget = a_conversation(codes.uow, channel="slack", channel_user="U1"), codes.conversation
    for conversation in (slack, widget):
        codes.identity.bind(codes.uow, conversation, ava, now=START)
    codes.identity.link(codes.uow, channel="slack", channel_user="U1", customer=ava, now=START)
    codes.identity.bind(codes.uow, slack, ava, now=START)

    assert codes.identity.unlink(codes.uow, brand="joltsms", channel="slack", channel_user="U1")
    assert not codes.identity.unlink(codes.uow, brand="joltsms", channel="slack", channel_user="U1")
    assert _linked(codes) is None
    assert codes.identity.speaker(codes.uow, slack, now=START) is None
    assert codes.identity.speaker(codes.uow, widget, now=START) is not None
    left = codes.uow.get(Conversation, slack)
    assert (left.customer_id, left.external_id) == (ava.customer_id, f"left:{slack}")


def test_unlinking_leaves_a_conversation_with_a_person_where_it_is(codes: Codes) -> None:
    ava = codes.identity.verify_token(codes.uow, "joltsms", token(), now=START)
    slack = a_conversation(codes.uow, channel="slack", channel_user="U1")
    codes.identity.bind(codes.uow, slack, ava, now=START)
    codes.identity.link(codes.uow, channel="slack", channel_user="U1", customer=ava, now=START)
    waiting = codes.uow.get(Conversation, slack)
    waiting.owner, waiting.handed_over_at = "queued", START
    assert codes.identity.unlink(codes.uow, brand="joltsms", channel="slack", channel_user="U1")
    assert codes.uow.get(Conversation, slack).external_id == slack
    assert codes.identity.speaker(codes.uow, slack, now=START) is None


def test_a_code_proved_on_a_channel_with_users_links_the_user(codes: Codes) -> None:
    codes.conversation = a_conversation(codes.uow, channel="slack", channel_user="U1")
    codes.ask()
    assert isinstance(codes.type("654321"), CodeProblem)
    assert _linked(codes) is None
    ava = codes.type("123456")
    linked = _linked(codes, days=29)
    assert linked is not None
    assert linked.customer_id == ava.customer_id
    assert _linked(codes, days=30) is None


def test_one_user_may_be_linked_to_a_customer_of_each_brand(codes: Codes) -> None:
    ava = codes.identity.verify_token(codes.uow, "joltsms", token(), now=START)
    kim = codes.uow.session.query(Customer).filter_by(email="kim@smrt.example").one()
    other = VerifiedCustomer(kim.id, "smrtphone", kim.email, kim.name, ProofMethod.CODE, START)
    for customer in (ava, other):
        codes.identity.link(codes.uow, channel="slack", channel_user="U1", customer=customer, now=START)
    assert _linked(codes) is not None
    at_the_other = codes.identity.linked(codes.uow, brand="smrtphone", channel="slack", channel_user="U1", now=START)
    assert at_the_other is not None
    assert at_the_other.customer_id == kim.id
