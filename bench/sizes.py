"""How large a measurement is: the real one, and the one that only shows that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is stored and sent, and for how long."""

    repeat: int
    seconds: float
    warm_up_seconds: float
    runs: int
    artifact_megabytes: int


FULL = Sizes(repeat=3, seconds=10, warm_up_seconds=2, runs=20_000, artifact_megabytes=256)
# Shows that everything works; its figures say little.
QUICK = Sizes(repeat=1, seconds=2, warm_up_seconds=1, runs=300, artifact_megabytes=16)
