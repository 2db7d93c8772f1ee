"""The app's home: what is somebody's here, open cases, and shortcuts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.channels.slack.formatting import note, rich_text, shortened
from bot.dialogue.wishes import TITLES
from bot.policy.dates import format_date
from bot.policy.pack import Pack
from bot.services import accounts, tickets
from bot.services.identity import IdentityService
from bot.services.views import SubscriptionView
from bot.store.unit_of_work import UnitOfWork

SHORTCUT = "shortcut"
_SHORTCUTS = ("cancel_subscription", "request_refund", "report_number_not_receiving", "talk_to_human")
_OPEN = ("open", "pending")
_MOST = 20
_STATUS = {"active": "renews on {day}", "not_renewing": "ends on {day}", "ended": "ended on {day}", "failed": "failed"}


def home_view(
    uow: UnitOfWork, identity: IdentityService, *, pack: Pack, conversation_id: str, now: datetime
) -> dict[str, Any]:
    """The home of a user, by whoever they proved to be in that conversation."""
    blocks: list[Mapping[str, Any]] = [_header(f"{pack.brand.name} support")]
    speaker = identity.speaker(uow, conversation_id, now=now)
    if speaker is None:
        blocks += rich_text(
            "I do not know yet which account is yours. Ask me something about it in Messages: I will send a code to "
            "your account's e-mail address, and remember you here for 30 days."
        )
    else:
        blocks += rich_text(f"Hello {speaker.name.split()[0]}." if speaker.name.strip() else "Hello.")
        blocks.append(_header("Your subscriptions"))
        held = accounts.subscriptions(uow, speaker.customer_id)
        lines = [_line(pack, subscription) for subscription in held[:_MOST]]
        blocks += rich_text("\n".join(lines) or "None.")
        blocks.append(_header("Your open cases"))
        cases = [t for t in tickets.tickets_of(uow, customer_id=speaker.customer_id) if t.status.value in _OPEN]
        blocks += rich_text("\n".join(f"{t.reference}: {shortened(t.subject, 100)}" for t in cases[:_MOST]) or "None.")
    blocks.append({"type": "divider"})
    blocks.append(
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "action_id": f"{SHORTCUT}:{intent}",
                    "text": {"type": "plain_text", "text": TITLES[intent]},
                    "value": TITLES[intent],
                }
                for intent in _SHORTCUTS
            ],
        }
    )
    blocks.append(note("I answer in Messages. /support unlink makes me forget which account is yours."))
    return {"type": "home", "blocks": blocks}


def _line(pack: Pack, subscription: SubscriptionView) -> str:
    day = format_date(subscription.period_end, pack.brand.zone)
    return f"{subscription.label} ({subscription.plan}): " + _STATUS.get(subscription.status, "").format(day=day)


def _header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": shortened(text, 150)}}
