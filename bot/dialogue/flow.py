"""How flows run: begun by a wish, moved on by answers, parked by another wish, taken up again, left at any time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableSequence

from bot.dialogue import proof
from bot.dialogue.asking import Answer, Asking, FlowState, Via
from bot.dialogue.turn import Turn, Wish
from bot.policy.pack import Pack

MAX_PARKED = 3
_BRIEFLY = 2  # words


class Flow(ABC):
    """One job that may take several turns. It asks for what it lacks; with all it needs it acts once and is over.

    What a flow asks must make sense by itself: a question is put again after something else came in between.
    """

    name: str
    needs_proof = True
    needs_fresh_proof = True
    restarts = False  # whether the same wish, said again while this is under way, begins it anew
    keeps_files = False  # whether files that come with any message meanwhile belong to it, as `files`

    def serves(self, pack: Pack) -> bool:
        """Whether a brand has this at all; if not, the wish is answered from its pack."""
        return True

    def begin(self, turn: Turn, flow: FlowState) -> None:  # noqa: B027  (most flows learn nothing from the wish)
        """Learn from the wish, `turn.wish`."""

    @abstractmethod
    def take(self, turn: Turn, flow: FlowState, answer: Answer) -> None:
        """Learn from an answer to the question that was open."""

    @abstractmethod
    def advance(self, turn: Turn, flow: FlowState) -> Asking | None:
        """Ask the next question, or do the job and return None."""


class Runner:
    """Runs the flows of one conversation; `flows` is their stack, the one in front last."""

    def __init__(self, catalogue: Mapping[str, Flow], turn: Turn, flows: MutableSequence[FlowState]) -> None:
        self._catalogue = catalogue
        self._turn = turn
        self.flows = flows

    @property
    def front(self) -> FlowState | None:
        """The flow that the next answer belongs to."""
        return self.flows[-1] if self.flows else None

    def keep_files(self) -> bool:
        """Put the message's files where they belong; False if the flow in front has no use for files."""
        if self.front is None or not self._catalogue[self.front.name].keeps_files:
            return False
        files = self.front.data.setdefault("files", [])
        files.extend(each for each in self._turn.attachment_ids if each not in files)
        return True

    def begin(self, name: str) -> None:
        """Serve a wish: start its flow, or move it on if it is the one in front, or bring it back to the front."""
        if self.front is not None and self.front.name == name and not self._catalogue[name].restarts:
            step = self.front.asking.step if self.front.asking else ""
            self.answer(Answer(step=step, via=Via.FORWARD))
            return
        if not self._go_back_to(name):
            self._push(name, self._turn.wish)
        self._advance()

    def answer(self, answer: Answer) -> None:
        """Give an answer to the flow in front and move it on."""
        flow = self.front
        if flow is None:
            return
        if answer.step in proof.STEPS:
            flow.asking = proof.take(self._turn, flow, answer)
            if flow.asking is not None:
                return
        else:
            self._catalogue[flow.name].take(self._turn, flow, answer)
        self._advance()

    def ask_again(self) -> None:
        """Put the open question of the flow in front once more, after something came in between."""
        if self.front is not None:
            self._advance()

    def leave(self) -> bool:
        """Drop everything under way; nothing was done that is not already on record. False if nothing was."""
        left = bool(self.flows)
        self.flows.clear()
        return left

    def _go_back_to(self, name: str) -> bool:
        """Leave what came in between for a parked flow whose wish is said again in a word or two, naming nothing."""
        said = self._turn.wish
        place = next((place for place, flow in enumerate(self.flows) if flow.name == name), None)
        if place is None or self._catalogue[name].restarts or said.entities or len(said.words.split()) > _BRIEFLY:
            return False
        del self.flows[place + 1 :]
        return True

    def _push(self, name: str, wish: Wish) -> None:
        email = self.front.email if self.front else None
        self.flows[:] = [flow for flow in self.flows if flow.name != name][-MAX_PARKED:]
        flow = FlowState(name=name, id=f"{self._turn.message_id}:{name}", email=email)
        self.flows.append(flow)
        self._turn.wish = wish
        self._catalogue[name].begin(self._turn, flow)
        self.keep_files()

    def _advance(self) -> None:
        while (flow := self.front) is not None:
            definition = self._catalogue[flow.name]
            flow.asking = None
            if definition.needs_proof:
                flow.asking = proof.ensure(self._turn, flow, fresh=definition.needs_fresh_proof)
            if flow.asking is None:
                flow.asking = definition.advance(self._turn, flow)
            if flow.asking is not None:
                return
            self.flows.remove(flow)
            if self._turn.handed_over:
                self.flows.clear()  # a "yes" to a person must not answer what the bot had asked
                return
            self.flows[:] = [each for each in self.flows if each.name not in self._turn.settled]
            while self._turn.passed_on:
                self._push(*self._turn.passed_on.pop(0))
