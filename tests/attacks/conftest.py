"""Servers that the attacks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.mlflow_alone import MlflowAlone


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowAlone]:
    """MLflow alone, all doors shut."""
    with MlflowAlone(tmp_path_factory.mktemp("mlflow-alone")) as server:
        yield server
