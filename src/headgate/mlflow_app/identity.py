"""Who sends a request to MLflow: only the gateway can say.

`IdentityMiddleware` is the outermost layer of the app. It lets in a request only with an
assertion that the gateway signed for exactly this request, and keeps the username in a
context variable. `authenticate` is MLflow's `authorization_function`: it hands that username
to MLflow's RBAC, in Flask routes and in FastAPI's alike. No header that a client sends can
set a context variable, so nobody comes in even if the middleware were missing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Response

from headgate import assertion

_HEADER = assertion.HEADER.encode()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request that is being answered.

    `spans_for` is the experiment that a delivery of spans named, and for which alone MLflow
    checks permissions.
    """

    username: str
    spans_for: str | None = None


_caller: ContextVar[Caller | None] = ContextVar("headgate_caller", default=None)


class IdentityMiddleware:
    """Refuses what the gateway did not sign, before MLflow sees it.

    `GET /health` alone is open: it says "OK" and is how a supervisor learns that MLflow is up.
    """

    def __init__(self, app: ASGIApp, *, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._key = key
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            # MLflow has no websockets; a close before the handshake is an HTTP 403.
            await send({"type": "websocket.close", "code": 1008})
        elif _asks_for_health(scope):
            await self._app(_stripped(scope), receive, send)
        else:
            await self._identified(scope, receive, send)

    async def _identified(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            username = self._username(scope)
        except ValueError as fault:
            await refuse(send, HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", str(fault))
            return
        token = _caller.set(Caller(username, spans_for=_experiment_of_spans(scope)))
        try:
            await self._app(_stripped(scope), receive, send)
        finally:
            _caller.reset(token)

    def _username(self, scope: Scope) -> str:
        assertions = [value for name, value in scope["headers"] if name == _HEADER]
        if len(assertions) != 1:
            raise ValueError("MLflow answers to the gateway only.")
        return assertion.verify(
            self._key,
            assertions[0].decode("latin-1"),
            method=scope["method"],
            raw_target=assertion.raw_target(scope["raw_path"], scope["query_string"]),
            now=self._clock(),
        )


def authenticate() -> Authorization | Response:
    """MLflow's `authorization_function`: the caller that the gateway named, or 401."""
    caller = current_caller()
    if caller is None:
        return Response(
            error_body("UNAUTHENTICATED", "MLflow answers to the gateway only."),
            status=HTTPStatus.UNAUTHORIZED,
            content_type="application/json",
        )
    return Authorization("basic", {"username": caller.username, "password": ""})


def current_caller() -> Caller | None:
    """Whose request this code runs for; None outside of requests."""
    return _caller.get()


async def refuse(send: Send, status: HTTPStatus, error_code: str, message: str) -> None:
    """Answer a request with MLflow's JSON error form."""
    await answer_json(send, status, error_body(error_code, message))


async def answer_json(send: Send, status: HTTPStatus, body: bytes) -> None:
    """Answer a request with a JSON body."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(error_code: str, message: str) -> bytes:
    """MLflow's JSON error form."""
    return json.dumps({"error_code": error_code, "message": message}).encode()


def _asks_for_health(scope: Scope) -> bool:
    return bool(scope["method"] == "GET" and scope["raw_path"] == b"/health")


def _experiment_of_spans(scope: Scope) -> str | None:
    if scope["raw_path"] != b"/v1/traces":
        return None
    named = (value for name, value in scope["headers"] if name == b"x-mlflow-experiment-id")
    return next(named, b"").decode("latin-1")


def _stripped(scope: Scope) -> Scope:
    """The scope without our own headers, in any spelling that WSGI takes for one of them, and
    without the origin: the gateway has judged it, and MLflow, which knows no name of this
    server but `localhost`, would refuse the browser's own.
    """
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if not name.lower().replace(b"_", b"-").startswith(b"x-headgate-") and name != b"origin"
    ]
    return {**scope, "headers": headers}
