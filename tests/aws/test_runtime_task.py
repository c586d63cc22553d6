"""A task as its containers run: secrets by name, rights of a user, S3, rotations, a pause."""

from __future__ import annotations

import hashlib
import http.client
import secrets
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import text

from headgate.database.access import Access
from headgate.database.engine import make_engine
from headgate.secret_store import Secret
from tests.harness.certificates import Certificate
from tests.harness.databases import DatabaseServer
from tests.harness.moto import Moto
from tests.harness.server import HeadgateServer, User, clean_environment
from tests.harness.sleeper import SleepingDatabase
from tests.harness.task import Cloud, Task
from tests.harness.waiting import eventually

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
LARGE, SMALL = 150_000, 500  # on either side of what the task redirects
IDLE_SECONDS = 4


@pytest.fixture(scope="module")
def database(aurora: DatabaseServer) -> Iterator[SleepingDatabase]:
    with SleepingDatabase(aurora.port) as started:
        yield started


@pytest.fixture(scope="module")
def cloud(
    moto: Moto, aurora: DatabaseServer, database: SleepingDatabase, certificate: Certificate
) -> Cloud:
    return Cloud(moto, database.uri(aurora.new_database()), ca=certificate.authority)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> Iterator[Task]:
    """One task for the tests of this module, which take it as they find it."""
    wishes = {
        "HEADGATE_DATABASE_IDLE_SECONDS": str(IDLE_SECONDS),
        "HEADGATE_IAM_USERS": "arn:aws:iam::123456789012:role/Team-*=admin",
    }
    with Task(tmp_path_factory.mktemp("task"), cloud, environment=wishes) as started:
        yield started


@pytest.fixture(scope="module")
def client(task: Task) -> HeadgateServer:
    task.folder.joinpath("client").mkdir()
    return task.client()


@pytest.fixture(scope="module")
def run(client: HeadgateServer) -> dict[str, str]:
    """A run of the admin's, with a large and a small artifact, and a model version of it."""
    made = client.api("POST", "/api/2.0/mlflow/experiments/create", {"name": secrets.token_hex(4)})
    info = client.api(
        "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": made["experiment_id"]}
    )["run"]["info"]
    name = f"model-{secrets.token_hex(4)}"
    client.api("POST", "/api/2.0/mlflow/registered-models/create", {"name": name})
    client.api(
        "POST",
        "/api/2.0/mlflow/model-versions/create",
        {"name": name, "source": info["artifact_uri"], "run_id": info["run_id"]},
    )
    path = f"{ARTIFACTS}/{made['experiment_id']}/{info['run_id']}/artifacts"
    for file, size in (("large name.bin", LARGE), ("small.bin", SMALL)):
        target = f"{path}/{urllib.parse.quote(file)}"
        answer = client.request("PUT", target, user=client.admin, body=content(size))
        assert answer.status == 200, answer.body
    return {"id": info["run_id"], "experiment": made["experiment_id"], "path": path, "model": name}


def content(size: int) -> bytes:
    return (hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1))[:size]


def followed(location: str) -> bytes:
    """What a client gets that goes where it is sent, without its credentials."""
    parts = urllib.parse.urlsplit(location)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    assert answer.status == 200
    body = answer.read()
    connection.close()
    return body


def ways_to(run: dict[str, str], file: str) -> list[str]:
    quoted = urllib.parse.quote(file)
    model = urllib.parse.urlencode({"name": run["model"], "version": "1", "path": file})
    return [
        f"{run['path']}/{quoted}",
        f"/ajax-api{run['path'].removeprefix('/api')}/{quoted}",
        f"/get-artifact?run_uuid={run['id']}&path={quoted}",
        f"/model-versions/get-artifact?{model}",
    ]


# Who may do what


def test_the_databases_user_may_do_all_that_mlflow_does_at_run_time(
    task: Task, client: HeadgateServer
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.showcase"],
        env=clean_environment(
            {
                "MLFLOW_TRACKING_URI": task.url,
                "MLFLOW_TRACKING_USERNAME": client.admin.name,
                "MLFLOW_TRACKING_PASSWORD": client.admin.password,
                "PYTHONPATH": ":".join(sys.path),
            }
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-2000:] + task.story()
    user = client.user("ordinary")
    token = client.create_token(user, "of a test")
    assert client.request("GET", "/headgate/api/tokens", user=token).status == 200
    assert client.request("GET", "/headgate/api/status", user=client.admin).json()["database"]


def test_no_secret_is_in_an_environment_an_argument_or_a_log(task: Task, cloud: Cloud) -> None:
    assert task.gateway is not None
    assert task.mlflow is not None
    said = [task.story()]
    for process in (psutil.Process(task.gateway.pid), psutil.Process(task.mlflow.pid)):
        said += [" ".join(process.cmdline()), str(process.environ())]
    for secret in (cloud.user_password, cloud.admin_password, cloud.key):
        assert not any(secret in text for text in said)


def test_whom_the_edge_names_is_the_user_of_the_settings(client: HeadgateServer) -> None:
    """As nginx passes it on, which is who we are here."""
    session = "arn:aws:sts::123456789012:assumed-role/Team-Data/SageMaker"
    signed = {
        "x-iam-principal-arn": session,
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=0",
    }
    current = "/api/2.0/mlflow/users/current"
    assert client.request("GET", current, headers=signed).json()["user"]["username"] == "admin"
    search = {"max_results": 1}
    target = "/api/2.0/mlflow/experiments/search"
    assert client.request("POST", target, headers=signed, json_body=search).status == 200
    other = signed | {"x-iam-principal-arn": session.replace("Team-", "Other-")}
    assert client.request("GET", current, headers=other).status == 401
    wrong = signed | {"authorization": User("admin", "wrong").authorization()}
    assert client.request("GET", current, headers=wrong).status == 401


# Artifacts


def test_a_large_download_is_a_redirect_to_s3_however_it_is_asked_for(
    client: HeadgateServer, run: dict[str, str], cloud: Cloud
) -> None:
    for way in ways_to(run, "large name.bin"):
        answer = client.request("GET", way, user=client.admin)
        assert answer.status == 307, (way, answer.status, answer.body[:300])
        assert answer.body == b""
        assert answer.headers["cache-control"] == "no-store"
        assert cloud.bucket in answer.headers["location"]
        assert followed(answer.headers["location"]) == content(LARGE)


def test_files_of_a_logged_model_are_redirected_to_as_well(
    client: HeadgateServer, run: dict[str, str]
) -> None:
    wish = {"experiment_id": run["experiment"], "name": "logged"}
    info = client.api("POST", "/api/2.0/mlflow/logged-models", wish)["model"]["info"]
    inside = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    target = f"{ARTIFACTS}/{inside}/model.bin"
    assert client.request("PUT", target, user=client.admin, body=content(LARGE)).status == 200
    way = f"/ajax-api/2.0/mlflow/logged-models/{info['model_id']}/artifacts/files"
    answer = client.request("GET", f"{way}?artifact_file_path=model.bin", user=client.admin)
    assert answer.status == 307, answer.body
    assert followed(answer.headers["location"]) == content(LARGE)


def test_a_small_download_is_answered_as_ever(client: HeadgateServer, run: dict[str, str]) -> None:
    for way in ways_to(run, "small.bin"):
        answer = client.request("GET", way, user=client.admin)
        assert (answer.status, answer.body) == (200, content(SMALL)), way


def test_who_may_not_read_gets_no_address(client: HeadgateServer, run: dict[str, str]) -> None:
    stranger = client.user("stranger")
    for kind, key in (("experiment", run["experiment"]), ("registered_model", run["model"])):
        grant = {"username": stranger.name, "resource_type": kind, "resource_id": key}
        client.api(
            "POST",
            "/api/3.0/mlflow/users/permissions/grant",
            grant | {"permission": "DENY"},
        )
    for way in ways_to(run, "large name.bin"):
        answer = client.request("GET", way, user=stranger)
        assert answer.status == 403, way
        assert "location" not in answer.headers
        assert client.request("GET", way).status == 401


def test_what_is_not_there_is_answered_as_mlflow_does(
    client: HeadgateServer, run: dict[str, str]
) -> None:
    for way in ways_to(run, "not there.bin"):
        answer = client.request("GET", way, user=client.admin)
        assert answer.status >= 400
        assert "location" not in answer.headers


@pytest.mark.parametrize("trick", ["..%2f..%2fother", "%2e%2e/%2e%2e/other", "a/../../../../x"])
def test_no_spelling_of_a_path_leads_out_of_the_store(
    client: HeadgateServer, run: dict[str, str], trick: str
) -> None:
    answer = client.request("GET", f"{run['path']}/{trick}", user=client.admin)
    assert answer.status >= 400
    assert "location" not in answer.headers


def test_the_uis_policy_lets_it_follow_to_the_bucket(client: HeadgateServer, cloud: Cloud) -> None:
    policy = client.request("GET", "/", user=client.admin).headers["content-security-policy"]
    [connect] = [part for part in policy.split("; ") if part.startswith("connect-src")]
    assert cloud.moto.url in connect.split()


def test_an_upload_beyond_the_edge_is_told_what_to_do(
    client: HeadgateServer, run: dict[str, str]
) -> None:
    answer = requests.put(
        f"{client.url}{run['path']}/huge.bin",
        headers={"Authorization": client.admin.authorization()},
        data=bytes(10 * 2**20 + 1),
        timeout=30,
    )
    assert answer.status_code == 413
    assert "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD" in answer.json()["message"]


def test_mlflows_client_uploads_in_presigned_parts_and_downloads_as_it_is(
    task: Task, client: HeadgateServer, run: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "parts.bin"
    file.write_bytes(secrets.token_bytes(12 * 2**20))
    code = """
import hashlib, mlflow, pathlib, sys
run_id, file, folder = sys.argv[1:]
client = mlflow.MlflowClient()
if file:
    client.log_artifact(run_id, file)
else:
    print(hashlib.sha256(
        pathlib.Path(client.download_artifacts(run_id, "parts.bin", folder)).read_bytes()
    ).hexdigest())
"""
    plain = {
        "MLFLOW_TRACKING_URI": task.url,
        "MLFLOW_TRACKING_USERNAME": client.admin.name,
        "MLFLOW_TRACKING_PASSWORD": client.admin.password,
    }
    in_parts = plain | {
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "8000000",
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * 2**20),
    }

    def mlflow(environment: dict[str, str], *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, run["id"], *arguments],
            env=clean_environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    mlflow(in_parts, str(file), "")
    said = mlflow(plain, "", str(tmp_path))
    assert said == hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_upload_in_parts_can_be_given_up(client: HeadgateServer, run: dict[str, str]) -> None:
    target = run["path"].removeprefix(f"{ARTIFACTS}/") + "/given-up.bin"
    made = client.api(
        "POST",
        f"/api/2.0/mlflow-artifacts/mpu/create/{target}",
        {"path": "given-up.bin", "num_parts": 2},
    )
    assert len(made["credentials"]) == 2
    client.api(
        "POST",
        f"/api/2.0/mlflow-artifacts/mpu/abort/{target}",
        {"path": "given-up.bin", "upload_id": made["upload_id"]},
    )


# Rotations


class Traffic:
    """Calls that read and write through everything, from several threads, until told to stop."""

    def __init__(self, client: HeadgateServer, user: User, run_id: str) -> None:
        self.failures: list[str] = []
        self.answers = 0
        self._client = client
        self._user = user
        self._run_id = run_id
        self._stop = threading.Event()

    def _go_on(self) -> None:
        while not self._stop.is_set():
            body = {"run_id": self._run_id, "key": "k", "value": 1, "timestamp": 1, "step": 1}
            try:
                answer = self._client.request(
                    "POST",
                    "/api/2.0/mlflow/runs/log-metric",
                    user=self._user,
                    json_body=body,
                    seconds=90,
                )
            except OSError as fault:
                self.failures.append(repr(fault))
                continue
            self.answers += 1
            if answer.status != 200:
                self.failures.append(f"{answer.status} {answer.body[:300]!r}")

    def enough(self, more: int = 20) -> None:
        """Wait until so many more calls were answered."""
        goal = self.answers + more
        eventually(lambda: self.answers >= goal, seconds=90, why=lambda: str(self.failures))

    @contextmanager
    def going(self) -> Iterator[Traffic]:
        with ThreadPoolExecutor(3) as threads:
            for _ in range(3):
                threads.submit(self._go_on)
            try:
                yield self
            finally:
                self._stop.set()


def set_password(cloud: Cloud, password: str) -> None:
    """In the database, as a rotation does before it tells Secrets Manager."""
    engine = make_engine(cloud.uri, access=Access(secret=Secret(cloud.master_secret), ca=cloud.ca))
    statement = (
        f"ALTER ROLE {cloud.user} PASSWORD '{password}'"
        if engine.dialect.name == "postgresql"
        else f"ALTER USER '{cloud.user}'@'%' IDENTIFIED BY '{password}'"
    )
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_rotation_of_the_databases_password_fails_no_request(
    client: HeadgateServer, run: dict[str, str], cloud: Cloud, aws: Moto
) -> None:
    new = secrets.token_urlsafe(24)
    with Traffic(client, client.admin, run["id"]).going() as traffic:
        traffic.enough()
        set_password(cloud, new)
        # For a while the secret still has the old password. MLflow connects for each call.
        told = threading.Timer(3, aws.change_secret, (cloud.user_secret, cloud.user, new))
        told.start()
        traffic.enough()
        told.join()
        traffic.enough()
    assert traffic.failures == []


def test_a_rotation_of_the_admins_password_fails_no_request(
    client: HeadgateServer, run: dict[str, str], cloud: Cloud, moto: Moto
) -> None:
    new = User("admin", secrets.token_urlsafe(24))
    with Traffic(client, client.admin, run["id"]).going() as traffic:
        traffic.enough()
        moto.change_secret(cloud.admin_secret, new.name, new.password)
        assert client.request("GET", "/api/2.0/mlflow/users/current", user=new).status == 200
        traffic.enough(60)
    assert traffic.failures == []
    wrong = User("admin", "neither the old nor the new one")
    assert client.request("GET", "/api/2.0/mlflow/users/current", user=wrong).status == 401


# A pause


def test_no_connection_is_left_after_the_idle_time_whatever_asks_for_health(
    client: HeadgateServer, database: SleepingDatabase, run: dict[str, str]
) -> None:
    target = f"/api/2.0/mlflow/runs/get?run_id={run['id']}"
    assert client.request("GET", target, user=client.admin).status == 200
    eventually(lambda: database.open == 0, seconds=IDLE_SECONDS * 4)
    before = database.attempts
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline:
        for path in ("/health", "/elb-status", "/ready"):
            assert client.request("GET", path).status == 200
    assert database.attempts == before
    assert database.open == 0


def test_a_request_waits_for_a_sleeping_database(
    client: HeadgateServer, database: SleepingDatabase, run: dict[str, str]
) -> None:
    eventually(lambda: database.open == 0, seconds=IDLE_SECONDS * 4)
    database.sleep(5)
    target = f"/api/2.0/mlflow/runs/get?run_id={run['id']}"
    answer = client.request("GET", target, user=client.admin, seconds=40)
    assert answer.status == 200, answer.body


def test_a_sleep_of_more_than_twenty_seconds_is_a_503_and_then_over(
    client: HeadgateServer, database: SleepingDatabase, run: dict[str, str]
) -> None:
    eventually(lambda: database.open == 0, seconds=IDLE_SECONDS * 4)
    database.sleep(24)
    target = f"/api/2.0/mlflow/runs/get?run_id={run['id']}"

    def ask(_: int) -> tuple[int, str | None]:
        answer = client.request("GET", target, user=client.admin, seconds=40)
        return answer.status, answer.headers.get("retry-after")

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert {status for status, _ in answers} == {503}
    assert all(int(wait or 0) >= 1 for _, wait in answers)
    assert database.attempts == 1
    assert client.request("GET", target, user=client.admin, seconds=40).status == 200
