"""`python -m headgate.mlflow_app.migrate`, as the process that it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from tests.harness.databases import MariaDB

PASSWORD = "correct-horse-battery"


def migrate(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run it on a database in `folder`; `changes` replaces settings."""
    password_file = folder / "password"
    if not password_file.exists():
        password_file.write_text(PASSWORD)
        password_file.chmod(0o600)
    database = f"sqlite:///{folder}/mlflow.db"
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "HEADGATE_AUTH_DATABASE_URI": database,
        "HEADGATE_ADMIN_USERNAME": "ann",
        "HEADGATE_ADMIN_PASSWORD_FILE": str(password_file),
    }
    return subprocess.run(
        [sys.executable, "-m", "headgate.mlflow_app.migrate"],
        env={**os.environ, **settings, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose database was migrated from nothing."""
    folder = tmp_path_factory.mktemp("migrated")
    done = migrate(folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all(line.startswith("step: ") for line in done.stdout.splitlines())
    return folder


def test_an_empty_database_gets_both_schemas(migrated: Path) -> None:
    assert len(rows(migrated, "select version_num from alembic_version")) == 1
    assert len(rows(migrated, "select version_num from alembic_version_auth")) == 1


def test_the_default_experiment_lies_in_the_artifact_store(migrated: Path) -> None:
    found = rows(migrated, "select name, artifact_location from experiments")
    assert found == [("Default", "mlflow-artifacts:/0")]


def test_the_admin_gets_the_password_of_the_file(migrated: Path) -> None:
    from werkzeug.security import check_password_hash

    [(name, password_hash, is_admin)] = rows(
        migrated, "select username, password_hash, is_admin from users"
    )
    assert (name, is_admin) == ("ann", 1)
    assert check_password_hash(str(password_hash), PASSWORD)


def test_a_second_time_changes_nothing(migrated: Path) -> None:
    before = rows(migrated, "select * from users")
    assert migrate(migrated).returncode == 0
    assert rows(migrated, "select * from users") == before


def test_an_existing_admin_needs_no_password_file(migrated: Path) -> None:
    assert migrate(migrated, HEADGATE_ADMIN_PASSWORD_FILE="/nowhere").returncode == 0


@pytest.mark.parametrize("password", ["short", "password1234", ""])
def test_a_weak_password_is_refused_in_one_line(migrated: Path, password: str) -> None:
    password_file = migrated / "weak"
    password_file.touch(0o600)
    password_file.write_text(password)
    done = migrate(
        migrated,
        HEADGATE_ADMIN_USERNAME="zoe",
        HEADGATE_ADMIN_PASSWORD_FILE=str(password_file),
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "at least 12 characters" in done.stderr


def test_a_password_file_that_others_can_read_is_refused(migrated: Path) -> None:
    password_file = migrated / "open"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)
    done = migrate(
        migrated,
        HEADGATE_ADMIN_USERNAME="zoe",
        HEADGATE_ADMIN_PASSWORD_FILE=str(password_file),
    )
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:very%2Fsecret@127.0.0.1:1/x",
        "mysql+pymysql://ann:very%2Fsecret@127.0.0.1:1/x",
        "sqlite:////nowhere/at/all.db",
        "oracle9://ann:very%2Fsecret@db/x",
        "not a uri, but very/secret",
    ],
)
def test_an_unusable_database_is_one_line_without_its_password(tmp_path: Path, uri: str) -> None:
    done = migrate(tmp_path, _MLFLOW_SERVER_FILE_STORE=uri)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "could not be migrated" in done.stderr
    assert "very/secret" not in done.stderr + done.stdout
    assert "very%2Fsecret" not in done.stderr + done.stdout


def test_a_corrupt_database_file_is_left_untouched(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"this is no database " * 1000)
    before = file.read_bytes()
    done = migrate(tmp_path)
    assert done.returncode == 1
    assert "not a database" in done.stderr
    assert file.read_bytes() == before


def test_a_database_from_the_future_is_left_untouched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("create table alembic_version (version_num varchar(32))")
        connection.execute("insert into alembic_version values ('ffffffffffff')")
    done = migrate(tmp_path)
    assert done.returncode == 1
    assert "ffffffffffff" in done.stderr
    assert rows(tmp_path, "select name from sqlite_master") == [("alembic_version",)]


@pytest.mark.mariadb
def test_users_on_mariadb_survive_an_interruption_by_mlflows_own_first_migration(
    tmp_path: Path, mariadb: MariaDB
) -> None:
    uri = mariadb.new_database().replace("mysql://", "mysql+pymysql://")
    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as connection:
        # What it leaves behind when its second `fk_user_id` is refused.
        for statement in (
            "CREATE TABLE users (id INTEGER AUTO_INCREMENT PRIMARY KEY, username VARCHAR(255) "
            "UNIQUE, password_hash VARCHAR(255), is_admin BOOL)",
            "CREATE TABLE experiment_permissions (id INTEGER AUTO_INCREMENT PRIMARY KEY, "
            "experiment_id VARCHAR(255) NOT NULL, user_id INTEGER NOT NULL, "
            "permission VARCHAR(255), CONSTRAINT fk_user_id FOREIGN KEY (user_id) "
            "REFERENCES users (id), CONSTRAINT unique_experiment_user "
            "UNIQUE (experiment_id, user_id))",
            "CREATE TABLE alembic_version_auth (version_num VARCHAR(32) PRIMARY KEY)",
        ):
            connection.execute(sqlalchemy.text(statement))
    for _ in range(2):
        done = migrate(tmp_path, HEADGATE_AUTH_DATABASE_URI=uri)
        assert done.returncode == 0, done.stderr
    with engine.connect() as connection:
        names = connection.execute(sqlalchemy.text("SELECT username FROM users")).scalars().all()
    engine.dispose()
    assert names == ["ann"]
