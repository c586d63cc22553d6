"""Connections that nobody uses are closed, the last one too: a serverless database then pauses.

`Usage` knows when an engine was last used; start there. No thread and no timer lives here:
whoever owns the engine asks `close_if_idle` now and then.
"""

from __future__ import annotations

import time

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.pool import QueuePool


class Usage:
    """Watches an engine's connections from now on. May be asked from any thread."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self.engine = engine
        self._used_at = float("-inf")
        for moment in ("checkout", "checkin"):
            event.listen(engine, moment, self._note)

    def used_within(self, seconds: float) -> bool:
        """Whether a connection was handed out or given back in the last `seconds`."""
        return time.monotonic() - self._used_at < seconds

    def has_idle_connection(self) -> bool:
        """Whether somebody who comes now finds a connection."""
        pool = self.engine.pool
        return isinstance(pool, QueuePool) and pool.checkedin() > 0

    def close_if_idle(self, seconds: float) -> bool:
        """Close every connection if none was used for so long; whether there were any. Blocks."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool) or self.used_within(seconds):
            return False
        # Who is connecting at this moment counts as one who has a connection.
        if pool.checkedout() or not pool.checkedin():
            return False
        # Not the engine's `dispose`: it would leave a connection that is just being taken with
        # a pool that nobody looks after any more.
        pool.dispose()
        self._used_at = float("-inf")  # from now on it may fall asleep
        return True

    def _note(self, *_: object) -> None:
        self._used_at = time.monotonic()
