"""What `/headgate/api/status` tells an administrator, and `headgate status` prints.

Looking costs some milliseconds of database and kernel time, so a look is remembered for five
seconds and happens on a thread. Start at `Status.report`.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy

from headgate import __version__
from headgate.database.sizes import measure
from headgate.gateway.metrics import Metrics
from headgate.gateway.upstream import Upstream

REMEMBERED_SECONDS = 5.0
Report = dict[str, Any]


class Status:
    """Looks at everything that is ours. `artifacts` is a folder or an address."""

    def __init__(
        self, *, upstream: Upstream, metrics: Metrics, engine: sqlalchemy.Engine, artifacts: str
    ) -> None:
        self._upstream = upstream
        self._metrics = metrics
        self._engine = engine
        self._artifacts = artifacts
        self._started = time.monotonic()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._looked: Report = {}

    async def report(self) -> Report:
        """The state now; sizes may be five seconds old. Holds no secret."""
        async with self._looking:
            if time.monotonic() - self._looked_at > REMEMBERED_SECONDS:
                self._looked = await asyncio.to_thread(self._look)
                self._looked_at = time.monotonic()
        state = self._upstream.state
        return {
            "versions": _versions(),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "upstream": {
                "phase": state.phase,
                "pid": state.pid,
                "restarts": state.restarts,
                "uptime_seconds": round(state.uptime, 1),
                "last_stop": state.last_stop,
            },
            "requests": self._metrics.request_counts(),
            "errors_last_minute": self._metrics.errors_within(60),
            **self._looked,
        }

    def _look(self) -> Report:
        return {
            "processes": _processes(self._upstream.state.pid),
            "database": self._database(),
            "artifacts": _space(self._artifacts),
        }

    def _database(self) -> Report:
        about: Report = {
            "kind": self._engine.dialect.name,
            "address": self._engine.url.render_as_string(hide_password=True).partition("?")[0],
        }
        try:
            return about | asdict(measure(self._engine))
        except sqlalchemy.exc.SQLAlchemyError as error:
            # The class alone: the message may repeat an address with its password.
            return about | {"fault": type(error).__name__}


def _versions() -> dict[str, str | None]:
    try:
        mlflow = version("mlflow")
    except PackageNotFoundError:
        mlflow = None
    return {"headgate": __version__, "mlflow": mlflow, "python": platform.python_version()}


def _processes(upstream_pid: int | None) -> list[Report]:
    """Ours, and MLflow's with what it started, where it runs on this machine."""
    found = [_describe(psutil.Process(), "gateway")]
    if upstream_pid is not None:
        try:
            root = psutil.Process(upstream_pid)
            found.append(_describe(root, "mlflow"))
            found += [_describe(child, "mlflow's") for child in root.children(recursive=True)]
        except psutil.Error:
            pass  # It ended while we looked; the phase tells.
    return found


def _describe(process: psutil.Process, role: str) -> Report:
    with process.oneshot():
        return {
            "role": role,
            "pid": process.pid,
            "resident_bytes": process.memory_info().rss,
            "cpu_seconds": round(sum(process.cpu_times()[:2]), 2),
            "threads": process.num_threads(),
        }


def _space(destination: str) -> Report:
    if "://" in destination:
        return {"destination": destination}
    # Before the first artifact the folder may not be there yet.
    folder = next(
        (place for place in (Path(destination), *Path(destination).parents) if place.is_dir()), None
    )
    if folder is None:
        return {"destination": destination}
    usage = shutil.disk_usage(folder)
    return {"destination": destination, "free_bytes": usage.free, "disk_bytes": usage.total}
