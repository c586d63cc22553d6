"""`headgate aws status`, `credentials`, `open`, `logs`, `rotate`, against moto."""

from __future__ import annotations

import json
import time
import webbrowser

import pytest

from headgate.aws import names
from headgate.aws.credentials import Credentials
from headgate.aws.logs import follow
from headgate.aws.session import Aws
from tests.aws.operations.conftest import Run
from tests.aws.operations.deployed import ADDRESS, LOG_GROUP, PASSWORD, deploy, deploy_all
from tests.harness.aws_account import AwsAccount


def test_credentials_come_from_the_secret_that_the_stack_names(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    result = run("aws", "credentials")
    assert result.code == 0
    assert result.out == f"username: admin\npassword: {PASSWORD}\n"


def test_a_password_shows_in_no_repr() -> None:
    assert "hunter2" not in repr(Credentials("admin", "hunter2"))


def test_without_a_stack_the_command_that_makes_it_is_named(moto: AwsAccount, run: Run) -> None:
    result = run("aws", "credentials")
    assert result.code == 1
    assert "There is no stack MLflowVpcStack in us-west-2." in result.err
    assert "headgate aws deploy makes it" in result.err


def test_a_stack_of_the_sample_is_recognised(moto: AwsAccount, run: Run) -> None:
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    deploy(moto, names.VPC_STACK, topic, {"ALBDnsName": "internal-x.elb.amazonaws.com"})
    result = run("aws", "credentials")
    assert result.code == 1
    assert "Headgate did not make it" in result.err
    assert "docs/aws.md" in result.err


def test_a_secret_of_another_kind_is_not_shown(moto: AwsAccount, run: Run) -> None:
    secret = deploy_all(moto)
    moto.client("secretsmanager").put_secret_value(SecretId=secret, SecretString="not-json-s3cret")
    result = run("aws", "credentials")
    assert result.code == 1
    assert "does not hold a username and a password" in result.err
    assert "s3cret" not in result.err + result.out


def test_rotate_puts_a_new_password_beside_the_old_one(moto: AwsAccount, run: Run) -> None:
    secret = deploy_all(moto)
    result = run("aws", "rotate", "--yes")
    assert result.code == 0, result.err
    client = moto.client("secretsmanager")
    now = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    before = json.loads(
        client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"]
    )
    assert before == {"username": "admin", "password": PASSWORD}
    assert now["username"] == "admin"
    assert now["password"] != PASSWORD
    assert len(now["password"]) == 32
    assert now["password"].isalnum()
    assert now["password"] not in result.out + result.err
    assert now["password"] in run("aws", "credentials").out


def test_rotate_asks_and_changes_nothing_without_a_yes(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    result = run("aws", "rotate", typed="y\n")
    assert result.code == 1
    assert "Say yes with --yes." in result.err
    assert PASSWORD in run("aws", "credentials").out


def test_open_goes_to_the_sign_in_page(
    moto: AwsAccount, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    deploy_all(moto)
    assert run("aws", "open").code == 0
    assert opened == [f"{ADDRESS}/headgate/sign-in"]


def test_status_tells_each_stack_and_the_address(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    result = run("aws", "status")
    assert result.code == 0
    assert "MLflowVpcStack CREATE_COMPLETE" in result.out
    assert ADDRESS in result.out
    assert "SageMakerStudioUserStack is not deployed" in result.out
    parts = json.loads(run("aws", "status", "--json").out)
    assert {"about": "address", "state": "ok", "text": ADDRESS} in parts


def test_status_tells_how_many_tasks_run_and_why_not_more(moto: AwsAccount, run: Run) -> None:
    ecs = moto.client("ecs")
    ecs.create_cluster(clusterName="mlflowCluster")
    ecs.register_task_definition(
        family="mlFlowStack",
        containerDefinitions=[{"name": "nginxContainer", "image": "x", "memory": 64}],
    )
    ecs.create_service(
        cluster="mlflowCluster",
        serviceName="mlflowService",
        taskDefinition="mlFlowStack",
        desiredCount=2,
    )
    outputs = {names.CLUSTER_NAME: "mlflowCluster", names.SERVICE_NAME: "mlflowService"}
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    deploy(moto, names.VPC_STACK, topic, outputs)
    result = run("aws", "status")
    assert "0 of 2 run" in result.out
    assert result.code == 1


def put_lines(moto: AwsAccount, stream: str, *lines: str) -> None:
    client = moto.client("logs")
    client.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName=LOG_GROUP,
        logStreamName=stream,
        logEvents=[
            {"timestamp": now + number, "message": line} for number, line in enumerate(lines)
        ],
    )


def test_logs_are_those_of_the_containers_that_are_named(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    put_lines(moto, "mlflowService/gatewayContainer/0123456789abcdef", "listening", "ready")
    put_lines(moto, "mlflowService/nginxContainer/0123456789abcdef", "started")
    result = run("aws", "logs", "gateway")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["gateway", "01234567", "listening"],
        ["gateway", "01234567", "ready"],
    ]
    assert len(run("aws", "logs").out.splitlines()) == 3


def test_a_container_that_is_not_there_is_refused_by_name(moto: AwsAccount, run: Run) -> None:
    result = run("aws", "logs", "postgres")
    assert result.code == 1
    assert "no container 'postgres'" in result.err
    assert "nginx, gateway, mlflow, migrate" in result.err


def test_following_tells_each_line_once_and_new_ones_as_they_come(
    moto: AwsAccount, aws: Aws
) -> None:
    deploy_all(moto)
    put_lines(moto, "mlflowService/mlflowContainer/aaaa", "one")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        put_lines(moto, f"mlflowService/mlflowContainer/b{len(slept)}", f"more {len(slept)}")

    lines = follow(aws, LOG_GROUP, ["mlflow"], since=time.time() - 60, sleep=sleep)
    assert [next(lines).text for _ in range(3)] == ["one", "more 1", "more 2"]
    assert slept == [2.0, 2.0]
