"""The address: routes, who signs what, limits, logs, names, outputs."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.stacks.templates import Templates, synthesize


def routes(templates: Templates) -> dict[str, dict[str, Any]]:
    return {
        route["RouteKey"]: route for route in templates.of_type("AWS::ApiGatewayV2::Route").values()
    }


def headers(templates: Templates, route: str) -> dict[str, str]:
    """What the integration behind a route does to headers."""
    target = routes(templates)[route]["Target"]
    path = target.removeprefix("integrations/<").removesuffix(">")
    found: dict[str, str] = templates.of_type("AWS::ApiGatewayV2::Integration")[path][
        "RequestParameters"
    ]
    return found


def test_every_path_goes_through_a_vpc_link_to_the_listener(default: Templates) -> None:
    assert set(routes(default)) == {"ANY /", "ANY /{proxy+}"}
    integration = default.only("AWS::ApiGatewayV2::Integration")
    assert integration["ConnectionType"] == "VPC_LINK"
    assert integration["ConnectionId"] == "<Edge/http-api-vpclink>"
    assert integration["IntegrationUri"] == "<LoadBalancer/httpapiInternalALB/httpapiListener>"
    # 30 s is the most, and what applies where none is named.
    assert "TimeoutInMillis" not in integration


def test_the_vpc_link_is_in_private_subnets_with_a_group_of_its_own(default: Templates) -> None:
    link = default.only("AWS::ApiGatewayV2::VpcLink")
    assert link["Name"] == "http-api-vpclink"
    assert link["SecurityGroupIds"] == ["<Edge/VpcLinkSecurityGroup.GroupId>"]
    assert all("privateSubnet" in subnet for subnet in link["SubnetIds"])


def test_the_default_stage_throttles_and_logs(default: Templates) -> None:
    stage = default.only("AWS::ApiGatewayV2::Stage")
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingBurstLimit": 2000,
        "ThrottlingRateLimit": 2000,
    }
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert logged["address"] == "$context.identity.sourceIp"
    group = default.of_type("AWS::Logs::LogGroup")["Edge/AccessLog"]
    assert group["LogGroupName"].startswith("/aws/vendedlogs/")
    # Never a header: it may hold a password.
    assert not [value for value in logged.values() if "header" in value.lower()]


def test_limits_are_settings() -> None:
    stage = synthesize(requests_per_second=10, burst=20).only("AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 20, "ThrottlingRateLimit": 10}


def test_without_an_authorizer_the_gateway_alone_asks_who_you_are(default: Templates) -> None:
    assert {route["AuthorizationType"] for route in routes(default).values()} == {"NONE"}


def test_with_iam_the_apis_paths_are_signed_and_the_ui_is_not(everything: Templates) -> None:
    kinds = {key: route["AuthorizationType"] for key, route in routes(everything).items()}
    assert kinds == {
        "ANY /": "NONE",
        "ANY /{proxy+}": "NONE",
        "ANY /api/{proxy+}": "AWS_IAM",
        "ANY /v1/{proxy+}": "AWS_IAM",
    }


def test_nobody_can_say_of_themselves_who_signed(default: Templates, everything: Templates) -> None:
    for templates in (default, everything):
        for key, route in routes(templates).items():
            told = headers(templates, key)
            if route["AuthorizationType"] == "AWS_IAM":
                assert told["overwrite:header.x-iam-principal-arn"] == "$context.identity.userArn"
            else:
                assert told["remove:header.x-iam-principal-arn"] == ""


def test_the_server_hears_of_the_callers_address_and_the_name_clients_use(
    default: Templates, everything: Templates
) -> None:
    name = "<Edge/mlflow-api>.execute-api.us-west-2.<AWS::URLSuffix>"
    for templates, host in ((default, name), (everything, "mlflow.example.com")):
        for key in routes(templates):
            told = headers(templates, key)
            assert told["overwrite:header.x-client-address"] == "$context.identity.sourceIp"
            # A constant: API Gateway takes no `$context` variable for this header.
            assert told["overwrite:header.host"] == host


def test_no_header_is_mapped_that_api_gateway_reserves(everything: Templates) -> None:
    for key in routes(everything):
        for mapped in headers(everything, key):
            name = mapped.rpartition("header.")[2]
            assert not name.startswith(("x-forwarded-", "x-amz", "forwarded", "authorization"))


def test_a_domain_is_the_only_address_and_has_a_record(everything: Templates) -> None:
    assert everything.only("AWS::ApiGatewayV2::Api")["DisableExecuteApiEndpoint"] is True
    name = everything.only("AWS::ApiGatewayV2::DomainName")
    assert name["DomainName"] == "mlflow.example.com"
    record = everything.of_type("AWS::Route53::RecordSet")["Edge/Record"]
    assert record["Name"] == "mlflow.example.com."
    assert record["HostedZoneId"] == "Z0123456789ABC"
    for integration in everything.of_type("AWS::ApiGatewayV2::Integration").values():
        assert integration["TlsConfig"] == {"ServerNameToVerify": "mlflow.example.com"}


def test_a_public_load_balancer_needs_no_api(public: Templates) -> None:
    assert not public.of_type("AWS::ApiGatewayV2::Api")
    record = public.of_type("AWS::Route53::RecordSet")["Record"]
    assert record["Name"] == "mlflow.example.com."
    assert "LoadBalancer/mlflowPublicALB.DNSName" in record["AliasTarget"]["DNSName"]


def test_every_output_is_the_address(
    default: Templates, everything: Templates, public: Templates
) -> None:
    for templates, address in (
        (default, "<Edge/mlflow-api.ApiEndpoint>"),
        (everything, "https://mlflow.example.com"),
        (public, "https://mlflow.example.com"),
    ):
        outputs = templates.gateway["Outputs"]
        assert set(outputs) == {"MlflowApiEndpoint", "MLflowAPIendpoint"}
        assert {output["Value"] for output in outputs.values()} == {address}


def test_a_domain_without_a_zone_leaves_its_record_to_the_team() -> None:
    arn = "arn:aws:acm:us-west-2:123456789012:certificate/0-1"
    for edge in ("http-api", "alb"):
        templates = synthesize(edge=edge, domain_name="mlflow.example.com", certificate_arn=arn)
        assert not templates.of_type("AWS::Route53::RecordSet")
        assert templates.gateway["Resources"]
