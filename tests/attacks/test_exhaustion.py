"""Requests made to wear the gateway out: slow, huge, deep, dense, many. It answers all the same."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import HeadgateServer
from tests.harness.wire import WireAnswer, connect, exchange, head

REQUEST_SECONDS = 2
# A reason to hang up may take this long to come after the time is over.
GRACE = 8


@pytest.fixture(scope="module")
def server(migrated_copy: Callable[[], Path]) -> Iterator[HeadgateServer]:
    """A gateway with little patience, so that nobody has to wait for 25 s in each test."""
    with HeadgateServer(
        migrated_copy(),
        environment={"HEADGATE_REQUEST_SECONDS": str(REQUEST_SECONDS)},
    ) as started:
        yield started.wait_ready()


@pytest.fixture(autouse=True)
def _still_well(server: HeadgateServer) -> Iterator[None]:
    """After each attack the gateway answers within the second that the issue allows."""
    yield
    assert server.request("GET", "/health", seconds=1).status == 200
    assert server.poll() is None


def signed(server: HeadgateServer, method: str, path: str, *lines: str) -> bytes:
    """The head of a request by the admin."""
    return head(method, path, f"Authorization: {server.admin.authorization()}", *lines)


def ends(connection: socket.socket, seconds: float) -> bool:
    """Whether the server closes the connection in time, with or without an answer before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        readable, _, _ = select.select([connection], [], [], 0.2)
        if readable:
            try:
                if connection.recv(65536) == b"":
                    return True
            except ConnectionError:
                return True
    return False


LOG_METRIC = "/api/2.0/mlflow/runs/log-metric"

SLOW = {
    "nothing at all": b"",
    "half a request line": b"GET /api/2.0/mlf",
    "a header without its end": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b",
    "headers without their end": b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
    "a body that does not come, without a name": head(
        "POST", LOG_METRIC, "Content-Type: application/json", "Content-Length: 100"
    ),
    "a chunked body that does not end": head(
        "POST", LOG_METRIC, "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    + b"5\r\nhello\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_a_sender_that_stops_half_way_is_hung_up_on(server: HeadgateServer, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert ends(connection, REQUEST_SECONDS + GRACE)


def test_a_body_that_trickles_is_hung_up_on(server: HeadgateServer) -> None:
    lines = ["Content-Type: application/json", "Content-Length: 1000"]
    with connect(server) as connection:
        connection.sendall(signed(server, "POST", LOG_METRIC, *lines))
        deadline = time.monotonic() + REQUEST_SECONDS + GRACE
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                connection.sendall(b" ")
                if ends(connection, 0.4):
                    return
            pytest.fail("The trickle was never cut off.")


def test_a_crowd_of_slow_senders_keeps_nobody_out(server: HeadgateServer) -> None:
    crowd = [connect(server) for _ in range(400)]
    try:
        for connection in crowd:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: local")
        search = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert server.request("GET", search, user=server.admin, seconds=10).status == 200
    finally:
        for connection in crowd:
            connection.close()


HUGE_HEADS = {
    "one header of 100 kB": ["X-A: " + "a" * 100_000],
    "a thousand headers of 100 bytes": [f"X-{n}: " + "a" * 95 for n in range(1000)],
    "a cookie of 100 kB": ["Cookie: headgate_session=" + "a" * 100_000],
    "an authorization of 100 kB": ["Authorization: Basic " + "a" * 100_000],
    "a header name of 100 kB": ["X" * 100_000 + ": a"],
    "headers without an end": ["X-A: " + "a" * 1000] * 5000,
}


@pytest.mark.parametrize("lines", HUGE_HEADS.values(), ids=HUGE_HEADS.keys())
def test_a_huge_head_is_refused(server: HeadgateServer, lines: list[str]) -> None:
    answer = exchange(server, head("GET", "/health", *lines))
    assert answer.status in (0, 400, 431)


def test_a_head_over_the_limit_is_said_to_be_too_large(server: HeadgateServer) -> None:
    answer = exchange(server, head("GET", "/health", *["X-A: " + "a" * 1000] * 66))
    assert answer.status == 431


def test_a_huge_target_is_refused(server: HeadgateServer) -> None:
    answer = exchange(server, head("GET", "/" + "a" * 100_000))
    assert answer.status in (0, 400, 414, 431)


def post(server: HeadgateServer, body: bytes, *lines: str, path: str = LOG_METRIC) -> WireAnswer:
    """A signed-in POST with this body."""
    sent = signed(server, "POST", path, f"Content-Length: {len(body)}", *lines)
    return exchange(server, sent + body, method="POST", seconds=30)


JSON = "Content-Type: application/json"

DENSE_JSON = {
    "lists in lists": b"[" * 100_000 + b"]" * 100_000,
    "objects in objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "lists that never end": b"[" * 100_000,
    "a number of a million digits": b'{"value": ' + b"9" * 1_000_000 + b"}",
    "an exponent of a million digits": b'{"value": 1e' + b"9" * 1_000_000 + b"}",
    "a list in a string's place": b'{"run_id": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("body", DENSE_JSON.values(), ids=DENSE_JSON.keys())
def test_json_that_is_too_deep_or_has_endless_numbers_is_refused(
    server: HeadgateServer, body: bytes
) -> None:
    answer = post(server, body, JSON)
    assert answer.status == 400
    assert json.loads(answer.body)["error_code"]


def test_json_under_another_content_type_is_no_way_round(server: HeadgateServer) -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    for kind in ("text/json", "application/x-json", "text/plain", "application/JSON; a=b"):
        answer = post(server, body, f"Content-Type: {kind}")
        assert 400 <= answer.status < 500, kind
    assert 400 <= post(server, body).status < 500


def test_a_declared_body_over_the_limit_is_refused_before_it_comes(server: HeadgateServer) -> None:
    sent = signed(server, "POST", LOG_METRIC, JSON, "Content-Length: 10000000000")
    assert exchange(server, sent, method="POST", seconds=REQUEST_SECONDS).status == 413


def test_a_chunked_body_over_the_limit_is_refused(server: HeadgateServer) -> None:
    with connect(server) as connection:
        connection.sendall(signed(server, "POST", LOG_METRIC, JSON, "Transfer-Encoding: chunked"))
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(chunk)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(65536)
    assert answer == b"" or answer.split(b" ")[1] == b"413"


def bomb(kind: str) -> bytes:
    """A body that grows a thousandfold when it is unpacked."""
    plain = b"\0" * (256 * 2**20)
    return gzip.compress(plain, 9) if kind == "gzip" else zlib.compress(plain, 9)


@pytest.fixture(scope="module")
def gzip_bomb() -> bytes:
    """256 MB in 256 kB."""
    return bomb("gzip")


@pytest.mark.parametrize("path", [LOG_METRIC, "/v1/traces"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x-gzip", "GZIP"])
def test_a_compressed_bomb_does_not_go_off(
    server: HeadgateServer, gzip_bomb: bytes, path: str, coding: str
) -> None:
    before = {process.pid: process.memory_info().rss for process in server.processes()}
    kind = JSON if path == LOG_METRIC else "Content-Type: application/x-protobuf"
    answer = post(
        server,
        gzip_bomb,
        kind,
        f"Content-Encoding: {coding}",
        "X-Mlflow-Experiment-Id: 0",
        path=path,
    )
    assert 400 <= answer.status < 500
    for process in server.processes():
        grown = process.memory_info().rss - before.get(process.pid, 0)
        assert grown < 128 * 2**20 or process.pid not in before


def test_many_requests_on_one_connection_do_not_starve_others(server: HeadgateServer) -> None:
    with connect(server) as connection:
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.settimeout(2)
            connection.sendall(head("GET", "/health") * 5000)
        assert server.request("GET", "/health", seconds=1).status == 200


def test_a_client_that_never_reads_its_answer_costs_nothing(server: HeadgateServer) -> None:
    before = server.processes()[0].memory_info().rss
    credentials = f"Authorization: {server.admin.authorization()}"
    crowd = [connect(server) for _ in range(50)]
    try:
        for connection in crowd:
            connection.sendall(head("GET", "/", credentials))
        assert server.request("GET", "/health", seconds=1).status == 200
        assert server.processes()[0].memory_info().rss - before < 64 * 2**20
    finally:
        for connection in crowd:
            connection.close()
