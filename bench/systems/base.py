"""What a measure may know of a system: where it is, how to sign in, what it runs.

A system works in a folder of its own and stores in a database that it is given. Both are
copied while it is stopped, so nothing in the folder may hold the folder's own path.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from bench.processes import Processes
from tests.harness.server import clean_environment
from tests.harness.waiting import free_port

USER = "admin"
# One for a whole benchmark: a system keeps its users in what is copied.
PASSWORD = secrets.token_urlsafe(24)
LOG_TAIL = 3_000


class System(ABC):
    """One way to run a signed-in MLflow on this machine."""

    name: ClassVar[str]
    title: ClassVar[str]
    # One line for the reader of the table: what exactly was run.
    about: ClassVar[str]

    def __init__(self, folder: Path, database_uri: str) -> None:
        self.folder = folder
        self.database_uri = database_uri
        self.port = free_port()
        self.processes = Processes()
        self.started_at = 0.0

    @property
    def url(self) -> str:
        """The address that clients use."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends to be known."""
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def start(self) -> None:
        """Start it, without waiting; the clock of the start-up measure begins here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self.started_at = time.monotonic()
        self.launch()

    def stop(self) -> None:
        """End every process of it."""
        self.processes.stop()

    def story(self) -> str:
        """The end of what it printed, for whoever wonders what went wrong."""
        return self._log.read_text(errors="replace")[-LOG_TAIL:] if self._log.exists() else ""

    def prepare(self) -> None:
        """Write what it needs in its folder; not part of its start-up time."""
        return

    @abstractmethod
    def launch(self) -> None:
        """Start its processes."""

    # For those who launch

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _run(self, *command: str, environment: dict[str, str] | None = None) -> None:
        self.processes.start(
            command,
            folder=self.folder,
            log=self._log,
            environment=clean_environment(environment),
        )

    def _run_mlflow_server(
        self, port: int, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        """`mlflow server` with four workers, as people start it."""
        address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "4")
        # The database by a variable: its password is nobody's to read in a list of processes.
        chosen = mlflow_environment() | {"MLFLOW_BACKEND_STORE_URI": self.database_uri}
        self._run(
            *(sys.executable, "-m", "mlflow", "server", *address, *options),
            environment=chosen | (environment or {}),
        )


def mlflow_environment() -> dict[str, str]:
    """What keeps MLflow from asking the internet for anything: the same for every system."""
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_MODEL_CATALOG_URI": "",
    }
