"""What somebody who waits for a person may still say to the bot, and how a wait and its end are put in words."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.dialogue.common import more, sentences
from bot.dialogue.wishes import PERSON_WANTED
from bot.policy.dates import format_date
from bot.policy.facts import Facts
from bot.policy.pack import Pack
from bot.policy.wording import render
from bot.services import presence
from bot.services.tickets import TicketView
from bot.store.unit_of_work import UnitOfWork

CHOOSES_WITHIN = timedelta(minutes=30)
"""For how long somebody who waited as long as promised is waited for in turn: who has left the page does not come back
sooner, and until then a person may still take it."""
WAIT, BY_EMAIL, LEAVE = "wait", "email", "leave"  # what somebody who waits may choose, in a button's `queue`
_ABOUT_WAITING = (
    r"( (is|will|would|does|do|must|should|have|has|until|till|before|more|the|it|this|that|i|we|to|take|be|wait|"
    r"waiting|queue|line|left|now|for|a|an|person|human|agent|somebody|someone|answers?|here|going|still|time))*"
)
_HOW_LONG = re.compile(
    r"^\W*((ok|okay|hello|hi|hey|so|and|sorry|please|um+)\W+)*("
    rf"(about |any idea )?how (much )?long(er)?{_ABOUT_WAITING}|how many (people|others?|customers?)\b.{{0,60}}|"
    r"(what('?s| is)|where am i in|tell me) (my |the )?(place|position|queue|line|wait(ing)?( time)?|eta)\b.{0,30}|"
    r"what number am i|am i next|position|eta|wait time|"
    r"when (will|does|is|can|do) (somebody|someone|a person|an agent|anybody|anyone|a human|they)\b.{0,60}|"
    r"(is )?(any ?(body|one)|some ?(body|one)) (still )?(there|here|coming|around|available)|"
    r"(are )?(you|u) (still )?(there|here)|still (waiting|there|nobody|no ?one)\b.{0,40}"
    r")\W*$",
    re.I,
)
_NEVER_MIND = re.compile(
    r"^\W*((oh|ok|okay|actually|no|well|sorry|please|you know what)\W+)*("
    r"(never ?mind|nvm|forget (it|that|about it)|leave it|drop it|"
    r"(i('?ve| have)? )?changed my mind|"
    r"(i )?(do not|don'?t|no longer) (need|want) (a |an |the |to talk to a |to wait for a )?"
    r"(person|human|agent|somebody|someone|anybody|anyone|help)( any ?more)?|"
    r"(stop|cancel|quit|leave|end) (the )?(wait(ing)?|queue)|(i('?m| am) )?(not|done) waiting( any ?more)?|"
    r"(go )?back to the (bot|assistant)|(let me )?(talk|speak) to the (bot|assistant)( again)?|"
    r"(it('?s| is) )?(solved|sorted|fixed|settled)( itself)?( now)?|"
    r"i('?ll| will) (manage|come back later|try again later))"
    r"(\W+(please|then|thanks|thank you))?"
    r")\W*$",
    re.I,
)


def asks_how_long(text: str) -> bool:
    """Whether somebody who waits wants to know how long it takes."""
    return bool(_HOW_LONG.match(text))


def gives_up(text: str) -> bool:
    """Whether somebody who waits does not want a person any more."""
    return bool(_NEVER_MIND.match(text))


def wait_words(expected: timedelta | None, promised_minutes: int) -> str:
    """How long it takes, from what was measured, else from what the brand promises: `about 3 minutes`."""
    minutes = math.ceil(expected.total_seconds() / 60) if expected is not None else promised_minutes
    if minutes <= 1:
        return "about a minute"
    if minutes < 90:
        return f"about {minutes} minutes"
    return f"about {round(minutes / 60)} hours"


def opening_words(opens_at: datetime, zone: ZoneInfo) -> str:
    """When people are there again: `Monday, 30 November 2026, at 09:00 EST`."""
    local = opens_at.astimezone(zone)
    return f"{local:%A}, {format_date(opens_at, zone)}, at {local:%H:%M} {local:%Z}"


def answer_by_case(
    uow: UnitOfWork, *, pack: Pack, ticket: TicketView, asked_again: bool, reply_to: str | None, now: datetime
) -> tuple[str, dict[str, Any]]:
    """The response, with its values, that tells somebody of the case in which people will answer, where and when."""
    if asked_again:
        date = format_date(ticket.created_at, pack.brand.zone)
        return "utter_person_asked_again", {"reference": ticket.reference, "date": date}
    told = more(*render(pack.texts.get("person_next", ()), pack.brand, Facts({})), _when_nobody_is_here(uow, pack, now))
    if reply_to:
        return "utter_person_will_answer", {"reference": ticket.reference, "email": reply_to, "more": told}
    return "utter_person_will_answer_here", {"reference": ticket.reference, "more": told}


def _when_nobody_is_here(uow: UnitOfWork, pack: Pack, now: datetime) -> str:
    """When and how people answer, where nobody can be had now; empty for a brand without a desk."""
    if pack.desk is None:
        return ""
    there = presence.availability(uow, pack=pack, now=now)
    opens = opening_words(there.opens_at, pack.brand.zone) if there.opens_at and not there.open else ""
    shown = [sentence for sentence in pack.desk.away_reply if opens or "{opens}" not in sentence]
    return sentences(render(shown, pack.brand, Facts({}), {"opens": opens}))


def never_mind() -> dict[str, Any]:
    """The button that leaves the queue."""
    return {"title": "Never mind", "payload": {"queue": LEAVE, "intent": "stop"}}


def choices() -> tuple[dict[str, Any], ...]:
    """What somebody can choose who has waited longer than promised; each means something outside the queue too."""
    return (
        {"title": "Keep waiting", "payload": {"queue": WAIT, "intent": PERSON_WANTED}},
        {
            "title": "Answer me by e-mail",
            "payload": {"queue": BY_EMAIL, "intent": PERSON_WANTED, "entities": {"by": "email"}},
        },
        never_mind(),
    )
