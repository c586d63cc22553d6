"""The VPC, and the ways out of it. Start at `Network`."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from headgate.aws.constructs.logs import log_group

# What a task needs of AWS where there is no way to the internet: its image, its log, its
# secrets. Artifacts and the layers of images come through the S3 endpoint.
TASK_ENDPOINTS = {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "CloudWatchLogs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
}


class Network(Construct):
    """Two zones: public /24, private /26 for tasks, isolated /28 for the database.

    The zones are `Fn::GetAZs`, so that nothing is looked up. With `nat` one gateway serves both
    zones; without it the private subnets reach AWS through endpoints alone. S3 always has its
    own way, which costs nothing, and flows are logged.
    """

    def __init__(self, scope: Construct, id_: str, *, cidr: str, nat: bool, log_days: int) -> None:
        super().__init__(scope, id_)
        self._endpoints: dict[str, ec2.InterfaceVpcEndpoint] = {}
        self.vpc = ec2.Vpc(
            self,
            "MLFlowVPC",
            vpc_name="MLFlowVPC",
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            max_azs=2,
            nat_gateways=1 if nat else 0,
            # Emptying the default group takes a Lambda function; nothing of ours is in it.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=26
                ),
                ec2.SubnetConfiguration(
                    name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=28
                ),
            ],
        )
        self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        flows = log_group(self, "FlowLogs", days=log_days)
        self.vpc.add_flow_log(
            "FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flows)
        )
        if not nat:
            self._add_endpoints()

    @property
    def private_subnets(self) -> Sequence[ec2.ISubnet]:
        """Where tasks, the internal load balancer and Studio are."""
        return self.vpc.select_subnets(subnet_group_name="private").subnets

    def let_reach_endpoints(self, client: ec2.ISecurityGroup) -> None:
        """Let members of a group use the endpoints, where there are any."""
        for endpoint in self._endpoints.values():
            endpoint.connections.allow_from(client, ec2.Port.tcp(443), "AWS for the tasks")

    def _add_endpoints(self) -> None:
        group = ec2.SecurityGroup(
            self,
            "EndpointSecurityGroup",
            vpc=self.vpc,
            description="VPC endpoints of the MLflow tasks",
            allow_all_outbound=False,
        )
        for name, service in TASK_ENDPOINTS.items():
            self._endpoints[name] = self.vpc.add_interface_endpoint(
                name,
                service=service,
                subnets=ec2.SubnetSelection(subnet_group_name="private"),
                security_groups=[group],
                private_dns_enabled=True,
                open=False,
            )
