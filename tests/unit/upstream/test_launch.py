"""What MLflow is started with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.settings import Settings
from headgate.upstream import launch

SECRET = "a-very-secret-password"
OUTER = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LC_ALL": "C.UTF-8",
    "https_proxy": "http://proxy:3128",
    "AWS_PROFILE": "team",
    "PGSSLMODE": "verify-full",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "3",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "MLFLOW_EXPERIMENT_NAME": "mine",
    "MLFLOW_AUTH_CONFIG_PATH": "/elsewhere.ini",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "_MLFLOW_SERVER_ARTIFACTS_ONLY": "true",
    "_MLFLOW_IN_JOB_EXECUTOR": "true",
    "HEADGATE_ADMIN_PASSWORD": SECRET,
    "HEADGATE_ALLOW_WEBHOOKS": "true",
    "GITHUB_TOKEN": SECRET,
    "PYTHONPATH": "src:/opt/lib",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        backend_store_uri="postgresql://me:store-pw@db/store",
        auth_database_uri="mysql://me:auth-pw@db/users",
        admin_password=SECRET,
    )


def test_no_secret_is_an_argument_or_shows_in_a_repr(settings: Settings, tmp_path: Path) -> None:
    commands = [
        launch.server(settings),
        launch.migration(
            settings,
            backend_uri=settings.backend_uri(),
            auth_uri=settings.auth_uri(),
            admin_username="admin",
            admin_password_file=tmp_path / "password",
        ),
    ]
    for command in commands:
        for shown in (" ".join(command.arguments), repr(command)):
            assert not any(secret in shown for secret in (SECRET, "store-pw", "auth-pw"))


def test_mlflow_inherits_what_it_needs_and_nothing_else(settings: Settings) -> None:
    inner = launch.environment(settings, OUTER)
    kept = {"PATH", "HOME", "LC_ALL", "https_proxy", "AWS_PROFILE", "PGSSLMODE"}
    kept |= {"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"}
    assert {name: inner[name] for name in kept} == {name: OUTER[name] for name in kept}
    gone = {name for name in OUTER if name not in inner}
    assert gone == {
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
        "_MLFLOW_SERVER_ARTIFACTS_ONLY",
        "HEADGATE_ADMIN_PASSWORD",
        "GITHUB_TOKEN",
    }
    assert SECRET not in "\n".join(inner.values())


def test_what_the_settings_say_wins_over_the_environment(settings: Settings) -> None:
    inner = launch.environment(settings, OUTER)
    assert inner["HEADGATE_ALLOW_WEBHOOKS"] == "false"
    assert inner["_MLFLOW_IN_JOB_EXECUTOR"] == "false"
    assert inner["_MLFLOW_SERVER_FILE_STORE"] == "postgresql+psycopg://me:store-pw@db/store"
    assert inner["_MLFLOW_SERVER_REGISTRY_STORE"] == inner["_MLFLOW_SERVER_FILE_STORE"]
    assert inner["HEADGATE_AUTH_DATABASE_URI"] == "mysql+pymysql://me:auth-pw@db/users"


def test_nothing_reports_to_anybody_or_waits_for_the_internet(settings: Settings) -> None:
    inner = launch.environment(settings, {})
    assert inner["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert inner["DO_NOT_TRACK"] == "true"
    assert inner["MLFLOW_MODEL_CATALOG_URI"] == ""
    assert inner["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_paths_to_import_from_are_absolute_as_mlflow_works_elsewhere(settings: Settings) -> None:
    inner = launch.environment(settings, OUTER)
    assert inner["PYTHONPATH"] == f"{Path.cwd()}/src:/opt/lib"
    assert launch.server(settings).folder == settings.run_dir()


def test_each_start_has_a_boot_id_of_its_own(settings: Settings) -> None:
    ids = {launch.environment(settings)["_MLFLOW_SERVER_BOOT_ID"] for _ in range(3)}
    assert len(ids) == 3


def test_a_private_folder_is_made_or_made_private(tmp_path: Path) -> None:
    made = launch.private_folder(tmp_path / "new" / "run")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    assert stat.S_IMODE(launch.private_folder(open_to_all).stat().st_mode) == 0o700


def test_a_link_or_a_file_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file", "file/below"):
        with pytest.raises(HeadgateError):
            launch.private_folder(tmp_path / name)


def test_what_a_killed_mlflow_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sock").touch()
    (tmp_path / "jobs-abc").mkdir()
    (tmp_path / "jobs-abc" / "queue").touch()
    (tmp_path / "else").touch()
    launch.tidy(tmp_path)
    launch.tidy(tmp_path)
    assert os.listdir(tmp_path) == ["else"]


@pytest.mark.root
def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(HeadgateError, match="not a folder of this user"):
        launch.private_folder(folder)
