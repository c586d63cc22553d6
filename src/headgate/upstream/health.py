"""Whether an MLflow answers: one plain `GET /health`, without an HTTP client."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from headgate.gateway.upstream import UpstreamAddress

_SECONDS = 2.0
_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_LONGEST_ANSWER = 65536


async def answers(address: UpstreamAddress) -> bool:
    """Whether the MLflow at `address` says that it is healthy, within two seconds."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _asked(address)
    except (OSError, TimeoutError):
        return False


async def _asked(address: UpstreamAddress) -> bool:
    reader, writer = await _connect(address)
    try:
        writer.write(_REQUEST)
        await writer.drain()
        line = await reader.readline()
        return line.split(b" ")[1:2] == [b"200"]
    except ValueError:
        return False  # Such a long first line is no HTTP.
    finally:
        writer.close()


async def _connect(
    address: UpstreamAddress,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.socket is not None:
        return await asyncio.open_unix_connection(str(address.socket), limit=_LONGEST_ANSWER)
    parts = urlsplit(address.base_url)
    return await asyncio.open_connection(parts.hostname, parts.port or 80, limit=_LONGEST_ANSWER)
