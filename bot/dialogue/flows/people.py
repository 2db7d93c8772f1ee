"""Getting a person involved: here where somebody is there, else by a ticket with an address to answer to."""

from __future__ import annotations

from bot.dialogue import waiting_room
from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via, is_email, kept
from bot.dialogue.common import more
from bot.dialogue.flow import Flow
from bot.dialogue.registry import PERSON, TICKET
from bot.dialogue.turn import Turn
from bot.services import handoff, presence, tickets, waiting
from bot.services.tickets import TicketStatus, TicketView

_SKIP = "skip"
_MISSES = 2  # after so many a person is wanted because of them
_TOO_SHORT = 25  # characters: a shorter wish does not yet say what the problem is


def is_open(ticket: TicketView) -> bool:
    """Whether somebody still works on a case."""
    return ticket.status in (TicketStatus.OPEN, TicketStatus.PENDING)


def hand_over(turn: Turn, *, reason: str, contact: str | None = None, by_email: bool = False) -> None:
    """Get a person: into the queue where somebody is there, otherwise a ticket and when they answer.

    With `by_email` a ticket at all events. A ticket that is open hears that they were asked again.
    """
    if not by_email and _can_wait(turn):
        _queue_up(turn, reason)
        return
    known = {ticket.id for ticket in _waiting(turn)}
    ticket = handoff.ask_person(
        turn.uow,
        pack=turn.pack,
        conversation_id=turn.conversation_id,
        customer=turn.customer,
        contact_email=contact,
        reason=reason,
        key=turn.key("person"),
        now=turn.now,
    )
    response, values = waiting_room.answer_by_case(
        turn.uow,
        pack=turn.pack,
        ticket=ticket,
        asked_again=ticket.id in known,
        reply_to=turn.customer.email if turn.customer else contact,
        now=turn.now,
    )
    turn.say(response, **values)


def _can_wait(turn: Turn) -> bool:
    """Whether somebody is there who may be promised."""
    return presence.availability(turn.uow, pack=turn.pack, now=turn.now).somebody


def _queue_up(turn: Turn, reason: str) -> None:
    turn.key("queue")
    joined = handoff.queue_up(
        turn.uow,
        pack=turn.pack,
        conversation_id=turn.conversation_id,
        reason=reason,
        message_id=turn.message_id,
        now=turn.now,
    )
    turn.handed_over = True
    if joined.to_owner != "queued" or joined.position is None:
        turn.say("utter_people_have_it")
        return
    expected = waiting.estimate(turn.uow, brand=turn.pack.brand.id, position=joined.position, now=turn.now)
    promised = turn.pack.desk.promise_minutes if turn.pack.desk else 1
    turn.say(
        "utter_queued",
        position=joined.position,
        wait=waiting_room.wait_words(expected, promised),
        buttons=[waiting_room.never_mind()],
    )


def _waiting(turn: Turn) -> list[TicketView]:
    """Cases of this conversation in which a person was asked for and has not answered yet."""
    customer_id = turn.customer.customer_id if turn.customer else None
    found = tickets.tickets_of(turn.uow, customer_id=customer_id, conversation_id=turn.conversation_id)
    here = [ticket for ticket in found if ticket.conversation_id == turn.conversation_id]
    return [ticket for ticket in here if ticket.kind == "handoff" and is_open(ticket)]


def _contact(turn: Turn, flow: FlowState) -> Asking | None:
    """An address for the reply; a customer who is known is not asked. It proves nothing and shows nothing."""
    if turn.customer is not None or "contact" in flow.data:
        return None
    return turn.ask(
        flow,
        "contact",
        [Expect.EMAIL, Expect.CHOICE, Expect.YES_NO],
        "utter_email_unclear" if flow.data.get("unclear") else "utter_ask_contact",
        choices=[Choice(_SKIP, "Answer me here only", ("skip", "here", "no email", "no e-mail"))],
    )


def _why(turn: Turn) -> str:
    """Why somebody asks who does so in their own words."""
    if turn.missed >= _MISSES:
        return "misses"
    return "anger" if turn.understood.get("angry") else "asked"


def _take_contact(flow: FlowState, answer: Answer) -> None:
    if answer.via is Via.EMAIL and not is_email(answer.value):
        if flow.data.get("unclear"):
            flow.data["contact"] = ""  # asked once more is enough: somebody who wants a person gets one
        flow.data["unclear"] = True
    elif answer.via is Via.EMAIL:
        flow.data["contact"] = answer.value
    elif answer.value == _SKIP or answer.via is Via.NO:
        flow.data["contact"] = ""


class Person(Flow):
    """A person is wanted. Learns: `contact` (an e-mail address, or empty)."""

    name = PERSON
    needs_proof = False

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """An address in the wish itself is taken; a customer who waits already is not asked again."""
        flow.data["reason"] = turn.wish.entity("reason") or _why(turn)
        flow.data["by_email"] = turn.wish.entity("by") == "email"
        if email := turn.wish.entity("email"):
            flow.data["contact"] = email
        elif _waiting(turn):
            flow.data["contact"] = ""

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn where to answer."""
        _take_contact(flow, answer)

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Put them through where somebody is there, otherwise open a ticket; say what happens next."""
        by_email = flow.data["by_email"]
        if (by_email or not _can_wait(turn)) and (asking := _contact(turn, flow)):
            return asking
        hand_over(turn, reason=flow.data["reason"], contact=flow.data.get("contact") or None, by_email=by_email)
        return None


class OpenTicket(Flow):
    """A problem is reported. Learns: `description`, `files`, `contact`."""

    name = TICKET
    needs_proof = False
    keeps_files = True

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """A wish that already tells the problem is its description."""
        if len(turn.wish.words) >= _TOO_SHORT:
            flow.data["description"] = kept(turn.wish.words)

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn the description or the address."""
        if answer.step == "contact":
            _take_contact(flow, answer)
        elif answer.via in (Via.TEXT, Via.FILES) and answer.value:
            flow.data["description"] = kept(answer.value)

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask what is wrong and where to answer, then open the ticket."""
        if "description" not in flow.data:
            return turn.ask(flow, "description", [Expect.TEXT, Expect.FILES], "utter_ask_problem")
        if asking := _contact(turn, flow):
            return asking
        contact = flow.data.get("contact") or None
        ticket = tickets.open_ticket(
            turn.uow,
            brand=turn.pack.brand.id,
            kind="problem",
            subject=" ".join(flow.data["description"].split())[:80],
            summary=flow.data["description"],
            customer_id=turn.customer.customer_id if turn.customer else None,
            contact_email=turn.customer.email if turn.customer else contact,
            conversation_id=turn.conversation_id,
            details={"files": flow.data.get("files", [])},
            idempotency_key=turn.key("ticket"),
            now=turn.now,
        )
        turn.say("utter_ticket_opened", reference=ticket.reference, more=more(*turn.text_of("ticket_next")))
        return None
