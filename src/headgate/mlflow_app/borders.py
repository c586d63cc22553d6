"""Borders between experiments, where MLflow 3.17's own checks stop short.

MLflow asks whether a user may write to the experiment that a request names. For traces that is
not always the one that is written to: a trace's id is the client's to choose, and whoever uses
the id of somebody else's trace adds spans to it, takes it over, or links it to any run. Here
the experiment that is really written to is asked about, with MLflow's own rules.

Imports MLflow; imported by `create_app` when MLflow is set up.
"""

from __future__ import annotations

from mlflow.entities.entity_type import EntityAssociationType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server import auth
from mlflow.server.auth.permissions import RESOURCE_TYPE_TRACE
from mlflow.store.tracking.dbmodels.models import (
    SqlAssessments,
    SqlEntityAssociation,
    SqlTraceInfo,
)
from sqlalchemy import Connection, event
from sqlalchemy.orm import QueryContext
from sqlalchemy.orm.base import NO_VALUE

from headgate.mlflow_app import identity


def guard_borders() -> None:
    """Watch all traces that this process reads and writes from now on."""
    event.listen(SqlTraceInfo, "load", _check_spans)
    for column in (SqlTraceInfo.experiment_id, SqlAssessments.experiment_id):
        event.listen(column, "set", _check_move, active_history=True)
    event.listen(SqlEntityAssociation, "before_insert", _check_link)


def _check_spans(trace: SqlTraceInfo, _context: QueryContext) -> None:
    """While spans are delivered, each trace that is loaded is one they are for."""
    caller = identity.current_caller()
    if caller is None or caller.spans_for is None:
        return
    if str(trace.experiment_id) != caller.spans_for:
        _require_writing(str(trace.experiment_id))


def _check_move(_row: object, value: object, old: object, _initiator: object) -> None:
    if old is not NO_VALUE and old is not None and str(old) != str(value):
        _require_writing(str(old))


def _check_link(_mapper: object, _connection: Connection, row: SqlEntityAssociation) -> None:
    to_run = row.destination_type == EntityAssociationType.RUN
    if to_run and _acts_as_user() and not auth._authorize_run_id(row.destination_id, "update"):
        _refuse()


def _require_writing(experiment_id: str) -> None:
    if not _acts_as_user():
        return
    username = auth.authenticate_request().username
    if not auth._authorize_create_in_experiment_as(username, experiment_id, RESOURCE_TYPE_TRACE):
        _refuse()


def _acts_as_user() -> bool:
    """Whether this is a user's doing, rather than an admin's or MLflow's own."""
    return identity.current_caller() is not None and not auth.sender_is_admin()


def _refuse() -> None:
    raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)
