"""`headgate.gateway.security_headers`: what a browser may do with each kind of answer."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headgate.gateway.security_headers import (
    OWN_PAGE_POLICY,
    PASSIVE_POLICY,
    TRACE_RENDERER,
    SecurityHeaders,
)
from headgate.settings.server import ServerSettings
from tests.unit.gateway.asgi import make_request

SECURITY = SecurityHeaders(
    artifact_scripts=["'unsafe-inline'", "https://cdn.plot.ly"],
    frame_origins=["https://notebooks.example.com"],
)
STRICT = SecurityHeaders(artifact_scripts=[], frame_origins=[])


def headers_of(
    path: str,
    *sent: tuple[bytes, bytes],
    security: SecurityHeaders = SECURITY,
    secure: bool = False,
    host: str = "mlflow.example.com",
) -> dict[bytes, bytes]:
    request, _ = make_request("GET", path, {"host": host}, secure=secure)
    completed = security.complete(request, list(sent))
    assert len({name for name, _ in completed}) == len(completed), "no header twice"
    return dict(completed)


def directives(headers: dict[bytes, bytes]) -> dict[str, list[str]]:
    policy = headers[b"content-security-policy"].decode()
    parts = [directive.split() for directive in policy.split(";")]
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize(
    "path",
    [
        "/get-artifact",
        "/api/2.0/mlflow-artifacts/artifacts/1/evil.html",
        "/api/2.0/mlflow/runs/get",
        "/anything/else",
        "/static-filesx",
    ],
)
def test_what_mlflow_answers_is_passive(path: str) -> None:
    headers = headers_of(path, (b"content-type", b"text/html"))
    assert headers[b"content-security-policy"] == PASSIVE_POLICY
    policy = directives(headers)
    assert policy["sandbox"] == []
    assert policy["default-src"] == ["'none'"]
    assert "script-src" not in policy
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"


def test_the_ui_talks_to_its_own_server_only() -> None:
    for path in ("/", "/static-files/static/js/main.js"):
        policy = directives(headers_of(path))
        assert policy["default-src"] == ["'none'"]
        assert policy["object-src"] == ["'none'"]
        assert policy["script-src-attr"] == ["'none'"]
        for name in ("connect-src", "img-src", "font-src", "worker-src", "frame-src"):
            assert set(policy[name]) <= {"'self'", "data:", "blob:"}
        assert policy["form-action"] == policy["manifest-src"] == ["'self'"]
        assert policy["frame-ancestors"] == ["'self'"]


def test_scripts_of_html_artifacts_are_a_choice() -> None:
    assert directives(headers_of("/"))["script-src"] == [
        "'self'",
        "'unsafe-eval'",
        "'unsafe-inline'",
        "https://cdn.plot.ly",
    ]
    assert directives(headers_of("/", security=STRICT))["script-src"] == ["'self'", "'unsafe-eval'"]


def test_the_settings_decide_about_scripts_of_artifacts() -> None:
    open_ones = SecurityHeaders.of(ServerSettings())
    assert directives(headers_of("/", security=open_ones))["script-src"] == [
        "'self'",
        "'unsafe-eval'",
        "'unsafe-inline'",
        "https://cdn.plot.ly",
    ]
    none = SecurityHeaders.of(ServerSettings(html_artifact_scripts=False))
    assert directives(headers_of("/", security=none))["script-src"] == ["'self'", "'unsafe-eval'"]


def test_a_source_cannot_add_to_the_policy() -> None:
    for source in (
        "https://a.example; script-src *",
        "'unsafe-eval'",
        "*",
        "https://*",
        "http://x",
    ):
        with pytest.raises(ValidationError):
            ServerSettings(html_artifact_sources=[source])


def test_only_the_trace_renderer_may_be_shown_in_a_notebook() -> None:
    headers = headers_of(TRACE_RENDERER.decode())
    assert b"x-frame-options" not in headers
    assert directives(headers)["frame-ancestors"] == [
        "'self'",
        "http://localhost:*",
        "http://127.0.0.1:*",
        "https://notebooks.example.com",
    ]
    assert headers_of("/")[b"x-frame-options"] == b"SAMEORIGIN"


def test_what_an_answer_says_itself_stays() -> None:
    headers = headers_of(
        "/headgate/sign-in",
        (b"content-security-policy", OWN_PAGE_POLICY),
        (b"x-frame-options", b"DENY"),
        (b"cache-control", b"private, max-age=60"),
    )
    assert headers[b"content-security-policy"] == OWN_PAGE_POLICY
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"cache-control"] == b"private, max-age=60"


@pytest.mark.parametrize(
    ("secure", "host", "told"),
    [
        (True, "mlflow.example.com", True),
        (True, "mlflow.example.com:8443", True),
        (False, "mlflow.example.com", False),
        (True, "localhost:5000", False),
        (True, "localhost", False),
        (True, "mlflow.localhost:5000", False),
    ],
)
def test_a_browser_is_held_to_tls_where_the_name_is_not_its_own_machine(
    secure: bool, host: str, told: bool
) -> None:
    headers = headers_of("/", secure=secure, host=host)
    assert (b"strict-transport-security" in headers) is told
