"""All settings together, and what follows from them (paths, database URIs)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from headgate.settings.auth import AuthSettings
from headgate.settings.database import DatabaseSettings, absolute_uri, sqlite_file, sqlite_uri
from headgate.settings.limits import DoorSettings, LimitSettings
from headgate.settings.server import ServerSettings, is_loopback

# Headings of help and documentation, in their order, and the settings below each.
GROUPS: dict[str, type[BaseModel]] = {
    "Server": ServerSettings,
    "Stores": DatabaseSettings,
    "Users and sessions": AuthSettings,
    "Limits": LimitSettings,
    "Closed by default": DoorSettings,
}

# `sun_path` holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_LONGEST_SOCKET_PATH = 100


class Settings(
    ServerSettings, DatabaseSettings, AuthSettings, LimitSettings, DoorSettings, BaseSettings
):
    """All settings of one server, checked and fixed; paths as given, derived ones absolute."""

    model_config = SettingsConfigDict(
        env_prefix="HEADGATE_",
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: `load_settings` reads the rest, to know where each value came from."""
        return (init_settings,)

    def backend_uri(self) -> str:
        """The database of runs and models; may hold a password, so never print it."""
        if self.backend_store_uri is None:
            return sqlite_uri(self.folder() / "mlflow.db")
        return absolute_uri(self.backend_store_uri.get_secret_value())

    def auth_uri(self) -> str:
        """The database of users and permissions; may hold a password, so never print it."""
        if self.auth_database_uri is None:
            return self.backend_uri()
        return absolute_uri(self.auth_database_uri.get_secret_value())

    def artifacts(self) -> str:
        """Where artifacts are kept: an absolute folder or an s3:// address."""
        if self.artifacts_destination is None:
            store = sqlite_file(self.backend_uri())
            beside = store.parent / "mlartifacts" if store else None
            made_by_mlflow = self.backend_store_uri is not None and beside and beside.is_dir()
            return str(beside if made_by_mlflow else self.folder() / "artifacts")
        if "://" in self.artifacts_destination:
            return self.artifacts_destination
        return str(Path(self.artifacts_destination).expanduser().absolute())

    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.data_dir.expanduser().absolute()

    def key_path(self) -> Path:
        """The file of the secret key."""
        if self.secret_key_file is None:
            return self.folder() / "secret.key"
        return self.secret_key_file.expanduser().absolute()

    def admin_password_path(self) -> Path:
        """The file that keeps the first user's generated password."""
        return self.folder() / "admin-password"

    def server_file(self) -> Path:
        """The file by which other commands find the running server."""
        return self.folder() / "server.json"

    def run_dir(self) -> Path:
        """The private folder of MLflow's socket, in the data folder where its path is short."""
        inside = self.folder() / "run"
        if len(os.fsencode(inside / "mlflow.sock")) <= _LONGEST_SOCKET_PATH:
            return inside
        name = hashlib.sha256(os.fsencode(self.folder())).hexdigest()[:16]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base) / f"headgate-{os.getuid()}-{name}"

    def serves_tls(self) -> bool:
        """Whether the gateway itself speaks TLS."""
        return self.ssl_certfile is not None

    def listens_beyond_loopback(self) -> bool:
        """Whether other machines can reach the gateway."""
        return not is_loopback(self.host)

    def wake_seconds(self) -> int:
        """How long connecting to the database may take."""
        if self.database_wake_seconds is not None:
            return self.database_wake_seconds
        return 60 if self.database_secret or self.database_user_secret else 10

    def iam_networks(self) -> list[str]:
        """From where the header that names an IAM principal is believed; empty: from nowhere."""
        # No other edge keeps clients from sending that header themselves.
        if not self.iam_users or self.edge != "http-api":
            return []
        return self.iam_peers or self.trusted_proxies

    def cautions(self) -> list[str]:
        """What is allowed but deserves a warning at start."""
        return [*self._listening_cautions(), *self._iam_cautions(), *self._job_cautions()]

    def _job_cautions(self) -> list[str]:
        if self.allow_jobs and (self.database_secret or self.database_user_secret):
            return [
                "allow_jobs: MLflow starts its jobs as processes of its own, which cannot sign in "
                "to the database with a secret; they will fail."
            ]
        return []

    def _iam_cautions(self) -> list[str]:
        if self.iam_users and not self.iam_networks():
            return [
                "iam_users lets nobody in: iam_header is believed with the edge http-api alone, "
                "and from iam_peers."
            ]
        return []

    def _listening_cautions(self) -> list[str]:
        if self.listens_beyond_loopback() and not self.serves_tls() and not self.trusted_proxies:
            return [
                f"Listening on {self.host} without TLS: passwords travel readable. Set "
                "ssl_certfile and ssl_keyfile, or put a TLS proxy in front and name it in "
                "trusted_proxies."
            ]
        return []
