"""What MLflow is started with: arguments, environment, private folder.

`server` is the MLflow that the gateway talks to, `migration` the short-lived process that
brings a database up to date. The environment is built from a list of what may be inherited,
so that nothing reaches MLflow by accident; MLflow's own private variables are those that
`mlflow server` (3.17, `mlflow/server/__init__.py`) hands its child. No secret is ever an
argument. Pure but for `private_folder` and `tidy`.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from headgate.database.access import environment_of
from headgate.database.uris import normal_uri
from headgate.errors import HeadgateError
from headgate.gateway.upstream import UpstreamAddress
from headgate.keys import KEY_FILE_VARIABLE, KEY_SECRET_VARIABLE
from headgate.settings import Settings
from headgate.upstream.children import Command

SOCKET_NAME = "mlflow.sock"
# Made by `mlflow_app.jobs` in its working folder.
JOBS_PREFIX = "jobs-"
APP = "headgate.mlflow_app:create_app"
# Longer than any client of ours keeps an idle connection: the server must not be the one that
# closes it, as a POST that is just being sent could not be repeated.
KEEP_ALIVE_SECONDS = 120
# Beyond the gateway's own time to finish: for its end to be noticed.
_LINGER_SECONDS = 8.0

_INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("VIRTUAL_ENV", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR"),
    }
)
# PG* are libpq's (TLS, password file), OTEL_* and MLFLOW_* MLflow's own settings.
_INHERITED_PREFIXES = ("LC_", "PYTHON", "AWS_", "MLFLOW_", "PG", "OTEL_", "MALLOC_")
# MLflow's variables that are ours to decide, or a client's, which a shell may hold as well.
_OWNED = frozenset(
    {
        "MLFLOW_ALLOWED_HOSTS",
        "MLFLOW_APP_NAME",
        "MLFLOW_ARTIFACTS_DESTINATION",
        "MLFLOW_ARTIFACTS_ONLY",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_AUTH_ADMIN_USERNAME",
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED",
        "MLFLOW_DEFAULT_ARTIFACT_ROOT",
        "MLFLOW_EXPOSE_PROMETHEUS",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "MLFLOW_GUNICORN_OPTS",
        "MLFLOW_HOST",
        "MLFLOW_PORT",
        "MLFLOW_REGISTRY_STORE_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_RUN_ID",
        "MLFLOW_SERVER_ALLOWED_HOSTS",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
        "MLFLOW_SERVER_X_FRAME_OPTIONS",
        "MLFLOW_SERVE_ARTIFACTS",
        "MLFLOW_STATIC_PREFIX",
        "MLFLOW_UVICORN_OPTS",
        "MLFLOW_WORKERS",
        "MLFLOW_WORKSPACE",
    }
)
_OWNED_PREFIXES = ("MLFLOW_TRACKING_", "MLFLOW_EXPERIMENT_")
_DOORS = (
    "allow_outside_locations",
    "allow_webhooks",
    "allow_jobs",
    "allow_ai_gateway",
    "allow_assistant",
)


def server(settings: Settings, address: UpstreamAddress | None = None) -> Command:
    """The MLflow behind the gateway, on its socket unless an address is given."""
    arguments = (
        *_python(),
        "uvicorn",
        *_listen(address or UpstreamAddress(socket_path(settings), "")),
        "--factory",
        APP,
        "--workers",
        "1",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--ws",
        "none",
        "--no-access-log",
        "--no-server-header",
        "--no-proxy-headers",
        "--no-use-colors",
        "--log-level",
        "warning",
        "--timeout-keep-alive",
        str(KEEP_ALIVE_SECONDS),
        "--timeout-graceful-shutdown",
        "1",
    )
    # uvicorn looks for modules in the working folder, so it must be a private one.
    access = environment_of(settings, migrating=False)
    return Command(arguments, settings.run_dir(), environment(settings) | access)


def outlasting_server(settings: Settings, address: UpstreamAddress | None = None) -> Command:
    """The same MLflow for a gateway that is not ours to stop: it ends after that one has."""
    arguments = (
        *_python(),
        "headgate.mlflow_app.lingering",
        *_listen(address or UpstreamAddress(socket_path(settings), "")),
        "--keep-alive",
        str(KEEP_ALIVE_SECONDS),
        "--linger",
        str(settings.drain_seconds + _LINGER_SECONDS),
    )
    access = environment_of(settings, migrating=False)
    return Command(arguments, settings.run_dir(), environment(settings) | access)


def migration(
    settings: Settings,
    *,
    backend_uri: str,
    auth_uri: str,
    admin_username: str,
    admin_password_file: Path | None,
) -> Command:
    """The process that migrates the databases at these URIs and makes the admin if need be."""
    stores = _stores(backend_uri, auth_uri)
    ours = {"HEADGATE_ADMIN_USERNAME": admin_username}
    if admin_password_file is not None:
        ours["HEADGATE_ADMIN_PASSWORD_FILE"] = str(admin_password_file)
    return Command(
        (*_python(), "headgate.mlflow_app.migrate"),
        settings.run_dir(),
        environment(settings) | stores | ours | environment_of(settings, migrating=True),
    )


def environment(settings: Settings, outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """Everything in MLflow's environment; `outer` is ours unless given."""
    kept = _inherited(os.environ if outer is None else outer)
    return (
        kept
        | _stores(settings.backend_uri(), settings.auth_uri())
        | {
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.artifacts(),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
            "_MLFLOW_IN_JOB_EXECUTOR": "false",
            "_MLFLOW_SGI_NAME": "uvicorn",
            # `migrate` makes the admin.
            "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": _flag(settings.allow_jobs),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            **_key(settings),
            "HEADGATE_ADMIN_USERNAME": settings.admin_username,
            "HEADGATE_PRESIGNED_BYTES": str(settings.presigned_bytes),
            "HEADGATE_DEFAULT_PERMISSION": settings.default_permission,
            "PYTHONUNBUFFERED": "1",
        }
        | {f"HEADGATE_{door.upper()}": _flag(getattr(settings, door)) for door in _DOORS}
    )


def socket_path(settings: Settings) -> Path:
    """The Unix socket that MLflow listens on."""
    return settings.run_dir() / SOCKET_NAME


def private_folder(folder: Path) -> Path:
    """`folder`, made if need be, that nobody but us may enter; raises `HeadgateError` if not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise HeadgateError(
                f"{folder} is not a folder of this user.",
                hint="Remove it, or choose another data folder.",
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except (FileExistsError, NotADirectoryError):
        raise HeadgateError(f"{folder} is in the way: it is not a folder.") from None
    except OSError as fault:
        raise HeadgateError(
            f"The folder {folder} cannot be made: {fault.strerror}.",
            hint="Choose another data folder with --data-dir, or mend its permissions.",
        ) from None
    return folder


def tidy(run_dir: Path) -> None:
    """Remove what an MLflow left behind that was killed: its socket, its jobs' queues."""
    (run_dir / SOCKET_NAME).unlink(missing_ok=True)
    for queues in run_dir.glob(JOBS_PREFIX + "*"):
        shutil.rmtree(queues, ignore_errors=True)


def _listen(address: UpstreamAddress) -> tuple[str, ...]:
    if address.socket is not None:
        return ("--uds", str(address.socket))
    parts = urlsplit(address.base_url)
    return ("--host", str(parts.hostname), "--port", str(parts.port))


def _python() -> tuple[str, ...]:
    # -P: the working folder is no place to import from.
    return (sys.executable, "-P", "-m")


def _inherited(outer: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in outer.items()
        if (name in _INHERITED or name.startswith(_INHERITED_PREFIXES))
        and name not in _OWNED
        and not name.startswith(_OWNED_PREFIXES)
    }
    if "PYTHONPATH" in kept:
        # MLflow works in another folder than we do.
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(part).absolute()) for part in kept["PYTHONPATH"].split(os.pathsep) if part
        )
    defaults = {
        # Of MLflow's own making, at every start; nothing that an operator could mend.
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_ENABLE_WORKSPACES": "false",
        # Empty: without internet MLflow would wait for minutes on some 99 downloads.
        "MLFLOW_MODEL_CATALOG_URI": "",
    }
    return defaults | kept


def _stores(backend_uri: str, auth_uri: str) -> dict[str, str]:
    backend = normal_uri(backend_uri)
    return {
        "_MLFLOW_SERVER_FILE_STORE": backend,
        "_MLFLOW_SERVER_REGISTRY_STORE": backend,
        "HEADGATE_AUTH_DATABASE_URI": normal_uri(auth_uri),
    }


def _key(settings: Settings) -> dict[str, str]:
    if settings.secret_key_secret is not None:
        return {KEY_SECRET_VARIABLE: settings.secret_key_secret}
    return {KEY_FILE_VARIABLE: str(settings.key_path())}


def _flag(value: bool) -> str:
    return "true" if value else "false"
