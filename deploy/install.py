"""Makes .venv and installs requirements.lock and this project into it. Runs on any Python 3.10, needs nothing else."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from display import PROJECT, Step, StepFailed, log_file, shown, step

ENVIRONMENT = PROJECT / ".venv"
LOCK = PROJECT / "requirements.lock"


def main() -> None:
    """Install; what pip says goes to a log."""
    log = log_file("install.log")
    log.write_text("", encoding="utf-8")
    with step("Python") as at:
        at.note = f"{sys.version.split()[0]} in .venv"
        venv.create(ENVIRONMENT, with_pip=True, symlinks=True)
    with step("Packages") as at:
        packages = sum(1 for line in LOCK.read_text(encoding="utf-8").splitlines() if line[:1].isalnum())
        # The lock is complete, and says which file of each package is meant. Nothing else may come in.
        _pip(["--no-deps", "--require-hashes", "-r", LOCK.name], log, at, packages)
        at.note = "installing supportbot itself"
        _pip(["--no-deps", "--no-build-isolation", "--no-index", "-e", "."], log)
        at.note = f"as in {LOCK.name}"


def _pip(arguments: list[str], log: Path, at: Step | None = None, packages: int = 0) -> None:
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    seen = 0
    with log.open("a", encoding="utf-8") as file:
        running = subprocess.Popen(  # noqa: S603 - our own pip
            [*command, "--progress-bar", "off", *arguments],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert running.stdout is not None
        for line in running.stdout:
            file.write(line)
            if at is None:
                continue
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                at.note = f"fetching {seen} of {packages}"
            elif line.startswith("Installing collected packages"):
                at.note = "installing"
    if running.wait() != 0:
        raise StepFailed(f"pip could not install the packages; {shown(log)} says why.")


if __name__ == "__main__":
    main()
