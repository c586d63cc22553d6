"""The databases that the systems store in: private, filled once, copied for each system."""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.databases import MariaDB, PostgreSQL, postgresql_programs


class Database(ABC):
    """One private database server, or a folder of SQLite files."""

    title: str

    @abstractmethod
    def start(self) -> None:
        """Make it ready to hand out databases."""

    @abstractmethod
    def stop(self) -> None:
        """End it, with everything in it."""

    @abstractmethod
    def new(self) -> str:
        """The URI of a new, empty database, in a form that both SQLAlchemy and MLflow read."""

    @abstractmethod
    def copy(self, uri: str) -> str:
        """The URI of a new database with the same content; nobody may use the old one now."""

    @abstractmethod
    def drop(self, uri: str) -> None:
        """Remove a database that nobody uses any more."""

    def settle(self, uri: str) -> str | None:
        """A statement that makes a freshly filled database like one that has long been used."""
        return None


class SQLiteDatabase(Database):
    """A folder of SQLite files."""

    title = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def start(self) -> None:
        """Make the folder."""
        self._folder.mkdir()

    def stop(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def new(self) -> str:
        """The URI of a file that does not exist yet."""
        self._made += 1
        return f"sqlite:///{self._folder}/store_{self._made}.db"

    def copy(self, uri: str) -> str:
        """Copy page by page, with what may still be in the write-ahead log."""
        made = self.new()
        source, target = sqlite3.connect(_file(uri)), sqlite3.connect(_file(made))
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        return made

    def drop(self, uri: str) -> None:
        """Remove the file and its companions."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{_file(uri)}{suffix}").unlink(missing_ok=True)


class PostgreSQLDatabase(Database):
    """A private PostgreSQL with the settings that `initdb` gives (fsync on)."""

    title = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        self._server = _PostgreSQL()

    def start(self) -> None:
        """Start the server."""
        self._server.start()
        programs = postgresql_programs()
        self.title = f"PostgreSQL {programs.parent.name}" if programs else self.title

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop()

    def new(self) -> str:
        """The URI of an empty database."""
        return self._server.new_database()

    def copy(self, uri: str) -> str:
        """Copy the files of a database, with its statistics."""
        return self._server.copy_of(uri)

    def drop(self, uri: str) -> None:
        """Drop it, whoever is still connected."""
        self._server.drop(uri)

    def settle(self, uri: str) -> str:
        """Statistics now, rather than from a background worker in the middle of a measure."""
        return "VACUUM ANALYZE"


class MariaDBDatabase(Database):
    """A private MariaDB with its default settings (durable commits)."""

    title = "MariaDB"

    def __init__(self, folder: Path) -> None:
        self._server = _MariaDB()

    def start(self) -> None:
        """Start the server."""
        self._server.start()
        self.title = f"MariaDB {self._server.version()}"

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop()

    def new(self) -> str:
        """The URI of an empty database."""
        return _with_pymysql(self._server.new_database())

    def copy(self, uri: str) -> str:
        """Dump and load: MariaDB has no copy of its own."""
        return _with_pymysql(self._server.copy_of(uri))

    def drop(self, uri: str) -> None:
        """Drop it."""
        self._server.drop(uri)


class _PostgreSQL(PostgreSQL):
    def copy_of(self, uri: str) -> str:
        made = self.new_database()
        self.drop(made)
        self._statement(f"CREATE DATABASE {_name(made)} TEMPLATE {_name(uri)}")
        return made

    def drop(self, uri: str) -> None:
        self._statement(f"DROP DATABASE {_name(uri)} WITH (FORCE)")


class _MariaDB(MariaDB):
    def version(self) -> str:
        told = self._run(["mariadb", *self._client(), "--skip-column-names", "-eSELECT VERSION()"])
        return told.strip().partition("-")[0]

    def copy_of(self, uri: str) -> str:
        made = self.new_database()
        dump = self.folder / "dump.sql"
        self._run(["mariadb-dump", *self._client(), f"--result-file={dump}", _name(uri)])
        self._run(["mariadb", *self._client(), f"--execute=source {dump}", _name(made)])
        dump.unlink()
        return made

    def drop(self, uri: str) -> None:
        self._statements(f"DROP DATABASE {_name(uri)}")

    def _client(self) -> list[str]:
        return ["--no-defaults", f"--socket={self.folder}/socket", "--user=root"]


def open_database(name: str, folder: Path) -> Database:
    """The database of that name; what it keeps in `folder` is its own."""
    kinds: dict[str, type[SQLiteDatabase | PostgreSQLDatabase | MariaDBDatabase]] = {
        "sqlite": SQLiteDatabase,
        "postgresql": PostgreSQLDatabase,
        "mariadb": MariaDBDatabase,
    }
    return kinds[name](folder)


def _file(uri: str) -> str:
    return uri.removeprefix("sqlite:///")


def _name(uri: str) -> str:
    return urlsplit(uri).path.removeprefix("/")


def _with_pymysql(uri: str) -> str:
    return uri.replace("mysql://", "mysql+pymysql://", 1)
