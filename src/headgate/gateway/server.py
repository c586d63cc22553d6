"""Serving ASGI applications at the front door, and stopping without losing a request.

`serve` listens, says so, and returns once it has drained. It owns SIGTERM and SIGINT while it
runs: the first lets requests under way finish, a second ends them. Run it under `run`, which
brings uvloop. The connection itself is `protocol`.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol, TypeVar

import uvloop
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from headgate.errors import HeadgateError
from headgate.gateway import listening
from headgate.observation import Draining, Observe, ServerListening

if TYPE_CHECKING:
    from pathlib import Path

    from headgate.gateway.protocol import GatewayProtocol

T = TypeVar("T")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ServeSettings(Protocol):
    """What `serve` needs of `headgate.settings.Settings`."""

    host: str
    port: int
    metrics_port: int | None
    ssl_certfile: Path | None
    ssl_keyfile: Path | None
    drain_seconds: float
    request_seconds: float


def run(main: Coroutine[object, object, T]) -> T:
    """Run `main` on uvloop, without Ctrl-C becoming an exception in the middle of it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(
    app: ASGIApp,
    *,
    settings: ServeSettings,
    observe: Observe,
    on_listening: Callable[[str], None] | None = None,
    metrics_app: ASGIApp | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve `app` until a signal comes or `stop` is set, then drain.

    `on_listening` gets the base address once connections are accepted. `metrics_app` is served
    on the loopback address at `settings.metrics_port`, if there is one. Raises `HeadgateError`
    for a port, address or certificate that can't be used.
    """
    secure = settings.ssl_certfile is not None
    tls = (
        listening.tls_context(settings.ssl_certfile, settings.ssl_keyfile)
        if settings.ssl_certfile is not None
        else None
    )
    _allow_many_connections()
    sockets = listening.bind(settings.host, settings.port)
    doors = [_Door(app, sockets, tls=tls, settings=settings, observe=observe)]
    try:
        if metrics_app is not None and settings.metrics_port is not None:
            loopback = listening.bind("127.0.0.1", settings.metrics_port)
            doors.append(_Door(metrics_app, loopback, tls=None, settings=settings, observe=observe))
        for door in doors:
            await door.open()
        address = listening.url_of(sockets[0], secure=secure)
        with _Stopping(stop or asyncio.Event(), observe) as stopping:
            observe(ServerListening(address=address))
            if on_listening is not None:
                on_listening(address)
            await stopping.first.wait()
            await _drain(doors, settings.drain_seconds, stopping.second)
    finally:
        for door in doors:
            door.close_sockets()


async def _drain(doors: list[_Door], seconds: float, at_once: asyncio.Event) -> None:
    """Stop accepting, let what is under way finish, end the rest when time or patience is up."""
    for door in doors:
        await door.stop_accepting()
    await _first_of(at_once.wait(), *(door.idle() for door in doors[:1]), seconds=seconds)
    for door in doors:
        await door.abort()


async def _first_of(*waits: Awaitable[object], seconds: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Door:
    """One application behind the sockets of one address."""

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        *,
        tls: ssl.SSLContext | None,
        settings: ServeSettings,
        observe: Observe,
    ) -> None:
        self._protocol = load_protocol()
        self._sockets = sockets
        self._tls = tls
        self._request_seconds = settings.request_seconds
        self._observe = observe
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._clock: asyncio.Task[None] | None = None
        self._config = Config(
            app,
            http=self._protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()

    async def open(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._clock = loop.create_task(self._tell_the_date())
        await asyncio.sleep(0)  # the first date is there before the first answer
        for bound in self._sockets:
            server = await loop.create_server(
                self._new_protocol,
                sock=bound,
                ssl=self._tls,
                backlog=listening.BACKLOG,
                ssl_handshake_timeout=self._request_seconds if self._tls else None,
            )
            self._servers.append(server)

    def _new_protocol(self) -> GatewayProtocol:
        return self._protocol(
            self._config,
            self._state,
            request_seconds=self._request_seconds,
            observe=self._observe,
        )

    async def stop_accepting(self) -> None:
        """Refuse new connections; those already made by clients are still taken in."""
        loop = asyncio.get_running_loop()
        kept = [bound.dup() for bound in self._sockets]
        for server in self._servers:
            server.close()
        for bound in kept:
            # Closing a listening socket resets the connections that wait in its backlog. (With
            # TLS a client there still has its handshake to make, and tries again.)
            with suppress(BlockingIOError):
                for _ in range(listening.BACKLOG if self._tls is None else 0):
                    client, _address = bound.accept()
                    client.setblocking(False)
                    await loop.connect_accepted_socket(self._new_protocol, client)
            bound.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def idle(self) -> None:
        """Return when no connection is left."""
        while self._state.connections or self._state.tasks:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.02)

    async def abort(self) -> None:
        """Drop every connection and cancel what is under way."""
        for connection in list(self._state.connections):
            if isinstance(connection, self._protocol):
                connection.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._clock is not None:
            self._clock.cancel()

    def close_sockets(self) -> None:
        """Free the port, however far we came."""
        for bound in self._sockets:
            bound.close()

    async def _tell_the_date(self) -> None:
        while True:
            date = formatdate(time.time(), usegmt=True).encode()
            self._state.default_headers = [(b"date", date)]
            await asyncio.sleep(1)


class _Stopping:
    """The two requests to stop: `first` drains, `second` ends at once."""

    def __init__(self, first: asyncio.Event, observe: Observe) -> None:
        self.first = first
        self.second = asyncio.Event()
        self._observe = observe

    def __enter__(self) -> _Stopping:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            # Not in the main thread (tests): then `stop` alone stops.
            with suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self._ask, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)

    def _ask(self, number: signal.Signals) -> None:
        if self.first.is_set():
            self.second.set()
        else:
            self._observe(Draining(signal=number.name))
            self.first.set()


def load_protocol() -> type[GatewayProtocol]:
    """The protocol class; raises `HeadgateError` where httptools is missing.

    uvicorn would then take h11, which accepts requests that others read as two.
    """
    try:
        from headgate.gateway.protocol import GatewayProtocol
    except ImportError as error:
        raise HeadgateError(
            f"Headgate does not serve without httptools ({error}).",
            hint="Install it again: pip install --force-reinstall httptools",
        ) from None
    return GatewayProtocol


def _allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: idle connections cost one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
