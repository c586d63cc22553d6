"""The `cdk` command line: found or installed, called with lists, its output read as steps.

The lists are pure and are tested as lists. Start at `find_cdk` and `Cdk.deploy`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.aws.handover import REGION_VARIABLE, Handover
from headgate.aws.node import NODE_MEND, Node
from headgate.aws.running import OnLine, run
from headgate.aws.session import Aws
from headgate.errors import HeadgateError

# The command line reads what the library of the extra `aws` writes: not older than this one.
VERSION = "2.1148.1"
APPLICATION = "headgate.aws.stacks"


@dataclass(frozen=True, slots=True)
class Step:
    """A line of progress: a resource of a stack changed its state."""

    stack: str
    count: str
    status: str
    kind: str
    resource: str


@dataclass(frozen=True, slots=True)
class Cdk:
    """A `cdk` that works, as the beginning of a command, and what it runs with."""

    program: tuple[str, ...]
    version: str
    node: Node

    def deploy(
        self,
        stacks: Sequence[str],
        handover: Handover,
        *,
        assembly: Path,
    ) -> list[str]:
        """Deploy stacks and those they need."""
        return [
            *self._with_application("deploy", handover, assembly),
            *("--require-approval", "never", "--progress", "events", "--ci"),
            *stacks,
        ]

    def diff(self, stacks: Sequence[str], handover: Handover, *, assembly: Path) -> list[str]:
        """Show what a deployment would change."""
        return [*self._with_application("diff", handover, assembly), "--ci", *stacks]

    def bootstrap(self, account: str, region: str, *, assembly: Path) -> list[str]:
        """Make what the CDK itself needs in an account and region."""
        command = [*self.program, "bootstrap", "--no-color", "--no-notices", "--ci"]
        return [*command, "--output", str(assembly), f"aws://{account}/{region}"]

    def _with_application(self, verb: str, handover: Handover, assembly: Path) -> list[str]:
        return [
            *(*self.program, verb, "--app", application()),
            *("--output", str(assembly), "--no-color", "--no-notices"),
            *handover.arguments(),
        ]

    def run(
        self, command: Sequence[str], *, what: str, aws: Aws, config: Path | None, on_line: OnLine
    ) -> None:
        """Run one of the lists above, away from any `cdk.json` of the working folder."""
        environment = self.node.environment({**os.environ, **aws.environment()})
        environment[REGION_VARIABLE] = aws.region
        # Ours, wherever it was read: the application runs in another folder.
        if config is not None:
            environment["HEADGATE_CONFIG"] = str(config.absolute())
        with tempfile.TemporaryDirectory(prefix="headgate-cdk-") as folder:
            run(
                command,
                what=what,
                environment=environment,
                on_line=on_line,
                folder=Path(folder),
            )


def application() -> str:
    """The command line that makes the templates."""
    return shlex.join([sys.executable, "-m", APPLICATION])


def find_cdk(node: Node, *, install: bool, on_line: OnLine = lambda line: None) -> Cdk | None:
    """`cdk` from the path if it is new enough, else our own copy, installed now if need be.

    None where it would have to be installed and `install` is false.
    """
    on_path = shutil.which("cdk")
    if on_path is not None:
        version = _version([on_path], node)
        if version is not None and _numbers(version) >= _numbers(VERSION):
            return Cdk((on_path,), version, node)
    script = _own_folder() / "node_modules" / "aws-cdk" / "bin" / "cdk"
    program = (str(node.path), str(script))
    if not script.exists():
        if not install:
            return None
        _install(node, on_line)
    version = _version(program, node)
    if version is None:
        raise HeadgateError(
            f"The cdk command line in {_own_folder()} does not start.",
            hint=f"Delete that folder and try again, or: npm install --global aws-cdk@{VERSION}",
        )
    return Cdk(program, version, node)


def install_command(node: Node, folder: Path) -> list[str]:
    """Install the pinned command line with npm."""
    if node.npm is None:
        raise HeadgateError(
            "npm, which installs the cdk command line, is not installed.", hint=NODE_MEND
        )
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    return [*node.npm, "install", "--prefix", str(folder), *options, f"aws-cdk@{VERSION}"]


def parse_step(line: str) -> Step | None:
    """A line of `--progress events` as a step; None for any other line."""
    parts = [part.strip() for part in line.split("|")]
    if len(parts) < 6 or not re.fullmatch(r"\d+(/\d+)?", parts[1]):
        return None
    stack, count, _, status, kind = parts[:5]
    return Step(stack, count, status, kind, "|".join(parts[5:]))


def _own_folder() -> Path:
    """Where our copy lives: in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "headgate" / f"aws-cdk-{VERSION}"


def _install(node: Node, on_line: OnLine) -> None:
    folder = _own_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: another deployment may look at the same time.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".installing-") as fresh:
        run(
            install_command(node, Path(fresh)),
            what="Installing the cdk command line",
            environment=node.environment(),
            on_line=on_line,
        )
        if not folder.exists():
            shutil.move(fresh, folder)
            Path(fresh).mkdir()


def _version(program: Sequence[str], node: Node) -> str | None:
    try:
        done = subprocess.run(
            [*program, "--version"],
            env=node.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"\d+\.\d+\.\d+", done.stdout.strip())
    return found.group() if done.returncode == 0 and found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
