"""The `supportbot` command. Each command reads its options, calls the part that does the work, and prints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.errors import InvalidInput, SupportBotError, Unavailable

if TYPE_CHECKING:
    from socket import socket

    from bot.policy.pack import Pack
    from bot.services.explain import Explanation
    from bot.settings import Settings
    from bot.store.unit_of_work import Store

_WRONG_USE, _FAILED, _INTERRUPTED = 2, 1, 130
_WORTH_SAYING = 0.01  # of F1


def main() -> None:
    """Run the command; every error is one sentence on standard error, never a stack trace.

    The exit code is 2 when what was asked for is wrong, and 1 when it was right and could not be done.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show, or a file has wrong, ends nothing
            stream.reconfigure(errors="replace")
    try:
        code = supportbot.main(prog_name="supportbot", standalone_mode=False) or 0
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except SupportBotError as error:
        click.echo(str(error), err=True)
        code = _WRONG_USE if error.status < 500 else _FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        code = _FAILED
    except Exception as error:
        click.echo(_keep(error), err=True)
        code = _FAILED
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(package_name="supportbot")
def supportbot() -> None:
    """Customer support that can be trusted with cancellations and refunds."""


@supportbot.command()
def run() -> None:
    """Serve the widget's API, the help centers, health and metrics."""
    settings = _settings()
    with _listening(settings) as sockets:
        _warn_of_an_old_model(settings)
        from bot import app, logs
        from bot.server import serve

        logs.configure(settings.log_format, sys.stderr)
        built = app.build(settings)
        try:
            serve(
                app.web(built),
                sockets,
                trusted_proxies=settings.trusted_proxies,
                ready=lambda: click.echo(f"supportbot serves on {settings.public_url}", err=True),
            )
        finally:
            built.close()


@supportbot.command()
@click.option("--if-needed", is_flag=True, help="Do nothing if the model was trained from what is here now.")
def train(if_needed: bool) -> None:
    """Train the dialogue model from config.yml, domain.yml and data/."""
    from bot.conversation import training
    from bot.settings import PROJECT

    settings = _settings()
    model = training.find_model(settings.models)
    if if_needed and model is not None and training.is_current(model, PROJECT):
        click.echo(f"{_short(model.path)} is current.")
        return
    log = settings.log_folder / "train.log"
    with _progress("Training") as progress:
        trained = training.train(project=PROJECT, output=settings.models, log=log, progress=progress)
    click.echo(f"Trained {_short(trained.path)} in {trained.seconds:.0f} s.")
    if trained.warnings:
        click.echo(f"Rasa has {len(trained.warnings)} remarks; they are in {_short(log)}.", err=True)


@supportbot.command()
@click.option("--brand", required=True, help="Whose help center, as in data/policies/BRAND.yml.")
@click.option("--as", "email", metavar="EMAIL", help="Be this customer; without it, nobody knows who you are.")
def chat(brand: str, email: str | None) -> None:
    """Chat in the terminal. A number presses a button, /file PATH sends a file, Ctrl-D ends."""
    from anyio.from_thread import start_blocking_portal

    settings = _settings().demo_if_tried()
    log = _log_file(settings, "chat.log")
    _warn_of_an_old_model(settings)
    from bot import app, logs
    from bot.channels.terminal import TerminalChat, TerminalDeps

    with log.open("a", encoding="utf-8") as stream:
        logs.configure(settings.log_format, stream)
        built = app.build(settings)
        try:
            with start_blocking_portal() as portal:
                deps = TerminalDeps(
                    store=built.store,
                    gateway=built.gateway,
                    identity=built.identity,
                    packs=built.packs,
                    clock=built.clock,
                    greeting=app.greeting,
                    call=portal.call,
                )
                talk = TerminalChat(deps, _Terminal(), brand=brand, email=email)
                with portal.wrap_async_context_manager(built.running()):
                    talk.run()
        finally:
            built.close()


@supportbot.command()
def parse() -> None:
    """Say what messages mean: a message a line on standard input, a JSON object a line out."""
    import asyncio

    settings = _settings()
    _warn_of_an_old_model(settings)
    from bot import logs
    from bot.app import load_engine
    from bot.nlu.parser import Understanding

    logs.configure(settings.log_format, sys.stderr)
    engine = load_engine(settings)

    async def understand() -> None:
        for line in sys.stdin.buffer:
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            parsed = Understanding.from_parse(await engine.parse(text))
            click.echo(json.dumps(parsed.as_json(), ensure_ascii=False))

    asyncio.run(understand())


@supportbot.group()
def db() -> None:
    """The database of DATABASE_URL."""


@db.command()
def upgrade() -> None:
    """Bring the database to the schema of this release."""
    from bot.store import schema

    with _store(_settings(), current=False) as store:
        schema.upgrade(store.engine)
    click.echo("The database is at this release's schema.")


@db.command()
def seed() -> None:
    """Add the demo customers that are missing."""
    from bot.store import demo

    with _store(_settings()) as store:
        added = demo.seed(store, now=_now())
    click.echo(f"Added {added} demo customers." if added else "All demo customers are there.")


@db.command()
@click.argument("email")
@click.option("--brand", help="Whose customer, if several brands know the address.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(email: str, brand: str | None, as_json: bool) -> None:
    """Show everything that is kept about a customer."""
    import yaml

    from bot.store import demo

    with _store(_settings()) as store:
        everything = demo.show(store, email, brand=brand)
    if as_json:
        click.echo(json.dumps(everything, indent=2, ensure_ascii=False))
    else:
        there_is = {name: value for name, value in everything.items() if value}
        click.echo(yaml.safe_dump(there_is, sort_keys=False, allow_unicode=True, width=120).rstrip())


@supportbot.group()
def policy() -> None:
    """What brands promise: the packs in data/policies/."""


@policy.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> None:
    """Check a policy pack, or all of them; each problem is a line with file, line and key."""
    from bot.policy.errors import PackError
    from bot.policy.loader import load_pack, load_packs
    from bot.policy.sources import check_sources
    from bot.services.help_center import HelpCenter

    settings = _settings()
    packs = [load_pack(file)] if file else list(load_packs(settings.packs).values())
    help_center = HelpCenter.load(settings.help_center)
    for pack in packs:
        articles = help_center.articles(pack.brand.id)
        if not articles:
            click.echo(f"{pack.brand.id} has no help articles yet, so its sources were not checked.", err=True)
            continue
        published = {article.slug: [section.id for section in article.sections] for article in articles}
        path = file or settings.packs / f"{pack.brand.id}.yml"
        if problems := check_sources(path.read_text(encoding="utf-8"), str(path), published):
            raise PackError(tuple(problems))
    for pack in packs:
        rules = {rule.id for rules in pack.rules.values() for rule in rules}
        click.echo(f"{pack.brand.id}: version {pack.version}, {len(rules)} rules, no problems.")


@policy.command()
@click.option("--brand", required=True, help="Whose policy, as in data/policies/BRAND.yml.")
@click.option("--facts", required=True, metavar="FILE", help="A JSON file; - is standard input.")
def decide(brand: str, facts: str) -> None:
    """Decide {"request": {...}, "facts": {...}} and print the decision as JSON."""
    from bot.policy.decide import decide_from_json

    pack = _pack(brand)
    try:
        with click.open_file(facts, encoding="utf-8") as file:
            values = json.load(file)
    except OSError as error:
        raise InvalidInput(f"{facts} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{'Standard input' if facts == '-' else facts} is not JSON: {error}.") from error
    click.echo(json.dumps(decide_from_json(pack, values, _now()), indent=2, ensure_ascii=False))


@policy.command()
@click.argument("rule")
@click.option("--brand", help="Whose rule, if several brands have one of that id.")
def explain(rule: str, brand: str | None) -> None:
    """Explain a rule: its conditions, what follows, where it is published, and who it applied to lately."""
    from bot.policy.loader import load_packs
    from bot.services.explain import explain as explained

    settings = _settings()
    packs = load_packs(settings.packs)
    with _store(settings) as store, store.read() as uow:
        found = explained(uow, packs=packs, rule_id=rule, brand=brand)
    click.echo("\n\n".join(_explanation(each) for each in found))


@supportbot.group()
def brand() -> None:
    """The brands that are served."""


@brand.command("new")
@click.argument("name")
def new_brand(name: str) -> None:
    """Start a brand: a commented policy pack and a folder for its help articles, to be filled in."""
    from bot.services.new_brand import start_brand

    settings = _settings()
    for made in start_brand(name, packs=settings.packs, help_center=settings.help_center):
        click.echo(f"Wrote {_short(made)}.")
    click.echo(f"Fill them in; `supportbot policy check {_short(settings.packs / name)}.yml` says what is missing.")


@supportbot.command()
@click.option("--now", metavar="ISO", help="Carry out what is due by then, such as 2026-12-01T09:00:00+00:00.")
def tick(now: str | None) -> None:
    """Carry out what is due: what cancellations scheduled, and what was promised to those who wait for a person."""
    from bot import logs
    from bot.conversation.reception import Reception
    from bot.dialogue.phrases import load_phrases
    from bot.policy.loader import load_packs
    from bot.services import lifecycle
    from bot.services.reminders import KeepLinks

    moment = _now() if now is None else _moment(now)
    settings = _settings().demo_if_tried()
    logs.configure(settings.log_format, sys.stderr)
    packs = load_packs(settings.packs)
    if settings.demo:
        settings = settings.complete(packs)
    links = KeepLinks(settings.secret, settings.public_url) if settings.secret else None
    with _store(settings) as store:
        report = lifecycle.tick(store, now=moment, packs=packs, links=links)
        told = Reception(packs, load_phrases()).keep_promises(store, now=moment)
    click.echo(f"Carried out {report.done} events.")
    if told:
        click.echo(f"Told {len(told)} who wait for a person how it goes on.")
    for failed in report.failed:
        click.echo(f"{failed.kind} {failed.event_id} failed and stays due: {failed.message}", err=True)
    if report.failed:
        raise SystemExit(_FAILED)


@supportbot.group()
def agents() -> None:
    """The people who work at the desk."""


@agents.command()
@click.argument("email")
@click.option("--name", required=True, help="As customers see it.")
@click.option("--role", type=click.Choice(["agent", "supervisor", "admin"]), default="agent", show_default=True)
@click.option("--brand", "brands", multiple=True, help="A brand to work for, may be repeated; without it, all.")
def add(email: str, name: str, role: str, brands: tuple[str, ...]) -> None:
    """Add an agent; the password is asked for, or read from standard input."""
    from bot.policy.loader import load_packs
    from bot.services.agents import Role, add_agent

    settings = _settings()
    known = load_packs(settings.packs).keys()
    asks = sys.stdin.isatty()
    with _store(settings) as store:
        if asks:
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        with store.write() as uow:
            agent = add_agent(
                uow,
                email=email,
                name=name,
                password=password,
                role=Role(role),
                brands=brands or sorted(known),
                known_brands=known,
                now=_now(),
            )
            uow.commit()
    click.echo(f"Added {agent.email} as {agent.role.value} for {', '.join(agent.brands)}.")


@agents.command("list")
def list_agents() -> None:
    """List everybody who works or worked at the desk."""
    from bot.services.agents import everybody

    with _store(_settings()) as store, store.read() as uow:
        found = everybody(uow)
    for agent in found:
        state = "" if agent.active else ", deactivated"
        click.echo(f"{agent.email}  {agent.name}, {agent.role.value} for {', '.join(agent.brands)}{state}")


@agents.command()
@click.argument("email")
@click.option("--role", type=click.Choice(["agent", "supervisor", "admin"]), help="What they may do.")
@click.option("--brand", "brands", multiple=True, help="A brand to work for, may be repeated: these and no others.")
def change(email: str, role: str | None, brands: tuple[str, ...]) -> None:
    """Change an agent's role or brands; it counts at once, and they sign in again."""
    from bot.policy.loader import load_packs
    from bot.services.agents import Role, agent_with_email, change_agent

    if not role and not brands:
        raise click.UsageError("Say what to change: --role, --brand.")
    settings = _settings()
    with _store(settings) as store, store.write() as uow:
        agent = agent_with_email(uow, email)
        waiting = change_agent(
            uow,
            agent_id=agent.id,
            actor="system",
            known_brands=load_packs(settings.packs).keys(),
            now=_now(),
            role=Role(role) if role else None,
            brands=brands or None,
        )
        changed = agent_with_email(uow, email)
        uow.commit()
    click.echo(f"{changed.email} is {changed.role.value} for {', '.join(changed.brands)} now.{_waiting(waiting)}")


@agents.command()
@click.argument("email")
@click.argument("user")
def slack(email: str, user: str) -> None:
    """Say who an agent is in Slack: USER is WORKSPACE/MEMBER, such as T0123/U0456."""
    from bot.services.agents import agent_with_email, link_user

    if not re.fullmatch(r"T[A-Z0-9]+/[UW][A-Z0-9]+", user):
        raise click.UsageError("USER is the ids of workspace and member, such as T0123/U0456.")
    with _store(_settings()) as store, store.write() as uow:
        agent = agent_with_email(uow, email)
        link_user(uow, agent_id=agent.id, channel="slack", channel_user=user, actor="system", now=_now())
        uow.commit()
    click.echo(f"{agent.email} is {user} in Slack.")


@agents.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let them in again.")
def deactivate(email: str, undo: bool) -> None:
    """Shut an agent out at once, open pages included; what they did stays on record."""
    from bot.services import agents as people

    with _store(_settings()) as store, store.write() as uow:
        agent = people.agent_with_email(uow, email)
        waiting: list[str] = []
        if undo:
            people.activate(uow, agent_id=agent.id, actor="system", now=_now())
        else:
            waiting = people.deactivate(uow, agent_id=agent.id, actor="system", now=_now())
        uow.commit()
    say = "may sign in again." if undo else "cannot sign in any more."
    click.echo(f"{agent.email} {say}{_waiting(waiting)}")


def _waiting(conversations: list[str]) -> str:
    return f" {len(conversations)} of their conversations wait for somebody again." if conversations else ""


@supportbot.group()
def mail() -> None:
    """Mail that comes in."""


@mail.command()
def receive() -> None:
    """Take in one raw mail from standard input, as a mail server pipes it."""
    from bot.channels.mail.inbound import take_in
    from bot.policy.loader import load_packs
    from bot.services.mail_parsing import parse

    content = sys.stdin.buffer.read()
    with _store(_settings()) as store:
        arrival = take_in(store, load_packs(_settings().packs), parse(content), now=_now())
    click.echo(" ".join(filter(None, (arrival.outcome.value, arrival.reference, arrival.why))))


@supportbot.group()
def outbox() -> None:
    """What leaves the system: mail and the like."""


@outbox.command("list")
@click.option("--json", "as_json", is_flag=True, help="As one JSON list.")
def list_outbox(as_json: bool) -> None:
    """List what was given up, the latest first."""
    from bot.services.outbox import dead_letters

    with _store(_settings()) as store, store.read() as uow:
        found = dead_letters(uow)
    if as_json:
        letters = [
            {
                "id": each.id,
                "kind": each.kind.value,
                "recipient": each.recipient,
                "attempts": each.attempts,
                "error": each.error,
                "created_at": each.created_at.isoformat(),
            }
            for each in found
        ]
        click.echo(json.dumps(letters, indent=2, ensure_ascii=False))
    elif not found:
        click.echo("Nothing was given up.")
    for each in [] if as_json else found:
        click.echo(f"{each.id}  {each.created_at:%Y-%m-%d %H:%M}  {each.kind.value} to {each.recipient}: {each.error}")


@outbox.command("retry")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that was given up.")
def retry_outbox(ids: tuple[str, ...], everything: bool) -> None:
    """Give dead letters all their tries again; the running server sends them."""
    from bot.services.outbox import dead_letters, retry

    if bool(ids) == everything:
        raise click.UsageError("Name the ids that `supportbot outbox list` shows, or say --all.")
    with _store(_settings()) as store, store.write() as uow:
        wanted = [each.id for each in dead_letters(uow, limit=10_000)] if everything else list(dict.fromkeys(ids))
        for each in wanted:
            retry(uow, each, now=_now())
        uow.commit()
    click.echo(f"{len(wanted)} to be sent again.")


@supportbot.command()
@click.option("--benchmark", metavar="NAME", help="A public set instead of our own data: banking77 or clinc150.")
@click.option("--data", type=click.Path(path_type=Path), help="The folder with that set's files.")
@click.option("--shots", type=click.IntRange(min=1), help="Train on so many messages an intent, drawn five times.")
@click.option("--grouped", is_flag=True, help="Keep near twins in one fold: the more honest figure for our own data.")
@click.option("--compare", type=click.Path(path_type=Path), metavar="REPORT", help="Say what changed since REPORT.")
def evaluate(benchmark: str | None, data: Path | None, shots: int | None, grouped: bool, compare: Path | None) -> None:
    """Measure how well messages are understood; the report and its pictures go to reports/."""
    from bot.nlu import evaluate as evaluation
    from bot.settings import PROJECT

    if bool(benchmark) != bool(data):
        raise click.UsageError("--benchmark and --data belong together.")
    if shots and not benchmark:
        raise click.UsageError("--shots is for --benchmark.")
    if grouped and benchmark:
        raise click.UsageError("--grouped is for our own data, without --benchmark.")
    if compare and not compare.is_file():
        raise InvalidInput(f"There is no report {compare}: give a .json file that an evaluation has written.")
    before = compare.read_bytes() if compare else b""  # it may be the file that is written now
    config = PROJECT / "config.yml"
    with _progress("Measuring") as progress:
        if benchmark and data:
            report = evaluation.benchmark(benchmark, data=data, config=config, shots=shots, progress=progress)
        else:
            report = evaluation.cross_validate(
                data=PROJECT / "data" / "nlu",
                config=config,
                entities=PROJECT / "data" / "evaluation" / "entities.yml",
                grouped=grouped,
                progress=progress,
            )
    changed = evaluation.changes(before, report, name=compare.name) if compare else ""
    for path in report.write(PROJECT / "reports"):
        click.echo(f"Wrote {_short(path)}.", err=True)
    click.echo(report.as_markdown())
    if changed:
        click.echo(changed)


@supportbot.group()
def nlu() -> None:
    """What the model learns from."""


@nlu.command("export")
@click.option("--check", is_flag=True, help="Say whether they help, and change nothing.")
@click.option("--again", is_flag=True, help="Also what was exported before.")
def nlu_export(check: bool, again: bool) -> None:
    """Add the messages that the desk reviewed to data/nlu/reviewed.yml, without personal data; look at the change."""
    from bot import app
    from bot.services import learnt_file, review
    from bot.settings import PROJECT

    folder = PROJECT / "data" / "nlu"
    store = app.make_store(_settings())
    try:
        with store.read() as uow:
            learnt = review.learnt(uow, again=again)
        added = learnt_file.sort_out(folder, learnt)
        click.echo(
            f"{len(learnt)} reviewed, {len(added.new)} new, {added.known} in the training data already.", err=True
        )
        if check:
            if added.new:
                click.echo(_whether_it_helps(folder, added.new))
            return
        if added.new:
            click.echo(f"Wrote {_short(learnt_file.write(folder, added.new))}. Look at the change before you train.")
        with store.write() as uow:
            review.mark_exported(uow, [each.message_id for each in learnt], now=_now())
            uow.commit()
    finally:
        store.close()


def _whether_it_helps(folder: Path, new: Sequence[tuple[str, str]]) -> str:
    """Cross-validation of the training data as it is and with the new examples, side by side."""
    import shutil
    import tempfile

    from bot.nlu import evaluate as evaluation
    from bot.services import learnt_file
    from bot.settings import PROJECT

    config = PROJECT / "config.yml"
    with tempfile.TemporaryDirectory() as scratch, _progress("Measuring") as progress:
        copy = Path(scratch) / "nlu"
        shutil.copytree(folder, copy)
        learnt_file.write(copy, new)
        before = evaluation.cross_validate(data=folder, config=config, progress=progress)
        after = evaluation.cross_validate(data=copy, config=config, progress=progress)
    lines = [
        f"{title}: {100 * getattr(before, name):.1f} % as it is, {100 * getattr(after, name):.1f} % with them"
        for title, name in (
            ("Accuracy", "accuracy"),
            ("Macro F1", "macro_f1"),
            ("Out of scope called so", "out_of_scope_recall"),
        )
    ]
    known = {score.intent: score.f1 for score in before.intents}
    for score in after.intents:
        if (change := score.f1 - known.get(score.intent, 0.0)) and abs(change) >= _WORTH_SAYING:
            lines.append(f"{score.intent}: F1 {100 * change:+.1f} points")
    gain = after.macro_f1 - before.macro_f1
    lines.append("They help." if gain > 0 else "They do not help: look for wrong intents among them before you export.")
    return "\n".join(lines)


@supportbot.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure speed and memory; --help says what can be chosen."""
    import importlib

    from bot.settings import PROJECT

    if not (PROJECT / "bench" / "run.py").is_file():
        raise Unavailable("The measurements are not installed: bench/run.py comes with the source code.")
    sys.path.insert(0, str(PROJECT))
    raise SystemExit(importlib.import_module("bench.run").main(list(arguments)))


# --- parts -----------------------------------------------------------------------------------------------------------


class _Terminal:
    """This terminal: names in colour, and lines that can be edited."""

    def __init__(self) -> None:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - being imported is what makes input() edit lines

    def ask(self) -> str:
        if not sys.stdin.isatty():
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line
        try:
            return input("\nyou  ")
        except EOFError:
            click.echo()
            raise

    def show(self, author: str, text: str) -> None:
        if author:
            click.echo(f"\n{click.style(author, bold=True)}\n{text}")
        else:
            click.echo(click.style(f"\n{text}", fg="yellow"))


def _settings() -> Settings:
    from bot.settings import Settings

    return Settings.from_env(os.environ)


def _now() -> datetime:
    from bot.services.ports import SystemClock

    return SystemClock().now()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInput(f"--now must be a moment such as 2026-12-01T09:00:00+00:00, not {text!r}.") from None
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _explanation(rule: Explanation) -> str:
    """A rule as text: a label and its lines each."""
    conditions = list(rule.conditions) or ["always, if no rule before it applied"]
    parts = [
        ("asked", rule.kind if rule.kind != "effect" else "an effect of cancelling"),
        ("applies", ("\n".join(conditions))),
        ("outcome", rule.outcome or "told before cancelling"),
        ("says", "\n".join(rule.says)),
        ("declares", "\n".join(rule.statement)),
        ("source", f"data/help_center/{rule.brand}/{rule.article}.md, section {rule.section}"),
        ("law", f"{rule.law.name}, applies from {rule.law.since}" if rule.law else ""),
    ]
    lines = [f"{rule.rule_id} of {rule.brand} (policy version {rule.version}): {rule.title}"]
    lines += [f"  {label + ':':<10}{text.replace(chr(10), chr(10) + ' ' * 12)}" for label, text in parts if text]
    lines.append("  lately:" if rule.applied else "  lately:   nobody")
    lines += [
        f"    {each.at:%Y-%m-%d %H:%M} UTC  {each.customer_id or 'erased'}  {each.outcome}"
        f"{'  ' + each.amount.format() if each.amount.minor else ''}  (policy version {each.policy_version})"
        for each in rule.applied
    ]
    return "\n".join(lines)


def _pack(brand: str) -> Pack:
    from bot.errors import UnknownBrand
    from bot.policy.loader import load_packs

    packs = load_packs(_settings().packs)
    if brand not in packs:
        raise UnknownBrand(f"There is no brand {brand!r}. Known: {', '.join(sorted(packs))}.")
    return packs[brand]


@contextlib.contextmanager
def _store(settings: Settings, *, current: bool = True) -> Iterator[Store]:
    """The database, at this release's schema if `current`. Raises Unavailable when it cannot be reached or is not."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import OperationalError

    from bot.store import schema
    from bot.store.unit_of_work import Store, make_engine

    url = make_url(settings.database_url)
    if url.drivername == "sqlite":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        store = Store(make_engine(settings.database_url), address_key=settings.address_key())
        try:
            if current and not schema.is_current(store.engine):
                raise Unavailable("The database is not at this release's schema. Run `supportbot db upgrade` first.")
            yield store
        finally:
            store.close()
    except OperationalError as error:
        raise Unavailable(f"The database {url!r} cannot be used: {str(error.orig).strip()}.") from error


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[list[socket]]:
    """The sockets to serve on, taken before anything slow so that an address in use shows at once."""
    from socket import AI_PASSIVE, SOCK_STREAM, create_server, getaddrinfo

    address = settings.host, settings.port
    try:
        family = getaddrinfo(*address, type=SOCK_STREAM, flags=AI_PASSIVE)[0][0]
        taken = create_server(address, family=family, backlog=2048)
    except OSError as error:
        raise Unavailable(
            f"{settings.host}:{settings.port} cannot be served on: {str(error.strerror).partition(' (')[0]}. "
            "Stop what uses it, or set HOST and PORT."
        ) from error
    with taken:
        yield [taken]


def _warn_of_an_old_model(settings: Settings) -> None:
    from bot.conversation import training
    from bot.settings import PROJECT

    model = training.find_model(settings.models)
    if model is not None and not training.is_current(model, PROJECT):
        click.echo("The model is older than its training data. `supportbot train` brings it up to date.", err=True)


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn(title), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", style="dim")
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")
        yield lambda done, steps, step: bar.update(task, completed=done, total=steps, description=step)


def _log_file(settings: Settings, name: str) -> Path:
    settings.log_folder.mkdir(parents=True, exist_ok=True)
    return settings.log_folder / name


def _short(path: Path) -> str:
    """The path as one would type it from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _keep(error: Exception) -> str:
    """Keep an unforeseen error where it can be read, and say where."""
    import traceback

    sentence = f"This failed in a way that was not foreseen ({type(error).__name__})."
    try:
        log = _log_file(_settings(), "errors.log")
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{_now().isoformat()} {' '.join(sys.argv)}\n{''.join(traceback.format_exception(error))}\n")
    except (OSError, SupportBotError):
        return f"{sentence} {error}"
    return f"{sentence} Details are in {_short(log)}."


if __name__ == "__main__":
    main()
