"""The outermost layer of MLflow's app, with a small app in MLflow's place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Response

from headgate import assertion
from headgate.mlflow_app.identity import IdentityMiddleware, authenticate

KEY = b"k" * 32
NOW = 1_800_000_000.0


class Inner:
    """Stands for MLflow: keeps what it saw, and whom `authenticate` named."""

    def __init__(self) -> None:
        self.scope: Scope | None = None
        self.caller: Authorization | Response | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.caller = await asyncio.to_thread(authenticate)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inner"})


def ask(
    headers: list[tuple[bytes, bytes]],
    *,
    method: str = "GET",
    raw_path: bytes = b"/version",
    query: bytes = b"",
    kind: str = "http",
) -> tuple[Inner, list[Message]]:
    inner = Inner()
    sent: list[Message] = []
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(IdentityMiddleware(inner, key=KEY, clock=lambda: NOW)(scope, receive, send))
    return inner, sent


def signature(target: bytes = b"/version", method: str = "GET", name: str = "ann") -> bytes:
    token = assertion.sign(KEY, username=name, method=method, raw_target=target, now=NOW)
    return token.encode()


def test_a_signed_request_comes_in_under_its_name() -> None:
    inner, sent = ask([(b"x-headgate-identity", signature())])
    assert sent[0]["status"] == 200
    assert isinstance(inner.caller, Authorization)
    assert inner.caller.username == "ann"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-headgate-identity", b"")],
        [(b"x-headgate-identity", signature() + b" ")],
        [(b"x-headgate-identity", signature()), (b"x-headgate-identity", signature())],
        [(b"x-headgate-identity", signature(target=b"/other"))],
        [(b"x-headgate-identity", signature(method="POST"))],
        [(b"x_headgate_identity", signature())],
        [(b"x-headgate-caller", b"admin"), (b"authorization", b"Basic YWRtaW46YWRtaW4=")],
        [(b"x-headgate-identity", b"\xff\xfe")],
    ],
)
def test_everything_else_is_401_in_mlflows_error_form(headers: list[tuple[bytes, bytes]]) -> None:
    inner, sent = ask(headers)
    assert inner.scope is None
    assert sent[0]["status"] == 401
    assert json.loads(sent[1]["body"])["error_code"] == "UNAUTHENTICATED"


def test_health_is_open_and_names_nobody() -> None:
    inner, sent = ask([], raw_path=b"/health")
    assert sent[0]["status"] == 200
    assert isinstance(inner.caller, Response)
    assert inner.caller.status_code == 401


@pytest.mark.parametrize(
    ("method", "raw_path"),
    [
        ("GET", b"/healthXYZ"),
        ("GET", b"/health/"),
        ("GET", b"//health"),
        ("GET", b"/%68ealth"),
        ("GET", b"/static-files/index.html"),
        ("POST", b"/health"),
        ("OPTIONS", b"/health"),
    ],
)
def test_what_looks_like_health_is_not(method: str, raw_path: bytes) -> None:
    inner, sent = ask([], method=method, raw_path=raw_path)
    assert inner.scope is None
    assert sent[0]["status"] == 401


def test_mlflow_sees_none_of_our_headers_in_any_spelling() -> None:
    inner, _ = ask(
        [
            (b"x-headgate-identity", signature()),
            (b"x-headgate-other", b"1"),
            (b"x_headgate_identity", b"1"),
            (b"x-headgate_identity", b"1"),
            (b"origin", b"https://mlflow.example.com"),
            (b"content-type", b"application/json"),
        ]
    )
    assert inner.scope is not None
    assert inner.scope["headers"] == [(b"content-type", b"application/json")]


def test_a_websocket_is_closed() -> None:
    inner, sent = ask([(b"x-headgate-identity", signature())], kind="websocket")
    assert inner.scope is None
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_nobody_is_named_outside_a_request() -> None:
    ask([(b"x-headgate-identity", signature())])
    assert isinstance(authenticate(), Response)
