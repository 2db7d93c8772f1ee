"""The packs of a running server: a changed file is taken up, a broken one is refused and the last good pack stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.policy.errors import PackError, Problem
from bot.policy.loader import load_pack, load_packs
from bot.policy.pack import Pack

_Stamp = tuple[int, int]


@dataclass(frozen=True)
class Refreshed:
    """What looking at the folder again came to: brands whose pack changed, and what is wrong with files refused."""

    taken_up: tuple[str, ...]
    refused: tuple[Problem, ...]


class PackShelf(Mapping[str, Pack]):
    """The packs by brand id, as they were last good. Brands are those of the start: a new one needs its secrets."""

    def __init__(self, folder: Path) -> None:
        """Load every pack of the folder. Raises PackError if one of them cannot be served."""
        self._packs = load_packs(folder)
        self._files = {brand: folder / f"{brand}.yml" for brand in self._packs}
        self._stamps = {brand: _stamp(file) for brand, file in self._files.items()}
        self._refused: dict[str, tuple[Problem, ...]] = {}

    def refresh(self) -> Refreshed:
        """Look at the files again; each change is tried once and reported once."""
        taken_up: list[str] = []
        refused: list[Problem] = []
        for brand, file in self._files.items():
            stamp = _stamp(file)
            if stamp == self._stamps[brand]:
                continue
            self._stamps[brand] = stamp
            try:
                pack = load_pack(file)
                if pack.brand.id != brand:
                    raise PackError((Problem(str(file), 1, "brand.id", f"was {brand} when the server started"),))
            except PackError as error:
                self._refused[brand] = error.problems
                refused.extend(error.problems)
                continue
            self._refused.pop(brand, None)
            self._packs[brand] = pack
            taken_up.append(brand)
        return Refreshed(tuple(taken_up), tuple(refused))

    @property
    def refused(self) -> Mapping[str, tuple[Problem, ...]]:
        """Brands whose file is broken right now, with what is wrong; they are served from their last good pack."""
        return dict(self._refused)

    def __getitem__(self, brand: str) -> Pack:
        return self._packs[brand]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packs)

    def __len__(self) -> int:
        return len(self._packs)


def _stamp(file: Path) -> _Stamp:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
