"""The store that every system starts from: thousands of runs, written straight into tables.

Through MLflow's own API the same would take the better part of an hour. Everything is drawn
from a fixed seed, so that two benchmarks start from the same store.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, insert, text
from sqlalchemy.pool import NullPool

from bench.databases import Database
from tests.harness.server import clean_environment

ROOT = Path(__file__).resolve().parents[1]
METRICS, PARAMS, TAGS = 10, 10, 6
# Runs under way, which take what the writing measures send; in an experiment of their own.
OPEN_RUNS = 64
CHUNK = 1_000
BEGAN = 1_750_000_000_000

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What is in the store, for those who ask for it."""

    runs: int
    searched_experiment: str
    # The 100 that were started last, the newest first.
    newest: tuple[str, ...]
    written_experiment: str
    open_runs: tuple[str, ...]


def seed(database: Database, uri: str, runs: int) -> Seeded:
    """Make MLflow's tables in the empty database at `uri` and fill them."""
    migrated = subprocess.run(
        [sys.executable, "-m", "bench.migrate"],
        env=clean_environment({"BENCH_STORE_URI": uri}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode:
        raise RuntimeError(f"MLflow's tables could not be made:\n{migrated.stderr[-3000:]}")
    engine = create_engine(uri, poolclass=NullPool)
    with engine.begin() as connection:
        seeded = _fill(connection, runs)
    statement = database.settle(uri)
    if statement is not None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
    return seeded


def _fill(connection: Connection, runs: int) -> Seeded:
    tables = MetaData()
    names = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
    tables.reflect(connection, only=names)
    searched = _experiment(connection, tables, "searched")
    written = _experiment(connection, tables, "written")
    chance = random.Random(3)
    finished = [_identity(chance) for _ in range(runs)]
    opened = [_identity(chance) for _ in range(OPEN_RUNS)]
    for first in range(0, runs, CHUNK):
        rows: Rows = {name: [] for name in names[1:]}
        for number, run in enumerate(finished[first : first + CHUNK], start=first):
            _add_finished_run(rows, run, number, searched, chance)
        _insert(connection, tables, rows)
    open_rows = [_run(run, number, written, "RUNNING") for number, run in enumerate(opened)]
    _insert(connection, tables, {"runs": open_rows})
    return Seeded(
        runs=runs,
        searched_experiment=str(searched),
        newest=tuple(reversed(finished[-100:])),
        written_experiment=str(written),
        open_runs=tuple(opened),
    )


def _experiment(connection: Connection, tables: MetaData, name: str) -> int:
    experiments = tables.tables["experiments"]
    made = connection.execute(
        insert(experiments).values(
            name=name,
            lifecycle_stage="active",
            creation_time=BEGAN,
            last_update_time=BEGAN,
            artifact_location="",
        )
    )
    assert made.inserted_primary_key is not None
    number = int(made.inserted_primary_key[0])
    connection.execute(
        experiments.update()
        .where(experiments.c.experiment_id == number)
        .values(artifact_location=f"mlflow-artifacts:/{number}")
    )
    return number


def _run(run: str, number: int, experiment: int, status: str) -> dict[str, Any]:
    return {
        "run_uuid": run,
        "name": f"run-{number}",
        "source_type": "LOCAL",
        "source_name": "train.py",
        "entry_point_name": "",
        "user_id": "admin",
        "status": status,
        "start_time": BEGAN + number * 1_000,
        "end_time": BEGAN + number * 1_000 + 60_000 if status == "FINISHED" else None,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
        "experiment_id": experiment,
    }


def _add_finished_run(
    rows: Rows, run: str, number: int, experiment: int, chance: random.Random
) -> None:
    rows["runs"].append(_run(run, number, experiment, "FINISHED"))
    for metric in _metrics(run, number, chance):
        rows["metrics"].append(metric)
        rows["latest_metrics"].append(metric)
    for index in range(PARAMS):
        value = str(chance.choice((8, 16, 32, 64, 0.1, 0.01, "adam", "sgd")))
        rows["params"].append({"run_uuid": run, "key": f"param_{index}", "value": value})
    tags = {"mlflow.user": "admin", "mlflow.runName": f"run-{number}"}
    tags |= {"mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL"}
    tags |= {f"tag_{index}": chance.choice("abc") for index in range(TAGS - len(tags))}
    rows["tags"] += [{"run_uuid": run, "key": key, "value": tags[key]} for key in tags]


def _metrics(run: str, number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for index in range(METRICS):
        yield {
            "run_uuid": run,
            "key": f"metric_{index}",
            "value": chance.random(),
            "timestamp": BEGAN + number * 1_000 + index,
            "step": 0,
            "is_nan": False,
        }


def _identity(chance: random.Random) -> str:
    return f"{chance.getrandbits(128):032x}"


def _insert(connection: Connection, tables: MetaData, rows: Rows) -> None:
    for name, values in rows.items():
        connection.execute(insert(tables.tables[name]), values)


def count(uri: str, statement: str) -> int:
    """The one number that a statement gives, asked of the store while a system uses it."""
    engine = create_engine(uri, poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())
