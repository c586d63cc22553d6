"""Fills a running server with the showcase."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.server import HeadgateServer, clean_environment

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Filled:
    """Where to look for what `showcase` made."""

    experiment_id: str
    best_run_id: str
    run_ids: list[str]
    trace_ids: list[str]


def fill(server: HeadgateServer) -> Filled:
    """Make it as the admin, in a process of its own: MLflow's client keeps its state there."""
    credentials = {
        "MLFLOW_TRACKING_URI": server.url,
        "MLFLOW_TRACKING_USERNAME": server.admin.name,
        "MLFLOW_TRACKING_PASSWORD": server.admin.password,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.showcase"],
        cwd=ROOT,
        env=clean_environment(credentials),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Filled(**json.loads(done.stdout.splitlines()[-1]))
