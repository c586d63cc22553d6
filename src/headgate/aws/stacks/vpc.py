"""MLflowVpcStack: everything but the address. Start at `MLflowVpcStack`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_certificatemanager as acm
from constructs import Construct

from headgate.aws import names
from headgate.aws.constructs.artifact_store import AccessLogs, ArtifactStore
from headgate.aws.constructs.backend_store import BackendStore
from headgate.aws.constructs.credentials import Credentials, grant_reading
from headgate.aws.constructs.edge import api_origins, zone_of
from headgate.aws.constructs.images import TaskImages
from headgate.aws.constructs.load_balancer import LoadBalancer
from headgate.aws.constructs.logs import log_group
from headgate.aws.constructs.network import Network
from headgate.aws.constructs.observability import Observability
from headgate.aws.constructs.roles import execution_role, task_role
from headgate.aws.constructs.service import MlflowService
from headgate.aws.constructs.task import MlflowTask
from headgate.aws.stacks import environments
from headgate.settings.aws import AwsSettings

LOG_GROUP = "/ecs/mlflowService"


class MLflowVpcStack(Stack):
    """The VPC, the stores, the secrets, the service and its load balancer.

    The other stacks get `network`, `load_balancer`, `certificate`, `artifacts`, `credentials`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: AwsSettings,
        images: Mapping[str, str],
        maintenance: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            scope, id_, description="MLflow behind Headgate: network, stores, service", **options
        )
        self._settings = settings
        self._maintenance = maintenance
        self.certificate = self._certificate()
        self.network = Network(
            self,
            "Network",
            cidr=settings.vpc_cidr,
            nat=settings.nat == "gateway",
            log_days=settings.log_days,
        )
        access_logs = AccessLogs(self, "AccessLogs", days=settings.log_days)
        self.artifacts = ArtifactStore(
            self,
            "ArtifactStore",
            existing=settings.bucket,
            origins=api_origins(self, settings.domain_name),
            old_version_days=settings.old_version_days,
            access_logs=access_logs.bucket,
        )
        self.credentials = Credentials(self, "Credentials")
        self.database = BackendStore(
            self,
            "BackendStore",
            vpc=self.network.vpc,
            kind=settings.engine,
            min_capacity=settings.min_capacity,
            max_capacity=settings.max_capacity,
            pause_seconds=settings.pause_seconds,
            backup_days=settings.backup_days,
            deletion_protection=settings.deletion_protection,
            snapshot=settings.snapshot,
        )
        self.load_balancer = LoadBalancer(
            self,
            "LoadBalancer",
            vpc=self.network.vpc,
            public=settings.edge == "alb",
            certificate=self.certificate,
            networks=settings.allowed_networks,
            access_logs=access_logs.bucket,
        )
        self.logs = log_group(self, "Logs", days=settings.log_days, name=LOG_GROUP)
        self.service = self._service(images)
        self.observability = Observability(
            self,
            "Observability",
            load_balancer=self.load_balancer,
            service=self.service.service,
            database=self.database.cluster,
            email=settings.alarm_email,
            log_days=settings.log_days,
        )
        self._add_outputs()

    def _certificate(self) -> acm.ICertificate | None:
        name, arn = self._settings.domain_name, self._settings.certificate_arn
        if name is None:
            return None
        if arn is not None:
            return acm.Certificate.from_certificate_arn(self, "Certificate", arn)
        zone = self._settings.hosted_zone_id
        if zone is None:
            raise RuntimeError("the settings ask for one of the two")
        return acm.Certificate(
            self,
            "Certificate",
            domain_name=name,
            validation=acm.CertificateValidation.from_dns(zone_of(self, name, zone)),
        )

    def _service(self, images: Mapping[str, str]) -> MlflowService:
        settings = self._settings
        task_images = TaskImages(self, "Images", uris=images)
        execution = execution_role(
            self, "ExecutionRole", repositories=task_images.repositories.values()
        )
        role = task_role(self, "TaskRole")
        self.artifacts.grant_access(role)
        grant_reading(
            role,
            "ReadSecrets",
            self.credentials.admin,
            self.credentials.database_user,
            self.credentials.key,
            self.database.master_secret,
        )
        places = self._places()
        task = MlflowTask(
            self,
            "Task",
            images=task_images,
            cpu=settings.cpu,
            memory=settings.memory,
            disk_gib=settings.disk_gib,
            architecture=settings.architecture,
            execution_role=execution,
            task_role=role,
            log_group=self.logs,
            server_environment=environments.server(settings, places),
            migrate_environment=environments.migrate(settings, places),
            nginx_environment=environments.nginx(settings),
            maintenance=self._maintenance,
        )
        service = MlflowService(
            self,
            "Service",
            vpc=self.network.vpc,
            task=task.definition,
            load_balancer=self.load_balancer,
            min_tasks=settings.min_tasks,
            max_tasks=settings.max_tasks,
            cpu_percent=settings.cpu_percent,
            requests_per_task=settings.requests_per_task,
        )
        self.network.let_reach_endpoints(service.security_group)
        self.database.allow_from(service.security_group)
        # Tasks that start before the database is there would only be stopped again.
        service.service.node.add_dependency(self.database.cluster, role, execution)
        return service

    def _places(self) -> environments.Places:
        name = self._settings.domain_name
        return environments.Places(
            database_uri=self.database.uri,
            artifacts=self.artifacts.address,
            region=self.region,
            allowed_hosts=(name,) if name else (f"*.execute-api.{self.region}.{self.url_suffix}",),
            admin_secret=self.credentials.admin.secret_arn,
            key_secret=self.credentials.key.secret_arn,
            database_user_secret=self.credentials.database_user.secret_arn,
            database_master_secret=self.database.master_secret.secret_arn,
        )

    def _add_outputs(self) -> None:
        outputs = {
            names.ALB_DNS_NAME: (
                self.load_balancer.balancer.load_balancer_dns_name,
                "Name of the load balancer; internal, unless the edge is one",
            ),
            names.BUCKET: (self.artifacts.bucket.bucket_name, "Bucket of the artifacts"),
            names.CREDENTIALS_SECRET_ARN: (
                self.credentials.admin.secret_arn,
                "Secret with the admin's user name and password",
            ),
            names.DATABASE_CLUSTER: (self.database.cluster.cluster_identifier, "Aurora cluster"),
            names.DATABASE_SECRET_ARN: (
                self.database.master_secret.secret_arn,
                "Secret of the database's master, which RDS rotates",
            ),
            names.CLUSTER_NAME: (self.service.cluster.cluster_name, "ECS cluster"),
            names.SERVICE_NAME: (self.service.service.service_name, "ECS service"),
            names.LOG_GROUP: (self.logs.log_group_name, "Logs of every container"),
            names.DASHBOARD: (self.observability.dashboard.dashboard_name, "CloudWatch dashboard"),
        }
        for key, (value, description) in outputs.items():
            CfnOutput(self, key, value=value, description=description)
