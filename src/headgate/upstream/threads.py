"""Blocking work beside the loop that need not be waited for at the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable


def in_daemon_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """Run `work` in a thread; a future of its end.

    Unlike asyncio's own threads, neither the loop nor the interpreter waits for this one: a
    connection attempt that hangs must not keep a process that was told to stop.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(fault: BaseException | None) -> None:
        if done.cancelled():
            return
        if fault is None:
            done.set_result(None)
        else:
            done.set_exception(fault)

    def run() -> None:
        fault: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            fault = raised
        # A loop that has ended does not care any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, fault)

    threading.Thread(target=run, daemon=True, name="headgate-migration").start()
    return done
