"""`headgate.gateway.pages.starting`: what a person sees before MLflow is there."""

from __future__ import annotations

from typing import get_args

import pytest

from headgate.gateway.pages.starting import StartingPage, render
from headgate.gateway.security_headers import OWN_PAGE_POLICY
from headgate.gateway.upstream import Phase, UpstreamAddress, UpstreamState
from tests.unit.gateway.asgi import make_request

BROWSER = {"sec-fetch-mode": "navigate", "accept": "text/html"}


class WaitingUpstream:
    """An MLflow in a given phase."""

    address = UpstreamAddress(socket=None, base_url="http://127.0.0.1:1")

    def __init__(self, phase: Phase) -> None:
        self.state = UpstreamState(phase, None, 0, 0.0, None)

    async def wait_ready(self, seconds: float) -> bool:
        return False


async def test_a_person_is_told_what_is_waited_for_and_the_page_reloads_without_a_script() -> None:
    request, answer = make_request("GET", "/", BROWSER)
    page = StartingPage(WaitingUpstream("migrating"))
    assert page.is_due(request)
    await page.show(request)
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"2"
    assert answer.headers[b"cache-control"] == b"no-store"
    assert answer.headers[b"content-security-policy"] == OWN_PAGE_POLICY
    assert b'http-equiv="refresh"' in answer.body
    assert b"database is being brought up to date" in answer.body
    assert b"<script" not in answer.body


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"accept": "application/json"}),
        ("GET", {"sec-fetch-mode": "cors", "accept": "text/html"}),
        ("POST", BROWSER),
    ],
)
def test_a_program_waits_instead(method: str, headers: dict[str, str]) -> None:
    request, _ = make_request(method, "/", headers)
    assert not StartingPage(WaitingUpstream("starting")).is_due(request)


def test_nobody_sees_it_once_mlflow_is_ready() -> None:
    request, _ = make_request("GET", "/", BROWSER)
    assert not StartingPage(WaitingUpstream("ready")).is_due(request)


def test_every_phase_has_a_sentence() -> None:
    pages = {render(phase) for phase in get_args(Phase)}
    assert len(pages) == len(get_args(Phase))
