"""What is said to customers around people: who took over, how long it takes, what they can choose, and how it was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.conversation import history
from bot.conversation.messages import MessageView, Reply
from bot.dialogue import waiting_room
from bot.dialogue.phrases import Phrases
from bot.dialogue.registry import SERVABLE
from bot.dialogue.turn import wish
from bot.dialogue.waiting_room import BY_EMAIL, LEAVE, WAIT, choices, never_mind
from bot.dialogue.wishes import wish_buttons
from bot.policy.pack import Pack
from bot.services import csat, handoff, presence, waiting
from bot.services.handoff import HandoffView
from bot.services.views import CustomerRef
from bot.services.wish_words import PHRASES
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork

_FACES = {5: "5 – Great", 4: "4 – Good", 3: "3 – Okay", 2: "2 – Poor", 1: "1 – Bad"}


class Reception:
    """Speaks to the customer where a turn of the bot does not, within the transaction that causes it."""

    def __init__(self, packs: Mapping[str, Pack], phrases: Phrases) -> None:
        self._packs = packs
        self._phrases = phrases

    # --- while people have it ------------------------------------------------------------------------------------

    def attend(
        self, uow: UnitOfWork, message: MessageView, payload: Mapping[str, Any], *, now: datetime
    ) -> history.Attention | None:
        """Answer what may be answered while the bot is silent: how long, never mind, a choice, a rating."""
        row = history.locked_row(uow, message.conversation_id)
        if payload.get("intent") == history.RATE:
            values = payload["entities"]
            csat.rate(uow, rating_id=values["rating"], conversation_id=row.id, score=int(values["score"]), now=now)
            return None
        if row.owner != "queued" or row.brand not in self._packs:
            return None
        if row.choose_until is not None:
            row.choose_until = now + waiting_room.CHOOSES_WITHIN  # they are there
        chosen = payload.get("queue")
        if chosen == BY_EMAIL:
            self._leave(uow, message, reason="by_email", now=now)
            return history.Attention("received")  # the bot goes on: it may have to ask where to write to
        if chosen == LEAVE or (not payload and waiting_room.gives_up(message.text)):
            self._leave(uow, message, reason="changed_mind", now=now)
            words, buttons = self._phrases.say("utter_left_the_queue"), self._suggestions(row.brand)
        elif chosen == WAIT:
            self._promise(row, now)
            words, buttons = self._in_place("utter_waiting_on", uow, row, now), (never_mind(),)
        elif not payload and waiting_room.asks_how_long(message.text):
            words, buttons = self._in_place("utter_your_place", uow, row, now), (never_mind(),)
        else:
            return None
        if row.unanswered_since == now:
            row.unanswered_since = None
        brand, reply = self._packs[row.brand].brand.name, Reply(words, buttons=buttons)
        said = history.say(uow, row.id, [reply], author="bot", name=brand, in_reply_to=message.id, now=now)
        return history.Attention("answered", tuple(said))

    def keep_promises(self, store: Store, *, now: datetime) -> list[str]:
        """Ask everybody whose promised time is over whether to go on waiting, and open a case for who did not answer.

        Each in a transaction of its own, and once, however many processes do this; returns the conversations.
        """
        with store.read() as uow:
            promised = [(self.promise_over, each) for each in history.promises_over(uow, now=now)]
            asked = [(self.choice_over, each) for each in history.choices_over(uow, now=now)]
        told = []
        for act, conversation_id in [*promised, *asked]:
            with store.write() as uow:
                if act(uow, conversation_id, now=now):
                    uow.commit()
                    told.append(conversation_id)
        return told

    def promise_over(self, uow: UnitOfWork, conversation_id: str, *, now: datetime) -> bool:
        """Ask somebody who waits longer than promised what they would rather do; False if they no longer wait."""
        row = history.locked_row(uow, conversation_id)
        if row.owner != "queued" or row.promised_until is None or row.promised_until > now:
            return False
        pack = self._packs.get(row.brand)
        if pack is None:
            return False
        there = presence.availability(uow, pack=pack, now=now)
        minutes = int(waiting_room.CHOOSES_WITHIN.total_seconds() // 60)
        if there.open or there.opens_at is None:
            words = self._in_place("utter_promise_over", uow, row, now, minutes=minutes)
        else:
            when = waiting_room.opening_words(there.opens_at, pack.brand.zone)
            words = self._phrases.say("utter_desk_closed_meanwhile", opens=when, minutes=minutes)
        key = f"{conversation_id}:promise:{row.promised_until.isoformat()}"
        row.promised_until, row.choose_until = None, now + waiting_room.CHOOSES_WITHIN
        self._say(uow, conversation_id, Reply(words, buttons=choices()), now=now, key=key, author="bot")
        return True

    def choice_over(self, uow: UnitOfWork, conversation_id: str, *, now: datetime) -> bool:
        """Open a case for somebody who was asked and did not answer, and have the bot back; False if that is over."""
        row = history.locked_row(uow, conversation_id)
        pack = self._packs.get(row.brand)
        if pack is None or row.owner != "queued" or row.choose_until is None or row.choose_until > now:
            return False
        key = f"{conversation_id}:choice:{row.choose_until.isoformat()}"
        customer = uow.get(t.Customer, row.customer_id) if row.customer_id else None
        open_before = handoff.open_ticket(uow, conversation_id)
        ticket = handoff.ask_person(
            uow,
            pack=pack,
            conversation_id=conversation_id,
            customer=CustomerRef(customer.id, customer.brand, customer.email, customer.name) if customer else None,
            contact_email=None,
            reason=row.handoff_reason,
            key=key,
            now=now,
        )
        handoff.leave_queue(uow, conversation_id=conversation_id, reason="no_answer", key=key, now=now)
        response, values = waiting_room.answer_by_case(
            uow,
            pack=pack,
            ticket=ticket,
            asked_again=open_before is not None,
            reply_to=customer.email if customer else None,
            now=now,
        )
        words = f"{self._phrases.say('utter_waited_without_answer')} {self._phrases.say(response, **values)}"
        self._say(uow, conversation_id, Reply(words), now=now, key=key, author="bot")
        return True

    # --- changes of owner ----------------------------------------------------------------------------------------

    def taken(self, uow: UnitOfWork, change: HandoffView, *, now: datetime) -> None:
        """Somebody took the conversation."""
        self._changed(uow, change, "utter_agent_is_here", now=now, name=self._name(uow, change.agent_id))

    def released(self, uow: UnitOfWork, change: HandoffView, *, now: datetime) -> None:
        """Somebody put it back into the queue."""
        self._changed(uow, change, "utter_agent_had_to_leave", now=now, name=self._name(uow, change.actor))

    def left(self, uow: UnitOfWork, conversation_id: str, *, now: datetime) -> None:
        """Who had it works here no more, and it waits again."""
        change = handoff.last_change(uow, conversation_id)
        if change.reason == "agent_left":
            self._changed(uow, change, "utter_agent_had_to_leave", now=now, name="Your contact")

    def transferred(self, uow: UnitOfWork, change: HandoffView, *, now: datetime) -> None:
        """It became another person's, or waits for another team."""
        if change.agent_id is None:
            self._changed(uow, change, "utter_passed_to_team", now=now, position=change.position or 1)
        else:
            self._changed(uow, change, "utter_agent_takes_over", now=now, name=self._name(uow, change.agent_id))

    def handed_back(self, uow: UnitOfWork, change: HandoffView, wanted: str | None, *, now: datetime) -> None:
        """The bot has it again, with a wish to go on with where the agent named one."""
        name = self._name(uow, change.actor)
        if wanted in SERVABLE and wanted in PHRASES:
            words = self._phrases.say("utter_handed_back_for", name=name, what=PHRASES[wanted])
            # So that a plain "yes" means it too: the dialogue begins anew where a person had the conversation.
            offered = {"version": 1, "slots": {"offers": [wanted]}, "loop": None}
            history.locked_row(uow, change.conversation_id).dialogue = offered
            self._said(uow, change, Reply(words, buttons=tuple(wish_buttons([wanted]))), now=now)
        else:
            self._changed(uow, change, "utter_handed_back", now=now, name=name)

    def resolved(self, uow: UnitOfWork, change: HandoffView, *, now: datetime) -> None:
        """The matter is settled: how was it?"""
        rating = csat.ask(uow, handoff_id=change.id, now=now)
        words = self._phrases.say("utter_resolved", name=self._name(uow, change.actor))
        buttons = tuple(
            {
                "title": _FACES[score],
                "payload": {"intent": history.RATE, "entities": {"rating": rating.id, "score": str(score)}},
            }
            for score in csat.SCORES
        )
        buttons += tuple(wish_buttons(["send_transcript"]))
        self._said(uow, change, Reply(words, buttons=buttons), now=now)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _leave(self, uow: UnitOfWork, message: MessageView, *, reason: str, now: datetime) -> None:
        handoff.leave_queue(
            uow, conversation_id=message.conversation_id, reason=reason, key=f"{message.id}:leave", now=now
        )

    def _promise(self, row: Any, now: datetime) -> None:
        """Who waits on is asked again after the brand's promised time."""
        desk = self._packs[row.brand].desk
        row.promised_until = now + timedelta(minutes=desk.promise_minutes) if desk else None
        row.choose_until = None

    def _in_place(self, response: str, uow: UnitOfWork, row: Any, now: datetime, **values: object) -> str:
        """A response that says the place in the queue and how long it takes from there."""
        position = handoff.position_of(uow, row)
        desk = self._packs[row.brand].desk
        expected = waiting.estimate(uow, brand=row.brand, position=position, now=now)
        wait = waiting_room.wait_words(expected, desk.promise_minutes if desk else 1)
        return self._phrases.say(response, position=position, wait=wait, **values)

    def _changed(self, uow: UnitOfWork, change: HandoffView, response: str, *, now: datetime, **values: object) -> None:
        row = history.locked_row(uow, change.conversation_id)
        if change.to_owner == "queued" == row.owner and row.promised_until is None and row.choose_until is None:
            self._promise(row, now)  # put back into the queue, they are not left waiting without end either
        self._said(uow, change, Reply(self._phrases.say(response, **values)), now=now)

    def _said(self, uow: UnitOfWork, change: HandoffView, reply: Reply, *, now: datetime) -> None:
        self._say(uow, change.conversation_id, reply, now=now, key=change.id, author="system")

    def _say(
        self, uow: UnitOfWork, conversation_id: str, reply: Reply, *, now: datetime, key: str, author: str
    ) -> None:
        brand = self._packs[history.conversation(uow, conversation_id).brand].brand.name
        history.say(uow, conversation_id, [reply], author=author, name=brand, in_reply_to=None, now=now, key=key)

    def _suggestions(self, brand: str) -> tuple[dict[str, Any], ...]:
        return tuple(wish(each.intent, each.title) for each in self._packs[brand].suggestions)

    def _name(self, uow: UnitOfWork, agent_id: str | None) -> str:
        agent = uow.get(t.Agent, agent_id) if agent_id else None
        return str(agent.name) if agent else "Somebody"
