"""The VPC: zones, subnets, ways out, and that nothing has to be looked up for it."""

from __future__ import annotations

import json
import re

import pytest

from tests.aws.stacks.conftest import EVERYTHING
from tests.aws.stacks.templates import Templates, synthesize


def subnets(templates: Templates) -> dict[str, tuple[str, str]]:
    """Zone and addresses of every subnet, by its short name."""
    return {
        path.split("/")[-2].removesuffix("Subnet"): (found["AvailabilityZone"], found["CidrBlock"])
        for path, found in templates.of_type("AWS::EC2::Subnet").items()
    }


def routes(templates: Templates, target: str) -> list[str]:
    """Subnets whose default route goes to a kind of target."""
    return [
        path.split("/")[-2]
        for path, route in templates.of_type("AWS::EC2::Route").items()
        if target in route
    ]


def test_two_zones_hold_public_private_and_isolated_subnets(default: Templates) -> None:
    assert subnets(default) == {
        "publicSubnet1": ("<zones[0]>", "10.0.0.0/24"),
        "publicSubnet2": ("<zones[1]>", "10.0.1.0/24"),
        "privateSubnet1": ("<zones[0]>", "10.0.2.0/26"),
        "privateSubnet2": ("<zones[1]>", "10.0.2.64/26"),
        "isolatedSubnet1": ("<zones[0]>", "10.0.2.128/28"),
        "isolatedSubnet2": ("<zones[1]>", "10.0.2.144/28"),
    }


def test_the_addresses_are_a_setting_and_the_smallest_network_holds_all_subnets() -> None:
    templates = synthesize(vpc_cidr="172.16.0.0/22")
    assert templates.only("AWS::EC2::VPC")["CidrBlock"] == "172.16.0.0/22"
    assert subnets(templates)["isolatedSubnet2"][1] == "172.16.2.144/28"


def test_one_nat_gateway_serves_both_private_subnets(default: Templates) -> None:
    assert len(default.of_type("AWS::EC2::NatGateway")) == 1
    assert routes(default, "NatGatewayId") == ["privateSubnet1", "privateSubnet2"]


def test_isolated_subnets_have_no_way_out(default: Templates) -> None:
    assert routes(default, "GatewayId") == ["publicSubnet1", "publicSubnet2"]
    assert not [path for path in default.of_type("AWS::EC2::Route") if "isolated" in path]


def test_without_nat_the_endpoints_that_tasks_need_take_its_place(everything: Templates) -> None:
    assert not everything.of_type("AWS::EC2::NatGateway")
    assert not everything.of_type("AWS::EC2::EIP")
    assert routes(everything, "NatGatewayId") == []
    interfaces = {
        found["ServiceName"].rpartition("us-west-2.")[2]: found
        for found in everything.of_type("AWS::EC2::VPCEndpoint").values()
        if found["VpcEndpointType"] == "Interface"
    }
    assert set(interfaces) == {"ecr.api", "ecr.dkr", "logs", "secretsmanager"}
    for endpoint in interfaces.values():
        assert endpoint["PrivateDnsEnabled"] is True
        assert [subnet.split("/")[-2] for subnet in endpoint["SubnetIds"]] == [
            "privateSubnet1",
            "privateSubnet2",
        ]


def test_changing_the_nat_moves_no_subnet(default: Templates, everything: Templates) -> None:
    assert EVERYTHING["nat"] == "none"
    assert subnets(default) == subnets(everything)


def test_s3_is_always_reached_by_its_own_endpoint(
    default: Templates, everything: Templates, public: Templates
) -> None:
    for templates in (default, everything, public):
        gateways = [
            found
            for found in templates.of_type("AWS::EC2::VPCEndpoint").values()
            if found["VpcEndpointType"] == "Gateway"
        ]
        assert [found["ServiceName"].rpartition(".")[2] for found in gateways] == ["s3"]
        tables = " ".join(gateways[0]["RouteTableIds"])
        assert all(
            f"{kind}Subnet{zone}" in tables for kind in ("private", "public") for zone in "12"
        )


def test_all_flows_are_logged_for_as_long_as_other_logs(default: Templates) -> None:
    flow_log = default.only("AWS::EC2::FlowLog")
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceId"] == "<Network/MLFlowVPC>"
    assert flow_log["LogGroupName"] == "<Network/FlowLogs>"


def test_no_public_address_is_given_to_what_starts_in_a_public_subnet(default: Templates) -> None:
    for subnet in default.of_type("AWS::EC2::Subnet").values():
        assert subnet.get("MapPublicIpOnLaunch") is not True


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1"])
def test_templates_name_their_region_and_no_account_but_that_of_awss_balancers(
    region: str,
) -> None:
    templates = synthesize(region=region)
    text = json.dumps(templates.raw)
    assert region in text
    assert "dummy" not in text  # zones that the CDK makes up
    accounts = set(re.findall(r":(\d{12})[:\"]", text))
    policy = templates.of_type("AWS::S3::BucketPolicy")["AccessLogs/Bucket/Policy"]
    assert accounts <= set(re.findall(r"\d{12}", json.dumps(policy)))
