"""Every command explains itself, with an example, and the reference pages say the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from headgate.cli import app
from tests.unit.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[3]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from commands(child, (*path, name))


COMMANDS = [pytest.param(path, id=" ".join(path)) for path, _ in commands(get_command(app))]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], run: Run) -> None:
    result = run(*path, "--help")
    assert result.code == 0
    assert result.err == ""
    assert "Example" in result.out
    examples = result.out.partition("Example")[2].partition("\n\n")[0]
    assert f"headgate {' '.join(path)}" in examples


@pytest.mark.parametrize("path", COMMANDS)
def test_a_wrong_option_is_wrong_usage(path: tuple[str, ...], run: Run) -> None:
    result = run(*path, "--no-such-option")
    assert result.code == 2
    assert "No such option" in result.err
    assert result.out == ""


def test_a_misspelt_command_is_guessed(run: Run) -> None:
    result = run("usres", "list")
    assert result.code == 2
    assert "Did you mean 'users'?" in result.err


def test_without_a_command_help_is_shown(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert "Usage: headgate" in result.out + result.err


def test_no_password_can_be_an_argument(run: Run) -> None:
    for path, command in commands(get_command(app)):
        names = {name for parameter in command.params for name in parameter.opts}
        assert not {name for name in names if name.endswith("password")}, path


def test_the_reference_pages_are_current() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
