"""The database. Start at `BackendStore`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge

DATABASE_NAME = "mlflowdb"
MASTER_USER = "master"


@dataclass(frozen=True, slots=True)
class _Engine:
    """What differs between the two kinds of Aurora."""

    engine: rds.IClusterEngine
    scheme: str
    port: int
    parameters: dict[str, str]


def _engine(kind: Literal["mysql", "postgresql"]) -> _Engine:
    if kind == "mysql":
        return _Engine(
            rds.DatabaseClusterEngine.aurora_mysql(version=rds.AuroraMysqlEngineVersion.VER_3_12_0),
            scheme="mysql",
            port=3306,
            parameters={"require_secure_transport": "ON"},
        )
    return _Engine(
        rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_17_9),
        scheme="postgresql",
        port=5432,
        parameters={"rds.force_ssl": "1"},
    )


class BackendStore(Construct):
    """Aurora with MLflow's tables: pauses when idle, takes only TLS, leaves a last snapshot.

    Its group lets nobody in until `allow_from` is called. RDS makes and rotates the master's
    secret; `uri` names neither user nor password.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc: ec2.IVpc,
        kind: Literal["mysql", "postgresql"],
        min_capacity: float,
        max_capacity: float,
        pause_seconds: int,
        backup_days: int,
        deletion_protection: bool,
        snapshot: str | None,
    ) -> None:
        super().__init__(scope, id_)
        self._engine = _engine(kind)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Database of MLflow",
            allow_all_outbound=False,
        )
        self.cluster = rds.DatabaseCluster(
            self,
            "mlflowService-cluster",
            engine=self._engine.engine,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="isolated"),
            security_groups=[self.security_group],
            writer=rds.ClusterInstance.serverless_v2("Writer"),
            serverless_v2_min_capacity=min_capacity,
            serverless_v2_max_capacity=max_capacity,
            serverless_v2_auto_pause_duration=(
                Duration.seconds(pause_seconds) if min_capacity == 0 else None
            ),
            default_database_name=DATABASE_NAME,
            port=self._engine.port,
            credentials=rds.Credentials.from_username(MASTER_USER),
            manage_master_user_password=True,
            parameters=self._engine.parameters,
            storage_encrypted=True,
            backup=rds.BackupProps(retention=Duration.days(backup_days)),
            copy_tags_to_snapshot=True,
            deletion_protection=deletion_protection,
            removal_policy=RemovalPolicy.SNAPSHOT,
        )
        if snapshot is not None:
            self._restore(snapshot)
        self._acknowledge(kind, deletion_protection=deletion_protection)

    @property
    def uri(self) -> str:
        """Where the database is, without user and password."""
        host = self.cluster.cluster_endpoint.hostname
        return f"{self._engine.scheme}://{host}:{self._engine.port}/{DATABASE_NAME}"

    @property
    def master_secret(self) -> secrets.ISecret:
        """The master's user name and password, which RDS rotates."""
        if self.cluster.secret is None:
            raise RuntimeError("manage_master_user_password makes a secret")
        return self.cluster.secret

    def allow_from(self, client: ec2.ISecurityGroup) -> None:
        """Let members of a group connect."""
        self.security_group.connections.allow_from(
            client, ec2.Port.tcp(self._engine.port), "Tasks of MLflow"
        )

    def _restore(self, snapshot: str) -> None:
        # Name and master user come with the snapshot; CloudFormation refuses both beside it.
        cluster = self.cluster.node.default_child
        if not isinstance(cluster, rds.CfnDBCluster):
            raise RuntimeError("a cluster's first resource is the cluster")
        cluster.snapshot_identifier = snapshot
        cluster.database_name = None
        cluster.master_username = None

    def _acknowledge(self, kind: str, *, deletion_protection: bool) -> None:
        acknowledge(
            self.cluster,
            "RDS6",
            "Headgate and MLflow sign in with a secret that rotates; IAM would be a second door.",
        )
        acknowledge(
            self.cluster,
            "RDS11",
            "Only the service's group reaches the port; another number would hide nothing.",
        )
        if kind == "mysql":
            acknowledge(
                self.cluster,
                "RDS14",
                "Backups restore any second of backup_days into a new database; Backtrack would "
                "rewind the users along with the runs.",
            )
        if not deletion_protection:
            acknowledge(self.cluster, "RDS10", "The setting deletion_protection lifts it.")
