"""DNS rebinding, and pages of other origins."""

from __future__ import annotations

import pytest

from headgate.errors import ApiError
from headgate.gateway.hosts import HostPolicy
from headgate.gateway.request import Request
from tests.unit.gateway.asgi import Answer, make_request

POLICY = HostPolicy(
    ["mlflow.example.com", "*.internal.example", "10.1.2.3:5000", "2001:db8::1"],
    ["https://notebooks.example.com"],
)


def a_request(
    method: str = "GET",
    *headers: tuple[bytes, bytes],
    host: bytes = b"localhost",
    secure: bool = False,
) -> Request:
    request, _ = make_request(method, "/", secure=secure)
    request.headers = [(b"host", host), *headers]
    return request


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LOCALHOST:5000",
        b"localhost.",
        b"127.0.0.1",
        b"127.0.0.1:8080",
        b"127.9.9.9",
        b"[::1]",
        b"[::1]:5000",
        b"mlflow.example.com",
        b"MLflow.Example.com:443",
        b"mlflow.example.com.:443",
        b"a.internal.example",
        b"a.b.internal.example:1",
        b"10.1.2.3",
        b"10.1.2.3:80",
        b"[2001:db8::1]",
        b"[2001:DB8::1]:5000",
    ],
)
def test_our_names_are_known_whatever_the_port_and_case(host: bytes) -> None:
    POLICY.check(a_request(host=host))


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:5000",
        b"localhost.evil.example",
        b"mlflow.example.com.evil.example",
        b"notmlflow.example.com",
        b"internal.example",
        b"evilinternal.example",
        b"10.1.2.30",
        b"192.168.1.1",
        b"[2001:db8::2]",
        b"[::ffff:10.0.0.1]",
        b"0.0.0.0",
        b"2130706433",
        b"*.internal.example.evil",
        b"",
    ],
)
def test_any_other_name_is_refused(host: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        POLICY.check(a_request(host=host))
    assert caught.value.status == 403
    assert "allowed_hosts" in caught.value.message


def test_a_request_without_host_is_refused() -> None:
    request = a_request()
    request.headers = []
    with pytest.raises(ApiError, match="Host"):
        POLICY.check(request)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        b"https://evil.example",
        b"null",
        b"",
        b"http://localhost:3000",
        b"https://notebooks.example.com:8443",
        b"http://notebooks.example.com",
        b"file://localhost",
    ],
)
def test_a_foreign_page_may_not_write(method: str, origin: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        POLICY.check(a_request(method, (b"origin", origin), host=b"localhost:5000"))
    assert caught.value.status == 403
    assert "allowed_origins" in caught.value.message


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        (b"http://localhost:5000", b"localhost:5000", False),
        (b"https://mlflow.example.com", b"mlflow.example.com", True),
        (b"https://mlflow.example.com", b"mlflow.example.com:443", True),
        (b"https://mlflow.example.com", b"mlflow.example.com", False),
        (b"http://[::1]:5000", b"[::1]:5000", False),
        (b"HTTPS://Notebooks.Example.com", b"mlflow.example.com", True),
        (b"https://notebooks.example.com:443", b"mlflow.example.com", True),
    ],
)
def test_our_own_and_allowed_pages_may_write(origin: bytes, host: bytes, secure: bool) -> None:
    POLICY.check(a_request("POST", (b"origin", origin), host=host, secure=secure))


def test_a_page_over_plain_http_is_foreign_to_a_server_with_tls() -> None:
    with pytest.raises(ApiError):
        POLICY.check(a_request("POST", (b"origin", b"http://localhost"), secure=True))


def test_a_foreign_page_may_read_what_it_then_cannot_see() -> None:
    request = a_request("GET", (b"origin", b"https://evil.example"))
    POLICY.check(request)
    assert POLICY.complete(request, []) == [(b"vary", b"Origin")]


def test_programs_without_an_origin_may_write() -> None:
    POLICY.check(a_request("POST"))


def test_an_allowed_page_may_read_the_answer() -> None:
    request = a_request("GET", (b"origin", b"https://notebooks.example.com"))
    completed = dict(POLICY.complete(request, [(b"content-type", b"text/plain")]))
    assert completed[b"content-type"] == b"text/plain"
    assert completed[b"access-control-allow-origin"] == b"https://notebooks.example.com"
    assert completed[b"access-control-allow-credentials"] == b"true"
    assert completed[b"vary"] == b"Origin"


def test_vary_is_not_said_twice() -> None:
    completed = POLICY.complete(a_request(), [(b"vary", b"Accept, Origin")])
    assert completed == [(b"vary", b"Accept, Origin")]


def test_without_allowed_origins_answers_stay_as_they_are() -> None:
    request = a_request("GET", (b"origin", b"https://evil.example"))
    assert HostPolicy([], []).complete(request, []) == []


def preflight(origin: bytes, *more: tuple[bytes, bytes]) -> Request:
    return a_request(
        "OPTIONS", (b"origin", origin), (b"access-control-request-method", b"POST"), *more
    )


async def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    request = preflight(
        b"https://notebooks.example.com",
        (b"access-control-request-headers", b"authorization, content-type"),
    )
    answer = Answer()
    request.send = answer.send
    assert POLICY.is_preflight(request)
    await POLICY.answer_preflight(request)
    assert answer.status == 204
    assert answer.headers[b"access-control-allow-headers"] == b"authorization, content-type"
    assert b"DELETE" in answer.headers[b"access-control-allow-methods"]


async def test_a_preflight_of_a_foreign_origin_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        await POLICY.answer_preflight(preflight(b"https://evil.example"))
    assert caught.value.status == 403


def test_plain_options_is_no_preflight() -> None:
    assert not POLICY.is_preflight(a_request("OPTIONS", (b"origin", b"https://evil.example")))
    assert not POLICY.is_preflight(a_request("OPTIONS"))
