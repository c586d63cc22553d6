"""What passes the proxy, unchanged or on purpose changed, in both directions."""

from __future__ import annotations

import gzip
import socket
import threading
import time

import pytest

from headgate import assertion
from tests.harness.door import Door, read_answer
from tests.harness.proxied import ARTIFACT, KEY, answers_with, ask, head
from tests.harness.raw_upstream import Asked, RawUpstream

# Requests


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//double//slashes/",
        b"/a/%2e%2e/%2E/b",
        b"/a/../b/./c",
        b"/a%2Fb%2fc%5Cd",
        b"/a;b=c/d;e",
        b"/%00%0d%0a",
        b"/caf%C3%A9%FF",
        b"/a?b=c&b=c&=&&",
        b'/a?b=%20+%2B/?;:@\\|{}"<>^`',
        b"/a:b@c!$&'()*+,=~",
        b"/%zz%",
        b"//evil.example/a",
        b"/http://evil.example/",
    ],
)
def test_the_target_reaches_mlflow_as_it_was_sent(
    door: Door, upstream: RawUpstream, target: bytes
) -> None:
    assert ask(door, head(b"GET " + target))[0] == 200
    assert upstream.asked[0].line == b"GET " + target + b" HTTP/1.1"


def test_mlflow_is_told_who_it_is_and_can_verify_it(door: Door, upstream: RawUpstream) -> None:
    ask(door, head(b"GET /a//b?c=d", b"X-Headgate-Identity: forged", b"x_headgate_identity: f"))
    [asked] = upstream.asked
    [signed] = asked.header(b"x-headgate-identity")
    name = assertion.verify(
        KEY, signed.decode(), method="GET", raw_target=b"/a//b?c=d", now=time.time()
    )
    assert name == "ada"
    assert asked.header(b"x-request-id") == [b"0123456789abcdef"]
    assert asked.header(b"x-forwarded-proto") == [b"http"]
    assert asked.header(b"host") == [b"localhost"]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Basic YTpi",
        b"Cookie: headgate_session=1",
        b"Origin: https://evil.example",
        b"X-Headgate-Anything: 1",
        b"X_Headgate_Anything: 1",
        b"X-Headgate_Identity: 1",
        b"x_mlflow_workspace: other",
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Prefix: /evil",
        b"Forwarded: for=1.2.3.4",
        b"X-Real-IP: 1.2.3.4",
        b"TE: trailers",
        b"Trailer: X",
        b"Keep-Alive: timeout=5",
        b"Proxy-Authorization: Basic YTpi",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Anything: 1",
        b"HTTP2-Settings: AAMAAABk",
    ],
)
def test_a_header_that_is_not_mlflows_business_stays_here(
    door: Door, upstream: RawUpstream, line: bytes
) -> None:
    ask(door, head(b"GET /", line))
    [asked] = upstream.asked
    assert line.partition(b":")[0].lower() not in {
        name.lower() for name, value in asked.headers if value == line.partition(b": ")[2]
    }


def test_a_header_named_by_connection_stays_here(door: Door, upstream: RawUpstream) -> None:
    ask(door, head(b"GET /", b"Connection: keep-alive, X-Private", b"X-Private: 1", b"X-Other: 2"))
    [asked] = upstream.asked
    assert asked.header(b"x-private") == []
    assert asked.header(b"x-other") == [b"2"]
    assert asked.header(b"connection") == [b"close"]


def test_other_headers_pass_unchanged_and_none_is_invented(
    door: Door, upstream: RawUpstream
) -> None:
    sent = [b"X-A: 1", b"X-A: 2", b"X-B: \xc3\xbc", b"Accept: a/b"]
    ask(door, head(b"GET /", *sent))
    [asked] = upstream.asked
    assert asked.header(b"x-a") == [b"1", b"2"]
    assert asked.header(b"x-b") == [b"\xc3\xbc"]
    names = {name.lower() for name, _ in asked.headers}
    ours = {b"host", b"connection", b"x-headgate-identity", b"x-request-id", b"x-forwarded-proto"}
    assert names == {b"x-a", b"x-b", b"accept"} | ours


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"GET"])
def test_a_body_is_passed_on_with_its_length(
    door: Door, upstream: RawUpstream, method: bytes
) -> None:
    ask(
        door, head(method + b" /a", b"Content-Type: application/json", b"Content-Length: 2") + b"{}"
    )
    [asked] = upstream.asked
    assert asked.body == b"{}"
    assert asked.header(b"content-length") == [b"2"]
    assert asked.header(b"content-type") == [b"application/json"]


def test_a_chunked_json_body_gets_a_length(door: Door, upstream: RawUpstream) -> None:
    ask(door, head(b"POST /a", b"Transfer-Encoding: chunked") + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
    [asked] = upstream.asked
    assert (asked.body, asked.header(b"content-length")) == (b"{}", [b"2"])
    assert asked.header(b"transfer-encoding") == []


@pytest.mark.parametrize("chunked", [False, True])
def test_an_artifact_is_streamed_with_the_framing_it_came_in(
    door: Door, upstream: RawUpstream, chunked: bool
) -> None:
    line = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
    body = b"5\r\nhello\r\n0\r\n\r\n" if chunked else b"hello"
    assert ask(door, head(b"PUT " + ARTIFACT, line) + body)[0] == 200
    [asked] = upstream.asked
    assert asked.body == b"hello"
    assert asked.header(b"content-length") == ([] if chunked else [b"5"])


def test_an_empty_post_says_so(door: Door, upstream: RawUpstream) -> None:
    ask(door, head(b"POST /a"))
    assert upstream.asked[0].header(b"content-length") == [b"0"]


def test_expect_is_answered_here_and_not_passed_on(door: Door, upstream: RawUpstream) -> None:
    with door.connect() as connection:
        connection.sendall(head(b"POST /a", b"Expect: 100-continue", b"Content-Length: 2"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")
    assert upstream.asked[0].header(b"expect") == []


def test_decompressed_traces_are_passed_on_as_plain(door: Door, upstream: RawUpstream) -> None:
    body = gzip.compress(b"{}")
    length = b"Content-Length: %d" % len(body)
    ask(door, head(b"POST /v1/traces", b"Content-Encoding: gzip", length) + body)
    [asked] = upstream.asked
    assert (asked.body, asked.header(b"content-encoding")) == (b"{}", [])


# Answers


def test_an_answer_passes_with_its_headers_repeated_ones_too(
    door: Door, upstream: RawUpstream
) -> None:
    upstream.answer = answers_with(
        b"HTTP/1.1 418 Teapot\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: uvicorn\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Content-Type-Options: nosniff\r\n"
        b"Connection: X-Private, close\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
        b"X-Request-Id: theirs\r\nAccess-Control-Allow-Origin: *\r\n"
        b'WWW-Authenticate: Basic realm="mlflow"\r\nContent-Length: 2\r\n\r\nhi'
    )
    with door.connect() as connection:
        connection.sendall(head(b"GET /"))
        raw = read_answer(connection)
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert raw.startswith(b"HTTP/1.1 418 ")
    passed = [line for line in lines if not line.startswith(b"date: ")]
    assert passed == [
        b"set-cookie: a=1",
        b"set-cookie: b=2",
        b"x-content-type-options: nosniff",
        b"content-length: 2",
        b"x-request-id: 0123456789abcdef",
    ]
    assert sum(line.startswith(b"date: ") for line in lines) == 1
    assert b"1970" not in raw


def test_a_compressed_answer_passes_untouched(door: Door, upstream: RawUpstream) -> None:
    upstream.answer = answers_with(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot-gzip"
    )
    _, headers, body = ask(door, head(b"GET /", b"Accept-Encoding: gzip"))
    assert (headers[b"content-encoding"], body) == (b"gzip", b"not-gzip")
    assert upstream.asked[0].header(b"accept-encoding") == [b"gzip"]


@pytest.mark.parametrize(
    ("method", "raw", "status"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 200),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: a\r\n\r\n", 304),
    ],
)
def test_answers_without_a_body_end_with_their_head(
    door: Door, upstream: RawUpstream, method: bytes, raw: bytes, status: int
) -> None:
    upstream.answer = answers_with(raw)
    with door.connect() as connection:
        for _ in range(2):  # the connection is still good for another
            connection.sendall(head(method + b" /"))
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 %d " % status)
            assert received.endswith(b"\r\n\r\n")
    if method == b"HEAD":
        assert b"content-length: 99" in received


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"http://localhost/a//b?c", b"/a//b?c"),
        (b"https://localhost/", b"/"),
        (b"/relative", b"/relative"),
        (b"http://localhost.example/a", b"http://localhost.example/a"),
        (b"https://bucket.s3.amazonaws.com/a", b"https://bucket.s3.amazonaws.com/a"),
    ],
)
def test_a_redirect_to_itself_is_one_to_us_and_is_not_followed(
    door: Door, upstream: RawUpstream, location: bytes, expected: bytes
) -> None:
    upstream.answer = answers_with(
        b"HTTP/1.1 308 Permanent Redirect\r\nContent-Length: 0\r\nLocation: "
        + location
        + b"\r\n\r\n"
    )
    status, headers, _ = ask(door, head(b"GET /"))
    assert (status, headers[b"location"]) == (308, expected)
    assert len(upstream.asked) == 1


def test_events_reach_the_client_one_by_one(door: Door, upstream: RawUpstream) -> None:
    seen = threading.Event()

    def answer(connection: socket.socket, _: Asked) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
        )
        assert seen.wait(5)  # the second is not sent before the first has arrived
        connection.sendall(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    upstream.answer = answer
    with door.connect() as connection:
        connection.sendall(head(b"GET /events"))
        received = b""
        while b"data: 1\n\n" not in received:
            received += connection.recv(65536)
        seen.set()
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65536)
    assert b"data: 2\n\n" in received
