"""Images: what is staged, what is built and pushed, and what is not built again."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from headgate.aws import images, names
from headgate.aws.builder import Builder
from headgate.aws.images import Image, publish, requirements, serving_image, staged, task_images
from headgate.aws.registry import Registry, delete_repository, ensure_repository, pushed_digest
from headgate.aws.session import Aws, AwsError
from tests.aws.operations.conftest import Programs, Run
from tests.harness.aws_account import ACCOUNT, AwsAccount

# What `docker push` leaves in ECR, through moto's own API.
PUSH = """
import hashlib, json, sys, boto3
name = sys.argv[1].partition("/")[2]
repository, _, tag = name.rpartition(":")
kind = "application/vnd.docker.distribution.manifest.v2+json"
manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": [], "tag": tag})
boto3.client("ecr").put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small images, and a Headgate that counts as installed."""
    folder = tmp_path / "images"
    for name in (*names.TASK_IMAGES, "serving"):
        (folder / name).mkdir(parents=True)
        (folder / name / "Containerfile").write_text(f"FROM {name}\n")
    monkeypatch.setattr(images, "FOLDER", folder)
    metadata = tmp_path / "site" / "headgate-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: headgate\nVersion: 0\n"
        "Requires-Dist: typer\nRequires-Dist: boto3; extra == 'aws'\n"
    )
    (metadata / "entry_points.txt").write_text("[mlflow.app]\nheadgate = headgate:app\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


@pytest.fixture
def docker(programs: Programs) -> Programs:
    """A builder that works; what it pushes is in moto's ECR."""
    script = programs.folder / "push.py"
    script.write_text(PUSH)
    stdin = programs.folder / "password"
    programs.add(
        "docker",
        f'case "$1" in login) cat > "{stdin}";; push) "{sys.executable}" "{script}" "$2";; esac',
    )
    return programs


def test_the_tasks_images_name_their_platform() -> None:
    found = task_images("arm64", {})
    assert [(image.repository, image.platform) for image in found] == [
        ("headgate/nginx", "linux/arm64"),
        ("headgate/gateway", "linux/arm64"),
        ("headgate/mlflow", "linux/arm64"),
    ]
    assert {image.platform for image in task_images("x86_64", {})} == {"linux/amd64"}


def test_the_serving_image_is_where_mlflows_deployments_look_for_it() -> None:
    image = serving_image({"BASE_IMAGE": "mine"})
    assert image.repository == "mlflow-pyfunc"
    assert image.platform == "linux/amd64"
    assert image.tag == image.arguments["MLFLOW_VERSION"]
    assert str(image.tag).startswith("3.17.")
    assert image.arguments["PYTHON_VERSION"] == f"3.{sys.version_info.minor}"
    assert image.arguments["BASE_IMAGE"] == "mine"


def test_the_serving_image_starts_mlflows_scoring_server() -> None:
    with staged(serving_image({})) as folder:
        text = (folder / "Containerfile").read_text()
        assert not (folder / "site").exists()
    assert "container._init(sys.argv[1], 'local')" in text
    assert "MLFLOW_DISABLE_ENV_CREATION=false" in text
    assert "mlflow==${MLFLOW_VERSION}" in text


def test_this_very_headgate_is_staged_with_its_entry_points(folders: Path) -> None:
    with staged(task_images("arm64", {})[1]) as folder:
        assert (folder / "Containerfile").read_text() == "FROM gateway\n"
        assert (folder / "site" / "headgate" / "cli" / "__init__.py").exists()
        assert not list((folder / "site").rglob("__pycache__"))
        metadata = next((folder / "site").glob("headgate-*.dist-info"))
        assert "[mlflow.app]" in (metadata / "entry_points.txt").read_text()
        lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[:2] == ["boto3", "typer"]
    assert lines[2].startswith("mlflow==3.17.")
    assert not folder.exists()


def test_requirements_are_those_of_a_server_on_linux() -> None:
    declared = [
        "mlflow<3.18,>=3.17",
        "uvloop>=0.21; sys_platform != 'win32'",
        "colorama; sys_platform == 'win32'",
        "pymysql>=1.1; extra == 'mysql'",
        "boto3>=1.40; extra == 'aws'",
        "aws-cdk-lib; extra == 'aws'",
        "ruff; extra == 'dev'",
    ]
    chosen = requirements(declared)
    assert chosen[:-1] == ["boto3>=1.40", "mlflow<3.18,>=3.17", "pymysql>=1.1", "uvloop>=0.21"]
    assert chosen[-1].startswith("mlflow==3.17.")


def test_images_are_pushed_and_told_by_digest(
    folders: Path, docker: Programs, aws: Aws, moto: AwsAccount
) -> None:
    told: list[str] = []
    published = publish(
        task_images("arm64", {}),
        Builder("docker"),
        aws,
        tell=told.append,
        on_line=lambda line: None,
    )
    assert set(published) == {"nginx", "gateway", "mlflow"}
    for name, uri in published.items():
        repository, _, digest = uri.partition("@sha256:")
        assert repository == f"headgate/{name}"
        assert len(digest) == 64
    host = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
    verbs = [call.split()[1] for call in docker.calls()]
    assert verbs == ["login", *["build", "tag", "push"] * 3, "logout"]
    assert docker.calls()[0] == f"docker login --username AWS --password-stdin {host}"
    assert "--platform linux/arm64" in docker.calls()[1]
    assert (docker.folder / "password").read_text()


def test_the_registrys_password_is_in_no_argument_and_no_repr(
    folders: Path, docker: Programs, aws: Aws
) -> None:
    publish(
        task_images("arm64", {})[:1],
        Builder("docker"),
        aws,
        tell=lambda text: None,
        on_line=lambda line: None,
    )
    password = (docker.folder / "password").read_text()
    assert password not in "\n".join(docker.calls())
    assert "hunter2" not in repr(Registry("host", "hunter2"))


def test_what_the_registry_has_is_not_built_again(
    folders: Path, docker: Programs, aws: Aws, moto: AwsAccount
) -> None:
    def again() -> dict[str, str]:
        return publish(
            task_images("arm64", {}),
            Builder("docker"),
            aws,
            tell=lambda text: None,
            on_line=lambda line: None,
        )

    first = again()
    docker.log.unlink()
    assert again() == first
    assert docker.calls() == []
    (folders / "nginx" / "Containerfile").write_text("FROM another\n")
    changed = again()
    assert [call.split()[1] for call in docker.calls()].count("build") == 1
    assert changed["gateway"] == first["gateway"]
    found = moto.client("ecr").describe_images(repositoryName="headgate/nginx")["imageDetails"]
    assert len([tag for image in found for tag in image["imageTags"]]) == 2


def test_a_failed_build_signs_out_all_the_same(folders: Path, programs: Programs, aws: Aws) -> None:
    programs.add("docker", '[ "$1" != build ] || { echo "no space left"; exit 1; }')
    with pytest.raises(Exception, match="no space left"):
        publish(
            task_images("arm64", {})[:1],
            Builder("docker"),
            aws,
            tell=lambda text: None,
            on_line=lambda line: None,
        )
    assert programs.calls()[-1].startswith("docker logout ")


def test_a_repository_is_made_once_and_old_images_expire(moto: AwsAccount, aws: Aws) -> None:
    uri = ensure_repository(aws, "headgate/nginx")
    assert ensure_repository(aws, "headgate/nginx") == uri
    ecr = moto.client("ecr")
    policy = json.loads(
        ecr.get_lifecycle_policy(repositoryName="headgate/nginx")["lifecyclePolicyText"]
    )
    assert policy["rules"][0]["action"] == {"type": "expire"}
    found = ecr.describe_repositories()["repositories"][0]
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert pushed_digest(aws, "headgate/nginx", "1") is None
    assert pushed_digest(aws, "headgate/absent", "1") is None
    assert delete_repository(aws, "headgate/nginx")
    assert not delete_repository(aws, "headgate/nginx")


def test_an_image_that_is_not_there_is_named(folders: Path) -> None:
    shutil.rmtree(folders / "nginx")
    with (
        pytest.raises(AwsError, match="has no image 'nginx'"),
        staged(Image("nginx", "headgate/nginx", "linux/arm64")),
    ):
        pass


def test_push_serving_prints_the_image_by_digest(
    folders: Path, docker: Programs, moto: AwsAccount, run: Run
) -> None:
    result = run("aws", "images", "push", "--serving")
    assert result.code == 0, result.err
    assert result.out.startswith("mlflow-pyfunc@sha256:")
    found = moto.client("ecr").describe_images(repositoryName="mlflow-pyfunc")["imageDetails"]
    assert found[0]["imageTags"][0].startswith("3.17.")


def test_build_builds_and_pushes_nothing(
    folders: Path, docker: Programs, moto: AwsAccount, run: Run
) -> None:
    result = run("aws", "images", "build", "--build-arg", "BASE_IMAGE=debian:12")
    assert result.code == 0, result.err
    assert [call.split()[1] for call in docker.calls()] == ["info", "build", "build", "build"]
    assert "--build-arg BASE_IMAGE=debian:12" in docker.calls()[1]
    assert result.out.startswith("headgate/nginx:")
    assert moto.client("ecr").describe_repositories()["repositories"] == []


def test_a_build_argument_has_a_name_and_a_value(
    moto: AwsAccount, docker: Programs, run: Run
) -> None:
    result = run("aws", "images", "build", "--build-arg", "BASE_IMAGE")
    assert result.code == 2
    assert "write it as NAME=VALUE" in result.err
