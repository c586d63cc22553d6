"""What becomes of a request when MLflow is not there, or dies, or the client leaves."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from headgate.settings.limits import LimitSettings
from tests.harness.door import Door, parse_answers, read_answer, read_to_end
from tests.harness.proxied import ARTIFACT, ProxyApp, answers_with, ask, head
from tests.harness.raw_upstream import OK, Asked, RawUpstream

# When MLflow is not there


def test_a_request_waits_while_mlflow_starts(door: Door, upstream: RawUpstream) -> None:
    upstream.ready.clear()
    with door.connect() as connection:
        connection.sendall(head(b"POST /", b"Content-Length: 2") + b"{}")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        upstream.ready.set()
        connection.settimeout(5)
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_waited_too_long_is_asked_to_come_again(
    upstream: RawUpstream,
) -> None:
    upstream.ready.clear()
    with Door(ProxyApp(upstream, LimitSettings(upstream_wait_seconds=0.2))) as door:
        status, headers, body = ask(door, head(b"GET /"))
    assert status == 503
    assert int(headers[b"retry-after"]) > 0
    assert json.loads(body)["error_code"] == "TEMPORARILY_UNAVAILABLE"


@pytest.mark.parametrize("line", [b"GET /", b"POST /", b"PUT " + ARTIFACT])
def test_a_request_outlives_a_restart_that_nobody_has_noticed(
    door: Door, upstream: RawUpstream, line: bytes
) -> None:
    upstream.hang_up()
    with door.connect() as connection:
        connection.sendall(head(line, b"Content-Length: 2") + b"{}")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        upstream.listen()
        connection.settimeout(5)
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
    assert [asked.body for asked in upstream.asked] == [b"{}"]


def test_an_mlflow_that_stays_away_is_a_503(upstream: RawUpstream) -> None:
    upstream.hang_up()
    with Door(ProxyApp(upstream, LimitSettings(upstream_wait_seconds=0.3))) as door:
        status, headers, _ = ask(door, head(b"GET /"))
    assert status == 503
    assert b"retry-after" in headers


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
def test_a_request_is_never_sent_twice(
    door: Door, upstream: RawUpstream, method: bytes, begun: bytes
) -> None:
    upstream.answer = answers_with(begun)  # and then the connection ends
    with door.connect() as connection:
        connection.sendall(head(method + b" /", b"Content-Length: 2") + b"{}")
        received = connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in received
    assert len(upstream.asked) == 1


def test_a_small_answer_that_mlflow_does_not_finish_is_a_503(
    door: Door, upstream: RawUpstream
) -> None:
    upstream.answer = answers_with(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    status, headers, _ = ask(door, head(b"GET /"))
    assert status == 503
    assert b"retry-after" in headers


def test_an_answer_that_mlflow_does_not_finish_is_cut(door: Door, upstream: RawUpstream) -> None:
    for begun in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\nh",
    ):
        upstream.answer = answers_with(begun)
        received = door.exchange(head(b"GET /"))
        assert received.startswith(b"HTTP/1.1 200 ")
        assert not received.endswith(b"0\r\n\r\n")


# When the client is not there, or sends what it may not


def test_mlflows_work_is_ended_when_the_client_leaves(door: Door, upstream: RawUpstream) -> None:
    reached, ended = threading.Event(), threading.Event()

    def answer(connection: socket.socket, _: Asked) -> None:
        reached.set()
        connection.settimeout(5)
        if connection.recv(1) == b"":
            ended.set()

    upstream.answer = answer
    with door.connect() as connection:
        connection.sendall(head(b"POST /slow", b"Content-Length: 2") + b"{}")
        assert reached.wait(5)
    assert ended.wait(5)


def test_a_download_is_ended_when_the_client_leaves(door: Door, upstream: RawUpstream) -> None:
    ended = threading.Event()

    def answer(connection: socket.socket, _: Asked) -> None:
        connection.settimeout(5)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            ended.set()

    upstream.answer = answer
    with door.connect() as connection:
        connection.sendall(head(b"GET " + ARTIFACT))
        assert connection.recv(65536)
    assert ended.wait(5)


def test_half_an_upload_never_looks_like_a_whole_one(door: Door, upstream: RawUpstream) -> None:
    for lines in (b"Content-Length: 10", b"Transfer-Encoding: chunked"):
        with door.connect() as connection:
            connection.sendall(head(b"PUT " + ARTIFACT, lines) + b"5\r\nhello\r\n"[: 10 - 1])
    door.begin_stop()
    door.join()
    assert upstream.asked == []  # `read_request` keeps whole ones alone


def test_an_upload_that_stalls_is_refused_with_408(door: Door, upstream: RawUpstream) -> None:
    with door.connect() as connection:
        connection.sendall(head(b"PUT " + ARTIFACT, b"Content-Length: 10") + b"hello")
        [(status, headers, _)] = parse_answers(read_to_end(connection))
    assert (status, headers[b"connection"]) == (408, b"close")
    assert upstream.asked == []


def test_an_upload_that_grows_too_large_is_refused_with_413(upstream: RawUpstream) -> None:
    app = ProxyApp(upstream, LimitSettings(max_artifact_bytes=7))
    with Door(app) as door:
        sent = head(b"PUT " + ARTIFACT, b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" * 2
        [(status, headers, _)] = parse_answers(door.exchange(sent))
    assert (status, headers[b"connection"]) == (413, b"close")
    assert upstream.asked == []


def test_an_early_answer_to_an_upload_reaches_the_client(door: Door, upstream: RawUpstream) -> None:
    refused = threading.Event()

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            refused.wait(5)

    upstream.hang_up()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(upstream.path))
        listener.listen()
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        with door.connect() as connection:
            connection.sendall(head(b"PUT " + ARTIFACT, b"Content-Length: 1000000") + b"x" * 1000)
            assert read_answer(connection).startswith(b"HTTP/1.1 403 ")
        refused.set()
        thread.join()


def test_many_requests_at_once_are_all_answered(door: Door, upstream: RawUpstream) -> None:
    barrier = threading.Barrier(40, timeout=10)

    def answer(connection: socket.socket, asked: Asked) -> None:
        barrier.wait()  # all of them are with MLflow at one time
        connection.sendall(OK)

    upstream.answer = answer
    connections = [door.connect() for _ in range(40)]
    for connection in connections:
        connection.sendall(head(b"GET /"))
    for connection in connections:
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
        connection.close()
