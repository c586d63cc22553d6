"""The files of Headgate's own pages: a fixed list, for anybody.

They are served before sign-in, so nothing is looked up by what a client sends: a path is one
of these, or it is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files

from headgate.gateway.request import Request, answer, require_method

_PREFIX = "/headgate/assets/"
_TYPES = {
    "headgate.css": b"text/css; charset=utf-8",
    "mark.svg": b"image/svg+xml",
    "starting.js": b"text/javascript; charset=utf-8",
}


def asset_pages() -> dict[bytes, Callable[[Request], Awaitable[None]]]:
    """What answers each asset's path."""
    return {(_PREFIX + name).encode(): _Asset(name, type_).show for name, type_ in _TYPES.items()}


class _Asset:
    def __init__(self, name: str, type_: bytes) -> None:
        self._body = files("headgate.gateway.pages").joinpath("assets", name).read_bytes()
        self._tag = b'"' + hashlib.sha256(self._body).hexdigest()[:16].encode() + b'"'
        self._headers = [
            (b"content-type", type_),
            (b"cache-control", b"no-cache"),  # asked for again, and not sent if it is the same
            (b"etag", self._tag),
        ]

    async def show(self, request: Request) -> None:
        require_method(request, "GET", "HEAD")
        if request.header(b"if-none-match") == self._tag:
            await answer(request, int(HTTPStatus.NOT_MODIFIED), self._headers, b"")
            return
        length = (b"content-length", str(len(self._body)).encode())
        await answer(request, int(HTTPStatus.OK), [*self._headers, length], self._body)
