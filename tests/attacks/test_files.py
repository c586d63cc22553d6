"""An ordinary user tries to read and write files of the server outside the artifact store."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness import HeadgateServer, User
from tests.harness.wire import WireAnswer, ask_all, exchange, head

CANARY = b"canary-" + secrets.token_hex(16).encode()


@dataclass(frozen=True, slots=True)
class Burglar:
    """An ordinary user with a run of their own, a file they must not read, a place they must
    not write.
    """

    server: HeadgateServer
    user: User
    experiment_id: str
    run_id: str
    secret: Path
    target: Path

    def get(self, path: str) -> WireAnswer:
        """A GET with the raw path as it is."""
        return exchange(self.server, self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """The same, unsent."""
        return head("GET", path, f"Authorization: {self.user.authorization()}")


@pytest.fixture(scope="module")
def burglar(sqlite_server: HeadgateServer) -> Burglar:
    """Bob, at work."""
    server, bob = sqlite_server, sqlite_server.user("bob")
    secret = server.data_dir.parent / "canary.txt"
    secret.write_bytes(CANARY)
    # One inside the data folder, too: a step above the artifacts.
    (server.data_dir / "canary.txt").write_bytes(CANARY)
    name = f"burglar {secrets.token_hex(8)}"
    experiment = server.api("POST", "/api/2.0/mlflow/experiments/create", {"name": name}, user=bob)
    experiment_id = experiment["experiment_id"]
    run = server.api(
        "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment_id}, user=bob
    )
    target = server.data_dir.parent / "written"
    return Burglar(server, bob, experiment_id, run["run"]["info"]["run_id"], secret, target)


def ways_to(secret: Path) -> list[str]:
    """Spellings of paths that might lead from an artifact folder to the file."""
    up = ["../" * count + "canary.txt" for count in range(1, 7)]
    absolute = str(secret)
    plain = [*up, absolute, absolute.lstrip("/"), f"file://{absolute}", f"./{up[3]}"]
    plain += ["..\\..\\..\\canary.txt", "x/../../../../../canary.txt", f"//{absolute}"]
    plain += [f"....//....//....//{absolute}", f"{absolute}\0.txt", f"~{absolute}"]
    return plain


def spellings(path: str) -> list[str]:
    """A path as it stands, percent-encoded once and twice, in parts and overlong."""
    once = quote(path, safe="")
    return [
        quote(path, safe="/.~:"),
        once,
        quote(once, safe=""),
        path.replace("..", "%2e%2e").replace("\0", "%00"),
        path.replace("/", "%2f").replace("\0", "%00"),
        path.replace("..", "%252e%252e").replace("\0", "%00"),
        path.replace("/", "%c0%af").replace("\0", "%00"),
    ]


def test_no_spelling_of_a_path_reads_a_file_outside_the_store(burglar: Burglar) -> None:
    run, experiment = burglar.run_id, burglar.experiment_id
    places = [
        f"/get-artifact?run_id={run}&path=%s",
        f"/ajax-api/2.0/mlflow/get-artifact?run_id={run}&path=%s",
        "/model-versions/get-artifact?name=m&version=1&path=%s",
        "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=%s",
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}&path=%s",
        f"/api/2.0/mlflow/artifacts/list?run_id={run}&path=%s",
        "/api/2.0/mlflow-artifacts/artifacts/%s",
        f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/%s",
        f"/ajax-api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/%s",
        "/api/2.0/mlflow-artifacts/artifacts?path=%s",
        "/static-files/%s",
        "/static-files/static/js/%s",
        "/headgate/assets/%s",
    ]
    requests = [
        ("GET", burglar.get_bytes(place % spelling))
        for place in places
        for way in ways_to(burglar.secret)
        for spelling in spellings(way)
        if "\0" not in spelling and " " not in spelling
    ]
    answers = ask_all(burglar.server, requests, connections=8)
    for (_, sent), answer in zip(requests, answers, strict=True):
        assert CANARY not in answer.body, sent.splitlines()[0]
        assert b"Traceback" not in answer.body, sent.splitlines()[0]
        # A list must not show what lies beside the store either.
        assert b"canary.txt" not in answer.body or b"error_code" in answer.body, sent[:200]
    assert burglar.server.request("GET", "/health", seconds=1).status == 200


def locations(folder: Path) -> list[str]:
    """Spellings of a folder outside the artifact store."""
    plain = str(folder)
    return [
        plain,
        f"file://{plain}",
        f"file:{plain}",
        f"FILE://{plain}",
        f"file://localhost{plain}",
        f"mlflow-artifacts:/../../..{plain}",
        "mlflow-artifacts:/0/../../../written",
        "mlflow-artifacts:/%2e%2e/%2e%2e/written",
        f"file:///{quote(plain, safe='')}",
        f"//{plain}",
        "../written",
        "./../written",
        "written",
        f"local:{plain}",
        f"{plain}#x",
        f"{plain}?x",
        f" {plain}",
        f"file:///tmp/..{plain}",
        f"dbfs:{plain}",
        f"hdfs://localhost{plain}",
        f"ftp://localhost{plain}",
        f"http://127.0.0.1:1{plain}",
        "s3://somebody-elses/bucket",
    ]


def test_no_experiment_of_a_user_writes_outside_the_store(burglar: Burglar) -> None:
    server, bob = burglar.server, burglar.user
    for location in locations(burglar.target):
        made = server.request(
            "POST",
            "/api/2.0/mlflow/experiments/create",
            user=bob,
            json_body={
                "name": f"burglar {secrets.token_hex(8)}",
                "artifact_location": location,
            },
        )
        assert 400 <= made.status < 500, (location, made.status, made.body)
        assert made.json()["error_code"], location
    assert not burglar.target.exists()


def test_no_upload_of_a_user_lands_outside_the_store(burglar: Burglar) -> None:
    server, bob = burglar.server, burglar.user
    artifacts = server.data_dir / "artifacts"
    before = everything_outside(server, artifacts)
    run, experiment = burglar.run_id, burglar.experiment_id
    credentials = f"Authorization: {bob.authorization()}"
    requests = []
    for way in ["../" * 4 + "written", "../../written", str(burglar.target), "..\\..\\written"]:
        for spelling in spellings(f"{way}/file.txt"):
            for method, path in (
                ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{spelling}"),
                ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/{spelling}"),
                ("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={spelling}"),
            ):
                lines = [credentials, "Content-Type: text/plain", "Content-Length: 5"]
                requests.append((method, head(method, path, *lines) + b"hello"))
    answers = ask_all(server, requests, connections=4)
    for (_, sent), answer in zip(requests, answers, strict=True):
        assert b"Traceback" not in answer.body, sent.splitlines()[0]
    assert not burglar.target.exists()
    assert everything_outside(server, artifacts) == before


def everything_outside(server: HeadgateServer, artifacts: Path) -> set[Path]:
    """All files near the server that are not artifacts, databases or its own housekeeping."""
    return {
        path
        for path in server.data_dir.parent.rglob("*")
        if path != artifacts
        and artifacts not in path.parents
        and not path.name.startswith(("mlflow.db", "."))
    }


def test_no_model_version_of_a_user_reads_a_file_outside_the_store(burglar: Burglar) -> None:
    server, bob = burglar.server, burglar.user
    name = f"burglar {secrets.token_hex(8)}"
    server.api("POST", "/api/2.0/mlflow/registered-models/create", {"name": name}, user=bob)
    for source in locations(burglar.secret.parent):
        for run_id in ({}, {"run_id": burglar.run_id}):
            made = server.request(
                "POST",
                "/api/2.0/mlflow/model-versions/create",
                user=bob,
                json_body={"name": name, "source": source} | run_id,
            )
            assert 400 <= made.status < 500, (source, made.status, made.body)
    stolen = burglar.get(
        f"/model-versions/get-artifact?name={quote(name)}&version=1&path=canary.txt"
    )
    assert CANARY not in stolen.body


def test_a_user_still_reads_and_writes_what_is_theirs(burglar: Burglar) -> None:
    path = f"{burglar.experiment_id}/{burglar.run_id}/artifacts/mine.txt"
    put = burglar.server.request(
        "PUT",
        f"/api/2.0/mlflow-artifacts/artifacts/{path}",
        user=burglar.user,
        body=b"mine",
        headers={"Content-Type": "text/plain"},
    )
    assert put.status == 200, put.body
    assert burglar.get(f"/get-artifact?run_id={burglar.run_id}&path=mine.txt").body == b"mine"
