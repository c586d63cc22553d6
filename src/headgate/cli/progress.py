"""What a person sees while Headgate starts: a line that says what is waited for.

In a terminal a spinner; log lines that come meanwhile are held and written once it is gone.
Elsewhere the log itself tells the story. Start at `Progress`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headgate.observation import (
    Event,
    MigrationFinished,
    MigrationStarted,
    MigrationStep,
    Observe,
    UpstreamReady,
    UpstreamStarting,
    UpstreamStopped,
)

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """An `Observe` in front of the log; a context manager around the serving.

    `ready` is called once, when MLflow answers for the first time.
    """

    def __init__(self, log: Observe, *, ready: Callable[[], None]) -> None:
        self._log = log
        self._ready: Callable[[], None] | None = ready
        self._held: list[Event] | None = None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._held = []
            self._spin("Looking at the database")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def __call__(self, event: Event) -> None:
        if self._held is None:
            self._log(event)
        else:
            self._held.append(event)
            waited_for = _waited_for(event)
            if waited_for is not None:
                self._spin(waited_for)
        if isinstance(event, UpstreamReady) and self._ready is not None:
            ready, self._ready = self._ready, None
            self._stop_spinning()
            ready()
            self._release()

    def _spin(self, text: str) -> None:
        if self._status is not None:
            self._status.update(f"{text} …")
            return
        from rich.console import Console  # not needed without a terminal

        self._status = Console(stderr=True).status(f"{text} …")
        self._status.start()

    def _stop_spinning(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _release(self) -> None:
        """End the spinner and write what was held."""
        self._stop_spinning()
        held, self._held = self._held or [], None
        for event in held:
            self._log(event)


def _waited_for(event: Event) -> str | None:
    """What the person waits for from now on; None if that has not changed."""
    match event:
        case MigrationStarted():
            return "Migrating the database"
        case MigrationStep():
            return f"Migrating the database: {event.text}"
        case MigrationFinished():
            return "Starting MLflow"
        case UpstreamStarting():
            return "Waiting for MLflow"
        case UpstreamStopped():
            return f"MLflow stopped ({event.reason}); starting it again"
        case _:
            return None
