"""The settings file of MLflow's auth app."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.mlflow_app.auth_config import auth_config_file

SETTINGS = {
    "authorization_function": "a:b",
    "database_uri": "mysql://u:p%40ss%%w;#rd@db/x?ssl=1",
    "default_permission": "READ",
    "admin_username": "ann",
}


READ_BY_MLFLOW = """
import json, warnings
warnings.simplefilter("ignore")
from mlflow.server.auth.config import read_auth_config
print(json.dumps(read_auth_config()._asdict()))
"""


def test_mlflow_reads_back_what_was_written() -> None:
    with auth_config_file(**SETTINGS):
        output = subprocess.check_output([sys.executable, "-c", READ_BY_MLFLOW], timeout=60)
    read = json.loads(output)
    assert {name: read[name] for name in SETTINGS} == SETTINGS


def test_the_file_is_private_and_gone_afterwards() -> None:
    with auth_config_file(**SETTINGS) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    assert "MLFLOW_AUTH_CONFIG_PATH" not in os.environ


def test_no_folder_ever_shows_the_file_so_a_kill_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with auth_config_file(**SETTINGS):
        assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_a_failure_too() -> None:
    with pytest.raises(RuntimeError), auth_config_file(**SETTINGS) as path:
        raise RuntimeError
    assert not path.exists()
