"""What MLflow prints, as lines that the log can take, however long or odd they are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

LONGEST_LINE = 4096
LINES_KEPT = 20
_READ = 65536


class Lines:
    """Splits a stream into lines of bounded length and remembers the last of them.

    `each` takes a line and returns it as it may be remembered.
    """

    def __init__(self, each: Callable[[str], str]) -> None:
        self._each = each
        self._rest = b""
        self._kept: deque[str] = deque(maxlen=LINES_KEPT)

    @property
    def last(self) -> str | None:
        """The last line that says why something failed, else the last of all."""
        for line in reversed(self._kept):
            if _says_why(line):
                return line.strip()
        return self._kept[-1].strip() if self._kept else None

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        """Pass on every line until the stream ends."""
        while stream is not None and (read := await stream.read(_READ)):
            self.feed(read)
        self.feed(b"\n" if self._rest else b"")

    def feed(self, read: bytes) -> None:
        """Take what was read; a longer line than allowed is passed on in pieces."""
        *whole, self._rest = (self._rest + read).split(b"\n")
        for line in whole:
            self._pass_on(line)
        while len(self._rest) > LONGEST_LINE:
            self._pass_on(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def _pass_on(self, line: bytes) -> None:
        for start in range(0, len(line), LONGEST_LINE):
            text = line[start : start + LONGEST_LINE].decode(errors="replace").rstrip()
            if text:
                self._kept.append(self._each(text))


def _says_why(line: str) -> bool:
    # The end of a traceback begins in the first column: `package.SomeError: why`.
    name, colon, _ = line.partition(": ")
    last = name.rpartition(".")[2]
    return bool(colon) and last.isidentifier() and last.endswith(("Error", "Exception", "Exit"))
