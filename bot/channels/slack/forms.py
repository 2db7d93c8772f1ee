"""Forms that answer an open question at once: the one-time code, and what an investigation needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.channels.slack import words
from bot.channels.slack.formatting import shortened
from bot.dialogue.asking import Asking, Expect, FlowState
from bot.policy.pack import Pack, Upload

CODE, REPORT = "code", "report"
_FILES, _SINCE = "attachments", "since"
_ENDINGS = {
    "image/png": ["png"],
    "image/jpeg": ["jpg", "jpeg"],
    "image/webp": ["webp"],
    "image/gif": ["gif"],
    "application/pdf": ["pdf"],
    "text/plain": ["txt", "log"],
    "text/csv": ["csv"],
    "application/json": ["json"],
}


def form_for(asking: Asking | None, pack: Pack) -> tuple[str, str] | None:
    """Name and title of the form that answers a question; None if there is none."""
    if asking is None:
        return None
    if Expect.CODE in asking.expects:
        return CODE, words.CODE_FORM
    if Expect.TEXT in asking.expects and asking.step in [each.evidence for each in pack.investigation.fields]:
        return REPORT, words.REPORT_FORM
    return None


def code_view(conversation_id: str) -> dict[str, Any]:
    """The form for the code."""
    element = {"type": "plain_text_input", "action_id": CODE, "max_length": 12, "focus_on_load": True}
    return _modal(CODE, "Confirm who you are", conversation_id, [_input(CODE, "The six digits of the mail", element)])


def report_view(conversation_id: str, pack: Pack, flow: FlowState, asking: Asking) -> dict[str, Any]:
    """The form for all that an investigation still asks, from the open question on."""
    fields = list(pack.investigation.fields)
    start = next((i for i, each in enumerate(fields) if each.evidence == asking.step), 0)
    known = set(flow.data.get("details") or ())
    blocks = []
    for wanted in fields[start:]:
        if wanted.evidence in known:
            continue
        asks = shortened(pack.evidence[wanted.evidence].asks, 2000)
        if wanted.evidence == _FILES:
            blocks.append(_input(_FILES, asks, _file_input(pack.brand.upload), optional=True))
        else:
            element: dict[str, Any] = {"type": "plain_text_input", "action_id": wanted.evidence, "max_length": 1000}
            element["multiline"] = wanted.evidence == "description"
            if wanted.evidence == _SINCE:  # said as in the chat, which asks back where the day is not clear
                element["placeholder"] = {"type": "plain_text", "text": words.A_DAY}
            blocks.append(_input(wanted.evidence, asks, element, optional=not wanted.required))
    return _modal(REPORT, "What goes wrong", conversation_id, blocks)


def values_of(view: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[Mapping[str, Any]]]]:
    """What was filled in, texts and files, by block."""
    texts: dict[str, str] = {}
    files: dict[str, list[Mapping[str, Any]]] = {}
    for block, elements in view["state"]["values"].items():
        for value in elements.values():
            if value["type"] == "file_input":
                files[block] = list(value.get("files") or ())
            texts[block] = (value.get("value") or "").strip()
    return texts, files


def _file_input(upload: Upload) -> dict[str, Any]:
    endings = [ending for kind in upload.kinds for ending in _ENDINGS.get(kind, ())]
    return {
        "type": "file_input",
        "action_id": _FILES,
        "max_files": min(upload.max_files, 10),
        **({"filetypes": endings} if endings else {}),
    }


def _input(block: str, label: str, element: Mapping[str, Any], *, optional: bool = False) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block,
        "optional": optional,
        "label": {"type": "plain_text", "text": label},
        "element": dict(element),
    }


def _modal(name: str, title: str, conversation_id: str, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": f"form:{name}",
        "private_metadata": conversation_id,
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Send"},
        "close": {"type": "plain_text", "text": "Not now"},
        "blocks": list(blocks),
    }
