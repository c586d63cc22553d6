"""Where runs, users and artifacts are stored."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr


class DatabaseSettings(BaseModel):
    """MLflow's stores. Database URIs may hold a password, so they print as stars."""

    backend_store_uri: SecretStr | None = Field(
        None,
        description="Database of runs and models: sqlite:///path, postgresql://… or mysql://…. "
        "Default: mlflow.db in the data folder.",
    )
    auth_database_uri: SecretStr | None = Field(
        None,
        description="Database of users and permissions. Default: the backend store. Name the "
        "basic_auth.db of MLflow's basic-auth app here to keep its users.",
    )
    artifacts_destination: str | None = Field(
        None,
        description="Folder or s3:// address of the artifacts. Default: artifacts in the data "
        "folder.",
    )
