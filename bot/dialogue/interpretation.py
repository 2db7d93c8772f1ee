"""What a message means here and now: what the model understood, seen in the light of the question that is open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via, flows_from_slots
from bot.dialogue.choices import choose
from bot.dialogue.language import language_of
from bot.dialogue.mood import calmed, denies, denies_cancelling, is_angry
from bot.dialogue.registry import CANCEL, FLOW_OF_INTENT, INCLUDES, PAUSE, RESUME, SERVABLE
from bot.dialogue.wishes import TITLES
from bot.nlu.gist import gist

FALLBACK = "nlu_fallback"
_SURE = 0.6  # to leave a question that takes free text, the model must be at least this sure of another wish
_SKIP = re.compile(
    r"^\W*(skip( (it|this|that))?|pass|next|no reason|none of your business|(i'?d )?rather not( say)?|"
    r"prefer not to say|i don'?t want to say)\W*$",
    re.I,
)
_START_OVER = re.compile(
    r"^\W*/?\s*((let'?s |can we |please )?(start|begin) (over|again)|restart|reset|from the (start|beginning))\W*$",
    re.I,
)
_TRANSCRIPT = re.compile(
    r"^\W*((please|can|could|would|will|you|i|want|need|like|to|have|get|just|ok|okay|yes|now|before|go)\W+)*"
    r"(e-?mail|send|forward|mail|give|copy)( me| us)?( a| the)?( full| whole| complete)?"
    r"( e-?mail| copy| transcript| record| log)?( of| with)?( this| our| the| my)?"
    r" ?(chat|conversation|transcript|chat history|discussion)"
    r"( history| log| transcript)?( (to|by|via|as|in|at|my|me|an|a|e-?mail|mail|address|inbox|please|thanks))*\W*$",
    re.I,
)
_LEAVE = re.compile(
    r"^\W*((oh|ok|okay|actually|no|well)\W+)*"
    r"((never ?mind|forget (it|that|about it)|stop( (it|this|that))?|leave it|drop it|not now|"
    r"(i('?ve| have)? )?changed my mind|keep (it|my number|them|everything)|"
    r"don'?t( cancel( it)?| do (it|that))?|nvm|quit|exit|go back|let'?s leave it)( please| then| thanks)?)\W*$",
    re.I,
)
_UNDO = re.compile(
    r"^\W*((oh|ok|okay|actually|no|well|please|can you)\W+)*"
    r"((undo( (it|that|this))?|revert( (it|that))?|take (it|that) back|"
    r"(i('?ve| have)? )?changed my mind( again)?)( please| now)?)\W*$",
    re.I,
)
_KEEP = re.compile(r"^\W*(i('?d| would)? (want|like) to )?keep (it|them|my number|my numbers|the number)\b", re.I)
_WHY = re.compile(
    r"^\W*(but |and )?(why|what for|how come|what (do|does|would) (you|that|this|it) need)( \w+){0,2}"
    r"( (need|ask|asking|want|necessary|matter|required)( \w+){0,3})?\W*$",
    re.I,
)
_NONE = re.compile(
    r"^\W*((no|nope|nah|sorry)\b\W*)*(none|neither|no(t any|ne|t? either) of (them|these|those)|"
    r"not (that|those|these|any)|something (else|different)|nothing (of|like) (that|these|those))( please)?\W*$",
    re.I,
)
_NO_IDEA = re.compile(
    r"^\W*((hm+|uh+m*|well|er+m?|sorry|honestly)\b\W*)*((i )?(do ?n['’]?t|dont|dunno|not) ?(really )?(know|sure)?|"
    r"dunno|idk|no (idea|clue)|not sure|you tell me|whatever)( either| yet| what i want)?\W*$",
    re.I,
)
_CODE = re.compile(r"(?<!\d)(\d{3})[\s-]?(\d{3})(?!\d)")
_LIKE_A_CODE = re.compile(r"^\W*(?:(?:it'?s|its|the code is|code:?)\s*)?((?:\d[\s-]?){3,10})\W*$", re.I)
_LIKE_AN_EMAIL = re.compile(r"\S{0,64}@\S{0,255}|\S{1,64} at \S{1,255}\.[a-z]{2,}\b", re.I)
_SHOWS = re.compile(r"[^\W_]")
_YES_SIGNS, _NO_SIGNS = frozenset("👍👌✅✔🆗🙏"), frozenset("👎❌🚫✖")
_QUESTION = re.compile(r"\?\s*$|^\s*(what|when|why|how|who|where|which|can|could|do|does|is|are|will|would|if)\b", re.I)
_JUST_DO_IT = re.compile(
    r"\bjust (?:please )?(?:do|get on with|finish) (?:it|this|that)\b|\bget it (?:over with|done)\b", re.I
)
_ORDERS = re.compile(
    r"^\W*(?:please\W+)?(?:ignore|forget|disregard|tell me|write|give me|play|sing|pretend|act|translate|draw)\b", re.I
)
_ASKS = re.compile(
    r"\b(show|tell|list|give|send|check|see|know|explain|look up|status|wonder\w*|need|want|like)\b", re.I
)
_QUESTIONS = ("ask_", "check_")
_BLANKS = re.compile(r"\s+")  # one is enough: the patterns below try each of many in turn
_BETWEEN_CLAUSES = re.compile(
    r"[.;!?]+\s+(?:also\b,?\s*|and\s+)?|,?\s+\b(?:and then|and also|and|also|then|plus)\b,?\s+|,\s+", re.I
)
# Where one wish may end and the next begin without a mark: before a request or a question.
_REQUEST = (
    r"(?:(?:can|could|would|will) (?:you|u|i|somebody|someone)\b|please\b|pls\b|plz\b|i (?:just |only |also |really )?"
    r"(?:want|need|wanna|wish|would like)\b|i'd like\b|how (?:do|can|long|much)\b|what(?:'s|s| is| are| happens)\b|"
    r"when(?:'s|s| do| does| is| will)\b|where(?:'s|s| is| do)\b|(?:just )?(?:tell|show|give|send|get) me\b)"
)
_BEFORE_A_REQUEST = re.compile(rf"\s+(?={_REQUEST})", re.I)
_ASKS_FOR = re.compile(rf"^\W*(?:(?:so|but|also|and|ok|okay|now|then|just)\b\W*)*{_REQUEST}|\?\s*$", re.I)
_TURNS = re.compile(r",?\s+\b(?:but|just|instead|only)\b,?\s+|\s+[-–—]+\s+", re.I)
_ASKED_BEFORE = re.compile(r"^\W*(?:i|to|you|u|we)\W*$", re.I)
_ABOUT_MONEY = frozenset({"report_duplicate_charge", "request_refund"})
# "I want it back": what it is was said before, and beside a charge it is no number or plan.
_POINTS_BACK = re.compile(
    r"^\W*(?:(?:and|so|but|now|please|pls|just|i|we|you|can|could|should|must|will|would|want|wanna|need|like|to|have|get|"
    r"give|send|pay|put|me|us)\W+|i'd\W+|we'd\W+){1,12}(?:it|that|this|them|those|mine)(?: all)? back"
    r"(?:\W+(?:now|please|pls|today|asap|immediately|right|away|to|me|my|on|card|account|the|same))*\W*$",
    re.I,
)
_MOST_CLAUSES = 5
_MOST_CLAUSES_OF_A_STORY = 14
_RUN_ON = 8  # words without an end: then requests are told apart by how they begin
_CLEAR = 0.6  # a clause says little by itself, so the model must be this sure of it
_PLAIN = 0.85  # a request within a story that is otherwise about something else
_SHORTEST_CLAUSE = 2  # words
_WISH_IN_A_WORD = re.compile(r"^\W*(?:cancel|refund|unsubscribe|upgrade|downgrade)\W*$", re.I)
_SAID_AGAIN = 6  # words: the flow's own wish, so short, names none of the choices; a longer one may describe another
_SAID_BRIEFLY = 3  # words: such a greeting, thanks, "yes" or "no" is no answer to a question for free text
_WISHES_APART = frozenset({"talk_to_human", "bot_challenge"})
_SMALL_TALK = frozenset(
    {"greet", "thank", "goodbye", "affirm", "deny", "bot_challenge", "ask_capabilities", "complain"}
)
_CORRECTION_WITHOUT_DIGITS = 6  # words
_CHOICES = 3
_RANKED = 4
_MOST_WISHES = 4
_SURELY_OUTSIDE = 0.9


@dataclass(frozen=True)
class Interpretation:
    """The intent to act on, what was answered to the open question if anything, and how sure the model was."""

    intent: str
    entities: tuple[Mapping[str, Any], ...] = ()
    answer: Mapping[str, Any] | None = None
    confidence: float = 1.0
    verdict: str = "answer"
    understood: str | None = None  # the model's own first intent, before the context was looked at
    choices: tuple[str, ...] = ()  # intents to ask back with
    also: tuple[str, ...] = ()  # further wishes of the same message, to be served after the first
    angry: bool = False
    language: str | None = None  # of a message that is not in English
    ranking: tuple[str, ...] = ()  # the model's likeliest intents, for whoever reviews the message
    declined: bool = False  # none of the wishes that were offered is meant

    def record(self) -> dict[str, Any]:
        """What may be kept and logged: no text, no personal data."""
        return {
            "intent": self.intent,
            "understood": self.understood,
            "confidence": round(self.confidence, 4),
            "verdict": self.verdict,
            "choices": list(self.choices),
            "also": list(self.also),
            "angry": self.angry,
            "language": self.language,
            "declined": self.declined,
            "ranking": list(self.ranking),
            "answered": self.answer["step"] if self.answer else None,
        }


def interpret_button(payload: Mapping[str, Any], slots: Mapping[str, Any]) -> Interpretation:
    """A pressed button: either a wish of its own, or an answer to a question that may no longer be open."""
    if "intent" in payload:
        entities = tuple({"entity": name, "value": value} for name, value in payload.get("entities", {}).items())
        return Interpretation(intent=payload["intent"], entities=entities, understood=payload["intent"])
    flows = flows_from_slots(slots)
    front = flows[-1] if flows else None
    open_here = front is not None and front.id == payload["flow"] and front.asking is not None
    if not open_here or front.asking.step != payload["step"]:  # type: ignore[union-attr]
        return Interpretation(intent="stale_button")
    answer = Answer(step=payload["step"], via=Via.BUTTON, values=tuple(payload["values"]))
    return Interpretation(intent="inform", answer=answer.to_json())


def clauses_of(text: str) -> list[str]:
    """The parts of a message that may each be a wish, without its curses; none if there is nothing to tell apart."""
    text = _BLANKS.sub(" ", gist(text))
    calm = calmed(text) if is_angry(text) else text
    parts = [part.strip() for part in _BETWEEN_CLAUSES.split(calm)]
    if denies(calm):
        parts = [piece.strip() for part in parts for piece in _TURNS.split(part)]
    parts = [piece for part in parts for piece in _requests_of(part)]
    parts = [part for part in parts if len(part.split()) >= _SHORTEST_CLAUSE or _WISH_IN_A_WORD.match(part)]
    if len(parts) == 1 and calm != text:
        return [calm]
    return parts if 2 <= len(parts) <= _MOST_CLAUSES_OF_A_STORY else []


def _requests_of(part: str) -> list[str]:
    """A long run of words cut before each request in it."""
    if len(part.split()) < _RUN_ON:
        return [part]
    pieces: list[str] = []
    for piece in _BEFORE_A_REQUEST.split(part):
        if pieces and (_ASKED_BEFORE.match(pieces[-1]) or len(pieces[-1].split()) < _SHORTEST_CLAUSE):
            pieces[-1] = f"{pieces[-1]} {piece}"
        else:
            pieces.append(piece)
    return pieces


def reads_clauses(text: str, slots: Mapping[str, Any]) -> bool:
    """Whether the parts of a message may be wishes of their own: not while a question is open, unless it is left."""
    flows = flows_from_slots(slots)
    if not flows or flows[-1].asking is None:
        return True
    return flows[-1].name == CANCEL and denies_cancelling(text)


def asks_for(part: str) -> bool:
    """Whether a part of a message asks for something in so many words, so that it counts within a story too."""
    return bool(_ASKS_FOR.search(part))


def is_clear(parsed: Mapping[str, Any]) -> bool:
    """Whether the model is sure of a clause; a message with one that is not clear is a story."""
    return bool(parsed["intent"]["confidence"] >= _CLEAR)


def interpret(
    parsed: Mapping[str, Any],
    slots: Mapping[str, Any],
    *,
    files: int = 0,
    clauses: Sequence[Mapping[str, Any]] = (),
) -> Interpretation:
    """A typed message. `parsed` and `clauses` are the model's results for the whole and for the parts of
    `clauses_of`, `slots` the dialogue's, `files` how many came with it.
    """
    text: str = parsed.get("text") or ""
    understanding = parsed.get("understanding") or {}
    model = Interpretation(
        intent=parsed["intent"]["name"] or FALLBACK,
        entities=tuple(parsed.get("entities") or ()),
        confidence=float(parsed["intent"]["confidence"] or 0.0),
        verdict=understanding.get("verdict", "answer"),
        understood=parsed["intent"]["name"],
        choices=tuple(understanding.get("choices") or ()),
        angry=is_angry(text),
        ranking=tuple(one["name"] for one in (parsed.get("intent_ranking") or ())[:_RANKED]),
    )
    model = _settled(model) if _SHOWS.search(text) else _signs(model, text)
    if _START_OVER.match(text):
        return _with(model, "start_over")
    if _TRANSCRIPT.match(text):
        return _with(replace(model, verdict="answer"), "send_transcript")
    flows = flows_from_slots(slots)
    front = flows[-1] if flows else None
    if front is None or front.asking is None:
        return _without_question(_several(model, clauses), text, slots, files, parsed.get("intent_ranking") or ())
    answer = _answer(model, text, files, front, front.asking)
    if front.name == CANCEL and denies_cancelling(text):
        rest = _several(replace(model, verdict="unsure"), clauses)
        wishes = [wish for wish in (rest.intent, *rest.also) if rest.verdict == "answer" and wish in TITLES]
        keeps = answer is not None and (answer.step == "target" or _keeps(answer, front.asking))
        if not keeps or (wishes and wishes != ["cancel_subscription"]):
            return replace(_with(model, "stop"), also=tuple(wish for wish in wishes if wish != "cancel_subscription"))
    if answer is not None or (not text and files):
        return _with(model, "inform", answer)
    if _LEAVE.match(text):
        return _with(model, "stop")
    if _WHY.match(text):
        return _with(model, "ask_why")
    return _as_understood(model, text)


def _keeps(answer: Answer, asking: Asking) -> bool:
    """Whether an answer is the choice not to cancel."""
    return any(
        "resume_subscription" in choice.intents and set(answer.values) & set(choice.values) for choice in asking.choices
    )


def _settled(model: Interpretation) -> Interpretation:
    """Torn between wishes of which one includes the others, a message means that one: nobody is asked back."""
    for choice in model.choices:
        included = [c for c in INCLUDES.get(choice, ()) if not c.startswith("check_")]  # to look is less than to claim
        if model.verdict != "answer" and all(c == choice or c in included for c in model.choices):
            return replace(model, intent=choice, verdict="answer")
    return model


def _signs(model: Interpretation, text: str) -> Interpretation:
    """A message of signs and emoji only: a thumb is an answer, the rest is nothing that could be read."""
    if not _YES_SIGNS.isdisjoint(text):
        return replace(model, intent="affirm", verdict="answer")
    if not _NO_SIGNS.isdisjoint(text):
        return replace(model, intent="deny", verdict="answer")
    return replace(model, intent=FALLBACK, verdict="unsure", choices=())


def _as_understood(model: Interpretation, text: str) -> Interpretation:
    """What the model is sure of; otherwise not understood, and perhaps not even in our language."""
    if model.verdict == "answer" and model.intent != "out_of_scope":
        return model
    if language := language_of(text):
        return replace(_with(model, "other_language"), language=language)
    if model.angry:
        return _with(model, "complain")
    return model if model.verdict == "answer" else _with(model, FALLBACK)


def _without_question(
    model: Interpretation,
    text: str,
    slots: Mapping[str, Any],
    files: int,
    ranking: Sequence[Mapping[str, Any]],
) -> Interpretation:
    if not text and files:
        return _with(model, "inform")
    done = slots.get("done") or {"flow": None, "targets": []}
    back = "resume_subscription"
    undo = {CANCEL: back, PAUSE: back, RESUME: "cancel_subscription"}.get(done["flow"])
    if undo and (_UNDO.match(text) or (done["flow"] == CANCEL and _KEEP.match(text))):
        target = {"entity": "subscription_id", "value": ",".join(done["targets"])}
        return replace(_with(model, undo), entities=(target,))
    if _LEAVE.match(text):
        return _with(model, "stop")
    if language := language_of(text, surely=True):
        return replace(_with(model, "other_language"), language=language)
    offers: Sequence[str] = slots.get("offers") or ()
    if model.intent == "affirm" and model.verdict == "answer" and len(offers) == 1:
        return _with(model, offers[0])
    if offers and (chosen := _offered(text, offers)):
        return replace(_with(model, chosen), verdict="answer", also=())
    if (
        slots.get("misses") == 1 and offers and (_NONE.match(text) or _plain_no(model, text))
    ):  # asked back, and none of it was meant
        return replace(_with(model, FALLBACK), choices=(), declined=True)
    if _NO_IDEA.match(text):
        return replace(_with(model, FALLBACK), choices=())
    if len(text.split()) <= _SAID_BRIEFLY and model.intent not in SERVABLE:
        for entity, intent in (("ticket_id", "check_ticket"), ("invoice_id", "check_invoices")):
            if _entity(model, entity):
                return _with(model, intent)
        if model.intent == "inform" and not model.entities and _SHOWS.search(text):
            return replace(_with(model, FALLBACK), choices=_near(ranking))
    return _as_understood(model, text)


def is_question(text: str) -> bool:
    """Whether a message asks something, by its mark or its first word."""
    return bool(_QUESTION.search(text))


def _plain_no(model: Interpretation, text: str) -> bool:
    return model.intent == "deny" and model.verdict == "answer" and len(text.split()) <= _SAID_BRIEFLY


def _offered(text: str, offers: Sequence[str]) -> str | None:
    """Which of the wishes on the buttons shown last is meant: by its title, or by its place."""
    if len(text.split()) > _SAID_AGAIN:
        return None
    named = choose(text, [Choice(intent, TITLES[intent]) for intent in offers if intent in TITLES], many=False)
    return named[0] if named else None


def _near(ranking: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The likeliest wishes, for a word that by itself says nothing: "money"."""
    wishes = [one["name"] for one in ranking if one["name"] in SERVABLE]
    return tuple(wishes[:_CHOICES])


def _several(model: Interpretation, clauses: Sequence[Mapping[str, Any]]) -> Interpretation:
    """The wishes of a message whose clauses are each clear, what one of them includes left out: questions first.

    What is not wanted ("I don't want to cancel, just ...") is no wish. A clause that is not clear belongs to a story,
    and a story is understood as a whole; only what it asks for in so many words is served besides.
    """
    live = [clause for clause in clauses if not denies(clause["text"])]
    denied = len(live) < len(clauses)
    if any(clause["intent"]["name"] in _ABOUT_MONEY and is_clear(clause) for clause in live):
        live = [clause for clause in live if not _POINTS_BACK.match(clause["text"])] or live
    clear = [(c["intent"]["name"], c["text"]) for c in live if is_clear(c)]
    said = [intent for intent, words in clear if intent not in _SMALL_TALK and _wishes(intent, words)]
    whole = model.verdict == "answer" and model.intent in SERVABLE and not denied
    if len(clauses) > _MOST_CLAUSES or len(clear) != len(live) or not SERVABLE.issuperset(said):
        said = [
            clause["intent"]["name"]
            for clause in live
            if clause["intent"]["confidence"] >= (_CLEAR if denied else _PLAIN)
            and clause["intent"]["name"] in SERVABLE
            and (denied or asks_for(clause["text"]))
        ]
        if whole and said:
            said.insert(0, model.intent)
    elif whole and model.intent not in said:
        return model
    if not said:
        return model
    wishes = [wish for wish in dict.fromkeys(said) if not any(wish in INCLUDES.get(other, ()) for other in said)]
    wishes.sort(key=_order)
    return replace(model, intent=wishes[0], verdict="answer", also=tuple(wishes[1:_MOST_WISHES]))


def _order(wish: str) -> int:
    """Questions first, then what the ledger settles at once, then what takes several steps; a person last."""
    if wish not in FLOW_OF_INTENT:
        return 0
    return {"report_duplicate_charge": 1, "report_missing_number": 1, "talk_to_human": 3}.get(wish, 2)


def _wishes(intent: str, words: str) -> bool:
    """Whether a clause wants something: "I rented a number in May" is about the subscription, but asks nothing."""
    return not intent.startswith(_QUESTIONS) or bool(_QUESTION.search(words) or _ASKS.search(words))


def _answer(model: Interpretation, text: str, files: int, flow: FlowState, asking: Asking) -> Answer | None:
    """The answer that the message gives to the open question, or None if it is about something else."""
    expects = asking.expects

    def answered(via: Via, *values: str) -> Answer:
        return Answer(step=asking.step, via=via, values=values)

    if Expect.CODE in expects and (code := _CODE.search(text)):
        return answered(Via.CODE, code[1] + code[2])
    if Expect.CODE in expects and (code := _LIKE_A_CODE.match(text)):
        return answered(Via.CODE, re.sub(r"\D", "", code[1]))
    if (Expect.EMAIL in expects or Expect.CODE in expects) and (email := _entity(model, "email")):
        return answered(Via.EMAIL, email)
    if Expect.EMAIL in expects and (tried := _LIKE_AN_EMAIL.search(text)):
        return answered(Via.EMAIL, tried[0].strip(".,;:!?<>()\"'"))
    if Expect.INVOICE in expects and (invoice := _entity(model, "invoice_id")):
        return answered(Via.INVOICE, invoice)
    if Expect.FILES in expects and files:
        return answered(Via.FILES, text)
    if correction := _correction(text, flow):
        return correction
    wish = _another_wish(model, text, flow)
    named = choose(text, asking.choices, many=asking.many)
    if named and not (wish and _QUESTION.search(text)):
        return answered(Via.CHOICE, *named)
    if model.verdict == "answer":
        for choice in asking.choices:
            if model.intent in choice.intents:
                return answered(Via.CHOICE, choice.value)
    if _SKIP.match(text) and any(choice.value == "skip" for choice in asking.choices):
        return answered(Via.CHOICE, "skip")
    if _LEAVE.match(text):
        return None
    if flow.name == CANCEL and _JUST_DO_IT.search(calmed(text)) and not denies_cancelling(text):
        return answered(Via.FORWARD)
    if Expect.YES_NO in expects and _NONE.match(text):
        return answered(Via.NO)
    if Expect.YES_NO in expects and model.verdict == "answer":
        if model.intent == "affirm":
            return answered(Via.YES)
        if model.intent == "deny":
            return answered(Via.NO)
    if (
        model.verdict == "answer"
        and FLOW_OF_INTENT.get(model.intent) == flow.name
        and (Expect.TEXT not in expects or (asking.choices and len(text.split()) <= _SAID_AGAIN))
    ):
        return answered(Via.FORWARD)
    if (
        model.intent == "out_of_scope"
        and model.confidence >= _SURELY_OUTSIDE
        and (_QUESTION.search(text) or _ORDERS.match(text))
    ):
        return None
    if Expect.TEXT in expects and text and not wish and not _says_nothing(model, text) and not _WHY.match(text):
        return answered(Via.TEXT, text)
    return None


def _says_nothing(model: Interpretation, text: str) -> bool:
    """Whether a text is no answer to a question that takes any text."""
    if model.intent == "stop" or not _SHOWS.search(text):
        return True
    return model.verdict == "answer" and model.intent in _SMALL_TALK and len(text.split()) <= _SAID_BRIEFLY


def _another_wish(model: Interpretation, text: str, flow: FlowState) -> bool:
    """Whether the message is surely about something else than the flow in front."""
    if model.verdict != "answer" or model.confidence < _SURE or FLOW_OF_INTENT.get(model.intent) == flow.name:
        return False
    if model.intent in _WISHES_APART:
        return True
    if model.intent.startswith(_QUESTIONS):
        return bool(_QUESTION.search(text))
    return model.intent in FLOW_OF_INTENT and model.confidence >= 0.8


def _correction(text: str, flow: FlowState) -> Answer | None:
    """Another of the things chosen earlier: "not that one, the other", "I meant 0107"."""
    earlier = flow.data.get("targets_offered") or ()
    chosen = flow.data.get("targets") or ()
    if len(earlier) < 2 or not chosen or (flow.asking and flow.asking.step == "target"):
        return None
    if not re.search(r"\d{3}", text) and len(text.split()) > _CORRECTION_WITHOUT_DIGITS:
        return None
    if flow.asking and flow.asking.many and choose(text, flow.asking.choices, many=True):
        return None  # it names what is asked for now
    from_choices = Asking.from_json({"step": "target", "expects": [], "choices": earlier, "many": True}).choices
    named = choose(text, from_choices, many=True, chosen=chosen)
    if not named or set(named) == set(chosen):
        return None
    return Answer(step="target", via=Via.CHOICE, values=named)


def _entity(model: Interpretation, name: str) -> str | None:
    values: Sequence[str] = [entity["value"] for entity in model.entities if entity.get("entity") == name]
    return values[0] if values else None


def _with(model: Interpretation, intent: str, answer: Answer | None = None) -> Interpretation:
    return replace(model, intent=intent, answer=answer.to_json() if answer else None)
