"""Everything that the gateway does not answer itself goes to MLflow, and streams back.

`Proxy.forward` promises: what is held in memory is bounded; a request is sent to MLflow at most
once; while MLflow starts or restarts requests wait; when the client leaves, MLflow's side is
closed; and an answer that MLflow did not finish is never ended as if it had.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientTimeout
from yarl import URL

from headgate import assertion
from headgate.errors import ApiError, unavailable
from headgate.gateway import forwarded_headers, limits
from headgate.gateway.request import Request
from headgate.gateway.upstream import Upstream
from headgate.settings.limits import LimitSettings

_CONNECT_SECONDS = 10
_RECONNECT_PAUSE = 0.1
_RETRY_AFTER = 5
_BUFFER_BYTES = 1 << 17
_SMALL_BYTES = 1 << 16
_MAX_HEADER_BYTES = 1 << 16
# MLflow gets the client's own, or none.
_NO_DEFAULTS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NOTHING_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Proxy:
    """Forwards requests to `upstream`, with the identity of their principal signed in."""

    def __init__(self, upstream: Upstream, *, identity_key: bytes, limits: LimitSettings) -> None:
        self._upstream = upstream
        self._key = identity_key
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Prepare connections; none is made before the first request."""
        address = self._upstream.address
        # A connection serves one request. A kept one may be closed by MLflow at the moment when
        # we use it, and a POST that meets this could be neither resent nor excused.
        connector = (
            aiohttp.UnixConnector(str(address.socket), force_close=True, limit=0)
            if address.socket is not None
            else aiohttp.TCPConnector(force_close=True, limit=0)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NO_DEFAULTS,
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            read_bufsize=_BUFFER_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            middlewares=(_send_once,),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: Request) -> None:
        """Answer `request` with what MLflow answers.

        Raises `ApiError` where a limit or MLflow's absence forbids that; one that is raised
        after the answer began means that it is cut short. Returns quietly when the client left.
        """
        upload = await self._open(request)
        exchange = asyncio.ensure_future(self._exchange(request, upload))
        watch = asyncio.ensure_future(upload.ended_early())
        try:
            await asyncio.wait((exchange, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = exchange.done()
            exchange.cancel()
            watch.cancel()
            await asyncio.gather(exchange, watch, return_exceptions=True)
        if upload.failure is not None and not (finished and exchange.exception() is None):
            raise upload.failure  # whatever became of the exchange became of it because of this
        if finished:
            exchange.result()

    async def _open(self, request: Request) -> _Upload:
        if not limits.has_body(request):
            return _Upload(request, None)
        if not limits.streams(request):
            return _Upload(request, await limits.gather(request, self._limits))
        limits.check_stream(request, self._limits)
        return _Upload(request, limits.stream(request, self._limits))

    async def _exchange(self, request: Request, upload: _Upload) -> None:
        response = await self._ask(request, upload)
        try:
            await _pass_back(request, response)
        finally:
            response.close()

    async def _ask(self, request: Request, upload: _Upload) -> ClientResponse:
        """Send the request once MLflow is there, and return with the head of its answer."""
        assert self._session is not None
        deadline = time.monotonic() + self._limits.upstream_wait_seconds
        while True:
            if not await self._upstream.wait_ready(max(0.0, deadline - time.monotonic())):
                raise unavailable("MLflow is not ready yet.", retry_after=_RETRY_AFTER)
            try:
                return await self._session.request(
                    request.method,
                    self._url(request),
                    headers=self._headers(request, upload),
                    data=upload.data,
                    allow_redirects=False,
                )
            except _NOTHING_SENT:
                # It has just died, and nobody has noticed yet.
                if time.monotonic() >= deadline:
                    raise unavailable(
                        "MLflow cannot be reached.", retry_after=_RETRY_AFTER
                    ) from None
                await asyncio.sleep(_RECONNECT_PAUSE)
            except (_BrokenOff, aiohttp.ClientError):
                raise unavailable(
                    "MLflow stopped while it had this request. It may have carried it out.",
                    retry_after=_RETRY_AFTER,
                ) from None

    def _url(self, request: Request) -> URL:
        target = assertion.raw_target(request.raw_path, request.query)
        return URL(self._upstream.address.base_url + target.decode("ascii"), encoded=True)

    def _headers(self, request: Request, upload: _Upload) -> list[tuple[str, str]]:
        assert request.principal is not None
        signed = assertion.sign(
            self._key,
            username=request.principal.username,
            method=request.method,
            raw_target=assertion.raw_target(request.raw_path, request.query),
            now=time.time(),
        )
        headers = forwarded_headers.to_mlflow(request.headers, decoded=upload.gathered)
        headers += [
            ("Host", forwarded_headers.HOST),
            (assertion.HEADER, signed),
            ("x-request-id", request.id),
            ("x-forwarded-proto", "https" if request.secure else "http"),
        ]
        length = request.header(b"content-length")
        if length is not None and not upload.gathered:
            headers.append(("content-length", length.decode("ascii")))
        return headers


class _Upload:
    """A body on its way to MLflow: `data` is what the HTTP client takes.

    `failure` says why a streamed one ended early.
    """

    def __init__(self, request: Request, body: bytes | AsyncIterator[bytes] | None) -> None:
        self._receive = request.receive
        self._taken = asyncio.Event()
        self.failure: ApiError | None = None
        self.gathered = not isinstance(body, AsyncIterator)
        self.data: bytes | AsyncIterator[bytes] | None
        if isinstance(body, AsyncIterator):
            self.data = self._chunks(body)
        else:
            self.data = body
            self._taken.set()

    async def ended_early(self) -> None:
        """Return when the client left, or its body was refused."""
        await self._taken.wait()
        while self.failure is None and (await self._receive())["type"] != "http.disconnect":
            pass

    async def _chunks(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in body:
                yield chunk
        except ApiError as error:
            self.failure = error
            raise
        finally:
            self._taken.set()


async def _pass_back(request: Request, response: ClientResponse) -> None:
    """Answer the client: with a small body at once, with a large one as it comes and is taken."""
    headers = forwarded_headers.from_mlflow(response.raw_headers, response.status)
    start = {
        "type": "http.response.start",
        "status": response.status,
        "headers": headers + request.respond_headers(),
    }
    try:
        # If MLflow dies over a small answer, none of it has left yet and 503 can be said.
        whole = await response.content.read() if _is_small(response) else None
        await request.send(start)
        if whole is None:
            async for chunk in response.content.iter_any():
                more = not response.content.at_eof()
                await request.send({"type": "http.response.body", "body": chunk, "more_body": more})
                if not more:
                    return
    except aiohttp.ClientError:
        raise unavailable(
            "MLflow stopped in the middle of its answer.", retry_after=_RETRY_AFTER
        ) from None
    await request.send({"type": "http.response.body", "body": whole or b""})


def _is_small(response: ClientResponse) -> bool:
    length = response.headers.get("content-length", "")
    return length.isdigit() and int(length) <= _SMALL_BYTES


class _BrokenOff(Exception):
    """The connection ended before the answer began."""


async def _send_once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Keep the HTTP client from sending a request again.

    It would do so for GET, PUT and DELETE when a connection breaks off, unless the error is one
    that it does not know.
    """
    try:
        return await send(request)
    except _NOTHING_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenOff from error
