"""Our MLflow gets the environment that `mlflow server` would give it.

The names are private to MLflow; this is what notices when a new version changes them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headgate.settings import Settings
from headgate.upstream import launch
from tests.harness.server import clean_environment
from tests.harness.waiting import eventually, free_port

# Given to `mlflow server` here; ours come from a file, or are the business of `mlflow_app`.
GIVEN = {
    "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a-long-enough-password",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
CONFIG = "MLFLOW_AUTH_CONFIG_PATH"
RANDOM = "_MLFLOW_SERVER_BOOT_ID"
# What ours has on top, on purpose.
OURS_ALONE = {"MLFLOW_MODEL_CATALOG_URI": ""}
# What `mlflow server` spells out is what its child would assume anyway ...
DEFAULTS = {
    "MLFLOW_SERVER_X_FRAME_OPTIONS": "SAMEORIGIN",
    "MLFLOW_SERVER_SECRETS_CACHE_TTL": "60",
    "MLFLOW_SERVER_SECRETS_CACHE_MAX_SIZE": "1000",
}
# ... or left behind by the parent's own use of the store; the child sets them itself.
LEFT_BEHIND = {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def environment_of_mlflows_child(settings: Settings, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the uvicorn process of a real `mlflow server` was started with."""
    settings.folder().mkdir()
    config = tmp_path / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path}/auth.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    options = ["--app-name", "basic-auth", "--workers", "1", "--port", str(free_port())]
    stores = ["--backend-store-uri", settings.backend_uri()]
    artifacts = ["--artifacts-destination", settings.artifacts()]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options, *stores, *artifacts],
        env=clean_environment({**GIVEN, CONFIG: str(config)}),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield eventually(lambda: _environment_of_uvicorn(server.pid), seconds=200)
    finally:
        for process in [*psutil.Process(server.pid).children(recursive=True), server]:
            process.kill()
        server.wait(60)


def _environment_of_uvicorn(server: int) -> dict[str, str] | None:
    for process in psutil.Process(server).children(recursive=True):
        try:
            if "uvicorn" in process.cmdline():
                return process.environ()
        except psutil.Error:
            continue
    return None


def mlflows(environment: dict[str, str]) -> dict[str, str]:
    """The variables that MLflow reads, without random values."""
    found = {name: text for name, text in environment.items() if "MLFLOW" in name}
    return found | {RANDOM: f"{len(found[RANDOM])} digits"}


def test_our_environment_is_that_of_mlflow_server(
    settings: Settings, environment_of_mlflows_child: dict[str, str]
) -> None:
    theirs = mlflows(environment_of_mlflows_child)
    ours = mlflows(launch.environment(settings))
    only_theirs = {name: text for name, text in theirs.items() if name not in ours}
    only_ours = {name: text for name, text in ours.items() if name not in theirs}
    given = {name: theirs[name] for name in [*GIVEN, CONFIG] if name not in ours}
    assert only_theirs == given | DEFAULTS | dict.fromkeys(LEFT_BEHIND, settings.backend_uri())
    assert only_ours == OURS_ALONE
    assert {name for name in ours if name in theirs and ours[name] != theirs[name]} == set()
