"""Pausing: which, for how long, agreed, done once, with a receipt; and ending a pause before it ends by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.choices import choose
from bot.dialogue.common import named_in, offer_buttons, receipt_attachment, sentences, subscription_choices
from bot.dialogue.flow import Flow
from bot.dialogue.registry import CANCEL, PAUSE, UNPAUSE
from bot.dialogue.turn import Done, Turn, Wish, wish
from bot.dialogue.wishes import wish_buttons
from bot.policy.decision import Decision, Outcome
from bot.policy.pack import Pack
from bot.services import accounts, pausing
from bot.services.views import SubscriptionView, called

MEANT = "pause"
"""The entity on a wish that means a pause, whatever its intent."""
_YES, _NO = "yes", "no"
_PAUSES = re.compile(
    r"\b(paus(e|ed|ing)|(put|place|putting|placing)\b.{1,40}\bon hold|on hold for|freez(e|ing)|suspend(ing)?|"
    r"(take|taking|have) a (short |little |longer )?break)\b",
    re.I,
)
_NOT_A_PAUSE = re.compile(
    r"\b(don'?t|do not|not|never|no|than|without|instead of|after|during|while|was|is|it'?s|been)\W+"
    r"((want|need|like|looking)\W+)?((to|a|the|my|for)\W+){0,2}(paus|on hold|freez|suspend)",
    re.I,
)
_MEANS_A_PAUSE = frozenset({"change_plan", "change_renewal_date", "cancel_subscription", "ask_how_to_cancel"})
_ENDS_A_PAUSE = re.compile(
    r"\b(resum\w*|end\w*|over|back|start\w*|restart\w*|reactivat\w*|lift\w*|stop\w*|again|cancel\w*|undo\w*|paused)\b",
    re.I,
)
_NOT_UNDERSTOOD = frozenset({"nlu_fallback", "out_of_scope"})
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def is_meant(pack: Pack, said: Wish) -> bool:
    """Whether a wish is one to pause, at a brand that pauses."""
    if pack.pause is None:
        return False
    if said.entity(MEANT):
        return True
    if said.intent == "resume_subscription":  # "pause my plan" and "unpause my plan" look much alike
        return says_pause(said.words) and not _ENDS_A_PAUSE.search(said.words)
    return said.intent in _MEANS_A_PAUSE | _NOT_UNDERSTOOD and says_pause(said.words)


def says_pause(words: str) -> bool:
    """Whether words ask for a pause, and not against one or about one that is on."""
    return bool(_PAUSES.search(words)) and not _NOT_A_PAUSE.search(words)


def pause_button(title: str, **about: str) -> dict[str, object]:
    """A button that asks for a pause."""
    return wish("change_plan", title, **{MEANT: _YES, **about})


class Pause(Flow):
    """Lets a subscription rest. Learns: `wish` (until used), `targets` (one id), `length`, `agreed`, `instead`."""

    name = PAUSE

    def serves(self, pack: Pack) -> bool:
        """Whether the brand pauses."""
        return pack.pause is not None

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: it may name which one and how long, and that it is instead of cancelling."""
        flow.data.update(wish=turn.wish.to_json(), instead=turn.wish.entity(MEANT) == CANCEL)

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn which, how long, or whether it is agreed."""
        if answer.value == _NO or answer.via is Via.NO:
            flow.data["agreed"] = False
        elif answer.via not in (Via.CHOICE, Via.BUTTON, Via.YES):
            return
        elif answer.step == "target":
            flow.data["targets"] = list(answer.values)
        elif answer.step == "length" and answer.value:
            flow.data["length"] = answer.value
        elif answer.step == "agree":
            flow.data["agreed"] = True

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask what is missing, then pause."""
        data, terms = flow.data, turn.pack.pause
        if terms is None or data.get("agreed") is False:
            turn.say("utter_not_paused", buttons=wish_buttons(["cancel_subscription"]) if data.get("instead") else ())
            return None
        held = accounts.subscriptions(turn.uow, turn.known().customer_id)
        running = [each for each in held if each.status == "active"]
        if not running:
            turn.say("utter_nothing_to_pause")
            return None
        said = Wish.from_json(data.pop("wish")) if "wish" in data else None
        if not set(data.get("targets", ("",))) <= {each.id for each in running} and (
            asking := self._target(turn, flow, running, said)
        ):
            return asking
        if "length" not in data and said is not None and (length := _length_in(turn.pack, said.words)):
            data["length"] = length
        return self._decide(turn, flow)

    def _decide(self, turn: Turn, flow: FlowState) -> Asking | None:
        data, terms = flow.data, turn.pack.pause
        assert terms is not None  # `advance` has looked
        lengths = {each.id: each for each in terms.lengths}
        if len(lengths) == 1:
            data["length"] = next(iter(lengths))
        previews = {
            id_: pausing.preview(
                turn.uow,
                pack=turn.pack,
                customer=turn.known(),
                subscription_id=data["targets"][0],
                length_id=id_,
                now=turn.now,
            )
            for id_ in ([data["length"]] if data.get("length") in lengths else lengths)
        }
        possible = {id_: each for id_, each in previews.items() if each.decision.outcome is Outcome.ALLOW}
        if not possible:
            self._pause(turn, flow, next(iter(previews)))
            return None
        beside = self._beside(flow)
        what = called(turn.pack, next(iter(previews.values())).subscription)
        if data.get("length") not in possible:
            return turn.ask(
                flow,
                "length",
                [Expect.CHOICE, Expect.YES_NO],
                "utter_ask_pause_length",
                choices=[
                    *(_choice(each.length.id, each.length.title, each.length.months) for each in possible.values())
                ],
                beside=beside,
                what=what,
            )
        preview = possible[data["length"]]
        if "agreed" not in data:
            return turn.ask(
                flow,
                "agree",
                [Expect.CHOICE, Expect.YES_NO],
                "utter_ask_pause",
                choices=[
                    Choice(_YES, "Yes, pause it", ("pause", "pause it", "go ahead", "do it")),
                    Choice(_NO, "No, leave it running", ("leave it", "leave it running", "don't pause it")),
                ],
                beside=beside,
                says=sentences(preview.plan.says),
                what=what,
                start=turn.day(preview.plan.starts_at),
                end=turn.day(preview.plan.resumes_at),
            )
        self._pause(turn, flow, data["length"])
        return None

    @staticmethod
    def _beside(flow: FlowState) -> list[dict[str, object]]:
        """Who came from cancelling finds it one click away."""
        if not flow.data.get("instead"):
            return []
        return [wish("cancel_subscription", "Cancel instead", subscription_id=flow.data["targets"][0])]

    @staticmethod
    def _target(turn: Turn, flow: FlowState, running: Sequence[SubscriptionView], said: Wish | None) -> Asking | None:
        """Find out what to pause: named in the wish, the only one there is, or asked for."""
        choices = subscription_choices(turn.pack, running)
        named = named_in(said, choices, many=False) if said is not None else ()
        if named or len(choices) == 1:
            flow.data["targets"] = [named[0] if named else choices[0].value]
            return None
        return turn.ask(flow, "target", [Expect.CHOICE, Expect.YES_NO], "utter_ask_which_to_pause", choices=choices)

    @staticmethod
    def _pause(turn: Turn, flow: FlowState, length_id: str) -> None:
        """Pause it, or put on record why not."""
        result = pausing.pause(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_id=flow.data["targets"][0],
            length_id=length_id,
            instead_of_cancelling=bool(flow.data.get("instead")),
            conversation_id=turn.conversation_id,
            key=turn.key("pause"),
            now=turn.now,
        )
        if result.receipt is None or result.pause is None:
            _refuse(turn, result.decision)
            return
        turn.settled.add(CANCEL)
        turn.done = Done(PAUSE, (result.subscription.id,))
        turn.say(
            "utter_paused",
            what=called(turn.pack, result.subscription),
            start=turn.day(result.pause.starts_at),
            end=turn.day(result.pause.resumes_at),
            reference=result.pause.reference,
            receipt=result.receipt.reference,
            email=turn.known().email,
            attachments=[receipt_attachment(result.receipt)],
            buttons=[wish("resume_subscription", "Undo this", subscription_id=result.subscription.id)],
        )


class Unpause(Flow):
    """Ends a pause early, or calls off one that has not begun. Learns: `targets` (one id), `agreed`."""

    name = UNPAUSE

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """The wish may name which one."""
        flow.data["wish"] = turn.wish.to_json()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn which, or whether it is agreed."""
        if answer.value == _NO or answer.via is Via.NO:
            flow.data["agreed"] = False
        elif answer.step == "target":
            if answer.via in (Via.CHOICE, Via.BUTTON):
                flow.data["targets"] = list(answer.values)
        else:
            flow.data["agreed"] = True

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask which and whether, then end it."""
        data = flow.data
        if data.get("agreed") is False:
            turn.say("utter_fine")
            return None
        held = accounts.subscriptions(turn.uow, turn.known().customer_id)
        paused = {each.id: each for each in held if each.open_pause and each.status == "active"}
        if not paused:
            turn.say("utter_nothing_to_resume")
            return None
        if data.get("targets", [""])[0] not in paused:
            choices = subscription_choices(turn.pack, list(paused.values()))
            named = named_in(Wish.from_json(data["wish"]), choices, many=False)
            if not named and len(choices) > 1:
                expects = [Expect.CHOICE, Expect.YES_NO]
                return turn.ask(flow, "target", expects, "utter_ask_which_to_resume", choices=choices)
            data["targets"] = [named[0] if named else choices[0].value]
        subscription, decision = pausing.preview_end(
            turn.uow, pack=turn.pack, customer=turn.known(), subscription_id=data["targets"][0], now=turn.now
        )
        pause = subscription.open_pause
        if decision.outcome is Outcome.ALLOW and "agreed" not in data and pause is not None:
            begun = pause.starts_at <= turn.now
            return turn.ask(
                flow,
                "agree",
                [Expect.CHOICE, Expect.YES_NO],
                "utter_ask_end_pause" if begun else "utter_ask_call_off_pause",
                choices=[
                    Choice(_YES, "Yes, start again" if begun else "Yes, don't pause it", ("go ahead", "resume it")),
                    Choice(_NO, "No, leave it paused" if begun else "No, pause it as planned", ("leave it",)),
                ],
                says=sentences(decision.reasons),
                what=called(turn.pack, subscription),
                start=turn.day(pause.starts_at),
                end=turn.day(pause.resumes_at),
            )
        result = pausing.end(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_id=subscription.id,
            conversation_id=turn.conversation_id,
            key=turn.key("unpause"),
            now=turn.now,
        )
        if result.receipt is None:
            _refuse(turn, result.decision)
            return None
        turn.say(
            "utter_pause_ended",
            what=called(turn.pack, result.subscription),
            date=turn.day(result.subscription.period_end),
            price=result.subscription.price.format(),
            receipt=result.receipt.reference,
            email=turn.known().email,
            attachments=[receipt_attachment(result.receipt)],
        )
        return None


def _refuse(turn: Turn, decision: Decision) -> None:
    turn.tell(
        sentences(decision.reasons),
        sentences(decision.next_steps),
        buttons=offer_buttons(turn, [*decision.offers, "talk_to_human"]),
    )


def _length_in(pack: Pack, words: str) -> str | None:
    """How long a pause the words ask for, if it can be that long."""
    lengths = pack.pause.lengths if pack.pause else ()
    named = choose(words, [_choice(each.id, each.title, each.months) for each in lengths], many=False, by_place=False)
    return named[0] if named else None


def _choice(id_: str, title: str, months: int) -> Choice:
    said = [str(months), *([_NUMBERS[months]] if months in _NUMBERS else ())]
    words = tuple(f"{number} month{'' if months == 1 else 's'}" for number in said)
    return Choice(id_, title, (*words, *(("a month",) if months == 1 else ())))
