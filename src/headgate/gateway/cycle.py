"""One request and its answer on a connection: uvicorn's cycle, failing closed.

An answer that an application began and did not finish is never ended as if it were whole: the
connection is reset, which a client cannot mistake for the end. `GatewayProtocol` makes these.
"""

from __future__ import annotations

import asyncio
import secrets
import select
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import cast

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from headgate.errors import ApiError
from headgate.gateway.request import json_headers
from headgate.observation import GatewayFault, Observe

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ConnectionEnd:
    """A transport as a cycle sees it: `close` may wait for the client, `abort` resets."""

    __slots__ = ("_transport", "close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, *, close: Callable[[], None]) -> None:
        self._transport = transport
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close

    def abort(self) -> None:
        """Drop the connection in a way that the client can tell from an orderly end."""
        with suppress(OSError, AttributeError):
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
        self._transport.abort()

    def has_unread(self) -> bool:
        """Whether the kernel holds something that the client sent and nobody read."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))


class HeldFlow(FlowControl):
    """Reading stays paused while requests wait in line, whatever their readers ask for."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._on_hold = False

    def hold(self) -> None:
        """Read nothing until `let_go`."""
        self._on_hold = True
        self.pause_reading()

    def let_go(self) -> None:
        """Leave it to the readers again."""
        self._on_hold = False

    def resume_reading(self) -> None:
        """Read on, unless on hold."""
        if not self._on_hold:
            super().resume_reading()


class Cycle(RequestResponseCycle):
    """A request of HTTP/1.1. `observe` is set by the protocol that makes it."""

    observe: Observe

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application; whatever it does, the client is never told a half answer."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._abort()  # the server's time to drain is over
        except ApiError as error:
            if self.response_started:
                self._abort()  # the application knows, and wants this answer cut short
            else:
                await self._fail(str(error))
        except Exception:
            await self._fail(traceback.format_exc())
        else:
            if self.disconnected or self.response_complete:
                return
            if self.response_started:
                self._abort()
            else:
                await self._fail("The application returned without an answer.")
        finally:
            self.on_response = _nothing

    async def _fail(self, fault: str) -> None:
        request_id = secrets.token_hex(8)
        self.observe(GatewayFault(request_id=request_id, traceback=fault))
        if self.disconnected or self.response_complete:
            return
        if self.response_started:
            self._abort()
            return
        error = ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Internal error.")
        body = error.body(request_id)
        headers = [*json_headers(body), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _abort(self) -> None:
        end = cast(ConnectionEnd, self.transport)
        if not end.is_closing():
            end.abort()


class CycleHttp10(Cycle):
    """A request of HTTP/1.0, which knows no chunks: an answer of unknown length ends with EOF."""

    _until_end = False

    async def send(self, message: ASGISendEvent) -> None:
        """As uvicorn's, without `Transfer-Encoding`."""
        if message["type"] == "http.response.start" and not self.response_started:
            headers = list(message.get("headers", []))
            if not any(name.lower() == b"content-length" for name, _ in headers):
                self._until_end = True
                self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
        elif self._until_end and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))  # type: ignore[arg-type]
        await super().send(message)


def _nothing() -> None:
    pass
