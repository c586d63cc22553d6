"""Told to stop, the containers of a task finish what is under way, whoever is told first."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from headgate.mlflow_app.lingering import LingeringServer, Visits
from headgate.settings import Settings
from headgate.upstream import launch
from tests.harness.moto import Moto
from tests.harness.task import Cloud, Task
from tests.harness.waiting import eventually, free_port


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says OK."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


class Served:
    """A `LingeringServer` on a thread, told to stop as by a signal."""

    def __init__(self, **wishes: float) -> None:
        self.port = free_port()
        visits = Visits()
        config = uvicorn.Config(
            visits.to(answering), host="127.0.0.1", port=self.port, lifespan="off", log_config=None
        )
        self.server = LingeringServer(config, visits=visits, **wishes)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Served:
        self._thread.start()
        eventually(lambda: self.server.started, seconds=10)
        return self

    def told_to_stop(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)

    def ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")

    def ended_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self.server._serve())


def test_it_ends_once_nobody_has_come_for_a_while() -> None:
    served = Served(longest_seconds=60, quiet_seconds=0.5).start()
    served.ask()
    served.told_to_stop()
    assert served.ended_within(10)


def test_it_goes_on_for_as_long_as_somebody_comes() -> None:
    served = Served(longest_seconds=60, quiet_seconds=1.5).start()
    served.told_to_stop()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        served.ask()
    assert not served.ended_within(0)
    assert served.ended_within(10)


def test_a_connection_that_stays_open_is_waited_for_but_not_for_ever() -> None:
    served = Served(longest_seconds=2, quiet_seconds=0.2).start()
    with socket.create_connection(("127.0.0.1", served.port), 5):
        eventually(lambda: served.server.server_state.connections, seconds=5)
        served.told_to_stop()
        assert not served.ended_within(1)
        assert served.ended_within(10)


def test_a_second_signal_ends_it_at_once() -> None:
    served = Served(longest_seconds=60, quiet_seconds=60).start()
    served.told_to_stop()
    served.told_to_stop()
    assert served.ended_within(5)


def test_it_lingers_longer_than_the_gateway_drains(tmp_path: Path) -> None:
    arguments = launch.outlasting_server(Settings(data_dir=tmp_path, drain_seconds=20)).arguments
    assert float(arguments[arguments.index("--linger") + 1]) > 20


@pytest.fixture
def task(tmp_path: Path, moto: Moto) -> Iterator[Task]:
    cloud = Cloud(moto, f"sqlite:///{tmp_path}/store.db")
    with Task(tmp_path, cloud, environment={"HEADGATE_DRAIN_SECONDS": "20"}) as started:
        yield started


def test_a_stop_of_all_containers_at_once_fails_no_request(task: Task) -> None:
    """Also not one whose body is still coming, and for which MLflow has not been asked yet."""
    assert task.gateway is not None
    assert task.mlflow is not None
    body = b'{"name": "slowly"}'
    head = (
        f"POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {task.cloud.admin().authorization()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", task.port), 30) as connection:
        connection.sendall(head.encode() + body[:5])
        eventually(lambda: task.client().request("GET", "/health").status == 200, seconds=5)
        for process in (task.mlflow, task.gateway):
            os.kill(process.pid, signal.SIGTERM)
        # Longer than MLflow would wait for somebody who does not come.
        threading.Event().wait(5)
        connection.sendall(body[5:])
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"experiment_id" in answer
    assert task.gateway.wait(30) == 0
    assert task.mlflow.wait(30) in (0, -signal.SIGTERM)
