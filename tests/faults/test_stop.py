"""However Headgate ends, no process of it stays behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import StartHeadgate
from tests.harness import HeadgateServer, eventually
from tests.harness.wire import connect, head

# Promised: Ctrl-C stops everything within ten seconds.
SECONDS = 10


Moment = Callable[[HeadgateServer], None]


def just_listening(server: HeadgateServer) -> None:
    """The gateway answers; MLflow is still importing."""
    server.wait_listening()
    eventually(lambda: len(server.processes()) > 1, seconds=20, why=server.story)


def ready(server: HeadgateServer) -> None:
    """All of it runs."""
    server.wait_ready()


MOMENTS = pytest.mark.parametrize("moment", [just_listening, ready])


@MOMENTS
def test_control_c_leaves_no_process(start_headgate: StartHeadgate, moment: Moment) -> None:
    server = start_headgate()
    moment(server)
    server.interrupt()
    # 130 is what shells say for a command that ended by Ctrl-C.
    assert server.wait_gone(SECONDS) in (0, 130)
    assert "Traceback" not in server.stderr()


@MOMENTS
def test_a_polite_kill_leaves_no_process(start_headgate: StartHeadgate, moment: Moment) -> None:
    server = start_headgate()
    moment(server)
    assert server.stop(SECONDS) == 0
    assert "Traceback" not in server.stderr()


@MOMENTS
def test_the_death_of_the_supervisor_leaves_no_process(
    start_headgate: StartHeadgate, moment: Moment
) -> None:
    server = start_headgate()
    moment(server)
    server.kill()
    server.wait_gone(SECONDS)


def test_after_a_sudden_death_it_starts_again_with_everything(
    start_headgate: StartHeadgate,
) -> None:
    server = start_headgate().wait_ready()
    made = server.api("POST", "/api/2.0/mlflow/experiments/create", {"name": "kept"})
    server.kill()
    server.wait_gone(SECONDS)
    server.start().wait_ready()
    path = "/api/2.0/mlflow/experiments/get?experiment_id=" + made["experiment_id"]
    assert server.api("GET", path)["experiment"]["name"] == "kept"


def test_a_death_during_the_first_migration_does_no_harm(
    tmp_path: Path, start_headgate: StartHeadgate
) -> None:
    server = start_headgate(tmp_path / "data")
    eventually(
        lambda: any("migrate" in " ".join(p.cmdline()) for p in server.processes()[1:]),
        seconds=20,
        why=server.story,
    )
    server.kill()
    server.wait_gone(SECONDS)
    server.start().wait_ready()
    assert server.api("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")


def test_a_request_under_way_is_answered_before_it_stops(start_headgate: StartHeadgate) -> None:
    server = start_headgate().wait_ready()
    # More than the buffers between us hold, so that the gateway has begun to read it.
    half = b"\0" * (16 * 2**20)
    lines = [
        f"Authorization: {server.admin.authorization()}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {2 * len(half)}",
    ]
    target = "/api/2.0/mlflow-artifacts/artifacts/0/large.bin"
    with connect(server) as connection:
        connection.sendall(head("PUT", target, *lines) + half)
        server.terminate()
        eventually(lambda: is_refused(server), seconds=SECONDS, why=server.story)
        connection.sendall(half)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.wait_gone(SECONDS) == 0


def is_refused(server: HeadgateServer) -> bool:
    """Whether the server takes no new connection."""
    try:
        connect(server).close()
    except ConnectionRefusedError:
        return True
    return False
