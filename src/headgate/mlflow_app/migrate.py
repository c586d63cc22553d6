"""`python -m headgate.mlflow_app.migrate`: both schemas to head, the first users and experiment.

A process of its own, as it imports MLflow. Run by `headgate.upstream` under the database lock,
and only where a schema is not at head or the admin is missing. It may be repeated after any
interruption.

Its settings are environment variables: those of `headgate.mlflow_app`, MLflow's own
`_MLFLOW_SERVER_FILE_STORE` (the backend store) and `_MLFLOW_SERVER_ARTIFACT_ROOT`, and
`HEADGATE_ADMIN_PASSWORD_FILE`, a 0600 file with the password that the admin gets if there is
none of that name yet.

Prints `step: …` lines for people to standard output. Fails with one line on standard error and
exit code 1; neither ever holds a secret.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy

from headgate.database.access import listen_everywhere
from headgate.errors import DatabaseError, HeadgateError
from headgate.mlflow_app.auth_tables import make_first_tables

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore as AuthStore

LEAKED_PASSWORD = "password1234"  # noqa: S105 - the one that old MLflow shipped, refused here
SHORTEST_PASSWORD = 12


def main() -> int:
    """Run all steps; the process's exit code."""
    _quieten()
    try:
        _migrate()
    except HeadgateError as fault:
        return _failed(str(fault))
    except Exception as fault:
        # Whatever a database, a driver or MLflow raises: a line for people, never a traceback.
        return _failed(_sentence(fault))
    return 0


def _quieten() -> None:
    """Standard error is for the one line that says what went wrong."""
    warnings.simplefilter("ignore")
    os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # MLflow reads this file when its auth package is imported; it is not for us.
    os.environ.pop("MLFLOW_AUTH_CONFIG_PATH", None)


def _migrate() -> None:
    backend_uri = _required("_MLFLOW_SERVER_FILE_STORE")
    auth_uri = _required("HEADGATE_AUTH_DATABASE_URI")
    artifact_root = os.environ.get("_MLFLOW_SERVER_ARTIFACT_ROOT") or "mlflow-artifacts:/"
    listen_everywhere(os.environ)
    _step("loading MLflow")
    import mlflow.store.db.utils  # noqa: F401 - seconds, which the step before announces

    _step("bringing MLflow's tables up to date")
    _migrate_backend(backend_uri)
    _step("looking for the default experiment")
    _make_default_experiment(backend_uri, artifact_root)
    _step("bringing the users' tables up to date")
    users = _migrated_users(auth_uri)
    _step("looking for the admin")
    _make_admin(users)
    _step("done")


def _migrate_backend(uri: str) -> None:
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(uri)
    try:
        if utils._get_schema_version(engine) is None:
            # Empty, or interrupted before its first migration: creates what is missing and
            # upgrades. Other tables (users, when they share the database) do not matter.
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)
    finally:
        engine.dispose()


def _make_default_experiment(uri: str, artifact_root: str) -> None:
    """What the tracking store does when it is first opened; done here, under the lock, so that
    several servers that start at once do not race for it.
    """
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES

    if MLFLOW_ENABLE_WORKSPACES.get():
        from mlflow.store.tracking.sqlalchemy_workspace_store import (
            WorkspaceAwareSqlAlchemyStore as TrackingStore,
        )
    else:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
    TrackingStore(uri, artifact_root)


def _migrated_users(uri: str) -> AuthStore:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore as AuthStore

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    # MLflow itself would try an unreachable database again for two minutes.
    engine.connect().close()
    make_first_tables(engine)
    store = AuthStore()
    store.init_db(uri)
    return store


def _make_admin(users: AuthStore) -> None:
    username = os.environ.get("HEADGATE_ADMIN_USERNAME") or "admin"
    if users.has_user(username):
        return
    users.create_user(username, _admin_password(username), is_admin=True)
    _step(f"made the admin {username}")


def _admin_password(username: str) -> str:
    path = Path(_required("HEADGATE_ADMIN_PASSWORD_FILE"))
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
        readable_by_others = path.stat().st_mode & 0o077
    except OSError as fault:
        raise HeadgateError(f"The password file {path} cannot be read: {fault.strerror}.") from None
    if readable_by_others:
        raise HeadgateError(f"The password file {path} can be read by others: chmod 600 it.")
    if password == LEAKED_PASSWORD or len(password) < SHORTEST_PASSWORD:
        raise HeadgateError(
            f"The password of the admin {username} must have at least {SHORTEST_PASSWORD} "
            "characters and must not be MLflow's old default."
        )
    return password


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise HeadgateError(f"{name} is not set.")
    return value


def _step(text: str) -> None:
    print(f"step: {text}", flush=True)  # noqa: T201 - the parent reads it


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the parent reads it
    return DatabaseError.exit_code


def _sentence(fault: BaseException) -> str:
    """What went wrong, on one line.

    SQLAlchemy's own text holds the statement and its parameters, a password's hash among them;
    the driver's, which it wraps, says what a person needs.
    """
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.orig is not None:
            fault = cause.orig
            break
        cause = cause.__cause__
    text = " ".join(str(fault).split()) or type(fault).__name__
    for secret in _secrets():
        text = text.replace(secret, "***")
    return f"The database could not be migrated: {text}"


def _secrets() -> list[str]:
    """Passwords in the addresses that we were given, as written and as decoded."""
    found = set()
    for name in ("_MLFLOW_SERVER_FILE_STORE", "HEADGATE_AUTH_DATABASE_URI"):
        uri = os.environ.get(name, "")
        userinfo = uri.partition("://")[2].partition("/")[0].rpartition("@")[0]
        found.add(userinfo.partition(":")[2])
        try:
            found.add(str(sqlalchemy.make_url(uri).password or ""))
        except sqlalchemy.exc.ArgumentError:
            found.add(uri)
    return sorted((secret for secret in found if secret), key=len, reverse=True)


if __name__ == "__main__":
    sys.exit(main())
