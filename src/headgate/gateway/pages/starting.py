"""The page that a person sees while MLflow is not ready yet, or the database wakes up: it says
what is waited for, and reloads itself."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from headgate.errors import ApiError
from headgate.gateway.request import Request, answer
from headgate.gateway.security_headers import own_page_headers
from headgate.gateway.upstream import Phase, Upstream

RELOAD_SECONDS = 2  # as in assets/starting.js

_WAITING_FOR: dict[Phase, str] = {
    "migrating": "The database is being brought up to date, as at a first start.",
    "starting": "MLflow is starting. That takes a few seconds.",
    "restarting": "MLflow stopped and is being started again.",
    "stopped": "MLflow is not running. The log of the server says why.",
    "ready": "MLflow is ready.",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MLflow is starting</title>
<link rel="icon" href="/headgate/assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/headgate/assets/headgate.css">
<script src="/headgate/assets/starting.js" defer></script>
<noscript><meta http-equiv="refresh" content="{seconds}"></noscript>
</head>
<body>
<main>
<img class="mark" src="/headgate/assets/mark.svg" alt="">
<h1>Almost there</h1>
<div class="waiting" role="progressbar" aria-label="Waiting for MLflow"></div>
<p role="status">{waiting_for}</p>
<p class="quiet">This page reloads by itself.</p>
</main>
</body>
</html>
"""


class StartingPage:
    """Answers page requests while `upstream` is not ready; programs wait in the proxy instead."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def is_due(self, request: Request) -> bool:
        """Whether this request should see the page."""
        return self._upstream.state.phase != "ready" and request.wants_page

    def is_due_to_anybody(self, request: Request) -> bool:
        """Whether even a stranger should see it: until the users can be read, nobody can sign
        in, and the page says no more than `/ready`."""
        return self._upstream.state.phase == "migrating" and request.wants_page

    async def show(self, request: Request) -> None:
        """Answer with the page: 503 and `Retry-After`, which the page obeys by itself."""
        await _show(request, render(self._upstream.state.phase))

    async def show_instead(self, request: Request, error: ApiError) -> None:
        """Answer a person's request with the page that says what else is waited for."""
        await _show(request, _page(escape(error.message)))


def replaces(error: ApiError, request: Request) -> bool:
    """Whether an error is one that a person only has to wait for, at a page."""
    return error.status == HTTPStatus.SERVICE_UNAVAILABLE and request.wants_page


def render(phase: Phase) -> bytes:
    """The page for a phase."""
    return _page(_WAITING_FOR[phase])


def _page(waiting_for: str) -> bytes:
    return _PAGE.format(seconds=RELOAD_SECONDS, waiting_for=waiting_for).encode()


async def _show(request: Request, body: bytes) -> None:
    headers = own_page_headers(body, scripts=True)
    headers.append((b"retry-after", str(RELOAD_SECONDS).encode()))
    await answer(request, int(HTTPStatus.SERVICE_UNAVAILABLE), headers, body)
