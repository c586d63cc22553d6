"""The Fargate service that runs the tasks. Start at `MlflowService`."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from headgate.aws.constructs.load_balancer import LoadBalancer

_GRACE_SECONDS = 120
_COOLDOWN = Duration.seconds(60)


class MlflowService(Construct):
    """Tasks in private subnets: never fewer than `min_tasks`, more under load.

    A deployment starts new tasks before it stops old ones; where new ones do not come up, it is
    rolled back. Nothing but the load balancer reaches a task, and only its nginx.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc: ec2.IVpc,
        task: ecs.FargateTaskDefinition,
        load_balancer: LoadBalancer,
        min_tasks: int,
        max_tasks: int,
        cpu_percent: int,
        requests_per_task: int,
    ) -> None:
        super().__init__(scope, id_)
        self.cluster = ecs.Cluster(
            self,
            "mlflowCluster",
            cluster_name="mlflowCluster",
            vpc=vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        self.security_group = ec2.SecurityGroup(
            self,
            "mlflowServiceSecurityGroup",
            security_group_name="mlflowServiceSecurityGroup",
            vpc=vpc,
            description="Tasks of MLflow",
            allow_all_outbound=False,
        )
        # AWS's services, by endpoint or NAT; whatever else MLflow is told to fetch.
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "HTTPS")
        # No desired count: scaling decides it, and a deployment must not take back what it added.
        self.service = ecs.FargateService(
            self,
            "mlflowService",
            service_name="mlflowService",
            cluster=self.cluster,
            task_definition=task,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="private"),
            assign_public_ip=False,
            security_groups=[self.security_group],
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            health_check_grace_period=Duration.seconds(_GRACE_SECONDS),
            enable_execute_command=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        load_balancer.add_service(self.service)
        scaling = self.service.auto_scale_task_count(min_capacity=min_tasks, max_capacity=max_tasks)
        scaling.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=cpu_percent,
            scale_in_cooldown=_COOLDOWN,
            scale_out_cooldown=_COOLDOWN,
        )
        scaling.scale_on_request_count(
            "Requests",
            requests_per_target=requests_per_task,
            target_group=load_balancer.target_group,
            scale_in_cooldown=_COOLDOWN,
            scale_out_cooldown=_COOLDOWN,
        )
