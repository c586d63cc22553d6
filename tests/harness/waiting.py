"""Waiting for what another process does: always for a condition, never for a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

_PAUSE = 0.05


def eventually(
    check: Callable[[], Found], *, seconds: float, why: str | Callable[[], str] = ""
) -> Found:
    """The first truthy answer of `check`; fails with `why` when none came in `seconds`.

    An `OSError` or `AssertionError` of `check` counts as "not yet", and is told if it was the
    last word.
    """
    deadline = time.monotonic() + seconds
    while True:
        trouble: BaseException | None = None
        try:
            found = check()
        except (OSError, AssertionError) as error:
            trouble = error
        else:
            if found:
                return found
        if time.monotonic() > deadline:
            reason = why() if callable(why) else why
            raise AssertionError(f"Not within {seconds:g} s. {reason}") from trouble
        time.sleep(_PAUSE)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
