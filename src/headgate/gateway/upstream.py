"""What the gateway needs to know of the MLflow behind it.

`headgate.upstream.Supervisor` is one that runs MLflow itself; `RemoteUpstream` of
`headgate.upstream.remote` one that somebody else runs (`headgate serve --upstream`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Phase = Literal["migrating", "starting", "ready", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """How MLflow is. `last_stop` says why it ended the last time, for people."""

    phase: Phase
    pid: int | None
    restarts: int
    uptime: float
    last_stop: str | None


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """Where MLflow listens: a Unix socket, or an http base address without path."""

    socket: Path | None
    base_url: str


class Upstream(Protocol):
    """An MLflow that may still be starting."""

    @property
    def address(self) -> UpstreamAddress:
        """Where it listens (once ready)."""
        ...

    @property
    def state(self) -> UpstreamState:
        """How it is now."""
        ...

    async def wait_ready(self, seconds: float) -> bool:
        """Whether it is ready, at the latest after `seconds`."""
        ...
