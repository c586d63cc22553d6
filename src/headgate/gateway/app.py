"""The front door. Every request takes these steps, in this order, and no other way in exists:

1. a `Request` is made of its head, with an id (`head.py`);
2. heads that two readers could read differently are refused (`head.py`);
3. health paths are answered, to anybody and for any Host;
4. the Host has to be one of ours, a foreign Origin may not write (`hosts.py`);
5. CORS preflights are answered;
6. the sign-in page and its assets are shown to anybody; while the database of users is migrated
   a page that says so is shown in place of every page;
7. who is it? (`identity/`), and did their own page send this (`identity/csrf.py`)?
8. our own routes, MLflow's static files, and for the rest MLflow itself (`proxy.py`), or a page
   that says that it is starting.

On its way out every answer gets the headers that browsers obey (`security_headers.py`).

Paths are compared on the raw path, exactly: never by prefix, never after decoding. A refusal
is an `ApiError` raised anywhere below and answered here, in one place.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from headgate.errors import ApiError
from headgate.gateway.head import HeadReader, check_head
from headgate.gateway.hosts import HostPolicy
from headgate.gateway.identity import Identifier
from headgate.gateway.identity.csrf import check_same_origin
from headgate.gateway.metrics import route_of
from headgate.gateway.own_routes import OwnRoutes
from headgate.gateway.pages.starting import StartingPage, replaces
from headgate.gateway.proxy import Proxy
from headgate.gateway.request import Request, answer, json_headers
from headgate.gateway.security_headers import Headers, SecurityHeaders
from headgate.gateway.static_ui import StaticUI
from headgate.gateway.upstream import Upstream
from headgate.observation import GatewayFault, Observe, RequestFinished

Handler = Callable[[Request], Awaitable[None]]


class Gateway:
    """The ASGI application; composed by `headgate.gateway.compose`."""

    def __init__(
        self,
        *,
        heads: HeadReader,
        hosts: HostPolicy,
        security: SecurityHeaders,
        identifier: Identifier,
        pages: dict[bytes, Handler],
        own_routes: OwnRoutes,
        starting_page: StartingPage,
        static_ui: StaticUI,
        proxy: Proxy,
        upstream: Upstream,
        observe: Observe,
    ) -> None:
        self._heads = heads
        self._hosts = hosts
        self._security = security
        self._identifier = identifier
        self._pages = pages
        self._own_routes = own_routes
        self._starting_page = starting_page
        self._static_ui = static_ui
        self._proxy = proxy
        self._upstream = upstream
        self._observe = observe
        self._health: dict[bytes, Handler] = {
            b"/health": _healthy,
            b"/elb-status": _healthy,
            b"/ready": self._ready,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Uvicorn is told not to offer these; a scope we do not know is nobody's request.
            raise RuntimeError(f"The gateway does not serve {scope['type']} scopes.")
        started = time.perf_counter()
        sent = _Sent(send)
        request = self._heads.read(scope, receive, sent)
        sent.complete = partial(self._complete, request)
        try:
            await self._admit(request)
        except ApiError as error:
            if replaces(error, request) and not sent.status:
                await self._starting_page.show_instead(request, error)
            else:
                await _refuse(request, sent, error)
        except Exception:
            self._observe(GatewayFault(request.id, traceback.format_exc()))
            await _refuse(request, sent, _FAULT)
        finally:
            self._observe(
                RequestFinished(
                    request_id=request.id,
                    method=request.method,
                    path=request.raw_path.decode("latin-1"),
                    route=request.route,
                    status=sent.status,
                    seconds=time.perf_counter() - started,
                    sent_bytes=sent.body_bytes,
                    client=request.client,
                    username=request.principal.username if request.principal else None,
                )
            )

    async def _admit(self, request: Request) -> None:
        check_head(request)
        request.route = route_of(request.method, request.raw_path)
        health = self._health.get(request.raw_path)
        if health is not None:
            await health(request)
            return
        self._hosts.check(request)
        if self._hosts.is_preflight(request):
            request.route = "preflight"
            await self._hosts.answer_preflight(request)
            return
        if self._starting_page.is_due_to_anybody(request):
            await self._starting_page.show(request)
            return
        page = self._pages.get(request.raw_path)
        if page is not None:
            await page(request)
            return
        request.principal = await self._identifier.identify(request)
        check_same_origin(request, self._hosts)
        await self._serve(request)

    async def _serve(self, request: Request) -> None:
        own = self._own_routes.find(request)
        if own is not None:
            await own(request)
        elif self._starting_page.is_due(request):
            await self._starting_page.show(request)
        elif self._static_ui.serves(request):
            await self._static_ui.serve(request)
        else:
            await self._proxy.forward(request)

    def _complete(self, request: Request, headers: Headers) -> Headers:
        return self._security.complete(request, self._hosts.complete(request, headers))

    async def _ready(self, request: Request) -> None:
        phase = self._upstream.state.phase
        status = HTTPStatus.OK if phase == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
        await _plain(request, status, phase.encode())


class _Sent:
    """An ASGI `send` that completes the headers and remembers what went out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.complete: Callable[[Headers], Headers] = list
        self.status = 0
        self.body_bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self.complete(message["headers"])
        else:
            self.body_bytes += len(message.get("body", b""))
        await self._send(message)


_FAULT = ApiError(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "INTERNAL_ERROR",
    "Headgate failed at this request. Its log has the reason under the request id.",
)


async def _refuse(request: Request, sent: _Sent, error: ApiError) -> None:
    """Answer with the error, or, in the middle of an answer, break the connection off."""
    if sent.status:
        # A client must not take half an answer for a whole one. Uvicorn closes the connection
        # when an application raises after it began to answer.
        raise error
    body = error.body(request.id)
    headers = json_headers(body) + list(error.headers)
    if error.close:
        headers.append((b"connection", b"close"))
    await answer(request, int(error.status), headers, body)


async def _healthy(request: Request) -> None:
    await _plain(request, HTTPStatus.OK, b"OK")


async def _plain(request: Request, status: HTTPStatus, body: bytes) -> None:
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await answer(request, int(status), headers, body)
