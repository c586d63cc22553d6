"""What the factory asks for before it imports MLflow."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.mlflow_app import create_app


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "secret.key"
    path.write_text(secrets.token_hex(32))
    monkeypatch.setenv("HEADGATE_SECRET_KEY_FILE", str(path))
    monkeypatch.setenv("_MLFLOW_SGI_NAME", "uvicorn")
    return path


@pytest.mark.usefixtures("key_file")
def test_without_a_key_there_is_no_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_SECRET_KEY_FILE")
    with pytest.raises(HeadgateError, match="HEADGATE_SECRET_KEY_FILE is not set"):
        create_app()


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_without_uvicorn_there_is_no_app(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("_MLFLOW_SGI_NAME", server)
    with pytest.raises(HeadgateError, match="uvicorn only"):
        create_app()


@pytest.mark.usefixtures("key_file")
def test_an_unclear_door_is_no_open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_ALLOW_JOBS", "perhaps")
    with pytest.raises(HeadgateError, match="must be true or false"):
        create_app()


@pytest.mark.usefixtures("key_file")
def test_mlflow_must_not_have_read_its_settings_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.server", sys)
    with pytest.raises(HeadgateError, match="imported before"):
        create_app()
