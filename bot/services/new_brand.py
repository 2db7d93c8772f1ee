"""Start a brand: a policy pack and a first help article, commented, with empty places for what only the brand knows."""

from __future__ import annotations

import re
from pathlib import Path

from bot.errors import Conflict, InvalidInput

_TEMPLATES = Path(__file__).parents[1] / "policy"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


def start_brand(name: str, *, packs: Path, help_center: Path) -> tuple[Path, Path]:
    """Write `packs/NAME.yml` and `help_center/NAME/leaving.md`; returns both. Nothing that exists is overwritten.

    Raises InvalidInput for a name that cannot be a brand's id, Conflict for one that is taken.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidInput(
            f"{name!r} cannot be a brand's name here: it begins with a small letter and has small letters, digits and "
            f"single hyphens only, at most {_LONGEST} characters, such as acme-phone.",
            name=name,
        )
    pack, article = packs / f"{name}.yml", help_center / name / "leaving.md"
    for taken in (pack, article.parent):
        if taken.exists():
            raise Conflict(f"There is a brand {name} already: {taken} exists.", name=name)
    for target, template in ((pack, "template.yml"), (article, "template.md")):
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        target.write_text(text.replace("@NAME@", name).replace("@PREFIX@", name[0].upper()), encoding="utf-8")
    return pack, article
