"""Engines, and what becomes of a database's failures."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from headgate.database.engine import connected, make_engine
from headgate.errors import DatabaseError, SettingsError
from headgate.settings.database import sqlite_uri
from tests.harness.databases import PASSWORD, PASSWORD_IN_URI, MariaDB, PostgreSQL
from tests.harness.waiting import free_port

ONE = sqlalchemy.text("SELECT 1")


def failure(uri: str) -> DatabaseError:
    with pytest.raises(DatabaseError) as failed, connected(uri) as connection:
        connection.execute(ONE)
    for shown in (str(failed.value), failed.value.hint or ""):
        assert PASSWORD not in shown
        assert PASSWORD_IN_URI not in shown
        assert "\n" not in shown
    return failed.value


def test_sqlite_files_are_put_into_wal_mode(tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/store.db") as connection:
        assert connection.scalar(sqlalchemy.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sqlalchemy.text("PRAGMA busy_timeout")) == 20000


def test_a_sqlite_file_that_is_only_looked_at_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "odd name?#%41&100%.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = path.read_bytes()
    with connected(sqlite_uri(path), as_found=True) as found:
        assert sqlalchemy.inspect(found).get_table_names() == ["t"]
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_looking_at_a_missing_sqlite_file_does_not_make_it(tmp_path: Path) -> None:
    path = tmp_path / "absent.db"
    with (
        pytest.raises(DatabaseError, match="cannot be opened"),
        connected(f"sqlite:///{path}", as_found=True) as connection,
    ):
        connection.execute(ONE)
    assert not path.exists()


def test_a_file_that_is_no_database_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and not a database at all. " * 100)
    assert "is not an SQLite database" in str(failure(f"sqlite:///{path}"))


def test_a_damaged_database_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    connection.commit()
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match="is damaged"), connected(f"sqlite:///{path}") as found:
        found.execute(sqlalchemy.text("SELECT * FROM t")).fetchall()


def test_a_missing_folder_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    found = failure(f"sqlite:///{tmp_path}/nowhere/store.db")
    assert "does not exist" in str(found)
    assert found.hint == f"mkdir -p {tmp_path}/nowhere"


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match="needs a file"):
        make_engine(uri)


def test_a_missing_driver_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(SettingsError) as missing:
        make_engine("postgresql://h/d")
    assert missing.value.hint == "pip install 'headgate[postgres]'"


def test_a_uri_that_cannot_be_read_does_not_show_its_password() -> None:
    with pytest.raises(SettingsError) as odd:
        make_engine("postgresql://me:hush-hush@h:port/d")
    assert "hush-hush" not in str(odd.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_port_where_nobody_listens(scheme: str) -> None:
    found = failure(f"{scheme}://me:{PASSWORD_IN_URI}@127.0.0.1:{free_port()}/store")
    assert "cannot be reached" in str(found)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_host_that_is_not_known(scheme: str) -> None:
    found = failure(f"{scheme}://me:{PASSWORD_IN_URI}@nowhere.invalid/store")
    assert "is on a host that is not known" in str(found)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_says_nothing_is_given_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.database.engine._CONNECT_SECONDS", 2)
    monkeypatch.setattr("headgate.database.engine._ANSWER_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = failure(f"{scheme}://me:{PASSWORD_IN_URI}@127.0.0.1:{port}/store")
    assert "does not answer in time" in str(found)


class _OfAServer:
    """What both servers must be understood to say."""

    def refused(self, uri: str) -> None:
        with connected(uri) as connection:
            assert connection.scalar(ONE) == 1
        wrong = failure(uri.replace(PASSWORD_IN_URI, "not-the-password"))
        assert "refuses this user or password" in str(wrong)
        assert "not-the-password" not in str(wrong)
        head, _, _ = uri.rpartition("/")
        absent = failure(f"{head}/not_there")
        assert "does not exist" in str(absent)


@pytest.mark.postgresql
class TestPostgreSQL(_OfAServer):
    """Against a real server."""

    def test_its_refusals_are_understood(self, postgresql: PostgreSQL) -> None:
        self.refused(postgresql.new_database())

    def test_a_read_only_database_is_called_so(self, postgresql: PostgreSQL) -> None:
        uri = postgresql.new_database()
        statement = sqlalchemy.text("SET TRANSACTION READ ONLY; CREATE TABLE t (x int)")
        with pytest.raises(DatabaseError, match="is read-only"), connected(uri) as connection:
            connection.execute(statement)


@pytest.mark.mariadb
class TestMariaDB(_OfAServer):
    """Against a real server."""

    def test_its_refusals_are_understood(self, mariadb: MariaDB) -> None:
        self.refused(mariadb.new_database())
