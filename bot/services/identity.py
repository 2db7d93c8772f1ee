"""Who is speaking: a token of the host site, a code sent to the account's e-mail, or a linked channel user.

Everything about identity is here and nowhere else. A conversation is bound to the first customer who proves that it is
theirs and never to another; it knows when the last proof was, and cancelling or asking for money needs a fresh one.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import jwt
from sqlalchemy import bindparam, delete, select

from bot.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, ProofTooOld, UnknownBrand, UnknownCustomer
from bot.ids import new_id
from bot.policy.pack import Brand
from bot.services import audit
from bot.services.limits import spend
from bot.services.mail import enqueue_mail
from bot.services.ports import RandomCodes
from bot.store.erased import find, is_address_of, is_digest
from bot.store.prepared import Prepared
from bot.store.tables import Conversation, Customer, Identity, OneTimeCode
from bot.store.unit_of_work import UnitOfWork

CODE_LIFETIME = timedelta(minutes=10)
CODE_TRIES = 5
CODES_PER_ADDRESS = 5
CODES_PER_CONVERSATION = 5
CODES_WINDOW = timedelta(hours=1)
FRESH = timedelta(minutes=30)
LINK_LIFETIME = timedelta(days=30)
TOKEN_LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=30)
_conversations: Any = Conversation.__table__  # type: ignore[attr-defined]
_customers: Any = Customer.__table__  # type: ignore[attr-defined]
_SPEAKER = Prepared(
    select(
        _conversations.c.proof_at,
        _conversations.c.proof_method,
        _customers.c.id,
        _customers.c.brand,
        _customers.c.email,
        _customers.c.name,
    )
    .select_from(_conversations.outerjoin(_customers, _customers.c.id == _conversations.c.customer_id))
    .where(_conversations.c.id == bindparam("conversation"))
)
_SHORTEST_SECRET = 32  # bytes: as long as the hash, RFC 7518 section 3.2
_LONGEST_TOKEN = 4096
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")  # RFC 5321's lengths; the rest is the mail server's to judge


class ProofMethod(str, Enum):
    """How somebody proved who they are."""

    TOKEN = "token"  # noqa: S105 - a name, not a secret
    CODE = "code"
    LINK = "link"


class CodeProblem(str, Enum):
    """Why a code was not accepted."""

    WRONG = "wrong"
    EXPIRED = "expired"
    TOO_MANY = "too_many"
    NONE = "none"


@dataclass(frozen=True)
class VerifiedCustomer:
    """A customer who proved it; `name` and `email` are empty for one whose data was erased."""

    customer_id: str
    brand: str
    email: str
    name: str
    method: ProofMethod
    proof_at: datetime


def is_fresh(proof_at: datetime, now: datetime) -> bool:
    """Whether a proof of that moment still allows cancelling or asking for money: 30 minutes."""
    return now <= proof_at + FRESH


class IdentityService:
    """Checks proofs and binds conversations to customers. Takes part in the caller's unit of work; never commits."""

    def __init__(
        self,
        *,
        brands: Mapping[str, Brand],
        token_secrets: Mapping[str, str],
        code_secret: str,
        codes: RandomCodes,
    ) -> None:
        """`token_secrets` are by brand, shared with its host site; `code_secret` is the server's own.

        Raises InvalidInput for a secret shorter than 32 bytes. A brand without a secret accepts no tokens.
        """
        for name, secret in (*token_secrets.items(), ("codes", code_secret)):
            if len(secret.encode()) < _SHORTEST_SECRET:
                raise InvalidInput(f"The secret for {name} is too short: it needs at least {_SHORTEST_SECRET} bytes.")
        self._brands = dict(brands)
        self._token_secrets = dict(token_secrets)
        self._code_secret = code_secret.encode()
        self._codes = codes

    # --- a token of the host site ----------------------------------------------------------------------------------

    def verify_token(self, uow: UnitOfWork, brand: str, token: str, *, now: datetime) -> VerifiedCustomer:
        """The customer that a JWT of the brand's host site names (HS256; `sub`, `email`, `exp` at most an hour ahead).

        The proof is as old as the token's `iat`; without one it dates from now. Raises NotAuthenticated with what is
        wrong, UnknownCustomer when the brand has nobody with that address, UnknownBrand.
        """
        claims = self._claims(brand, token)
        moment = now.timestamp()
        leeway = LEEWAY.total_seconds()
        expires = _seconds(claims, "exp")
        issued = _seconds(claims, "iat") if "iat" in claims else moment
        if expires <= moment - leeway:
            raise NotAuthenticated("The sign-in token has expired. Please sign in again.")
        if issued > moment + leeway or ("nbf" in claims and _seconds(claims, "nbf") > moment + leeway):
            raise NotAuthenticated("The sign-in token is from the future. Check the clock of the site that made it.")
        lifetime = TOKEN_LIFETIME.total_seconds()
        if expires - min(issued, moment) > lifetime + leeway:
            raise NotAuthenticated("The sign-in token is valid for too long: `exp` may be at most one hour ahead.")
        email = claims["email"]
        if not isinstance(email, str) or not claims["sub"]:
            raise NotAuthenticated("The sign-in token must name somebody in `sub` and an e-mail address in `email`.")
        customer = find(uow, brand, _normal(email))
        if customer is None:
            raise UnknownCustomer("You are signed in, but there is no account with that e-mail address here.")
        proof_at = datetime.fromtimestamp(min(issued, moment), timezone.utc)
        return _verified(customer, ProofMethod.TOKEN, proof_at)

    def issue_demo_token(self, brand: str, email: str, *, now: datetime) -> str:
        """The token that a host site would make; for the demo help centers. Raises UnknownBrand, NotAuthenticated."""
        seconds = int(now.timestamp())
        claims = {
            "sub": email,
            "email": email,
            "iat": seconds,
            "exp": seconds + int(TOKEN_LIFETIME.total_seconds()),
        }
        return jwt.encode(claims, self._token_secret(brand), algorithm="HS256")

    def _claims(self, brand: str, token: str) -> Mapping[str, Any]:
        secret = self._token_secret(brand)
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise NotAuthenticated("The sign-in token is not a valid JWT.")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                options={
                    "require": ["sub", "email", "exp"],
                    "verify_aud": False,
                    # Times are checked against the moment that was passed in, not against the library's clock.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise NotAuthenticated(f"The sign-in token has no `{error.claim}`.") from error
        except jwt.InvalidAlgorithmError as error:
            raise NotAuthenticated("The sign-in token must be signed with HS256.") from error
        except jwt.InvalidSignatureError as error:
            raise NotAuthenticated("The sign-in token's signature is not this brand's.") from error
        except jwt.InvalidTokenError as error:
            raise NotAuthenticated("The sign-in token is not a valid JWT.") from error
        return claims

    def _token_secret(self, brand: str) -> str:
        self._brand(brand)
        try:
            return self._token_secrets[brand]
        except KeyError:
            raise NotAuthenticated("This help center does not accept sign-in tokens.") from None

    # --- a code by e-mail ------------------------------------------------------------------------------------------

    def request_code(
        self, uow: UnitOfWork, *, brand: str, email: str, conversation_id: str, idempotency_key: str, now: datetime
    ) -> None:
        """Send a six-digit code to the account's address; the newest code of a conversation is the one that counts.

        Does the same whether or not the account exists, but queues no mail if not. The same key again does nothing.
        Raises InvalidInput for what is no address, TooMany, Conflict if the conversation is another customer's.
        """
        shop = self._brand(brand)
        address = _normal(email)
        if not _EMAIL.fullmatch(address) or not address.isprintable():
            raise InvalidInput("That does not look like an e-mail address. It should be like name@example.com.")
        known = select(OneTimeCode.id).where(OneTimeCode.idempotency_key == idempotency_key)
        if uow.session.execute(known).first() is not None:
            return
        conversation = _conversation(uow, conversation_id)
        if conversation.brand != brand:
            raise Conflict("This conversation belongs to another help center.")
        _refuse_somebody_else(uow, conversation, address)
        self._spend(uow, f"code-conversation:{conversation_id}", CODES_PER_CONVERSATION, now)
        self._spend(uow, f"code-address:{self._hash(brand, address)}", CODES_PER_ADDRESS, now)
        customer = find(uow, brand, address)
        code = self._codes.six_digits()
        row = OneTimeCode(
            id=new_id("otc"),
            brand=brand,
            email=address,
            conversation_id=conversation_id,
            customer_id=customer.id if customer else None,
            created_at=now,
            expires_at=now + CODE_LIFETIME,
            idempotency_key=idempotency_key,
        )
        row.code_hash = self._hash(row.id, code)
        uow.add(row)
        if customer is not None:
            enqueue_mail(
                uow,
                brand=shop,
                to=address,
                subject=f"Your {shop.name} code",
                plain=_code_mail(shop, code),
                idempotency_key=f"code:{row.id}",
                now=now,
            )

    def check_code(
        self, uow: UnitOfWork, *, conversation_id: str, code: str, idempotency_key: str, now: datetime
    ) -> VerifiedCustomer | CodeProblem:
        """Check what was typed against the conversation's newest code; if right, bind the conversation.

        On a channel with users of its own, the user is linked to the customer, too. A code works once, for ten minutes
        and five tries. The same key again repeats the answer and counts no try.
        Raises Conflict if the conversation is another customer's. The caller commits in every case: tries must count.
        """
        conversation = _conversation(uow, conversation_id, lock=True)
        row = uow.session.execute(
            select(OneTimeCode)
            .where(OneTimeCode.conversation_id == conversation_id)
            .order_by(OneTimeCode.created_at.desc(), OneTimeCode.id.desc())
            .limit(1)
            .with_for_update()
        ).scalar()
        if row is None:
            return CodeProblem.NONE
        # Before comparing: nobody may learn here whether a guess at somebody else's code was right.
        _refuse_somebody_else(uow, conversation, row.email)
        if row.last_try_key == idempotency_key:
            return self._last_answer(uow, row)
        if row.used_at is not None:
            return CodeProblem.NONE
        if now >= row.expires_at:
            return CodeProblem.EXPIRED
        if row.tries >= CODE_TRIES:
            return CodeProblem.TOO_MANY
        row.tries += 1
        row.last_try_key = idempotency_key
        typed = re.sub(r"[\s-]", "", code)
        right = hmac.compare_digest(self._hash(row.id, typed), row.code_hash)
        if right and row.customer_id is not None:
            row.used_at = now
        uow.session.flush()
        answer = self._last_answer(uow, row)
        if isinstance(answer, VerifiedCustomer):
            self.bind(uow, conversation_id, answer, now=now)
            if conversation.channel_user is not None:
                user = conversation.channel_user
                self.link(uow, channel=conversation.channel, channel_user=user, customer=answer, now=now)
        return answer

    def _last_answer(self, uow: UnitOfWork, row: OneTimeCode) -> VerifiedCustomer | CodeProblem:
        if row.used_at is not None:
            return _verified(uow.get(Customer, row.customer_id), ProofMethod.CODE, row.used_at)
        return CodeProblem.TOO_MANY if row.tries >= CODE_TRIES else CodeProblem.WRONG

    def _hash(self, *parts: str) -> str:
        return hmac.new(self._code_secret, "\0".join(parts).encode(errors="replace"), hashlib.sha256).hexdigest()

    @staticmethod
    def _spend(uow: UnitOfWork, key: str, limit: int, now: datetime) -> None:
        sentence = "That is many codes in a short time. Please use the last one, or try again in an hour."
        spend(uow, key, limit=limit, per=CODES_WINDOW, now=now, sentence=sentence)

    # --- whose conversation it is ----------------------------------------------------------------------------------

    def bind(self, uow: UnitOfWork, conversation_id: str, customer: VerifiedCustomer, *, now: datetime) -> None:
        """Make the conversation this customer's, or renew the proof. Raises Conflict if it is somebody else's."""
        conversation = _conversation(uow, conversation_id, lock=True)
        if conversation.brand != customer.brand or conversation.customer_id not in (None, customer.customer_id):
            raise Conflict("This conversation belongs to another account. Please start a new one.")
        if conversation.proof_at is None or customer.proof_at >= conversation.proof_at:
            conversation.proof_at = customer.proof_at
            conversation.proof_method = customer.method.value
        if conversation.customer_id is None:
            conversation.customer_id = customer.customer_id
            audit.record(
                uow,
                actor=customer.customer_id,
                action="conversation.bound",
                subject=conversation_id,
                data={"method": customer.method.value},
                now=now,
            )
        uow.session.flush()

    def speaker(self, uow: UnitOfWork, conversation_id: str, *, now: datetime) -> VerifiedCustomer | None:
        """Whose conversation this is; None if nobody has proved it, or not within the last 30 days."""
        uow.session.flush()
        found = _SPEAKER.first(uow, conversation=conversation_id)
        if found is None:
            raise NotFound("There is no such conversation.")
        if found.id is None or found.proof_at is None or now >= found.proof_at + LINK_LIFETIME:
            return None
        return _verified(found, ProofMethod(found.proof_method), found.proof_at)

    def require_fresh(self, uow: UnitOfWork, conversation_id: str, *, now: datetime) -> VerifiedCustomer:
        """The customer, if the proof is at most 30 minutes old. Raises NotAuthenticated or ProofTooOld."""
        customer = self.speaker(uow, conversation_id, now=now)
        if customer is None:
            raise NotAuthenticated("Please confirm who you are first.")
        if not is_fresh(customer.proof_at, now):
            raise ProofTooOld("It has been a while. Please confirm once more that it is you.")
        return customer

    # --- users of other channels -----------------------------------------------------------------------------------

    def link(
        self, uow: UnitOfWork, *, channel: str, channel_user: str, customer: VerifiedCustomer, now: datetime
    ) -> datetime:
        """Remember for 30 days that this channel user is this customer; returns until when. Replaces an older link."""
        self._forget_link(uow, customer.brand, channel, channel_user)
        expires = now + LINK_LIFETIME
        uow.add(
            Identity(
                id=new_id("idn"),
                brand=customer.brand,
                channel=channel,
                channel_user=channel_user,
                customer_id=customer.customer_id,
                linked_at=now,
                expires_at=expires,
            )
        )
        return expires

    def linked(
        self, uow: UnitOfWork, *, brand: str, channel: str, channel_user: str, now: datetime
    ) -> VerifiedCustomer | None:
        """The customer whom this channel user is linked to, as of a proof made when it was linked; None otherwise."""
        found = uow.session.execute(
            select(Identity, Customer)
            .join(Customer, Customer.id == Identity.customer_id)
            .where(*_user(brand, channel, channel_user), Identity.expires_at > now)
        ).first()
        return None if found is None else _verified(found[1], ProofMethod.LINK, found[0].linked_at)

    def unlink(self, uow: UnitOfWork, *, brand: str, channel: str, channel_user: str) -> bool:
        """Forget a link, and the proofs of the user's conversations on the channel; whether there was one.

        The user's next message starts a new conversation, which may become somebody else's, unless a person is just
        helping in the old one.
        """
        if not self._forget_link(uow, brand, channel, channel_user):
            return False
        theirs = uow.session.execute(
            select(Conversation).where(
                Conversation.brand == brand, Conversation.channel == channel, Conversation.channel_user == channel_user
            )
        ).scalars()
        for conversation in theirs:
            conversation.proof_at = conversation.proof_method = None
            if conversation.customer_id is not None and conversation.owner in ("bot", "closed"):
                conversation.external_id = f"left:{conversation.id}"
        uow.session.flush()
        return True

    @staticmethod
    def _forget_link(uow: UnitOfWork, brand: str, channel: str, channel_user: str) -> bool:
        gone = uow.session.execute(delete(Identity).where(*_user(brand, channel, channel_user)))
        return bool(gone.rowcount)

    # --- looking things up -----------------------------------------------------------------------------------------

    def _brand(self, brand: str) -> Brand:
        try:
            return self._brands[brand]
        except KeyError:
            raise UnknownBrand(f"There is no brand called {brand}.") from None


def _normal(email: str) -> str:
    return email.strip().lower()


def _user(brand: str, channel: str, channel_user: str) -> tuple[Any, ...]:
    return Identity.brand == brand, Identity.channel == channel, Identity.channel_user == channel_user


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise NotAuthenticated(f"The sign-in token's `{name}` must be a number of seconds since 1970.")
    return float(value)


def _conversation(uow: UnitOfWork, conversation_id: str, *, lock: bool = False) -> Conversation:
    row: Conversation | None = uow.session.get(Conversation, conversation_id, with_for_update=lock or None)
    if row is None:
        raise NotFound("There is no such conversation.")
    return row


def _refuse_somebody_else(uow: UnitOfWork, conversation: Conversation, email: str) -> None:
    if conversation.customer_id is None:
        return
    if not is_address_of(uow, uow.get(Customer, conversation.customer_id), email):
        raise Conflict("This conversation belongs to another account. Please start a new one.")


def _verified(customer: Any, method: ProofMethod, proof_at: datetime) -> VerifiedCustomer:
    email = "" if is_digest(customer.email) else customer.email
    return VerifiedCustomer(customer.id, customer.brand, email, customer.name, method, proof_at)


def _code_mail(brand: Brand, code: str) -> str:
    minutes = int(CODE_LIFETIME.total_seconds() // 60)
    return (
        f"Your {brand.name} code is {code}.\n\n"
        f"Type it into the chat within {minutes} minutes. It works once.\n\n"
        "If you did not ask for a code, you can ignore this mail; nothing has changed in your account.\n\n"
        f"{brand.name} support\n{brand.contacts.help_center}\n"
    )
