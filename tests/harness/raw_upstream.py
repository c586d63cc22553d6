"""An MLflow that is none: a Unix socket that reads requests as bytes and answers bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from headgate.gateway.upstream import UpstreamAddress, UpstreamState

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Asked:
    """One request as it arrived."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]


Answer = Callable[[socket.socket, Asked], None]


@dataclass
class RawUpstream:
    """Listens at `path`; `answer` gets each connection with its request. A context manager.

    It is also the `Upstream` that a proxy asks: `ready` says whether it is there.
    """

    path: Path
    answer: Answer = lambda connection, _: connection.sendall(OK)
    asked: list[Asked] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def listen(self) -> None:
        """Come to life."""
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        self.ready.set()

    def hang_up(self) -> None:
        """Die: nobody listens any more."""
        if self.listener is not None:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        self.path.unlink(missing_ok=True)

    @property
    def address(self) -> UpstreamAddress:
        """Where it listens."""
        return UpstreamAddress(self.path, "http://localhost")

    @property
    def state(self) -> UpstreamState:
        """As a supervisor would tell it."""
        phase = "ready" if self.ready.is_set() else "starting"
        return UpstreamState(phase=phase, pid=None, restarts=0, uptime=0, last_stop=None)

    async def wait_ready(self, seconds: float) -> bool:
        """Whether it is ready, at the latest after `seconds`."""
        import asyncio

        return await asyncio.to_thread(self.ready.wait, seconds)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = read_request(connection)
            self.asked.append(asked)
            self.answer(connection, asked)


def read_request(connection: socket.socket) -> Asked:
    """One request, with its body if a length says that there is one."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (text.partition(b":") for text in lines)]
    asked = Asked(line, headers, body)
    if asked.header(b"transfer-encoding") == [b"chunked"]:
        while not asked.body.endswith(b"0\r\n\r\n"):
            asked.body += _more(connection)
        asked.body = _without_chunks(asked.body)
    for length in asked.header(b"content-length"):
        while len(asked.body) < int(length):
            asked.body += _more(connection)
    return asked


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionError("the gateway hung up")
    return data


def _without_chunks(raw: bytes) -> bytes:
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        body, raw = body + raw[:length], raw[length + 2 :]
    return body
