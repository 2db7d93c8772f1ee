"""The composition root: the only place where parts are built and put together."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot import secrets
from bot.channels.arrivals import Arrivals
from bot.channels.channel import Channel, ChannelDeps, keep_running
from bot.channels.mail import inbound
from bot.channels.problems import on_error, problem
from bot.channels.widget import api as widget
from bot.channels.widget.links import SignedLinks
from bot.conversation.engine import DialogueEngine, RasaEngine, load_actions
from bot.conversation.gateway import Gateway
from bot.conversation.locks import Bus, LocalBus, LocalLocks, Locks, RedisBus, RedisLocks
from bot.conversation.messages import Reply
from bot.conversation.training import find_model
from bot.desk.routes import DemoAgent, DeskDeps
from bot.desk.routes import routes as desk_routes
from bot.dialogue.common import join
from bot.dialogue.conduct import Conductor
from bot.dialogue.container import set_conductor
from bot.dialogue.meaning import KeptMeanings
from bot.dialogue.turn import Services
from bot.dialogue.wishes import suggestions
from bot.errors import NotFound, SupportBotError, Unavailable
from bot.metrics import Metrics
from bot.nlu import names
from bot.policy.dates import format_date
from bot.policy.facts import Facts
from bot.policy.loader import load_packs
from bot.policy.pack import Pack
from bot.policy.shelf import PackShelf
from bot.policy.wording import render
from bot.services import agents, demo_desk, keeping, lifecycle
from bot.services.help_center import HelpCenter
from bot.services.identity import IdentityService
from bot.services.mail import CaughtMail, DemoMailer, SmtpMailer, caught_mail, caught_mails, mail_handler
from bot.services.outbox import Dispatcher, OutboxKind
from bot.services.ports import Clock, Mailer, SecretCodes, SystemClock
from bot.services.pruning import prune
from bot.services.reminders import KeepLinks
from bot.settings import Settings
from bot.store import demo, erased, schema
from bot.store.tables import Message, Outbox
from bot.store.unit_of_work import Store, make_engine
from bot.web import pages

log = structlog.get_logger("supportbot.app")
_WIDGET_SCRIPT = Path(__file__).parent / "web" / "static" / "widget.js"
_DEMO_AGENT_PASSWORD = "SUPPORTBOT_DEMO_AGENT_PASSWORD"  # noqa: S105 - a name, not a password
_OUTBOX_SECONDS = 1.0
_REPAIR_SECONDS = 30.0
_REDIS_SECONDS = 5.0  # to wait for an answer; an unreachable one must not hold up conversations
_TICK_SECONDS = 60.0
_PROMISE_SECONDS = 5.0
_PACKS_SECONDS = 5.0


@dataclass
class App:
    """One running supportbot: its parts, and how they are started and stopped."""

    settings: Settings
    store: Store
    packs: PackShelf
    help_center: HelpCenter
    identity: IdentityService
    engine: DialogueEngine
    gateway: Gateway
    dispatcher: Dispatcher
    clock: Clock
    metrics: Metrics
    bus: Bus
    channels: tuple[Channel, ...] = ()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[App]:
        """Answer what an earlier process left unanswered, then keep the outbox and the lifecycle going."""
        await self.engine.parse("hello", metadata={})  # the first message of all is slow, and nobody waits for this one
        await self._repair(waiting_for=timedelta())
        tasks = [
            asyncio.create_task(asyncio.to_thread(self.help_center.prepare)),
            asyncio.create_task(_every(_OUTBOX_SECONDS, self._deliver)),
            asyncio.create_task(_every(_TICK_SECONDS, self._tick)),
            asyncio.create_task(_every(_PROMISE_SECONDS, self._keep_promises)),
            asyncio.create_task(_every(_PACKS_SECONDS, self._refresh_packs)),
            asyncio.create_task(_every(_REPAIR_SECONDS, self._repair)),
            *(asyncio.create_task(keep_running(channel)) for channel in self.channels),
        ]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.bus.close()

    def close(self) -> None:
        """Give back what was taken."""
        set_conductor(None)
        self.store.close()

    async def _repair(self, waiting_for: timedelta = timedelta(seconds=_REPAIR_SECONDS)) -> None:
        repaired = await self.gateway.repair(waiting_for=waiting_for)
        if repaired:
            log.info("answered messages that were left waiting", messages=repaired)

    async def _refresh_packs(self) -> None:
        refreshed = await asyncio.to_thread(self.packs.refresh)
        if refreshed.taken_up:
            names.serve(self.packs.values())
        for brand in refreshed.taken_up:
            log.info("policy pack taken up", brand=brand, version=self.packs[brand].version)
        for refused in refreshed.refused:
            log.error("policy pack refused, the last good one is served", problem=str(refused))

    async def _deliver(self) -> None:
        result = await asyncio.to_thread(self.dispatcher.run_due)
        for name in ("sent", "failed", "dead"):
            self.metrics.outbox.labels(name).inc(getattr(result, name))

    async def _keep_promises(self) -> None:
        await self.gateway.keep_promises()

    async def _tick(self) -> None:
        report = await asyncio.to_thread(
            lambda: lifecycle.tick(self.store, now=self.clock.now(), packs=self.packs, links=keep_links(self.settings))
        )
        self.metrics.lifecycle.labels("done").inc(report.done)
        self.metrics.lifecycle.labels("failed").inc(len(report.failed))
        await asyncio.to_thread(prune, self.store, now=self.clock.now())


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    mailer: Mailer | None = None,
    engine: DialogueEngine | None = None,
) -> App:
    """Everything of one process, from its settings; tests hand in their own clock, mailer or engine.

    Raises Unavailable for a database that is not migrated or a model that is not trained, and what the loaders raise.
    """
    clock = clock or SystemClock()
    packs = PackShelf(settings.packs)
    names.serve(packs.values())
    settings = settings.complete(packs)
    store = make_store(settings)
    with store.write() as uow:
        if erased.key_digests(uow):
            uow.commit()
    help_center = load_help_center(settings)
    identity = make_identity(settings, packs)
    set_conductor(make_conductor(settings, store, packs, help_center, identity))
    metrics = Metrics()
    locks, bus = _coordination(settings)
    engine = engine or load_engine(settings)
    gateway = Gateway(
        store=store,
        engine=engine,
        packs=packs,
        locks=locks,
        bus=bus,
        clock=clock,
        on_turn=metrics.turn,
    )
    mailer = mailer or _mailer(settings, store, clock)
    dispatcher = Dispatcher(
        store, {OutboxKind.EMAIL: mail_handler(mailer, domain=_mail_domain(settings))} if mailer else {}, clock
    )
    metrics.watch(
        dead=lambda: _count(store, Outbox, Outbox.status == "dead"),
        waiting=lambda: _count(store, Message, Message.status == "received"),
    )
    deps = ChannelDeps(
        store=store,
        gateway=gateway,
        identity=identity,
        arrivals=Arrivals(store, identity, packs, clock, greeting),
        packs=packs,
        help_center=help_center,
        locks=locks,
        bus=bus,
        clock=clock,
        secret=_secret(settings),
        public_url=settings.public_url,
        on_delivery=lambda channel, result: metrics.deliveries.labels(channel, result).inc(),
    )
    return App(
        settings=settings,
        store=store,
        packs=packs,
        help_center=help_center,
        identity=identity,
        engine=engine,
        gateway=gateway,
        dispatcher=dispatcher,
        clock=clock,
        metrics=metrics,
        bus=bus,
        channels=_channels(settings, deps),
    )


def make_store(settings: Settings) -> Store:
    """The database, which must be at this release's schema. Raises Unavailable."""
    store = Store(make_engine(settings.database_url), address_key=settings.address_key())
    if not schema.is_current(store.engine):
        raise Unavailable("The database is not at this release's schema. Run `supportbot db upgrade` first.")
    return store


def load_engine(settings: Settings) -> DialogueEngine:
    """The dialogue engine with the newest trained model. Raises Unavailable when there is none."""
    model = find_model(settings.models)
    if model is None:
        raise Unavailable("There is no trained model yet. Run `supportbot train` first.")
    return RasaEngine(model.path, load_actions())


def load_help_center(settings: Settings) -> HelpCenter:
    """The help articles, searched by the meaning that the sentence encoder gives them too."""
    from bot.nlu.encoder import shared_encoder

    return HelpCenter.load(
        settings.help_center, meanings=KeptMeanings(shared_encoder, settings.models / "help-meanings.npz")
    )


def make_identity(settings: Settings, packs: Mapping[str, Pack]) -> IdentityService:
    """The identity service with the secrets of the settings."""
    return IdentityService(
        brands={name: pack.brand for name, pack in packs.items()},
        token_secrets=settings.jwt_secrets,
        code_secret=_secret(settings),
        codes=SecretCodes(),
    )


def make_conductor(
    settings: Settings,
    store: Store,
    packs: Mapping[str, Pack],
    help_center: HelpCenter,
    identity: IdentityService,
) -> Conductor:
    """What actions work with."""

    def help_link(brand: str, article: str, section: str) -> str:
        return f"{settings.public_url}/help/{brand}/{article}#{section}"

    return Conductor(
        store=store,
        packs=packs,
        services=Services(identity=identity, help_center=help_center, help_link=help_link),
    )


def conductor_from_environment() -> Conductor:
    """The conductor for actions that run outside of `supportbot run`, under stock `rasa run actions`."""
    settings = Settings.from_env(os.environ)
    packs = load_packs(settings.packs)
    settings = settings.complete(packs)
    return make_conductor(
        settings,
        make_store(settings),
        packs,
        load_help_center(settings),
        make_identity(settings, packs),
    )


def keep_links(settings: Settings) -> KeepLinks:
    """The links of reminders, signed with the server's secret."""
    return KeepLinks(_secret(settings), settings.public_url)


def greeting(pack: Pack) -> Reply:
    """What a new conversation starts with."""
    text = "\n\n".join(render(pack.texts["greeting"], pack.brand, Facts({})))
    return Reply(text=text, buttons=tuple(suggestions(pack)))


# --- the web application -------------------------------------------------------------------------------------------


def web(app: App, *, limits: widget.Limits | None = None) -> ASGIApp:
    """The ASGI application: the widget's API, the demo help centers, health and metrics."""
    site = _site(app)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.running():
            yield

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        if not await asyncio.to_thread(schema.is_current, app.store.engine):
            return JSONResponse({"ready": False, "why": "the database is not at this release's schema"}, 503)
        return JSONResponse({"ready": True, "packs_refused": sorted(app.packs.refused)})

    async def metrics(request: Request) -> Response:
        wanted = app.settings.operator_token
        given = request.headers.get("authorization", "")
        if wanted is not None and not hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode()):
            return problem(401, "not-authenticated", "Send the operator token as “Authorization: Bearer …”.")
        text = await asyncio.to_thread(app.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def script(request: Request) -> Response:
        return FileResponse(_WIDGET_SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    api = widget.routes(
        widget.WidgetDeps(
            store=app.store,
            gateway=app.gateway,
            identity=app.identity,
            packs=app.packs,
            clock=app.clock,
            links=SignedLinks(_secret(app.settings)),
            greeting=greeting,
            limits=limits or widget.Limits(),
        )
    )
    friendly = pages.not_found(site)

    async def not_found(request: Request, error: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return problem(404, "not-found", "There is nothing at this address.")
        return await friendly(request, error)

    async def not_allowed(request: Request, error: Exception) -> Response:
        allowed = getattr(error, "headers", None) or {}
        response = problem(405, "method-not-allowed", "This address does not take that method.")
        response.headers.update(allowed)
        return response

    desk = desk_routes(
        DeskDeps(
            store=app.store,
            packs=app.packs,
            clock=app.clock,
            gateway=app.gateway,
            secure_cookies=app.settings.public_url.startswith("https:"),
            demo=_demo_agent(app) if app.settings.demo else None,
        )
    )

    async def tell_desks(ticket_id: str) -> None:
        await app.bus.publish("desk", ticket_id)

    mail = inbound.routes(
        inbound.InboundDeps(
            store=app.store,
            packs=app.packs,
            clock=app.clock,
            secret=app.settings.inbound_secret,
            tell=tell_desks,
        )
    )
    starlette = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/widget.js", script),
            *api,
            *desk,
            *mail,
            *(route for channel in app.channels for route in channel.routes()),
            *pages.routes(site),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(app.settings.allowed_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
                expose_headers=["Retry-After"],
            )
        ],
        exception_handlers={
            SupportBotError: on_error,
            OperationalError: on_error,
            404: not_found,
            405: not_allowed,
            Exception: on_error,
        },
        lifespan=lifespan,
    )
    return pages.security_headers(starlette)


def _site(app: App) -> pages.SiteDeps:
    brands = [
        pages.SiteBrand(
            slug=pack.brand.id,
            name=pack.brand.name,
            tagline=pack.brand.theme.subtitle,
            theme={"primary": pack.brand.theme.primary, "on_primary": pack.brand.theme.on_primary},
        )
        for pack in app.packs.values()
    ]
    return pages.SiteDeps(
        brands=brands, help_center=app.help_center, demo=_demo(app) if app.settings.demo else None, keep=_keep(app)
    )


def _keep(app: App) -> pages.Keep:
    links = keep_links(app.settings)

    def offer(token: str) -> pages.KeepPage:
        with app.store.read() as uow:
            found = keeping.offer(uow, packs=app.packs, links=links, token=token, now=app.clock.now())
        names = join([subscription.label for subscription in found.subscriptions])
        if found.kept:
            return pages.KeepPage(found.pack.brand.id, f"You have kept {names}", found.says)
        title = f"Keep {names}?" if found.possible else f"{names} can no longer be kept"
        button = "Yes, keep it" if found.possible else None
        return pages.KeepPage(found.pack.brand.id, title, (*found.says, *found.not_undone), button)

    def keep(token: str) -> pages.KeepPage:
        with app.store.write() as uow:
            kept = keeping.keep(uow, packs=app.packs, links=links, token=token, now=app.clock.now())
            uow.commit()
        result = kept.result
        lines = [
            f"{s.label} goes on and renews on {format_date(s.period_end, kept.pack.brand.zone)}."
            for s in result.resumed
        ]
        lines += [sentence for _, sentence, _ in result.not_possible]
        title = "Done, you keep it" if result.resumed else "Nothing was changed"
        return pages.KeepPage(kept.pack.brand.id, title, (*lines, *result.not_undone))

    return pages.Keep(offer=offer, keep=keep)


def _demo(app: App) -> pages.Demo:
    def issue(brand: str, email: str) -> str:
        return app.identity.issue_demo_token(brand, email, now=app.clock.now())

    def mails() -> list[pages.DemoMail]:
        with app.store.read() as uow:
            return [_page_mail(caught) for caught in caught_mails(uow)]

    def mail(mail_id: str) -> pages.DemoMail | None:
        with app.store.read() as uow, contextlib.suppress(NotFound):
            return _page_mail(caught_mail(uow, mail_id))
        return None

    customers = {
        brand: [pages.DemoCustomer(c.name, c.email, c.what_to_try) for c in demo.demo_customers(brand)]
        for brand in app.packs
    }
    return pages.Demo(customers=customers, issue_demo_identity=issue, list_demo_mail=mails, get_demo_mail=mail)


def _demo_agent(app: App) -> DemoAgent:
    """An agent to try the desk as; the password is made once and shown on the sign-in page."""
    password = secrets.kept(app.settings.demo_secrets, [_DEMO_AGENT_PASSWORD])[_DEMO_AGENT_PASSWORD]
    brands, now = list(app.packs), app.clock.now()
    with app.store.write() as uow:
        known = agents.is_known(uow, agents.DEMO_EMAIL)
        agent = agents.ensure_demo_agent(uow, password=password, brands=brands, now=now)
        if not known:  # what was removed since is not put back
            demo_desk.furnish(uow, brands=brands, agent_id=agent.id, now=now)
        uow.commit()
    return DemoAgent(agents.DEMO_EMAIL, password)


def _page_mail(mail: CaughtMail) -> pages.DemoMail:
    return pages.DemoMail(
        id=mail.id,
        recipient=mail.recipient,
        sender=mail.sender,
        subject=mail.subject,
        sent_at=mail.sent_at,
        text=mail.plain,
        html=mail.html,
    )


def _channels(settings: Settings, deps: ChannelDeps) -> tuple[Channel, ...]:
    """The channels beside the widget that this installation has tokens for."""
    channels: list[Channel] = []
    if settings.discord is None:
        log.info("discord is off, for SUPPORTBOT_DISCORD_TOKEN is not set")
    else:
        from bot.channels.discord.channel import DiscordChannel  # its library is large, and only needed here

        channels.append(DiscordChannel(settings.discord, deps))
    if settings.slack.is_on:
        from bot.channels.slack.channel import SlackChannel  # its libraries are loaded where they are used only

        channels.append(SlackChannel(settings.slack, deps))
    else:
        log.info("slack is off: no tokens are set (docs/slack.md)")
    return tuple(channels)


# --- parts ---------------------------------------------------------------------------------------------------------


def _coordination(settings: Settings) -> tuple[Locks, Bus]:
    if settings.redis_url is None:
        return LocalLocks(), LocalBus()
    from redis.asyncio import Redis  # only machines that share a Redis or Valkey need it

    client = Redis.from_url(settings.redis_url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
    return RedisLocks(client), RedisBus(client)


def _mailer(settings: Settings, store: Store, clock: Clock) -> Mailer | None:
    if settings.smtp is not None:
        return SmtpMailer(settings.smtp, clock)
    return DemoMailer(store, clock) if settings.demo else None


def _secret(settings: Settings) -> str:
    assert settings.secret is not None, "Settings.complete() makes or demands it"
    return settings.secret


def _mail_domain(settings: Settings) -> str:
    return settings.mail_from.partition("@")[2] if settings.mail_from else "supportbot.invalid"


def _count(store: Store, table: Any, condition: Any) -> int:
    with store.read() as uow:
        return int(uow.session.execute(select(func.count()).select_from(table).where(condition)).scalar_one())


async def _every(seconds: float, work: Callable[[], Any]) -> None:
    """Do the work again and again; a failure is logged and does not end it."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background work failed")
        await asyncio.sleep(seconds)
