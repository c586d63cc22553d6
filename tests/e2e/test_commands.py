"""The commands that talk to a running server, against a real one."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.harness import HeadgateServer, User
from tests.harness.server import run_headgate

PASSWORD = "a password of many words"


class Shell:
    """A person at a terminal in the folder of the server, as the admin unless told otherwise."""

    def __init__(self, server: HeadgateServer) -> None:
        self._server = server

    def tries(
        self, *arguments: str, answer: str = "", user: User | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        who = user or self._server.admin
        environment = (
            {"MLFLOW_TRACKING_TOKEN": who.token}
            if who.token
            else {"MLFLOW_TRACKING_USERNAME": who.name, "MLFLOW_TRACKING_PASSWORD": who.password}
        )
        return run_headgate(
            *arguments,
            "--data-dir",
            self._server.data_dir,
            environment=environment,
            folder=self._server.folder,
            answer=answer,
        )

    def runs(self, *arguments: str, answer: str = "", user: User | None = None) -> str:
        """Run a command that must succeed; what it printed."""
        ended = self.tries(*arguments, answer=answer, user=user)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture
def shell(sqlite_server: HeadgateServer) -> Shell:
    return Shell(sqlite_server)


def test_the_life_of_a_user(shell: Shell, sqlite_server: HeadgateServer) -> None:
    experiment = sqlite_server.api(
        "POST", "/api/2.0/mlflow/experiments/create", {"name": "of the commands"}
    )["experiment_id"]
    rename = {"experiment_id": experiment, "new_name": "renamed"}

    generated = shell.runs("users", "add", "dora", "--generate").strip()
    dora = User("dora", generated)
    assert "dora" in shell.runs("users", "list")

    def tries_to_rename() -> int:
        return sqlite_server.request(
            "POST", "/api/2.0/mlflow/experiments/update", user=dora, json_body=rename
        ).status

    assert tries_to_rename() == 403
    shell.runs("users", "grant", "dora", "read", "--experiment", "of the commands")
    shell.runs("users", "grant", "dora", "edit", "--experiment", "of the commands")
    assert tries_to_rename() == 200
    grants = json.loads(shell.runs("users", "list", "dora", "--json"))
    assert [(grant["permission"], grant["resource_pattern"]) for grant in grants] == [
        ("EDIT", experiment)
    ]
    shell.runs("users", "revoke", "dora", "--experiment-id", experiment)
    assert tries_to_rename() == 403

    shell.runs("users", "grant", "dora", "--admin")
    assert tries_to_rename() == 200
    shell.runs("users", "revoke", "dora", "--admin")
    shell.runs("users", "passwd", "dora", "--password-stdin", answer=f"{PASSWORD}\n")
    assert shell.runs("token", "list", user=User("dora", PASSWORD)).startswith("ID")

    shell.runs("users", "remove", "dora", "--yes")
    assert "dora" not in shell.runs("users", "list")


def test_a_user_changes_their_own_password(shell: Shell) -> None:
    shell.runs("users", "add", "erik", "--password-stdin", answer=f"{PASSWORD}\n")
    erik = User("erik", PASSWORD)
    changed = f"{PASSWORD} and more"
    shell.runs("users", "passwd", "erik", "--password-stdin", answer=f"{changed}\n", user=erik)
    assert shell.runs("token", "list", user=User("erik", changed)).startswith("ID")
    shell.runs("users", "remove", "erik", "--yes")


def test_the_life_of_a_token(shell: Shell) -> None:
    made = shell.runs("token", "create", "--name", "nightly", "--days", "1", "--read-only").strip()
    assert "nightly" in shell.runs("token", "list", user=User("admin", "", token=made))
    identifier = next(
        token["id"]
        for token in json.loads(shell.runs("token", "list", "--json"))
        if token["name"] == "nightly"
    )
    shell.runs("token", "revoke", identifier)
    refused = shell.tries("token", "revoke", identifier)
    assert refused.returncode == 1
    assert refused.stderr == "error: There is no token with this id.\n"


def test_a_shell_is_pointed_here(shell: Shell, sqlite_server: HeadgateServer) -> None:
    lines = shell.runs("env")
    asked = subprocess.run(
        [
            "sh",
            "-c",
            f"{lines}\n"
            'exec curl -sf -u "$MLFLOW_TRACKING_USERNAME:$MLFLOW_TRACKING_PASSWORD" '
            '"$MLFLOW_TRACKING_URI/api/2.0/mlflow/users/current"',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(asked.stdout)["user"]["username"] == sqlite_server.admin.name


def test_the_status_tells_what_runs(shell: Shell, sqlite_server: HeadgateServer) -> None:
    status = json.loads(shell.runs("status", "--json"))
    assert status["url"] == sqlite_server.url
    assert status["upstream"]["phase"] == "ready"
    assert {"gateway", "mlflow"} <= {process["role"] for process in status["processes"]}
    assert "TABLE" in shell.runs("status")


def test_the_doctor_finds_a_running_server_well(
    shell: Shell, sqlite_server: HeadgateServer
) -> None:
    found = {finding["about"]: finding for finding in json.loads(shell.runs("doctor", "--json"))}
    assert f"runs at {sqlite_server.url}" in found["server"]["text"]
    assert "is up to date" in found["database"]["text"]
    assert "is up to date" in found["users"]["text"]


def test_wrong_credentials_are_a_sentence(shell: Shell) -> None:
    ended = shell.tries("users", "list", user=User("admin", "not the password"))
    assert ended.returncode == 1
    assert "does not let admin in" in ended.stderr
    assert "Traceback" not in ended.stderr
