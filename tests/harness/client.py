"""MLflow's own, unmodified client, pointed at a server as somebody.

The client keeps its server, its credentials, the active run and the queue of traces in the
environment and in module globals, so `mlflow_as` sets all of them and puts them back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.harness.server import HeadgateServer, User

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CREDENTIALS = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
)
_MANNERS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@contextmanager
def mlflow_as(server: HeadgateServer, user: User | None) -> Iterator[MlflowClient]:
    """Make `import mlflow` talk to `server` as `user`; yields an `MlflowClient` as well.

    `None` sends no credentials at all.
    """
    changes = dict.fromkeys(_CREDENTIALS) | _MANNERS | {"MLFLOW_TRACKING_URI": server.url}
    if user is not None and user.token is not None:
        changes["MLFLOW_TRACKING_TOKEN"] = user.token
    elif user is not None:
        changes["MLFLOW_TRACKING_USERNAME"] = user.name
        changes["MLFLOW_TRACKING_PASSWORD"] = user.password
    with _environment(changes):
        import mlflow

        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        try:
            yield mlflow.MlflowClient()
        finally:
            while mlflow.active_run():
                mlflow.end_run()
            mlflow.tracing.reset()


@contextmanager
def _environment(changes: dict[str, str | None]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(values: dict[str, str | None]) -> None:
    for key, value in values.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
