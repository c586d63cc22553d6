"""One running Headgate: its data folder, port, log, users and processes.

Everything a test wants to know about a server it started, it asks `HeadgateServer`; the
command line, the environment and the waiting are written down here once.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.harness.waiting import eventually, free_port

SOURCE = Path(__file__).resolve().parents[2] / "src"
LOG_TAIL = 60
TOKENS = "/headgate/api/tokens"


@dataclass(frozen=True, slots=True)
class User:
    """A name and a password, or a token in its place."""

    name: str
    password: str
    token: str | None = None

    def authorization(self) -> str:
        """The value of an `Authorization` header."""
        if self.token is not None:
            return f"Bearer {self.token}"
        pair = f"{self.name}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


ADMIN = User("admin", "the-admin's-long-password")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` have lower-case names; a repeated one holds the last value."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process under test: nothing of MLflow's or ours is inherited."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_", "_MLFLOW", "HEADGATE_", "AWS_"))
    }
    return kept | {"PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"} | dict(extra or {})


def headgate_command(*arguments: str | Path) -> list[str]:
    """The argument list of a `headgate` command, run from the checkout."""
    return [sys.executable, "-m", "headgate", *map(str, arguments)]


def run_headgate(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    prefix: Sequence[str] = (),
    answer: str = "",
    seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself; `prefix` runs it through another program."""
    return subprocess.run(
        [*prefix, *headgate_command(*arguments)],
        env=clean_environment(environment),
        cwd=folder,
        input=answer,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _ends_with_us() -> list[str]:
    """Lets a server end when the test process is killed, where the machine can do that."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


class HeadgateServer:
    """`headgate up` as a process of its own, on a free port.

    `options` are further arguments, `environment` further variables. It runs in `folder`, by
    default the one that the data folder is in, and what it prints is kept there under
    `log_name`. Use it as a context manager.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        folder: Path | None = None,
        log_name: str | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.host = "127.0.0.1"
        self.port = port if port is not None else free_port()
        self.admin = ADMIN
        self.folder = folder or data_dir.parent
        self._options = list(options)
        self._environment = {"HEADGATE_ADMIN_PASSWORD": ADMIN.password} | dict(environment or {})
        name = log_name or data_dir.name
        self._stdout = self.folder / f"{name}.stdout"
        self._stderr = self.folder / f"{name}.stderr"
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}
        self._users: dict[str, User] = {}

    @property
    def url(self) -> str:
        """The address that a client uses."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of `headgate up`."""
        return self._running().pid

    # Starting and stopping

    def start(self) -> Self:
        """Start it without waiting for anything."""
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError("This server runs already.")
        self._seen.clear()
        command = headgate_command(
            "up", "--data-dir", self.data_dir, "--port", str(self.port), *self._options
        )
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*_ends_with_us(), *command],
                env=clean_environment(self._environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return self

    def wait_listening(self, seconds: float = 20) -> Self:
        """Wait until the gateway answers; MLflow may still be starting."""
        eventually(lambda: self._answers("/health"), seconds=seconds, why=self.story)
        return self

    def wait_ready(self, seconds: float = 120) -> Self:
        """Wait until MLflow answers behind the gateway."""
        eventually(lambda: self._answers("/ready"), seconds=seconds, why=self.story)
        self.processes()
        return self

    def interrupt(self) -> None:
        """Ctrl-C: a terminal sends SIGINT to the whole foreground group."""
        self.processes()
        os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        self.processes()
        self._running().send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM, then wait for the whole tree to be gone; the exit code."""
        process = self._running()
        self.processes()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return self.wait_gone(seconds)
        finally:
            self.clear_away()

    def kill(self) -> None:
        """SIGKILL to `headgate up` itself and to nothing else."""
        self.processes()
        self._running().kill()

    def wait_gone(self, seconds: float) -> int:
        """Wait until no process of the tree is left; the exit code of `headgate up`."""
        process = self._running()
        eventually(
            lambda: process.poll() is not None and not self.survivors(),
            seconds=seconds,
            why=lambda: f"Still there: {self.survivors()}. {self.story()}",
        )
        return int(process.returncode)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        if kind is None and self._process.poll() is None:
            self.stop()
        self.clear_away()

    # Looking at it

    def poll(self) -> int | None:
        """The exit code of `headgate up`; None while it runs."""
        return self._running().poll()

    def processes(self) -> list[psutil.Process]:
        """`headgate up` and all below it that live now; remembered for `survivors`."""
        try:
            top = psutil.Process(self.pid)
            tree = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            tree = []
        self._seen |= {process.pid: process for process in tree}
        return [process for process in tree if _alive(process)]

    def mlflow_process(self) -> psutil.Process:
        """The process that serves MLflow."""
        found = [
            process
            for process in self.processes()
            # The guardian above it names the same command.
            if "headgate.mlflow_app:create_app" in (command := " ".join(_command_line(process)))
            and "guardian.py" not in command
        ]
        assert found, f"MLflow does not run. {self.story()}"
        return found[0]

    def mlflow_socket(self) -> Path:
        """The Unix socket that MLflow listens on."""
        command = _command_line(self.mlflow_process())
        return Path(command[command.index("--uds") + 1])

    def survivors(self) -> list[psutil.Process]:
        """Processes once seen in the tree that are alive, whoever is their parent now."""
        return [process for process in self._seen.values() if _alive(process)]

    def stdout(self) -> str:
        """Everything written to standard output so far."""
        return self._stdout.read_text(errors="replace") if self._stdout.exists() else ""

    def stderr(self) -> str:
        """Everything written to standard error so far."""
        return self._stderr.read_text(errors="replace") if self._stderr.exists() else ""

    def story(self) -> str:
        """What a person needs who wonders why a test of this server failed."""
        process = self._process
        state = "was never started"
        if process is not None:
            code = process.poll()
            state = "runs" if code is None else f"ended with exit code {code}"
        lines = [*self.stdout().splitlines()[-20:], *self.stderr().splitlines()[-LOG_TAIL:]]
        return f"headgate up {state}; its last lines:\n" + "\n".join(lines)

    # Talking to it

    def request(
        self,
        method: str,
        path: str,
        *,
        user: User | None = None,
        json_body: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30,
    ) -> Answer:
        """One request on a connection of its own; without `user`, without credentials."""
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = user.authorization()
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            received = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, received, response.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None, *, user: User | None = None) -> Any:
        """An API call that must succeed, as the admin unless `user` says otherwise; its JSON."""
        answer = self.request(method, path, user=user or self.admin, json_body=body)
        assert answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.body!r:.500}"
        return answer.json()

    def user(self, name: str) -> User:
        """An ordinary user of MLflow's auth tables, made when first asked for."""
        if name not in self._users:
            user = User(name, f"{name}'s-long-password")
            self.api(
                "POST",
                "/api/2.0/mlflow/users/create",
                {"username": user.name, "password": user.password},
            )
            self._users[name] = user
        return self._users[name]

    def grant(self, user: User, experiment_id: str, permission: str) -> None:
        """Give a user a permission on an experiment."""
        self.api(
            "POST",
            "/api/3.0/mlflow/users/permissions/grant",
            {
                "username": user.name,
                "resource_type": "experiment",
                "resource_id": experiment_id,
                "permission": permission,
            },
        )

    def create_token(self, user: User, name: str, **wishes: Any) -> User:
        """The same user with a new API token as the credential; see `headgate token create`."""
        made = self.api("POST", TOKENS, {"name": name} | wishes, user=user)
        return User(user.name, user.password, token=made["token"])

    def revoke_tokens(self, user: User, name: str) -> None:
        """Revoke a user's tokens of that name."""
        for token in self.api("GET", TOKENS, user=user)["tokens"]:
            if token["name"] == name:
                self.api("DELETE", TOKENS, {"id": token["id"]}, user=user)

    # Parts

    def _answers(self, path: str) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(self.story())
        return self.request("GET", path, seconds=5).status == 200

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("This server was never started.")
        return self._process

    def clear_away(self) -> None:
        """Leave no process behind, whatever state the test left it in."""
        if self._running().poll() is None:
            self._running().kill()
        self._running().wait(10)
        for process in self.survivors():
            process.kill()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
