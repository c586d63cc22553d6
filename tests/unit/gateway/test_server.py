"""Opening the door, and closing it without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import Receive, Scope, Send

from headgate.errors import HeadgateError, SettingsError
from headgate.gateway import listening
from headgate.observation import Draining, ServerListening
from tests.harness.door import (
    Door,
    DoorSettings,
    Recorder,
    parse_answers,
    read_answer,
    read_to_end,
)

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class Slow:
    """Answers each request once `opened`; counts what was begun."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.release()
        await asyncio.to_thread(self.opened.wait, 20)
        body = scope["raw_path"]
        length = str(len(body)).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
        )
        await send({"type": "http.response.body", "body": body})


def certificate(folder: Path, name: str, *, password: bytes | None = None) -> tuple[Path, Path]:
    """A new self-signed certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = folder / f"{name}.pem", folder / f"{name}.key"
    certfile.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption(),
        )
    )
    return certfile, keyfile


def knock_for(seconds: float, door: Door) -> None:
    """Connect again and again; raises as soon as that fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        door.connect().close()


# Opening


def test_it_says_where_it_listens_and_that_is_true() -> None:
    with Door(Recorder()) as door:
        assert door.address.startswith("http://127.0.0.1:")
        assert ServerListening(address=door.address) in door.events
        with door.connect() as connection:
            connection.sendall(GET % b"")
            assert parse_answers(read_answer(connection))[0][0] == 200


def test_an_answer_carries_a_date_and_no_server_name() -> None:
    with Door(Recorder()) as door, door.connect() as connection:
        connection.sendall(GET % b"")
        [(_, headers, _)] = parse_answers(read_answer(connection))
    assert b"date" in headers
    assert b"server" not in headers


def test_a_port_in_use_is_said_with_the_name_of_who_holds_it() -> None:
    with Door(Recorder()) as door, pytest.raises(HeadgateError) as caught:
        Door(Recorder(), DoorSettings(port=door.port)).__enter__()
    assert f"Port {door.port} on 127.0.0.1 is already in use" in str(caught.value)
    assert f"(process {os.getpid()})" in str(caught.value)
    assert "--port" in str(caught.value.hint)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "300.1.1.1", "a..b"])
def test_an_address_of_another_machine_is_said(host: str) -> None:
    with pytest.raises(HeadgateError, match="no address of this machine"):
        listening.bind(host, 0)


def test_localhost_listens_on_every_address_of_that_name_at_one_port() -> None:
    bound = listening.bind("localhost", 0)
    try:
        assert len({one.getsockname()[1] for one in bound}) == 1
        assert listening.url_of(bound[0], secure=False).startswith("http://127.0.0.1:")
    finally:
        for one in bound:
            one.close()


def test_metrics_have_a_loopback_port_of_their_own() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    public, private = Recorder(), Recorder()
    with (
        Door(public, DoorSettings(metrics_port=port), metrics_app=private),
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
    ):
        connection.sendall(GET % b"metrics")
        read_answer(connection)
    assert private.paths == [b"/metrics"]
    assert public.paths == []


def test_it_refuses_to_serve_without_httptools() -> None:
    program = (
        "import sys; sys.modules['httptools'] = None\n"
        "from headgate.gateway.server import load_protocol\n"
        "from headgate.errors import HeadgateError\n"
        "try: load_protocol()\n"
        "except HeadgateError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env=ENVIRONMENT,
    )
    assert "does not serve without httptools" in done.stdout


# TLS


def test_tls_is_served_with_a_certificate_and_its_key(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path, "one")
    settings = DoorSettings(ssl_certfile=certfile, ssl_keyfile=keyfile)
    context = ssl.create_default_context(cafile=str(certfile))
    recorder = Recorder()
    with Door(recorder, settings) as door:
        assert door.address.startswith("https://")
        with context.wrap_socket(door.connect(), server_hostname="localhost") as connection:
            connection.sendall(GET % b"")
            assert parse_answers(read_answer(connection))[0][0] == 200
    assert recorder.seen[0]["scheme"] == "https"


def test_tls_older_than_1_2_is_refused(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path, "one")
    assert listening.tls_context(certfile, keyfile).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_key_of_another_certificate_is_said(tmp_path: Path) -> None:
    certfile, _ = certificate(tmp_path, "one")
    _, keyfile = certificate(tmp_path, "two")
    with pytest.raises(SettingsError, match="are not a certificate and its private key"):
        listening.tls_context(certfile, keyfile)


def test_an_encrypted_key_is_said_and_not_asked_for(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path, "one", password=b"secret")
    with pytest.raises(SettingsError, match="encrypted with a password"):
        listening.tls_context(certfile, keyfile)


def test_a_missing_certificate_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ssl_certfile: .* is not a file"):
        listening.tls_context(tmp_path / "none.pem", None)


def test_a_refusal_over_tls_reaches_the_client(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path, "one")
    settings = DoorSettings(ssl_certfile=certfile, ssl_keyfile=keyfile)
    context = ssl.create_default_context(cafile=str(certfile))
    with (
        Door(Recorder(), settings) as door,
        context.wrap_socket(door.connect(), server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\nHost: localhost\r\n\r\n")
        assert parse_answers(read_answer(connection))[0][0] == 400


# Closing


def test_every_request_under_way_is_answered_when_it_stops() -> None:
    slow = Slow()
    with Door(slow) as door, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(door.connect()) for _ in range(20)]
        for number, connection in enumerate(connections):
            connection.sendall(GET % b"%d" % number)
        for _ in connections:
            assert slow.begun.acquire(timeout=5)
        door.begin_stop()
        time.sleep(0.2)  # the requests are held across the stop, whatever its steps
        slow.opened.set()
        for number, connection in enumerate(connections):
            [(status, headers, body)] = parse_answers(read_to_end(connection))
            assert (status, body) == (200, b"/%d" % number)
            assert headers[b"connection"] == b"close"
        door.join()


def test_a_request_that_was_sent_before_the_stop_is_answered_though_nobody_had_read_it() -> None:
    blocked = threading.Event()
    release = threading.Event()

    async def block_the_loop(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] == b"/block":
            blocked.set()
            release.wait(10)  # on purpose: nothing is read meanwhile
        await Recorder()(scope, receive, send)

    with Door(block_the_loop) as door, contextlib.ExitStack() as stack:
        idle = stack.enter_context(door.connect())
        idle.sendall(GET % b"first")
        read_answer(idle)
        blocker = stack.enter_context(door.connect())
        blocker.sendall(GET % b"block")
        assert blocked.wait(5)
        fresh = [stack.enter_context(door.connect()) for _ in range(5)]
        for connection in (*fresh, idle):
            connection.sendall(GET % b"late")
        door.begin_stop()
        release.set()
        for connection in (*fresh, idle):
            [(status, _, body)] = parse_answers(read_to_end(connection))
            assert (status, body) == (200, b"/late ")
        door.join()


def test_idle_connections_are_closed_at_once_when_it_stops() -> None:
    slow = Slow()
    with Door(slow) as door, door.connect() as idle, door.connect() as busy:
        slow.opened.set()
        idle.sendall(GET % b"idle")
        read_answer(idle)
        slow.opened.clear()
        busy.sendall(GET % b"busy")
        assert slow.begun.acquire(timeout=5)
        assert slow.begun.acquire(timeout=5)
        door.begin_stop()
        assert read_to_end(idle) == b""  # while the other is still being answered
        slow.opened.set()
        assert parse_answers(read_to_end(busy))[0][0] == 200


def test_no_new_connection_is_taken_once_it_stops() -> None:
    slow = Slow()
    with Door(slow) as door, door.connect() as busy:
        busy.sendall(GET % b"busy")
        assert slow.begun.acquire(timeout=5)
        door.begin_stop()
        with pytest.raises(ConnectionError):
            knock_for(5, door)
        slow.opened.set()


def test_what_takes_longer_than_the_drain_is_cut() -> None:
    slow = Slow()
    with Door(slow, DoorSettings(drain_seconds=0.2)) as door, door.connect() as connection:
        connection.sendall(GET % b"endless")
        assert slow.begun.acquire(timeout=5)
        door.begin_stop()
        assert read_to_end(connection) == b""
        slow.opened.set()
        door.join()


PROGRAM = """
import asyncio, sys
from headgate.gateway.server import run, serve
from tests.harness.door import DoorSettings

async def app(scope, receive, send):
    print("begun", flush=True)
    await asyncio.sleep(float(sys.argv[1]))
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

def tell(something):
    print(something, flush=True)

run(serve(app, settings=DoorSettings(drain_seconds=60), observe=tell, on_listening=tell))
print("stopped", flush=True)
"""


@contextlib.contextmanager
def served_process(seconds: float) -> Iterator[tuple[subprocess.Popen[str], IO[str], int]]:
    """A process whose every answer takes `seconds`, and its output and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process, process.stdout, int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_request_under_way_finish(number: signal.Signals) -> None:
    with served_process(0.5) as (process, output, port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(GET % b"")
            assert output.readline() == "begun\n"
            process.send_signal(number)
            assert parse_answers(read_to_end(connection))[0][0] == 200
        assert process.wait(10) == 0
        assert repr(Draining(signal=number.name)) in output.read()


def test_a_second_signal_ends_at_once() -> None:
    with served_process(3600) as (process, output, port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(GET % b"")
            assert output.readline() == "begun\n"
            process.send_signal(signal.SIGTERM)
            assert "Draining" in output.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert read_to_end(connection) == b""
        assert output.read() == "stopped\n"
