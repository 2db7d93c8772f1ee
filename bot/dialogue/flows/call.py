"""Booking a call with the brand's team: a time that is free, booked once, with a case and a calendar file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.flow import Flow
from bot.dialogue.registry import CALL
from bot.dialogue.turn import Turn
from bot.dialogue.wishes import wish_buttons
from bot.errors import InvalidInput
from bot.policy.pack import Pack
from bot.services import calls
from bot.services.attachments import AttachmentView
from bot.services.calls import Slot

_SHOWN = 5
_NOON = 12
_NONE = "none"
_TIME = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?m\b|\b(\d{1,2}):(\d{2})\b|\bat (\d{1,2})\b", re.I)
_DAY = re.compile(r"\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b", re.I)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b|\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b", re.I)
_TOMORROW = re.compile(r"\btomorrow\b", re.I)
_LATER = re.compile(r"\bnext\b", re.I)  # "next Tuesday" may be either of two
_HALF = re.compile(r"\b(morning|afternoon)\b", re.I)


class Call(Flow):
    """Books a call, where the brand offers calls. Learns: `said` (words that may name a time), `slot`, `declined`."""

    name = CALL
    needs_fresh_proof = False

    def serves(self, pack: Pack) -> bool:
        """Only a brand that takes bookings; elsewhere the pack's answer says how to reach people."""
        return pack.calls is not None

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """The wish may name a time."""
        flow.data["said"] = turn.wish.words

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn the time."""
        if answer.value == _NONE:
            flow.data["declined"] = True
        elif answer.via in (Via.BUTTON, Via.CHOICE):
            flow.data["slot"] = answer.value
        elif answer.via is Via.TEXT:
            flow.data["said"] = answer.value

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask for a time until one is free, then book it. A time that was named exactly needs no further question."""
        if flow.data.get("declined"):
            turn.say("utter_no_call")
            return None
        free = calls.free_slots(turn.uow, pack=turn.pack, customer=turn.known(), now=turn.now)
        if not free:
            turn.say("utter_no_slots", buttons=wish_buttons(["talk_to_human", "open_ticket"]))
            return None
        said = str(flow.data.pop("said", ""))
        named = _named(turn.pack, free, said, turn.now)
        slot_id = flow.data.pop("slot", None) or (named[0].id if len(named) == 1 else None)
        if slot_id is not None:
            try:
                self._book(turn, slot_id)
                return None
            except InvalidInput as taken:
                turn.tell(str(taken))
                named = []
        response = "utter_ask_slot"
        if _names_a_time(said):
            response = "utter_ask_slot_of_several" if named else "utter_ask_slot_again"
        shown = _spread(turn.pack, named or free)
        return turn.ask(
            flow,
            "slot",
            [Expect.CHOICE, Expect.TEXT],
            response,
            choices=[
                *(Choice(slot.id, calls.slot_label(turn.pack, slot)) for slot in shown),
                Choice(_NONE, "No call, thanks", ("no", "none", "no call", "skip")),
            ],
        )

    @staticmethod
    def _book(turn: Turn, slot_id: str) -> None:
        booked = calls.book(
            turn.uow,
            pack=turn.pack,
            customer=turn.known(),
            slot_id=slot_id,
            conversation_id=turn.conversation_id,
            key=turn.key("book"),
            now=turn.now,
        )
        turn.say(
            "utter_call_booked_before" if booked.repeated else "utter_call_booked",
            slot=calls.slot_label(turn.pack, booked.slot),
            reference=booked.ticket.reference,
            email=turn.known().email,
            attachments=[_attachment(booked.calendar)] if booked.calendar else [],
        )


def _attachment(kept: AttachmentView) -> dict[str, object]:
    return {"id": kept.id, "name": kept.name, "media_type": kept.media_type, "size": kept.size, "kind": "file"}


def _spread(pack: Pack, free: Sequence[Slot]) -> list[Slot]:
    """A few of them, soonest first: all if there are few, otherwise one of each morning and afternoon."""
    if len(free) <= _SHOWN:
        return list(free)
    halves: dict[tuple[object, bool], Slot] = {}
    for slot in free:
        start = slot.start.astimezone(pack.brand.zone)
        halves.setdefault((start.date(), start.hour < _NOON), slot)
    return (list(halves.values()) if len(halves) >= _SHOWN else list(free))[:_SHOWN]


def _named(pack: Pack, free: Iterable[Slot], said: str, now: datetime) -> list[Slot]:
    """Those that a text means by a weekday, a date, a time or a part of the day; none if it names nothing of these.

    A weekday alone is the nearest.
    """
    if not _names_a_time(said):
        return []

    def local(slot: Slot) -> datetime:
        return slot.start.astimezone(pack.brand.zone)

    days = {found[0][:3].lower() for found in _DAY.finditer(said)}
    dates = {(int(d[1] or d[4]), (d[2] or d[3]).lower()) for d in _DATE.finditer(said)}
    if _TOMORROW.search(said):
        tomorrow = now.astimezone(pack.brand.zone) + timedelta(days=1)
        dates.add((tomorrow.day, f"{tomorrow:%b}".lower()))
    times = {time for found in _TIME.finditer(said) for time in _times(found)}
    halves = {found[0].lower() == "morning" for found in _HALF.finditer(said)}
    meant: list[Slot] = []
    for slot in free:
        start = local(slot)
        if (
            (not days or f"{start:%a}".lower() in days)
            and (not dates or (start.day, f"{start:%b}".lower()) in dates)
            and (not times or (start.hour, start.minute) in times)
            and (not halves or (start.hour < _NOON) in halves)
        ):
            meant.append(slot)
    if days and not dates and not _LATER.search(said):
        nearest = {f"{start:%a}": start.date() for start in map(local, reversed(meant))}
        meant = [slot for slot in meant if local(slot).date() in nearest.values()]
    return meant


def _times(found: re.Match[str]) -> tuple[tuple[int, int], ...]:
    """The time on the clock; "at 3" may be either half of the day."""
    if found[3]:
        return ((int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0), int(found[2] or 0)),)
    if found[4]:
        return ((int(found[4]), int(found[5])),)
    return (int(found[6]), 0), (int(found[6]) + 12, 0)


def _names_a_time(said: str) -> bool:
    return any(pattern.search(said) for pattern in (_TIME, _DAY, _DATE, _TOMORROW, _HALF))
