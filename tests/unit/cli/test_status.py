"""`headgate status`: what an admin sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.cli.status import duration
from tests.unit.cli.conftest import FakeServer, Run

REPORT: dict[str, Any] = {
    "versions": {"headgate": "0.1.0", "mlflow": "3.17.2", "python": "3.11.7"},
    "uptime_seconds": 3725.0,
    "upstream": {
        "phase": "ready",
        "pid": 42,
        "restarts": 1,
        "uptime_seconds": 65.2,
        "last_stop": "signal 9 (SIGKILL)",
    },
    "requests": {"log-metric": {"2xx": 1200}, "runs/get": {"2xx": 7, "4xx": 1}},
    "errors_last_minute": 0,
    "processes": [
        {"role": "gateway", "pid": 41, "resident_bytes": 90_000_000},
        {"role": "mlflow", "pid": 42, "resident_bytes": 251_000_000},
    ],
    "database": {
        "kind": "sqlite",
        "address": "sqlite:////srv/mlflow.db",
        "bytes": 1_234_567,
        "tables": [{"name": "metrics", "rows": 1200, "bytes": None}],
    },
    "artifacts": {"destination": "/srv/artifacts", "free_bytes": 5_500_000_000},
}


def test_the_report_is_readable(run: Run, server: FakeServer) -> None:
    server.will("GET", "/headgate/api/status", REPORT)
    result = run("status")
    assert result.code == 0
    assert result.out == (
        f"Headgate 0.1.0 at {server.url}, up 1 h 2 min\n"
        "MLflow 3.17.2: ready for 1 min 5 s, restarted 1 time\n"
        "  last stopped: signal 9 (SIGKILL)\n"
        "Python 3.11.7\n"
        "\n"
        "PROCESS   PID  MEMORY\n"
        "gateway   41   90 MB\n"
        "mlflow    42   251 MB\n"
        "together       341 MB\n"
        "\n"
        "Database sqlite:////srv/mlflow.db, 1.2 MB\n"
        "TABLE    ROWS (ABOUT)  SIZE\n"
        "metrics  1200          -\n"
        "Artifacts /srv/artifacts, 5.5 GB free\n"
        "\n"
        "REQUESTS    2XX   4XX\n"
        "log-metric  1200  -\n"
        "runs/get    7     1\n"
        "0 server errors in the last minute\n"
    )


def test_json_is_the_servers_report_with_its_address(run: Run, server: FakeServer) -> None:
    server.will("GET", "/headgate/api/status", REPORT)
    assert json.loads(run("status", "--json").out) == {"url": server.url, **REPORT}


def test_an_mlflow_that_is_not_ready_is_told_by_the_exit_code(run: Run, server: FakeServer) -> None:
    upstream = REPORT["upstream"] | {"phase": "restarting"}
    database = {"kind": "mysql", "address": "mysql://db/mlflow", "fault": "OperationalError"}
    report = REPORT | {"upstream": upstream, "database": database, "requests": {}}
    server.will("GET", "/headgate/api/status", report)
    result = run("status")
    assert result.code == 1
    assert "MLflow 3.17.2: restarting" in result.out
    assert "  cannot be looked at: OperationalError\n" in result.out


def test_who_is_no_admin_is_told_so(run: Run, server: FakeServer) -> None:
    server.will("GET", "/headgate/api/status", {"message": "Only an admin may see this."}, 403)
    result = run("status")
    assert (result.code, result.err) == (1, "error: Only an admin may see this.\n")


def test_a_server_that_does_not_run_has_no_status(run: Run) -> None:
    result = run("status")
    assert result.code == 1
    assert "No Headgate runs on the data folder" in result.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3661, "1 h 1 min"), (90000, "1 d 1 h")],
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
