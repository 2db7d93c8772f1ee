"""A chat in the terminal, through the same gateway as every other channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bot.conversation import history
from bot.conversation.gateway import Gateway
from bot.conversation.messages import ButtonView, InboundMessage, MessageView, Reply
from bot.errors import InvalidInput, NotFound, SupportBotError, UnknownBrand
from bot.ids import new_id
from bot.policy.pack import Pack
from bot.services.attachments import store_attachment
from bot.services.identity import IdentityService
from bot.services.ports import Clock
from bot.services.receipts import receipt_view
from bot.store.unit_of_work import Store, UnitOfWork

CHANNEL = "terminal"
_ATTACH = "/file"


@dataclass(frozen=True)
class TerminalDeps:
    """Everything a chat in the terminal needs; `call` runs a coroutine function of the gateway's event loop."""

    store: Store
    gateway: Gateway
    identity: IdentityService
    packs: Mapping[str, Pack]
    clock: Clock
    greeting: Callable[[Pack], Reply]
    call: Callable[..., Any]


class Terminal(Protocol):
    """Where lines come from and go to."""

    def ask(self) -> str:
        """The next line. Raises EOFError at the end."""
        ...

    def show(self, author: str, text: str) -> None:
        """Print something that was said; `author` is empty for notes about the chat itself."""
        ...


class TerminalChat:
    """One conversation. A line is a message; a number presses that button; `/file PATH` sends a file."""

    def __init__(self, deps: TerminalDeps, terminal: Terminal, *, brand: str, email: str | None) -> None:
        """Open the conversation, as the customer with that e-mail address if one is given.

        Whoever may start this command may read the database, so the address needs no proof. Raises UnknownBrand, and
        NotFound when the brand has no such customer.
        """
        if brand not in deps.packs:
            raise UnknownBrand(f"There is no brand {brand!r}. Known: {', '.join(sorted(deps.packs))}.")
        self._deps = deps
        self._terminal = terminal
        self._pack = deps.packs[brand]
        self._shown = 0
        self._buttons: tuple[ButtonView, ...] = ()
        with deps.store.write() as uow:
            self._id = self._open(uow, email)
            uow.commit()

    def run(self) -> None:
        """Talk until the input ends."""
        self._show_new()
        while True:
            try:
                line = self._terminal.ask()
            except EOFError:
                return
            try:
                self._deps.call(self._deps.gateway.receive, self._message(line))
            except SupportBotError as error:
                self._terminal.show("", str(error))
            self._show_new()

    def _open(self, uow: UnitOfWork, email: str | None) -> str:
        deps, brand, now = self._deps, self._pack.brand, self._deps.clock.now()
        customer = None
        if email is not None:
            token = deps.identity.issue_demo_token(brand.id, email, now=now)
            try:
                customer = deps.identity.verify_token(uow, brand.id, token, now=now)
            except NotFound:
                raise NotFound(f"No customer of {brand.name} has the e-mail address {email}.") from None
        conversation = history.open_conversation(
            uow,
            brand=brand.id,
            channel=CHANNEL,
            external_id=new_id("term"),
            greeting=[deps.greeting(self._pack)],
            name=brand.name,
            now=now,
        )
        if customer is not None:
            deps.identity.bind(uow, conversation.id, customer, now=now)
        return conversation.id

    def _message(self, line: str) -> InboundMessage:
        typed = line.strip()
        button = self._button(typed)
        command, _, path = typed.partition(" ")
        files = (self._upload(path.strip()),) if command == _ATTACH else ()
        return InboundMessage(
            conversation_id=self._id,
            channel=CHANNEL,
            external_id=new_id("line"),
            text="" if files or button else line,
            button_id=button.id if button else None,
            attachment_ids=files,
        )

    def _button(self, typed: str) -> ButtonView | None:
        number = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 4 else 0
        return self._buttons[number - 1] if 0 < number <= len(self._buttons) else None

    def _upload(self, path: str) -> str:
        if not path:
            raise InvalidInput(f"Say which file: {_ATTACH} PATH.")
        limits = self._pack.brand.upload
        try:
            with Path(path).expanduser().open("rb") as file:
                content = file.read(limits.max_bytes + 1)
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
        with self._deps.store.write() as uow:
            kept = store_attachment(
                uow,
                conversation_id=self._id,
                filename=Path(path).name,
                content=content,
                now=self._deps.clock.now(),
                max_bytes=limits.max_bytes,
                kinds=limits.kinds,
            )
            uow.commit()
        return kept.id

    def _show_new(self) -> None:
        """Print what was said since the last time; buttons are those of the last messages only."""
        with self._deps.store.read() as uow:
            messages = history.messages_after(uow, self._id, self._shown)
        said = [message for message in messages if message.author != "customer"]
        if said:
            self._buttons = tuple(button for message in said for button in message.buttons)
        number = 0
        for message in said:
            lines = [message.text, *self._receipts(message)]
            for button in message.buttons:
                number += 1
                lines.append(f"  [{number}] {button.title}")
            self._terminal.show(message.name, "\n".join(lines))
        if messages:
            self._shown = messages[-1].seq
            with self._deps.store.write() as uow:
                history.mark_delivered(uow, self._id, self._shown, now=self._deps.clock.now())
                uow.commit()

    def _receipts(self, message: MessageView) -> list[str]:
        ids = [attachment.id for attachment in message.attachments if attachment.kind == "receipt"]
        if not ids:
            return []
        with self._deps.store.read() as uow:
            owner = history.conversation(uow, self._id).customer_id or ""
            receipts = [receipt_view(uow, each, customer_id=owner).plain for each in ids]
        return [f"  | {line}".rstrip() for receipt in receipts for line in receipt.splitlines()]
