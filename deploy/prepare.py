"""Checks the model files, brings the database up to date and trains the model, as far as that is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from display import PROJECT, StepFailed, done, log_file, shown, step

from bot.conversation import training
from bot.errors import SupportBotError
from bot.nlu.assets import verify_assets
from bot.settings import Settings

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def main() -> None:
    """Prepare for serving, or with `--tests` for testing. Steps that have nothing to do are not shown."""
    try:
        settings = Settings.from_env(os.environ)
        assets = verify_assets()
        if sys.argv[1:] == ["--tests"]:
            _chromium()
        else:
            _database(settings)
        _model(settings, len(assets))
    except SupportBotError as error:
        sys.exit(str(error))


def _database(settings: Settings) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import OperationalError

    from bot.services.ports import SystemClock
    from bot.store import demo, schema
    from bot.store.unit_of_work import Store, make_engine

    url = make_url(settings.database_url)
    if url.drivername == "sqlite":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    store = Store(make_engine(settings.database_url), address_key=settings.address_key())
    try:
        if not schema.is_current(store.engine):
            with step("Database") as at:
                at.note = repr(url) if url.drivername != "sqlite" else shown(Path(url.database))
                schema.upgrade(store.engine)
        if settings.demo and (added := demo.seed(store, now=SystemClock().now())):
            done("Demo data", f"{added} customers")
    except OperationalError as error:
        sys.exit(f"The database {url!r} cannot be used: {str(error.orig).strip()}.")
    finally:
        store.close()


def _model(settings: Settings, assets: int) -> None:
    model = training.find_model(settings.models)
    if model is not None and training.is_current(model, PROJECT):
        return
    done("Model files", f"{assets} verified by SHA-256")
    log = log_file("train.log")
    with step("Dialogue model") as at:

        def progress(finished: int, steps: int, name: str) -> None:
            at.note = f"{name or 'packing'} ({finished} of {steps})"

        try:
            training.train(project=PROJECT, output=settings.models, log=log, progress=progress)
        except SupportBotError as error:
            raise StepFailed(f"{error} See {shown(log)}.") from error
        at.note = "trained"


def _chromium() -> None:
    """The browser tests' browser: Debian's, if it is missing and may be installed; if not, the tests say what to do."""
    if os.environ.get("CHROMIUM") or any(map(shutil.which, _CHROMIUM)) or not shutil.which("apt-get"):
        return
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if subprocess.run([*become, "true"], capture_output=True).returncode != 0:  # noqa: S603
        return
    log = log_file("chromium.log")
    with step("Chromium") as at, log.open("w", encoding="utf-8") as file:
        at.note = "for the browser tests, by apt-get"
        for command in ("update", "install -y --no-install-recommends chromium fonts-liberation"):
            call = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *command.split()]
            if subprocess.run(call, stdin=subprocess.DEVNULL, stdout=file, stderr=file).returncode != 0:  # noqa: S603
                at.note = f"could not be installed, see {shown(log)}"
                break


if __name__ == "__main__":
    main()
