"""One turn of one flow: what it may know, what it says, what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, kept
from bot.policy.dates import format_date
from bot.policy.facts import Facts
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.policy.wording import render
from bot.services.help_center import HelpCenter
from bot.services.identity import FRESH, IdentityService, VerifiedCustomer
from bot.services.views import CustomerRef
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Said:
    """Something to tell the customer: a response of the domain with its values, or words from the pack or the store."""

    response: str | None = None
    text: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    buttons: tuple[Mapping[str, Any], ...] = ()  # {title, payload}
    attachments: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**vars(self), "values": dict(self.values), "buttons": list(self.buttons)} | {
            "attachments": list(self.attachments)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Said:
        """Read back what `to_json` made."""
        return cls(**{**values, "buttons": tuple(values["buttons"]), "attachments": tuple(values["attachments"])})


@dataclass(frozen=True)
class Wish:
    """What the customer wants, the words they said it in and what those name."""

    intent: str
    words: str = ""
    entities: tuple[Mapping[str, Any], ...] = ()

    def entity(self, name: str) -> str | None:
        """The first entity of that name."""
        return next((str(e["value"]) for e in self.entities if e.get("entity") == name), None)

    def money(self) -> Money | None:
        """The first amount it names."""
        named = next((e for e in self.entities if e.get("entity") == "money"), None)
        return Money(int(named["value"]), str(named["currency"])) if named else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for the dialogue's snapshot."""
        return {"intent": self.intent, "words": self.words, "entities": [dict(entity) for entity in self.entities]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Wish:
        """Read back what `to_json` made."""
        return cls(values["intent"], values["words"], tuple(values["entities"]))


@dataclass(frozen=True)
class Done:
    """What a flow did that the customer may want undone, and to which subscriptions."""

    flow: str
    targets: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for the dialogue's snapshot."""
        return {"flow": self.flow, "targets": list(self.targets)}


@dataclass(frozen=True)
class Services:
    """What flows need beyond the unit of work."""

    identity: IdentityService
    help_center: HelpCenter
    help_link: Callable[[str, str, str], str]  # brand, article, section -> an address that works from any channel


class Turn:
    """What a flow may know and do while it handles one message. Everything done is keyed by that message."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        services: Services,
        pack: Pack,
        conversation_id: str,
        message_id: str,
        now: datetime,
        proof: VerifiedCustomer | None,
        text: str,
        intent: str,
        entities: Sequence[Mapping[str, Any]],
        answer: Answer | None,
        attachment_ids: Sequence[str],
        understood: Mapping[str, Any],
    ) -> None:
        self.uow = uow
        self.services = services
        self.pack = pack
        self.conversation_id = conversation_id
        self.message_id = message_id
        self.now = now
        self.customer: CustomerRef | None = None
        self.fresh = False
        self.text = text
        self.intent = intent
        self.entities = entities
        self.answer = answer
        self.attachment_ids = tuple(attachment_ids)
        self.understood = understood
        self.said: list[Said] = []
        self.acted = False
        self.missed = 0  # messages before this one, in a row, that were not understood
        self.handed_over = False  # people have the conversation from here: nothing more is asked
        self.wish = Wish(intent, kept(text), tuple(entities))  # the message's own, or one that waited
        self.passed_on: list[tuple[str, Wish]] = []  # flows that go on where the one in front ended
        self.done: Done | None = None
        self.settled: set[str] = set()  # flows that have nothing left to do once the one in front is over
        if proof is not None:
            self.recognise(proof)

    # --- what it may know ----------------------------------------------------------------------------------------

    def known(self) -> CustomerRef:
        """The customer, where the flow has made sure that there is one."""
        if self.customer is None:
            raise RuntimeError("a flow acted on account data before the customer proved who they are")
        return self.customer

    def recognise(self, proof: VerifiedCustomer) -> None:
        """Go on as this customer."""
        self.customer = CustomerRef(
            customer_id=proof.customer_id, brand=proof.brand, email=proof.email, name=proof.name
        )
        self.fresh = self.now <= proof.proof_at + FRESH

    def pass_on(self, flow: str, wish: Wish) -> None:
        """Hand over to another flow, which serves that wish, once this one is over."""
        self.passed_on.append((flow, wish))

    def text_of(self, name: str) -> tuple[str, ...]:
        """A named text of the pack with the brand's values filled in; empty if the pack has none."""
        return render(self.pack.texts.get(name, ()), self.pack.brand, Facts({}))

    def key(self, purpose: str) -> str:
        """The idempotency key of something done because of this message; whoever asks for one is about to act."""
        self.acted = True
        return f"{self.message_id}:{purpose}"

    def day(self, moment: datetime) -> str:
        """A date as this brand's customers read it."""
        return format_date(moment, self.pack.brand.zone)

    # --- what it says --------------------------------------------------------------------------------------------

    def say(
        self,
        response: str,
        *,
        buttons: Iterable[Mapping[str, Any]] = (),
        attachments: Iterable[Mapping[str, Any]] = (),
        **values: Any,
    ) -> None:
        """Say a response of the domain, in one message with its buttons and attachments."""
        self.said.append(Said(response=response, values=values, buttons=tuple(buttons), attachments=tuple(attachments)))

    def tell(self, *paragraphs: str, buttons: Iterable[Mapping[str, Any]] = ()) -> None:
        """Say words that come from the pack, an article or the store, in one message."""
        if text := "\n\n".join(filter(None, paragraphs)):
            self.said.append(Said(text=text, buttons=tuple(buttons)))

    def ask(
        self,
        flow: FlowState,
        step: str,
        expects: Iterable[Expect],
        response: str,
        *,
        choices: Sequence[Choice] = (),
        many: bool = False,
        beside: Iterable[Mapping[str, Any]] = (),
        **values: Any,
    ) -> Asking:
        """Ask the flow's next question. Each choice becomes a button; `beside` are further buttons of other wishes."""
        asking = Asking(step=step, expects=tuple(expects), choices=tuple(choices), many=many)
        buttons = [
            {"title": choice.title, "payload": {"flow": flow.id, "step": step, "values": list(choice.values)}}
            for choice in choices
        ]
        self.say(response, buttons=[*buttons, *beside], **values)
        return asking


def wish(intent: str, title: str, **entities: str) -> dict[str, Any]:
    """A button that says a wish of its own."""
    payload: dict[str, Any] = {"intent": intent}
    if entities:
        payload["entities"] = entities
    return {"title": title, "payload": payload}
