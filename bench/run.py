"""Plays every measure on every system, several times, and collects what was read.

For each database: the store is seeded once; each system serves a copy of it once, unmeasured,
so that its own tables and users are made; then, in each round, every system gets a fresh copy
of that, is started, measured while nothing else runs, and ended. Rounds go through all
systems in turn, so that a machine that slows down does so for all of them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.databases import Database, open_database
from bench.measures import MEASURES
from bench.measures.base import Reading, Row, Scene
from bench.measures.start_up import watch_start
from bench.options import Options
from bench.progress import say
from bench.seed import Seeded, seed
from bench.systems import SYSTEMS, System

QUIET_SECONDS = 3
IDLE_LIMIT_SECONDS = 120


@dataclass(slots=True)
class Outcome:
    """Everything that was read on one kind of database."""

    database: str
    options: Options
    readings: dict[Row, dict[str, list[Reading]]] = field(default_factory=dict)
    # What a reader must know and no reading tells: a system that did not start or rest.
    troubles: list[str] = field(default_factory=list)

    def add(self, system: str, reading: Reading) -> None:
        """Keep a reading; rows stay in the order in which they first came."""
        self.readings.setdefault(reading.row, {}).setdefault(system, []).append(reading)


def measure_everything(options: Options) -> Iterator[Outcome]:
    """An outcome for each database that was asked for."""
    for name in options.databases:
        folder = Path(tempfile.mkdtemp(prefix="headgate-bench-"))
        database = open_database(name, folder / "databases")
        try:
            database.start()
            yield _Rounds(options, database, folder).run()
        finally:
            database.stop()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A stopped system that has served its store once."""

    kind: type[System]
    folder: Path
    database_uri: str


class _Rounds:
    """All rounds on one database."""

    def __init__(self, options: Options, database: Database, folder: Path) -> None:
        self._options = options
        self._database = database
        self._folder = folder
        self._outcome = Outcome(database.title, options)
        self._places = 0

    def run(self) -> Outcome:
        """Seed, prepare each system, then measure in rounds."""
        sizes = self._options.sizes
        say(f"{self._database.title}: storing {sizes.runs:,} runs")
        store = self._database.new()
        seeded = seed(self._database, store, sizes.runs)
        prepared = [
            done
            for name in self._options.systems
            if (done := self._prepare(SYSTEMS[name], store, seeded)) is not None
        ]
        for number in range(1, sizes.repeat + 1):
            for system in prepared:
                where = f"{self._database.title}, round {number} of {sizes.repeat}"
                say(f"{where}: {system.kind.title}")
                self._measure(system, seeded)
        return self._outcome

    def _prepare(self, kind: type[System], store: str, seeded: Seeded) -> _Prepared | None:
        """Let a system serve a copy of the store once; None when it can't."""
        say(f"{self._database.title}: preparing {kind.title}")
        place = self._next_place()
        system = kind(place, self._database.copy(store))
        try:
            with self._running(system, seeded):
                self._rest(system)
        except (OSError, RuntimeError) as trouble:
            self._trouble(f"{kind.title}: {trouble}")
            return None
        return _Prepared(kind, place, system.database_uri)

    def _measure(self, prepared: _Prepared, seeded: Seeded) -> None:
        place = self._next_place()
        shutil.copytree(prepared.folder, place)
        system = prepared.kind(place, self._database.copy(prepared.database_uri))
        try:
            with self._running(system, seeded) as scene:
                for name in self._options.measures:
                    self._rest(system)
                    for reading in MEASURES[name].readings(scene):
                        self._outcome.add(system.name, reading)
                        _tell(reading)
        except (OSError, RuntimeError) as trouble:
            self._trouble(f"{system.title}: {trouble}")
        finally:
            self._database.drop(system.database_uri)
            shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def _running(self, system: System, seeded: Seeded) -> Iterator[Scene]:
        """The system, started and answering; ended to its last process afterwards."""
        files = self._next_place()
        files.mkdir()
        scene = Scene(system, seeded, self._options.sizes, files)
        try:
            system.start()
            watch_start(scene)
            yield scene
        finally:
            system.stop()

    def _rest(self, system: System) -> None:
        rested = system.processes.wait_until_idle(
            quiet_seconds=QUIET_SECONDS, limit_seconds=IDLE_LIMIT_SECONDS
        )
        if not rested:
            self._trouble(f"{system.title} was still busy after {IDLE_LIMIT_SECONDS} s of rest")

    def _trouble(self, text: str) -> None:
        say(text)
        # Its first line is for the table, the rest (a log's end) for whoever watches.
        self._outcome.troubles.append(text.partition("\n")[0])

    def _next_place(self) -> Path:
        self._places += 1
        return self._folder / f"place_{self._places}"


def _tell(reading: Reading) -> None:
    row = reading.row
    value = f"INVALID, {reading.fault}" if reading.fault else f"{reading.value:,.2f} {row.unit}"
    say(f"    {row.title}: {value}")
