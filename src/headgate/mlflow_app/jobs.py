"""MLflow's job runner, started beside the app where `allow_jobs` asks for it.

`mlflow server` starts the runner from its parent process, which we do not have. The runner and
its children watch the process that started them and end within a second of it. Jobs use the
stores directly, as MLflow's own runner lets them: they have no identity that the gateway signs.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_QUEUES = "_MLFLOW_HUEY_STORAGE_PATH"


def start_job_runner() -> None:
    """Start the runner for this process, unless `mlflow server` has started one."""
    if _QUEUES in os.environ:
        return
    from mlflow.server.jobs.utils import _check_requirements, _launch_job_execution_runner

    store = os.environ["_MLFLOW_SERVER_FILE_STORE"]
    _check_requirements(store)
    # In the private folder that MLflow works in; the supervisor removes it after a kill.
    folder = tempfile.mkdtemp(prefix="jobs-", dir=Path.cwd())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_QUEUES] = folder
    addresses = {"MLFLOW_TRACKING_URI": store, "MLFLOW_BACKEND_STORE_URI": store}
    _launch_job_execution_runner(addresses, os.getpid())
