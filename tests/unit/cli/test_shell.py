"""`headgate env`, `credentials`, `open`, and how a shell, a person, a browser get here."""

from __future__ import annotations

import subprocess
import webbrowser

import pytest

from headgate.cli.shell import export
from headgate.settings import Settings
from tests.unit.cli.conftest import ADMIN_PASSWORD, FakeServer, Run

STRANGE = 'it\'s $HOME `id` "quoted" \\ ü; rm -rf /'


def test_env_prints_lines_that_a_shell_evaluates(run: Run, server: FakeServer) -> None:
    result = run("env")
    script = f'{result.out}\nprintf "%s\\n" "$MLFLOW_TRACKING_URI" "$MLFLOW_TRACKING_PASSWORD"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == f"{server.url}\n{ADMIN_PASSWORD}\n"
    assert result.err == ""


def test_env_gives_the_credentials_that_the_shell_has_already(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    assert run("env").out == (
        f"export MLFLOW_TRACKING_URI={server.url}\nexport MLFLOW_TRACKING_TOKEN=a-token\n"
    )


def test_no_value_breaks_out_of_its_quotes() -> None:
    script = export("STRANGE", STRANGE, "bash") + '\nprintf %s "$STRANGE"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == STRANGE


def test_other_shells_have_other_quotes() -> None:
    assert export("A", "it's\\", "fish") == "set -gx A 'it\\'s\\\\'"
    assert export("A", "it's", "powershell") == "$Env:A = 'it''s'"


def test_credentials_are_shown_whether_or_not_the_server_runs(run: Run) -> None:
    settings = Settings()
    settings.folder().mkdir()
    settings.admin_password_path().write_text(ADMIN_PASSWORD + "\n")
    result = run("credentials")
    assert result.out == f"username: admin\npassword: {ADMIN_PASSWORD}\n"


def test_a_password_that_is_not_kept_cannot_be_shown(run: Run) -> None:
    result = run("credentials")
    assert result.code == 1
    assert "No password is kept in" in result.err
    assert "HEADGATE_ADMIN_PASSWORD" in result.err


def test_open_opens_the_sign_in_page(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert run("open").code == 0
    assert opened == [f"{server.url}/headgate/sign-in"]


def test_where_no_browser_starts_the_address_is_told(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    result = run("open")
    assert result.code == 1
    assert f"{server.url}/headgate/sign-in" in result.err
