"""Everything that the gateway does not answer itself, streamed to MLflow and back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from headgate import assertion
from headgate.errors import unavailable
from headgate.gateway.request import Request
from headgate.gateway.upstream import Upstream
from headgate.settings.limits import LimitSettings

_NOT_PASSED_ON = frozenset(
    b"authorization connection cookie expect host origin transfer-encoding".split()
)
_NOT_PASSED_BACK = frozenset(b"connection date server transfer-encoding".split())


class Proxy:
    """Forwards requests to `upstream`, with the identity of their principal signed in."""

    def __init__(self, upstream: Upstream, *, identity_key: bytes, limits: LimitSettings) -> None:
        self._upstream = upstream
        self._key = identity_key
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool of connections."""
        address = self._upstream.address
        connector = (
            aiohttp.UnixConnector(str(address.socket))
            if address.socket is not None
            else aiohttp.TCPConnector()
        )
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)

    async def close(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: Request) -> None:
        """Answer `request` with what MLflow answers. Raises `ApiError` 503 if it does not."""
        if not await self._upstream.wait_ready(self._limits.upstream_wait_seconds):
            raise unavailable("MLflow is not ready.", retry_after=5)
        assert self._session is not None
        assert request.principal is not None
        target = assertion.raw_target(request.raw_path, request.query)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers
            if name not in _NOT_PASSED_ON
        ]
        signed = assertion.sign(
            self._key,
            username=request.principal.username,
            method=request.method,
            raw_target=target,
            now=time.time(),
        )
        headers += [("host", "localhost"), (assertion.HEADER, signed), ("x-request-id", request.id)]
        url = URL(self._upstream.address.base_url + target.decode("ascii"), encoded=True)
        has_body = request.header(b"content-length") not in (None, b"0") or request.header(
            b"transfer-encoding"
        )
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=_body(request) if has_body else None,
            allow_redirects=False,
        ) as response:
            await request.send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [
                        (name.lower(), value)
                        for name, value in response.raw_headers
                        if name.lower() not in _NOT_PASSED_BACK
                    ]
                    + request.respond_headers(),
                }
            )
            async for chunk in response.content.iter_any():
                await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
            await request.send({"type": "http.response.body", "body": b""})


async def _body(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
