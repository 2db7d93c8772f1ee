"""What comes after people: how it was, and the conversation by e-mail."""

from __future__ import annotations

from bot.dialogue.asking import Answer, Asking, Choice, Expect, FlowState, Via
from bot.dialogue.flow import Flow
from bot.dialogue.registry import RATING, TRANSCRIPT
from bot.dialogue.turn import Turn
from bot.errors import InvalidInput, NotFound, TooMany
from bot.services import csat, transcripts

_SKIP = "skip"


class Rating(Flow):
    """A tap on how it was, and words if they like. Learns: `rating`, `words`; `asked` once."""

    name = RATING
    needs_proof = False
    restarts = True

    def begin(self, turn: Turn, flow: FlowState) -> None:
        """Put down the score of the button that was pressed."""
        rating, score = turn.wish.entity("rating"), turn.wish.entity("score")
        try:
            csat.rate(
                turn.uow,
                rating_id=rating or "",
                conversation_id=turn.conversation_id,
                score=int(score or 0),
                now=turn.now,
            )
        except (NotFound, InvalidInput):
            return
        turn.key("rated")
        flow.data["rating"] = rating

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn the words; anything that declines them ends it."""
        flow.data["words"] = answer.value if answer.via is Via.TEXT else ""

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask for words once, and keep them."""
        rating, words = flow.data.get("rating"), flow.data.get("words")
        if rating is None:
            turn.say("utter_rating_gone")
        elif words:
            turn.key("rating_words")
            csat.add_words(turn.uow, rating_id=rating, conversation_id=turn.conversation_id, words=words)
            turn.say("utter_rated_with_words")
        elif words is not None:
            turn.say("utter_rated_without_words")
        elif not flow.data.get("asked"):
            flow.data["asked"] = True
            choices = [Choice(_SKIP, "No, thanks", ("no thanks", "nothing", "that is all"))]
            return turn.ask(flow, "words", [Expect.TEXT, Expect.CHOICE, Expect.YES_NO], "utter_rated", choices=choices)
        return None


class Transcript(Flow):
    """The conversation by e-mail, to the address that the customer has proved to be theirs."""

    name = TRANSCRIPT
    needs_fresh_proof = False

    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Nothing is asked."""

    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Send it."""
        try:
            transcripts.send(
                turn.uow,
                pack=turn.pack,
                customer=turn.known(),
                conversation_id=turn.conversation_id,
                key=turn.key("transcript"),
                now=turn.now,
            )
        except TooMany:
            turn.say("utter_transcript_too_often")
            return None
        turn.say("utter_transcript_sent", email=turn.known().email)
        return None
