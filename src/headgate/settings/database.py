"""Where runs, users and artifacts are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator

from headgate.settings.aws_names import SecretName

_DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")


def check_uri(uri: SecretStr) -> SecretStr:
    """Refuse what is no database URI of a kind we serve; the message never holds a password."""
    scheme, separator, rest = uri.get_secret_value().partition("://")
    if not separator or scheme == "file":
        raise ValueError(
            "not a database URI, such as sqlite:///mlflow.db or postgresql://…. A folder of "
            "MLflow's file store becomes a database with `mlflow migrate-filestore`"
        )
    if scheme.partition("+")[0] not in _DATABASES:
        raise ValueError(f"no driver for scheme {scheme!r}. Use sqlite, postgresql or mysql")
    if scheme.startswith("sqlite") and rest in ("", "/", "/:memory:"):
        raise ValueError("an SQLite store needs a file, such as sqlite:///mlflow.db")
    return uri


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite URI; None for another database."""
    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        return None
    return Path(unquote(rest.removeprefix("/").partition("?")[0]))


def sqlite_uri(file: Path) -> str:
    """The URI of an SQLite file."""
    # Only what SQLAlchemy would read as something else: MLflow also takes the path as it stands.
    path = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}"


def absolute_uri(uri: str) -> str:
    """The same database, whatever folder a process works in."""
    file = sqlite_file(uri)
    if file is None or file.is_absolute():
        return uri
    _, question, query = uri.partition("?")
    return f"{sqlite_uri(file.absolute())}{question}{query}"


def check_destination(destination: str) -> str:
    """Refuse an artifact store that is neither a folder nor in S3."""
    scheme, separator, rest = destination.partition("://")
    if separator and (scheme != "s3" or not rest):
        raise ValueError("use a folder or s3://bucket/prefix")
    if not destination.strip():
        raise ValueError("use a folder or s3://bucket/prefix")
    return destination


DatabaseUri = Annotated[SecretStr, AfterValidator(check_uri)]


class DatabaseSettings(BaseModel):
    """MLflow's stores. Database URIs may hold a password, so they print as stars."""

    backend_store_uri: DatabaseUri | None = Field(
        None,
        description="Database of runs and models: sqlite:///path, postgresql://… or mysql://…. "
        "Default: mlflow.db in the data folder.",
    )
    auth_database_uri: DatabaseUri | None = Field(
        None,
        description="Database of users and permissions. Default: the backend store. Name the "
        "basic_auth.db of MLflow's basic-auth app here to keep its users.",
    )
    artifacts_destination: Annotated[str, AfterValidator(check_destination)] | None = Field(
        None,
        description="Folder or s3:// address of the artifacts. Default: the mlartifacts folder "
        "that `mlflow server` left beside an SQLite store, else artifacts in the data folder.",
    )
    presigned_bytes: int = Field(
        0,
        ge=0,
        description="Answer a download of more bytes than this with a redirect to a presigned "
        "address of the S3 bucket; 0: never. API Gateway passes at most 10 MB.",
    )
    database_secret: SecretName | None = Field(
        None,
        description="Secret in AWS Secrets Manager (ARN or name) with the database's "
        "{username, password}, fetched when a connection is made; the URI then names neither. "
        "With database_user_secret, `headgate migrate` alone uses it.",
    )
    database_user_secret: SecretName | None = Field(
        None,
        description="Secret with the {username, password} of a database user with fewer rights, "
        "whom `headgate migrate` makes, and as whom everything else connects.",
    )
    database_ca: Path | None = Field(
        None,
        description="Certificates (PEM) that vouch for the PostgreSQL or MySQL server. TLS is "
        "then required, and certificate and host name are verified.",
    )
    database_idle_seconds: int = Field(
        300,
        ge=0,
        le=86_400,
        description="Close connections to the database that nobody used for this long, the last "
        "one too, so that a serverless database can pause; 0: keep them.",
    )
    database_wake_seconds: int | None = Field(
        None,
        ge=1,
        le=300,
        description="How long connecting to the database may take. Default: 10, and 60 with a "
        "secret of its own, as one that pauses takes that long to wake. Requests wait 20 s of "
        "them, then are told to come again.",
    )

    @field_validator("database_ca")
    @classmethod
    def _certificates_exist(cls, file: Path | None) -> Path | None:
        if file is not None and not file.is_file():
            raise ValueError("there is no such file")
        return file
