"""MLflow's own answer to "who are you": its basic-auth app, as it comes and with its cache."""

from __future__ import annotations

from typing import ClassVar

from bench.systems.base import PASSWORD, System

CONFIGURATION = """[mlflow]
default_permission = READ
database_uri = sqlite:///basic_auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


class BasicAuth(System):
    """`mlflow server --app-name basic-auth`, with users in an SQLite file as it comes."""

    name: ClassVar[str] = "basic-auth"
    title: ClassVar[str] = "MLflow basic-auth"
    about: ClassVar[str] = (
        "`mlflow server --app-name basic-auth --workers 4` with its default settings"
    )

    def launch(self) -> None:
        """Start it; it makes the admin at its first start."""
        self._run_mlflow_server(
            self.port,
            "--app-name",
            "basic-auth",
            environment=self._settings()
            | {
                "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
                # It signs forms' cookies with it; each worker must know the same.
                "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD[::-1],
            },
        )

    def _settings(self) -> dict[str, str]:
        return {}


class BasicAuthCached(BasicAuth):
    """The same, remembering verified credentials for a minute."""

    name: ClassVar[str] = "basic-auth-cached"
    title: ClassVar[str] = "basic-auth + cache"
    about: ClassVar[str] = "the same with `auth_cache_ttl_seconds = 60`"

    def prepare(self) -> None:
        """Write the file that turns the cache on."""
        text = f"{CONFIGURATION}auth_cache_ttl_seconds = 60\n"
        (self.folder / "basic_auth.ini").write_text(text)

    def _settings(self) -> dict[str, str]:
        return {"MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "basic_auth.ini")}
