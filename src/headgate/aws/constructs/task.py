"""One task: nginx, gateway and MLflow, and the container that migrates before they start.

What stands here is what the images must obey and what the rehearsal starts, so every path,
port, user and command of a container is named here and nowhere else. Start at `MlflowTask`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Duration, Size
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge
from headgate.aws.constructs.images import TaskImages

NGINX, GATEWAY, MLFLOW, MIGRATE = (
    "nginxContainer",
    "gatewayContainer",
    "mlflowContainer",
    "migrateContainer",
)
NGINX_PORT = 8443
GATEWAY_PORT = 5000
RUN_FOLDER = "/run/headgate"
SOCKET = f"{RUN_FOLDER}/mlflow.sock"
TEMPORARY_FOLDER = "/tmp"  # noqa: S108 - a volume of the container's own
DATABASE_CERTIFICATES = "/etc/headgate/rds-ca.pem"
# The user of whatever runs our code: one, so that gateway and MLflow share the socket.
SERVER_USER, NGINX_USER = "10001:10001", "10002:10002"

# Stopping goes backwards through `depends_on`: nginx ends what is under way (at most the 30 s
# that an HTTP API waits), then nobody asks the gateway any more, then nobody asks MLflow.
NGINX_STOP_SECONDS, GATEWAY_STOP_SECONDS, MLFLOW_STOP_SECONDS = 45, 40, 20
DRAIN_SECONDS = 30
_START_SECONDS = 120  # Fargate's most
_OPEN_FILES = 65_536

# `probe` asks with the standard library alone: it starts every ten seconds for ever.
_PROBE = ("CMD", "python", "-P", "-m", "headgate.aws.probe")


@dataclass(frozen=True, slots=True)
class _Container:
    """What differs between containers; the rest is the same for all."""

    name: str
    image: str
    user: str
    volumes: Mapping[str, str]
    share: float  # of the task's processor and memory, as weights and reservations
    stop_seconds: int
    command: Sequence[str] | None = None
    health: Sequence[str] | None = None
    patience_seconds: int = 30


_SERVER_VOLUMES = {"run": RUN_FOLDER}
_CONTAINERS = (
    _Container(
        MIGRATE,
        image="mlflow",
        user=SERVER_USER,
        volumes={**_SERVER_VOLUMES, "migrateTmp": TEMPORARY_FOLDER},
        # Before the others start, so it does not take from them.
        share=0.0625,
        # A migration under way is left the time to reach its next durable step.
        stop_seconds=120,
        command=("headgate", "migrate", "--yes"),
    ),
    _Container(
        MLFLOW,
        image="mlflow",
        user=SERVER_USER,
        volumes={**_SERVER_VOLUMES, "mlflowTmp": TEMPORARY_FOLDER},
        share=0.5,
        stop_seconds=MLFLOW_STOP_SECONDS,
        command=("headgate", "mlflow", "--listen", f"unix:{SOCKET}"),
        health=(*_PROBE, f"unix:{SOCKET}", "/health"),
        patience_seconds=_START_SECONDS,
    ),
    _Container(
        GATEWAY,
        image="gateway",
        user=SERVER_USER,
        volumes={**_SERVER_VOLUMES, "gatewayTmp": TEMPORARY_FOLDER},
        share=0.375,
        stop_seconds=GATEWAY_STOP_SECONDS,
        command=("headgate", "serve", "--upstream", f"unix:{SOCKET}"),
        health=(*_PROBE, f"http://127.0.0.1:{GATEWAY_PORT}", "/health"),
        patience_seconds=60,
    ),
    _Container(
        NGINX,
        image="nginx",
        user=NGINX_USER,
        volumes={"nginxTmp": TEMPORARY_FOLDER},
        share=0.0625,
        stop_seconds=NGINX_STOP_SECONDS,
        # A script of the image: it asks /elb-status over TLS.
        health=("CMD", "/usr/local/bin/elb-status"),
    ),
)


class MlflowTask(Construct):
    """The task definition `mlFlowStack`.

    Every container: its own image by digest, a user who is not root, a root file system that
    cannot be written, no privilege, a log stream prefix. Every one that stays: a health check.
    `migrate` has none and is not essential: it ends, and the others start only on its success.
    It has no start time-out either, as Fargate's longest, two minutes, would kill a long
    migration midway; it bounds its own waiting. Environments hold addresses and ARNs only.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        images: TaskImages,
        cpu: int,
        memory: int,
        disk_gib: int,
        architecture: Literal["arm64", "x86_64"],
        execution_role: iam.IRole,
        task_role: iam.IRole,
        log_group: logs.ILogGroup,
        server_environment: Mapping[str, str],
        migrate_environment: Mapping[str, str],
        nginx_environment: Mapping[str, str],
        maintenance: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        self._maintenance = maintenance
        self._images, self._cpu, self._memory, self._logs = images, cpu, memory, log_group
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Definition",
            family="mlFlowStack",
            cpu=cpu,
            memory_limit_mib=memory,
            # 20 GiB come with every task, and may not be asked for.
            ephemeral_storage_gib=disk_gib if disk_gib > 20 else None,
            execution_role=execution_role,
            task_role=task_role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=(
                    ecs.CpuArchitecture.ARM64
                    if architecture == "arm64"
                    else ecs.CpuArchitecture.X86_64
                ),
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        acknowledge(
            self.definition,
            "ECS2",
            "Environments hold addresses and names of secrets; a test looks for anything else.",
        )
        for volume in dict.fromkeys(name for each in _CONTAINERS for name in each.volumes):
            self.definition.add_volume(name=volume)
        environments = {
            NGINX: nginx_environment,
            GATEWAY: server_environment,
            MLFLOW: server_environment,
            MIGRATE: migrate_environment,
        }
        made = {each.name: self._add(each, environments[each.name]) for each in _CONTAINERS}
        self._order(made)

    def _add(self, each: _Container, environment: Mapping[str, str]) -> ecs.ContainerDefinition:
        linux = ecs.LinuxParameters(self, f"{each.name}Linux", init_process_enabled=True)
        linux.drop_capabilities(ecs.Capability.ALL)
        container = self.definition.add_container(
            each.name,
            container_name=each.name,
            image=self._images.image(each.image),
            command=self._command(each),
            essential=each.name != MIGRATE,
            cpu=int(self._cpu * each.share),
            memory_reservation_mib=int(self._memory * each.share),
            user=each.user,
            readonly_root_filesystem=True,
            privileged=False,
            linux_parameters=linux,
            environment=dict(environment),
            health_check=_health_check(each),
            start_timeout=Duration.seconds(_START_SECONDS) if each.health else None,
            stop_timeout=Duration.seconds(each.stop_seconds),
            logging=ecs.LogDriver.aws_logs(
                log_group=self._logs,
                stream_prefix=f"mlflowService-{each.name.removesuffix('Container')}",
                # A log that cannot be written must not stop the server.
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=Size.mebibytes(4),
            ),
        )
        for volume, path in each.volumes.items():
            container.add_mount_points(
                ecs.MountPoint(container_path=path, source_volume=volume, read_only=False)
            )
        container.add_ulimits(
            ecs.Ulimit(name=ecs.UlimitName.NOFILE, soft_limit=_OPEN_FILES, hard_limit=_OPEN_FILES)
        )
        if each.name == NGINX:
            container.add_port_mappings(
                ecs.PortMapping(container_port=NGINX_PORT, protocol=ecs.Protocol.TCP)
            )
        return container

    def _command(self, each: _Container) -> list[str] | None:
        if each.name == MIGRATE and self._maintenance:
            return [*(each.command or ()), "--maintenance"]
        return list(each.command) if each.command else None

    def _order(self, made: Mapping[str, ecs.ContainerDefinition]) -> None:
        """Migrate, MLflow, gateway, nginx; a task takes requests when all of them work."""
        wanted = {
            MLFLOW: {MIGRATE: ecs.ContainerDependencyCondition.SUCCESS},
            GATEWAY: {
                MIGRATE: ecs.ContainerDependencyCondition.SUCCESS,
                # Not its health: the gateway says "starting" meanwhile.
                MLFLOW: ecs.ContainerDependencyCondition.START,
            },
            NGINX: {
                MIGRATE: ecs.ContainerDependencyCondition.SUCCESS,
                MLFLOW: ecs.ContainerDependencyCondition.HEALTHY,
                GATEWAY: ecs.ContainerDependencyCondition.HEALTHY,
            },
        }
        for name, conditions in wanted.items():
            made[name].add_container_dependencies(
                *(
                    ecs.ContainerDependency(container=made[other], condition=condition)
                    for other, condition in conditions.items()
                )
            )


def _health_check(each: _Container) -> ecs.HealthCheck | None:
    if each.health is None:
        return None
    return ecs.HealthCheck(
        command=list(each.health),
        interval=Duration.seconds(10),
        timeout=Duration.seconds(5),
        retries=3,
        start_period=Duration.seconds(each.patience_seconds),
    )
