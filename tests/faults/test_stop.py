"""However Headgate ends, no process of it stays behind."""

from __future__ import annotations

import pytest

from tests.conftest import StartHeadgate
from tests.harness import HeadgateServer, eventually

# What the issue of each bound promises: Ctrl-C stops everything within ten seconds.
SECONDS = 10


def just_listening(server: HeadgateServer) -> None:
    """The gateway answers; MLflow is still importing."""
    server.wait_listening()
    eventually(lambda: len(server.processes()) > 1, seconds=20, why=server.story)


def ready(server: HeadgateServer) -> None:
    """All of it runs."""
    server.wait_ready()


@pytest.mark.parametrize("moment", [just_listening, ready])
def test_control_c_leaves_no_process(start_headgate: StartHeadgate, moment) -> None:
    server = start_headgate()
    moment(server)
    server.interrupt()
    # 130 is what shells say for a command that ended by Ctrl-C.
    assert server.wait_gone(SECONDS) in (0, 130)
    assert "Traceback" not in server.stderr()


@pytest.mark.parametrize("moment", [just_listening, ready])
def test_a_polite_kill_leaves_no_process(start_headgate: StartHeadgate, moment) -> None:
    server = start_headgate()
    moment(server)
    assert server.stop(SECONDS) == 0
    assert "Traceback" not in server.stderr()


@pytest.mark.parametrize("moment", [just_listening, ready])
def test_the_death_of_the_supervisor_leaves_no_process(
    start_headgate: StartHeadgate, moment
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


def test_a_death_during_the_first_migration_does_no_harm(start_headgate: StartHeadgate) -> None:
    server = start_headgate()
    eventually(
        lambda: any("migrate" in " ".join(p.cmdline()) for p in server.processes()[1:]),
        seconds=20,
        why=server.story,
    )
    server.kill()
    server.wait_gone(SECONDS)
    server.start().wait_ready()
    assert server.api("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")


def test_requests_under_way_are_answered_before_it_stops(start_headgate: StartHeadgate) -> None:
    import threading

    server = start_headgate().wait_ready()
    statuses: list[int] = []

    def upload() -> None:
        answer = server.request(
            "PUT",
            "/api/2.0/mlflow-artifacts/artifacts/0/large.bin",
            user=server.admin,
            body=b"\0" * (64 * 2**20),
        )
        statuses.append(answer.status)

    work = threading.Thread(target=upload)
    work.start()
    eventually(lambda: work.is_alive(), seconds=5)
    assert server.stop(SECONDS) == 0
    work.join(20)
    # It may have come too late to be let in, but never half.
    assert statuses in ([200], [503], [])
