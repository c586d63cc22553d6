"""`headgate users` over the API of MLflow."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from headgate.settings import Settings
from tests.unit.cli.conftest import ADMIN_PASSWORD, FakeServer, Run

USERS = "/api/2.0/mlflow/users"
PERMISSIONS = "/api/3.0/mlflow/users/permissions"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_a_user_is_made_with_a_piped_password(run: Run, server: FakeServer) -> None:
    server.will("POST", f"{USERS}/create")
    result = run("users", "add", "alice", "--password-stdin", typed="alice's long password\n")
    assert (result.code, result.out, result.err) == (0, "", "Made the user alice.\n")
    assert server.asked == [
        ("POST", f"{USERS}/create", {"username": "alice", "password": "alice's long password"})
    ]
    assert server.authorizations == [basic("admin", ADMIN_PASSWORD)]


def test_a_generated_password_is_printed_alone_so_that_a_script_can_read_it(
    run: Run, server: FakeServer
) -> None:
    server.will("POST", f"{USERS}/create")
    server.will("PATCH", f"{USERS}/update-admin")
    result = run("users", "add", "bob", "--generate", "--admin")
    assert result.out == server.asked[0][2]["password"] + "\n"
    assert len(result.out) > 20
    assert result.err == "Made the admin bob.\nThis password is not shown again.\n"
    assert server.asked[1][2] == {"username": "bob", "is_admin": True}


def test_a_generated_password_is_not_shown_when_it_is_not_in_force(
    run: Run, server: FakeServer
) -> None:
    server.will("POST", f"{USERS}/create", {"message": "User 'bob' already exists."}, 400)
    result = run("users", "add", "bob", "--generate")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: User 'bob' already exists.\n"


def test_without_a_terminal_a_password_cannot_be_asked_for(run: Run, server: FakeServer) -> None:
    result = run("users", "add", "alice")
    assert result.code == 2
    assert "Use --password-stdin or --generate." in result.err
    assert server.asked == []


def test_a_short_password_is_refused_before_anything_is_sent(run: Run, server: FakeServer) -> None:
    result = run("users", "add", "alice", "--password-stdin", typed="short\n")
    assert result.code == 1
    assert result.err == "error: A password has at least 12 characters.\n"
    assert server.asked == []


def test_users_are_listed(run: Run, server: FakeServer) -> None:
    users = [{"username": "admin", "is_admin": True}, {"username": "alice", "is_admin": False}]
    server.will("GET", f"{USERS}/list", {"users": users})
    assert run("users", "list").out == "NAME   ADMIN\nadmin  yes\nalice  no\n"
    assert '"username": "alice"' in run("users", "list", "--json").out


def test_the_grants_of_a_user_are_listed(run: Run, server: FakeServer) -> None:
    grant = {"permission": "EDIT", "resource_type": "experiment", "resource_pattern": "7"}
    server.will("GET", f"{PERMISSIONS}/list", {"permissions": [grant]})
    assert run("users", "list", "alice").out == (
        "PERMISSION  TYPE        ID\nEDIT        experiment  7\n"
    )


def test_a_grant_names_an_experiment_by_its_name(run: Run, server: FakeServer) -> None:
    server.will(
        "GET", "/api/2.0/mlflow/experiments/get-by-name", {"experiment": {"experiment_id": "7"}}
    )
    server.will("POST", f"{PERMISSIONS}/grant")
    result = run("users", "grant", "alice", "edit", "--experiment", "my churn")
    assert result.err == "alice has EDIT on experiment 7.\n"
    assert server.asked[0][1].endswith("?experiment_name=my+churn")
    assert server.asked[1][2] == {
        "username": "alice",
        "resource_type": "experiment",
        "resource_id": "7",
        "permission": "EDIT",
    }


def test_a_grant_replaces_the_one_before(run: Run, server: FakeServer) -> None:
    there = {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "exists"}
    server.will("POST", f"{PERMISSIONS}/grant", there, 400)
    server.will("POST", f"{PERMISSIONS}/revoke")
    run("users", "grant", "alice", "EDIT", "--model", "churn")
    assert [path for _, path, _ in server.asked] == [
        f"{PERMISSIONS}/grant",
        f"{PERMISSIONS}/revoke",
        f"{PERMISSIONS}/grant",
    ]


@pytest.mark.parametrize(
    "flags", [(), ("--model", "a", "--experiment-id", "1"), ("--resource", "prompt")]
)
def test_a_grant_is_on_exactly_one_thing(
    flags: tuple[str, ...], run: Run, server: FakeServer
) -> None:
    assert run("users", "grant", "alice", "READ", *flags).code == 2
    assert server.asked == []


def test_an_admins_changed_password_is_kept_for_the_other_commands(
    run: Run, server: FakeServer
) -> None:
    server.will("PATCH", f"{USERS}/update-password")
    result = run("users", "passwd", "admin", "--password-stdin", typed="another long password\n")
    assert result.code == 0
    assert server.asked[0][2] == {
        "username": "admin",
        "current_password": ADMIN_PASSWORD,
        "password": "another long password",
    }
    kept = Settings().admin_password_path()
    assert kept.read_text() == "another long password\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_removing_asks_first(run: Run, server: FakeServer) -> None:
    server.will("DELETE", f"{USERS}/delete")
    assert run("users", "remove", "alice", typed="n\n").code == 1
    assert server.asked == []
    assert run("users", "remove", "alice", typed="y\n").code == 0
    assert run("users", "remove", "alice", "--yes").code == 0
    assert len(server.asked) == 2


def test_wrong_credentials_say_where_they_came_from(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.will("GET", f"{USERS}/list", {"message": "Wrong user name or password."}, 401)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "carol")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "carols secret")
    result = run("users", "list")
    assert result.code == 1
    assert result.err == (
        f"error: {server.url} does not let carol in: Wrong user name or password.\n\n"
        "The credentials come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.\n"
    )
    assert "carols secret" not in result.err


def test_the_data_folders_password_is_never_sent_to_another_server(
    run: Run, server: FakeServer
) -> None:
    result = run("users", "list", "--url", server.url)
    assert result.code == 1
    assert "There are no credentials" in result.err
    assert server.asked == []


def test_without_a_running_server_the_sentence_says_so(run: Run, folder: Path) -> None:
    result = run("users", "list")
    assert result.code == 1
    assert result.err == (
        f"error: No Headgate runs on the data folder {folder}/.headgate.\n\n"
        "Start one with `headgate up`, or name another with --data-dir or --url.\n"
    )


def test_a_server_that_is_gone_is_told_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    result = run("users", "list")
    assert result.code == 1
    assert "No Headgate answers at http://127.0.0.1:9: the connection was refused." in result.err
