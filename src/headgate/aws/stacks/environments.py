"""What each container is told: addresses and names of secrets, never a secret.

These are Headgate's own settings (docs/settings.md) as variables. Start at `server`.
"""

from __future__ import annotations

from dataclasses import dataclass

from headgate.aws.constructs.task import (
    DATABASE_CERTIFICATES,
    DRAIN_SECONDS,
    GATEWAY_PORT,
    RUN_FOLDER,
    TEMPORARY_FOLDER,
)
from headgate.settings.aws import AwsSettings
from headgate.settings.aws_server import environment_of

# API Gateway passes at most 10 MB; far below it a download is no matter of the server any more.
PRESIGNED_BYTES = 5 * 2**20
_DATABASE_IDLE_SECONDS = 300
# A request waits for MLflow no longer than an HTTP API waits for us, with time to say so.
_UPSTREAM_WAIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are that the stack made."""

    database_uri: str
    artifacts: str
    region: str
    allowed_hosts: tuple[str, ...]
    admin_secret: str
    key_secret: str
    database_user_secret: str
    database_master_secret: str


def server(settings: AwsSettings, places: Places) -> dict[str, str]:
    """What the gateway and MLflow are told."""
    told = {
        "AWS_DEFAULT_REGION": places.region,
        # Else boto3 signs for S3's global host, which new buckets redirect.
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual",
        # Each open connection keeps the database awake.
        "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
        # The one folder of a container that can be written, for what looks for a home.
        "HOME": TEMPORARY_FOLDER,
        "HEADGATE_EDGE": settings.edge,
        "HEADGATE_HOST": "127.0.0.1",
        "HEADGATE_PORT": str(GATEWAY_PORT),
        "HEADGATE_DATA_DIR": RUN_FOLDER,
        "HEADGATE_ALLOWED_HOSTS": ",".join(places.allowed_hosts),
        "HEADGATE_TRUSTED_PROXIES": "127.0.0.1",
        "HEADGATE_LOG_FORMAT": "json",
        "HEADGATE_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "HEADGATE_UPSTREAM_WAIT_SECONDS": str(_UPSTREAM_WAIT_SECONDS),
        "HEADGATE_BACKEND_STORE_URI": places.database_uri,
        "HEADGATE_DATABASE_USER_SECRET": places.database_user_secret,
        "HEADGATE_DATABASE_CA": DATABASE_CERTIFICATES,
        "HEADGATE_DATABASE_IDLE_SECONDS": str(_DATABASE_IDLE_SECONDS),
        "HEADGATE_ARTIFACTS_DESTINATION": places.artifacts,
        "HEADGATE_PRESIGNED_BYTES": str(PRESIGNED_BYTES),
        "HEADGATE_ADMIN_SECRET": places.admin_secret,
        "HEADGATE_SECRET_KEY_SECRET": places.key_secret,
    }
    if settings.authorizer == "iam":
        told["HEADGATE_IAM_USERS"] = ",".join(settings.iam_users)
    return told | environment_of(settings.server)


def migrate(settings: AwsSettings, places: Places) -> dict[str, str]:
    """What the container that migrates is told: the master's secret too."""
    return server(settings, places) | {"HEADGATE_DATABASE_SECRET": places.database_master_secret}


def nginx(settings: AwsSettings) -> dict[str, str]:
    """What nginx is told: which limits are those of the edge in front of it."""
    return {"HEADGATE_EDGE": settings.edge}
