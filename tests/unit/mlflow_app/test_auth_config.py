"""The settings file of MLflow's auth app."""

from __future__ import annotations

import os
import stat

import pytest
from mlflow.server.auth.config import read_auth_config

from headgate.mlflow_app.auth_config import auth_config_file

SETTINGS = {
    "authorization_function": "a:b",
    "database_uri": "mysql://u:p%40ss%%w;#rd@db/x?ssl=1",
    "default_permission": "READ",
    "admin_username": "ann",
}


def test_mlflow_reads_back_what_was_written() -> None:
    with auth_config_file(**SETTINGS):
        read = read_auth_config()
    assert {name: getattr(read, name) for name in SETTINGS} == SETTINGS


def test_the_file_is_private_and_gone_afterwards() -> None:
    with auth_config_file(**SETTINGS) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    assert "MLFLOW_AUTH_CONFIG_PATH" not in os.environ


def test_it_is_gone_after_a_failure_too() -> None:
    with pytest.raises(RuntimeError), auth_config_file(**SETTINGS) as path:
        raise RuntimeError
    assert not path.exists()
