"""An MLflow that somebody else runs: `headgate serve --upstream unix:/path` or `http://host:port`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

from headgate.errors import SettingsError
from headgate.gateway.upstream import Phase, UpstreamAddress, UpstreamState
from headgate.upstream.health import answers

FRESH_SECONDS = 1.0
_PAUSE = 0.2


def parse_address(text: str) -> UpstreamAddress:
    """The address that `text` means; raises `SettingsError` for anything else."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:").removeprefix("//"))
        if path.is_absolute():
            return UpstreamAddress(path, "http://localhost")
    else:
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            port, parts = None, urlsplit("")
        if parts.scheme == "http" and parts.hostname and parts.path in ("", "/"):
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            if not (parts.query or parts.fragment or parts.username):
                return UpstreamAddress(None, f"http://{host}:{port or 80}")
    raise SettingsError(
        f"upstream: {text!r} cannot be used. Write unix:/path/of/mlflow.sock or http://host:port."
    )


class RemoteUpstream:
    """An `Upstream` that is asked for its health, at most once a second.

    `state` is what was known last; `wait_ready` and `watch` look.
    """

    def __init__(self, address: str) -> None:
        self._address = parse_address(address)
        self._ready_since: float | None = None
        self._was_ready = False
        self._last_stop: str | None = None
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    @property
    def address(self) -> UpstreamAddress:
        """Where it listens."""
        return self._address

    @property
    def state(self) -> UpstreamState:
        """What the last look saw; its process and restarts are not ours to know."""
        ready = self._ready_since
        return UpstreamState(
            phase="ready" if ready is not None else self._phase_without_answer(),
            pid=None,
            restarts=0,
            uptime=time.monotonic() - ready if ready is not None else 0.0,
            last_stop=self._last_stop,
        )

    async def watch(self) -> None:
        """Look again and again, until cancelled, so that `state` is never old."""
        while True:
            await self._is_ready()
            await asyncio.sleep(FRESH_SECONDS)

    async def wait_ready(self, seconds: float) -> bool:
        """Whether it answers, at the latest after `seconds`."""
        deadline = time.monotonic() + seconds
        while not await self._is_ready():
            if time.monotonic() + _PAUSE > deadline:
                return False
            await asyncio.sleep(_PAUSE)
        return True

    async def _is_ready(self) -> bool:
        # One look serves all who wait for it.
        async with self._looking:
            fresh = self._ready_since is not None and (
                time.monotonic() - self._looked_at < FRESH_SECONDS
            )
            if not fresh:
                self._note(await answers(self._address))
            return self._ready_since is not None

    def _note(self, ready: bool) -> None:
        self._looked_at = time.monotonic()
        if not ready:
            if self._ready_since is not None:
                self._last_stop = "it stopped answering /health"
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = self._looked_at
            self._was_ready = True

    def _phase_without_answer(self) -> Phase:
        return "restarting" if self._was_ready else "starting"
