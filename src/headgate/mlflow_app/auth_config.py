"""The settings file of MLflow's auth app, which exists only while MLflow reads it.

MLflow takes these settings from a file alone. As the database's address may hold a password,
the file is private and gone once `mlflow.server.auth` is imported.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

_PATH_VARIABLE = "MLFLOW_AUTH_CONFIG_PATH"


@contextmanager
def auth_config_file(**settings: str) -> Iterator[Path]:
    """A 0600 file with `settings`, to which MLflow's variable points, until the block ends."""
    config = ConfigParser()
    # MLflow reads with interpolation, where a percent sign is written twice.
    config["mlflow"] = {name: value.replace("%", "%%") for name, value in settings.items()}
    descriptor, name = tempfile.mkstemp(prefix="headgate-auth-", suffix=".ini")
    try:
        with os.fdopen(descriptor, "w") as file:
            config.write(file)
        os.environ[_PATH_VARIABLE] = name
        yield Path(name)
    finally:
        os.environ.pop(_PATH_VARIABLE, None)
        Path(name).unlink()
