"""Brings the databases to the schema of the installed MLflow, once, whoever else starts.

Start at `migrate`; `plan` says what it would do, and is cheap. All of it happens under the
databases' migration locks. At head and with an admin no process is started; otherwise one that
imports MLflow does the work. SQLite files are migrated in a copy (`staging`).
"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import sqlalchemy

from headgate.database.access import Access
from headgate.database.application_user import make_application_user
from headgate.database.engine import connected, explained, make_engine
from headgate.database.locks import migration_lock
from headgate.database.revisions import CHAINS, Chain, Schema, empty_schema, inspect_chain
from headgate.database.rollout import check_rollout
from headgate.database.uris import kind, redact
from headgate.database.users import create_tables
from headgate.errors import DatabaseError, HeadgateError
from headgate.observation import MigrationFinished, MigrationStarted, MigrationStep, Observe
from headgate.settings import Settings
from headgate.settings.database import sqlite_file
from headgate.upstream import launch
from headgate.upstream.admin import admin_name, admin_password_file
from headgate.upstream.children import Command, how_it_ended, start_blocking
from headgate.upstream.staging import Stage, keep_copy

Confirm = Callable[[str], bool]

LOCK_SECONDS = 900.0
_LOOK_SECONDS = 0.2
_STEP = "step: "
_IN_WORDS = {"mlflow": "MLflow's tables", "auth": "MLflow's users and permissions"}
_HINTS = {
    "sqlite": "Nothing was changed; the file is as it was.",
    "postgresql": "PostgreSQL has undone what was begun. Mend the cause, then start again.",
    "mysql": "MySQL cannot undo a migration that was interrupted. Start again; if that fails, "
    "restore your backup, or drop and create the database if it was new.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What `migrate` would do to the chains `mlflow` and `auth`, each in its database."""

    schemas: tuple[Schema, Schema]
    uris: tuple[str, str]
    admin_missing: bool
    joins_runs: bool
    """Whether the users' tables would be new in a database that holds somebody's runs."""

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.admin_missing or self.changes_schema

    @property
    def changes_schema(self) -> bool:
        """Whether a chain is not at head."""
        return any(schema.standing != "head" for schema in self.schemas)

    @property
    def question(self) -> str | None:
        """What a person must say yes to before data that they have is changed; None: nothing."""
        old = list(self.old())
        if not old:
            return None
        lines = [_what_changes(schema, uri) for schema, uri in old]
        if any(sqlite_file(uri) for _, uri in old):
            lines.append("A copy of the file is made first.")
        if any(sqlite_file(uri) is None for _, uri in old):
            lines.append("This cannot be undone: have a backup.")
        return "\n".join([*lines, "Migrate?"])

    def old(self) -> Iterator[tuple[Schema, str]]:
        """The chains whose migration changes a database that holds data, and where."""
        for schema, uri in zip(self.schemas, self.uris, strict=True):
            interrupted_creation = schema.standing == "half-done" and schema.found is None
            changes_data = schema.standing in ("behind", "half-done") and not interrupted_creation
            if changes_data or (schema.chain == "auth" and self.joins_runs):
                yield schema, uri


def plan(settings: Settings) -> Plan:
    """Look at both chains and the admin, changing nothing.

    Raises `DatabaseError` for a database that cannot be read or that must not be migrated.
    """
    access = Access.of(settings, migrating=True)
    mlflow, auth = (
        _look(uri, chain, access)
        for uri, chain in zip((settings.backend_uri(), settings.auth_uri()), CHAINS, strict=True)
    )
    uris = (settings.backend_uri(), settings.auth_uri())
    has_admin = auth.standing != "empty" and _has_user(uris[1], admin_name(settings), access)
    without_users = mlflow.standing == "head" and auth.standing == "empty" and uris[0] == uris[1]
    joins_runs = without_users and _has_runs(uris[0], access)
    return Plan((mlflow, auth), uris, admin_missing=not has_admin, joins_runs=joins_runs)


def migrate(
    settings: Settings,
    observe: Observe,
    confirm: Confirm,
    *,
    cancelled: threading.Event | None = None,
    lock_seconds: float = LOCK_SECONDS,
    maintenance: bool = False,
) -> None:
    """Bring both chains to head and make sure of the admin, of our own tables, and of the user
    as whom everything else signs in to the database, if the settings name one.

    `confirm` is asked `Plan.question` before an existing store is changed. `cancelled`, set by
    another thread, ends the work. `maintenance` says that no other server runs meanwhile.
    Raises `HeadgateError` whenever it did not get there.
    """
    cancelled = cancelled or threading.Event()
    launch.private_folder(settings.folder())
    launch.private_folder(settings.run_dir())
    access = Access.of(settings, migrating=True)
    with _locks(settings, access, observe, lock_seconds, cancelled):
        to_do = plan(settings)
        if to_do.needed:
            check_rollout(to_do.schemas, settings.edge, maintenance=maintenance)
            _ask(to_do, confirm)
            _carry_out(to_do, settings, observe, cancelled)
        _make_own_tables(settings.auth_uri(), access)
        if settings.database_secret and settings.database_user_secret:
            observe(MigrationStep("looking after the user of the database"))
            make_application_user(settings, access)


def _look(uri: str, chain: Chain, access: Access) -> Schema:
    path = sqlite_file(uri)
    if path is not None and not (path.exists() and path.stat().st_size):
        return empty_schema(chain)
    with connected(uri, as_found=True, access=access) as connection:
        schema = inspect_chain(connection, chain)
    if schema.standing == "unknown":
        raise DatabaseError(
            f"The database {redact(uri)} was left untouched. {schema.trouble}",
            hint="Install the MLflow that made it, or name another database.",
        )
    return schema


def _has_user(uri: str, username: str, access: Access) -> bool:
    users = sqlalchemy.table("users", sqlalchemy.column("username"))
    statement = sqlalchemy.select(users.c.username).where(users.c.username == username)
    with connected(uri, as_found=True, access=access) as connection:
        return connection.execute(statement).first() is not None


def _make_own_tables(uri: str, access: Access) -> None:
    engine = make_engine(uri, pool_size=1, access=access)
    try:
        with explained(uri):
            create_tables(engine)
    finally:
        engine.dispose()


def _has_runs(uri: str, access: Access) -> bool:
    runs = sqlalchemy.table("runs", sqlalchemy.column("run_uuid"))
    with connected(uri, as_found=True, access=access) as connection:
        return connection.execute(sqlalchemy.select(runs.c.run_uuid).limit(1)).first() is not None


def _what_changes(schema: Schema, uri: str) -> str:
    if schema.standing == "empty":
        return f"{redact(uri)} holds runs but no users; their tables are added to it."
    return (
        f"{redact(uri)} holds {_IN_WORDS[schema.chain]} as an older MLflow made them "
        f"(revision {schema.found or 'none'}, needed: {schema.head})."
    )


@contextmanager
def _locks(
    settings: Settings,
    access: Access,
    observe: Observe,
    seconds: float,
    cancelled: threading.Event,
) -> Iterator[None]:
    def waiting(text: str) -> None:
        observe(MigrationStep(text))

    with ExitStack() as stack:
        # In one order everywhere, so that two servers cannot each wait for the other.
        for uri in sorted({settings.backend_uri(), settings.auth_uri()}):
            lock = migration_lock(
                uri, seconds=seconds, waiting=waiting, cancelled=cancelled, access=access
            )
            stack.enter_context(lock)
        yield


def _ask(to_do: Plan, confirm: Confirm) -> None:
    question = to_do.question
    if question is not None and not confirm(question):
        where = " and ".join(sorted({redact(uri) for _, uri in to_do.old()}))
        raise DatabaseError(
            f"The database {where} was not migrated, and this MLflow cannot work with it as it is.",
            hint="Say yes, or start with --yes.",
        )


def _carry_out(
    to_do: Plan, settings: Settings, observe: Observe, cancelled: threading.Event
) -> None:
    began = time.monotonic()
    for schema in to_do.schemas:
        if schema.standing != "head":
            observe(MigrationStarted(schema.chain, schema.found, schema.head))
    for schema, uri in to_do.old():
        path = sqlite_file(uri)
        if path is not None:
            kept = keep_copy(path, schema.found or ("users" if to_do.joins_runs else "versions"))
            observe(MigrationStep(f"kept a copy in {kept}"))
    with ExitStack() as stack:
        stages = {
            uri: stack.enter_context(Stage(path))
            for uri in (dict.fromkeys(to_do.uris) if to_do.changes_schema else ())
            if (path := sqlite_file(uri)) is not None
        }
        backend, auth = (stages[uri].uri if uri in stages else uri for uri in to_do.uris)
        # None is made where nobody would get it: `headgate credentials` would show a wrong one.
        password = (
            stack.enter_context(admin_password_file(settings)) if to_do.admin_missing else None
        )
        command = launch.migration(
            settings,
            backend_uri=backend,
            auth_uri=auth,
            admin_username=admin_name(settings),
            admin_password_file=password,
        )
        _run(command, to_do, observe, cancelled)
        for stage in stages.values():
            stage.publish()
    observe(MigrationFinished(time.monotonic() - began))


def _run(command: Command, to_do: Plan, observe: Observe, cancelled: threading.Event) -> None:
    """Run the migrating process to its end; raises `DatabaseError` with its own last words."""
    with tempfile.TemporaryFile() as errors:
        process, lifeline = start_blocking(command, errors=errors.fileno())
        try:
            for line in _lines(process, cancelled):
                if line.startswith(_STEP):
                    observe(MigrationStep(line.removeprefix(_STEP)))
        finally:
            # Cut only now: it ends a process that still runs.
            lifeline.cut()
            code = process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if cancelled.is_set():
        raise HeadgateError("Headgate was stopped while it migrated the database.")
    if code != 0:
        hint = " ".join(_HINTS[database] for database in sorted({kind(uri) for uri in to_do.uris}))
        reason = said[-1] if said and code > 0 else f"The migration ended by {how_it_ended(code)}."
        raise DatabaseError(reason, hint=hint)


def _lines(process: subprocess.Popen[bytes], cancelled: threading.Event) -> Iterator[str]:
    """What the process prints, line by line, until it ends or we are told to stop."""
    assert process.stdout is not None
    rest = b""
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not cancelled.is_set():
            if not selector.select(_LOOK_SECONDS):
                continue
            read = os.read(output.fileno(), 65536)
            if not read:
                return
            *whole, rest = (rest + read).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
