"""People on the fake Discord: they write, press, choose and fill in, and see what Discord would show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.discord_gateway import DIRECT_MESSAGES, GUILD_MESSAGES
from tests.fakes.discord_rules import EPHEMERAL, File, documented, fields_of

if TYPE_CHECKING:
    from tests.fakes.discord_server import Channel, DiscordServer, Guild, Interaction

_KINDS = {"string": 3, "attachment": 11}


class Person:
    """Somebody with a Discord account."""

    def __init__(self, server: DiscordServer, number: int, payload: dict[str, Any]) -> None:
        self._server = server
        self.id = number
        self.payload = payload
        self.closed_to_bots = False

    # --- writing --------------------------------------------------------------------------------------------------

    async def write(self, content: str, *files: File, guild: Guild | None = None) -> dict[str, Any]:
        """Write to the bot directly, or into a guild's channel."""
        channel = guild.channel if guild else self._server.direct(self)
        message = self._server.message_payload(channel, self.payload, {"content": content}, files)
        channel.messages.append(message)
        await self._server.announce("MESSAGE_CREATE", channel, message)
        return message

    async def write_unheard(self, content: str) -> dict[str, Any]:
        """Write to the bot directly while Discord tells nobody: an outage, or no process that listens."""
        channel = self._server.direct(self)
        message = self._server.message_payload(channel, self.payload, {"content": content}, ())
        channel.messages.append(message)
        return message

    async def again(self, message: Mapping[str, Any]) -> None:
        """Have Discord tell of a message a second time."""
        channel = self._server.channels[int(message["channel_id"])]
        await self._server.announce("MESSAGE_CREATE", channel, message)

    async def edit(self, message: dict[str, Any], content: str) -> None:
        """Edit a message of one's own."""
        channel = self._server.channels[int(message["channel_id"])]
        message.update(content=content, edited_timestamp=message["timestamp"])
        await self._server.announce("MESSAGE_UPDATE", channel, message)

    async def delete(self, message: dict[str, Any]) -> None:
        """Delete a message of one's own."""
        channel = self._server.channels[int(message["channel_id"])]
        channel.messages.remove(message)
        data = {"id": message["id"], "channel_id": message["channel_id"]}
        if channel.guild is not None:
            data["guild_id"] = str(channel.guild.id)
        intent = GUILD_MESSAGES if channel.guild else DIRECT_MESSAGES
        await self._server.gateway.dispatch("MESSAGE_DELETE", data, intent=intent)

    # --- seeing -----------------------------------------------------------------------------------------------------

    def screen(self, guild: Guild | None = None) -> list[dict[str, Any]]:
        """What this person sees in their direct messages, or in the guild's channel, oldest first."""
        channel = guild.channel if guild else self._server.direct(self)
        own = [
            message
            for interaction in self._server.interactions.values()
            if interaction.person is self and interaction.channel is channel
            for message in interaction.messages
            if message["flags"] & EPHEMERAL
        ]
        return sorted([*channel.messages, *own], key=lambda message: int(message["id"]))

    def heard(self, guild: Guild | None = None) -> list[dict[str, Any]]:
        """What the bot said there, as far as this person sees it; nothing that still loads."""
        mine = self._server.me["id"]
        return [m for m in self.screen(guild) if m["author"]["id"] == mine and not m["flags"] & 1 << 7]

    def text(self, guild: Guild | None = None) -> str:
        """All of what the bot said there."""
        return "\n".join(message["content"] for message in self.heard(guild))

    async def hears(self, part: str, guild: Guild | None = None, *, times: int = 1, within: float = 20.0) -> str:
        """Wait until the bot has said something there that many times; all it said."""

        def said() -> bool:
            return sum(part in message["content"] for message in self.heard(guild)) >= times

        try:
            await self._server.until(said, within=within)
        except AssertionError:
            raise AssertionError(f"the bot did not say {part!r}; it said:\n{self.text(guild)}") from None
        return self.text(guild)

    # --- interacting ------------------------------------------------------------------------------------------------

    async def command(self, name: str, guild: Guild | None = None, /, **options: str | File) -> Interaction:
        """Use an application command; waits until the bot has acknowledged it."""
        known = {each["name"]: each for each in self._server.commands}
        assert name in known, f"/{name} is not registered; these are: {sorted(known)}"
        channel = guild.channel if guild else self._server.direct(self)
        data: dict[str, Any] = {"id": known[name]["id"], "name": name, "type": 1, "options": []}
        for option, value in options.items():
            kind = next(each["type"] for each in known[name]["options"] if each["name"] == option)
            if isinstance(value, File):
                attachment = self._server._attach(channel, value)
                data.setdefault("resolved", {"attachments": {}})["attachments"][attachment["id"]] = attachment
                value = attachment["id"]
            data["options"].append({"name": option, "type": kind, "value": value})
        return await self._interact("interaction_command", channel, data)

    def find(self, title: str, guild: Guild | None = None) -> tuple[dict[str, Any], dict[str, Any], str | None]:
        """The latest component with a title that starts like that: its message, itself, and a select's value."""
        shown = [message for message in reversed(self.screen(guild)) if message["components"]]
        for message in shown:
            for row in message["components"]:
                for component in row["components"]:
                    if component["type"] == 2 and component.get("label", "").lower().startswith(title.lower()):
                        return message, component, None
                    for option in component.get("options", ()):
                        if option["label"].lower().startswith(title.lower()):
                            return message, component, option["value"]
        raise AssertionError(f"no “{title}” to press; the bot said:\n{self.text(guild)}\n{self.titles(guild)}")

    def titles(self, guild: Guild | None = None) -> list[str]:
        """Titles of everything to press or choose in the latest message that has any."""
        for message in reversed(self.screen(guild)):
            found = [
                title
                for row in message["components"]
                for component in row["components"]
                for title in [component.get("label") or "", *(o["label"] for o in component.get("options", ()))]
            ]
            if found:
                return list(filter(None, found))
        return []

    async def press(self, title: str, guild: Guild | None = None) -> Interaction:
        """Press the latest button, or choose the latest option, whose title starts like that."""
        return await self.use(*self.find(title, guild))

    async def use(self, message: dict[str, Any], component: Mapping[str, Any], value: str | None = None) -> Interaction:
        """Press a button of a message, or choose that value of its select."""
        data: dict[str, Any] = {"component_type": component["type"], "custom_id": component["custom_id"]}
        if value is not None:
            data["values"] = [value]
        channel = self._server.channels[int(message["channel_id"])]
        return await self._interact("interaction_component", channel, data, source=message)

    async def fill_in(self, asked: Interaction, *files: File, **values: str) -> Interaction:
        """Send the modal that an interaction showed; values by the beginning of a field's label or its custom id."""
        assert asked.modal is not None, f"no modal was shown; the bot said:\n{asked.texts}"
        data: dict[str, Any] = {"custom_id": asked.modal["custom_id"], "components": []}
        attachments: dict[str, Any] = {}
        for label, each in fields_of(asked.modal):
            key = each["custom_id"]
            given = next(
                (v for k, v in values.items() if k == key or label.lower().startswith(k.lower().replace("_", " "))), ""
            )
            inner: dict[str, Any] = {"type": each["type"], "custom_id": key, "id": len(data["components"]) * 2 + 2}
            if each["type"] == 19:
                attachments |= {a["id"]: a for a in (self._server._attach(asked.channel, file) for file in files)}
                inner["values"] = list(attachments)
            else:
                assert not (each.get("required", True) and not given), f"“{label}” must be filled in"
                assert len(given) <= each.get("max_length", 4000), f"“{label}” takes no more"
                inner["value"] = given
            data["components"].append({"type": 18, "id": inner["id"] - 1, "component": inner})
        if attachments:
            data["resolved"] = {"attachments": attachments}
        return await self._interact("interaction_modal", asked.channel, data, source=asked.source)

    async def _interact(
        self, kind: str, channel: Channel, data: Mapping[str, Any], *, source: dict[str, Any] | None = None
    ) -> Interaction:
        from tests.fakes.discord_server import Interaction

        number = self._server.snowflake()
        token = f"aW50ZXJhY3Rpb246{number}"
        changes: dict[str, Any] = {
            "id": str(number),
            "token": token,
            "channel_id": str(channel.id),
            "channel": self._server.channel_payload(channel),
            "data": dict(data),
            "context": 1 if channel.guild is None else 0,
        }
        guild_id: int | None = None
        if channel.guild is not None:
            guild_id = channel.guild.id
            changes["guild_id"] = str(guild_id)
            changes["guild"] = {"id": str(guild_id), "locale": "en-US", "features": []}
            changes["guild_locale"] = "en-US"
            changes["member"] = documented("member", user=self.payload, permissions="2222085186641473")
        else:
            changes["user"] = self.payload
        if source is not None:
            changes["message"] = source
        payload = documented(kind, **changes)
        interaction = Interaction(number, token, self, channel, payload, source=source)
        self._server.interactions[token] = interaction
        await self._server.gateway.dispatch("INTERACTION_CREATE", payload, guild_id=guild_id)
        try:  # Discord gives the bot three seconds to answer or to defer
            await self._server.until(
                lambda: interaction.response is not None, within=self._server.acknowledge_within + 1
            )
        except AssertionError:
            raise AssertionError("The application did not respond") from None
        return interaction


def titles_of(message: Mapping[str, Any]) -> Sequence[str]:
    """Labels of a message's buttons and options."""
    return [
        title
        for row in message["components"]
        for component in row["components"]
        for title in ([component["label"]] if "label" in component else [o["label"] for o in component["options"]])
    ]
