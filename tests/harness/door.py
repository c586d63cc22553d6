"""The front door alone: `serve` with a small application, in a thread of its own.

What is sent and read here goes over plain sockets, byte by byte, so that a test sees exactly
what a client would.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.gateway.server import run, serve
from headgate.observation import Event

START_SECONDS = 10


@dataclass
class DoorSettings:
    """The settings that `serve` reads, with bounds short enough for a test to reach."""

    host: str = "127.0.0.1"
    port: int = 0
    metrics_port: int | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    drain_seconds: float = 5
    request_seconds: float = 20


class Recorder:
    """An application that answers 200 with the path and the body, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Scope] = []

    @property
    def paths(self) -> list[bytes]:
        """The raw targets asked for, in order."""
        return [scope["raw_path"] for scope in self.seen]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = scope["raw_path"] + b" " + body
        length = str(len(answer)).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
        )
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Door:
    """A served application. Use it as a context manager; one the application is, it enters."""

    app: ASGIApp
    settings: DoorSettings = field(default_factory=DoorSettings)
    metrics_app: ASGIApp | None = None
    events: list[Event] = field(default_factory=list)
    address: str = ""

    def __enter__(self) -> Self:
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._listening.wait(START_SECONDS)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.begin_stop()
        self.join()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    def begin_stop(self) -> None:
        """Ask it to drain, as SIGTERM would."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        """Wait until it has drained."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "the door did not close"

    def connect(self, *, seconds: float = 10) -> socket.socket:
        """A plain connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def exchange(self, sent: bytes, *, seconds: float = 10) -> bytes:
        """Everything that comes back for `sent`, until the server closes the connection."""
        with self.connect(seconds=seconds) as connection:
            connection.sendall(sent)
            return read_to_end(connection)

    def _run(self) -> None:
        try:
            run(self._serve())
        except BaseException as error:  # handed to the test's thread
            self._failure = error
            self._listening.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(self.app, contextlib.AbstractAsyncContextManager):
                await stack.enter_async_context(self.app)
            await serve(
                self.app,
                settings=self.settings,
                observe=self.events.append,
                on_listening=self._listen,
                metrics_app=self.metrics_app,
                stop=self._stop,
            )

    def _listen(self, address: str) -> None:
        self.address = address
        self._listening.set()


def read_to_end(connection: socket.socket) -> bytes:
    """What arrives until the other side closes; a reset counts as the end."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def read_answer(connection: socket.socket) -> bytes:
    """One answer with a Content-Length, head and body; what came so far if it ends early."""
    received = b""
    while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.split(b"\r\n")]
    length = next(
        (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0
    )
    while len(body) < length and (data := connection.recv(65536)):
        body += data
    return head + b"\r\n\r\n" + body


def parse_answers(received: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """The answers in a stream of them, each with a Content-Length."""
    answers: list[Any] = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        length = int(headers.get(b"content-length", b"0"))
        answers.append((int(first.split()[1]), headers, received[:length]))
        received = received[length:]
    return answers
