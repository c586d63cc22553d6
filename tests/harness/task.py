"""The containers of one task in AWS as processes: migrate, then mlflow and gateway.

Commands and environment are those of the task definition; AWS is moto, Aurora a database of
this machine.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.harness.databases import PASSWORD
from tests.harness.moto import Moto
from tests.harness.server import (
    HeadgateServer,
    User,
    clean_environment,
    headgate_command,
    run_headgate,
)
from tests.harness.waiting import eventually, free_port


def without_user(uri: str) -> str:
    """The same database, but nobody who signs in."""
    if uri.startswith("sqlite"):
        return uri
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Task:
    """One task on the database at `uri`; a context manager that migrates and starts it all.

    `secrets` and `bucket` are shared by giving the same `Cloud` to several tasks.
    """

    def __init__(
        self, folder: Path, cloud: Cloud, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.cloud = cloud
        self.port = free_port()
        # A socket's path may have some hundred characters, a test's folder is longer.
        self.socket = Path(tempfile.gettempdir()) / f"hg-{secrets.token_hex(8)}.sock"
        self._environment = dict(environment or {})
        self.gateway: subprocess.Popen[bytes] | None = None
        self.mlflow: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, container: str) -> dict[str, str]:
        """What a container of the task is told."""
        told = self.cloud.environment() | {
            "HEADGATE_DATA_DIR": str(self.folder / container),
            "HEADGATE_PORT": str(self.port),
            "HEADGATE_LOG_FORMAT": "text",
        }
        if container == "migrate":
            told["HEADGATE_DATABASE_SECRET"] = self.cloud.master_secret
        return told | self._environment

    def migrate(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the init container to its end."""
        return run_headgate(
            "migrate", "--yes", *options, environment=self.environment("migrate"), seconds=180
        )

    def start(self) -> Self:
        """Start the containers that stay."""
        self.mlflow = self._spawn("mlflow", "mlflow", "--listen", f"unix:{self.socket}")
        self.gateway = self._spawn("gateway", "serve", "--upstream", f"unix:{self.socket}")
        return self

    def wait_ready(self, seconds: float = 120) -> Self:
        """Wait until MLflow answers behind the gateway."""
        eventually(
            lambda: self.client().request("GET", "/ready", seconds=5).status == 200,
            seconds=seconds,
            why=self.story,
        )
        return self

    def client(self) -> HeadgateServer:
        """Something to send requests with, as the tests of a local server do."""
        known = HeadgateServer(self.folder / "client", port=self.port)
        known.admin = self.cloud.admin()
        return known

    def __enter__(self) -> Self:
        done = self.migrate()
        assert done.returncode == 0, done.stderr
        return self.start().wait_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in (self.gateway, self.mlflow):
            if process is not None and process.poll() is None:
                process.terminate()
        for process in (self.gateway, self.mlflow):
            if process is not None:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        self.socket.unlink(missing_ok=True)

    def story(self) -> str:
        """What the containers said last."""
        logs = [self.folder / f"{container}.log" for container in ("mlflow", "gateway")]
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in logs if log.exists())

    def _spawn(self, container: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{container}.log").open("ab") as log:
            return subprocess.Popen(
                headgate_command(*command),
                env=clean_environment(self.environment(container)),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class Cloud:
    """What the tasks of one installation share: database, secrets, bucket."""

    def __init__(self, moto: Moto, uri: str, *, ca: Path | None = None) -> None:
        self.moto = moto
        self.uri = without_user(uri)
        self.ca = ca
        name = secrets.token_hex(4)
        self.bucket = f"mlflow-{name}"
        moto.client("s3").create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        self.user = f"mlflow_{name}"
        self.user_password = secrets.token_urlsafe(24)
        self.admin_password = secrets.token_urlsafe(24)
        self.master_secret = moto.make_secret(f"master-{name}", "headgate", PASSWORD)
        self.user_secret = moto.make_secret(f"user-{name}", self.user, self.user_password)
        self.admin_secret = moto.make_secret(f"admin-{name}", "admin", self.admin_password)
        self.key = secrets.token_urlsafe(48)
        self.key_secret = moto.make_text_secret(f"key-{name}", self.key)

    def admin(self) -> User:
        """The admin with the password of the start."""
        return User("admin", self.admin_password)

    def environment(self) -> dict[str, str]:
        """What every container of a task is told."""
        told = {
            "HEADGATE_BACKEND_STORE_URI": self.uri,
            "HEADGATE_DATABASE_USER_SECRET": self.user_secret,
            "HEADGATE_ADMIN_SECRET": self.admin_secret,
            "HEADGATE_SECRET_KEY_SECRET": self.key_secret,
            "HEADGATE_ARTIFACTS_DESTINATION": f"s3://{self.bucket}/artifacts",
            "HEADGATE_TRUSTED_PROXIES": "127.0.0.1",
            "HEADGATE_EDGE": "http-api",
            "HEADGATE_PRESIGNED_BYTES": "100000",
            "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",  # moto has one host for all buckets
        }
        if self.ca is not None:
            told["HEADGATE_DATABASE_CA"] = str(self.ca)
        return self.moto.environment() | told
