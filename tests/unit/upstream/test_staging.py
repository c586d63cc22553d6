"""SQLite files are migrated whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import DatabaseError
from headgate.settings.database import sqlite_file
from headgate.upstream.staging import Stage, keep_copy


def store(path: Path, *, rows: int = 3, mode: str = "delete") -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE runs (name)")
        connection.executemany("INSERT INTO runs VALUES (?)", [("x" * 1000,)] * rows)
        connection.commit()
    return path


def run(path: Path | None, statement: str) -> list[tuple[object, ...]]:
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def tables(path: Path) -> list[object]:
    return [row[0] for row in run(path, "SELECT name FROM sqlite_master ORDER BY name")]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_published_copy_replaces_the_content(tmp_path: Path, mode: str) -> None:
    database = store(tmp_path / "store.db", mode=mode)
    inode = database.stat().st_ino
    with Stage(database) as stage:
        run(sqlite_file(stage.uri), "CREATE TABLE added (x)")
        assert tables(database) == ["runs"]
        stage.publish()
    assert tables(database) == ["added", "runs"]
    assert run(database, "SELECT count(*) FROM runs") == [(3,)]
    assert run(database, "PRAGMA journal_mode") == [("wal",)]
    assert database.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["store.db"]


def test_an_unpublished_copy_leaves_nothing(tmp_path: Path) -> None:
    database = store(tmp_path / "store.db")
    before = database.read_bytes()
    with Stage(database) as stage:
        run(sqlite_file(stage.uri), "DROP TABLE runs")
    assert database.read_bytes() == before
    assert os.listdir(tmp_path) == ["store.db"]


def test_a_new_database_is_private(tmp_path: Path) -> None:
    database = tmp_path / "new.db"
    with Stage(database) as stage:
        run(sqlite_file(stage.uri), "CREATE TABLE t (x)")
        stage.publish()
    assert tables(database) == ["t"]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_what_an_interrupted_migration_left_does_not_matter(tmp_path: Path) -> None:
    database = store(tmp_path / "store.db")
    (tmp_path / ".store.db.migration").write_text("half a copy")
    (tmp_path / ".store.db.migration-wal").write_text("and its log")
    with Stage(database) as stage:
        assert run(sqlite_file(stage.uri), "SELECT count(*) FROM runs") == [(3,)]
        stage.publish()
    assert os.listdir(tmp_path) == ["store.db"]


def test_what_another_program_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    database = store(tmp_path / "store.db")
    with Stage(database) as stage:
        run(sqlite_file(stage.uri), "CREATE TABLE added (x)")
        run(database, "INSERT INTO runs VALUES ('late')")
        with pytest.raises(DatabaseError, match=r"wrote to .* while it was migrated"):
            stage.publish()
    assert tables(database) == ["runs"]
    assert run(database, "SELECT count(*) FROM runs") == [(4,)]


def test_a_database_that_somebody_has_locked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.upstream.staging._BUSY_SECONDS", 0.3)
    database = store(tmp_path / "store.db")
    with Stage(database) as stage, closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="is locked by another program"):
            stage.publish()


def test_copies_that_are_kept_have_the_content_and_the_permissions(tmp_path: Path) -> None:
    database = store(tmp_path / "store.db", mode="wal")
    database.chmod(0o640)
    with closing(sqlite3.connect(database)) as writer:
        # In the log, not yet in the file.
        writer.execute("INSERT INTO runs VALUES ('fresh')")
        writer.commit()
        kept = keep_copy(database, "abc123")
    assert kept == tmp_path / "store.db.before-abc123.bak"
    assert run(kept, "SELECT count(*) FROM runs") == [(4,)]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_a_copy_never_replaces_another(tmp_path: Path) -> None:
    database = store(tmp_path / "store.db")
    names = [keep_copy(database, "abc").name for _ in range(3)]
    assert names == [f"store.db.before-abc{suffix}.bak" for suffix in ("", "-2", "-3")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_a_full_disk_is_named_and_leaves_everything_as_it_was(small_disk: Path) -> None:
    database = store(small_disk / "store.db", rows=600)
    before = database.read_bytes()
    for attempt in (lambda: keep_copy(database, "abc"), lambda: Stage(database).__enter__()):
        with pytest.raises(DatabaseError, match="There is no space for a copy"):
            attempt()
        assert os.listdir(small_disk) == ["store.db"]
        assert database.read_bytes() == before


@pytest.mark.root
def test_a_disk_that_fills_while_publishing_leaves_the_database_as_it_was(
    small_disk: Path, tmp_path: Path
) -> None:
    database = store(small_disk / "store.db", rows=100)
    with Stage(database) as stage:
        copy = sqlite_file(stage.uri)
        run(copy, "INSERT INTO runs SELECT name FROM runs")
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        (small_disk / "ballast").write_bytes(b"x" * (free - 8192))
        with pytest.raises(DatabaseError, match="no disk space left"):
            stage.publish()
    (small_disk / "ballast").unlink()
    assert run(database, "SELECT count(*) FROM runs") == [(100,)]
