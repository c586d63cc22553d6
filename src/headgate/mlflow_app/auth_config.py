"""The settings file of MLflow's auth app, which has no name that could outlive it.

MLflow takes these settings from a file alone. As the database's address may hold a password,
the file is one without a name from the start: whatever ends this process, it is gone with it.
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
    """A private file with `settings`, to which MLflow's variable points, until the block ends."""
    config = ConfigParser()
    # MLflow reads with interpolation, where a percent sign is written twice.
    config["mlflow"] = {name: value.replace("%", "%%") for name, value in settings.items()}
    with tempfile.TemporaryFile("w+") as file:
        config.write(file)
        file.flush()
        file.seek(0)  # where opening the descriptor again shares its position (macOS)
        path = _path_of(file.fileno())
        os.environ[_PATH_VARIABLE] = str(path)
        try:
            yield path
        finally:
            os.environ.pop(_PATH_VARIABLE, None)


def _path_of(descriptor: int) -> Path:
    """By which an open file without a name can be opened once more."""
    of_linux = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    return of_linux if of_linux.exists() else Path(f"/dev/fd/{descriptor}")
