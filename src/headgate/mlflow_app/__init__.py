"""The app that MLflow runs as: its own basic-auth app, with the gateway as its door-keeper.

Started by `python -m uvicorn --uds … --factory headgate.mlflow_app:create_app` (what
`headgate up` and `headgate mlflow` do) or by `mlflow server --app-name headgate`. Start
reading at `create_app`. Who may come in is in `identity`, which features stay shut in `doors`,
which locations in `guard`, and what MLflow's own checks leave open on traces in `borders`.

Beside MLflow's own, these environment variables are its settings:

- `HEADGATE_SECRET_KEY_FILE` or `HEADGATE_SECRET_KEY_SECRET`: file of the key that the gateway
  signs with, or secret in AWS that is the key (one is required).
- `HEADGATE_DATABASE_SECRET`, `HEADGATE_DATABASE_CA`, `HEADGATE_DATABASE_WAKE_SECONDS`: the
  database's password, certificates and patience, where the URI does not say (`database.access`).
- `HEADGATE_AUTH_DATABASE_URI`: database of users and permissions (required).
- `HEADGATE_DEFAULT_PERMISSION`: MLflow's `default_permission`; `READ` if unset.
- `HEADGATE_ADMIN_USERNAME`: the admin that `migrate` made; `admin` if unset.
- `HEADGATE_PRESIGNED_BYTES`: downloads of more bytes from S3 are redirects; 0 or unset: none.
- `HEADGATE_ALLOW_OUTSIDE_LOCATIONS`, `HEADGATE_ALLOW_WEBHOOKS`, `HEADGATE_ALLOW_JOBS`,
  `HEADGATE_ALLOW_AI_GATEWAY`, `HEADGATE_ALLOW_ASSISTANT`: `true` opens that door.

Nothing here imports MLflow before `create_app` is called, as MLflow reads its settings when
it is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp

from headgate import keys
from headgate.database.access import listen_everywhere
from headgate.errors import HeadgateError
from headgate.mlflow_app.doors import DoorMiddleware, mlflow_switches, shut_doors
from headgate.mlflow_app.identity import IdentityMiddleware
from headgate.mlflow_app.jobs import start_job_runner
from headgate.secret_store import Secret
from headgate.settings.limits import DoorSettings

_FORCED: dict[str, str | None] = {
    # MLflow knows this server by one name; which names and origins may be used is the
    # gateway's matter.
    "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": None,
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": None,
    # Routes that MLflow has no rule for stay shut.
    "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    # The admin is made by `migrate`; no password is needed, kept or checked here.
    "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED": "true",
    "MLFLOW_AUTH_ADMIN_USERNAME": None,
    "MLFLOW_AUTH_ADMIN_PASSWORD": None,
    # Neither the server nor the pages that it serves report to anybody.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's variables that are ours to set, whatever the surroundings say; None: unset."""
_FLASK_KEY = "MLFLOW_FLASK_SERVER_SECRET_KEY"


def create_app() -> ASGIApp:
    """MLflow's app behind our identity check; raises `HeadgateError` for missing settings."""
    if os.environ.setdefault("_MLFLOW_SGI_NAME", "uvicorn") != "uvicorn":
        raise HeadgateError("Headgate's app of MLflow runs on uvicorn only.")
    if "mlflow.server" in sys.modules:
        raise HeadgateError("MLflow was imported before Headgate could set it up.")
    key = _key()
    doors = _door_settings()
    _set_environment({**_FORCED, **mlflow_switches(doors)})
    listen_everywhere(os.environ)  # before MLflow makes its engines
    app = _mlflow_auth_app(keys.derive(key, "flask").hex())
    _guard_rows(locations=not doors.allow_outside_locations)
    if doors.allow_jobs:
        start_job_runner()
    return IdentityMiddleware(
        DoorMiddleware(_with_presigned(app), shut=shut_doors(doors)),
        key=keys.derive(key, "identity"),
    )


def _with_presigned(app: ASGIApp) -> ASGIApp:
    more_than = int(os.environ.get("HEADGATE_PRESIGNED_BYTES") or 0)
    if not more_than:
        return app
    from headgate.mlflow_app.presigned import PresignedDownloads

    return PresignedDownloads(app, more_than=more_than)


def _key() -> bytes:
    secret = os.environ.get(keys.KEY_SECRET_VARIABLE)
    if secret:
        return keys.key_from_text(Secret(secret).value().text, secret)
    return keys.load_key(Path(_required(keys.KEY_FILE_VARIABLE)))


def _door_settings() -> DoorSettings:
    named = {name: os.environ.get(f"HEADGATE_{name.upper()}") for name in DoorSettings.model_fields}
    try:
        return DoorSettings.model_validate({name: value for name, value in named.items() if value})
    except ValueError:
        raise HeadgateError("HEADGATE_ALLOW_* must be true or false.") from None


def _guard_rows(*, locations: bool) -> None:
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES

    from headgate.mlflow_app.borders import guard_borders
    from headgate.mlflow_app.guard import guard_locations

    guard_borders()
    if locations:
        guard_locations(workspaces=MLFLOW_ENABLE_WORKSPACES.get())


def _mlflow_auth_app(flask_key: str) -> ASGIApp:
    from headgate.mlflow_app.auth_config import auth_config_file

    with auth_config_file(
        authorization_function="headgate.mlflow_app.identity:authenticate",
        database_uri=_required("HEADGATE_AUTH_DATABASE_URI"),
        default_permission=os.environ.get("HEADGATE_DEFAULT_PERMISSION") or "READ",
        admin_username=os.environ.get("HEADGATE_ADMIN_USERNAME") or "admin",
    ):
        from mlflow.server import auth

    os.environ[_FLASK_KEY] = flask_key
    try:
        app: ASGIApp = auth.create_app()
    finally:
        # Processes that MLflow starts have no use for it.
        del os.environ[_FLASK_KEY]
    return app


def _set_environment(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise HeadgateError(f"{name} is not set.", hint="`headgate mlflow` sets it.")
    return value
