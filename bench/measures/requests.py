"""What measures of one kind of request share: try it, warm up, load, count what was stored."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from bench.load.client import ask
from bench.load.plan import Plan
from bench.load.wrk import Load, run_wrk
from bench.measures.base import Reading, Row, Scene

# Below so many answers the 99th percentile is little more than the slowest one.
FEW = 200
# A load is made longer, up to so many times, until each connection gets so many answers: what
# is under way when it ends is not counted, which matters when there are few.
ANSWERS_PER_CONNECTION = 10
LONGEST = 6


class RequestMeasure(ABC):
    """Requests of one kind at several numbers of connections: throughput and latency."""

    name: ClassVar[str]
    connections: ClassVar[tuple[int, ...]]
    # What is counted, and how many of it a request carries.
    unit: ClassVar[str] = "requests/s"
    per_request: ClassVar[int] = 1

    @abstractmethod
    def title(self, scene: Scene) -> str:
        """The first words of the rows' titles."""

    @abstractmethod
    def plan(self, scene: Scene) -> Plan:
        """What is sent."""

    @abstractmethod
    def wrong(self, scene: Scene, body: bytes) -> str:
        """Why the body of a 200 is not the right answer; empty when it is."""

    def stored(self, scene: Scene) -> int | None:
        """How many of the requests' things are in the store; None when they store nothing."""
        return None

    def readings(self, scene: Scene) -> Iterator[Reading]:
        """Rows for each number of connections."""
        fault = self._try_once(scene)
        for connections in self.connections:
            yield from self._load(scene, connections, fault)

    def _try_once(self, scene: Scene) -> str:
        plan = self.plan(scene)
        answer = ask(
            scene.system.url,
            plan.method,
            plan.path,
            headers={**plan.headers, **scene.system.headers},
            body=plan.example(scene.salt),
        )
        if answer.status != 200:
            return f"a single request was answered {answer.status}: {answer.body[:200]!r}"
        return self.wrong(scene, answer.body)

    def _load(self, scene: Scene, connections: int, fault: str) -> Iterator[Reading]:
        title = f"{self.title(scene)}, {connections} connection{'s' * (connections > 1)}"
        throughput = Row(title, self.unit, "more")
        latencies = (Row(f"{title}, p50", "ms", "less"), Row(f"{title}, p99", "ms", "less"))
        if fault:
            yield from (Reading(row, 0, fault=fault) for row in (throughput, *latencies))
            return
        warm_up = self._send(scene, connections, scene.sizes.warm_up_seconds)
        # The warm-up left requests behind that nobody waits for any more.
        scene.system.processes.wait_until_idle(quiet_seconds=1, limit_seconds=60)
        before = self.stored(scene)
        seconds = load_seconds(scene.sizes.seconds, warm_up.per_second, connections)
        load = self._send(scene, connections, seconds)
        fault = load.fault() or self._lost(scene, before, load)
        few = f"of fewer than {FEW} answers" if load.requests < FEW else ""
        yield Reading(throughput, load.per_second * self.per_request, fault, load.caution())
        yield Reading(latencies[0], load.p50_ms, fault)
        yield Reading(latencies[1], load.p99_ms, fault, few)

    def _send(self, scene: Scene, connections: int, seconds: float) -> Load:
        number = scene.next_load()
        file = scene.folder / f"plan_{number}.lua"
        _write_private(
            file,
            self.plan(scene).lua(headers=scene.system.headers, load=number, salt=scene.salt),
        )
        return run_wrk(scene.system.url, file, connections=connections, seconds=seconds)

    def _lost(self, scene: Scene, before: int | None, load: Load) -> str:
        """Whether everything that was acknowledged is in the store."""
        after = self.stored(scene)
        if before is None or after is None:
            return ""
        missing = load.requests * self.per_request - (after - before)
        return f"{missing:,} acknowledged writes are not in the store" if missing > 0 else ""


def load_seconds(usual: float, per_second: float, connections: int) -> float:
    """How long to load a system that answered `per_second` requests when it was warmed up."""
    wanted = ANSWERS_PER_CONNECTION * connections
    longest = usual * LONGEST
    return min(longest, max(usual, wanted / per_second)) if per_second else longest


def _write_private(file: Path, content: bytes) -> None:
    """Write a file that only we may read: it holds the password."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
