"""The same work asked for many times at once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Flights(Generic[K, V]):
    """Work that is under way, by key; whoever comes with the same key waits for the same end."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[V]] = {}

    def start(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """The work under this key, begun now if it is not under way."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return task

    async def share(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """What the work returns or raises. A caller who goes away does not take the others'
        answer along."""
        return await asyncio.shield(self.start(key, work))

    async def landed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _land(self, key: K, task: asyncio.Task[V]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # looked at, as by now there may be nobody else to do so
