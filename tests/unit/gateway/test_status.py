"""`headgate.gateway.status`: what an administrator is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy

from headgate import __version__
from headgate.gateway import status
from headgate.gateway.metrics import Metrics
from headgate.gateway.status import Status
from headgate.observation import RequestFinished
from tests.unit.gateway.test_metrics import RunningUpstream


def status_of(uri: str, artifacts: str, metrics: Metrics | None = None) -> Status:
    return Status(
        upstream=RunningUpstream(),
        metrics=metrics or Metrics(),
        engine=sqlalchemy.create_engine(uri),
        artifacts=artifacts,
    )


@pytest.fixture
def store(tmp_path: Path) -> str:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE runs (run_uuid TEXT PRIMARY KEY)"))
        connection.execute(sqlalchemy.text("INSERT INTO runs VALUES ('a'), ('b'), ('c')"))
    engine.dispose()
    return uri


async def test_the_report_tells_versions_processes_sizes_and_requests(
    store: str, tmp_path: Path
) -> None:
    metrics = Metrics()
    metrics(RequestFinished("4f3a", "GET", "/", "runs/get", 200, 0.1, 1, "127.0.0.1", None))
    metrics(RequestFinished("4f3b", "GET", "/", "runs/get", 503, 0.1, 1, "127.0.0.1", None))
    report = await status_of(store, str(tmp_path / "artifacts"), metrics).report()
    json.dumps(report)
    assert report["versions"]["headgate"] == __version__
    assert report["versions"]["mlflow"].startswith("3.17.")
    assert report["upstream"]["phase"] == "ready"
    assert report["upstream"]["last_stop"] == "signal 9"
    assert {process["role"] for process in report["processes"]} >= {"gateway", "mlflow"}
    assert report["requests"] == {"runs/get": {"2xx": 1, "5xx": 1}}
    assert report["errors_last_minute"] == 1
    assert report["database"]["kind"] == "sqlite"
    assert report["database"]["bytes"] > 0
    assert report["database"]["tables"] == [{"name": "runs", "rows": 3, "bytes": None}]
    assert 0 < report["artifacts"]["free_bytes"] < report["artifacts"]["disk_bytes"]


async def test_an_unreachable_database_is_part_of_the_report_and_its_password_is_not() -> None:
    report = await status_of(
        "postgresql+psycopg://mlflow:hunter2@127.0.0.1:1/mlflow?sslpassword=hunter3",
        "s3://models/artifacts",
    ).report()
    assert report["database"]["fault"] == "OperationalError"
    assert report["artifacts"] == {"destination": "s3://models/artifacts"}
    assert "hunter" not in json.dumps(report)


async def test_a_look_is_remembered_but_counts_are_fresh(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    measure = status.measure
    monkeypatch.setattr(status, "measure", lambda engine: looks.append(1) or measure(engine))
    metrics = Metrics()
    reporting = status_of(store, str(tmp_path), metrics)
    await reporting.report()
    metrics(RequestFinished("4f3a", "GET", "/", "ui", 200, 0.1, 1, "127.0.0.1", None))
    assert (await reporting.report())["requests"] == {"ui": {"2xx": 1}}
    assert len(looks) == 1
