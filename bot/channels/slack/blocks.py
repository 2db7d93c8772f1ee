"""A message as Block Kit: its words, its choices as buttons or a select, and a button for a form where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.channels.slack.formatting import escape, note, rich_text, shortened
from bot.conversation.messages import ButtonView, MessageView

CHOOSE = "choose"
FORM = "form"
_MOST_BUTTONS = 5  # more are easier to choose from in a list: numbers and plans
_BUTTON_ROOM = 75
_OPTIONS = 100
_FALLBACK = 3_000


def message_blocks(
    message: MessageView, *, trusted: Sequence[str], form: tuple[str, str] | None = None
) -> list[dict[str, Any]]:
    """The blocks of a message; `form` is the name and the title of the form that answers it."""
    blocks = rich_text(message.text, trusted)
    elements = [_button(f"{FORM}:{form[0]}", form[1], message.conversation_id)] if form else []
    blocks += _choices(message.conversation_id, message.buttons, elements)
    return blocks


def fallback(text: str) -> str:
    """What notifications and screen readers say."""
    return escape(shortened(text, _FALLBACK))


def answered(blocks: Sequence[dict[str, Any]], title: str) -> list[dict[str, Any]]:
    """The same message once something was chosen: what it was, in place of the choices."""
    return [*(block for block in blocks if block["type"] != "actions"), note(f"You chose: {title}")]


def value_of(conversation_id: str, button_id: str) -> str:
    """What a choice carries: its meaning stays on the server."""
    return f"{conversation_id}|{button_id}"


def _choices(
    conversation_id: str, buttons: Sequence[ButtonView], elements: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if len(buttons) > _MOST_BUTTONS:
        options = [
            {
                "text": {"type": "plain_text", "text": shortened(button.title, _BUTTON_ROOM)},
                "value": value_of(conversation_id, button.id),
            }
            for button in buttons[:_OPTIONS]
        ]
        placeholder = {"type": "plain_text", "text": "Choose one"}
        select = {"type": "static_select", "action_id": CHOOSE, "placeholder": placeholder, "options": options}
        elements = [*elements, select]
    else:
        elements = [
            *elements,
            *(
                _button(f"{CHOOSE}:{index}", button.title, value_of(conversation_id, button.id))
                for index, button in enumerate(buttons)
            ),
        ]
    return [{"type": "actions", "elements": elements}] if elements else []


def _button(action: str, title: str, value: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": shortened(title, _BUTTON_ROOM)},
        "value": value,
    }
