"""MLflow dies in the middle of traffic: the gateway stays, and what was acknowledged is there."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import HeadgateServer, eventually

WRITERS = 4


class Traffic:
    """Several clients that log metrics as fast as they are answered, and remember the answers."""

    def __init__(self, server: HeadgateServer, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: dict[str, list[int]] = defaultdict(list)
        self.statuses: set[int] = set()
        self.slowest_health = 0.0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Writers and a health check run while the block does."""
        work = [threading.Thread(target=self._write, args=(f"m{n}",)) for n in range(WRITERS)]
        work.append(threading.Thread(target=self._watch_health))
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in work:
                thread.join(90)

    def count(self) -> int:
        """How many writes were acknowledged so far."""
        with self._lock:
            return sum(len(steps) for steps in self.acknowledged.values())

    def _write(self, key: str) -> None:
        step = 0
        while not self._over.is_set():
            step += 1
            point = {"run_id": self._run_id, "key": key, "value": step, "step": step}
            answer = self._server.request(
                "POST",
                "/api/2.0/mlflow/runs/log-metric",
                user=self._server.admin,
                json_body=point | {"timestamp": step},
                seconds=80,
            )
            with self._lock:
                self.statuses.add(answer.status)
                if answer.status == 200:
                    self.acknowledged[key].append(step)

    def _watch_health(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            answer = self._server.request("GET", "/health")
            took = time.monotonic() - began
            with self._lock:
                self.statuses.add(answer.status)
                self.slowest_health = max(self.slowest_health, took)
            self._over.wait(0.1)


@pytest.fixture(scope="module")
def server(migrated_copy: Callable[[], Path]) -> Iterator[HeadgateServer]:
    """A Headgate whose MLflow each of these tests kills."""
    with HeadgateServer(migrated_copy()) as started:
        yield started.wait_ready()


def kill_mlflow(server: HeadgateServer) -> int:
    """SIGKILL to MLflow; the id of the process that was."""
    process = server.mlflow_process()
    process.kill()
    return process.pid


def wait_restarted(server: HeadgateServer, killed: int) -> None:
    """Wait until another MLflow answers."""
    eventually(lambda: server.mlflow_process().pid != killed, seconds=60, why=server.story)
    server.wait_ready()


def test_everything_acknowledged_survives_the_death_of_mlflow(server: HeadgateServer) -> None:
    supervisor = server.pid
    made = server.api("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
    run_id = made["run"]["info"]["run_id"]
    traffic = Traffic(server, run_id)

    with traffic.flowing():
        eventually(lambda: traffic.count() > 20, seconds=30, why=server.story)
        wait_restarted(server, kill_mlflow(server))
        before = traffic.count()
        eventually(lambda: traffic.count() > before + 20, seconds=60, why=server.story)

    assert server.pid == supervisor
    assert traffic.statuses <= {200, 503}, server.story()
    assert traffic.slowest_health < 1
    for key, steps in traffic.acknowledged.items():
        found = server.api(
            "GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key={key}"
        )
        assert {point["step"] for point in found["metrics"]} >= set(steps)


def test_the_reason_of_a_restart_is_in_the_log_and_in_the_status(server: HeadgateServer) -> None:
    wait_restarted(server, kill_mlflow(server))
    assert "signal 9" in server.stderr()
    status = server.request("GET", "/headgate/api/status", user=server.admin)
    assert status.status == 200
    assert b"signal 9" in status.body


def test_a_request_that_comes_while_mlflow_restarts_waits_for_it(server: HeadgateServer) -> None:
    search = "/api/2.0/mlflow/experiments/search?max_results=5"
    kill_mlflow(server)
    eventually(lambda: server.request("GET", "/ready").status == 503, seconds=10)
    assert server.request("GET", search, user=server.admin, seconds=90).status == 200
