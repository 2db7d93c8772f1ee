"""One action for each thing that the rules may have the bot do."""

from __future__ import annotations

from actions.base import DialogueAction
from bot.dialogue.conduct import Thread


class ServeWish(DialogueAction):
    """Do, show or answer what the customer wants."""

    action_name = "action_serve_wish"

    def handle(self, thread: Thread) -> None:
        """Serve the message's wish."""
        thread.serve()


class Continue(DialogueAction):
    """Take an answer to the open question."""

    action_name = "action_continue"

    def handle(self, thread: Thread) -> None:
        """Go on with the flow that asked."""
        thread.go_on()


class AskAgain(DialogueAction):
    """Put the open question again after something came in between."""

    action_name = "action_ask_again"

    def handle(self, thread: Thread) -> None:
        """Come back to the open question, if there is one."""
        thread.ask_again()


class Leave(DialogueAction):
    """Stop what is under way."""

    action_name = "action_leave"

    def handle(self, thread: Thread) -> None:
        """Drop the flows."""
        thread.leave()


class StartOver(DialogueAction):
    """Begin again with nothing under way."""

    action_name = "action_start_over"

    def handle(self, thread: Thread) -> None:
        """Drop the flows and ask what is wanted."""
        thread.start_over()


class Clarify(DialogueAction):
    """Ask back, and offer a person when that did not help."""

    action_name = "action_clarify"

    def handle(self, thread: Thread) -> None:
        """Count the miss and ask back."""
        thread.clarify()


class OutOfScope(DialogueAction):
    """Say that it is not ours to answer, and show the way back."""

    action_name = "action_out_of_scope"

    def handle(self, thread: Thread) -> None:
        """One friendly line."""
        thread.out_of_scope()


class Explain(DialogueAction):
    """Say why the open question is asked."""

    action_name = "action_explain"

    def handle(self, thread: Thread) -> None:
        """One sentence, then the question again."""
        thread.explain()


class OtherLanguage(DialogueAction):
    """Say which language is spoken here, and offer a person."""

    action_name = "action_other_language"

    def handle(self, thread: Thread) -> None:
        """One plain line."""
        thread.other_language()


class Empathise(DialogueAction):
    """Meet anger with one human sentence and the offer of a person."""

    action_name = "action_empathise"

    def handle(self, thread: Thread) -> None:
        """Say sorry and offer help."""
        thread.empathise()


class Greet(DialogueAction):
    """Greet back."""

    action_name = "action_greet"

    def handle(self, thread: Thread) -> None:
        """Greet, with suggestions unless something is under way."""
        thread.greet()


class TellCapabilities(DialogueAction):
    """Say what the bot can do."""

    action_name = "action_tell_capabilities"

    def handle(self, thread: Thread) -> None:
        """List it."""
        thread.tell_capabilities()


class StaleButton(DialogueAction):
    """A button of an earlier step was pressed."""

    action_name = "action_stale_button"

    def handle(self, thread: Thread) -> None:
        """Say so, and put the open question again."""
        thread.stale_button()
