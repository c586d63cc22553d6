"""`headgate doctor`: what it finds, and that it changes nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.cli.conftest import FakeServer, Run

FREE_PORT = "0"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def found(run: Run, *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = run("doctor", "--json", "--port", FREE_PORT, *flags)
    return result.code, {finding["about"]: finding for finding in json.loads(result.out)}


def test_all_is_well_on_a_machine_without_anything(run: Run, folder: Path) -> None:
    code, findings = found(run)
    assert code == 0
    assert {finding["state"] for finding in findings.values()} <= {"ok", "warning"}
    assert set(findings) >= {"python", "headgate", "mlflow", "parser", "folder", "disk", "port"}
    assert list(folder.iterdir()) == []


def test_lines_are_understandable_without_colour(run: Run) -> None:
    result = run("doctor", "--port", FREE_PORT)
    assert "ok       python     3." in result.out
    assert "\x1b" not in result.out


def test_a_port_in_use_names_its_holder(run: Run, taken_port: int) -> None:
    result = run("doctor", "--port", str(taken_port))
    assert result.code == 1
    assert f"wrong    port       Port {taken_port} on 127.0.0.1 is already in use" in result.out
    assert f"(process {os.getpid()})" in result.out
    assert "-> Stop it, or name another port with --port." in result.out


def test_a_running_server_is_no_port_in_use(run: Run, server: FakeServer) -> None:
    _, findings = found(run)
    assert findings["server"]["text"] == f"runs at {server.url} (process {os.getpid()})"
    assert "port" not in findings


def test_a_data_folder_that_others_can_enter_is_wrong(run: Run, folder: Path) -> None:
    (folder / ".headgate").mkdir(mode=0o755)
    code, findings = found(run)
    assert code == 1
    assert findings["folder"]["mend"] == f"chmod 700 {folder}/.headgate"


def test_a_key_that_others_can_read_is_wrong(run: Run, folder: Path) -> None:
    (folder / ".headgate").mkdir(mode=0o700)
    key = folder / ".headgate" / "secret.key"
    key.touch(mode=0o644)
    code, findings = found(run)
    assert code == 1
    assert findings["folder"]["mend"] == f"chmod 600 {key}"


def test_a_file_in_the_place_of_the_data_folder_is_wrong(run: Run, folder: Path) -> None:
    (folder / ".headgate").touch()
    code, findings = found(run)
    assert code == 1
    assert "is no folder" in findings["folder"]["text"]


@pytest.mark.parametrize(("free", "state"), [(10**6, "wrong"), (10**9, "warning"), (10**11, "ok")])
def test_little_disk_space_is_told(
    free: int, state: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    code, findings = found(run)
    assert findings["disk"]["state"] == state
    assert code == (1 if state == "wrong" else 0)


def test_a_missing_parser_is_wrong(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "httptools" else find(name, *more),
    )
    code, findings = found(run)
    assert code == 1
    assert findings["parser"]["mend"] == "pip install httptools"


def test_a_file_that_is_no_database_is_wrong_and_left_alone(run: Run, folder: Path) -> None:
    (folder / "mlflow.db").write_text("this is no database, but it is long enough to be one" * 99)
    before = (folder / "mlflow.db").read_bytes()
    code, findings = found(run, "--backend-store-uri", "sqlite:///mlflow.db")
    assert code == 1
    assert "is not an SQLite database" in findings["database"]["text"]
    assert (folder / "mlflow.db").read_bytes() == before


def test_a_store_of_an_older_mlflow_is_told(run: Run, folder: Path) -> None:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    connection.close()
    code, findings = found(run, "--backend-store-uri", "sqlite:///mlflow.db")
    assert code == 0
    assert findings["database"]["state"] == "warning"
    assert "headgate migrate" in findings["database"]["mend"]


def test_a_newer_store_is_wrong(run: Run, folder: Path) -> None:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    connection.close()
    code, findings = found(run, "--backend-store-uri", "sqlite:///mlflow.db")
    assert code == 1
    assert "a newer MLflow" in findings["database"]["text"]


def test_an_unreachable_database_is_wrong_and_its_password_is_not_shown(run: Run) -> None:
    result = run(
        "doctor",
        "--port",
        FREE_PORT,
        "--backend-store-uri",
        "postgresql://mlflow:hunter2hunter2@127.0.0.1:9/mlflow",
    )
    assert result.code == 1
    assert "wrong    database" in result.out
    assert "hunter2" not in result.out + result.err
