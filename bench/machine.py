"""What the figures were measured on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mlflow", "SQLAlchemy", "uvicorn", "psycopg", "PyMySQL")


def describe(command: Sequence[str]) -> list[tuple[str, str]]:
    """Names and values, in the order to show them; `command` is what was typed."""
    system = f"{_distribution()}, {platform.system()} {platform.release()}"
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    return [
        ("Command", shlex.join(command).replace("'python -m bench'", "python -m bench", 1)),
        ("When", time.strftime("%Y-%m-%d %H:%M %Z")),
        ("Machine", f"{os.cpu_count()} cores ({_processor()}), {memory} of memory"),
        ("System", system),
        ("Temporary folder", f"on {_file_system(Path(tempfile.gettempdir()))}"),
        ("Load before", f"{os.getloadavg()[0]:.2f} (1 minute); should be near 0"),
        ("Headgate", f"{_headgate()}, commit {_commit()}"),
        ("Python", f"{platform.python_version()}; " + ", ".join(map(_named_package, PACKAGES))),
        ("Programs", f"nginx {_program('nginx', '-v')}, wrk {_program('wrk', '-v')}"),
    ]


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown system")
    except OSError:
        return "unknown system"


def _file_system(folder: Path) -> str:
    """Durable writes on a memory file system cost nothing: a reader must know."""
    holding = [
        part
        for part in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(part.mountpoint)
    ]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype if holding else "unknown"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # An extra that this run may not need.
        return "not installed"


def _headgate() -> str:
    """The version of the checkout, which is what runs, installed or not."""
    text = (ROOT / "src" / "headgate" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else "unknown version"


def _named_package(name: str) -> str:
    return f"{name} {_package(name)}"


def _commit() -> str:
    told = _output("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return told.strip() or "unknown"


def _program(name: str, option: str) -> str:
    found = re.search(r"\d+(?:\.\d+)+", _output(name, option))
    return found[0] if found else "not installed"


def _output(*command: str) -> str:
    """Everything a program prints, wherever it prints its version; empty without the program."""
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError:
        return ""
    return done.stdout + done.stderr
