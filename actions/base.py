"""What all actions share: from Rasa's tracker to a handler of the dialogue, and from its words to Rasa's events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.dialogue.conduct import Conductor, Thread
from bot.dialogue.container import conductor


class DialogueAction(Action, ABC):
    """An action that handles the message in one transaction; Rasa makes it without arguments."""

    action_name: str

    def name(self) -> str:
        """The action's name in the domain."""
        return self.action_name

    @abstractmethod
    def handle(self, thread: Thread) -> None:
        """What this action does with the conversation's thread."""

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[EventType]:
        """Run the handler and tell Rasa what was said and which slots changed."""
        message = tracker.latest_message
        conducted = conductor(_from_environment).conduct(
            self.handle,
            action=self.action_name,
            metadata=message["metadata"],
            slots=tracker.slots,
            text=message.get("text") or "",
            intent=message["intent"]["name"],
            entities=message.get("entities") or [],
        )
        for said in conducted.said:
            dispatcher.utter_message(
                text=said.text,
                response=said.response,
                buttons=[dict(button) for button in said.buttons],
                json_message={"attachments": list(said.attachments)} if said.attachments else None,
                **said.values,
            )
        return [SlotSet(name, value) for name, value in conducted.slots.items() if tracker.slots.get(name) != value]


def _from_environment() -> Conductor:
    from bot.app import conductor_from_environment  # only stock `rasa run actions` gets here, with no app around it

    return conductor_from_environment()
