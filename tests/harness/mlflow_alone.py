"""MLflow as the gateway runs it, without the gateway: our app of it on a Unix socket.

`MlflowAlone` signs each request as the gateway does, so that a test can be anybody.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from headgate import assertion, keys
from tests.harness.server import Answer, clean_environment
from tests.harness.waiting import eventually

ADMIN_NAME = "admin"
ADMIN_PASSWORD = "the-admin's-long-password"


class MlflowAlone:
    """One process with a SQLite database and artifacts in `folder`; a context manager."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.artifacts = folder / "artifacts"
        # A socket's path may have some hundred characters, a test's folder is longer.
        self._sockets = tempfile.TemporaryDirectory(prefix="hg-")
        self.socket = Path(self._sockets.name) / "mlflow.sock"
        self.log = folder / "mlflow.log"
        folder.mkdir(parents=True, exist_ok=True)
        key = keys.load_or_create_key(folder / "secret.key")
        self.identity_key = keys.derive(key, "identity")
        self.environment = clean_environment(self._settings() | dict(environment or {}))
        self._process: subprocess.Popen[bytes] | None = None

    def _settings(self) -> dict[str, str]:
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(ADMIN_PASSWORD)
        database = f"sqlite:///{self.folder}/mlflow.db"
        return {
            "_MLFLOW_SERVER_FILE_STORE": database,
            "_MLFLOW_SERVER_REGISTRY_STORE": database,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.artifacts),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "HEADGATE_AUTH_DATABASE_URI": database,
            "HEADGATE_SECRET_KEY_FILE": str(self.folder / "secret.key"),
            "HEADGATE_ADMIN_USERNAME": ADMIN_NAME,
            "HEADGATE_ADMIN_PASSWORD_FILE": str(password_file),
        }

    def __enter__(self) -> Self:
        subprocess.run(
            [sys.executable, "-m", "headgate.mlflow_app.migrate"],
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=120,
        )
        return self.start()

    def start(self) -> Self:
        """Start it on a migrated database and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "--uds", str(self.socket), "--factory"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--no-proxy-headers", "headgate.mlflow_app:create_app"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            eventually(
                lambda: self.request("GET", "/health", user=None).status == 200,
                seconds=90,
                why=self.log.read_text,
            )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._sockets.cleanup()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def children(self) -> list[psutil.Process]:
        """The processes that MLflow has started."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def request(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        user: str | None = ADMIN_NAME,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request as `user`; None sends no identity. A body that is no bytes goes as JSON."""
        sent = dict(headers or {})
        if user is not None:
            sent[assertion.HEADER] = self.signed(method, target, user)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        try:
            connection.sock.connect(str(self.socket))
            connection.request(method, target, body=data, headers=sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def signed(self, method: str, target: str, user: str) -> str:
        """The identity that the gateway would send with such a request."""
        return assertion.sign(
            self.identity_key,
            username=user,
            method=method,
            raw_target=target.encode(),
            now=time.time(),
        )

    def call(self, method: str, target: str, body: object = None, *, user: str = ADMIN_NAME) -> Any:
        """The JSON of an answer that must be a success."""
        answer = self.request(method, target, body, user=user)
        assert answer.status < 300, (method, target, answer.status, answer.body[:2000])
        return answer.json() if answer.body else None

    def new_user(self, prefix: str) -> str:
        """Make an ordinary user; their name."""
        name = f"{prefix}-{secrets.token_hex(8)}"
        password = secrets.token_urlsafe(16)
        self.call("POST", "/api/2.0/mlflow/users/create", {"username": name, "password": password})
        return name
