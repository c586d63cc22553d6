"""`python -m headgate.mlflow_app.lingering`: MLflow that outlasts the gateway in front of it.

In a task of its own containers both are told to stop, often at once. The gateway then finishes
what is under way, and may still need MLflow for it. It also asks for `/health` every second as
long as it lives; so, told to stop, this server goes on until nobody has come for some seconds.
A second signal ends it at once. Start at `LingeringServer`.

Everything else is as `headgate.upstream.launch` has uvicorn do it.
"""

from __future__ import annotations

import argparse
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.mlflow_app import create_app

QUIET_SECONDS = 3.0


class Visits:
    """When somebody last came to an application. Uvicorn counts only answers that were taken
    whole, which one to `/health` need not be."""

    def __init__(self) -> None:
        self.last_at = 0.0

    def to(self, app: ASGIApp) -> ASGIApp:
        """The application, watched."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            self.last_at = time.monotonic()
            await app(scope, receive, send)

        return watched


class LingeringServer(uvicorn.Server):
    """Uvicorn, which stops `quiet_seconds` after the last of `visits`, or after
    `longest_seconds`, once it was told to."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        visits: Visits,
        longest_seconds: float,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        super().__init__(config)
        self._visits = visits
        self._longest_seconds = longest_seconds
        self._quiet_seconds = quiet_seconds
        self._told_at: float | None = None
        self._busy_at = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Uvicorn's answer to SIGTERM and SIGINT: the first is noted, the second obeyed."""
        if self._told_at is not None:
            super().handle_exit(sig, frame)
        self._told_at = self._busy_at = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's question, ten times a second: whether to stop now."""
        if self._told_at is not None and self._is_over(self._told_at):
            self.should_exit = True
        return await super().on_tick(counter)

    def _is_over(self, told_at: float) -> bool:
        now = time.monotonic()
        if self.server_state.connections:
            self._busy_at = now
        else:
            self._busy_at = max(self._busy_at, self._visits.last_at)
        return now - self._busy_at >= self._quiet_seconds or now - told_at >= self._longest_seconds


def main() -> None:
    """Serve until told to stop, and then for as long as somebody needs it."""
    options = _parser().parse_args()
    visits = Visits()
    config = uvicorn.Config(
        lambda: visits.to(create_app()),
        factory=True,
        uds=options.uds,
        host=options.host,
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        use_colors=False,
        log_level="warning",
        timeout_keep_alive=options.keep_alive,
        timeout_graceful_shutdown=1,
    )
    LingeringServer(config, visits=visits, longest_seconds=options.linger).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headgate.mlflow_app.lingering")
    parser.add_argument("--uds")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--keep-alive", type=int, required=True)
    parser.add_argument("--linger", type=float, required=True)
    return parser


if __name__ == "__main__":
    main()
