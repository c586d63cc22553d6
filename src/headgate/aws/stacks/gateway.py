"""HttpGatewayStack: the address. Start at `HttpGatewayStack`."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from headgate.aws import names
from headgate.aws.constructs.edge import HttpApiEdge, record
from headgate.aws.stacks.vpc import MLflowVpcStack
from headgate.settings.aws import AwsSettings

ADDRESS_PARAMETER = "/headgate/address"
# Old notebooks read the first output, whichever that is, or this one.
_OLD_OUTPUT = "MLflowAPIendpoint"


class HttpGatewayStack(Stack):
    """The HTTP API in front of the load balancer, or the name of a public one.

    Every output is the address, as notebooks made for the sample read the first, and the order
    of outputs is nobody's promise.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: AwsSettings,
        parts: MLflowVpcStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, id_, description="MLflow behind Headgate: the address", **options)
        if settings.edge == "http-api":
            self.edge = HttpApiEdge(
                self,
                "Edge",
                vpc=parts.network.vpc,
                listener=parts.load_balancer.listener,
                load_balancer=parts.load_balancer.security_group,
                authorizer=settings.authorizer,
                domain_name=settings.domain_name,
                certificate=parts.certificate,
                hosted_zone_id=settings.hosted_zone_id,
                requests_per_second=settings.requests_per_second,
                burst=settings.burst,
                log_days=settings.log_days,
            )
            address = self.edge.address
        else:
            address = f"https://{settings.domain_name}"
            self._name_the_balancer(settings, parts)
        # A stack needs a resource, and without a zone of Route 53 an ALB leaves nothing to make.
        ssm.StringParameter(
            self,
            "Address",
            parameter_name=ADDRESS_PARAMETER,
            string_value=address,
            description="Address of MLflow",
        )
        for key in (names.API_ENDPOINT, _OLD_OUTPUT):
            CfnOutput(self, key, value=address, description="Address of MLflow")

    def _name_the_balancer(self, settings: AwsSettings, parts: MLflowVpcStack) -> None:
        if settings.domain_name is not None and settings.hosted_zone_id is not None:
            record(
                self,
                settings.domain_name,
                settings.hosted_zone_id,
                targets.LoadBalancerTarget(parts.load_balancer.balancer),
            )
