"""The database may rest: the gateway lets go of it when nobody asks, and wakes it for who does.

`close_idle` closes idle connections. `Waker` stands before the threads that talk to the
database: a paused one takes half a minute to wake, in which the requests of everybody share one
attempt to connect, wait some time, and are then told to come again; the attempt goes on. So
neither threads nor connections pile up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from headgate.database.idle import Usage
from headgate.errors import unavailable
from headgate.gateway.identity.flights import Flights

WAIT_SECONDS = 20.0
_RETRY_AFTER = 5
# Who was just served by the database need not ask whether it is awake.
_SURELY_AWAKE_SECONDS = 5.0
_LOOKS_PER_LIMIT = 4
_LONGEST_PAUSE = 15.0


class Waker:
    """One wake-up of the database at a time, however many wait for it."""

    def __init__(self, usage: Usage, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._usage = usage
        self._wait_seconds = wait_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="waking")
        self._flights: Flights[None, None] = Flights()

    async def __call__(self) -> None:
        """Return once there is a connection. Raises `ApiError` 503 with `Retry-After` when that
        takes too long, and SQLAlchemy's errors when it fails."""
        if self._usage.has_idle_connection() or self._usage.used_within(_SURELY_AWAKE_SECONDS):
            return
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._flights.share(None, self._connect)
        except TimeoutError:
            raise unavailable(
                "The database is waking up. Try again shortly.", retry_after=_RETRY_AFTER
            ) from None

    def close(self) -> None:
        """Let the thread go."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._touch)

    def _touch(self) -> None:
        # The connection stays in the pool, for those who waited.
        with self._usage.engine.connect():
            pass


async def close_idle(usages: Sequence[Usage], seconds: float) -> None:
    """Close connections that were idle for `seconds`, until cancelled."""
    pause = min(_LONGEST_PAUSE, seconds / _LOOKS_PER_LIMIT)
    while True:
        await asyncio.sleep(pause)
        for usage in usages:
            await asyncio.to_thread(usage.close_if_idle, seconds)
