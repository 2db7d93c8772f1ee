"""A number that gets no texts: what the log says, a test text, what an investigation needs, a ticket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via, kept
from bot.dialogue.common import join, more, named_in, offer_buttons, sentences, subscription_choices, unknown_number
from bot.dialogue.flow import Flow
from bot.dialogue.flows.refund import request, tell_result
from bot.dialogue.registry import NOT_RECEIVING
from bot.dialogue.turn import Turn, Wish
from bot.policy.decision import Matter, Outcome
from bot.services import accounts, investigations
from bot.services.views import SubscriptionView

_SENT, _CANNOT, _SKIP = "sent", "cannot", "skip"
_YES, _NO = "yes", "no"
_KNOWN_FROM_ACCOUNT = {"email", "order_or_subscription_id", "phone_number"}
_A_STORY = 60  # characters: a wish this long says what goes wrong, so that nobody is asked to say it again
_CALENDAR = re.compile(  # a day that can only be one: today, yesterday, with its month's name, or written as ISO
    r"\btoday\b|yesterday|this (?:morning|afternoon|evening)|last night|"
    r"\d{4}-\d|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|january|february|march|april|june|july|august|"
    r"september|october|november|december)\b",
    re.I,
)
_ABOUT = re.compile(r"\b(?:about|around|roughly|maybe|approximately|like|some)\b", re.I)
_SINCE = re.compile(r"\bsince\b|\bago\b|\bstopped\b|\bstarted\b", re.I)


class NotReceiving(Flow):
    """Looks, tests, collects, opens an investigation.

    Learns: `wish`, `target` (subscription id), `test` with `asked_at`, `details` (by the pack's evidence), `day` (ISO,
    next to the customer's own words) with `day_said` and whether it is `day_sure`, `files`.
    """

    name = NOT_RECEIVING
    keeps_files = True

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Keep the customer's own words: told at some length, they are the description of the fault."""
        wish = turn.wish
        details = {}
        if len(wish.words) >= _A_STORY:
            details["description"] = wish.words
        if _SINCE.search(wish.words) and _note_day(flow, wish):
            details["since"] = flow.data["day"]
        flow.data.update(wish=wish.to_json(), details=details)

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn which number, how the test went, or one field of the investigation."""
        data = flow.data
        if answer.via is Via.FORWARD:
            return
        if answer.step == "target":
            data["target"] = answer.value
        elif answer.step == "test":
            data["test"] = _CANNOT if answer.value == _CANNOT or answer.via is Via.NO else _SENT
        elif answer.step == "day":
            _take_day(turn, flow, answer)
        elif answer.step == "attachments":
            data["details"]["attachments"] = kept(answer.value) if answer.via in (Via.TEXT, Via.FILES) else ""
        else:
            data["details"][answer.step] = kept(answer.value)
            if answer.step == "since":
                _note_day(flow, turn.wish)

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Look at the log first; only what it does not settle is tested and investigated."""
        held = [
            s for s in accounts.subscriptions(turn.uow, turn.known().customer_id) if s.number and s.status != "failed"
        ]
        live = [s for s in held if s.number_status in ("active", "releasing")]
        if not live:
            self._no_number(turn, held)
            return None
        if asking := self._target(turn, flow, live):
            return asking
        subscription = next(s for s in live if s.id == flow.data["target"])
        if "test" not in flow.data:
            return self._look_at_the_log(turn, flow, subscription)
        if flow.data["test"] == _SENT and self._test_arrived(turn, flow, subscription):
            return None
        return self._collect(turn, flow, subscription)

    @staticmethod
    def _no_number(turn: Turn, held: Sequence[SubscriptionView]) -> None:
        """None that could be tested: for one that is gone, or was never set up, policy says what that means."""
        everything = held or accounts.subscriptions(turn.uow, turn.known().customer_id)
        if everything:
            tell_result(turn, request(turn, Matter.NOT_RECEIVING, subscription_id=everything[-1].id))
        else:
            turn.say("utter_no_subscriptions")

    @staticmethod
    def _target(turn: Turn, flow: FlowState, live: Sequence[SubscriptionView]) -> Asking | None:
        choices = subscription_choices(turn.pack, live)
        if flow.data.get("target") in {choice.value for choice in choices}:
            return None
        wish = Wish.from_json(flow.data["wish"])
        hinted = named_in(wish, choices, many=False, by_place=False)
        unknown = None if hinted or flow.data.get("told_unknown") else unknown_number(wish, live)
        if hinted or (len(choices) == 1 and unknown is None):
            flow.data["target"] = hinted[0] if hinted else choices[0].value
            return None
        flow.data["told_unknown"] = unknown is not None
        return turn.ask(
            flow,
            "target",
            [Expect.CHOICE],
            "utter_ask_which_number_fails" if unknown is None else "utter_number_not_found",
            choices=choices,
            number=unknown or "",
        )

    @staticmethod
    def _look_at_the_log(turn: Turn, flow: FlowState, subscription: SubscriptionView) -> Asking | None:
        asked_before = "asked_at" in flow.data
        if not asked_before:
            existing = investigations.find(
                turn.uow, customer_id=turn.known().customer_id, number_id=subscription.number_id or ""
            )
            if existing is not None and existing.status == "open":
                turn.say(
                    "utter_investigation_open",
                    number=subscription.label,
                    reference=existing.ticket_reference,
                    date=turn.day(existing.opened_at),
                )
                return None
            result = request(turn, Matter.NOT_RECEIVING, subscription_id=subscription.id)
            if result.decision.outcome not in (Outcome.INVESTIGATE, Outcome.NEED_EVIDENCE):
                tell_result(turn, result)
                return None
            flow.data["asked_at"] = turn.now.isoformat()
            flow.data["why"] = sentences(result.decision.reasons)
        return turn.ask(
            flow,
            "test",
            [Expect.CHOICE, Expect.YES_NO],
            "utter_ask_test_sms_again" if asked_before else "utter_ask_test_sms",
            choices=[
                Choice(_SENT, "I've sent it", ("sent", "done", "i have sent it", "sent it", "just sent", "texted it")),
                Choice(
                    _CANNOT,
                    "I can't do that now",
                    (
                        "can't",
                        "cannot",
                        "can not",
                        "no phone",
                        "not possible",
                        "later",
                        "don't have a phone",
                        "not now",
                    ),
                ),
            ],
            number=subscription.label,
            why=flow.data["why"],
            says=turn.pack.investigation.test_sms,
        )

    @staticmethod
    def _test_arrived(turn: Turn, flow: FlowState, subscription: SubscriptionView) -> bool:
        """Whether the test text is there; looked at each time, so that one that took a while is still seen."""
        since = datetime.fromisoformat(flow.data["asked_at"])
        if investigations.test_sms_arrived(turn.uow, number_id=subscription.number_id or "", since=since):
            result = request(
                turn,
                Matter.NOT_RECEIVING,
                subscription_id=subscription.id,
                extra={"test_sms_sent": True, "test_sms_arrived": True},
            )
            turn.say(
                "utter_test_arrived",
                number=subscription.label,
                why=sentences(result.decision.reasons),
                buttons=offer_buttons(turn, result.decision.offers),
            )
            return True
        if not flow.data.get("told_not_arrived"):
            flow.data["told_not_arrived"] = True
            turn.say("utter_test_not_arrived", number=subscription.label)
        return False

    def _collect(self, turn: Turn, flow: FlowState, subscription: SubscriptionView) -> Asking | None:
        data = flow.data
        known = {*data["details"], *_KNOWN_FROM_ACCOUNT, *(["name"] if turn.known().name else [])}
        for wanted in turn.pack.investigation.fields:
            if wanted.evidence in known:
                continue
            evidence = turn.pack.evidence[wanted.evidence]
            if wanted.evidence == "attachments":
                if data.get("files"):
                    continue
                return turn.ask(
                    flow,
                    "attachments",
                    [Expect.FILES, Expect.CHOICE, Expect.YES_NO, Expect.TEXT],
                    "utter_ask_evidence",
                    choices=[Choice(_SKIP, "Nothing to add", ("skip", "no", "none", "nothing", "no screenshots"))],
                    asks=evidence.asks,
                )
            return turn.ask(
                flow,
                wanted.evidence,
                [Expect.TEXT] if wanted.required else [Expect.TEXT, Expect.CHOICE],
                "utter_ask_day_again" if wanted.evidence == "since" and data.get("day_wrong") else "utter_ask_evidence",
                choices=[] if wanted.required else [Choice(_SKIP, "Skip", ("skip", "no"))],
                asks=evidence.asks,
                example=turn.day(turn.now),
            )
        # Last of all: a form answers everything at once, and cannot answer a question that comes in between.
        if asking := _confirm_day(turn, flow):
            return asking
        self._open(turn, flow, subscription)
        return None

    @staticmethod
    def _open(turn: Turn, flow: FlowState, subscription: SubscriptionView) -> None:
        customer, data = turn.known(), flow.data
        files: list[str] = data.get("files", [])
        details = {
            "name": customer.name,
            "email": customer.email,
            "order_or_subscription_id": subscription.id,
            "phone_number": subscription.number or "",
            "first_words": Wish.from_json(data["wish"]).words,
            "test_sms": "sent, did not arrive" if data["test"] == _SENT else "not sent",
            **data["details"],
        }
        if "day" in data:
            details["since_date"] = data["day"]
        if files:
            details["attachments"] = sentences([f"{_count(files)}.", data["details"].get("attachments", "")])
        _, ticket = investigations.open(
            turn.uow,
            pack=turn.pack,
            customer=customer,
            number_id=subscription.number_id or "",
            subscription_id=subscription.id,
            details={name: value for name, value in details.items() if value},
            attachment_ids=files,
            conversation_id=turn.conversation_id,
            key=turn.key("investigation"),
            now=turn.now,
        )
        noted = [_since(turn, flow)]
        if data["test"] == _SENT:
            noted.append("a test text that did not arrive")
        if files:
            noted.append(_count(files))
        turn.say(
            "utter_investigation_opened",
            number=subscription.label,
            reference=ticket.reference,
            email=customer.email,
            noted=join(noted),
            more=more(*turn.text_of("investigation_next")),
        )


def _note_day(flow: FlowState, wish: Wish) -> bool:
    """Keep the day that the words name, next to the words themselves; False if they name none."""
    named = next((entity for entity in wish.entities if entity.get("entity") == "date"), None)
    if named is None:
        return False
    said = str(named.get("text", ""))
    flow.data.update(
        day=str(named["value"]),
        exact=named.get("grain", "day") == "day",
        day_said=said,
        day_sure=bool(_CALENDAR.search(said)),
    )
    return True


def _confirm_day(turn: Turn, flow: FlowState) -> Asking | None:
    """Ask whether "last Tuesday" is the day we take it for: a fault's first day decides what is looked at."""
    data = flow.data
    if not data.get("exact") or not data.get("day_said") or data["day_sure"]:
        return None
    said: str = data["day_said"]
    return turn.ask(
        flow,
        "day",
        [Expect.CHOICE, Expect.YES_NO, Expect.TEXT],
        "utter_ask_day",
        choices=[
            Choice(_YES, "Yes", ("right", "correct", "exactly", "that's right")),
            Choice(_NO, "No, another day", ("another day", "wrong", "not that day")),
        ],
        said=f"“{said[:1].upper()}{said[1:]}”",
        since="since about " if _ABOUT.search(said) else "since ",
        date=_day(turn, data["day"]),
    )


def _take_day(turn: Turn, flow: FlowState, answer: Answer) -> None:
    """Yes, or another day, or no: then it is asked for anew."""
    data = flow.data
    if answer.via is Via.YES or answer.value == _YES:
        data["day_sure"] = True
    elif _note_day(flow, turn.wish):
        data["details"]["since"] = kept(turn.wish.words)
    elif answer.via is Via.TEXT and answer.value != _NO:
        data.update(exact=False)
        data["details"]["since"] = kept(answer.value)
    else:
        data.update(exact=False, day_wrong=True)
        data.pop("day", None)
        data["details"].pop("since", None)


def _day(turn: Turn, iso: str) -> str:
    """A day as this brand's customers read it."""
    return turn.day(datetime.combine(date.fromisoformat(iso), time(12), turn.pack.brand.zone))


def _since(turn: Turn, flow: FlowState) -> str:
    """Since when, as it was understood: the day where one was named, otherwise the customer's words."""
    if flow.data.get("exact"):
        return f"no texts since {_day(turn, flow.data['day'])}"
    words = flow.data["details"]["since"].strip(" .!")
    return f"since when (“{words}”)"


def _count(files: Sequence[str]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"
