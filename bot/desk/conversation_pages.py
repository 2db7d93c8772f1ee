"""The desk's page of one conversation, and everything an agent does in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.desk import conversations
from bot.desk.base import Desk, Uploaded, check_csrf, done, file_response, form_key, read_form, read_upload
from bot.desk.conversations import ConversationPage, Rail
from bot.errors import Conflict, InvalidInput
from bot.ids import new_id
from bot.policy.pack import Pack
from bot.services import canned, handoff, notes
from bot.services.agents import SignedIn
from bot.services.attachments import AttachmentView, store_attachment
from bot.services.canned import Step
from bot.services.tickets import Priority
from bot.store.unit_of_work import UnitOfWork

_SNOOZES = {"15": "for 15 minutes", "60": "for an hour", "240": "for 4 hours", "1440": "until tomorrow"}
_WAKE = "0"


@dataclass(frozen=True)
class _Act:
    """What a form asks for: by whom, in which conversation, under which key."""

    me: SignedIn
    conversation_id: str
    pack: Pack
    form: Mapping[str, str]
    key: str
    files: tuple[Uploaded, ...] = ()


def routes(desk: Desk) -> list[Route]:
    """A conversation, its files, and where its forms go."""
    pages = _Conversations(desk)
    return [
        Route("/desk/conversations/{id}", desk.guarded(pages.conversation)),
        Route("/desk/conversations/{id}/files/{attachment}", desk.guarded(pages.file)),
        Route("/desk/conversations/{id}/typing", desk.guarded(pages.typing), methods=["POST"]),
        Route("/desk/conversations/{id}/read", desk.guarded(pages.read), methods=["POST"]),
        *(
            Route(f"/desk/conversations/{{id}}/{name}", desk.guarded(pages.acting(act, said)), methods=["POST"])
            for name, (act, said) in pages.acts.items()
        ),
    ]


class _Conversations:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._gateway = desk.deps.gateway
        self.acts: Mapping[str, tuple[Callable[[_Act], Awaitable[None]], str]] = {
            "reply": (self._reply, ""),
            "note": (self._note, "note"),
            "claim": (self._claim, "claimed"),
            "release": (self._release, "released"),
            "transfer": (self._transfer, "transferred"),
            "snooze": (self._snooze, "snoozed"),
            "priority": (self._priority, "priority"),
            "hand-back": (self._hand_back, "handed-back"),
            "resolve": (self._resolve, "resolved"),
            "macro": (self._macro, "macro"),
        }

    # --- looking -----------------------------------------------------------------------------------------------------

    async def conversation(self, request: Request) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[ConversationPage, Rail]:
            shared = {"agent": me.agent, "packs": self._desk.deps.packs, "now": now}
            found = conversations.view_conversation(uow, conversation_id=request.path_params["id"], **shared)
            return found, conversations.read_rail(uow, **shared)

        def show(found: tuple[ConversationPage, Rail], me: SignedIn, now: datetime) -> Response:
            shown, rail = found
            watched = {
                "conversation": shown.chat.id,
                "after": shown.last_seq,
                "since": now.isoformat(),
                "state": shown.state,
            }
            return self._desk.page(
                "conversation.html",
                me=me,
                now=now,
                shown=shown,
                chat=shown.chat,
                rail=rail,
                current=shown.chat.id,
                problem=None,
                done=done(request),
                form_key=new_id("frm"),
                snoozes=_SNOOZES,
                priorities=[each.value for each in Priority],
                longest_note=notes.LONGEST_NOTE,
                longest_word=handoff.LONGEST_NOTE,
                events="/desk/events?" + urlencode(watched),
            )

        return await self._desk.look(request, read, show)

    async def file(self, request: Request) -> Response:
        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[AttachmentView, bytes]:
            names = request.path_params
            return conversations.read_file(
                uow, agent=me.agent, conversation_id=names["id"], attachment_id=names["attachment"], now=now
            )

        return file_response(*await self._desk.inside(request, read))

    # --- signs of life -----------------------------------------------------------------------------------------------

    async def typing(self, request: Request) -> Response:
        act = await self._act(request, await read_form(request), key="")
        await self._gateway.agent_typing(act.conversation_id, act.me.agent.id)
        return JSONResponse({})

    async def read(self, request: Request) -> Response:
        form = await read_form(request)
        seq = form.get("seq", "")
        if not seq.isdecimal() or len(seq) > 9:
            raise InvalidInput("“seq” is the number of a message.")
        act = await self._act(request, form, key="")
        await self._gateway.agent_read(act.conversation_id, agent_id=act.me.agent.id, seq=int(seq))
        return JSONResponse({})

    # --- acting ------------------------------------------------------------------------------------------------------

    def acting(self, act: Callable[[_Act], Awaitable[None]], said: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a form: reads it, checks whose it is, acts, and leads back to the conversation."""

        async def endpoint(request: Request) -> Response:
            conversation_id = request.path_params["id"]
            upload = await self._upload_terms(request)
            form, files = await read_upload(request, most_files=upload[0], most_bytes=upload[1])
            asked = await self._act(request, form, files=tuple(files))

            async def work() -> None:
                await act(asked)

            to = f"/desk/conversations/{conversation_id}" + (f"?done={said}" if said else "")
            return await self._desk.answer(request, work, to=to, said=said)

        return endpoint

    async def _upload_terms(self, request: Request) -> tuple[int, int]:
        """How many files of how many bytes the brand takes, asked before anything is read."""

        def read(uow: UnitOfWork, me: SignedIn, now: datetime) -> str:
            return conversations.brand_of(uow, agent=me.agent, conversation_id=request.path_params["id"])

        upload = self._pack(await self._desk.checked(request, read)).brand.upload
        return upload.max_files, upload.max_bytes

    async def _act(
        self,
        request: Request,
        form: Mapping[str, str],
        *,
        key: str | None = None,
        files: tuple[Uploaded, ...] = (),
    ) -> _Act:
        conversation_id = request.path_params["id"]

        def check(uow: UnitOfWork, me: SignedIn, now: datetime) -> tuple[SignedIn, str]:
            check_csrf(me, form)
            return me, conversations.brand_of(uow, agent=me.agent, conversation_id=conversation_id)

        me, brand = await self._desk.checked(request, check)
        content = "\0".join((request.url.path, *(form[name] for name in sorted(form) if name not in ("csrf", "key"))))
        made = form_key(me, form, content) if key is None else key
        return _Act(me, conversation_id, self._pack(brand), form, made, files)

    def _pack(self, brand: str) -> Pack:
        if brand not in self._desk.deps.packs:
            raise Conflict("The policy of this brand is not loaded, so nothing can be done now.")
        return self._desk.deps.packs[brand]

    async def _reply(self, act: _Act) -> None:
        """Say something, with files; what stands in braces is filled first, so that nothing unfilled goes out."""
        upload = act.pack.brand.upload

        def keep(uow: UnitOfWork) -> tuple[str, list[AttachmentView]]:
            handoff.speaks_for(uow, conversation_id=act.conversation_id, agent_id=act.me.agent.id)
            kept = [
                store_attachment(
                    uow,
                    conversation_id=act.conversation_id,
                    filename=file.name,
                    content=file.content,
                    now=self._desk.deps.clock.now(),
                    max_bytes=upload.max_bytes,
                    kinds=upload.kinds,
                )
                for file in act.files
            ]
            text = act.form.get("text", "")
            known = canned.values(uow, conversation_id=act.conversation_id, agent_id=act.me.agent.id, pack=act.pack)
            return canned.fill(text, known, only_known=True), kept

        text, kept = await self._desk.deps.store.writing(keep)
        await self._gateway.agent_says(
            act.conversation_id,
            agent_id=act.me.agent.id,
            text=text,
            attachments=tuple(each.id for each in kept),
            key=act.key,
        )

    async def _note(self, act: _Act) -> None:
        await self._gateway.note(
            act.conversation_id, agent_id=act.me.agent.id, body=act.form.get("body", ""), key=act.key
        )

    async def _claim(self, act: _Act) -> None:
        await self._gateway.claim(act.conversation_id, agent_id=act.me.agent.id, key=act.key)

    async def _release(self, act: _Act) -> None:
        word = self._word(act)
        await self._gateway.release(act.conversation_id, agent_id=act.me.agent.id, key=act.key, note=word)

    async def _transfer(self, act: _Act) -> None:
        kind, _, to = act.form.get("to", "").partition(":")
        if kind not in ("agent", "team"):
            raise InvalidInput("Choose whom to give it to: a person or a team.")
        await self._gateway.transfer(
            act.conversation_id,
            agent_id=act.me.agent.id,
            key=act.key,
            note=self._word(act),
            to_agent_id=to if kind == "agent" else None,
            to_team=to if kind == "team" else None,
        )

    async def _snooze(self, act: _Act) -> None:
        minutes = act.form.get("minutes", "")
        if minutes != _WAKE and minutes not in _SNOOZES:
            raise InvalidInput("Choose for how long to put this aside.")
        until = self._desk.deps.clock.now() + timedelta(minutes=int(minutes)) if minutes != _WAKE else None
        await self._gateway.snooze(act.conversation_id, agent_id=act.me.agent.id, until=until)

    async def _priority(self, act: _Act) -> None:
        try:
            priority = Priority(act.form.get("priority", ""))
        except ValueError:
            raise InvalidInput(f"A priority is {', '.join(each.value for each in Priority)}.") from None
        await self._gateway.set_priority(act.conversation_id, agent_id=act.me.agent.id, priority=priority)

    async def _hand_back(self, act: _Act) -> None:
        word = self._word(act)
        await self._gateway.hand_back(act.conversation_id, agent_id=act.me.agent.id, note=word, key=act.key)

    async def _resolve(self, act: _Act) -> None:
        word = self._word(act)
        await self._gateway.resolve(act.conversation_id, agent_id=act.me.agent.id, note=word, key=act.key)

    async def _macro(self, act: _Act) -> None:
        """Take a macro's steps; all are filled and checked before the first is taken, so that none is half done."""

        def prepare(uow: UnitOfWork) -> tuple[Step, ...]:
            handoff.speaks_for(uow, conversation_id=act.conversation_id, agent_id=act.me.agent.id)
            macro = canned.macro(uow, brand=act.pack.brand.id, macro_id=act.form.get("macro", ""))
            known = canned.values(uow, conversation_id=act.conversation_id, agent_id=act.me.agent.id, pack=act.pack)
            return tuple(Step(step.kind, canned.fill(step.value, known)) for step in macro.steps)

        steps = await self._desk.deps.store.writing(prepare)
        await self._gateway.take_steps(act.conversation_id, agent_id=act.me.agent.id, steps=steps, key=act.key)

    def _word(self, act: _Act) -> str:
        word = act.form.get("note", "").replace("\r\n", "\n").replace("\0", "").strip()
        if len(word) > handoff.LONGEST_NOTE:
            raise InvalidInput(f"That has {len(word):,} characters, and at most {handoff.LONGEST_NOTE:,} are kept.")
        return word
