"""moto for what it knows of AWS, stand-ins on PATH for the programs that we start."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.aws.session import Aws
from tests.harness.aws_account import REGION, AwsAccount


@pytest.fixture(scope="session")
def moto_server() -> Iterator[AwsAccount]:
    """One server for all tests."""
    with AwsAccount() as server:
        yield server


@pytest.fixture
def nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working folder, and no credentials, settings or region."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HEADGATE_", "CDK_", "DOMAIN_ID")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def moto(
    moto_server: AwsAccount, nothing_of_this_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> AwsAccount:
    """An AWS account in which nothing is, and an environment that points at it."""
    moto_server.reset()
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    return moto_server


@pytest.fixture
def aws(moto: AwsAccount) -> Aws:
    """Our side of that account."""
    return Aws(REGION)


@dataclass(frozen=True)
class Programs:
    """A folder at the head of PATH with stand-ins that write down how they were called."""

    folder: Path

    def add(self, name: str, script: str = "") -> None:
        """A shell script that logs its arguments, one call a line, before it runs `script`."""
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def log(self) -> Path:
        """Where the calls are written."""
        return self.folder / "calls.log"

    def calls(self) -> list[str]:
        """Every call so far, as a shell would show it."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """No program is on PATH but the system's own and what the test adds."""
    folder = tmp_path / "programs"
    folder.mkdir()
    places = (Path("/bin"), Path("/usr/bin"))
    for name in ("sh", "cat", "echo", "touch", "mkdir", "env"):
        found = next(place / name for place in places if (place / name).exists())
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return Programs(folder)


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("aws", "status")`; `typed` is what comes on standard input."""
    from headgate.cli import main

    def run_command(*arguments: str, typed: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["headgate", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run_command
