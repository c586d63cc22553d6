"""What a database's error means, in one sentence for the person who runs the server.

`explained` wraps whatever talks to a database: foreseeable failures leave it as
`DatabaseError`, without secrets. A new kind of failure is a new row in one of the tables.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import sqlalchemy.exc

from headgate.database.uris import kind, redact, without_secrets
from headgate.errors import DatabaseError


class _Meaning(NamedTuple):
    """How `The database <uri> …` goes on, and what to do."""

    sentence: str
    hint: str


_REFUSED = _Meaning("refuses this user or password.", "Check both in the database URI.")
_ABSENT = _Meaning("does not exist on its server.", "Create it, or name another one in the URI.")
_UNREACHABLE = _Meaning(
    "cannot be reached.", "Check host and port in the URI, and that the server runs."
)
_UNKNOWN_HOST = _Meaning("is on a host that is not known.", "Check the host name in the URI.")
_SILENT = _Meaning(
    "does not answer in time.", "Check host and port in the URI, and firewalls between."
)
_READ_ONLY = _Meaning("is read-only.", "Give this user the right to write there.")
_FULL = _Meaning("has no disk space left.", "Free some space; nothing that was stored is lost.")
_BUSY = _Meaning("has no connection left for us.", "Raise its limit, or end other clients.")
_LOCKED = _Meaning(
    "is locked by another program.", "Stop whatever else works with it, then start again."
)
_FORBIDDEN = _Meaning("does not let this user do that.", "Give the user all rights on it.")

_SQLITE = {
    "SQLITE_NOTADB": _Meaning(
        "is not an SQLite database.", "Check the path; restore the file from a backup if need be."
    ),
    "SQLITE_CORRUPT": _Meaning("is damaged.", "Restore the file from a backup."),
    "SQLITE_CANTOPEN": _Meaning(
        "cannot be opened.", "Check that its folder exists and that you may read and write there."
    ),
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_FULL": _FULL,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_IOERR": _Meaning("cannot be read or written.", "Check the disk and its free space."),
}
_FILES = {
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.EROFS: _READ_ONLY,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}
# PostgreSQL says why a connection failed in words only, translated by `lc_messages`.
_POSTGRESQL_WORDS = (
    (r"password authentication failed|no password supplied|no pg_hba\.conf entry", _REFUSED),
    (r'role ".*" does not exist', _REFUSED),
    (r'database ".*" does not exist', _ABSENT),
    (r"failed to resolve host|could not translate host name|Name or service not", _UNKNOWN_HOST),
    (r"timeout expired|timed out", _SILENT),
    (r"too many clients|remaining connection slots", _BUSY),
    (r"Connection refused|No such file|could not connect|connection failed", _UNREACHABLE),
    (r"server closed the connection|connection is closed|terminating connection", _UNREACHABLE),
)
_POSTGRESQL = {
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": _ABSENT,
    "25006": _READ_ONLY,
    "42501": _FORBIDDEN,
    "53100": _FULL,
    "53300": _BUSY,
    "55P03": _LOCKED,
    "57P01": _UNREACHABLE,
    "57P03": _UNREACHABLE,
}
_MYSQL = {
    1021: _FULL,
    1040: _BUSY,
    1044: _REFUSED,
    1045: _REFUSED,
    1049: _ABSENT,
    1114: _FULL,
    1142: _FORBIDDEN,
    1205: _LOCKED,
    1290: _READ_ONLY,
    1698: _REFUSED,
    1836: _READ_ONLY,
    2003: _UNREACHABLE,
    2005: _UNKNOWN_HOST,
    2006: _UNREACHABLE,
    2013: _UNREACHABLE,
}
_MYSQL_WRONG_PASSWORD = (1045, 1698)
_MYSQL_WORDS = (
    (r"Name or service not known|nodename nor servname|getaddrinfo failed", _UNKNOWN_HOST),
    (r"timed out", _SILENT),
)


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Let a database's failures in this block leave it as `DatabaseError` in clear words."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as fault:
        raise explain(fault, uri) from fault


def explain(fault: BaseException, uri: str) -> DatabaseError:
    """The error for people that stands for a driver's or SQLAlchemy's `fault`."""
    original = getattr(fault, "orig", None) or fault
    meaning = _meaning(original, kind(uri))
    if meaning is None:
        text = " ".join(without_secrets(str(original), uri).split())
        text = text or type(original).__name__
        return DatabaseError(f"The database {redact(uri)} failed: {text}")
    return DatabaseError(f"The database {redact(uri)} {meaning.sentence}", hint=meaning.hint)


def is_wrong_password(fault: BaseException, dialect: str) -> bool:
    """Whether a driver's error says that this user and password do not go together."""
    if dialect == "postgresql":
        code = getattr(fault, "sqlstate", None)
        return code == "28P01" or "password authentication failed" in str(fault)
    return bool(fault.args) and fault.args[0] in _MYSQL_WRONG_PASSWORD


def _meaning(fault: BaseException, database: str) -> _Meaning | None:
    if isinstance(fault, sqlite3.Error):
        return _of_sqlite(fault)
    if database == "sqlite":
        return _FILES.get(getattr(fault, "errno", None) or 0)
    if database == "postgresql":
        code = getattr(fault, "sqlstate", None)
        return _POSTGRESQL.get(code or "") or _by_words(str(fault), _POSTGRESQL_WORDS)
    if database == "mysql":
        number = fault.args[0] if fault.args else 0
        return _by_words(str(fault), _MYSQL_WORDS) or _MYSQL.get(number)
    return None


def _of_sqlite(fault: sqlite3.Error) -> _Meaning | None:
    name = getattr(fault, "sqlite_errorname", None) or ""
    # Extended codes, such as SQLITE_READONLY_DBMOVED, begin with the plain one.
    return next((meaning for code, meaning in _SQLITE.items() if name.startswith(code)), None)


def _by_words(text: str, table: tuple[tuple[str, _Meaning], ...]) -> _Meaning | None:
    return next((meaning for words, meaning in table if re.search(words, text)), None)
