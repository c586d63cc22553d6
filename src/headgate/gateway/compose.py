"""Puts the parts of the gateway together, for `headgate up` and `headgate serve`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from headgate import keys
from headgate.database.access import Access
from headgate.database.engine import make_engine
from headgate.database.idle import Usage
from headgate.database.users import UserStore
from headgate.errors import forbidden
from headgate.gateway.app import Gateway, Handler
from headgate.gateway.bucket import bucket_origins
from headgate.gateway.database_rest import Waker, close_idle
from headgate.gateway.head import HeadReader
from headgate.gateway.hosts import HostPolicy
from headgate.gateway.identity import Identifier
from headgate.gateway.metrics import CONTENT_TYPE, Metrics
from headgate.gateway.own_routes import OwnRoutes
from headgate.gateway.pages.sign_in import sign_in_pages
from headgate.gateway.pages.starting import StartingPage
from headgate.gateway.proxy import Proxy
from headgate.gateway.request import Request, answer, json_headers, require_method
from headgate.gateway.security_headers import SecurityHeaders
from headgate.gateway.static_ui import StaticUI, find_ui_folder
from headgate.gateway.status import Status
from headgate.gateway.upstream import Upstream
from headgate.observation import Observe, Observers
from headgate.secret_store import Secret
from headgate.settings import Settings


@dataclass(frozen=True, slots=True)
class Composed:
    """A gateway that can be served. `observe` reaches its metrics too; `metrics_app` serves them
    on a port of their own."""

    app: ASGIApp
    metrics_app: ASGIApp
    observe: Observe


@asynccontextmanager
async def compose(
    settings: Settings, *, key: bytes, upstream: Upstream, observe: Observe
) -> AsyncIterator[Composed]:
    """Build the gateway for the time of the context; afterwards its threads and connections
    are gone. No database is touched before the first request that needs one."""
    metrics = Metrics()
    metrics.watch(upstream)
    observers = Observers(observe, metrics)
    access = Access.of(settings)
    auth_engine = make_engine(settings.auth_uri(), access=access)
    status_engine = make_engine(settings.backend_uri(), pool_size=1, access=access)
    usages = [Usage(auth_engine), Usage(status_engine)]
    waker = Waker(usages[0])
    identifier = Identifier(
        users=UserStore(auth_engine, rotating=settings.admin_secret is not None),
        key=keys.derive(key, "session"),
        settings=settings,
        observe=observers,
        admin_secret=Secret(settings.admin_secret) if settings.admin_secret else None,
        opened=partial(_is_open, upstream, settings.upstream_wait_seconds, waker),
    )
    status = Status(
        upstream=upstream,
        metrics=metrics,
        engine=status_engine,
        artifacts=settings.artifacts(),
    )
    proxy = Proxy(upstream, identity_key=keys.derive(key, "identity"), limits=settings)
    gateway = Gateway(
        heads=HeadReader(
            settings.trusted_proxies,
            iam_header=settings.iam_header,
            iam_networks=settings.iam_networks(),
        ),
        hosts=HostPolicy(settings.allowed_hosts, settings.allowed_origins),
        security=SecurityHeaders.of(settings, _redirected_to(settings)),
        identifier=identifier,
        pages=sign_in_pages(identifier),
        own_routes=OwnRoutes(identifier, _more_routes(metrics, status)),
        starting_page=StartingPage(upstream),
        static_ui=StaticUI(find_ui_folder()),
        proxy=proxy,
        upstream=upstream,
        observe=observers,
    )
    await proxy.start()
    resting = asyncio.create_task(_rest(usages, settings.database_idle_seconds))
    try:
        yield Composed(gateway, _metrics_app(metrics), observers)
    finally:
        resting.cancel()
        waker.close()
        await proxy.close()
        identifier.close()
        auth_engine.dispose()
        status_engine.dispose()


async def _is_open(upstream: Upstream, seconds: float, waker: Waker) -> bool:
    """Whether the databases may be opened, at the latest after `seconds`; once they are awake."""
    if upstream.state.phase == "migrating":
        await upstream.wait_ready(seconds)
    if upstream.state.phase == "migrating":
        return False
    await waker()
    return True


def _redirected_to(settings: Settings) -> list[str]:
    """Where MLflow sends those who download much."""
    return bucket_origins(settings.artifacts(), os.environ) if settings.presigned_bytes else []


async def _rest(usages: Sequence[Usage], seconds: float) -> None:
    if seconds:
        await close_idle(usages, seconds)


def _more_routes(metrics: Metrics, status: Status) -> dict[bytes, Handler]:
    """Routes of ours that look at the server rather than at a user."""

    async def metrics_route(request: Request) -> None:
        require_method(request, "GET", "HEAD")
        body = await metrics.exposition()
        headers = [(b"content-type", CONTENT_TYPE.encode()), *json_headers(body)[1:]]
        await answer(request, int(HTTPStatus.OK), headers, body)

    async def status_route(request: Request) -> None:
        require_method(request, "GET", "HEAD")
        if request.principal is None or not request.principal.is_admin:
            raise forbidden("The status of the server is for its administrators.")
        body = msgspec.json.encode(await status.report())
        await answer(request, int(HTTPStatus.OK), json_headers(body), body)

    return {b"/metrics": metrics_route, b"/headgate/api/status": status_route}


def _metrics_app(metrics: Metrics) -> ASGIApp:
    """`/metrics` and nothing else, for a port that only this machine reaches."""

    async def page(request: StarletteRequest) -> Response:
        return Response(await metrics.exposition(), media_type=CONTENT_TYPE)

    return Starlette(routes=[Route("/metrics", page)])
