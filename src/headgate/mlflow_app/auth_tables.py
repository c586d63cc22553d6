"""The first tables of users on MySQL and MariaDB, where MLflow's own first migration fails.

It gives two foreign keys the name `fk_user_id`; these databases want each name once. So the
tables are made here as it would make them, with names that the database chooses. MLflow takes
tables without a version for those that MLflow before 3.6 made, and migrates them from there.
"""

from __future__ import annotations

import sqlalchemy as sa

_VERSIONS = "alembic_version_auth"
_metadata = sa.MetaData()

sa.Table(
    "users",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("username", sa.String(255), unique=True),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("is_admin", sa.Boolean),
)
sa.Table(
    "experiment_permissions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("experiment_id", sa.String(255), nullable=False),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("permission", sa.String(255)),
    sa.UniqueConstraint("experiment_id", "user_id", name="unique_experiment_user"),
)
sa.Table(
    "registered_model_permissions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("permission", sa.String(255)),
    sa.UniqueConstraint("name", "user_id", name="unique_name_user"),
)


def make_first_tables(engine: sa.Engine) -> None:
    """Make what is missing of them, on MySQL and MariaDB, before any version is recorded.

    May be repeated after an interruption: these databases keep half of a migration.
    """
    if engine.dialect.name not in ("mysql", "mariadb"):
        return
    with engine.begin() as connection:
        if sa.inspect(connection).has_table(_VERSIONS):
            versions = sa.table(_VERSIONS, sa.column("version_num"))
            if connection.execute(sa.select(versions.c.version_num)).first() is not None:
                return
            # Interrupted between making this table and filling it: MLflow would take the
            # tables for missing, and fail at making them.
            connection.execute(sa.text(f"DROP TABLE {_VERSIONS}"))
        _metadata.create_all(connection)
