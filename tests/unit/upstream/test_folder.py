"""One data folder, one server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.upstream import DataFolder
from tests.harness.server import SOURCE

HOLDER = """
import sys, pathlib
from headgate.upstream import DataFolder
with DataFolder(pathlib.Path(sys.argv[1])) as folder:
    folder.announce("http://127.0.0.1:5000")
    print(flush=True)
    sys.stdin.readline()
"""


def test_a_second_server_says_who_runs_where(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(HeadgateError) as refused, DataFolder(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert f"process {holder.pid}, http://127.0.0.1:5000" in str(refused.value)
    with DataFolder(tmp_path):
        pass


def test_the_folder_is_free_again_after_the_block(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data"):
        pass
    with DataFolder(tmp_path / "data"), pytest.raises(HeadgateError, match="already runs"):
        DataFolder(tmp_path / "data").__enter__()
