"""`headgate.database.sizes` on each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from headgate.database.engine import make_engine
from headgate.database.sizes import LARGEST, StoreSize, measure
from tests.harness.databases import MariaDB, PostgreSQL


def measured(uri: str, *, analyze: str | None = None) -> StoreSize:
    engine = make_engine(uri)
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE runs (name VARCHAR(32) PRIMARY KEY)"))
            connection.execute(text("CREATE TABLE empty_one (name VARCHAR(32) PRIMARY KEY)"))
            connection.execute(
                text("INSERT INTO runs VALUES (:name)"), [{"name": f"run-{n}"} for n in range(500)]
            )
            if analyze:
                # The database estimates by itself too, but in its own time.
                connection.execute(text(analyze))
        return measure(engine)
    finally:
        engine.dispose()


def test_sqlite(tmp_path: Path) -> None:
    size = measured(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert size.bytes >= 3 * 4096
    assert [(table.name, table.rows, table.bytes) for table in size.tables] == [("runs", 500, None)]


@pytest.mark.postgresql
def test_postgresql(postgresql: PostgreSQL) -> None:
    size = measured(postgresql.new_database(), analyze="ANALYZE")
    (runs,) = size.tables
    assert (runs.name, runs.rows) == ("runs", 500)
    assert size.bytes > (runs.bytes or 0) > 16_384


@pytest.mark.mariadb
def test_mariadb(mariadb: MariaDB) -> None:
    size = measured(mariadb.new_database(), analyze="ANALYZE TABLE runs")
    (runs,) = size.tables
    assert runs.name == "runs"
    assert 300 < runs.rows < 700, "InnoDB estimates from samples"
    assert size.bytes >= (runs.bytes or 0) >= 16_384


def test_only_the_largest_tables_are_told(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with engine.begin() as connection:
        for number in range(LARGEST + 5):
            connection.execute(text(f'CREATE TABLE "odd ""name {number}" (x INTEGER)'))
            connection.execute(text(f'INSERT INTO "odd ""name {number}" VALUES (1)'))
    assert len(measure(engine).tables) == LARGEST
    engine.dispose()
