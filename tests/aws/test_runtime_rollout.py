"""Only migrations that add may ride a rolling deploy; others are refused and say how to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.database.revisions import Schema, history, pending_files
from headgate.database.rollout import check_rollout, not_additive, steps_beside_adding
from headgate.errors import DatabaseError

HEAD = history("mlflow").head
# MLflow 3.17's last step but one, and one long before it.
OLD = "cfd24bdc0731"


def behind(found: str | None) -> Schema:
    return Schema("mlflow", "behind", found, HEAD)


def version_file(folder: Path, upgrade: str, *, more: str = "") -> Path:
    path = folder / "0123_step.py"
    path.write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        'revision = "0123"\ndown_revision = None\n'
        f"{more}\ndef upgrade():\n    {upgrade}\n\ndef downgrade():\n    op.drop_table('t')\n"
    )
    return path


@pytest.mark.parametrize(
    "step",
    [
        "op.create_table('t', sa.Column('a', sa.Integer))",
        "op.create_index('i', 't', ['a'])",
        "op.add_column('t', sa.Column('a', sa.Integer))",
        "op.add_column('t', sa.Column('a', sa.Integer, nullable=True))",
        "op.add_column('t', sa.Column('a', sa.Integer, nullable=False, server_default='0'))",
        "pass",
    ],
)
def test_what_only_adds_may_ride_a_rolling_deploy(tmp_path: Path, step: str) -> None:
    assert steps_beside_adding(version_file(tmp_path, step)) == []


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ("op.drop_table('t')", "drop_table"),
        ("op.drop_column('t', 'a')", "drop_column"),
        ("op.alter_column('t', 'a', nullable=False)", "alter_column"),
        ("op.rename_table('t', 'u')", "rename_table"),
        ("op.execute('DELETE FROM t')", "execute"),
        ("op.get_bind().execute(sa.text('DELETE FROM t'))", "execute"),
        ("op.something_new('t')", "something_new"),
        (
            "op.add_column('t', sa.Column('a', sa.Integer, nullable=False))",
            "add_column that must be filled",
        ),
    ],
)
def test_what_changes_or_is_not_known_may_not(tmp_path: Path, step: str, named: str) -> None:
    assert steps_beside_adding(version_file(tmp_path, step)) == [named]


def test_what_an_upgrade_has_its_helpers_do_counts_too(tmp_path: Path) -> None:
    more = "def _clean():\n    op.drop_index('i')\n"
    assert steps_beside_adding(version_file(tmp_path, "_clean()", more=more)) == ["drop_index"]


def test_pending_is_everything_that_the_database_has_not_seen() -> None:
    names = {file.stem.partition("_")[0] for file in pending_files("mlflow", OLD)}
    assert HEAD in names
    assert OLD not in names
    assert pending_files("mlflow", HEAD) == []
    assert len(pending_files("mlflow", None)) == len(history("mlflow").files)


def test_mlflows_own_old_steps_are_told_apart() -> None:
    by_name = {file.stem.partition("_")[0]: file for file in pending_files("mlflow", None)}
    assert steps_beside_adding(by_name["a5b4c3d2e1f0"]) == []  # an index
    assert steps_beside_adding(by_name["e1f2a3b4c5d6"]) == []  # a table
    assert "alter_column" in steps_beside_adding(by_name["2d6e25af4d3e"])
    assert "drop_column" in steps_beside_adding(by_name["75868b020152"])


def test_a_change_under_old_servers_is_refused_with_what_does_it() -> None:
    with pytest.raises(DatabaseError, match="may not ride a rolling deploy") as refused:
        check_rollout([behind(OLD)], "http-api", maintenance=False)
    assert "--maintenance" in (refused.value.hint or "")
    assert "alter_column" in str(refused.value)


def test_in_maintenance_and_outside_of_aws_everything_may_run() -> None:
    check_rollout([behind(OLD)], "http-api", maintenance=True)
    check_rollout([behind(OLD)], "none", maintenance=False)


@pytest.mark.parametrize("standing", ["empty", "half-done"])
def test_a_database_without_data_has_nothing_to_lose(standing: str) -> None:
    schema = Schema("mlflow", standing, None, HEAD)  # type: ignore[arg-type]  # one of them
    assert not_additive(schema) == []
    assert not_additive(Schema("mlflow", "head", HEAD, HEAD)) == []
