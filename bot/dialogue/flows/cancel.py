"""Cancelling: may they, which, what happens when, what else could help, why, agreed, done once, with a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via, kept
from bot.dialogue.common import (
    all_of,
    join,
    lines,
    more,
    named_in,
    offer_buttons,
    receipt_attachment,
    sentences,
    subscription_choices,
    unknown_number,
)
from bot.dialogue.flow import Flow
from bot.dialogue.flows.pause import MEANT, says_pause
from bot.dialogue.flows.telling import offer_to_tell
from bot.dialogue.registry import CANCEL, PAUSE
from bot.dialogue.turn import Done, Turn, Wish, wish
from bot.dialogue.wishes import wish_buttons
from bot.policy.decision import Outcome
from bot.policy.pack import Question
from bot.services import accounts, cancellations, numbers
from bot.services.cancellations import CancelledItem, CancelPreview
from bot.services.views import CancellationView, SubscriptionView, called
from bot.services.wish_words import PHRASES

_GO_ON, _KEEP, _AGREE, _SKIP, _NO_NUMBER, _PAUSE = "go_on", "keep", "agree", "skip", "none", "pause"
_MAX_ALTERNATIVES = 2
_REMOVE_NONE = Choice(
    _NO_NUMBER,
    "None, keep them",
    ("none", "no", "none of them", "keep them", "keep all of them", "keep my numbers", "don't remove any"),
)
_KEEPING = Choice(
    _KEEP,
    "Keep it",
    (
        "keep",
        "keep it",
        "keep them",
        "keep my number",
        "don't cancel",
        "do not cancel",
        "i don't agree",
        "undo",
        "undo it",
        "undo that",
        "changed my mind",
    ),
    ("resume_subscription",),
)


class Cancel(Flow):
    """Ends subscriptions on their renewal date.

    Learns: `wish` (until it is clear what it is about), `targets_offered`, `targets` (subscription ids), `passed`
    (questions done with), `remove` (ids of numbers to remove first), `offers` (alternatives shown), `reason` or
    `reason_text`, `consents` (ids agreed to), `kept`.
    """

    name = CANCEL

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: its words may already name what to cancel."""
        flow.data.update(wish=turn.wish.to_json(), passed=[], consents=[])

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn from an answer; naming other targets later starts over from what happens to them."""
        data = flow.data
        step = answer.step
        if answer.value == _PAUSE or (
            answer.via in (Via.TEXT, Via.FORWARD) and turn.pack.pause is not None and says_pause(turn.text)
        ):
            data["pause"] = True
        elif step == Question.REMOVE_NUMBERS.value:
            if answer.via in (Via.CHOICE, Via.BUTTON, Via.NO):
                data["remove"] = [value for value in answer.values if value != _NO_NUMBER]
                data["passed"].append(step)
        elif answer.value == _KEEP or answer.via is Via.NO:
            data["kept"] = True
        elif step == Question.TARGET.value:
            if answer.via in (Via.CHOICE, Via.BUTTON):
                data.update(targets=list(answer.values), passed=[], consents=[], offers=[], remove=[])
        elif step == Question.REASON.value:
            data["passed"].append(step)
            if answer.via is Via.TEXT:
                data["reason_text"] = kept(answer.value)
            elif answer.value not in ("", _SKIP):
                data["reason"] = answer.value
        elif step == Question.CONSENTS.value:
            if answer.via in (Via.YES, Via.BUTTON, Via.CHOICE):
                data["consents"].append(data["consent_asked"])
        else:
            data["passed"].append(step)

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask what the pack wants asked, in its order; then cancel."""
        data = flow.data
        if data.get("kept"):
            cancellations.note_kept(
                turn.uow,
                brand=turn.pack.brand.id,
                subscription_ids=data.get("targets", ()),
                reason_id=data.get("reason"),
                offers=data.get("offers", ()),
                key=turn.key("kept"),
                now=turn.now,
            )
            turn.say("utter_kept")
            return None
        if data.pop("pause", False):
            about = {MEANT: CANCEL, "subscription_id": ",".join(data.get("targets", ()))}
            entities = tuple({"entity": name, "value": value} for name, value in about.items() if value)
            turn.pass_on(PAUSE, Wish("change_plan", turn.text, entities))
            return None
        held = accounts.subscriptions(turn.uow, turn.known().customer_id)
        candidates = [s for s in held if self._cancellable(turn, s)]
        if not candidates:
            self._nothing_to_cancel(turn, held)
            return None
        if "targets" not in data and self._may_not(turn, candidates):
            return None
        if "targets" not in data or not set(data["targets"]) <= {s.id for s in candidates}:
            if asking := self._target(turn, flow, held, candidates):
                return asking
            if "targets" not in data:
                return None
        previews = cancellations.preview(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=data["targets"],
            remove_numbers=data.get("remove", ()),
            now=turn.now,
        )
        refused = [preview for preview in previews if preview.decision.outcome is not Outcome.ALLOW]
        if refused:
            self._refuse(turn, refused)
            return None
        for question in turn.pack.cancel.questions:
            if question.value not in data["passed"] and (asking := self._question(turn, flow, question, previews)):
                return asking
        if "confirm" not in data["passed"]:
            return self._confirm(turn, flow, previews)
        self._cancel(turn, flow)
        return None

    # --- questions -----------------------------------------------------------------------------------------------

    @staticmethod
    def _cancellable(turn: Turn, subscription: SubscriptionView) -> bool:
        product = turn.pack.product(subscription.product)
        return subscription.status == "active" and product is not None and product.can_cancel

    @staticmethod
    def _target(
        turn: Turn, flow: FlowState, held: Sequence[SubscriptionView], candidates: Sequence[SubscriptionView]
    ) -> Asking | None:
        """Find out what to cancel: named in the wish, the only one there is, or asked for."""
        data = flow.data
        data.pop("targets", None)
        choices = subscription_choices(turn.pack, candidates)
        data["targets_offered"] = [choice.to_json() for choice in choices]
        response, unknown = "utter_ask_which_to_cancel", None
        if wanted := data.pop("wish", None):
            said = Wish.from_json(wanted)
            if hinted := named_in(said, choices, many=True):
                data["targets"] = list(hinted)
                return None
            others = [s for s in held if s not in candidates]
            if gone := named_in(said, subscription_choices(turn.pack, others), many=True, by_place=False):
                _tell_gone(turn, [s for s in others if s.id in gone])
                return None
            if unknown := unknown_number(said, held):
                response = "utter_number_not_found"
        if len(choices) == 1 and unknown is None:
            data["targets"] = [choices[0].value]
            return None
        return turn.ask(
            flow,
            Question.TARGET.value,
            [Expect.CHOICE, Expect.YES_NO],
            response,
            choices=[*choices, all_of(choices)] if len(choices) > 1 else choices,
            many=True,
            number=unknown or "",
        )

    def _question(
        self, turn: Turn, flow: FlowState, question: Question, previews: Sequence[CancelPreview]
    ) -> Asking | None:
        if question is Question.EFFECTS:
            self._tell_effects(turn, previews)
            flow.data["passed"].append(question.value)
            return None
        if question is Question.REMOVE_NUMBERS:
            return self._removal(turn, flow, previews)
        if question is Question.ALTERNATIVES:
            return self._alternatives(turn, flow, previews)
        if question is Question.REASON:
            reasons = [Choice(reason.id, reason.title) for reason in turn.pack.cancel.reasons]
            return turn.ask(
                flow,
                question.value,
                [Expect.CHOICE, Expect.TEXT],
                "utter_ask_cancel_reason",
                choices=[*reasons, Choice(_SKIP, "Skip", ("skip", "pass", "no"))],
            )
        if question is Question.CONSENTS:
            return self._consents(turn, flow, previews)
        return None

    @staticmethod
    def _removal(turn: Turn, flow: FlowState, previews: Sequence[CancelPreview]) -> Asking | None:
        """Offer to remove numbers before they cost anything more: all, some or none."""
        offer = next((preview.removal for preview in previews if preview.removal), None)
        leaving = {preview.subscription.account_id for preview in previews}
        held = [number for number in numbers.held(turn.uow, turn.known().customer_id) if number.account_id in leaving]
        if offer is None or not held:
            return None
        choices = [Choice(number.id, number.label, (number.number,)) for number in held]
        return turn.ask(
            flow,
            Question.REMOVE_NUMBERS.value,
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_remove_numbers",
            choices=[*choices, *([all_of(choices)] if len(choices) > 1 else ()), _REMOVE_NONE],
            many=True,
            says=sentences(offer),
        )

    @staticmethod
    def _tell_effects(turn: Turn, previews: Sequence[CancelPreview]) -> None:
        """What happens to each, and once what happens to all of them alike."""
        texts = [[effect.text for effect in preview.plan.effects] for preview in previews]
        if len(previews) == 1:
            turn.say("utter_cancel_effects", what=_labels(turn, previews), effects=lines(texts[0]))
            return
        shared = [text for text in texts[0] if all(text in others for others in texts[1:])]
        groups = [
            f"{called(turn.pack, preview.subscription)}:\n{lines(text for text in own if text not in shared)}"
            for preview, own in zip(previews, texts, strict=True)
        ]
        turn.say("utter_cancel_effects_of_several", effects="\n\n".join(groups), shared=more(sentences(shared)))

    @staticmethod
    def _alternatives(turn: Turn, flow: FlowState, previews: Sequence[CancelPreview]) -> Asking | None:
        shown = list(dict.fromkeys(a for preview in previews for a in preview.alternatives))[:_MAX_ALTERNATIVES]
        first = wish_buttons(
            offer for preview in previews for effect in preview.plan.effects for offer in effect.offers
        )
        if not shown and not first:
            return None
        told = bool(flow.data.get("offers")) or not shown
        flow.data["offers"] = [alternative.id for alternative in shown]
        pausing = [
            Choice(_PAUSE, each.title, ("pause", "pause it", "pause it instead", "rather pause"))
            for each in shown
            if each.intent is None
        ]
        return turn.ask(
            flow,
            Question.ALTERNATIVES.value,
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_still_cancel" if told else "utter_offer_alternatives",
            choices=[
                Choice(_GO_ON, "Continue cancelling", ("continue", "cancel", "go on", "cancel it", "still cancel")),
                _KEEPING,
                *pausing,
            ],
            beside=[*(wish(each.intent, each.title) for each in shown if each.intent), *first],
            alternatives=sentences(alternative.says for alternative in shown),
            what=_labels(turn, previews),
        )

    @staticmethod
    def _consents(turn: Turn, flow: FlowState, previews: Sequence[CancelPreview]) -> Asking | None:
        wanted = list(dict.fromkeys(c for preview in previews for c in preview.consents))
        missing = [consent for consent in wanted if consent.id not in flow.data["consents"]]
        if not missing:
            return None
        consent = missing[0]
        flow.data["consent_asked"] = consent.id
        return turn.ask(
            flow,
            Question.CONSENTS.value,
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_consent",
            choices=[
                Choice(_AGREE, "I agree", ("agree", "agreed", "i consent", "accept", "i understand")),
                _KEEPING,
            ],
            wording=consent.wording,
        )

    @staticmethod
    def _confirm(turn: Turn, flow: FlowState, previews: Sequence[CancelPreview]) -> Asking:
        ends = [
            f"{called(turn.pack, preview.subscription)}, ends on {turn.day(preview.plan.effective_at)}"
            for preview in previews
        ]
        held = numbers.held(turn.uow, turn.known().customer_id)
        if removed := [number.label for number in held if number.id in flow.data.get("remove", ())]:
            turn.say("utter_will_remove_numbers", numbers=join(removed))
        return turn.ask(
            flow,
            "confirm",
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_confirm_cancel" if len(previews) == 1 else "utter_ask_confirm_cancel_several",
            choices=[
                Choice("confirm", "Yes, cancel", ("cancel it", "cancel", "confirm", "do it", "go ahead")),
                _KEEPING,
            ],
            what=_labels(turn, previews),
            date=turn.day(previews[0].plan.effective_at),
            ends=lines(ends),
        )

    def _may_not(self, turn: Turn, candidates: Sequence[SubscriptionView]) -> bool:
        """Somebody who may cancel nothing is told so, and told why, before being asked anything."""
        previews = cancellations.preview(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=[candidate.id for candidate in candidates],
            now=turn.now,
        )
        refused = all(preview.decision.outcome is not Outcome.ALLOW for preview in previews)
        if refused and len({preview.decision.rule_id for preview in previews}) == 1:
            self._refuse(turn, previews)
            return True
        return False

    # --- ends ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _refuse(turn: Turn, refused: Sequence[CancelPreview]) -> None:
        """A refusal is a decision too: it goes on record with its facts."""
        cancellations.cancel(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=[preview.subscription.id for preview in refused],
            reason_id=None,
            reason_text=None,
            consents=(),
            offers=(),
            conversation_id=turn.conversation_id,
            key=turn.key("cancel"),
            now=turn.now,
        )
        decided = {preview.decision.rule_id: preview.decision for preview in refused}
        for decision in decided.values():
            turn.tell(
                sentences(decision.reasons),
                sentences(decision.next_steps),
                buttons=wish_buttons([*decision.offers, "talk_to_human"]),
            )
        for account_id, preview in {preview.subscription.account_id: preview for preview in refused}.items():
            offer_to_tell(
                turn,
                preview.decision,
                account_id=account_id,
                what=f"{PHRASES['cancel_subscription']} {_labels(turn, refused)}",
            )

    @staticmethod
    def _nothing_to_cancel(turn: Turn, held: Sequence[SubscriptionView]) -> None:
        ending = [s for s in held if s.status == "not_renewing"]
        if held:
            _tell_gone(turn, ending or held[-1:])
        else:
            turn.say("utter_no_subscriptions")

    @staticmethod
    def _cancel(turn: Turn, flow: FlowState) -> None:
        data: dict[str, Any] = flow.data
        agreed = [c for c in turn.pack.cancel.consents if c.id in data["consents"]]
        result = cancellations.cancel(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=data["targets"],
            reason_id=data.get("reason"),
            reason_text=data.get("reason_text"),
            consents=[(consent.id, consent.version, consent.wording) for consent in agreed],
            offers=data.get("offers", ()),
            remove_numbers=data.get("remove", ()),
            conversation_id=turn.conversation_id,
            key=turn.key("cancel"),
            now=turn.now,
        )
        if result.already:
            titles = {choice["value"]: choice["title"] for choice in data["targets_offered"]}
            _tell_already(turn, [(titles.get(c.subscription_id, ""), c) for c in result.already])
        if result.receipt is None:
            return
        if result.removed:
            turn.say("utter_numbers_removed", numbers=join([number.label for number in result.removed]))
        turn.settled.add(PAUSE)
        cancelled = [item.subscription.id for item in result.cancelled]
        turn.done = Done(CANCEL, tuple(cancelled))
        only = result.cancelled[0]
        turn.say(
            "utter_cancelled" if len(result.cancelled) == 1 else "utter_cancelled_several",
            what=called(turn.pack, only.subscription),
            date=turn.day(only.cancellation.effective_at),
            reference=only.cancellation.reference,
            done=lines(
                f"{called(turn.pack, item.subscription)} ends on {turn.day(item.cancellation.effective_at)}"
                f" (reference {item.cancellation.reference})"
                for item in result.cancelled
            ),
            undo=_undo(turn, result.cancelled),
            receipt=result.receipt.reference,
            email=turn.known().email,
            attachments=[receipt_attachment(result.receipt)],
            buttons=[wish("resume_subscription", "Undo this", subscription_id=",".join(cancelled))],
        )


def _labels(turn: Turn, previews: Sequence[CancelPreview]) -> str:
    return join([called(turn.pack, preview.subscription) for preview in previews])


def _undo(turn: Turn, cancelled: Sequence[CancelledItem]) -> str:
    """Until when each can be undone: in the pack's words for one, as dates for several."""
    if len(cancelled) == 1:
        return sentences(cancelled[0].plan.undo_says)
    return join(
        [
            f"{called(turn.pack, item.subscription)} before {turn.day(item.plan.undo_until)}"
            for item in cancelled
            if item.plan.undo_until is not None
        ]
    )


def _tell_gone(turn: Turn, subscriptions: Sequence[SubscriptionView]) -> None:
    """These are not running any more, so there is nothing to cancel: say since when, and what is left to do."""
    ending = [
        (called(turn.pack, s), s.cancellation) for s in subscriptions if s.status == "not_renewing" and s.cancellation
    ]
    if ending:
        _tell_already(turn, ending)
    others = [s.id for s in subscriptions if s.status != "not_renewing" or s.cancellation is None]
    for preview in cancellations.preview(
        turn.uow, pack=turn.pack, customer=turn.known(), subscription_ids=others, now=turn.now
    ):
        decision = preview.decision
        turn.tell(
            sentences(decision.reasons),
            sentences(decision.next_steps),
            buttons=offer_buttons(turn, decision.offers),
        )


def _tell_already(turn: Turn, cancelled: Sequence[tuple[str, CancellationView]]) -> None:
    turn.say(
        "utter_already_cancelled" if len(cancelled) == 1 else "utter_already_cancelled_several",
        what=cancelled[0][0],
        date=turn.day(cancelled[0][1].effective_at),
        reference=cancelled[0][1].reference,
        done=lines(f"{label} ends on {turn.day(c.effective_at)} (reference {c.reference})" for label, c in cancelled),
        buttons=[
            wish(
                "resume_subscription",
                "Keep it after all" if len(cancelled) == 1 else "Keep them after all",
                subscription_id=",".join(c.subscription_id for _, c in cancelled),
            )
        ],
    )
