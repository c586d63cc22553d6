"""A store that plain `mlflow server` 2.14 left behind, upgraded and served.

The store is tests/data/store-2.14, made by make_store_2_14.py beside it.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartHeadgate
from tests.harness import HeadgateServer, free_port
from tests.harness.client import mlflow_as
from tests.harness.server import run_headgate

STORE = Path(__file__).parents[1] / "data" / "store-2.14"
OLD_REVISION = "5b0e9adcef9c"


def old_store(folder: Path) -> Path:
    """A copy of the store in `folder`; its database."""
    store = folder / "store"
    shutil.copytree(STORE, store)
    with sqlite3.connect(store / "mlflow.db") as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, '@FOLDER@', ?)", (str(store),)
            )
    database.close()
    return store / "mlflow.db"


def digest(file: Path) -> str:
    """What the file holds, in short."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def revision(database: Path) -> str:
    """The revision of MLflow's schema in a SQLite file."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    finally:
        connection.close()


def copies(database: Path) -> list[Path]:
    """Copies of the database file beside it."""
    return sorted(database.parent.glob("mlflow.db*.bak*"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a store that will be upgraded once for this module."""
    return old_store(tmp_path_factory.mktemp("upgraded"))


@pytest.fixture(scope="module")
def upgraded(database: Path) -> Iterator[HeadgateServer]:
    """A Headgate on the old store, told to migrate it."""
    with HeadgateServer(
        database.parent.parent / "data",
        options=["--backend-store-uri", f"sqlite:///{database}", "--yes"],
    ) as server:
        yield server.wait_ready()


def test_the_old_runs_are_readable(upgraded: HeadgateServer) -> None:
    with mlflow_as(upgraded, upgraded.admin) as client:
        experiment = client.get_experiment_by_name("wine")
        assert experiment is not None
        runs = {
            run.info.run_name: run
            for run in client.search_runs([experiment.experiment_id], order_by=["start_time"])
        }
        assert set(runs) == {"forest", "fold 1", "model"}
        forest = runs["forest"]
        assert forest.data.params == {"depth": "3", "criterion": "gini"}
        assert forest.data.metrics["accuracy"] == 0.75
        assert len(client.get_metric_history(forest.info.run_id, "loss")) == 20
        parent = runs["fold 1"].data.tags["mlflow.parentRunId"]
        assert parent == forest.info.run_id


def test_its_artifacts_are_readable_through_the_server(
    upgraded: HeadgateServer, tmp_path: Path
) -> None:
    with mlflow_as(upgraded, upgraded.admin) as client:
        experiment = client.get_experiment_by_name("wine")
        assert experiment is not None
        (forest,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'forest'")
        file = client.download_artifacts(forest.info.run_id, "notes/readme.txt", str(tmp_path))
    assert Path(file).read_text() == "An artifact of 2.14."


def test_artifacts_written_without_a_server_are_readable_too(upgraded: HeadgateServer) -> None:
    with mlflow_as(upgraded, upgraded.admin) as client:
        experiment = client.get_experiment_by_name("older")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
    answer = upgraded.request(
        "GET", f"/get-artifact?run_id={run.info.run_id}&path=note.txt", user=upgraded.admin
    )
    assert (answer.status, answer.body) == (200, b"Written without a server.")


def test_the_registered_model_and_its_alias_are_there(
    upgraded: HeadgateServer, tmp_path: Path
) -> None:
    with mlflow_as(upgraded, upgraded.admin) as client:
        import mlflow

        version = client.get_model_version_by_alias("doubled", "champion")
        assert version.tags == {"checked": "yes"}
        folder = mlflow.artifacts.download_artifacts("models:/doubled/1", dst_path=str(tmp_path))
    assert (Path(folder) / "model.pkl").is_file()


def test_new_runs_can_be_logged_beside_the_old_ones(upgraded: HeadgateServer) -> None:
    with mlflow_as(upgraded, upgraded.admin) as client:
        experiment = client.get_experiment_by_name("wine")
        assert experiment is not None
        run = client.create_run(experiment.experiment_id)
        client.log_metric(run.info.run_id, "accuracy", 0.9)
        client.log_text(run.info.run_id, "new", "new.txt")
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["new.txt"]
        client.delete_run(run.info.run_id)


def test_a_copy_from_before_the_migration_is_kept(upgraded: HeadgateServer, database: Path) -> None:
    assert upgraded.processes()
    (copy,) = copies(database)
    assert revision(copy) == OLD_REVISION
    assert revision(database) != OLD_REVISION


def test_declining_the_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    database = old_store(tmp_path)
    before = digest(database)
    done = run_headgate(
        "up",
        *("--data-dir", tmp_path / "data", "--port", str(free_port())),
        *("--backend-store-uri", f"sqlite:///{database}"),
        answer="n\n",
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "--yes" in done.stderr
    assert digest(database) == before
    assert [file.name for file in database.parent.iterdir() if file.is_file()] == ["mlflow.db"]


def test_the_store_can_be_migrated_ahead_of_serving_it(
    tmp_path: Path, start_headgate: StartHeadgate
) -> None:
    database = old_store(tmp_path)
    store = ("--data-dir", tmp_path / "data", "--backend-store-uri", f"sqlite:///{database}")
    done = run_headgate("migrate", *store, "--yes", seconds=120)
    assert done.returncode == 0, done.stderr
    assert revision(copies(database)[0]) == OLD_REVISION
    server = start_headgate(options=["--backend-store-uri", f"sqlite:///{database}"])
    server.wait_ready()
    assert server.stop() == 0


def test_a_database_newer_than_this_mlflow_is_refused_and_left_untouched(tmp_path: Path) -> None:
    database = old_store(tmp_path)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f00df00df00d'")
    connection.close()
    before = digest(database)
    done = run_headgate(
        "up",
        *("--data-dir", tmp_path / "data", "--port", str(free_port()), "--yes"),
        *("--backend-store-uri", f"sqlite:///{database}"),
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "newer" in done.stderr
    assert digest(database) == before
    assert copies(database) == []
