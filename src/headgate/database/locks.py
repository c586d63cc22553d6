"""One migration at a time, whoever else uses the database.

A lock in the database server (PostgreSQL, MySQL) or on a file beside an SQLite file. It ends
with its holder's connection or process, so that no dead one blocks the next. Start at
`migration_lock`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy
from sqlalchemy import text

from headgate.database.access import Access
from headgate.database.engine import check_folder, explained, make_engine
from headgate.database.uris import kind, redact
from headgate.errors import DatabaseError
from headgate.settings.database import sqlite_file

_NAME = "headgate.migration"
_PAUSE = 0.2


class _Lock(Protocol):
    """A lock that is tried again and again."""

    def try_now(self) -> bool:
        """Whether it is ours now."""
        ...

    def holder(self) -> str:
        """Who has it, for people."""
        ...


@contextmanager
def migration_lock(
    uri: str,
    *,
    seconds: float,
    waiting: Callable[[str], None],
    cancelled: threading.Event | None = None,
    access: Access | None = None,
) -> Iterator[None]:
    """Hold the migration lock of the database at `uri`.

    `waiting` hears once whom we wait for; `cancelled` ends the waiting. Raises `DatabaseError`
    if the lock is not free in `seconds`.
    """
    cancelled = cancelled or threading.Event()
    path = sqlite_file(uri)
    with _file_lock(path) if path is not None else _server_lock(uri, access) as lock:
        deadline = time.monotonic() + seconds
        told = False
        while not lock.try_now():
            holder = lock.holder()
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"The database {redact(uri)} has been migrated by {holder} for more than "
                    f"{seconds:g} s.",
                    hint="Wait for it to finish, or end it if it hangs; then start again.",
                )
            if not told:
                waiting(f"waiting for {holder}, which migrates {redact(uri)}")
                told = True
            if cancelled.wait(_PAUSE):
                raise DatabaseError("Headgate was stopped while it waited for the database's lock.")
        yield


@contextmanager
def _file_lock(database: Path) -> Iterator[_FileLock]:
    check_folder(database)
    path = database.with_name(f".{database.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise DatabaseError(
            f"The lock file {path} cannot be opened: {fault.strerror}.",
            hint="Check that the folder exists and that you may write there.",
        ) from None
    try:
        yield _FileLock(descriptor)
    finally:
        # The file stays: whoever removes it may do so under a waiter that just opened it.
        os.close(descriptor)


class _FileLock:
    """flock, which the kernel releases when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def try_now(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, _ourselves().encode(), 0)
        return True

    def holder(self) -> str:
        return os.pread(self._descriptor, 200, 0).decode(errors="replace") or "another process"


@contextmanager
def _server_lock(uri: str, access: Access | None) -> Iterator[_PostgreSQLLock | _MySQLLock]:
    engine = make_engine(uri, pool_size=1, access=access)
    try:
        with explained(uri):
            connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            lock = _PostgreSQLLock if kind(uri) == "postgresql" else _MySQLLock
            yield lock(connection, uri)
    finally:
        # Closes the connection, and the server releases the lock with it.
        engine.dispose()


class _PostgreSQLLock:
    """A session's advisory lock; its key is per database already."""

    def __init__(self, connection: sqlalchemy.Connection, uri: str) -> None:
        self._connection = connection
        self._uri = uri
        self._key = int.from_bytes(hashlib.sha256(_NAME.encode()).digest()[:4]) >> 1

    def try_now(self) -> bool:
        with explained(self._uri):
            taken = self._connection.scalar(
                text("SELECT pg_try_advisory_lock(0, :key)"), {"key": self._key}
            )
        return bool(taken)

    def holder(self) -> str:
        statement = text(
            "SELECT a.application_name, coalesce(a.client_hostname, host(a.client_addr), 'local')"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = :key"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with explained(self._uri):
            row = self._connection.execute(statement, {"key": self._key}).first()
        return f"{row[0] or 'a client'} at {row[1]}" if row else "another client"


class _MySQLLock:
    """GET_LOCK, whose names are the whole server's: the database's name is part of it."""

    def __init__(self, connection: sqlalchemy.Connection, uri: str) -> None:
        self._connection = connection
        self._uri = uri
        database = sqlalchemy.make_url(uri).database or ""
        # At most 64 characters.
        self._name = f"{_NAME}.{hashlib.sha256(database.encode()).hexdigest()[:16]}"

    def try_now(self) -> bool:
        with explained(self._uri):
            taken = self._connection.scalar(text("SELECT GET_LOCK(:n, 0)"), {"n": self._name})
        return bool(taken)

    def holder(self) -> str:
        statement = text(
            "SELECT id, host FROM information_schema.processlist WHERE id = IS_USED_LOCK(:n)"
        )
        with explained(self._uri):
            row = self._connection.execute(statement, {"n": self._name}).first()
        return f"connection {row[0]} of {row[1]}" if row else "another client"


def _ourselves() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
