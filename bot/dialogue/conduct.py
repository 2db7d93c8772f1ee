"""From one understood message to what is said: builds the turn, runs flows, answers questions, keeps the thread."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from bot.dialogue.asking import Answer, flows_from_slots
from bot.dialogue.common import lines, offer_buttons, person_for, sentences
from bot.dialogue.flow import Flow, Runner
from bot.dialogue.flows import pause
from bot.dialogue.flows.account import Account
from bot.dialogue.flows.after import Rating, Transcript
from bot.dialogue.flows.call import Call
from bot.dialogue.flows.cancel import Cancel
from bot.dialogue.flows.not_receiving import NotReceiving
from bot.dialogue.flows.people import OpenTicket, Person
from bot.dialogue.flows.refund import DuplicateCharge, MissingNumber, Refund
from bot.dialogue.flows.resume import Resume
from bot.dialogue.flows.telling import Telling
from bot.dialogue.interpretation import is_question
from bot.dialogue.registry import ACCOUNT, FLOW_OF_INTENT, PAUSE
from bot.dialogue.turn import Said, Services, Turn, Wish
from bot.dialogue.wishes import A_PERSON_IN, PERSON_WANTED, TITLES, person_button, suggestions, wish_buttons
from bot.policy.pack import Pack
from bot.services import accounts, questions
from bot.services.help_center import Passage
from bot.services.wish_words import PHRASES
from bot.store.prepared import Prepared
from bot.store.tables import Message
from bot.store.unit_of_work import Store

CATALOGUE: Mapping[str, Flow] = {
    flow.name: flow
    for flow in (
        Cancel(),
        Resume(),
        Refund(),
        DuplicateCharge(),
        MissingNumber(),
        NotReceiving(),
        Person(),
        OpenTicket(),
        Account(),
        Call(),
        Telling(),
        Rating(),
        Transcript(),
        pause.Pause(),
        pause.Unpause(),
    )
}
_messages: Any = Message.__table__  # type: ignore[attr-defined]
_MESSAGE = Prepared(select(_messages.c.status, _messages.c.outcomes).where(_messages.c.id == bindparam("message")))
_KEEP_OUTCOMES = Prepared(
    update(_messages).where(_messages.c.id == bindparam("message")).values(outcomes=bindparam("what"))
)
_MISSES_BEFORE_A_PERSON = 2
_TIMES_BEFORE_A_PERSON = 3  # the same wish, or the same question, so often without getting on
# How well a passage of the help center must fit (0 to 1) to be quoted, to be quoted with a doubt, and to show that the
# question is near our subject; chosen on tests/data/help_questions.yml.
_FITS, _MAY_FIT, _NEAR_OUR_SUBJECT = 0.41, 0.35, 0.27
_ALSO_FITS = 0.04  # below the best
_PAYING = re.compile(r"\b(paid|pay|paying|payment|charged?|charges|billed|bill|invoice|bought|money|inv-\d+)\b", re.I)
_REASONS = {"email": "utter_why_proof", "code": "utter_why_proof", "test": "utter_why_test_sms"}
"""Why a question is asked, by its step, where there is more to say than that it is needed."""


@dataclass(frozen=True)
class Conducted:
    """What a turn said, and the slots it leaves."""

    said: tuple[Said, ...]
    slots: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"said": [said.to_json() for said in self.said], "slots": dict(self.slots)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Conducted:
        """Read back what `to_json` made."""
        return cls(said=tuple(Said.from_json(said) for said in values["said"]), slots=values["slots"])


@dataclass(frozen=True)
class Conductor:
    """Runs a handler over one message in one transaction, kept only if the handler gets to its end."""

    store: Store
    packs: Mapping[str, Pack]
    services: Services

    def conduct(
        self,
        handle: Callable[[Thread], None],
        *,
        action: str,
        metadata: Mapping[str, Any],
        slots: Mapping[str, Any],
        text: str,
        intent: str,
        entities: list[Mapping[str, Any]],
    ) -> Conducted:
        """Handle one message. `metadata` is what the gateway put on it, `slots` the dialogue's state before.

        What an action that acted said is kept with what it did, in one transaction: should the process die before the
        replies are stored, the turn is run again and says the same, without acting again.
        """
        with self.store.write() as uow:
            message = _MESSAGE.first(uow, message=metadata["message_id"])
            if message is not None and action in (message.outcomes or {}):
                return Conducted.from_json(message.outcomes[action])
            if message is not None and message.status == "relayed":
                return Conducted(said=(), slots=slots)  # a person took it over while it waited for its turn
            now = datetime.fromisoformat(metadata["now"])
            known = self.services.identity.speaker(uow, metadata["conversation_id"], now=now)
            answer = metadata.get("answer")
            turn = Turn(
                uow=uow,
                services=self.services,
                pack=self.packs[metadata["brand"]],
                conversation_id=metadata["conversation_id"],
                message_id=metadata["message_id"],
                now=now,
                proof=known,
                text=text,
                intent=intent,
                entities=entities,
                answer=Answer.from_json(answer) if answer else None,
                attachment_ids=metadata.get("attachments") or (),
                understood=metadata.get("understood") or {},
            )
            thread = Thread(turn, slots)
            handle(thread)
            conducted = Conducted(said=tuple(turn.said), slots=thread.slots())
            if turn.acted and message is not None:
                outcomes = {**(message.outcomes or {}), action: conducted.to_json()}
                _KEEP_OUTCOMES.change(uow, message=metadata["message_id"], what=outcomes)
            uow.commit()
            return conducted


class Thread:
    """What a conversation is in the middle of: its flows, the wishes that wait, what was offered, what went wrong.

    Slots: `flows`; `wishes` that came with another; `offers`, the intents on the buttons shown last; `done`, what was
    last changed and could be undone; `misses`, how often in a row nothing was understood; `repeats`, what was said
    again without getting on, and how often; `soothed`, whether anger was met with a human sentence already.
    """

    def __init__(self, turn: Turn, slots: Mapping[str, Any]) -> None:
        self.turn = turn
        self._runner = Runner(CATALOGUE, turn, flows_from_slots(slots))
        self._wishes = [Wish.from_json(wish) for wish in slots.get("wishes") or ()]
        self._offers: list[str] = list(slots.get("offers") or ())
        self._done: Mapping[str, Any] | None = slots.get("done")
        self._misses = int(slots.get("misses") or 0)
        self._repeats: Mapping[str, Any] = slots.get("repeats") or {}
        self._soothed = bool(slots.get("soothed"))

    def slots(self) -> dict[str, Any]:
        """The state to go on from."""
        return {
            "flows": [flow.to_json() for flow in self._runner.flows] or None,
            "wishes": [wish.to_json() for wish in self._wishes] or None,
            "offers": self._offered() or None,
            "done": self.turn.done.to_json() if self.turn.done else self._done,
            "misses": self._misses or None,
            "repeats": dict(self._repeats) or None,
            "soothed": self._soothed or None,
        }

    # --- what actions do -----------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve the wish that the message expresses, and after it those that came with it."""
        before = self._place()
        self.turn.missed, self._misses = self._misses, 0
        self._runner.keep_files()
        soothing = self._soothe()
        first = self.turn.wish
        also = [intent for intent in self.turn.understood.get("also", ()) if intent in TITLES]
        if also:
            about = [PHRASES[intent] for intent in also]
            self.turn.say("utter_several_wishes", first=PHRASES[first.intent], then=", then ".join(about))
        self._wishes.extend(Wish(intent, first.words, first.entities) for intent in also)
        self._serve(first)
        self._next_wishes()
        self._notice_repeats(before, times=1)
        if soothing:
            self._offer_a_person()

    def go_on(self) -> None:
        """Give the answer to the flow that asked; without an open question, ask what is wanted."""
        before = self._place()
        self._misses = 0
        kept = self._runner.keep_files()
        if self._runner.front is None:
            self._nothing_open()
            return
        if self.turn.attachment_ids and self.turn.answer is None:
            self.turn.say("utter_file_kept" if kept else "utter_file_kept_with_chat")
        soothing = self._soothe()
        if self.turn.answer is None:
            self._runner.ask_again()
        else:
            self._runner.answer(self.turn.answer)
        self._next_wishes()
        self._notice_repeats(before, times=0)
        if soothing:
            self._offer_a_person()

    def ask_again(self) -> None:
        """Come back to the question that was open."""
        self._misses = 0
        self._runner.ask_again()

    def leave(self) -> None:
        """Stop what is under way."""
        self._misses = 0
        self._wishes.clear()
        left = self._runner.leave()
        also = [intent for intent in self.turn.understood.get("also", ()) if intent in TITLES]
        if also:  # "I don't want to cancel, just tell me when it renews"
            self.turn.say("utter_left_for_wish")
            self._wishes.extend(Wish(intent, self.turn.wish.words, self.turn.wish.entities) for intent in also[1:])
            self._serve(Wish(also[0], self.turn.wish.words, self.turn.wish.entities))
            self._next_wishes()
        else:
            self.turn.say("utter_left" if left else "utter_nothing_to_leave", buttons=self._suggestions())

    def start_over(self) -> None:
        """Drop everything and begin again."""
        self._misses = 0
        self._wishes.clear()
        self._runner.leave()
        self.turn.say("utter_start_over", buttons=self._suggestions())

    def clarify(self) -> None:
        """Not understood: ask back with the likely meanings, then offer a person."""
        if pause.is_meant(self.turn.pack, self.turn.wish):
            self.serve()
            return
        self._misses += 1
        self._runner.keep_files()
        choices = wish_buttons(self.turn.understood.get("choices", ()))[:3]
        person = person_for(self.turn, "misses")
        if self._misses > _MISSES_BEFORE_A_PERSON:
            self._give_up()
        elif self.turn.understood.get("declined"):
            self.turn.say("utter_none_of_these", buttons=person)
        elif self._misses == _MISSES_BEFORE_A_PERSON and person:
            self.turn.say("utter_offer_person_after_misses", buttons=[*choices, *person])
        elif not choices and self._quote(_MAY_FIT if is_question(self.turn.text) else _FITS):
            pass
        elif choices:
            self.turn.say("utter_ask_back", buttons=[*choices, *person])
        elif self._runner.front is not None:
            self.turn.say("utter_not_understood_in_flow")
        else:
            self.turn.say("utter_not_understood", buttons=self._suggestions())
        self._runner.ask_again()

    def out_of_scope(self) -> None:
        """Not ours to answer, unless an article does: one friendly line and the way back; at last, a person."""
        if pause.is_meant(self.turn.pack, self.turn.wish):
            self.serve()
            return
        self._misses += 1
        brand = self.turn.pack.brand
        if self._quote(_FITS):
            pass
        elif self._misses > _MISSES_BEFORE_A_PERSON:
            self._give_up()
        elif is_question(self.turn.text) and self._nearest() >= _NEAR_OUR_SUBJECT:
            self.turn.say(
                "utter_no_passage", brand=brand.name, email=brand.contacts.email, buttons=wish_buttons([PERSON_WANTED])
            )
        else:
            self.turn.say("utter_out_of_scope", brand=brand.name, buttons=self._suggestions_unless_asking())
        self._runner.ask_again()

    def explain(self) -> None:
        """Why the open question is asked."""
        self._misses = 0
        front = self._runner.front
        step = front.asking.step if front and front.asking else ""
        self.turn.say(_REASONS.get(step, "utter_why"))
        self._runner.ask_again()

    def other_language(self) -> None:
        """Written in a language that we do not speak."""
        self._misses = 0
        language: str | None = self.turn.understood.get("language")
        spoken = language in A_PERSON_IN
        self.turn.say(
            f"utter_other_language_{language.replace('-', '_')}" if language and spoken else "utter_other_language",
            email=self.turn.pack.brand.contacts.email,
            buttons=[person_button(language)],
        )
        self._runner.ask_again()

    def greet(self) -> None:
        """Greet back; come to the open question if there is one."""
        self._misses = 0
        self.turn.say("utter_greet", buttons=self._suggestions_unless_asking())
        self._runner.ask_again()

    def tell_capabilities(self) -> None:
        """Say what the bot can do."""
        self._misses = 0
        self.turn.say("utter_capabilities", buttons=self._suggestions_unless_asking())
        self._runner.ask_again()

    def empathise(self) -> None:
        """Somebody is angry: one human sentence and the offer of a person."""
        self._misses = 0
        response = "utter_sorry_again" if self._soothed else "utter_sorry"
        self.turn.say(response, buttons=[*person_for(self.turn, "anger"), *wish_buttons(["open_ticket"])])
        self._soothed = True
        self._runner.ask_again()

    def stale_button(self) -> None:
        """A button of an earlier question was pressed."""
        self.turn.say("utter_stale_button", buttons=self._suggestions_unless_asking())
        self._runner.ask_again()

    # --- parts ---------------------------------------------------------------------------------------------------

    def _soothe(self) -> bool:
        """Meet anger with one human sentence, once a conversation; whether it was said now."""
        wanted = (self.turn.wish.intent, *self.turn.understood.get("also", ()))
        if self._soothed or not self.turn.understood.get("angry") or PERSON_WANTED in wanted:
            return False
        self.turn.say("utter_heard")
        self._soothed = True
        return True

    def _offer_a_person(self) -> None:
        """A person, because of the anger, as the last button of what was said last, unless there is one already."""
        offered = (_intent(button) for said in self.turn.said for button in said.buttons)
        if self.turn.said and PERSON_WANTED not in offered:
            last = self.turn.said[-1]
            self.turn.said[-1] = replace(last, buttons=(*last.buttons, *person_for(self.turn, "anger")))

    def _serve(self, wish: Wish) -> None:
        wish = self._in_context(wish)
        self.turn.wish = wish
        flow = PAUSE if pause.is_meant(self.turn.pack, wish) else FLOW_OF_INTENT.get(wish.intent)
        if flow is not None and CATALOGUE[flow].serves(self.turn.pack):
            self._runner.begin(flow)
        elif wish.intent.startswith("check_"):
            self._runner.begin(ACCOUNT)
        else:
            self._answer_question(wish.intent)
            self._runner.ask_again()

    def _in_context(self, wish: Wish) -> Wish:
        """A number that somebody who has cancelled misses, without a word of paying for it, has been or is released."""
        if wish.intent != "report_missing_number" or self.turn.customer is None or _PAYING.search(wish.words):
            return wish
        held = accounts.subscriptions(self.turn.uow, self.turn.customer.customer_id)
        if held and all(each.status in ("not_renewing", "ended") for each in held):
            return Wish("ask_number_release", wish.words, wish.entities)
        return wish

    def _answer_question(self, intent: str) -> None:
        turn, front = self.turn, self._runner.front
        targets: list[str] = front.data.get("targets", []) if front else []
        answered = questions.answer(
            turn.uow,
            pack=turn.pack,
            customer=turn.customer,
            intent=intent,
            now=turn.now,
            subscription_id=targets[0] if len(targets) == 1 else None,
        )
        if answered is None and self._quote(_MAY_FIT):
            return
        if answered is None:
            turn.say("utter_no_answer", email=turn.pack.brand.contacts.email, buttons=wish_buttons([PERSON_WANTED]))
            return
        article = turn.services.help_center.article(turn.pack.brand.id, answered.source.article)
        under_way = {flow.name for flow in self._runner.flows}
        turn.say(
            "utter_answer",
            says=sentences(answered.says),
            article=article.title,
            link=turn.services.help_link(turn.pack.brand.id, article.slug, answered.source.section),
            buttons=[
                *offer_buttons(turn, [i for i in answered.offers if FLOW_OF_INTENT.get(i) not in under_way]),
                *([pause.pause_button(turn.pack.pause.title)] if intent == "change_plan" and turn.pack.pause else ()),
            ],
        )

    def _quote(self, least: float) -> bool:
        """Quote the passage of the brand's articles that fits the message best; False if none fits so well."""
        turn = self.turn
        brand = turn.pack.brand.id
        found = [each for each in turn.services.help_center.search(brand, turn.text, 3) if each.score >= least]
        if not found:
            return False
        best = found[0]
        sure = best.score >= _FITS
        if sure:
            self._misses = 0

        def link(passage: Passage) -> str:
            return turn.services.help_link(brand, passage.article.slug, passage.section.id)

        also = [
            f"“{p.article.title}”, “{p.section.title}”: {link(p)}"
            for p in found[1:]
            if p.score > best.score - _ALSO_FITS
        ]
        turn.say(
            "utter_passage" if sure else "utter_passage_perhaps",
            excerpt=best.text,
            article=best.article.title,
            section=f"“{best.section.title}”",
            link=link(best),
            buttons=[] if sure or also else wish_buttons([PERSON_WANTED]),
        )
        if also:
            turn.say("utter_passages_also", lines=lines(also), buttons=[] if sure else wish_buttons([PERSON_WANTED]))
        return True

    def _nearest(self) -> float:
        """How well the best passage of the brand's articles fits the message."""
        found = self.turn.services.help_center.search(self.turn.pack.brand.id, self.turn.text, 1)
        return found[0].score if found else 0.0

    def _next_wishes(self) -> None:
        """Wishes that came together with another, once nothing is under way."""
        if self.turn.handed_over:
            self._wishes.clear()
        while self._runner.front is None and self._wishes:
            wish = self._wishes.pop(0)
            self.turn.say("utter_next_wish", what=PHRASES[wish.intent])
            self._serve(wish)

    def _give_up(self) -> None:
        email, person = self.turn.pack.brand.contacts.email, person_for(self.turn, "misses")
        if person:
            self.turn.say("utter_still_not_understood", buttons=person, email=email)
        else:
            self.turn.say("utter_still_not_understood_by_bot", buttons=wish_buttons(["open_ticket"]), email=email)

    def _nothing_open(self) -> None:
        """An answer, but nothing was asked."""
        offers = [intent for intent in self._offers if intent != PERSON_WANTED]
        if self.turn.attachment_ids:
            about = [each for each in self._suggestions() if str(_intent(each)).startswith("report_")]
            self.turn.say("utter_what_is_the_file", buttons=[*about, *wish_buttons(["open_ticket"])])
        elif self.turn.intent == "deny":
            self.turn.say("utter_fine")
        elif self.turn.intent == "affirm" and offers:
            self.turn.say("utter_which_of_these", buttons=wish_buttons(self._offers))
        else:
            self.turn.say("utter_what_next", buttons=self._suggestions())

    def _place(self) -> str | None:
        """Where the conversation stands; the same before and after a message: it did not get on."""
        front = self._runner.front
        if front is None:
            return None
        step = front.asking.step if front.asking else None
        return json.dumps([front.id, step, front.email, front.data], sort_keys=True)

    def _notice_repeats(self, before: str | None, *, times: int) -> None:
        """Said again and again without getting on: offer a person at once, whatever else was said.

        `times` is what a message counts that does get on: a wish is said for the first time then, an answer is not.
        """
        said, place = self.turn.understood.get("understood") or self.turn.intent, self._place()
        again = place == before and self._repeats.get("said") == said
        times = self._repeats["times"] + 1 if again else times
        self._repeats = {"said": said, "times": times}
        tired = times > 0 and times % _TIMES_BEFORE_A_PERSON == 0
        if (
            tired
            and said != PERSON_WANTED
            and not self._offers_a_person()
            and (person := person_for(self.turn, "loop"))
        ):
            self.turn.say("utter_going_round", buttons=person)

    def _offers_a_person(self) -> bool:
        return any(_intent(button) == PERSON_WANTED for said in self.turn.said[-1:] for button in said.buttons)

    def _offered(self) -> list[str]:
        if self._runner.front is not None or not self.turn.said:
            return []
        return [intent for button in self.turn.said[-1].buttons if (intent := _intent(button))]

    def _suggestions(self) -> list[dict[str, Any]]:
        return suggestions(self.turn.pack)

    def _suggestions_unless_asking(self) -> list[dict[str, Any]]:
        return [] if self._runner.front is not None else self._suggestions()


def _intent(button: Mapping[str, Any]) -> str | None:
    """The wish that a button says; None for an answer to a question."""
    intent: str | None = button["payload"].get("intent")
    return intent
