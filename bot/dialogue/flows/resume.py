"""Undoing a cancellation, before its date or after it: which, agreed to what it costs, done once, with a receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.common import (
    all_of,
    every,
    join,
    lines,
    named_in,
    offer_buttons,
    receipt_attachment,
    sentences,
    subscription_choices,
    unknown_number,
)
from bot.dialogue.flow import Flow
from bot.dialogue.flows.telling import offer_to_tell
from bot.dialogue.registry import RESUME, UNPAUSE
from bot.dialogue.turn import Done, Turn, Wish
from bot.dialogue.wishes import wish_buttons
from bot.policy.decision import Outcome
from bot.services import accounts, cancellations
from bot.services.belongings import heads
from bot.services.cancellations import ResumePreview, ResumeResult
from bot.services.views import SubscriptionView, called
from bot.services.wish_words import PHRASES

_YES, _NO = "yes", "no"


class Resume(Flow):
    """Brings back what was cancelled, as far as the pack's rules allow; what went along with it comes next.

    Learns: `wish` (until it is clear what it is about), `targets_offered`, `targets` (subscription ids), `agreed`.
    """

    name = RESUME

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the wish: its words may name which one."""
        flow.data["wish"] = turn.wish.to_json()

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn which, or whether it is agreed."""
        if answer.via is Via.NO or answer.value == _NO:
            flow.data["agreed"] = False
        elif answer.step == "target":
            if answer.via in (Via.CHOICE, Via.BUTTON):
                flow.data["targets"] = list(answer.values)
        else:
            flow.data["agreed"] = True

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Find what can come back, ask which and whether, then bring it back."""
        data = flow.data
        held = accounts.subscriptions(turn.uow, turn.known().customer_id)
        previews = self._previews(turn, [s for s in held if s.status in ("not_renewing", "ended")])
        if "wish" in data and self._means_a_pause(turn, held, previews, Wish.from_json(data["wish"])):
            turn.pass_on(UNPAUSE, Wish.from_json(data["wish"]))
            return None
        if not previews:
            turn.say("utter_nothing_to_resume")
            return None
        if data.get("agreed") is False:
            ids = data.get("targets") or [id_ for id_, p in previews.items() if p.decision.outcome is Outcome.ALLOW]
            left = [previews[id_].subscription for id_ in ids if id_ in previews]
            turn.say("utter_left_to_end", what=_labels(turn, left))
            return None
        known = data.get("targets") and set(data["targets"]) <= set(previews)
        if not known and (asking := self._target(turn, flow, held, previews)):
            return asking
        if not data.get("targets"):
            turn.say("utter_nothing_to_resume")
            return None
        chosen = [previews[id_] for id_ in data["targets"]]
        possible = [preview for preview in chosen if preview.decision.outcome is Outcome.ALLOW]
        if not possible:
            self._refuse(turn, chosen)
            return None
        if "agreed" not in data:
            return self._agree(turn, flow, possible, stays=len(previews) > len(possible))
        result = self._resume(turn, [preview.subscription.id for preview in possible])
        return self._next(turn, flow, [preview for preview in chosen if preview not in possible], result)

    @staticmethod
    def _means_a_pause(
        turn: Turn, held: Sequence[SubscriptionView], previews: Mapping[str, ResumePreview], said: Wish
    ) -> bool:
        """Whether it is about a pause: of what the wish names, or because nothing else could come back."""
        paused = [each for each in held if each.open_pause and each.status == "active"]
        if not paused or named_in(said, subscription_choices(turn.pack, paused), many=False):
            return bool(paused)
        return all(preview.decision.outcome is not Outcome.ALLOW for preview in previews.values())

    # --- questions -----------------------------------------------------------------------------------------------

    @staticmethod
    def _previews(turn: Turn, subscriptions: Sequence[SubscriptionView]) -> dict[str, ResumePreview]:
        found = cancellations.preview_resume(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=[subscription.id for subscription in subscriptions],
            now=turn.now,
        )
        return {preview.subscription.id: preview for preview in found}

    @staticmethod
    def _target(
        turn: Turn, flow: FlowState, held: Sequence[SubscriptionView], previews: Mapping[str, ResumePreview]
    ) -> Asking | None:
        """Find out what to bring back: named in the wish, the only one that can come back, or asked for.

        Where nothing can, it is about all of it, unless something else runs.
        """
        data = flow.data
        data.pop("targets", None)
        cancelled = [preview.subscription for preview in previews.values()]
        possible = [p.subscription for p in previews.values() if p.decision.outcome is Outcome.ALLOW]
        choices = subscription_choices(turn.pack, possible)
        data["targets_offered"] = [choice.to_json() for choice in choices]
        unknown = None
        if wanted := data.pop("wish", None):
            said = Wish.from_json(wanted)
            if hinted := named_in(said, subscription_choices(turn.pack, cancelled), many=True, by_place=bool(possible)):
                data["targets"] = list(hinted)
                return None
            unknown = unknown_number(said, held)
        if not possible:
            running = any(subscription.status == "active" for subscription in held)
            data["targets"] = [] if running else [subscription.id for subscription in heads(turn.pack, cancelled)]
            return None
        if len(choices) == 1 and unknown is None:
            data["targets"] = [choices[0].value]
            return None
        return turn.ask(
            flow,
            "target",
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_which_to_resume" if unknown is None else "utter_number_not_found",
            choices=[*choices, all_of(choices)] if len(choices) > 1 else choices,
            many=True,
            number=unknown or "",
        )

    @staticmethod
    def _agree(turn: Turn, flow: FlowState, possible: Sequence[ResumePreview], *, stays: bool) -> Asking:
        """`stays`: something else stays cancelled, so the rules have more to say than dates and prices."""
        subscriptions = [preview.subscription for preview in possible]
        ended = any(subscription.status == "ended" for subscription in subscriptions)
        if gone := dict.fromkeys(line for preview in possible for line in preview.not_undone):
            turn.say("utter_not_undone", lines=lines(gone))
        reasons = dict.fromkeys(reason for preview in possible for reason in preview.decision.reasons)
        return turn.ask(
            flow,
            "agree",
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_reactivate" if ended or stays else "utter_ask_resume",
            choices=[
                Choice(
                    _YES,
                    "Yes, reactivate" if ended else "Yes, keep it",
                    ("yes", "keep it", "resume", "reactivate", "reactivate it", "go ahead"),
                ),
                Choice(
                    _NO,
                    "No, leave it" if ended else "No, let it end",
                    ("no", "let it end", "leave it"),
                    ("cancel_subscription",),
                ),
            ],
            says=sentences(reasons),
            what=_labels(turn, subscriptions),
            terms=lines(_terms(turn, subscription) for subscription in subscriptions),
        )

    # --- ends ----------------------------------------------------------------------------------------------------

    def _next(
        self, turn: Turn, flow: FlowState, waiting: Sequence[ResumePreview], result: ResumeResult
    ) -> Asking | None:
        """What was meant too, or had gone along, is asked about by itself: it does not come back with the other."""
        left = {s.id: s for s in (*(preview.subscription for preview in waiting), *result.left_cancelled)}
        previews = self._previews(turn, list(left.values()))
        possible = [id_ for id_, preview in previews.items() if preview.decision.outcome is Outcome.ALLOW]
        if left:
            turn.say("utter_stays_cancelled_by_itself", what=_labels(turn, list(left.values())))
        if not possible or not result.resumed:
            return None
        flow.data["targets"] = possible
        del flow.data["agreed"]
        return self.advance(turn, flow)

    @staticmethod
    def _resume(turn: Turn, subscription_ids: list[str]) -> ResumeResult:
        result = cancellations.resume(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=subscription_ids,
            conversation_id=turn.conversation_id,
            key=turn.key("resume"),
            now=turn.now,
        )
        for subscription, sentence, _rule in result.not_possible:
            turn.tell(f"{called(turn.pack, subscription)}: {sentence}", buttons=wish_buttons(["talk_to_human"]))
        if result.receipt is None:
            return result
        turn.done = Done(RESUME, tuple(subscription.id for subscription in result.resumed))
        only = result.resumed[0]
        turn.say(
            "utter_resumed" if len(result.resumed) == 1 else "utter_resumed_several",
            what=called(turn.pack, only),
            date=turn.day(only.period_end),
            price=f"{only.price.format()} {every(only.interval_months)}",
            done=lines(_terms(turn, subscription) for subscription in result.resumed),
            receipt=result.receipt.reference,
            email=turn.known().email,
            attachments=[receipt_attachment(result.receipt)],
        )
        return result

    @staticmethod
    def _refuse(turn: Turn, refused: Sequence[ResumePreview]) -> None:
        """What cannot come back is a decision too: it goes on record with its facts, and the rule says why."""
        cancellations.resume(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            subscription_ids=[preview.subscription.id for preview in refused],
            conversation_id=turn.conversation_id,
            key=turn.key("resume"),
            now=turn.now,
        )
        for decision in {preview.decision.rule_id: preview.decision for preview in refused}.values():
            turn.tell(
                sentences(decision.reasons),
                sentences(decision.next_steps),
                buttons=offer_buttons(turn, [*decision.offers, "talk_to_human"]),
            )
        asked = f"{PHRASES['resume_subscription']}: {_labels(turn, [preview.subscription for preview in refused])}"
        for account_id, preview in {preview.subscription.account_id: preview for preview in refused}.items():
            offer_to_tell(turn, preview.decision, account_id=account_id, what=asked)


def _labels(turn: Turn, subscriptions: Sequence[SubscriptionView]) -> str:
    return join([called(turn.pack, subscription) for subscription in subscriptions])


def _terms(turn: Turn, subscription: SubscriptionView) -> str:
    price = f"{subscription.price.format()} {every(subscription.interval_months)}"
    when = "from today on" if subscription.status == "ended" else f"renews on {turn.day(subscription.period_end)}"
    return f"{called(turn.pack, subscription)}: {when} for {price}"
