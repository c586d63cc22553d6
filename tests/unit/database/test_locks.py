"""One migration at a time, between real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headgate.database.locks import migration_lock
from headgate.errors import DatabaseError
from tests.harness.databases import MariaDB, PostgreSQL
from tests.harness.server import SOURCE
from tests.harness.waiting import eventually

HOLDER = """
import sys
from headgate.database.locks import migration_lock
with migration_lock(sys.stdin.readline().strip(), seconds=0, waiting=print):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Holder:
    """A process that holds a lock until it is told or killed."""

    def __init__(self, uri: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{uri}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def is_free(uri: str) -> bool:
    try:
        with migration_lock(uri, seconds=0, waiting=lambda _: None):
            return True
    except DatabaseError:
        return False


def a_lock_holds_off_others_and_dies_with_its_holder(uri: str, holder_in_words: str) -> None:
    heard: list[str] = []
    holder = Holder(uri)
    try:
        lock = migration_lock(uri, seconds=0.5, waiting=heard.append)
        with pytest.raises(DatabaseError, match="has been migrated by") as late, lock:
            pass
    finally:
        holder.kill()
    assert len(heard) == 1
    told = holder_in_words.format(pid=holder.process.pid)
    assert told in heard[0]
    assert told in str(late.value)
    eventually(lambda: is_free(uri), seconds=10)
    with migration_lock(uri, seconds=0, waiting=heard.append):
        assert not is_free(uri)
    assert is_free(uri)


def test_the_lock_of_a_sqlite_file(tmp_path: Path) -> None:
    a_lock_holds_off_others_and_dies_with_its_holder(
        f"sqlite:///{tmp_path}/store.db", "process {pid} on "
    )


@pytest.mark.postgresql
def test_the_lock_of_postgresql(postgresql: PostgreSQL) -> None:
    uri = postgresql.new_database()
    other = postgresql.new_database()
    a_lock_holds_off_others_and_dies_with_its_holder(uri, "headgate-{pid} at 127.0.0.1")
    with migration_lock(uri, seconds=0, waiting=print):
        assert is_free(other)


@pytest.mark.mariadb
def test_the_lock_of_mysql(mariadb: MariaDB) -> None:
    uri = mariadb.new_database()
    other = mariadb.new_database()
    a_lock_holds_off_others_and_dies_with_its_holder(uri, "connection ")
    with migration_lock(uri, seconds=0, waiting=print):
        assert is_free(other)


def test_waiting_ends_when_the_lock_becomes_free(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store.db"
    holder = Holder(uri)
    with migration_lock(uri, seconds=30, waiting=lambda _: holder.kill()):
        assert not is_free(uri)


def test_waiting_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store.db"
    cancelled = threading.Event()
    with migration_lock(uri, seconds=0, waiting=print):
        lock = migration_lock(
            uri, seconds=600, waiting=lambda _: cancelled.set(), cancelled=cancelled
        )
        with pytest.raises(DatabaseError, match="was stopped"), lock:
            pass


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    lock = migration_lock(f"sqlite:///{tmp_path}/no/store.db", seconds=0, waiting=print)
    with pytest.raises(DatabaseError, match=r"folder .* does not exist"), lock:
        pass
