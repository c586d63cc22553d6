"""How long until it answers: its health, the first page of the interface, the first API call.

All are asked for again and again from the moment the process is started, signed in, on a
store that this system has served before. The API call needs MLflow and the database.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from bench.load.client import Answer, ask
from bench.measures.base import Reading, Row, Scene
from bench.systems.base import System

HEALTH = Row("first answer of /health after start", "s", "less")
PAGE = Row("first page of the UI after start", "s", "less")
ANSWER = Row("first API answer after start", "s", "less")
LIMIT_SECONDS = 240
# Asking more often would itself slow down a start: some answer "not yet" all the while.
PAUSE_SECONDS = 0.05


class StartUp:
    """Shows what `watch_start` saw when the system was started."""

    name: ClassVar[str] = "start-up"

    def readings(self, scene: Scene) -> Iterator[Reading]:
        """A time for each thing that was asked for."""
        for row, seconds in scene.first_answers.items():
            yield Reading(row, seconds)


def watch_start(scene: Scene) -> None:
    """Wait until a system that was just started answers everything, and note when it did.

    Raises `RuntimeError` when the system ends or does not answer within the limit.
    """
    experiment = f"/api/2.0/mlflow/experiments/get?experiment_id={scene.seeded.written_experiment}"
    probes = {
        HEALTH: _Probe(scene.system, "/health", {}, _is_healthy),
        PAGE: _Probe(scene.system, "/", {"Accept": "text/html"}, _is_interface),
        ANSWER: _Probe(scene.system, experiment, {}, _is_experiment),
    }
    try:
        for probe in probes.values():
            probe.start()
        while any(probe.alive() for probe in probes.values()):
            _check(scene.system)
            time.sleep(PAUSE_SECONDS)
    finally:
        for probe in probes.values():
            probe.give_up()
    scene.first_answers = {row: probe.seconds for row, probe in probes.items()}


def _check(system: System) -> None:
    trouble = system.processes.ended()
    if not trouble and time.monotonic() - system.started_at > LIMIT_SECONDS:
        trouble = f"no answer within {LIMIT_SECONDS} s"
    if trouble:
        raise RuntimeError(f"{system.title} did not start: {trouble}\n{system.story()}")


class _Probe:
    """Asks for one thing until it gets it."""

    def __init__(
        self,
        system: System,
        path: str,
        headers: dict[str, str],
        is_it: Callable[[Answer], bool],
    ) -> None:
        self._system = system
        self._path = path
        self._headers = system.headers | headers
        self._is_it = is_it
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_answered, daemon=True)
        self.seconds = 0.0

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def give_up(self) -> None:
        self._stopped.set()

    def _ask_until_answered(self) -> None:
        while not self._stopped.is_set():
            try:
                answer = ask(self._system.url, "GET", self._path, headers=self._headers)
            except (OSError, http.client.HTTPException):
                pass
            else:
                if self._is_it(answer):
                    self.seconds = time.monotonic() - self._system.started_at
                    return
            self._stopped.wait(PAUSE_SECONDS)


def _is_healthy(answer: Answer) -> bool:
    return answer.status == 200


def _is_interface(answer: Answer) -> bool:
    # MLflow's own page, not one that says that MLflow starts.
    return answer.status == 200 and b"mlflow-ui-container" in answer.body


def _is_experiment(answer: Answer) -> bool:
    return answer.status == 200 and b'"written"' in answer.body
