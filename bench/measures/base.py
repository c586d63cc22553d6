"""What a measure is given, and what it gives back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from bench.seed import Seeded
    from bench.sizes import Sizes
    from bench.systems import System


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    title: str
    unit: str
    better: Literal["more", "less"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured once. A `fault` makes it invalid; a `caution` is told beside it."""

    row: Row
    value: float
    fault: str = ""
    caution: str = ""


@dataclass(slots=True)
class Scene:
    """One running system with one copy of the seeded store."""

    system: System
    seeded: Seeded
    sizes: Sizes
    # For a measure's files: private, and gone with the benchmark.
    folder: Path
    first_answers: dict[Row, float] = field(default_factory=dict)
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    loads: int = 0

    def next_load(self) -> int:
        """A number for a load: none is used twice on one store."""
        self.loads += 1
        return self.loads


class Measure(Protocol):
    """One thing that is measured on every system, in one or several rows."""

    name: ClassVar[str]

    def readings(self, scene: Scene) -> Iterator[Reading]:
        """Measure once. What makes a figure worthless is in the reading, not raised."""
        ...
