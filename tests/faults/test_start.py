"""What can be wrong when Headgate is started: a sentence for each, exit code 1, nothing harmed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartHeadgate
from tests.harness import eventually, free_port
from tests.harness.databases import PASSWORD_IN_URI, MariaDB, PostgreSQL
from tests.harness.server import run_headgate

# No command may take longer than this to say that it cannot do its work.
SECONDS = 45


def refusal(
    *options: str | Path,
    data_dir: Path,
    environment: dict[str, str] | None = None,
    port: int | None = None,
    code: int = 1,
) -> str:
    """What `headgate up` says when it refuses to start."""
    done = run_headgate(
        *("up", "--data-dir", data_dir, "--port", str(port or free_port())),
        *options,
        environment=environment,
        folder=data_dir.parent,
        seconds=SECONDS,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert PASSWORD_IN_URI not in done.stdout + done.stderr
    return done.stderr


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own in `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no space at all on a disk; the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return filler


def test_a_second_headgate_on_the_same_folder_is_refused(start_headgate: StartHeadgate) -> None:
    first = start_headgate().wait_ready()
    said = refusal(data_dir=first.data_dir)
    assert str(first.data_dir) in said
    assert first.request("GET", "/ready").status == 200
    assert first.api("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")


def test_of_two_started_at_once_on_a_new_folder_one_stays(
    tmp_path: Path, start_headgate: StartHeadgate
) -> None:
    first = start_headgate(tmp_path / "data")
    second = start_headgate(tmp_path / "data", log_name="second")
    both = (first, second)
    eventually(
        lambda: any(server.poll() is not None for server in both),
        seconds=SECONDS,
        why=lambda: first.story() + second.story(),
    )
    (gone,) = (server for server in both if server.poll() is not None)
    assert gone.poll() == 1
    assert "Traceback" not in gone.stderr()
    (stays,) = (server for server in both if server is not gone)
    stays.wait_ready()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(data_dir=tmp_path / "data", port=port)
    assert str(port) in said
    assert "in use" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anyway; a mount is tried for root")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert str(locked) in refusal(data_dir=locked / "data")


@pytest.mark.root
@pytest.mark.parametrize("existing", [False, True], ids=["to be made", "existing"])
def test_a_read_only_file_system_is_named(tmp_path: Path, existing: bool) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        data_dir = disk / "data"
        if existing:
            data_dir.mkdir(mode=0o700)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert str(data_dir) in refusal(data_dir=data_dir)


@pytest.mark.root
@pytest.mark.parametrize("kilobytes", [4, 64, 256])
def test_a_full_disk_is_said_to_be_full(tmp_path: Path, kilobytes: int) -> None:
    with mounted(tmp_path / "disk", f"size={kilobytes}k") as disk:
        said = refusal(data_dir=disk / "data")
    assert "full" in said.lower() or "no space" in said.lower()


@pytest.mark.root
def test_a_disk_that_fills_up_stops_writes_and_nothing_else(
    tmp_path: Path, start_headgate: StartHeadgate
) -> None:
    with mounted(tmp_path / "disk", "size=16m") as disk:
        server = start_headgate(disk / "data", folder=tmp_path).wait_ready()
        made = server.api("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
        run_id = made["run"]["info"]["run_id"]
        filler = fill(disk)
        statuses = []
        for number in range(200):
            answer = server.request(
                "POST",
                "/api/2.0/mlflow/runs/log-batch",
                user=server.admin,
                json_body={
                    "run_id": run_id,
                    "params": [{"key": f"{number}-{i}", "value": "x" * 500} for i in range(50)],
                },
            )
            statuses.append(answer.status)
            if answer.status != 200:
                assert answer.json()["error_code"]
                break
        assert statuses[-1] >= 400
        assert server.request("GET", "/health").status == 200
        filler.unlink()
        server.api(
            "POST", "/api/2.0/mlflow/runs/set-tag", {"run_id": run_id, "key": "t", "value": "v"}
        )
        found = server.api("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]["data"]
        assert len(found.get("params", [])) == 50 * (len(statuses) - 1)
        assert server.stop() == 0


@pytest.mark.parametrize(
    "content",
    [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0" + b"\xff" * 8000],
    ids=["text", "a broken database"],
)
def test_a_corrupt_database_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    database = data_dir / "mlflow.db"
    database.write_bytes(content)
    assert str(database) in refusal(data_dir=data_dir)
    assert database.read_bytes() == content


def test_an_unreachable_database_server_is_named_without_its_password(tmp_path: Path) -> None:
    port = free_port()
    uri = f"postgresql://headgate:{PASSWORD_IN_URI}@127.0.0.1:{port}/store"
    said = refusal(
        data_dir=tmp_path / "data",
        environment={"HEADGATE_BACKEND_STORE_URI": uri, "PGCONNECT_TIMEOUT": "5"},
    )
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize(
    "database",
    [
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
@pytest.mark.parametrize("fault", ["password", "database"])
def test_a_database_that_does_not_let_us_in_says_so(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, fault: str
) -> None:
    server: PostgreSQL | MariaDB = request.getfixturevalue(database)
    uri = server.new_database()
    if fault == "password":
        uri = uri.replace(PASSWORD_IN_URI, "a-wrong-password")
    else:
        uri = uri.rpartition("/")[0] + "/no_such_database"
    said = refusal(data_dir=tmp_path / "data", environment={"HEADGATE_BACKEND_STORE_URI": uri})
    assert fault in said
    assert "a-wrong-password" not in said


@pytest.mark.parametrize(
    "uri", ["postgress://localhost/store", "mlflow.db", "sqlite://", "http://localhost:5000"]
)
def test_a_wrong_database_uri_is_a_wrong_usage(tmp_path: Path, uri: str) -> None:
    said = refusal("--backend-store-uri", uri, data_dir=tmp_path / "data", code=2)
    assert "backend" in said


@pytest.mark.parametrize("password", ["password1234", "tiny"])
def test_an_admin_password_that_is_known_or_short_is_refused(tmp_path: Path, password: str) -> None:
    done = run_headgate(
        *("up", "--data-dir", tmp_path / "data", "--port", str(free_port())),
        environment={"HEADGATE_ADMIN_PASSWORD": password},
        seconds=SECONDS,
    )
    assert done.returncode in (1, 2), done.stderr
    assert "password" in done.stderr
    assert password not in done.stderr
    assert "Traceback" not in done.stderr
