"""How large a store is: bytes and, without counting, about how many rows each table has."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

LARGEST = 20


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table. `rows` is the database's own estimate; SQLite does not tell `bytes`."""

    name: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class StoreSize:
    """A database and its largest tables, the largest first."""

    bytes: int
    tables: list[TableSize]


def measure(engine: sqlalchemy.Engine) -> StoreSize:
    """Ask the database; costs milliseconds on a store of any size."""
    measure_kind = {
        "sqlite": _sqlite,
        "postgresql": _postgresql,
        "mysql": _mysql,
        "mariadb": _mysql,
    }[engine.dialect.name]
    with engine.connect() as connection:
        size = measure_kind(connection)
    largest = sorted(size.tables, key=lambda table: (-(table.bytes or 0), -table.rows, table.name))
    return StoreSize(size.bytes, [table for table in largest if table.rows][:LARGEST])


def _sqlite(connection: sqlalchemy.Connection) -> StoreSize:
    pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    page = connection.execute(text("PRAGMA page_size")).scalar_one()
    names = connection.execute(
        text(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' "
            "ESCAPE '~'"
        )
    ).scalars()
    return StoreSize(
        pages * page, [TableSize(name, _last_row(connection, name), None) for name in names.all()]
    )


def _last_row(connection: sqlalchemy.Connection, name: str) -> int:
    """The highest row id: at hand at once, where counting would read the whole table."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    last = connection.execute(text(f"SELECT max(rowid) FROM {quoted}")).scalar()  # noqa: S608
    return last or 0


def _postgresql(connection: sqlalchemy.Connection) -> StoreSize:
    total = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    rows = connection.execute(
        text(
            # A crash loses the statistics; the catalogue knows the last ANALYZE.
            "SELECT stat.relname, greatest(n_live_tup, reltuples::bigint), "
            "pg_total_relation_size(relid) FROM pg_stat_user_tables AS stat "
            "JOIN pg_class ON pg_class.oid = relid WHERE schemaname = current_schema()"
        )
    )
    return StoreSize(total, [TableSize(name, count, size) for name, count, size in rows])


def _mysql(connection: sqlalchemy.Connection) -> StoreSize:
    rows = connection.execute(
        text(
            "SELECT table_name, table_rows, data_length + index_length "
            "FROM information_schema.tables "
            "WHERE table_schema = database() AND table_type = 'BASE TABLE'"
        )
    )
    tables = [TableSize(name, int(count or 0), int(size or 0)) for name, count, size in rows]
    return StoreSize(sum(table.bytes or 0 for table in tables), tables)
