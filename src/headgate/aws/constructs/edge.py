"""What clients talk to: an HTTP API, or a name for the public load balancer.

Start at `HttpApiEdge`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from aws_cdk import Aws, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge
from headgate.aws.constructs.logs import log_group
from headgate.aws.names import CLIENT_ADDRESS_HEADER, IAM_HEADER

# What MLflow's own clients call. The UI uses /ajax-api and others, which stay on `/{proxy+}`.
API_PATHS = ("/api/{proxy+}", "/v1/{proxy+}")
ALL_PATHS = ("/", "/{proxy+}")
ACCESS_LOG = "/aws/vendedlogs/http-api/mlflow-api"
_LOG_FIELDS = {
    "time": "$context.requestTime",
    "request": "$context.requestId",
    "address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "route": "$context.routeKey",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "milliseconds": "$context.responseLatency",
    "server_milliseconds": "$context.integrationLatency",
    "error": "$context.error.message",
    "server_error": "$context.integrationErrorMessage",
    "principal": "$context.identity.userArn",
}


class HttpApiEdge(Construct):
    """The HTTP API `mlflow-api`, through a VPC link with its own group to the listener.

    Every route overwrites what the server believes about a request: the caller's address, the
    host asked for, and who signed it: the IAM principal on routes that check signatures, nobody
    on all others. `iam` puts MLflow's API paths on routes of the first kind; the UI and its
    sign-in stay on the second.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        vpc: ec2.IVpc,
        listener: elb.IApplicationListener,
        load_balancer: ec2.ISecurityGroup,
        authorizer: Literal["none", "iam"],
        domain_name: str | None,
        certificate: acm.ICertificate | None,
        hosted_zone_id: str | None,
        requests_per_second: int,
        burst: int,
        log_days: int,
    ) -> None:
        super().__init__(scope, id_)
        self._listener, self._domain_name = listener, domain_name
        self._link = self._make_link(vpc, load_balancer, tls=certificate is not None)
        self.api = apigateway.HttpApi(
            self,
            "mlflow-api",
            api_name="mlflow-api",
            description="MLflow",
            create_default_stage=False,
            # One address, whose certificate is the team's own.
            disable_execute_api_endpoint=domain_name is not None,
        )
        self._add_stage(requests_per_second, burst, log_days)
        self._add_routes(ALL_PATHS, "MLflowIntegration", "", None)
        if authorizer == "iam":
            self._add_routes(
                API_PATHS,
                "MLflowIamIntegration",
                "$context.identity.userArn",
                authorizers.HttpIamAuthorizer(),
            )
        if domain_name is not None and certificate is not None:
            self.address = f"https://{domain_name}"
            self._add_domain(domain_name, certificate, hosted_zone_id)
        else:
            self.address = self.api.api_endpoint

    def _make_link(
        self, vpc: ec2.IVpc, load_balancer: ec2.ISecurityGroup, *, tls: bool
    ) -> apigateway.VpcLink:
        group = ec2.SecurityGroup(
            self,
            "VpcLinkSecurityGroup",
            vpc=vpc,
            description="VPC link of the HTTP API mlflow-api",
            allow_all_outbound=False,
        )
        # From our side, so that the rule is in our stack: the other one is made first.
        group.connections.allow_to(
            load_balancer, ec2.Port.tcp(443 if tls else 80), "HTTP API to the load balancer"
        )
        return apigateway.VpcLink(
            self,
            "http-api-vpclink",
            vpc_link_name="http-api-vpclink",
            vpc=vpc,
            subnets=ec2.SubnetSelection(subnet_group_name="private"),
            security_groups=[group],
        )

    def _add_stage(self, requests_per_second: int, burst: int, log_days: int) -> None:
        # API Gateway adds to one policy of all logs, which is soon full, but for names like this.
        log = log_group(self, "AccessLog", days=log_days, name=ACCESS_LOG)
        self.stage = apigateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=requests_per_second, burst_limit=burst),
        )
        stage = self.stage.node.default_child
        if not isinstance(stage, apigateway.CfnStage):
            raise RuntimeError("a stage's first resource is the stage")
        stage.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=f"arn:{Aws.PARTITION}:logs:{Stack.of(self).region}:{Aws.ACCOUNT_ID}"
            f":log-group:{log.log_group_name}",
            format=json.dumps(_LOG_FIELDS),
        )

    def _add_routes(
        self,
        paths: Sequence[str],
        integration_id: str,
        principal: str,
        authorizer: apigateway.IHttpRouteAuthorizer | None,
    ) -> None:
        mapping = (
            apigateway.ParameterMapping()
            .overwrite_header("host", apigateway.MappingValue.custom(self._host()))
            .overwrite_header(
                CLIENT_ADDRESS_HEADER,
                apigateway.MappingValue.context_variable("identity.sourceIp"),
            )
        )
        if principal:
            mapping.overwrite_header(IAM_HEADER, apigateway.MappingValue.custom(principal))
        else:
            mapping.remove_header(IAM_HEADER)
        integration = integrations.HttpAlbIntegration(
            integration_id,
            self._listener,
            vpc_link=self._link,
            parameter_mapping=mapping,
            secure_server_name=self._domain_name,
        )
        for path in paths:
            routes = self.api.add_routes(
                path=path,
                methods=[apigateway.HttpMethod.ANY],
                integration=integration,
                authorizer=authorizer,
            )
            if authorizer is None:
                for route in routes:
                    acknowledge(
                        route,
                        "APIG4",
                        "The gateway asks who you are on every path but its sign-in page.",
                    )

    def _host(self) -> str:
        """What clients call us: API Gateway would tell the server its listener's name instead,
        and takes a constant here, no `$context` variable."""
        region = Stack.of(self).region
        return self._domain_name or f"{self.api.api_id}.execute-api.{region}.{Aws.URL_SUFFIX}"

    def _add_domain(
        self, name: str, certificate: acm.ICertificate, hosted_zone_id: str | None
    ) -> None:
        domain = apigateway.DomainName(
            self,
            "DomainName",
            domain_name=name,
            certificate=certificate,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )
        apigateway.ApiMapping(self, "Mapping", api=self.api, domain_name=domain, stage=self.stage)
        if hosted_zone_id is not None:
            record(
                self,
                name,
                hosted_zone_id,
                targets.ApiGatewayv2DomainProperties(
                    domain.regional_domain_name, domain.regional_hosted_zone_id
                ),
            )


def record(
    scope: Construct, name: str, hosted_zone_id: str, target: route53.IAliasRecordTarget
) -> route53.ARecord:
    """The name in its Route 53 zone."""
    return route53.ARecord(
        scope,
        "Record",
        zone=zone_of(scope, name, hosted_zone_id),
        target=route53.RecordTarget.from_alias(target),
    )


def zone_of(scope: Construct, name: str, hosted_zone_id: str) -> route53.IHostedZone:
    """A zone of which only the id is known, as if it began at `name`: its record is for `name`."""
    return route53.HostedZone.from_hosted_zone_attributes(
        scope, "Zone", hosted_zone_id=hosted_zone_id, zone_name=name
    )


def api_origins(scope: Construct, domain_name: str | None) -> list[str]:
    """The origin of the UI's pages, before the API exists."""
    if domain_name is not None:
        return [f"https://{domain_name}"]
    return [f"https://*.execute-api.{Stack.of(scope).region}.{Aws.URL_SUFFIX}"]
