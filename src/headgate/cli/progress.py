"""What a person sees while Headgate starts: a line that says what is waited for.

In a terminal a spinner; log lines that come meanwhile are held (`Held`) and written once it is
gone. Elsewhere the log itself tells the story. Start at `Progress`.
"""

from __future__ import annotations

import sys
import threading
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
    from rich.text import Text


class Held:
    """Log lines on their way to the terminal, kept back while a spinner stands there."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._lines: list[bytes] | None = None

    def hold(self) -> None:
        """Keep lines back from now on."""
        self._lines = []

    def release(self) -> None:
        """Write what was kept back; later lines pass at once."""
        with self._lock:
            lines, self._lines = self._lines, None
            if lines:
                self._write(b"".join(lines))

    def __call__(self, lines: bytes) -> None:
        with self._lock:
            if self._lines is None:
                self._write(lines)
            else:
                self._lines.append(lines)


class Progress:
    """An `Observe` in front of the log; a context manager around the serving.

    `ready` is called once, when MLflow answers for the first time.
    """

    def __init__(self, log: Observe, held: Held, *, ready: Callable[[], None]) -> None:
        self._log = log
        self._held = held
        self._ready: Callable[[], None] | None = ready
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # not needed without a terminal

            self._held.hold()
            self._status = Console(stderr=True).status("Looking at the database …")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_spinning()

    def __call__(self, event: Event) -> None:
        self._log(event)
        waited_for = _waited_for(event)
        if self._status is not None and waited_for is not None:
            self._status.update(_plain(f"{waited_for} …"))
        if isinstance(event, UpstreamReady) and self._ready is not None:
            ready, self._ready = self._ready, None
            self._stop_spinning()
            ready()

    def _stop_spinning(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._held.release()


def _plain(text: str) -> Text:
    """Text in which rich looks for no markup: paths may have brackets."""
    from rich.text import Text

    return Text(text)


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
