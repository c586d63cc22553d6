"""How connections are made beside what a URI says: passwords that rotate, verified TLS, patience.

An `Access` listens to SQLAlchemy's `do_connect`: on an engine of ours, or on all of a process,
which is how MLflow, unmodified, signs in with a password that no URI holds. A database may have
got a new password while the secret still has the old one, for up to a minute; so a sign-in that
is refused is tried again for that long, with the secret fetched again, by one thread for all.
Start at `Access.of` and `Access.listen`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine

from headgate.database.failures import is_wrong_password
from headgate.secret_store import Credentials, Secret
from headgate.settings import Settings

ROTATION_SECONDS = 60.0
_PAUSE = 1.0
_SECRET_VARIABLE = "HEADGATE_DATABASE_SECRET"  # noqa: S105 - a name
_CA_VARIABLE = "HEADGATE_DATABASE_CA"
_WAKE_VARIABLE = "HEADGATE_DATABASE_WAKE_SECONDS"
_DIALECTS = ("postgresql", "mysql", "mariadb")

Open = Callable[[Credentials], Any]


class Access:
    """Signs connections in as `secret` says and verifies the server by `ca`, where given.

    Connections with a password of their own, and SQLite's, are left alone.
    """

    def __init__(
        self,
        *,
        secret: Secret | None = None,
        ca: Path | None = None,
        connect_seconds: int = 10,
        rotation_seconds: float = ROTATION_SECONDS,
        pause: float = _PAUSE,
    ) -> None:
        self.connect_seconds = connect_seconds
        self._secret = secret
        self._ca = ca
        self._rotation_seconds = rotation_seconds
        self._pause = pause
        self._one_at_a_time = threading.Lock()
        self._gave_up_at = float("-inf")

    @classmethod
    def of(cls, settings: Settings, *, migrating: bool = False) -> Self:
        """As the settings want it: the master's where the schema is changed, else the user's."""
        name = secret_name(settings, migrating=migrating)
        return cls(
            secret=Secret(name) if name else None,
            ca=settings.database_ca.absolute() if settings.database_ca else None,
            connect_seconds=settings.wake_seconds(),
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """As `environment_of` wrote it down for a process that we start."""
        name, ca = environment.get(_SECRET_VARIABLE), environment.get(_CA_VARIABLE)
        return cls(
            secret=Secret(name) if name else None,
            ca=Path(ca) if ca else None,
            connect_seconds=int(environment.get(_WAKE_VARIABLE) or 10),
        )

    def listen(self, engine: sqlalchemy.Engine | type[sqlalchemy.Engine]) -> None:
        """Make the connections of an engine, or, given the class, of every engine."""
        event.listen(engine, "do_connect", self._connect)

    def _connect(
        self, dialect: Dialect, _record: object, arguments: Any, options: dict[str, Any]
    ) -> Any:
        """SQLAlchemy's hook: a connection, or None to let it connect with changed options."""
        if dialect.name not in _DIALECTS:
            return None
        options.setdefault("connect_timeout", self.connect_seconds)
        if self._ca is not None:
            _verify(dialect.name, self._ca, options)
        if self._secret is None or options.get("password"):
            return None

        def open_as(credentials: Credentials) -> Any:
            named = {"user": credentials.username, "password": credentials.password}
            return dialect.connect(*arguments, **(options | named))

        return self._signed_in(self._secret, dialect, open_as)

    def _signed_in(self, secret: Secret, dialect: Dialect, open_as: Open) -> Any:
        began = time.monotonic()
        try:
            return open_as(secret.credentials())
        except dialect.loaded_dbapi.Error as fault:
            if not is_wrong_password(fault, dialect.name):
                raise
            refused = fault
        failed = time.monotonic()
        with self._one_at_a_time:
            deadline = time.monotonic() + self._rotation_seconds
            # Who waited here while another gave up need not go through the minute again.
            while self._gave_up_at < began:
                try:
                    # Who waited while another found the new password finds it fetched.
                    return open_as(secret.fetched_since(failed).credentials(secret.name))
                except dialect.loaded_dbapi.Error as fault:
                    if not is_wrong_password(fault, dialect.name):
                        raise
                    refused = fault
                failed = time.monotonic()
                if failed + self._pause > deadline:
                    self._gave_up_at = failed
                else:
                    time.sleep(self._pause)
        raise refused


def secret_name(settings: Settings, *, migrating: bool = False) -> str | None:
    """The secret that a process signs in with."""
    if migrating:
        return settings.database_secret or settings.database_user_secret
    return settings.database_user_secret or settings.database_secret


def environment_of(settings: Settings, *, migrating: bool) -> dict[str, str]:
    """What a process that we start is told, names only, for `Access.from_environment`."""
    said = {
        _SECRET_VARIABLE: secret_name(settings, migrating=migrating),
        _CA_VARIABLE: str(settings.database_ca.absolute()) if settings.database_ca else None,
        _WAKE_VARIABLE: str(settings.wake_seconds()),
    }
    return {name: value for name, value in said.items() if value}


def listen_everywhere(environment: Mapping[str, str]) -> None:
    """Make every connection of this process, now and later, as its environment says."""
    Access.from_environment(environment).listen(Engine)


def _verify(dialect: str, ca: Path, options: dict[str, Any]) -> None:
    if dialect == "postgresql":
        options.update(sslmode="verify-full", sslrootcert=str(ca))
        return
    # PyMySQL's `ssl_ca` alone, which MLflow's own setting becomes, verifies nothing.
    for name in ("ssl", "ssl_disabled"):
        options.pop(name, None)
    options.update(ssl_ca=str(ca), ssl_verify_cert=True, ssl_verify_identity=True)
