"""Names of users and of messages on Slack, as they are kept in the store."""

from __future__ import annotations

from dataclasses import dataclass

CHANNEL = "slack"


def channel_user(team: str, user: str) -> str:
    """A user of a workspace."""
    return f"{team}/{user}"


def team_and_user(name: str) -> tuple[str, str]:
    """The workspace and the user of a channel user."""
    team, _, user = name.partition("/")
    return team, user


@dataclass(frozen=True)
class Place:
    """Where something was said: workspace, room (empty: nowhere in particular), thread (empty: none), and what there.

    `what` is a message's timestamp, or names a press, a form or a command.
    """

    team: str
    room: str
    thread: str
    what: str

    def __str__(self) -> str:
        return "/".join((self.team, self.room, self.thread, self.what))

    @classmethod
    def parse(cls, name: str | None) -> Place | None:
        """Read back what `str` made; None for anything else."""
        parts = (name or "").split("/")
        return cls(*parts) if len(parts) == 4 else None

    @property
    def is_direct(self) -> bool:
        """Whether nobody else reads along."""
        return self.room.startswith("D") or not self.room
