"""An MLflow that answers what a test wants, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.settings.limits import LimitSettings
from tests.harness.door import Door
from tests.harness.proxied import ProxyApp
from tests.harness.raw_upstream import RawUpstream


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[RawUpstream]:
    with RawUpstream(tmp_path / "mlflow.sock") as listening:
        yield listening


@pytest.fixture
def app(upstream: RawUpstream) -> ProxyApp:
    return ProxyApp(upstream, LimitSettings(request_seconds=1, upstream_wait_seconds=5))


@pytest.fixture
def door(app: ProxyApp) -> Iterator[Door]:
    with Door(app) as opened:
        yield opened
