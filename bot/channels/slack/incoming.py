"""Which of Slack's many payloads are for us to keep, and by what name each is told twice only once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bot.channels.slack.blocks import CHOOSE
from bot.channels.slack.desk.cards import DESK, NOTE, opens_form
from bot.channels.slack.home import SHORTCUT
from bot.channels.slack.inbox import Incoming
from bot.channels.slack.places import channel_user

MESSAGE, MENTION, CHANGE, PRESS = "message", "mention", "change", "press"
FORM, COMMAND, SHORT = "form", "command", "shortcut"
DESK_MESSAGE, DESK_PRESS, DESK_FORM, DESK_CHANGE = "desk message", "desk press", "desk form", "desk change"
_SAID = (None, "file_share", "thread_broadcast", "me_message")  # subtypes of what a person says


def incoming(body: Mapping[str, Any], *, rooms: Collection[str] = ()) -> Incoming | None:
    """What to keep of a payload; None if it is handled at once, or is nothing to us. `rooms` are those of the desk."""
    if body.get("type") == "event_callback":
        return _event(body["team_id"], body["event"], rooms)
    if body.get("type") == "block_actions":
        return _action(body)
    if body.get("type") == "view_submission" and body["view"]["callback_id"].startswith(f"{DESK}:"):
        return _desk_form(body)
    if body.get("type") == "view_submission" and body["view"]["callback_id"].startswith("form:"):
        team, user, view = body["team"]["id"], body["user"]["id"], body["view"]
        payload = {
            "team": team,
            "user": user,
            "form": view["callback_id"],
            "view": view["id"],
            "conversation": view["private_metadata"],
            "state": {"state": view["state"]},
        }
        at = _moment_of(body.get("trigger_id"))
        return Incoming(FORM, f"form:{view['id']}", channel_user(team, user), at, payload)
    if "command" in body and body.get("text", "").strip() not in ("", "help", "unlink"):
        team, user = body["team_id"], body["user_id"]
        payload = {"team": team, "user": user, "text": body["text"], "trigger": body["trigger_id"]}
        at = _moment_of(body["trigger_id"])
        return Incoming(COMMAND, f"command:{body['trigger_id']}", channel_user(team, user), at, payload)
    return None


def _desk_form(body: Mapping[str, Any]) -> Incoming:
    team, user, view = body["team"]["id"], body["user"]["id"], body["view"]
    room, card, value = view["private_metadata"].split("|", 2)
    payload = {
        "team": team,
        "user": user,
        "room": room,
        "thread": card,
        "ts": view["id"],
        "action": view["callback_id"],
        "value": value,
        "note": (view["state"]["values"][NOTE][NOTE].get("value") or "").strip(),
    }
    return Incoming(DESK_FORM, f"form:{view['id']}", channel_user(team, user), _moment_of(body["trigger_id"]), payload)


def _event(team: str, event: Mapping[str, Any], rooms: Collection[str]) -> Incoming | None:
    kind, subtype, room = event.get("type"), event.get("subtype"), str(event.get("channel") or "")
    if kind == "message" and subtype in ("message_changed", "message_deleted"):
        return _change(team, room, event, DESK_CHANGE if room in rooms else CHANGE)
    if kind not in ("message", "app_mention") or subtype not in _SAID or event.get("bot_id") or not event.get("user"):
        return None
    at_desk = room in rooms
    if at_desk and not event.get("thread_ts"):
        return None
    if kind == "message" and not room.startswith("D") and not at_desk:
        return None
    payload = {
        "team": team,
        "user": event["user"],
        "room": room,
        "thread": event.get("thread_ts") or "",
        "ts": event["ts"],
        "text": event.get("text") or "",
        "files": list(event.get("files") or ()),
    }
    name = DESK_MESSAGE if at_desk else MESSAGE if kind == "message" else MENTION
    key = f"message:{team}/{room}/{event['ts']}"  # the same under whatever event id it is told again
    return Incoming(name, key, channel_user(team, event["user"]), float(event["ts"]), payload)


def _change(team: str, room: str, event: Mapping[str, Any], kind: str) -> Incoming | None:
    if kind == CHANGE and not room.startswith("D"):
        return None
    before = event.get("previous_message") or {}
    after = event.get("message") or {}
    user = before.get("user") or after.get("user")
    if not user or before.get("bot_id") or after.get("bot_id"):
        return None
    deleted = event["subtype"] == "message_deleted"
    if not deleted and before.get("text") == after.get("text"):
        return None  # a link was unfolded
    ts = event["deleted_ts"] if deleted else after["ts"]
    payload = {
        "team": team,
        "user": user,
        "room": room,
        "thread": before.get("thread_ts") or after.get("thread_ts") or "",
        "ts": ts,
        "kind": "deleted" if deleted else "edited",
        "text": "" if deleted else after.get("text") or "",
    }
    what = "deleted" if deleted else f"edited/{(after.get('edited') or {}).get('ts') or event['event_ts']}"
    key = f"change:{team}/{room}/{ts}/{what}"
    return Incoming(kind, key, channel_user(team, user), float(event["event_ts"]), payload)


def _action(body: Mapping[str, Any]) -> Incoming | None:
    action = body["actions"][0]
    name = action["action_id"].partition(":")[0]
    kind = {CHOOSE: PRESS, SHORTCUT: SHORT, DESK: DESK_PRESS}.get(name)
    if kind is None:
        return None
    if kind == DESK_PRESS and opens_form(action["action_id"]):
        return None  # nothing is done yet, and Slack lets a form be opened for three seconds only
    return Incoming(kind, *pressed(body, kind))


def pressed(body: Mapping[str, Any], kind: str) -> tuple[str, str, float, dict[str, Any]]:
    """Of something pressed or chosen: the key, the sender, when, and what is to be known of it."""
    action = body["actions"][0]
    team, user = (body.get("team") or {}).get("id") or body["user"]["team_id"], body["user"]["id"]
    chosen = action.get("selected_option") or {"value": action.get("value", ""), "text": action.get("text") or {}}
    container, message = body.get("container") or {}, body.get("message") or {}
    payload = {
        "team": team,
        "user": user,
        "room": (body.get("channel") or {}).get("id") or "",
        "thread": container.get("thread_ts") or message.get("thread_ts") or "",
        "message": container.get("message_ts") or "",
        "blocks": message.get("blocks") or [],
        "text": message.get("text") or "",
        "value": chosen["value"],
        "title": chosen["text"].get("text", ""),
        "ts": action["action_ts"],
        "action": action["action_id"],
    }
    key = f"{kind}:{team}/{user}/{action['action_ts']}"
    return key, channel_user(team, user), float(action["action_ts"]), payload


def _moment_of(trigger: str | None) -> float:
    """When something without a timestamp was done: the middle of a trigger id is close enough to order by."""
    middle = (trigger or "").split(".")[1:2]
    digits = middle[0] if middle and middle[0].isdecimal() else "0"
    return float(digits[:10])
