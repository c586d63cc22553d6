"""Real migrations: on each kind of database, at once, refused, and killed half-way."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from headgate.database.engine import connected
from headgate.database.locks import migration_lock
from headgate.database.revisions import history
from headgate.errors import DatabaseError
from headgate.observation import Event, MigrationFinished, MigrationStarted, MigrationStep
from headgate.settings import Settings
from headgate.settings.database import sqlite_file
from headgate.upstream import migrate, plan
from tests.harness.databases import PASSWORD, PASSWORD_IN_URI, MariaDB, PostgreSQL
from tests.harness.server import SOURCE
from tests.harness.waiting import eventually

OLD_STORE = Path(__file__).parents[1] / "data" / "store-2.14" / "mlflow.db"
MIGRATING_PROCESS = """
import sys
from pathlib import Path
from headgate.settings import Settings
uri = sys.stdin.readline().strip()
from headgate.upstream import migrate
migrate(
    Settings(data_dir=Path(sys.argv[1]), backend_store_uri=uri),
    lambda event: print(event, flush=True),
    lambda question: True,
)
"""


def settings_for(folder: Path, uri: str | None = None) -> Settings:
    return Settings(data_dir=folder, backend_store_uri=uri)


def yes(_question: str) -> bool:
    return True


def no(_question: str) -> bool:
    return False


def never(question: str) -> bool:
    raise AssertionError(f"asked: {question}")


def is_done(settings: Settings) -> bool:
    """Both chains at head, the admin there, and our own tables."""
    with connected(settings.auth_uri()) as connection:
        ours = sqlalchemy.inspect(connection).has_table("headgate_tokens")
    return ours and not plan(settings).needed


def old_store(tmp_path: Path) -> tuple[Settings, Path]:
    database = tmp_path / "old" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(OLD_STORE, database)
    return settings_for(tmp_path / "data", f"sqlite:///{database}"), database


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_a_new_store_is_made_without_a_question_and_found_done_the_next_time(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path / "data")
    events: list[Event] = []
    migrate(settings, events.append, never)
    assert [e.chain for e in events if isinstance(e, MigrationStarted)] == ["mlflow", "auth"]
    assert isinstance(events[-1], MigrationFinished)
    assert is_done(settings)
    assert settings.admin_password_path().exists()
    again: list[Event] = []
    migrate(settings, again.append, never)
    assert again == []
    database = sqlite_file(settings.backend_uri())
    assert database is not None
    assert not list(database.parent.glob(".*migration*"))
    assert not list(database.parent.glob("*.bak"))


def test_an_old_store_is_left_alone_after_a_no(tmp_path: Path) -> None:
    settings, database = old_store(tmp_path)
    before = database.read_bytes()
    with pytest.raises(DatabaseError, match="was not migrated") as refused:
        migrate(settings, lambda _: None, no)
    assert "--yes" in (refused.value.hint or "")
    assert database.read_bytes() == before


def test_an_old_store_is_migrated_after_a_yes_and_kept_as_it_was(tmp_path: Path) -> None:
    settings, database = old_store(tmp_path)
    runs = rows(database, "SELECT run_uuid, name FROM runs ORDER BY 1")
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return True

    migrate(settings, lambda _: None, ask)
    assert is_done(settings)
    assert "A copy of the file is made first." in questions[0]
    [kept] = database.parent.glob("*.bak")
    assert kept.name == "mlflow.db.before-5b0e9adcef9c.bak"
    assert rows(kept, "SELECT version_num FROM alembic_version") == [("5b0e9adcef9c",)]
    for path in (database, kept):
        assert rows(path, "SELECT run_uuid, name FROM runs ORDER BY 1") == runs


def test_runs_of_this_mlflow_get_users_beside_them_only_after_a_yes(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    migrate(settings, lambda _: None, never)
    database = sqlite_file(settings.backend_uri())
    assert database is not None
    with closing(sqlite3.connect(database)) as connection, connection:
        # What plain `mlflow server` of this version leaves: runs, and nothing about users.
        connection.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES ('r', 0)")
        connection.execute("DROP TABLE alembic_version_auth")
        connection.execute("DROP TABLE users")
    before = rows(database, "SELECT name FROM sqlite_master ORDER BY 1")
    with pytest.raises(DatabaseError, match="was not migrated"):
        migrate(settings, lambda _: None, no)
    assert rows(database, "SELECT name FROM sqlite_master ORDER BY 1") == before
    assert "holds runs but no users" in (plan(settings).question or "")


def test_a_newer_store_is_refused_and_left_untouched(tmp_path: Path) -> None:
    settings, database = old_store(tmp_path)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    before = database.read_bytes()
    with pytest.raises(DatabaseError, match=r"revision ffffffffffff, which MLflow 3\.17"):
        migrate(settings, lambda _: None, yes)
    assert database.read_bytes() == before


def test_a_migration_that_fails_says_why_and_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    settings, database = old_store(tmp_path)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE logged_models (in_the_way INT)")
    before = database.read_bytes()
    with pytest.raises(DatabaseError, match="table logged_models already exists") as failed:
        migrate(settings, lambda _: None, yes)
    assert failed.value.hint == "Nothing was changed; the file is as it was."
    assert database.read_bytes() == before


def test_a_store_that_waits_for_another_server_says_so_and_is_not_migrated_twice(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path / "data")
    first, second = [], []
    waiting = threading.Event()

    def note(event: Event) -> None:
        second.append(event)
        waiting.set()

    settings.folder().mkdir()
    with ThreadPoolExecutor() as threads:
        with migration_lock(settings.backend_uri(), seconds=0, waiting=print):
            later = threads.submit(migrate, settings, note, never)
            assert waiting.wait(30)
        later.result(120)
    migrate(settings, first.append, never)
    assert isinstance(second[0], MigrationStep)
    assert f"waiting for process {os.getpid()}" in second[0].text
    assert first == []


def two_servers_at_once(uri: str, folder: Path) -> None:
    """Two servers start on one empty database: one migrates, both go on."""
    settings = [settings_for(folder / name, uri) for name in ("one", "two")]
    events: list[list[Event]] = [[], []]
    with ThreadPoolExecutor() as threads:
        done = [
            threads.submit(migrate, one, seen.append, never)
            for one, seen in zip(settings, events, strict=True)
        ]
        for future in done:
            future.result(300)
    assert all(is_done(one) for one in settings)
    migrated = [any(isinstance(e, MigrationStarted) for e in seen) for seen in events]
    assert sorted(migrated) == [False, True]
    assert not any(PASSWORD in str(e) or PASSWORD_IN_URI in str(e) for e in chain(*events))


@pytest.mark.postgresql
def test_two_servers_at_once_on_postgresql(postgresql: PostgreSQL, tmp_path: Path) -> None:
    two_servers_at_once(postgresql.new_database(), tmp_path)


@pytest.mark.mariadb
def test_two_servers_at_once_on_mysql(mariadb: MariaDB, tmp_path: Path) -> None:
    two_servers_at_once(mariadb.new_database(), tmp_path)


def killed_half_way(folder: Path, uri: str) -> None:
    """SIGKILL the migrating server as soon as MLflow's tables are being made."""
    process = subprocess.Popen(
        [sys.executable, "-c", MIGRATING_PROCESS, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{uri}\n")
    process.stdin.flush()
    for line in process.stdout:
        if "MLflow's tables" in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    process.kill()
    process.communicate()
    eventually(lambda: not any(child.is_running() for child in children), seconds=10)


def test_a_killed_migration_of_sqlite_never_happened(tmp_path: Path) -> None:
    settings, database = old_store(tmp_path)
    before = database.read_bytes()
    killed_half_way(settings.folder(), settings.backend_uri())
    assert database.read_bytes() == before
    migrate(settings, lambda _: None, yes)
    assert is_done(settings)


@pytest.mark.postgresql
def test_a_killed_migration_of_postgresql_is_resumed(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "data", postgresql.new_database())
    killed_half_way(settings.folder(), settings.backend_uri())
    migrate(settings, lambda _: None, never)
    assert is_done(settings)


@pytest.mark.mariadb
def test_a_killed_migration_of_mysql_is_resumed_or_explained(
    mariadb: MariaDB, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "data", mariadb.new_database())
    killed_half_way(settings.folder(), settings.backend_uri())
    try:
        migrate(settings, lambda _: None, yes)
    except DatabaseError as fault:
        explanation = f"{fault} {fault.hint}"
    else:
        explanation = ""
    assert is_done_or_explained(settings, explanation)


def is_done_or_explained(settings: Settings, explanation: str) -> bool:
    """Depends on the very statement that was interrupted."""
    if not explanation:
        return is_done(settings)
    return "MySQL cannot undo" in explanation and PASSWORD not in explanation


@pytest.mark.mariadb
def test_a_half_done_step_of_mysql_is_explained(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.new_database()
    with connected(uri) as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE logged_models (half_done INT)"))
    with pytest.raises(DatabaseError, match="logged_models") as explained:
        migrate(settings_for(tmp_path / "data", uri), lambda _: None, yes)
    assert "MySQL cannot undo a migration that was interrupted" in (explained.value.hint or "")


@pytest.mark.mariadb
def test_a_mysql_database_on_which_mlflow_itself_failed_is_taken_over(
    mariadb: MariaDB, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "data", mariadb.new_database())
    with connected(settings.backend_uri()) as connection:
        for statement in (
            "CREATE TABLE alembic_version_auth (version_num VARCHAR(32) NOT NULL)",
            "CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(255) UNIQUE, "
            "password_hash VARCHAR(255), is_admin BOOL)",
        ):
            connection.execute(sqlalchemy.text(statement))
    migrate(settings, lambda _: None, yes)
    assert is_done(settings)


def test_users_of_mlflows_own_auth_app_are_kept_and_no_password_is_made_up(tmp_path: Path) -> None:
    users = tmp_path / "basic_auth.db"
    with closing(sqlite3.connect(users)) as connection, connection:
        # As MLflow before 3.6 made it, without a revision.
        connection.executescript(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, username VARCHAR(255) UNIQUE,"
            " password_hash VARCHAR(255), is_admin BOOLEAN);"
            "CREATE TABLE experiment_permissions (id INTEGER PRIMARY KEY,"
            " experiment_id VARCHAR(255) NOT NULL, user_id INTEGER NOT NULL,"
            " permission VARCHAR(255), CONSTRAINT fk_user_id FOREIGN KEY(user_id)"
            " REFERENCES users (id),"
            " CONSTRAINT unique_experiment_user UNIQUE (experiment_id, user_id));"
            "CREATE TABLE registered_model_permissions (id INTEGER PRIMARY KEY,"
            " name VARCHAR(255) NOT NULL, user_id INTEGER NOT NULL, permission VARCHAR(255),"
            " CONSTRAINT fk_user_id FOREIGN KEY(user_id) REFERENCES users (id),"
            " CONSTRAINT unique_name_user UNIQUE (name, user_id));"
            "INSERT INTO users VALUES (1, 'admin', 'a-hash', 1), (2, 'ann', 'b-hash', 0);"
        )
    settings = Settings(data_dir=tmp_path / "data", auth_database_uri=f"sqlite:///{users}")
    questions: list[str] = []
    migrate(settings, lambda _: None, lambda question: not questions.append(question))
    assert "basic_auth.db holds MLflow's users and permissions" in questions[0]
    assert is_done(settings)
    assert not settings.admin_password_path().exists()
    assert rows(users, "SELECT id, username, password_hash FROM users") == [
        (1, "admin", "a-hash"),
        (2, "ann", "b-hash"),
    ]


def test_users_may_have_a_database_of_their_own(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", auth_database_uri=f"sqlite:///{tmp_path}/users.db"
    )
    migrate(settings, lambda _: None, never)
    assert is_done(settings)
    heads = {"mlflow.db": "alembic_version", "users.db": "alembic_version_auth"}
    versions = {
        name: rows(folder / name, f"SELECT version_num FROM {table}")
        for folder, (name, table) in zip((tmp_path / "data", tmp_path), heads.items(), strict=True)
    }
    assert versions == {
        "mlflow.db": [(history("mlflow").head,)],
        "users.db": [(history("auth").head,)],
    }
