"""One request at a time, for questions that are not measured and files that are."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a whole body."""

    status: int
    body: bytes


@contextmanager
def connection(url: str, *, seconds: float) -> Iterator[http.client.HTTPConnection]:
    """A connection that is closed at the end; large bodies go in large blocks."""
    opened = http.client.HTTPConnection(
        urlsplit(url).netloc, timeout=seconds, blocksize=BLOCK_BYTES
    )
    try:
        yield opened
    finally:
        opened.close()


def ask(
    url: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    seconds: float = 60,
) -> Answer:
    """One request on a connection of its own."""
    with connection(url, seconds=seconds) as opened:
        opened.request(method, path, body=body or None, headers=dict(headers))
        response = opened.getresponse()
        return Answer(response.status, response.read())
