"""What is in a component's id, so that it can be understood after a restart and by whichever process gets the click."""

from __future__ import annotations

from dataclasses import dataclass

_CONVERSATION = r"(?P<conversation>\w{1,40})"
PRESS = rf"sb:p:{_CONVERSATION}:(?P<button>b\d{{1,9}}\.\d{{1,3}})"
CHOOSE = rf"sb:s:{_CONVERSATION}:(?P<seq>\d{{1,9}})"
FORM = rf"sb:f:{_CONVERSATION}:(?P<brand>[\w-]{{1,40}}):(?P<form>\w{{1,40}})"
BRAND = r"sb:b:(?P<channel>\d{1,20}):(?P<message>\d{1,20})"
_MODAL = "sb:m"


def press(conversation_id: str, button_id: str) -> str:
    """Of a button that the conversation has."""
    return f"sb:p:{conversation_id}:{button_id}"


def choose(conversation_id: str, seq: int) -> str:
    """Of a list with the buttons of that message; its values are their ids."""
    return f"sb:s:{conversation_id}:{seq}"


def form(conversation_id: str, brand: str, name: str) -> str:
    """Of the button that opens a form."""
    return f"sb:f:{conversation_id}:{brand}:{name}"


def brand(channel: int, message: int) -> str:
    """Of the list of brands shown to somebody whose message could be for any of them."""
    return f"sb:b:{channel}:{message}"


@dataclass(frozen=True)
class ModalId:
    """Of a form that was opened."""

    conversation_id: str
    form: str

    def __str__(self) -> str:
        return f"{_MODAL}:{self.conversation_id}:{self.form}"

    @classmethod
    def parse(cls, text: str) -> ModalId | None:
        """Read it back; None for somebody else's."""
        parts = text.split(":")
        return cls(parts[2], parts[3]) if len(parts) == 4 and text.startswith(f"{_MODAL}:") else None
