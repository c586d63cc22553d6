"""Schemas against the installed MLflow, which is never imported."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from headgate.database.engine import connected
from headgate.database.revisions import (
    CHAINS,
    Chain,
    Schema,
    history,
    inspect_chain,
    mlflow_folder,
    read_history,
)
from headgate.errors import HeadgateError

OLD_STORE = Path(__file__).parents[2] / "data" / "store-2.14" / "mlflow.db"
ALEMBIC = {"mlflow": "store/db_migrations", "auth": "server/auth/db/migrations"}


def store(path: Path, *statements: str) -> str:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def look(uri: str, chain: Chain) -> Schema:
    with connected(uri, as_found=True) as connection:
        return inspect_chain(connection, chain)


def with_revision(path: Path, chain: Chain, *revisions: str, tables: tuple[str, ...] = ()) -> str:
    name = {"mlflow": "alembic_version", "auth": "alembic_version_auth"}[chain]
    return store(
        path,
        f"CREATE TABLE {name} (version_num VARCHAR(32))",
        *(f"INSERT INTO {name} VALUES ('{revision}')" for revision in revisions),
        *(f"CREATE TABLE {table} (x)" for table in tables),
    )


@pytest.mark.parametrize("chain", CHAINS)
def test_heads_and_revisions_are_those_that_alembic_finds(chain: Chain) -> None:
    config = Config()
    config.set_main_option("script_location", str(mlflow_folder() / ALEMBIC[chain]))
    scripts = ScriptDirectory(str(mlflow_folder() / ALEMBIC[chain]))
    assert [history(chain).head] == scripts.get_heads()
    assert history(chain).known == {script.revision for script in scripts.walk_revisions()}


def test_finding_the_heads_does_not_import_mlflow() -> None:
    code = (
        "import sys; from headgate.database.revisions import history, mlflow_version;"
        "history('mlflow'); history('auth'); mlflow_version();"
        "sys.exit(any(name.partition('.')[0] == 'mlflow' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 0


def test_merged_and_annotated_revisions_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'aaa'\ndown_revision = None\n")
    (tmp_path / "b.py").write_text("revision: str = 'bbb'\ndown_revision: str | None = 'aaa'\n")
    (tmp_path / "c.py").write_text('revision = "ccc"\ndown_revision = "aaa"\n')
    (tmp_path / "d.py").write_text('revision = "ddd"\ndown_revision = ("bbb", "ccc")\n')
    (tmp_path / "__init__.py").write_text("")
    found = read_history(tmp_path)
    assert (found.head, found.known) == ("ddd", {"aaa", "bbb", "ccc", "ddd"})


def test_an_installation_with_two_heads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'aaa'\ndown_revision = None\n")
    (tmp_path / "b.py").write_text("revision = 'bbb'\ndown_revision = None\n")
    with pytest.raises(HeadgateError, match="2 head revisions"):
        read_history(tmp_path)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_database_without_tables_is_empty(chain: Chain, tmp_path: Path) -> None:
    uri = store(tmp_path / "s.db", "CREATE TABLE something_else (x)")
    assert look(uri, chain).standing == "empty"


@pytest.mark.parametrize("chain", CHAINS)
def test_a_database_at_head(chain: Chain, tmp_path: Path) -> None:
    uri = with_revision(tmp_path / "s.db", chain, history(chain).head)
    assert look(uri, chain).standing == "head"


def test_a_store_of_an_old_mlflow_is_behind() -> None:
    schema = look(f"sqlite:///{OLD_STORE}", "mlflow")
    assert (schema.standing, schema.found) == ("behind", "5b0e9adcef9c")


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("revisions", [("ffffffffffff",), ("ffffffffffff", "eeeeeeeeeeee")])
def test_a_revision_that_nobody_knows_is_unknown(
    chain: Chain, revisions: tuple[str, ...], tmp_path: Path
) -> None:
    schema = look(with_revision(tmp_path / "s.db", chain, *revisions), chain)
    assert schema.standing == "unknown"
    assert "which MLflow 3.17" in (schema.trouble or "")


def test_tables_without_a_revision_are_a_creation_that_was_interrupted(tmp_path: Path) -> None:
    uri = with_revision(tmp_path / "s.db", "mlflow", tables=("experiments",))
    assert look(uri, "mlflow").standing == "half-done"


def test_a_left_over_of_a_migration_makes_it_half_done(tmp_path: Path) -> None:
    uri = with_revision(
        tmp_path / "s.db", "mlflow", "5b0e9adcef9c", tables=("experiments", "_alembic_tmp_runs")
    )
    schema = look(uri, "mlflow")
    assert schema.standing == "half-done"
    assert "_alembic_tmp_runs" in (schema.trouble or "")


def test_users_of_an_mlflow_that_kept_no_revision_are_behind(tmp_path: Path) -> None:
    uri = store(tmp_path / "s.db", "CREATE TABLE users (id, username, password_hash, is_admin)")
    assert look(uri, "auth").standing == "behind"


def test_a_users_table_of_another_program_is_not_touched(tmp_path: Path) -> None:
    uri = store(tmp_path / "s.db", "CREATE TABLE users (id, email)")
    schema = look(uri, "auth")
    assert schema.standing == "unknown"
    assert "not MLflow's" in (schema.trouble or "")
