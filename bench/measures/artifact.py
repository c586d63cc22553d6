"""One large artifact, up and down over one connection.

The sender is a blocking loop over one-megabyte blocks that are already in memory, and takes
some hundredths of a second for 256 MB by itself; how busy it was is measured each time.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from bench.load.client import BLOCK_BYTES, connection
from bench.measures.base import Reading, Row, Scene

LIMIT_SECONDS = 600
BUSY_SHARE = 0.8


class Artifact:
    """Random bytes, compared after the way back."""

    name: ClassVar[str] = "artifact"

    def readings(self, scene: Scene) -> Iterator[Reading]:
        """Megabytes (10^6 bytes) a second, up and down."""
        megabytes = scene.sizes.artifact_megabytes
        content = os.urandom(megabytes * 1_000_000)
        up = Row(f"artifact of {megabytes} MB, up", "MB/s", "more")
        down = Row(f"artifact of {megabytes} MB, down", "MB/s", "more")
        # What earlier measures left to be written must not slow this one.
        os.sync()
        sent = _timed(up, megabytes, lambda: _put(scene, content))
        yield sent
        if sent.fault:
            yield Reading(down, 0, fault="it could not be sent up")
            return
        os.sync()
        received = bytearray(len(content))
        reading = _timed(down, megabytes, lambda: _get(scene, received))
        if not reading.fault and received != content:
            reading = Reading(down, 0, fault="other bytes came back than were sent")
        yield reading


def _timed(row: Row, megabytes: int, transfer: Callable[[], str]) -> Reading:
    """Time a transfer that tells what went wrong with it, if anything."""
    began, used = time.monotonic(), time.thread_time()
    try:
        fault = transfer()
    except (OSError, http.client.HTTPException) as trouble:
        # Such as an upload that is refused while it is being sent.
        fault = f"the connection broke: {trouble!r}"
    seconds = time.monotonic() - began
    share = (time.thread_time() - used) / seconds
    busy = f"the sender itself used {share:.0%} of a core" if share > BUSY_SHARE else ""
    return Reading(row, megabytes / seconds, fault, busy)


def _path(scene: Scene) -> str:
    place = f"{scene.seeded.written_experiment}/{scene.seeded.open_runs[0]}/artifacts"
    return f"/api/2.0/mlflow-artifacts/artifacts/{place}/large.bin"


def _put(scene: Scene, content: bytes) -> str:
    with connection(scene.system.url, seconds=LIMIT_SECONDS) as opened:
        headers = scene.system.headers | {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(content)),
        }
        view = memoryview(content)
        blocks = (
            view[first : first + BLOCK_BYTES] for first in range(0, len(content), BLOCK_BYTES)
        )
        opened.request("PUT", _path(scene), body=blocks, headers=headers)
        answer = opened.getresponse()
        told = answer.read()
        return "" if answer.status == 200 else f"answered {answer.status}: {told[:200]!r}"


def _get(scene: Scene, received: bytearray) -> str:
    with connection(scene.system.url, seconds=LIMIT_SECONDS) as opened:
        opened.request("GET", _path(scene), headers=scene.system.headers)
        answer = opened.getresponse()
        if answer.status != 200:
            return f"answered {answer.status}: {answer.read()[:200]!r}"
        view = memoryview(received)
        place = 0
        while place < len(view):
            count = answer.readinto(view[place : place + BLOCK_BYTES])
            if not count:
                return f"ended after {place:,} of {len(view):,} bytes"
            place += count
        return "longer than what was sent" if answer.read(1) else ""
