"""Large artifacts pass through the proxy without being held in it.

The gateway and the MLflow behind it are processes of their own, so that the memory measured is
the gateway's. A slow side must hold up the fast one, which is where buffers would grow.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.harness.door import read_answer

SIZE = 1 << 30
BLOCK = b"\xa5" * (1 << 20)
ALLOWED_GROWTH = 64 << 20
PATH = b"/api/2.0/mlflow-artifacts/artifacts/1/model.bin"

UPSTREAM = """
import asyncio, sys, uvicorn
SIZE, BLOCK = 1 << 30, b"\\xa5" * (1 << 20)

async def app(scope, receive, send):
    received, more = 0, True
    slow = scope["query_string"] == b"slow"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if slow and received < 32 << 20:
            await asyncio.sleep(0.02)
        received += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["method"] == "PUT":
        body = b"%d" % received
        head = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})
        return
    head = [(b"content-length", b"%d" % SIZE)]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for number in range(SIZE // len(BLOCK)):
        more = number + 1 < SIZE // len(BLOCK)
        await send({"type": "http.response.body", "body": BLOCK, "more_body": more})

uvicorn.run(app, uds=sys.argv[1], http="httptools", loop="uvloop", log_config=None, lifespan="off")
"""

GATEWAY = """
import sys
from pathlib import Path
from headgate.gateway.server import run, serve
from tests.harness.door import DoorSettings
from tests.harness.proxied import ProxyApp
from tests.harness.raw_upstream import RawUpstream

upstream = RawUpstream(Path(sys.argv[1]))
upstream.ready.set()

async def main():
    async with ProxyApp(upstream) as app:
        await serve(app, settings=DoorSettings(), observe=lambda event: None,
                    on_listening=lambda address: print(address, flush=True))
run(main())
"""


@dataclass
class Gateway:
    """A gateway process, and the memory that it has taken since it began."""

    port: int
    process: psutil.Process
    before: int = 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """The most memory that it held during the block, as the only item of a list."""
        peak = [self.process.memory_info().rss]
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.02):
                peak[0] = max(peak[0], self.process.memory_info().rss)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield peak
        finally:
            done.set()
            thread.join()


@contextlib.contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        output: IO[str] | None = process.stdout
        assert output is not None
        output.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    path = str(tmp_path_factory.mktemp("run") / "mlflow.sock")
    with running(UPSTREAM, path), running(GATEWAY, path) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        found = Gateway(port, psutil.Process(process.pid))
        while not Path(path).exists():  # the suite's time-out bounds it
            time.sleep(0.02)
        with found.connect() as connection:  # everything is loaded once before it is weighed
            connection.sendall(b"PUT %s HTTP/1.1\r\nHost: localhost\r\n" % PATH)
            connection.sendall(b"Content-Length: 5\r\n\r\nhello")
            assert read_answer(connection).endswith(b"5")
        found.before = found.process.memory_info().rss
        yield found


@pytest.mark.parametrize("query", [b"", b"?slow"])
def test_an_upload_is_not_held_in_memory(gateway: Gateway, query: bytes) -> None:
    with gateway.connect() as connection, gateway.watched() as peak:
        connection.sendall(b"PUT %s%s HTTP/1.1\r\nHost: localhost\r\n" % (PATH, query))
        connection.sendall(b"Content-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(BLOCK)):
            connection.sendall(BLOCK)
        assert read_answer(connection).endswith(b"%d" % SIZE)
    assert peak[0] - gateway.before < ALLOWED_GROWTH


@pytest.mark.parametrize("slow", [False, True])
def test_a_download_is_not_held_in_memory(gateway: Gateway, slow: bool) -> None:
    buffer = bytearray(1 << 20)
    with gateway.connect() as connection, gateway.watched() as peak:
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % PATH)
        if slow:
            time.sleep(1)  # what is sent meanwhile has to wait in MLflow, not in the gateway
        received = 0
        while received < SIZE:
            count = connection.recv_into(buffer)
            assert count
            received += count
    assert peak[0] - gateway.before < ALLOWED_GROWTH
