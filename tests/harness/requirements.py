"""Which test groups this machine can run, and what is missing for the others."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

from headgate.aws.node import find_node
from headgate.errors import HeadgateError
from tests.harness.databases import postgresql_programs


def _postgresql() -> str | None:
    if postgresql_programs() is None:
        return "PostgreSQL's server programs are not installed (Debian: postgresql)"
    return _can_hand_over("postgres")


def _mariadb() -> str | None:
    if shutil.which("mariadb-install-db") is None:
        return "MariaDB's server programs are not installed (Debian: mariadb-server)"
    return _can_hand_over("mysql")


def _can_hand_over(owner: str) -> str | None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return f"root cannot start a server as {owner} without setpriv (Debian: util-linux)"
    return None


def _browser() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return None
    return "Chromium is not installed (Debian: chromium)"


def _cdk() -> str | None:
    if importlib.util.find_spec("aws_cdk") is None:
        return "the CDK is not installed (extra `aws`)"
    try:
        find_node()
    except HeadgateError as error:
        return str(error)
    return None


@cache
def _root() -> str | None:
    if not sys.platform.startswith("linux"):
        return "mounts and other users are tried on Linux only"
    if os.geteuid() != 0:
        return "needs root (a small tmpfs, another user)"
    # Root of a container may lack the right to mount.
    can_mount = shutil.which("unshare") and not subprocess.call(["unshare", "--mount", "true"])
    return None if can_mount else "this root may not mount a small tmpfs"


# Marker -> why its tests cannot run here, or None if they can.
REQUIREMENTS: dict[str, Callable[[], str | None]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "browser": _browser,
    "cdk": _cdk,
    "root": _root,
}
