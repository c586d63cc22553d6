"""`headgate aws deploy --maintenance`: nobody is served, and everybody is again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from headgate.aws import names
from headgate.aws.maintenance import maintained
from headgate.aws.session import Aws, AwsError
from headgate.aws.waiting import Patience
from tests.aws.operations.deployed import deploy
from tests.harness.aws_account import REGION, AwsAccount

SERVICE = {"cluster": "mlflowCluster", "service": "mlflowService"}


@pytest.fixture
def stubbed(moto: AwsAccount, aws: Aws) -> Iterator[dict[str, Stubber]]:
    """ECS, scaling and RDS in the order of their answers."""
    outputs = {
        names.CLUSTER_NAME: "mlflowCluster",
        names.SERVICE_NAME: "mlflowService",
        names.DATABASE_CLUSTER: "db",
    }
    deploy(moto, names.VPC_STACK, {"Topic": {"Type": "AWS::SNS::Topic"}}, outputs)
    stubbers = {}
    for service in ("ecs", "application-autoscaling", "rds"):
        client = boto3.client(
            service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )
        aws._clients[service] = client
        stubbers[service] = Stubber(client)
        stubbers[service].activate()
    yield stubbers
    for stubber in stubbers.values():
        stubber.assert_no_pending_responses()


def scaling(stubbed: dict[str, Stubber], suspended: bool) -> None:
    stubbed["application-autoscaling"].add_response(
        "register_scalable_target",
        {},
        {
            "ServiceNamespace": "ecs",
            "ResourceId": "service/mlflowCluster/mlflowService",
            "ScalableDimension": "ecs:service:DesiredCount",
            "SuspendedState": dict.fromkeys(
                (
                    "DynamicScalingInSuspended",
                    "DynamicScalingOutSuspended",
                    "ScheduledScalingSuspended",
                ),
                suspended,
            ),
        },
    )


def tasks(stubbed: dict[str, Stubber], count: int) -> None:
    stubbed["ecs"].add_response("update_service", {}, {**SERVICE, "desiredCount": count})


def running(stubbed: dict[str, Stubber], *counts: int) -> None:
    for count in counts:
        stubbed["ecs"].add_response("describe_services", {"services": [{"runningCount": count}]})


def snapshot(stubbed: dict[str, Stubber]) -> None:
    rds = stubbed["rds"]
    rds.add_response(
        "create_db_cluster_snapshot",
        {},
        {"DBClusterIdentifier": "db", "DBClusterSnapshotIdentifier": ANY},
    )
    for status in ("creating", "available"):
        answer: dict[str, Any] = {"DBClusterSnapshots": [{"Status": status}]}
        rds.add_response("describe_db_cluster_snapshots", answer)


def test_tasks_stop_before_and_start_after_with_a_snapshot_between(
    aws: Aws, stubbed: dict[str, Stubber]
) -> None:
    scaling(stubbed, True)
    tasks(stubbed, 0)
    running(stubbed, 2, 0)
    snapshot(stubbed)
    tasks(stubbed, 2)
    scaling(stubbed, False)
    running(stubbed, 0, 2)
    told: list[str] = []
    patience = Patience(sleep=lambda seconds: None)
    with maintained(aws, tasks=2, tell=told.append, patience=patience):
        told.append("deploying")
    assert [line.split()[0] for line in told] == ["Stopping", "Taking", "deploying", "Starting"]


def test_tasks_start_again_even_if_the_deployment_fails(
    aws: Aws, stubbed: dict[str, Stubber]
) -> None:
    scaling(stubbed, True)
    tasks(stubbed, 0)
    running(stubbed, 0)
    snapshot(stubbed)
    tasks(stubbed, 2)
    scaling(stubbed, False)
    patience = Patience(sleep=lambda seconds: None)
    with (
        pytest.raises(AwsError, match="cdk deploy failed"),
        maintained(aws, tasks=2, tell=lambda text: None, patience=patience),
    ):
        raise AwsError("cdk deploy failed")


def test_tasks_that_do_not_come_point_at_the_migrations_log(
    aws: Aws, stubbed: dict[str, Stubber]
) -> None:
    scaling(stubbed, True)
    tasks(stubbed, 0)
    running(stubbed, 0)
    snapshot(stubbed)
    tasks(stubbed, 2)
    scaling(stubbed, False)
    running(stubbed, 0, 0)
    patience = Patience(every=10, at_most=10, sleep=lambda seconds: None)
    with (
        pytest.raises(AwsError, match="may still run, or have failed") as error,
        maintained(aws, tasks=2, tell=lambda text: None, patience=patience),
    ):
        pass
    assert error.value.hint == "headgate aws logs migrate"
