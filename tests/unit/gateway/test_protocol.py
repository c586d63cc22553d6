"""What a connection may do, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading

import pytest
from starlette.types import Receive, Scope, Send

from headgate.gateway import protocol
from headgate.observation import GatewayFault, RequestFinished
from tests.harness.door import Door, DoorSettings, Recorder, parse_answers, read_answer, read_to_end

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON = DoorSettings(request_seconds=1)


def statuses(received: bytes) -> list[int]:
    return [status for status, _, _ in parse_answers(received)]


def receive_all(connection: socket.socket) -> bytes:
    """What comes until an orderly end; a reset raises."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


class Gate:
    """An application that answers once `opened`; `reached` is set by each request."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.gone = threading.Event()
        self.paths: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["raw_path"])
        self.reached.set()
        await asyncio.to_thread(self.opened.wait, 10)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            if not message.get("more_body"):
                break
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        )
        await send({"type": "http.response.body", "body": b"ok"})


async def refuse_unread(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 401 without reading the body."""
    await send(
        {"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


# Headers: size and number


def test_a_header_block_of_64_kb_is_read() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        padding = b"X: " + b"a" * 16000 + b"\r\n"
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + padding * 4 + b"\r\n")
        assert statuses(read_answer(connection)) == [200]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: aaaa\r\n" * 7_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X" * 70_000 + b": a\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["one long value", "many lines", "too many short lines", "long name", "long target"],
)
def test_a_larger_header_block_is_refused_with_431(sent: bytes) -> None:
    with Door(Recorder()) as door:
        assert statuses(door.exchange(sent + GET % b"behind")) == [431]


def test_a_large_header_that_arrives_in_two_parts_is_refused_with_431() -> None:
    with Door(Recorder()) as door, door.connect() as connection, door.connect() as other:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=" + b"a" * 60_000)
        other.sendall(GET % b"meanwhile")
        assert statuses(read_answer(other)) == [200]  # by now the first part was read by itself
        connection.sendall(b"a" * 40_000 + b"\r\n\r\n")
        assert statuses(read_to_end(connection)) == [431]


def test_headers_without_an_end_are_refused_with_431_while_they_come() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                connection.sendall(b"a" * 4_096)
        assert statuses(read_to_end(connection)) == [431]


def test_a_head_behind_a_large_body_is_not_counted_with_it() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        body = b"b" * 300_000
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        rest = GET % b"next"
        connection.sendall(head + body + rest[:10])
        assert statuses(read_answer(connection)) == [200]
        connection.sendall(rest[10:])
        assert parse_answers(read_answer(connection))[0][2] == b"/next "


def test_trailers_do_not_become_headers() -> None:
    recorder = Recorder()
    with Door(recorder) as door, door.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nAuthorization: Basic YTpi\r\nX-Late: 1\r\n\r\n"
        )
        assert parse_answers(read_answer(connection))[0][2] == b"/ hello"
    names = [name for name, _ in recorder.seen[0]["headers"]]
    assert names == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    "wrapping",
    [
        b"0\r\n" + b"X: aaaa\r\n" * 8_000 + b"\r\n",
        b"0\r\nX: " + b"a" * 400_000,
        b"5;" + b"a" * 400_000,
    ],
    ids=["many trailers", "a trailer without end", "a chunk extension without end"],
)
def test_trailers_and_chunk_extensions_are_bounded(wrapping: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Door(Recorder()) as door, door.connect() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            for start in range(0, len(wrapping), 20_000):
                connection.sendall(wrapping[start : start + 20_000])
        assert statuses(read_to_end(connection)) == [431]


# Clocks


def test_a_silent_connection_is_closed_by_the_clock_of_the_headers() -> None:
    with Door(Recorder(), SOON) as door, door.connect(seconds=10) as connection:
        assert read_to_end(connection) == b""


def test_headers_that_come_too_slowly_are_refused_with_408() -> None:
    with Door(Recorder(), SOON) as door, door.connect(seconds=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert statuses(read_to_end(connection)) == [408]


def test_dripping_bytes_do_not_stop_the_clock() -> None:
    with Door(Recorder(), SOON) as door, door.connect(seconds=10) as connection:
        connection.settimeout(0.05)
        received = b""
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        while not received:  # the suite's own time-out ends it, if the clock does not
            with contextlib.suppress(TimeoutError):
                received += connection.recv(65536)
            connection.sendall(b"a")
        assert statuses(received) == [408]


def test_stray_line_ends_do_not_keep_an_idle_connection_open() -> None:
    with Door(Recorder(), SOON) as door, door.connect(seconds=10) as connection:
        connection.sendall(GET % b"first")
        read_answer(connection)
        connection.sendall(b"\r\n")
        assert read_to_end(connection) == b""


def test_an_answered_request_must_end_its_body_in_time() -> None:
    with Door(refuse_unread, SOON) as door, door.connect(seconds=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc")
        assert statuses(read_to_end(connection)) == [401]


def test_a_connection_outlives_the_body_that_was_refused_unread() -> None:
    with Door(refuse_unread) as door, door.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc")
        assert statuses(read_answer(connection)) == [401]
        connection.sendall(b"x" * 96 + GET % b"next")
        assert statuses(read_answer(connection)) == [401]


def test_idle_connections_outlive_the_60_seconds_of_a_load_balancer() -> None:
    assert protocol.KEEP_ALIVE_SECONDS > 60


def test_an_idle_connection_is_closed_after_the_keep_alive_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "KEEP_ALIVE_SECONDS", 0.2)
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(GET % b"first")
        assert statuses(read_to_end(connection)) == [200]


def test_a_client_that_takes_no_byte_of_its_answer_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "WRITE_STALL_SECONDS", 0.2)
    finished = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        finished.set()

    with Door(endless) as door, door.connect() as connection:
        connection.sendall(GET % b"download")
        # Once the connection is dropped, `send` returns at once and the application ends.
        assert finished.wait(10)


# Pipelining


def test_pipelined_requests_are_answered_in_order() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(b"".join(GET % b"%d" % number for number in range(50)))
        connection.settimeout(5)
        received = b""
        while received.count(b"HTTP/1.1 200") < 50:
            received += connection.recv(65536)
        assert [body for _, _, body in parse_answers(received)] == [
            b"/%d " % number for number in range(50)
        ]


def test_more_pipelined_requests_than_anybody_needs_are_refused() -> None:
    gate = Gate()
    with Door(gate) as door, door.connect() as connection:
        connection.sendall((GET % b"a") * 5_000)
        assert gate.reached.wait(5)
        gate.opened.set()
        answered = statuses(read_to_end(connection))
    assert answered[-1] == 400
    assert set(answered[:-1]) == {200}
    assert len(answered) <= protocol.MAX_PIPELINED + 2


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    gate = Gate()
    with Door(gate) as door, door.connect() as connection:
        connection.sendall(GET % b"slow" + b"GET / HTTP/1.1\nbroken\r\n\r\n" + GET % b"behind")
        assert gate.reached.wait(5)
        gate.opened.set()
        assert statuses(read_to_end(connection)) == [200, 400]
    assert gate.paths == [b"/slow"]


def test_a_broken_body_of_a_waiting_request_is_never_read_as_whole() -> None:
    gate = Gate()
    broken = b"POST /broken HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with Door(gate) as door, door.connect() as connection:
        connection.sendall(GET % b"slow" + broken)
        assert gate.reached.wait(5)
        gate.opened.set()
        assert statuses(read_to_end(connection)) == [200, 400]
    assert gate.paths == [b"/slow"]


def test_a_body_that_breaks_while_it_is_read_is_a_disconnect_to_the_application() -> None:
    gate = Gate()
    gate.opened.set()
    with Door(gate) as door, door.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n"
        )
        assert gate.reached.wait(5)
        connection.sendall(b"zz\r\n" + GET % b"behind")
        assert statuses(read_to_end(connection)) == [400]
        assert gate.gone.wait(5)
    assert gate.paths == [b"/"]


def test_every_waiting_request_hears_that_the_client_left() -> None:
    gone: list[bytes] = []
    heard = threading.Event()

    async def wait_for_end(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.append(scope["raw_path"])
        heard.set()

    with Door(wait_for_end) as door:
        with door.connect() as connection:
            connection.sendall(GET % b"first" + GET % b"second")
        assert heard.wait(5)
    assert gone == [b"/first"]


def test_a_waiting_body_is_not_gathered_without_bound() -> None:
    gate = Gate()
    head = b"POST /next HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    with Door(gate) as door, door.connect(seconds=1) as connection:
        connection.sendall(GET % b"slow" + head)
        assert gate.reached.wait(5)
        with pytest.raises(TimeoutError):  # the sockets' own buffers take some megabytes
            connection.sendall(b"x" * 100_000_000)
        gate.opened.set()


# Answers that fail


def test_an_unfinished_answer_is_cut_not_ended() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await receive()

    with Door(half) as door, door.connect() as connection:
        connection.sendall(GET % b"download")
        with pytest.raises(ConnectionResetError):
            receive_all(connection)


def test_a_fault_before_the_answer_is_a_500_without_its_traceback() -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret")

    with Door(faulty) as door:
        [(status, _, body)] = parse_answers(door.exchange(GET % b""))
        assert status == 500
        error = json.loads(body)
        assert error["error_code"] == "INTERNAL_ERROR"
        assert b"secret" not in body
        [fault] = [event for event in door.events if isinstance(event, GatewayFault)]
        assert fault.request_id == error["request_id"]
        assert "a secret" in fault.traceback


def test_http_1_0_gets_an_answer_of_unknown_length_without_chunks() -> None:
    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part, more in ((b"one ", True), (b"two", False)):
            await send({"type": "http.response.body", "body": part, "more_body": more})

    with Door(unknown) as door:
        head, _, body = door.exchange(b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"one two"
    assert b"transfer-encoding" not in head.lower()


def test_http_1_0_keeps_a_known_length() -> None:
    with Door(Recorder()) as door:
        head, _, body = door.exchange(b"GET /a HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"content-length: 3" in head
    assert body == b"/a "


# The rest


def test_the_raw_path_and_query_reach_the_application_untouched() -> None:
    recorder = Recorder()
    with Door(recorder) as door, door.connect() as connection:
        connection.sendall(b"GET //a/%2e%2E/;x=1//b%2Fc?q=%20\\&r=//? HTTP/1.1\r\nHost: h\r\n\r\n")
        read_answer(connection)
    assert recorder.seen[0]["raw_path"] == b"//a/%2e%2E/;x=1//b%2Fc"
    assert recorder.seen[0]["query_string"] == b"q=%20\\&r=//?"


def test_the_body_is_asked_for_when_the_client_waits_for_it() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 5\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert parse_answers(read_answer(connection))[0][2] == b"/ hello"


def test_a_refusal_is_observed_under_the_id_that_the_client_sees() -> None:
    with Door(Recorder()) as door:
        [(_, headers, body)] = parse_answers(door.exchange(b"nonsense\r\n\r\n"))
        [event] = [event for event in door.events if isinstance(event, RequestFinished)]
    assert headers[b"x-request-id"].decode() == json.loads(body)["request_id"] == event.request_id
    assert (event.status, event.route, event.client) == (400, "refused", "127.0.0.1")


def test_a_refusal_can_be_read_by_a_client_that_is_still_sending() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\nHost: localhost\r\n\r\n" + b"x" * 1_000_000)
        assert statuses(receive_all(connection)) == [400]
