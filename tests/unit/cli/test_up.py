"""The parts of `headgate up`: what it asks, says and leaves for others to find.

That it runs and stops is shown in `tests/e2e` and `tests/faults`, on real processes.
"""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headgate.cli.asking import allowed_to_migrate
from headgate.cli.progress import Held, Progress
from headgate.cli.server_file import read_server_file, server_file
from headgate.cli.serving import addresses, welcome
from headgate.errors import HeadgateError
from headgate.observation import UpstreamReady, UpstreamStarting
from headgate.settings import Settings
from tests.unit.cli.conftest import Run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def old_store(folder: Path) -> Path:
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    connection.close()
    return path


@pytest.mark.parametrize("command", ["up", "migrate", "mlflow"])
def test_an_old_store_is_not_touched_where_nobody_can_be_asked(
    command: str, run: Run, folder: Path
) -> None:
    before = old_store(folder).read_bytes()
    result = run(command, "--backend-store-uri", "sqlite:///mlflow.db")
    assert result.code == 1
    assert "an older MLflow" in result.err
    assert "There is no terminal to answer at, so nothing was changed." in result.err
    assert result.err.endswith("Say yes with --yes.\n")
    assert (folder / "mlflow.db").read_bytes() == before


def test_an_old_store_is_not_touched_after_a_no(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert not allowed_to_migrate("Migrate?", yes=False)
    assert capsys.readouterr().err == "Migrate? [y/N] "


def test_yes_answers_and_nothing_at_stake_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert allowed_to_migrate("Migrate?", yes=False)
    assert allowed_to_migrate("Migrate?", yes=True)
    assert allowed_to_migrate(None, yes=False)


def test_a_folder_that_cannot_be_made_is_a_sentence(run: Run, folder: Path) -> None:
    (folder / "file").touch()
    result = run("up", "--data-dir", "file/below")
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err


def test_wrong_settings_are_wrong_usage(run: Run) -> None:
    result = run("up", "--port", "many", "--host", "0.0.0.0")
    assert result.code == 2
    assert result.err.startswith("error: 2 settings cannot be used:\n")


@pytest.mark.parametrize("address", ["ftp://host", "unix:relative.sock", "http://host/path"])
def test_an_upstream_is_a_socket_or_an_address(address: str, run: Run) -> None:
    result = run("serve", "--port", "0", "--upstream", address)
    assert result.code == 2
    assert "Write unix:/path/of/mlflow.sock or http://host:port." in result.err


# Where it listens


@pytest.mark.parametrize(
    ("flags", "bound", "local", "public"),
    [
        ({}, "http://127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        (
            {"host": "0.0.0.0", "allowed_hosts": ["*.x.org", "mlflow.x.org"]},
            "http://machine:5000",
            "http://127.0.0.1:5000",
            "http://mlflow.x.org:5000",
        ),
        ({"host": "::1"}, "http://[::1]:5000", "http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_clients_are_told_a_name_that_they_can_use(
    flags: dict[str, object], bound: str, local: str, public: str
) -> None:
    assert addresses(Settings(**flags), bound) == (local, public)  # type: ignore[arg-type]  # settings by name


def test_a_running_server_is_found_and_a_stopped_one_is_not(folder: Path) -> None:
    settings = Settings()
    settings.folder().mkdir()
    with server_file(settings, "http://127.0.0.1:5000", "http://mlflow.x.org:5000"):
        found = read_server_file(settings)
        assert found is not None
        assert found.pid == os.getpid()
        assert found.public_url == "http://mlflow.x.org:5000"
        assert stat.S_IMODE(settings.server_file().stat().st_mode) == 0o600
    assert read_server_file(settings) is None


def test_what_a_killed_server_left_behind_is_no_server(folder: Path) -> None:
    settings = Settings()
    settings.folder().mkdir()
    with server_file(settings, "http://127.0.0.1:5000", "http://127.0.0.1:5000"):
        written = settings.server_file().read_text()
    settings.server_file().write_text(written.replace(f'"pid":{os.getpid()}', '"pid":4194304'))
    assert read_server_file(settings) is None
    settings.server_file().write_text(written.replace('"started":1', '"started":2'))
    assert read_server_file(settings) is None
    settings.server_file().write_text("nonsense")
    assert read_server_file(settings) is None


def test_another_users_server_file_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    settings.folder().mkdir()
    with server_file(settings, "http://127.0.0.1:5000", "http://127.0.0.1:5000"):
        monkeypatch.setattr(os, "geteuid", lambda: settings.server_file().stat().st_uid + 1)
        with pytest.raises(HeadgateError, match="belongs to another user"):
            read_server_file(settings)


# What a person sees


@dataclass
class Screen:
    """What reaches the terminal, in order; the log writes at once where the real one gathers."""

    lines: list[str] = field(default_factory=list)

    def progress(self) -> Progress:
        held = Held(lambda line: self.lines.append(line.decode()))
        return Progress(
            lambda event: held(type(event).__name__.encode()),
            held,
            ready=lambda: self.lines.append("welcome"),
        )


def test_without_a_terminal_the_log_tells_the_story_as_it_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    screen = Screen()
    with screen.progress() as progress:
        progress(UpstreamStarting(1))
        assert screen.lines == ["UpstreamStarting"]


def test_in_a_terminal_the_log_waits_until_the_spinner_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    screen = Screen()
    with screen.progress() as progress:
        progress(UpstreamStarting(1))
        assert screen.lines == []
        progress(UpstreamReady(1, 2.5))
        assert screen.lines == ["UpstreamStartingUpstreamReady", "welcome"]
        progress(UpstreamReady(2, 2.5))
        assert screen.lines[2:] == ["UpstreamReady"]


def test_what_was_held_is_told_when_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    screen = Screen()

    def fail() -> None:
        with screen.progress() as progress:
            progress(UpstreamStarting(1))
            raise HeadgateError("The disk is full.")

    with pytest.raises(HeadgateError):
        fail()
    assert screen.lines == ["UpstreamStarting"]


def test_the_welcome_names_the_address_the_user_and_the_passwords_file_not_the_password(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings()
    settings.folder().mkdir()
    settings.admin_password_path().write_text("hunter2hunter2\n")
    with server_file(settings, "http://127.0.0.1:5000", "http://127.0.0.1:5000"):
        welcome(settings)
    out = capsys.readouterr().out
    assert "MLflow is ready at http://127.0.0.1:5000\n" in out
    assert "  user name  admin\n" in out
    assert f"  password   in {settings.admin_password_path()}\n" in out
    assert f'export MLFLOW_TRACKING_PASSWORD="$(cat {settings.admin_password_path()})"' in out
    assert "hunter2" not in out
