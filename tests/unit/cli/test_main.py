"""What a person sees when a command cannot do its work."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from tests.unit.cli.conftest import Run


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "error: The disk is full: data/file.\n"),
        (errno.EROFS, "error: The disk is read-only: data/file.\n"),
        (errno.EACCES, "error: Permission denied: data/file.\n"),
    ],
)
def test_a_machine_in_trouble_is_a_sentence_and_exit_code_1(
    number: int, words: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_settings: object) -> None:
        raise OSError(number, "in the system's words", "data/file")

    monkeypatch.setattr("headgate.settings.printing.as_toml", fail)
    result = run("settings")
    assert (result.code, result.out, result.err) == (1, "", words)


def test_what_nobody_foresaw_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_settings: object) -> None:
        raise OSError(errno.ELOOP, "a fault of ours")

    monkeypatch.setattr("headgate.settings.printing.as_toml", fail)
    with pytest.raises(OSError, match="a fault of ours"):
        run("settings")


def test_what_to_do_stands_below_what_happened(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_settings: object) -> None:
        raise HeadgateError("It did not work.", hint="Do this.")

    monkeypatch.setattr("headgate.settings.printing.as_toml", fail)
    assert run("settings").err == "error: It did not work.\n\nDo this.\n"


def test_settings_print_what_headgate_toml_takes(run: Run, folder: Path) -> None:
    first = run("settings", "--port", "5001", "--allowed-hosts", "a.example,b.example")
    assert 'allowed_hosts = ["a.example", "b.example"]\n' in first.out
    (folder / "headgate.toml").write_text(first.out)
    assert run("settings").out == first.out


def test_a_misspelt_variable_is_warned_of_beside_the_data(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_PROT", "5001")
    result = run("settings")
    assert result.code == 0
    assert "warning: HEADGATE_PROT is no setting of Headgate" in result.err
    assert "warning" not in result.out


def test_python_m_headgate_is_the_command(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "headgate", "status"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: No Headgate runs on the data folder")
    assert "Traceback" not in ended.stderr


def test_commands_that_only_talk_import_no_server(folder: Path) -> None:
    modules = subprocess.run(
        [sys.executable, "-c", "import headgate.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"uvicorn", "starlette", "aiohttp", "sqlalchemy", "structlog", "rich", "mlflow"}
    assert not heavy & set(modules)
