"""A proxy behind a door, without the rest of the gateway: whoever asks is ADA."""

from __future__ import annotations

import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.types import Message, Receive, Scope, Send

from headgate.errors import ApiError
from headgate.gateway.identity.principal import Principal
from headgate.gateway.proxy import Proxy
from headgate.gateway.request import Request, answer, json_headers
from headgate.gateway.upstream import Upstream
from headgate.settings.limits import LimitSettings
from tests.harness.door import Door, parse_answers, read_answer
from tests.harness.raw_upstream import Answer, Asked

KEY = b"k" * 32
ARTIFACT = b"/api/2.0/mlflow-artifacts/artifacts/1/model.bin"
ADA = Principal(user_id=1, username="ada", is_admin=False, way_in="basic")


@dataclass
class ProxyApp(AbstractAsyncContextManager[Any]):
    """Forwards every request; `refused` keeps the errors."""

    upstream: Upstream
    limits: LimitSettings = field(default_factory=LimitSettings)
    refused: list[ApiError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._proxy = Proxy(self.upstream, identity_key=KEY, limits=self.limits)

    async def __aenter__(self) -> Self:
        await self._proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._proxy.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        request = Request(
            scope=scope,
            receive=receive,
            send=watched,
            id="0123456789abcdef",
            method=scope["method"],
            raw_path=scope["raw_path"],
            query=scope["query_string"],
            headers=list(scope["headers"]),
            client="127.0.0.1",
            secure=scope["scheme"] == "https",
            principal=ADA,
        )
        try:
            await self._proxy.forward(request)
        except ApiError as error:
            self.refused.append(error)
            if began:
                raise
            body = error.body(request.id)
            close = [(b"connection", b"close")] if error.close else []
            headers = [*json_headers(body), *error.headers, *close]
            await answer(request, int(error.status), headers, body)


def head(line: bytes, *lines: bytes) -> bytes:
    """A request's head."""
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: mlflow.example.com", *lines, b"", b""])


def ask(door: Door, sent: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to `sent`."""
    with door.connect() as connection:
        connection.sendall(sent)
        [answer] = parse_answers(read_answer(connection))
        return answer


def answers_with(raw: bytes) -> Answer:
    """An MLflow that answers `raw` and hangs up."""

    def answer(connection: socket.socket, _: Asked) -> None:
        connection.sendall(raw)

    return answer
