"""Migrating an SQLite file without ever leaving it half-done.

SQLite's migrations are many transactions. So they happen in a copy, whose content then replaces
that of the file in a single one: whatever interrupts us, the file is as it was or done. A copy
of an existing file is kept for good beside it. Start at `Stage`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.database.failures import explained
from headgate.errors import DatabaseError
from headgate.settings.database import sqlite_uri

_BUSY_SECONDS = 10.0
_COMPANIONS = ("", "-wal", "-shm", "-journal")


class Stage:
    """A copy of `database` (which may not exist yet), to be changed and then published."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._uri = sqlite_uri(database)
        self._copy = database.with_name(f".{database.name}.migration")
        self._connection: sqlite3.Connection | None = None
        self._version = 0

    @property
    def uri(self) -> str:
        """The URI of the copy."""
        return sqlite_uri(self._copy)

    def __enter__(self) -> Self:
        """Make the copy; leaves nothing behind if that fails."""
        self._remove_copy()
        try:
            with explained(self._uri):
                # A new one holds password hashes; an existing one keeps its permissions.
                os.close(os.open(self._database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                connection = sqlite3.connect(self._database, timeout=_BUSY_SECONDS)
                self._connection = connection
                self._version = _data_version(connection)
                if self._database.stat().st_size:
                    copy_database(connection, self._copy)
        except BaseException:
            self._clean_up()
            raise
        return self

    def publish(self) -> None:
        """Let the copy's content be the database's, in one durable transaction.

        Raises `DatabaseError` if somebody wrote to the database meanwhile: that would be lost.
        """
        connection = self._connection
        assert connection is not None
        with explained(self._uri), closing(sqlite3.connect(self._copy)) as copy:
            if _data_version(connection) != self._version:
                raise DatabaseError(
                    f"Another program wrote to {self._database} while it was migrated, so the "
                    "file was left as it is.",
                    hint="Stop everything that works with it, then start again.",
                )
            copy.backup(connection, progress=_give_up_when_busy())
            # Readers then go on while somebody writes; the file remembers it.
            connection.execute("PRAGMA journal_mode=WAL")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._remove_copy()

    def _remove_copy(self) -> None:
        for suffix in _COMPANIONS:
            Path(f"{self._copy}{suffix}").unlink(missing_ok=True)


def _data_version(connection: sqlite3.Connection) -> int:
    """Changes when another connection commits."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def keep_copy(database: Path, revision: str) -> Path:
    """A consistent copy of `database` beside it, under a name that nothing had before."""
    part = database.with_name(f".{database.name}.copy")
    part.unlink(missing_ok=True)
    try:
        with explained(sqlite_uri(database)), closing(sqlite3.connect(database)) as source:
            copy_database(source, part)
        return _linked(part, database, revision)
    finally:
        for suffix in _COMPANIONS:
            Path(f"{part}{suffix}").unlink(missing_ok=True)


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """A consistent, durable copy of an open database, with its file's permissions."""
    original = Path(source.execute("PRAGMA database_list").fetchone()[2])
    with _space_for(original, target), closing(sqlite3.connect(target)) as copy:
        shutil.copymode(original, target)
        source.backup(copy, progress=_give_up_when_busy())


def _linked(part: Path, database: Path, revision: str) -> Path:
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        kept = database.with_name(f"{database.name}.before-{revision}{suffix}.bak")
        try:
            os.link(part, kept)
        except FileExistsError:
            number += 1
        else:
            return kept


@contextmanager
def _space_for(original: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as fault:
        name = getattr(fault, "sqlite_errorname", "") or ""
        if not name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
            raise
        raise DatabaseError(
            f"There is no space for a copy of {original} in {target.parent}; it needs "
            f"{original.stat().st_size / 2**20:.0f} MB. Nothing was changed.",
            hint="Free some space, then start again.",
        ) from None


def _give_up_when_busy() -> Callable[[int, int, int], None]:
    """For `backup`, which waits for other writers forever."""
    deadline = time.monotonic() + _BUSY_SECONDS

    def progress(status: int, _remaining: int, _total: int) -> None:
        busy = status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if busy and time.monotonic() > deadline:
            fault = sqlite3.OperationalError("database is locked")
            fault.sqlite_errorname = "SQLITE_BUSY"
            raise fault

    return progress
