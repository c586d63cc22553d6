"""Engines for the three kinds of database, set up the same way everywhere.

`make_engine` opens nothing; the first connection does. Wrap work with `explained`, so that
what can be foreseen becomes a `DatabaseError` in clear words; `connected` does both.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import event

from headgate.database.access import Access
from headgate.database.failures import explained
from headgate.database.uris import kind, normal_uri, redact
from headgate.errors import DatabaseError, SettingsError
from headgate.settings.database import sqlite_file

__all__ = ["check_folder", "connected", "explained", "make_engine", "normal_uri", "redact"]

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60  # PyMySQL would wait for ever, even for the first word of a server
_BUSY_SECONDS = 20  # as long as MLflow waits
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
# MLflow's own variables, so that our connections are encrypted as MLflow's are.
_MYSQL_TLS = {
    "ssl_ca": "MLFLOW_MYSQL_SSL_CA",
    "ssl_cert": "MLFLOW_MYSQL_SSL_CERT",
    "ssl_key": "MLFLOW_MYSQL_SSL_KEY",
}


def make_engine(
    uri: str, *, pool_size: int = 5, as_found: bool = False, access: Access | None = None
) -> sqlalchemy.Engine:
    """An engine for `uri`, which may leave its driver out; `access` makes its connections.

    SQLite files are made if need be and put into WAL mode, unless `as_found`: then nothing of
    the file is set up. Raises `SettingsError` for a URI that cannot be used or a missing driver.
    """
    database = kind(uri)
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size}
    if database == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS}
        check_folder(_sqlite_file(uri))
        target = _as_found(uri) if as_found else uri
    else:
        target = normal_uri(uri)
        patience = access.connect_seconds if access else _CONNECT_SECONDS
        options |= {"pool_pre_ping": True, "pool_recycle": 1800, "pool_timeout": patience}
        options["connect_args"] = _connect_arguments(database, patience)
    try:
        engine = sqlalchemy.create_engine(target, **options)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise _missing_driver(uri, database) from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # SQLAlchemy's own message repeats the URI with its password.
        raise SettingsError(f"The database URI {redact(uri)} cannot be read.") from None
    if database == "sqlite" and not as_found:
        event.listen(engine, "connect", _set_up_sqlite)
    if access is not None:
        access.listen(engine)
    return engine


@contextmanager
def connected(
    uri: str, *, as_found: bool = False, access: Access | None = None
) -> Iterator[sqlalchemy.Connection]:
    """A single connection in a transaction, for a short look or change; failures explained."""
    engine = make_engine(uri, pool_size=1, as_found=as_found, access=access)
    try:
        with explained(uri), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def check_folder(database: Path) -> None:
    """Refuse an SQLite file in a folder that is not there: SQLite says only "cannot open"."""
    if not database.parent.is_dir():
        raise DatabaseError(
            f"The folder of the database {database} does not exist.",
            hint=f"mkdir -p {database.parent}",
        )


def _sqlite_file(uri: str) -> Path:
    path = sqlite_file(uri)
    if path is None or str(path) in ("", ".", ":memory:"):
        raise SettingsError("An SQLite store needs a file, such as sqlite:///mlflow.db.")
    return path


def _as_found(uri: str) -> str:
    # Not mode=ro: that cannot read a file whose last writer was interrupted.
    # Quoted twice: for SQLite's own URI, and for SQLAlchemy's around it.
    path = quote(quote(str(_sqlite_file(uri))))
    return f"sqlite:///file:{path}?mode=rw&uri=true"


def _connect_arguments(database: str, patience: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {"connect_timeout": patience}
    if database == "postgresql":
        return arguments | {"application_name": f"headgate-{os.getpid()}"}
    answer = max(_ANSWER_SECONDS, patience)
    arguments |= {"read_timeout": answer, "write_timeout": answer}
    tls = {name: os.environ.get(variable) for name, variable in _MYSQL_TLS.items()}
    return arguments | {name: value for name, value in tls.items() if value}


def _missing_driver(uri: str, database: str) -> SettingsError:
    scheme = normal_uri(uri).partition("://")[0]
    extra = _EXTRAS.get(database)
    return SettingsError(
        f"The driver of {scheme} is not installed.",
        hint=f"pip install 'headgate[{extra}]'" if extra else None,
    )


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Readers go on while somebody writes; WAL is kept in the file, so MLflow gains from it."""
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    finally:
        cursor.close()
