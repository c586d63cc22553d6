"""The load balancer in front of the tasks. Start at `LoadBalancer`."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge
from headgate.aws.constructs.task import NGINX, NGINX_PORT

HEALTH_PATH = "/elb-status"
# Longer than the longest request of an HTTP API, so that none is cut off when a task goes.
_DRAIN_SECONDS = 35
# AWS's newest recommendation keeps TLS 1.2 for older clients.
_TLS = elb.SslPolicy.RECOMMENDED_TLS


class LoadBalancer(Construct):
    """Takes requests for the tasks' nginx, over TLS, and asks nginx for its health.

    Internal (`public` false): its listener is plain HTTP without a certificate, HTTPS with one,
    and lets nobody in until `allow_from` is called. Public: HTTPS, plain HTTP is sent there, and
    `networks` may come in. The two have names of their own, so one can be changed into the other.
    A load balancer does not check the certificate of its targets, which nginx makes itself.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc: ec2.IVpc,
        public: bool,
        certificate: acm.ICertificate | None,
        networks: Sequence[str],
        access_logs: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        name = "httpapiInternalALB" if not public else "mlflowPublicALB"
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            # The same for both: a group that others refer to had better not be replaced.
            description="Load balancer of MLflow",
            allow_all_outbound=False,
        )
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            name,
            load_balancer_name=name,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="public" if public else "private"),
            internet_facing=public,
            security_group=self.security_group,
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elb.DesyncMitigationMode.STRICTEST,
            idle_timeout=Duration.seconds(60),
        )
        self.balancer.log_access_logs(access_logs, "load-balancer")
        self.target_group = elb.ApplicationTargetGroup(
            self,
            "mlflowServiceTargetGroup" if not public else "mlflowPublicTargetGroup",
            target_group_name="mlflowServiceTargetGroup" if not public else "mlflowPublicTargets",
            vpc=vpc,
            protocol=elb.ApplicationProtocol.HTTPS,
            port=NGINX_PORT,
            target_type=elb.TargetType.IP,
            deregistration_delay=Duration.seconds(_DRAIN_SECONDS),
            health_check=elb.HealthCheck(
                path=HEALTH_PATH,
                protocol=elb.Protocol.HTTPS,
                healthy_http_codes="200",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )
        self.listener = self.balancer.add_listener(
            "httpapiListener" if not public else "publicListener",
            protocol=(
                elb.ApplicationProtocol.HTTPS if certificate else elb.ApplicationProtocol.HTTP
            ),
            port=443 if certificate else 80,
            certificates=[certificate] if certificate else None,
            ssl_policy=_TLS if certificate else None,
            open=False,
            default_target_groups=[self.target_group],
        )
        if public:
            self._open_to(networks)

    def add_service(self, service: ecs.FargateService) -> None:
        """Send requests to the nginx of every task of a service."""
        self.target_group.add_target(
            service.load_balancer_target(container_name=NGINX, container_port=NGINX_PORT)
        )

    def _open_to(self, networks: Sequence[str]) -> None:
        self.balancer.add_redirect(open=False)
        for network in networks:
            peer = ec2.Peer.ipv6(network) if ":" in network else ec2.Peer.ipv4(network)
            self.security_group.add_ingress_rule(peer, ec2.Port.tcp(443), "Clients")
            self.security_group.add_ingress_rule(peer, ec2.Port.tcp(80), "Sent on to HTTPS")
        if "0.0.0.0/0" in networks or "::/0" in networks:
            acknowledge(
                self.security_group,
                "EC23",
                "A public load balancer is for everybody unless the setting allowed_networks says "
                "whom; the gateway asks who they are.",
            )
