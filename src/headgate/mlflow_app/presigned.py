"""Large downloads go to S3 directly: a redirect to a presigned address, after MLflow's own checks.

MLflow fetches a whole object into a file of its own before it answers with it, and no answer of
more than 10 MB passes an API Gateway. So a request for an artifact first takes the steps that
MLflow takes before it serves one: its own sign-in and RBAC (`preprocess_request`), its own way
from a request to a place. Is that place an object in S3 of more bytes than the setting says, the
answer is a 307, which MLflow's clients, `requests` and browsers follow without their credentials.
Everything else, refusals and faults too, is left to MLflow. Start at `PresignedDownloads`.

Imports MLflow; imported by `create_app` when MLflow is set up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from flask import Request, request
from mlflow.exceptions import MlflowException
from mlflow.server import app as flask_app
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.utils.uri import validate_path_is_safe
from starlette.middleware.wsgi import build_environ
from starlette.types import ASGIApp, Receive, Scope, Send

# How long a client may take from our answer to S3; the download itself may take longer.
SECONDS = 300
_DOWNLOADS = re.compile(
    r"/(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts/.+"
    r"|/get-artifact"
    r"|/model-versions/get-artifact"
    r"|/ajax-api/2\.0/mlflow/logged-models/[^/]+/artifacts/files",
    re.DOTALL,
)


class _Place(NamedTuple):
    """Where MLflow would fetch an artifact from."""

    repository: ArtifactRepository
    path: str


class PresignedDownloads:
    """Answers downloads of more than `more_than` bytes in MLflow's place."""

    def __init__(self, app: ASGIApp, *, more_than: int) -> None:
        self._app = app
        self._more_than = more_than

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and _DOWNLOADS.fullmatch(scope["path"])
        ):
            # The thread sees whose request this is: context variables go with it.
            url = await asyncio.to_thread(self._presigned, scope)
            if url is not None:
                await _redirect(send, url)
                return
        await self._app(scope, receive, send)

    def _presigned(self, scope: Scope) -> str | None:
        """The address, if the caller may have this object and it is large; else None."""
        with flask_app.request_context(build_environ(scope, b"")):
            if request.routing_exception is not None or flask_app.preprocess_request() is not None:
                return None
            try:
                place = _place(scope["path"], request)
                if not isinstance(place.repository, S3ArtifactRepository):
                    return None
                found = place.repository.get_download_presigned_url(place.path, SECONDS)
            except (MlflowException, KeyError):
                return None
        large = found.file_size is not None and found.file_size > self._more_than
        return str(found.url) if large else None


def _place(path: str, asked: Request) -> _Place:
    """As the handlers of these routes find it (`mlflow/server/handlers.py`, 3.17)."""
    named: Mapping[str, str] = asked.view_args or {}
    if path == "/get-artifact":
        run_id = asked.args.get("run_id") or asked.args.get("run_uuid")
        run = handlers._get_tracking_store().get_run(run_id)
        return _below(run.info.artifact_uri, asked.args["path"])
    if path == "/model-versions/get-artifact":
        store = handlers._get_model_registry_store()
        uri = store.get_model_version_download_uri(asked.args["name"], asked.args["version"])
        return _below(uri, asked.args["path"])
    if "model_id" in named:
        model = handlers._get_tracking_store().get_logged_model(named["model_id"])
        return _below(model.artifact_location, asked.args["artifact_file_path"])
    return _in_our_store(validate_path_is_safe(named["artifact_path"]))


def _below(root: str, path: str) -> _Place:
    path = validate_path_is_safe(path)
    if not handlers._is_servable_proxied_run_artifact_root(root):
        return _Place(handlers._get_artifact_repository_for_uri(root), path)
    inside = handlers._get_proxied_run_artifact_destination_path(
        proxied_artifact_root=root, relative_path=path
    )
    return _in_our_store(inside)


def _in_our_store(path: str) -> _Place:
    scoped = handlers._get_workspace_scoped_repo_path_if_enabled(path)
    return _Place(handlers._get_artifact_repo_mlflow_artifacts(), scoped)


async def _redirect(send: Send, url: str) -> None:
    headers = [(b"location", url.encode("ascii")), (b"content-length", b"0")]
    status = int(HTTPStatus.TEMPORARY_REDIRECT)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
