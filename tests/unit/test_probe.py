"""The health check of a container: an exit code, and a line that says what was wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headgate.aws import probe
from tests.harness.server import clean_environment


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Iterator[list[bytes]]:
    """A server of one answer; the requests that it got."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join(timeout=10)
        listener.close()


def local() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_200_is_healthy() -> None:
    listener, address = local()
    with answering(listener, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as asked:
        assert probe.main([address, "/health"]) == 0
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\n")


def test_a_unix_socket_is_asked_too(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with answering(listener, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as asked:
        assert probe.main([f"unix:{path}", "/health"]) == 0
    assert b"\r\nHost: localhost\r\n" in asked[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 Starting\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"nonsense\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_anything_else_is_not(answer: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    listener, address = local()
    with answering(listener, answer):
        assert probe.main([address, "/health"]) == 1
    assert said in capsys.readouterr().err


def test_nobody_there_is_not_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([f"unix:{tmp_path / 'none'}", "/health"]) == 1
    assert "FileNotFoundError" in capsys.readouterr().err


def test_it_gives_up_before_the_health_check_does() -> None:
    assert probe.SECONDS < 5


def test_it_starts_with_the_standard_library_alone() -> None:
    """It is started every ten seconds for as long as a task lives."""
    code = "import json, sys, headgate.aws.probe; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"boto3", "pydantic", "aiohttp", "sqlalchemy", "msgspec", "aws_cdk"} == set()
