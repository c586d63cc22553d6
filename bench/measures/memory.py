"""Memory of everything that the system runs, once it has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.measures.base import Reading, Row, Scene

MEMORY = Row("memory of the tree at rest (PSS)", "MB", "less")


class Memory:
    """The database server, where there is one, is not counted: it is the same for all."""

    name: ClassVar[str] = "memory"

    def readings(self, scene: Scene) -> Iterator[Reading]:
        """Memory now; the runner waits for idleness before each measure."""
        yield Reading(MEMORY, scene.system.processes.resident_bytes() / 1e6)
