"""`headgate.gateway.pages.starting`: what a person sees before MLflow is there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import headgate.gateway.pages
from headgate.errors import forbidden, unavailable
from headgate.gateway.pages.starting import RELOAD_SECONDS, StartingPage, render, replaces
from headgate.gateway.security_headers import OWN_SCRIPT_POLICY
from headgate.gateway.upstream import Phase, UpstreamAddress, UpstreamState
from tests.unit.gateway.asgi import make_request

ASSETS = Path(headgate.gateway.pages.__file__).parent / "assets"
BROWSER = {"sec-fetch-mode": "navigate", "accept": "text/html"}


class WaitingUpstream:
    """An MLflow in a given phase."""

    address = UpstreamAddress(socket=None, base_url="http://127.0.0.1:1")

    def __init__(self, phase: Phase) -> None:
        self.state = UpstreamState(phase, None, 0, 0.0, None)

    async def wait_ready(self, seconds: float) -> bool:
        return False


async def test_a_person_is_told_what_is_waited_for_and_the_page_reloads() -> None:
    request, answer = make_request("GET", "/", BROWSER)
    page = StartingPage(WaitingUpstream("migrating"))
    assert page.is_due(request)
    await page.show(request)
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"2"
    assert answer.headers[b"cache-control"] == b"no-store"
    assert answer.headers[b"content-security-policy"] == OWN_SCRIPT_POLICY
    assert b'src="/headgate/assets/starting.js"' in answer.body
    assert b'<noscript><meta http-equiv="refresh" content="2"></noscript>' in answer.body
    assert b"database is being brought up to date" in answer.body


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


def test_the_script_reloads_as_often_as_the_page_says() -> None:
    assert f"{RELOAD_SECONDS * 1000});" in (ASSETS / "starting.js").read_text()


def test_every_phase_has_a_sentence() -> None:
    pages = {render(phase) for phase in get_args(Phase)}
    assert len(pages) == len(get_args(Phase))


def test_strangers_see_it_only_while_nobody_can_sign_in() -> None:
    request, _ = make_request("GET", "/headgate/sign-in", BROWSER)
    for phase in get_args(Phase):
        due = StartingPage(WaitingUpstream(phase)).is_due_to_anybody(request)
        assert due is (phase == "migrating")
    sheet, _ = make_request("GET", "/headgate/assets/headgate.css", {"sec-fetch-mode": "no-cors"})
    assert not StartingPage(WaitingUpstream("migrating")).is_due_to_anybody(sheet)


async def test_a_person_also_waits_at_the_page_for_a_database_that_wakes() -> None:
    request, answer = make_request("GET", "/", BROWSER)
    error = unavailable("The database <is> waking up.", retry_after=5)
    assert replaces(error, request)
    await StartingPage(WaitingUpstream("ready")).show_instead(request, error)
    assert answer.status == 503
    assert b"The database &lt;is&gt; waking up." in answer.body
    assert b"retry-after" in answer.headers


def test_programs_and_other_errors_get_json_as_ever() -> None:
    page, _ = make_request("GET", "/", BROWSER)
    program, _ = make_request("GET", "/api/2.0/mlflow/runs/get")
    assert not replaces(forbidden("No."), page)
    assert not replaces(unavailable("Later.", retry_after=5), program)
