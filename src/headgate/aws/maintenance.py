"""A deployment while nobody is served: for migrations that running tasks could not live with.

Scaling is suspended and every task stopped, a snapshot taken; then the deployment runs with
`Handover.maintenance`, and the tasks start again, the first of them migrating. Start at
`maintained`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headgate.aws import names
from headgate.aws.deployment import Deployment
from headgate.aws.session import Aws, AwsError
from headgate.aws.waiting import Patience

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Service:
    """The deployed service and its database."""

    aws: Aws
    cluster: str
    name: str
    database: str
    tell: Tell
    patience: Patience

    def described(self) -> dict[str, Any]:
        """The service as ECS has it now."""
        answer = self.aws.client("ecs").describe_services(
            cluster=self.cluster, services=[self.name]
        )
        if not answer["services"]:
            raise AwsError(f"There is no service {self.name} in the cluster {self.cluster}.")
        found: dict[str, Any] = answer["services"][0]
        return found

    def set_tasks(self, count: int) -> None:
        """Ask for so many tasks."""
        self.aws.client("ecs").update_service(
            cluster=self.cluster, service=self.name, desiredCount=count
        )

    def suspend_scaling(self, suspended: bool) -> None:
        """Keep scaling from starting or stopping tasks, or let it again."""
        self.aws.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=f"service/{self.cluster}/{self.name}",
            ScalableDimension="ecs:service:DesiredCount",
            SuspendedState={
                "DynamicScalingInSuspended": suspended,
                "DynamicScalingOutSuspended": suspended,
                "ScheduledScalingSuspended": suspended,
            },
        )


@contextmanager
def maintained(aws: Aws, *, tasks: int, tell: Tell, patience: Patience) -> Iterator[None]:
    """No task runs while the block does; afterwards `tasks` of them start, whatever happened."""
    deployment = Deployment(aws)
    service = _Service(
        aws,
        deployment.require(names.VPC_STACK, names.CLUSTER_NAME),
        deployment.require(names.VPC_STACK, names.SERVICE_NAME),
        deployment.require(names.VPC_STACK, names.DATABASE_CLUSTER),
        tell,
        patience,
    )
    service.suspend_scaling(True)
    try:
        _stop(service)
        _take_snapshot(service)
        yield
    finally:
        tell(f"Starting {tasks} tasks")
        service.set_tasks(tasks)
        service.suspend_scaling(False)
    _wait_until_served(service, tasks)


def _stop(service: _Service) -> None:
    service.tell("Stopping every task; MLflow is away from now on")
    service.set_tasks(0)
    service.patience.wait(
        lambda: service.described()["runningCount"] == 0, what="Stopping the tasks"
    )


def _take_snapshot(service: _Service) -> None:
    rds = service.aws.client("rds")
    name = f"headgate-before-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    service.tell(f"Taking the database snapshot {name}")
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=service.database, DBClusterSnapshotIdentifier=name
    )

    def available() -> bool:
        found = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
        return bool(found["DBClusterSnapshots"][0]["Status"] == "available")

    service.patience.wait(available, what=f"Taking the database snapshot {name}")


def _wait_until_served(service: _Service, tasks: int) -> None:
    """Wait for the tasks, the migration included; say where to look if they do not come."""
    try:
        service.patience.wait(
            lambda: service.described()["runningCount"] >= tasks, what="Starting the tasks"
        )
    except AwsError as error:
        raise AwsError(
            f"{error} The migration may still run, or have failed.",
            hint="headgate aws logs migrate",
        ) from None
