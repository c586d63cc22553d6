"""`headgate aws deploy` and `diff` from beginning to end: moto as AWS, stand-ins as programs."""

from __future__ import annotations

import sys

import pytest

from headgate.aws.checks.account import BOOTSTRAP_PARAMETER
from tests.aws.operations.conftest import Programs, Run
from tests.aws.operations.deployed import ADDRESS, stacks
from tests.aws.operations.test_images import docker, folders
from tests.harness.aws_account import AwsAccount

__all__ = ["docker", "folders"]

# What `cdk` does here: it writes down how it was called, and makes the stacks in moto.
CDK = """
import os, sys
from tests.aws.operations.deployed import deploy_all
from tests.harness.aws_account import AwsAccount

class Account(AwsAccount):
    def __init__(self): self.url = os.environ["AWS_ENDPOINT_URL"]

with open({seen!r}, "a") as seen:
    names = "AWS_REGION AWS_DEFAULT_REGION HEADGATE_CONFIG JSII_NODE HEADGATE_INTERNAL_AWS_REGION"
    for name in names.split():
        print(name, os.environ.get(name), file=seen)
if sys.argv[1] == "deploy":
    deploy_all(Account())
    print("MLflowVpcStack | 1/2 | 1:00:00 PM | CREATE_COMPLETE | AWS::S3::Bucket | Bucket")
elif sys.argv[1] == "bootstrap":
    Account().client("ssm").put_parameter(Name={parameter!r}, Value="30", Type="String")
elif sys.argv[1] == "diff":
    print("Stack MLflowVpcStack")
"""


@pytest.fixture
def machine(
    docker: Programs, folders: object, moto: AwsAccount, monkeypatch: pytest.MonkeyPatch
) -> Programs:
    """A machine that can deploy: docker, node and cdk are stand-ins."""
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    script = docker.folder / "cdk.py"
    seen = str(docker.folder / "seen")
    script.write_text(CDK.format(seen=seen, parameter=BOOTSTRAP_PARAMETER))
    docker.add("node", "echo v24.0.0")
    docker.add(
        "cdk",
        'case "$1" in --version) echo "2.9999.0 (build x)";; '
        f'*) exec "{sys.executable}" "{script}" "$@";; esac',
    )
    return docker


def bootstrapped(moto: AwsAccount) -> None:
    moto.client("ssm").put_parameter(Name=BOOTSTRAP_PARAMETER, Value="30", Type="String")


def cdk_calls(machine: Programs) -> list[str]:
    calls = [call for call in machine.calls() if call.startswith("cdk ")]
    return [call for call in calls if call != "cdk --version"]


def test_deploy_checks_prices_pushes_deploys_and_tells_the_address(
    machine: Programs, moto: AwsAccount, run: Run
) -> None:
    bootstrapped(moto)
    result = run("aws", "deploy", "--yes")
    assert result.code == 0, result.err
    assert result.out == f"{ADDRESS}\n"
    assert "ok       identity" in result.err
    assert "NAT gateway" in result.err
    assert "1 gateway x 730 h x 0.045" in result.err
    assert "List prices of us-west-2" in result.err
    assert "headgate aws credentials" in result.err
    assert stacks(moto) == {"MLflowVpcStack", "HttpGatewayStack"}
    (deploy,) = cdk_calls(machine)
    assert "--context headgate:image:nginx=headgate/nginx@sha256:" in deploy
    assert "--require-approval never --progress events" in deploy
    assert deploy.endswith("MLflowVpcStack HttpGatewayStack SageMakerStudioUserStack")
    verbs = [call.split()[1] for call in machine.calls() if call.startswith("docker ")]
    assert verbs == ["info", "login", *["build", "tag", "push"] * 3, "logout"]


def test_the_cdk_gets_region_settings_and_node(
    machine: Programs, moto: AwsAccount, run: Run
) -> None:
    bootstrapped(moto)
    with open("headgate.toml", "w") as file:
        file.write("[aws]\nstudio = false\n")
    result = run("aws", "deploy", "--yes")
    assert result.code == 0, result.err
    seen = dict(line.split(" ", 1) for line in (machine.folder / "seen").read_text().splitlines())
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "us-west-2"
    assert seen["HEADGATE_INTERNAL_AWS_REGION"] == "us-west-2"
    assert seen["HEADGATE_CONFIG"].endswith("/headgate.toml")
    assert seen["JSII_NODE"] == str(machine.folder / "node")
    assert cdk_calls(machine)[0].endswith(" MLflowVpcStack HttpGatewayStack")


def test_nothing_is_made_without_a_yes(machine: Programs, moto: AwsAccount, run: Run) -> None:
    bootstrapped(moto)
    result = run("aws", "deploy", typed="y\n")
    assert result.code == 1
    assert "a month in US dollars" in result.err
    assert "Say yes with --yes." in result.err
    assert cdk_calls(machine) == []
    assert moto.client("ecr").describe_repositories()["repositories"] == []


def test_the_bootstrap_is_offered_and_done(machine: Programs, moto: AwsAccount, run: Run) -> None:
    result = run("aws", "deploy", "--yes")
    assert result.code == 0, result.err
    bootstrap, deploy = cdk_calls(machine)
    assert bootstrap.endswith("aws://123456789012/us-west-2")
    assert bootstrap.startswith("cdk bootstrap ")
    assert deploy.startswith("cdk deploy ")


def test_a_failed_cdk_is_quoted(machine: Programs, moto: AwsAccount, run: Run) -> None:
    bootstrapped(moto)
    machine.add(
        "cdk",
        'case "$1" in --version) echo 2.9999.0;; *) echo "Subnet: no room left"; exit 1;; esac',
    )
    result = run("aws", "deploy", "--yes")
    assert result.code == 1
    assert "cdk deploy failed (cdk ended with 1)" in result.err
    assert "Subnet: no room left" in result.err


def test_diff_builds_nothing_and_prints_the_difference(
    machine: Programs, moto: AwsAccount, run: Run
) -> None:
    result = run("aws", "diff", "--stack", "MLflowVpcStack")
    assert result.code == 0, result.err
    assert "Stack MLflowVpcStack" in result.out
    assert [call for call in machine.calls() if call.startswith("docker build")] == []
    (diff,) = cdk_calls(machine)
    assert diff.startswith("cdk diff ")
    assert diff.endswith(" MLflowVpcStack")
