"""Cards: a handed-over conversation, or an approval: who, why, what was decided, what is due, what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from bot.channels.slack.formatting import note, rich_text, shortened
from bot.policy.logic import known_facts
from bot.policy.pack import Pack
from bot.services import approvals, desk_words, waiting
from bot.services.approvals import ApprovalView
from bot.services.handoff import LONGEST_NOTE
from bot.services.summaries import summary
from bot.services.waiting import Sla, Waiting
from bot.store.tables import Agent, Conversation, Customer, Decision, Handoff
from bot.store.unit_of_work import UnitOfWork

CLAIM, RESOLVE, HAND_BACK, REFUND, CREDIT, DENY = "claim", "resolve", "handback", "refund", "credit", "deny"
DESK = "desk"
NOTE = "note"
_MOST_FACTS = 20
_FORMS = {
    # title, label, button, whether it must be filled in, characters
    RESOLVE: ("Resolve", "What was done, for colleagues", "Resolve", False, LONGEST_NOTE),
    HAND_BACK: ("Hand back to the bot", "What should the bot do?", "Hand back", False, LONGEST_NOTE),
    DENY: ("Deny", "Why? The customer does not see it.", "Deny", True, 3000),
}
_DUE = {"first_reply": "First reply", "next_reply": "Next reply", "resolve": "Resolution"}
_REASONS = {
    "asked": "asked for a person",
    "misses": "was not understood",
    "anger": "is angry",
    "loop": "went in circles",
    "limit": "over a limit of the policy",
    "law": "the law may require more",
    "released": "put back by a colleague",
    "agent_left": "a colleague left",
}
_ENDS = {"resolved": "Resolved", "handed_back": "Handed back to the bot", "customer_returned": "With the bot again"}
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class ConversationCard:
    """What the card of a conversation shows; `owner` is queued, human, or whatever it became."""

    conversation_id: str
    owner: str
    title: str
    summary: str
    status: str
    clock: str
    approvals: tuple[ApprovalView, ...]

    @property
    def is_open(self) -> bool:
        """Whether people have the conversation."""
        return self.owner in ("queued", "human")

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do about it."""
        return not self.is_open and not self.approvals

    def blocks(self, desk_url: str) -> list[dict[str, Any]]:
        """The card as Block Kit; whatever a customer wrote is in rich text, where every character is itself."""
        shown = [
            {"type": "header", "text": {"type": "plain_text", "text": self.title}},
            *rich_text(self.summary),
            note(" · ".join(filter(None, (self.status, self.clock)))),
        ]
        if self.is_open:
            actions = [(CLAIM, "Claim", "primary")] if self.owner == "queued" else []
            if self.owner == "human":
                actions = [(RESOLVE, "Resolve", "primary"), (HAND_BACK, "Hand back", None)]
            shown.append(
                {"type": "actions", "elements": [_button(n, t, self.conversation_id, s) for n, t, s in actions]}
            )
        for approval in self.approvals[:5]:
            what = f"{approval.ticket_reference}: {approval.amount.format()} wait for a decision, by rule "
            what += f"{approval.rule_id} of policy {approval.policy_version}"
            shown += [*rich_text(f"{what}{_agreed(approval)}."), _decision(approval)]
        if self.is_open:
            where = f"{desk_url}/desk/conversations/{self.conversation_id}"
            shown.append(note(f"Answer in the thread; lines that begin with // are for colleagues only. {where}"))
        return shown


@dataclass(frozen=True)
class ApprovalCard:
    """What the card of an approval shows; `status` says how it stands, by whom."""

    approval: ApprovalView
    title: str
    rule: str
    reasons: str
    facts: tuple[str, ...]
    status: str

    @property
    def is_over(self) -> bool:
        """Whether it is decided."""
        return self.approval.status != "pending"

    def blocks(self, desk_url: str) -> list[dict[str, Any]]:
        """The card as Block Kit."""
        shown = [
            {"type": "header", "text": {"type": "plain_text", "text": self.title}},
            *rich_text(f"{self.rule}\nThe customer was told: {self.reasons}"),
        ]
        if self.is_over:
            return [*shown, note(self.status)]
        shown += rich_text("Decided from\n" + "\n".join(self.facts)) if self.facts else []
        return [
            *shown,
            note(self.status),
            _decision(self.approval),
            note(f"{desk_url}/desk/approvals/{self.approval.id}"),
        ]


Card = ConversationCard | ApprovalCard


def card_of(uow: UnitOfWork, conversation_id: str, pack: Pack, *, now: datetime) -> ConversationCard:
    """The card of a conversation as it stands."""
    conversation = uow.get(Conversation, conversation_id)
    brands, packs = {conversation.brand}, {pack.brand.id: pack}
    lines = [
        *waiting.queue(uow, brands=brands, packs=packs, now=now),
        *waiting.taken(uow, brands=brands, packs=packs, now=now),
    ]
    line = next((each for each in lines if each.conversation_id == conversation_id), None)
    customer = uow.get(Customer, conversation.customer_id) if conversation.customer_id else None
    name = (customer.name if customer else "") or "A visitor"
    open_now = conversation.owner in ("queued", "human")
    return ConversationCard(
        conversation_id=conversation_id,
        owner=conversation.owner,
        title=shortened(f"{name}, {pack.brand.name}, on {conversation.channel}", 150),
        summary=line.summary if line and line.summary else summary(uow, conversation_id),
        status=_status(uow, conversation, line),
        clock=_clock(line.sla, now) if line and open_now else "",
        approvals=tuple(
            each for each in approvals.pending(uow, brand=conversation.brand) if each.conversation_id == conversation_id
        ),
    )


def approval_card_of(uow: UnitOfWork, approval_id: str, pack: Pack) -> ApprovalCard:
    """The card of an approval as it stands, with the facts that its rule asks about where we still have that rule."""
    approval = approvals.approval_view(uow, approval_id)
    decision = uow.get(Decision, approval.decision_id)
    customer = uow.get(Customer, approval.customer_id)
    rule = pack.rule(approval.rule_id) if pack.version == approval.policy_version else None
    asked = known_facts(rule.when) if rule else frozenset()
    values = {name: value for name, value in decision.facts.items() if not asked or name in asked}
    people = [uow.get(Agent, each).name for each in approval.approvers]
    if approval.status == "pending":
        status = f"{approval.ticket_reference}, asked {desk_words.moment(approval.created_at)}{_agreed(approval)}"
    else:
        how = "Denied" if approval.status == "denied" else f"Approved as {approval.choice}"
        status = f"{how} by {' and '.join(people)}. {approval.ticket_reference}"
    named = f"Rule {approval.rule_id}" + (f", {rule.title}" if rule else "")
    return ApprovalCard(
        approval=approval,
        title=shortened(f"{approval.amount.format()} for {customer.name or 'a customer'}, {pack.brand.name}", 150),
        rule=f"{named}. Policy {approval.policy_version}.",
        reasons=" ".join(decision.decision.get("reasons", ())),
        facts=tuple(
            f"{name}: {value}" for name, value, _ in desk_words.facts(values, approval.amount.currency)[:_MOST_FACTS]
        ),
        status=status,
    )


def form(action: str, value: str, *, room: str, ts: str) -> dict[str, Any] | None:
    """The form that a button of a card opens; None for a button that acts at once."""
    name = action.split(":")[1]
    if name not in _FORMS:
        return None
    title, label, button, required, most = _FORMS[name]
    return {
        "type": "modal",
        "callback_id": action,
        "private_metadata": "|".join((room, ts, value)),
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": button},
        "close": {"type": "plain_text", "text": "Not now"},
        "blocks": [
            {
                "type": "input",
                "block_id": NOTE,
                "optional": not required,
                "label": {"type": "plain_text", "text": label},
                "element": {"type": "plain_text_input", "action_id": NOTE, "multiline": True, "max_length": most},
            }
        ],
    }


def opens_form(action: str) -> bool:
    """Whether a button of a card opens a form."""
    return action.split(":")[1] in _FORMS


def _agreed(approval: ApprovalView) -> str:
    if not approval.approvers:
        return ""
    return f"; agreed so far: {len(approval.approvers)} of {approval.approvers_needed}, on a {approval.choice}"


def _decision(approval: ApprovalView) -> dict[str, Any]:
    choices = [(CREDIT, "Approve as credit", None), (DENY, "Deny", "danger")]
    if approval.charge_id is not None:
        choices.insert(0, (REFUND, "Approve as refund", None))
    value = f"{approval.conversation_id or ''}|{approval.id}"
    return {
        "type": "actions",
        "elements": [_button(f"{name}:{approval.id}", title, value, style) for name, title, style in choices],
    }


def _button(name: str, title: str, value: str, style: str | None) -> dict[str, Any]:
    button = {
        "type": "button",
        "action_id": f"{DESK}:{name}",
        "text": {"type": "plain_text", "text": title},
        "value": value,
    }
    return {**button, "style": style} if style else button


def _status(uow: UnitOfWork, conversation: Any, line: Waiting | None) -> str:
    if conversation.owner == "human" and line is not None:
        return f"{line.agent_name} has it"
    if conversation.owner == "queued" and line is not None:
        place = f", number {line.position} in the queue" if line.position else ""
        return f"Waiting: {_REASONS.get(line.reason, line.reason)}{place}"
    changes = select(Handoff).where(Handoff.conversation_id == conversation.id)
    last = uow.session.execute(changes.order_by(Handoff.at.desc(), Handoff.id.desc())).scalars().first()
    if last is None:
        return ""
    agent = uow.get(Agent, last.actor)
    return _ENDS.get(last.reason, "With the bot again") + (f" by {agent.name}" if agent else "")


def _clock(sla: Sla, now: datetime) -> str:
    due = sla.next
    if due is None:
        return ""
    seconds = int((due.due - now).total_seconds())
    words = _span(abs(seconds))
    return f"{_DUE.get(due.what, due.what)} " + (f"due in {words}" if seconds >= 0 else f"late by {words}")


def _span(seconds: int) -> str:
    """Coarse on purpose: a card is not updated for every minute of a day."""
    if seconds < _MINUTE:
        return "a minute"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h"


def thread_message(author: str, text: str, notes: Sequence[str]) -> list[dict[str, Any]]:
    """One message of the conversation in its thread, with what is to be said of it."""
    return [note(author), *rich_text(text), *map(note, notes)]
