"""What runs now and how it is: stacks, tasks, targets, database, alarms. Start at `status`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from headgate.aws import names
from headgate.aws.deployment import Deployment
from headgate.aws.session import Aws

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the status."""

    about: str
    state: State
    text: str


def status(aws: Aws) -> list[Part]:
    """Each part that exists; what cannot be looked up is not there."""
    deployment = Deployment(aws)
    return [
        *_stacks(deployment),
        *_address(deployment),
        *_service(aws, deployment),
        *_targets(aws, deployment),
        *_database(aws, deployment),
        *_alarms(aws, deployment),
    ]


def _stacks(deployment: Deployment) -> Iterator[Part]:
    for name in names.STACKS:
        stack = deployment.stacks.get(name)
        if stack is None:
            yield Part("stack", "warning", f"{name} is not deployed")
            continue
        state: State = "ok" if stack.usable else "wrong"
        if stack.busy or stack.status == "UPDATE_ROLLBACK_COMPLETE":
            state = "warning"
        reason = f": {stack.reason}" if stack.reason else ""
        yield Part("stack", state, f"{name} {stack.status}{reason}")


def _address(deployment: Deployment) -> Iterator[Part]:
    address = deployment.address()
    if address:
        yield Part("address", "ok", address)


def _service(aws: Aws, deployment: Deployment) -> Iterator[Part]:
    cluster = deployment.output(names.VPC_STACK, names.CLUSTER_NAME)
    service = deployment.output(names.VPC_STACK, names.SERVICE_NAME)
    if not cluster or not service:
        return
    answer = aws.client("ecs").describe_services(cluster=cluster, services=[service])
    for found in answer["services"]:
        running, desired = found["runningCount"], found["desiredCount"]
        state: State = "ok" if running >= desired else "warning" if running else "wrong"
        rollout = [
            str(item["rolloutState"])
            for item in found.get("deployments", [])
            if item.get("rolloutState") not in (None, "COMPLETED")
        ]
        note = f"; deployment {', '.join(rollout).lower()}" if rollout else ""
        yield Part("tasks", state, f"{running} of {desired} run{note}")
        # The newest event says why tasks do not start.
        if state != "ok" and found.get("events"):
            yield Part("tasks", state, str(found["events"][0]["message"]))


def _targets(aws: Aws, deployment: Deployment) -> Iterator[Part]:
    kind = "AWS::ElasticLoadBalancingV2::TargetGroup"
    for group in deployment.resources(names.VPC_STACK, kind):
        answer = aws.client("elbv2").describe_target_health(TargetGroupArn=group.physical_id)
        states = [item["TargetHealth"]["State"] for item in answer["TargetHealthDescriptions"]]
        healthy = states.count("healthy")
        state: State = "ok" if healthy == len(states) > 0 else "warning" if healthy else "wrong"
        others = ", ".join(sorted(set(states) - {"healthy"}))
        note = f" ({others})" if others else ""
        yield Part("targets", state, f"{healthy} of {len(states)} healthy{note}")


def _database(aws: Aws, deployment: Deployment) -> Iterator[Part]:
    for cluster in deployment.resources(names.VPC_STACK, "AWS::RDS::DBCluster"):
        name = cluster.physical_id
        found = aws.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        limits = found.get("ServerlessV2ScalingConfiguration") or {}
        capacity = _capacity(aws, name)
        now = "no capacity measured" if capacity is None else f"{capacity:g} ACU"
        if capacity == 0:
            now = "paused"
        most = f" of at most {limits['MaxCapacity']:g}" if "MaxCapacity" in limits else ""
        state: State = "ok" if found["Status"] == "available" else "warning"
        text = f"{name} {found['Status']}, {found.get('EngineVersion', '')}: {now}{most}"
        yield Part("database", state, text)


def _capacity(aws: Aws, cluster: str) -> float | None:
    now = datetime.now(UTC)
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="ServerlessDatabaseCapacity",
        Dimensions=[{"Name": "DBClusterIdentifier", "Value": cluster}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now,
        Period=60,
        Statistics=["Average"],
    )
    points: list[dict[str, Any]] = sorted(
        answer["Datapoints"], key=lambda point: point["Timestamp"]
    )
    return float(points[-1]["Average"]) if points else None


def _alarms(aws: Aws, deployment: Deployment) -> Iterator[Part]:
    alarms = [
        resource.physical_id
        for stack in deployment.stacks
        for resource in deployment.resources(stack, "AWS::CloudWatch::Alarm")
    ]
    if not alarms:
        return
    # As many as one call takes; ours are some ten.
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=alarms[:100])["MetricAlarms"]
    ringing = [item for item in found if item["StateValue"] == "ALARM"]
    for item in ringing:
        yield Part("alarm", "wrong", f"{item['AlarmName']}: {item.get('StateReason', '')}")
    if not ringing:
        yield Part("alarms", "ok", f"none of {len(found)} rings")
