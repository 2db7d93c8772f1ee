"""Letting somebody know who may do what this customer may not: offered after a refusal, mailed once."""

from __future__ import annotations

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.common import join
from bot.dialogue.flow import Flow
from bot.dialogue.registry import TELL
from bot.dialogue.turn import Turn, Wish
from bot.dialogue.wishes import wish_buttons
from bot.policy.decision import Decision
from bot.services import owner_notice
from bot.services.owner_notice import NoticeStatus

_YES, _NO = "yes", "no"


def offer_to_tell(turn: Turn, decision: Decision, *, account_id: str, what: str) -> None:
    """Offer it after a refusal that names who could; `what` is what was asked for, as in `cancelling smrtDialer`."""
    if decision.tell is not None:
        about = {"account_id": account_id, "role": decision.tell}
        entities = tuple({"entity": name, "value": value} for name, value in about.items())
        turn.pass_on(TELL, Wish(TELL, what, entities))


class Telling(Flow):
    """Tells those of a role in an account who asked for what. Learns: `account_id`, `role`, `what`, `agreed`."""

    name = TELL
    needs_fresh_proof = False

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Whom to tell what."""
        wanted = turn.wish
        flow.data.update(account_id=wanted.entity("account_id"), role=wanted.entity("role"), what=wanted.words)

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn whether they should be told."""
        if answer.via is Via.NO or answer.value == _NO:
            flow.data["agreed"] = False
        elif answer.via is Via.YES or answer.value == _YES:
            flow.data["agreed"] = True

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask whether, then tell them."""
        data = flow.data
        if "agreed" not in data:
            return turn.ask(
                flow,
                "tell",
                [Expect.CHOICE, Expect.YES_NO],
                "utter_ask_tell",
                choices=[
                    Choice(_YES, "Yes, let them know", ("let them know", "tell them", "go ahead")),
                    Choice(_NO, "No, thanks", ("don't tell them", "no need")),
                ],
                says=" ".join(turn.text_of("tell_offer")),
            )
        if not data["agreed"]:
            turn.say("utter_fine")
            return None
        notice = owner_notice.tell(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            account_id=data["account_id"],
            what=data["what"],
            role=data["role"],
            conversation_id=turn.conversation_id,
            key=turn.key("tell"),
            now=turn.now,
        )
        if notice.status is NoticeStatus.SENT:
            turn.tell(*turn.text_of("tell_done"))
        elif notice.status is NoticeStatus.SENT_BEFORE:
            turn.say("utter_told_before", names=join(notice.told), days=owner_notice.ONCE_IN.days)
        else:
            turn.say("utter_nobody_to_tell", buttons=wish_buttons(["talk_to_human"]))
        return None
