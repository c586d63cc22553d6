"""Bytes on a socket: requests that no library would send, and many of them fast.

`exchange` sends bytes on a connection of its own and reads one answer. `Crowd` sends
thousands of small requests over a few kept connections.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.harness.server import HeadgateServer

# Loopback has 16 million addresses: an attack from one of its own trips only its own limits.
ATTACKER = "127.66.6.6"


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """A status, the raw head and the body; status 0 means that the server hung up."""

    status: int
    head: bytes
    body: bytes


HUNG_UP = WireAnswer(0, b"", b"")


def head(method: str, target: str | bytes, *lines: str | bytes, host: str = "localhost") -> bytes:
    """A request without a body, with these further header lines."""
    raw_target = target.encode() if isinstance(target, str) else target
    raw = [line.encode() if isinstance(line, str) else line for line in lines]
    first = method.encode() + b" " + raw_target + b" HTTP/1.1"
    return b"\r\n".join([first, b"Host: " + host.encode(), *raw, b"", b""])


def exchange(
    server: HeadgateServer, sent: bytes, *, method: str = "GET", seconds: float = 10
) -> WireAnswer:
    """Send `sent` on a new connection and read one answer; a hang-up is `HUNG_UP`."""

    async def once() -> WireAnswer:
        connection = await _Connection.open(server)
        try:
            return await connection.ask(method, sent)
        finally:
            connection.close()

    return asyncio.run(asyncio.wait_for(once(), seconds))


def ask_all(
    server: HeadgateServer,
    requests: Sequence[tuple[str, bytes]],
    *,
    connections: int = 8,
    seconds: float = 30,
) -> list[WireAnswer]:
    """Send every (method, bytes) over a few kept connections; the answers in the same order."""

    async def run() -> list[WireAnswer]:
        answers = [HUNG_UP] * len(requests)
        waiting = iter(enumerate(requests))
        await asyncio.gather(
            *(_work(server, waiting, answers, seconds) for _ in range(connections))
        )
        return answers

    return asyncio.run(run())


async def _work(
    server: HeadgateServer,
    waiting: Iterable[tuple[int, tuple[str, bytes]]],
    answers: list[WireAnswer],
    seconds: float,
) -> None:
    connection: _Connection | None = None
    for index, (method, sent) in waiting:
        if connection is None:
            connection = await _Connection.open(server)
        answers[index] = await asyncio.wait_for(connection.ask(method, sent), seconds)
        if connection.spent:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


class _Connection:
    """One kept connection that knows when it must not be used again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.spent = False

    @classmethod
    async def open(cls, server: HeadgateServer) -> _Connection:
        reader, writer = await asyncio.open_connection(
            server.host, server.port, local_addr=(ATTACKER, 0), limit=2**20
        )
        return cls(reader, writer)

    async def ask(self, method: str, sent: bytes) -> WireAnswer:
        try:
            self._writer.write(sent)
            await self._writer.drain()
            return await self._read(method)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.spent = True
            return HUNG_UP

    async def _read(self, method: str) -> WireAnswer:
        raw = await self._reader.readuntil(b"\r\n\r\n")
        status = int(raw.split(b" ", 2)[1])
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in raw.split(b"\r\n")[1:])
        }
        self.spent = fields.get(b"connection", b"").lower() == b"close"
        if method == "HEAD" or status in (204, 304):
            return WireAnswer(status, raw, b"")
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            return WireAnswer(status, raw, await self._read_chunks())
        if b"content-length" in fields:
            body = await self._reader.readexactly(int(fields[b"content-length"]))
            return WireAnswer(status, raw, body)
        self.spent = True
        return WireAnswer(status, raw, await self._reader.read())

    async def _read_chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += (await self._reader.readexactly(size + 2))[:-2]
            if size == 0:
                return body

    def close(self) -> None:
        self._writer.close()


def connect(server: HeadgateServer, seconds: float = 40) -> socket.socket:
    """A plain socket to the gateway, for what must be sent slowly or left half done."""
    return socket.create_connection(
        (server.host, server.port), timeout=seconds, source_address=(ATTACKER, 0)
    )
