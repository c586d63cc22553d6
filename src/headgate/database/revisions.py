"""How a database's schema relates to the installed MLflow, without importing MLflow.

MLflow keeps two Alembic chains, its own and its auth app's. Their heads are read from the
version files of the installed package, what a database has from its version tables.
Start at `inspect_chain`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy

from headgate.errors import HeadgateError

Chain = Literal["mlflow", "auth"]
Standing = Literal["empty", "behind", "head", "unknown", "half-done"]

CHAINS: tuple[Chain, ...] = ("mlflow", "auth")

_FOLDERS: Mapping[Chain, str] = {
    "mlflow": "store/db_migrations/versions",
    "auth": "server/auth/db/migrations/versions",
}
_VERSION_TABLES: Mapping[Chain, str] = {
    "mlflow": "alembic_version",
    "auth": "alembic_version_auth",
}
# A table that the chain's first revision makes.
_FIRST_TABLES: Mapping[Chain, str] = {"mlflow": "experiments", "auth": "users"}
_USER_COLUMNS = {"id", "username", "password_hash", "is_admin"}
_REVISION = re.compile(r"^revision(?:\s*:[^=]+)?\s*=\s*['\"](\w+)['\"]", re.MULTILINE)
_PARENTS = re.compile(r"^down_revision(?:\s*:[^=]+)?\s*=\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of one chain that the installed MLflow knows: each one's file, and those
    that it comes after."""

    head: str
    files: Mapping[str, Path]
    before: Mapping[str, frozenset[str]]

    @property
    def known(self) -> frozenset[str]:
        """Every revision."""
        return frozenset(self.files)


@dataclass(frozen=True, slots=True)
class Schema:
    """How one chain stands in one database. `trouble` explains `unknown` and `half-done`."""

    chain: Chain
    standing: Standing
    found: str | None
    head: str
    trouble: str | None = None


def mlflow_folder() -> Path:
    """The folder of the installed mlflow package, found without importing it."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise HeadgateError("MLflow is not installed.", hint="pip install --force-reinstall mlflow")
    return Path(spec.submodule_search_locations[0])


def mlflow_version() -> str:
    """The version of the installed mlflow package."""
    return importlib.metadata.version("mlflow")


@functools.cache
def history(chain: Chain) -> History:
    """What the installed MLflow's version files say of a chain."""
    return read_history(mlflow_folder() / _FOLDERS[chain])


def read_history(folder: Path) -> History:
    """The revisions in a folder of Alembic version files; exactly one of them is the head."""
    files: dict[str, Path] = {}
    before: dict[str, frozenset[str]] = {}
    for file in sorted(folder.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        revision = _REVISION.search(text)
        if revision is None:
            continue
        parents = _PARENTS.search(text)
        named = re.findall(r"['\"](\w+)['\"]", parents.group(1)) if parents else []
        files[revision.group(1)] = file
        before[revision.group(1)] = frozenset(named)
    heads = files.keys() - set().union(*before.values())
    if len(heads) != 1:
        raise HeadgateError(
            f"The installed MLflow has {len(heads)} head revisions in {folder}, not one.",
            hint="pip install --force-reinstall mlflow",
        )
    return History(head=heads.pop(), files=files, before=before)


def pending_files(chain: Chain, found: str | None) -> list[Path]:
    """The version files of what a database at revision `found` still needs; None: all of them."""
    versions = history(chain)
    done = _with_all_before(versions, found) if found is not None else set()
    return [file for revision, file in versions.files.items() if revision not in done]


def _with_all_before(versions: History, revision: str) -> set[str]:
    reached, waiting = set(), [revision]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += versions.before.get(one, ())
    return reached


def read_revisions(connection: sqlalchemy.Connection, chain: Chain) -> list[str] | None:
    """The rows of a chain's version table; None where there is no such table."""
    name = _VERSION_TABLES[chain]
    if not sqlalchemy.inspect(connection).has_table(name):
        return None
    table = sqlalchemy.table(name, sqlalchemy.column("version_num"))
    return list(connection.scalars(sqlalchemy.select(table.c.version_num)))


def empty_schema(chain: Chain) -> Schema:
    """How a chain stands in a database without tables."""
    return Schema(chain, "empty", None, history(chain).head)


def inspect_chain(connection: sqlalchemy.Connection, chain: Chain) -> Schema:
    """How a chain stands in the database of `connection`, which is only read."""
    versions = history(chain)
    found = read_revisions(connection, chain)
    if found:
        return _with_revision(connection, chain, found, versions)
    inspector = sqlalchemy.inspect(connection)
    if not inspector.has_table(_FIRST_TABLES[chain]):
        return empty_schema(chain)
    if chain == "auth":
        return _unversioned_users(inspector, versions)
    return Schema(
        chain,
        "half-done",
        None,
        versions.head,
        "MLflow's first tables were made there, but not finished.",
    )


def _with_revision(
    connection: sqlalchemy.Connection, chain: Chain, found: list[str], versions: History
) -> Schema:
    if len(found) > 1 or found[0] not in versions.known:
        trouble = (
            f"Its schema has revision {', '.join(sorted(found))}, which MLflow "
            f"{mlflow_version()} does not know: a newer MLflow or another program made it."
        )
        return Schema(chain, "unknown", found[0], versions.head, trouble)
    if found[0] == versions.head:
        return Schema(chain, "head", found[0], versions.head)
    left_over = [
        name
        for name in sqlalchemy.inspect(connection).get_table_names()
        if name.startswith("_alembic_tmp_")
    ]
    if left_over and chain == "mlflow":
        trouble = (
            f"A migration from revision {found[0]} was interrupted there: it left the table "
            f"{left_over[0]}."
        )
        return Schema(chain, "half-done", found[0], versions.head, trouble)
    return Schema(chain, "behind", found[0], versions.head)


def _unversioned_users(inspector: sqlalchemy.Inspector, versions: History) -> Schema:
    """Users' tables of MLflow before 3.6, which had no version table, or another program's."""
    columns = {column["name"] for column in inspector.get_columns("users")}
    if columns >= _USER_COLUMNS:
        return Schema("auth", "behind", None, versions.head)
    trouble = "It has a table `users` that is not MLflow's; MLflow needs that name."
    return Schema("auth", "unknown", None, versions.head, trouble)
