"""Who comes while the very first start is still making the database."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.harness import HeadgateServer
from tests.harness.server import Answer

PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


def test_early_clients_wait_early_people_are_told_and_neither_disturbs_the_start(
    tmp_path: Path,
) -> None:
    with HeadgateServer(tmp_path / "data") as server:
        server.wait_listening()
        answers: list[Answer] = []

        def search() -> None:
            answers.append(
                server.request(
                    "POST",
                    "/api/2.0/mlflow/experiments/search",
                    user=server.admin,
                    json_body={"max_results": 10},
                    seconds=90,
                )
            )

        clients = [threading.Thread(target=search) for _ in range(3)]
        for client in clients:
            client.start()
        for path in ("/", "/headgate/sign-in"):
            page = server.request("GET", path, headers=PAGE)
            assert page.status == 503
            assert b"being brought up to date" in page.body
        stranger = server.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
        assert stranger.status == 401

        server.wait_ready()
        for client in clients:
            client.join(90)
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert answers[0].json()["experiments"][0]["name"] == "Default"
        page = server.request("GET", "/headgate/sign-in", headers=PAGE)
        assert page.status == 200
