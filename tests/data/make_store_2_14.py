"""Makes the store that MLflow 2.14.2 left behind, as tests/e2e/test_existing_store.py serves it.

Run it in an empty folder, with an interpreter that has that MLflow, never in the project's own
environment:

    python3 -m venv old
    old/bin/pip install 'mlflow==2.14.2' 'numpy<2' 'setuptools<81' 'sqlalchemy<2.1'
    old/bin/python make_store_2_14.py store-2.14

It runs a plain `mlflow server` in that folder, as its users did, and logs through it. One
experiment is older than the server: it was logged on the file itself, so its artifacts have an
absolute path. In the database that we keep, @FOLDER@ stands for the folder in such paths, and
what tells about the machine is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stores = ["--backend-store-uri=sqlite:///mlflow.db", "--artifacts-destination=./mlartifacts"]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", f"--port={port}", "--workers=1", *stores],
        cwd=folder,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/health")
        os.environ["MLFLOW_TRACKING_URI"] = url
        os.environ["MLFLOW_TRACKING_USERNAME"] = "grace"
        log_everything()
    finally:
        # The whole group: `mlflow server` does not end its gunicorn.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    os.chdir(folder)
    log_without_server()
    forget_this_machine()


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("mlflow server did not start")


def log_everything() -> None:
    """Runs, a nested run, histories, artifacts, a registered model, a deleted run."""
    import mlflow
    from sklearn.linear_model import LinearRegression

    client = mlflow.MlflowClient()
    mlflow.set_experiment("wine")
    with mlflow.start_run(run_name="forest") as run:
        mlflow.log_params({"depth": 3, "criterion": "gini"})
        mlflow.set_tag("stage", "final")
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"accuracy": 0.75, "nothing": float("nan"), "all": float("inf")})
        mlflow.log_text("An artifact of 2.14.", "notes/readme.txt")
        with mlflow.start_run(run_name="fold 1", nested=True):
            mlflow.log_metric("accuracy", 0.5)
    with mlflow.start_run(run_name="model"):
        mlflow.sklearn.log_model(
            LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]),
            "model",
            registered_model_name="doubled",
            pip_requirements=["scikit-learn"],
        )
    client.set_registered_model_alias("doubled", "champion", "1")
    client.set_model_version_tag("doubled", "1", "checked", "yes")
    with mlflow.start_run(run_name="mistake") as mistake:
        mlflow.log_metric("accuracy", -1)
    client.delete_run(mistake.info.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")


def log_without_server() -> None:
    """A run as of someone who worked on the file itself, before there was a server."""
    import mlflow

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    experiment = mlflow.create_experiment("older", artifact_location="./mlruns/older")
    with mlflow.start_run(experiment_id=experiment, run_name="by file"):
        mlflow.log_metric("accuracy", 0.25)
        mlflow.log_text("Written without a server.", "note.txt")


def forget_this_machine() -> None:
    """Replace paths of this machine, and keep no trace of them in free pages either."""
    here = os.getcwd()
    database = sqlite3.connect("mlflow.db")
    database.execute(
        "UPDATE experiments SET artifact_location = replace(artifact_location, ?, '@FOLDER@')",
        (here,),
    )
    database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, '@FOLDER@')", (here,))
    database.execute("UPDATE tags SET value = 'train.py' WHERE key = 'mlflow.source.name'")
    database.execute("DELETE FROM tags WHERE key = 'mlflow.source.git.commit'")
    database.commit()
    database.execute("VACUUM")
    database.close()


if __name__ == "__main__":
    main()
