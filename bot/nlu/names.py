"""What customers call brands, plans and products: from the packs served, whatever the model was trained with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from bot.policy.errors import PackError
from bot.policy.loader import load_pack
from bot.policy.pack import Pack, Target

Names = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By entity (`brand`, `plan`, `product`) and value, the ways to say it, in lower case."""
_PACKS = Path(__file__).resolve().parents[2] / "data" / "policies"
_ENTITY_OF = MappingProxyType({Target.PLAN: "plan", Target.PRODUCT: "product", Target.ACCOUNT: "product"})
"""Numbers are named by their digits, not by a word."""

_served: Names | None = None


def names_of(packs: Iterable[Pack]) -> Names:
    """The names of these brands and of what they sell."""
    found: dict[str, dict[str, tuple[str, ...]]] = {"brand": {}, "plan": {}, "product": {}}
    for pack in packs:
        brand = pack.brand
        found["brand"][brand.id] = _spellings(brand.id, brand.name, *brand.names)
        for product in pack.products:
            if entity := _ENTITY_OF.get(product.target):
                found[entity][product.id] = _spellings(product.id, product.title, *product.names)
    return MappingProxyType(found)


def serve(packs: Iterable[Pack]) -> None:
    """Know these brands from here on, in this process."""
    global _served
    _served = names_of(packs)


def served() -> Names:
    """The names known in this process: those of `serve`, otherwise of the packs' folder, as far as it can be read."""
    global _served
    if _served is None:
        _served = names_of(_readable(Path(os.environ.get("SUPPORTBOT_PACKS") or _PACKS)))
    return _served


def _readable(folder: Path) -> Iterable[Pack]:
    for path in sorted(folder.glob("*.yml")):
        try:
            yield load_pack(path)
        except PackError:
            continue  # `policy check` says what is wrong with it; its names are not worth failing for


def _spellings(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(name.lower().replace("_", " ").split()) for name in names))
