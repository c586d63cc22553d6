"""The guard of locations: what a user's request may write where the server will act on it.

Many of MLflow's calls end in a location that the server opens later: in JSON of several
spellings, in protobuf, in attributes of a span. They all end in four tables. So the guard
looks at rows, just before SQLAlchemy writes them, rather than at requests; what MLflow writes
without a request, and what an admin asks for, passes. `docs/closed-doors.md` lists every
field that can become a location, and what becomes of it.

Imports MLflow; imported by `create_app` when MLflow is set up.
"""

from __future__ import annotations

import os
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server import auth
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlRun,
    SqlTraceInfo,
    SqlTraceTag,
)
from mlflow.store.workspace.dbmodels.models import SqlWorkspace
from mlflow.tracing.constant import SpansLocation, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from mlflow.utils.uri import resolve_uri_if_local
from sqlalchemy import Connection, event, inspect, select

from headgate.mlflow_app import identity
from headgate.mlflow_app.locations import ARTIFACT_STORE, is_inside, is_plain_name, is_reference

_SPANS_IN_PLACE = (SpansLocation.TRACKING_STORE.value, SpansLocation.ARTIFACT_REPO.value)


def guard_locations(*, workspaces: bool) -> None:
    """Watch all writes of this process from now on.

    With workspaces MLflow lets nobody choose an experiment's location: it follows from the
    workspace's, which an admin chose.
    """
    checks = {
        SqlModelVersion: _check_model_version,
        SqlTraceInfo: _check_trace,
        SqlTraceTag: _check_trace_tag,
        SqlWorkspace: _check_workspace,
    }
    if not workspaces:
        checks[SqlExperiment] = _check_experiment
    for table, check in checks.items():
        event.listen(table, "before_insert", check)
        event.listen(table, "before_update", check)


def _check_experiment(_mapper: object, _connection: Connection, row: SqlExperiment) -> None:
    location = _new_value(row, "artifact_location")
    if location and not _in_our_store(location):
        _refuse_location("artifact_location", location)


def _check_workspace(_mapper: object, _connection: Connection, row: SqlWorkspace) -> None:
    for name in ("default_artifact_root", "trace_archival_location"):
        location = _new_value(row, name)
        if location and not _in_our_store(location):
            _refuse_location(name, location)


def _check_model_version(_mapper: object, connection: Connection, row: SqlModelVersion) -> None:
    source = _new_value(row, "source")
    if (
        not source
        or source in _PROMPT_SOURCE_PLACEHOLDERS
        or is_reference(source)
        or is_inside(source, ARTIFACT_STORE)
    ):
        # What a reference or a place in the store belongs to, MLflow has checked.
        return
    of_run = connection.scalar(select(SqlRun.artifact_uri).where(SqlRun.run_uuid == row.run_id))
    if not (of_run and is_inside(source, of_run)):
        _refuse_location("source", source)


def _check_trace(_mapper: object, _connection: Connection, row: SqlTraceInfo) -> None:
    # The id becomes a folder of the trace's artifacts.
    if _new_value(row, "request_id") and not is_plain_name(row.request_id):
        _refuse(f"The trace id {row.request_id!r} is not a plain name.")


def _check_trace_tag(_mapper: object, connection: Connection, row: SqlTraceTag) -> None:
    value = _new_value(row, "value")
    if value is None:
        return
    if row.key == MLFLOW_ARTIFACT_LOCATION:
        allowed = _is_trace_folder(connection, row.request_id, value)
    elif row.key == TraceTagKey.SPANS_LOCATION:
        allowed = value in _SPANS_IN_PLACE
    else:
        allowed = row.key != TraceTagKey.ARCHIVE_LOCATION
    if not allowed:
        _refuse_location(row.key, value)


def _is_trace_folder(connection: Connection, trace_id: str, location: str) -> bool:
    if not location.endswith(f"/traces/{trace_id}/artifacts"):
        return False
    if _in_our_store(location):
        return True
    of_experiment = connection.scalar(
        select(SqlExperiment.artifact_location)
        .join(SqlTraceInfo, SqlTraceInfo.experiment_id == SqlExperiment.experiment_id)
        .where(SqlTraceInfo.request_id == trace_id)
    )
    return of_experiment is not None and is_inside(location, of_experiment)


def _in_our_store(location: str) -> bool:
    root = resolve_uri_if_local(os.environ.get("_MLFLOW_SERVER_ARTIFACT_ROOT"))
    return is_inside(location, ARTIFACT_STORE) or bool(root and is_inside(location, root))


def _new_value(row: Any, name: str) -> str | None:
    """What is about to be written to a column; None if it stays as it is."""
    added = inspect(row).attrs[name].history.added
    return added[0] if added else None


def _refuse_location(name: str, location: str) -> None:
    _refuse(f"{name} {location!r} lies outside the artifact store.")


def _refuse(problem: str) -> None:
    """Raise MLflow's 403, unless it is an admin or MLflow itself who writes."""
    if identity.current_caller() is None or auth.sender_is_admin():
        return
    raise MlflowException(
        f"{problem} On this server only admins may use it, unless whoever runs it sets "
        "allow_outside_locations (HEADGATE_ALLOW_OUTSIDE_LOCATIONS=true).",
        error_code=PERMISSION_DENIED,
    )
