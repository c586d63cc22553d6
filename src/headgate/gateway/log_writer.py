"""Writes log lines from a thread of its own, so that a slow reader of the log slows nobody.

Lines are kept in memory for the moment it takes to gather some, and at most `limit_bytes` of
them while nobody reads; what had to be dropped then is counted in the log. Start at
`LogWriter.write`.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

GATHER_SECONDS = 0.05
LIMIT_BYTES = 8 * 2**20
_CLOSE_SECONDS = 2.0


class LogWriter:
    """Whole lines, in order, from any thread, to a file descriptor.

    `close` (also at the end of the process) writes what is left, and gives up on a reader
    that does not read within two seconds.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] | None = None,
        *,
        gather_seconds: float = GATHER_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._write = write or write_to_standard_error
        self._gather_seconds = gather_seconds
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._something = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        """Take a line (with its end of line) and return at once."""
        with self._lock:
            if self._waiting_bytes + len(line) > self._limit:
                self._dropped += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
        if not self._something.is_set():
            self._something.set()

    def close(self) -> None:
        """Write what is left and end the thread."""
        atexit.unregister(self.close)
        self._closing.set()
        self._something.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._something.wait()
            # One system call for many lines: a busy gateway writes thousands in a second.
            self._closing.wait(self._gather_seconds)
            self._something.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f"({dropped} log lines dropped: nobody read the log)\n".encode())
        if lines:
            self._write(b"".join(lines))
        with self._lock:
            # Only now: while a write is stuck, what it holds counts as waiting.
            self._waiting_bytes = sum(map(len, self._lines))


def write_to_standard_error(data: bytes) -> None:
    """All of `data`, or as much as anybody takes."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(2, rest) :]
        except OSError:
            # The reader is gone or the disk is full. Serving goes on without a log.
            return
