"""Studio's domain, user and role."""

from __future__ import annotations

import pytest

from headgate.aws.handover import Handover
from headgate.errors import SettingsError
from tests.aws.stacks.templates import IMAGES, Templates, synthesize


def domain_of(templates: Templates) -> str:
    return str(templates.only("AWS::SageMaker::UserProfile")["DomainId"])


def test_a_new_domain_is_in_our_private_subnets(default: Templates) -> None:
    domain = default.only("AWS::SageMaker::Domain")
    assert (domain["DomainName"], domain["AuthMode"]) == ("StudioDomainName", "IAM")
    assert domain["VpcId"] == "<Network/MLFlowVPC>"
    assert [subnet.split("/")[-2] for subnet in domain["SubnetIds"]] == [
        "privateSubnet1",
        "privateSubnet2",
    ]
    user = default.only("AWS::SageMaker::UserProfile")
    assert user["UserProfileName"] == "mlflow-user"
    assert user["UserSettings"] == {"ExecutionRole": "<Role/sagemaker-execution-role.Arn>"}


def test_the_default_vpc_is_taken_where_the_settings_say_so_and_deploy_found_it() -> None:
    found = Handover(
        images=IMAGES,
        default_vpc_id="vpc-0a1b2c3d",
        default_vpc_subnets=("subnet-0a1b2c3d", "subnet-1a1b2c3d"),
    )
    domain = synthesize(found, studio_network="default").only("AWS::SageMaker::Domain")
    assert (domain["VpcId"], domain["SubnetIds"]) == (
        "vpc-0a1b2c3d",
        ["subnet-0a1b2c3d", "subnet-1a1b2c3d"],
    )


def test_without_deploy_the_default_vpc_must_be_named() -> None:
    with pytest.raises(SettingsError, match="nobody said which VPC that is") as caught:
        synthesize(studio_network="default")
    assert "headgate:default-vpc-id" in str(caught.value.hint)


def test_a_domain_that_exists_gets_only_the_user(public: Templates) -> None:
    assert not public.of_type("AWS::SageMaker::Domain")
    assert domain_of(public) == "d-abc123"


def test_the_settings_domain_wins_over_the_one_that_was_found() -> None:
    found = Handover(images=IMAGES, domain_id="d-found")
    assert domain_of(synthesize(found)) == "d-found"
    assert domain_of(synthesize(found, studio_domain_id="d-named")) == "d-named"


def test_the_stack_is_optional() -> None:
    assert set(synthesize(studio=False).raw) == {"MLflowVpcStack", "HttpGatewayStack"}


def test_full_access_comes_only_when_asked_for(default: Templates, everything: Templates) -> None:
    def managed(templates: Templates) -> list[str]:
        role = templates.of_type("AWS::IAM::Role")["Role/sagemaker-execution-role"]
        return [str(arn) for arn in role.get("ManagedPolicyArns", [])]

    assert managed(default) == []
    assert [arn.rpartition("/")[2] for arn in managed(everything)] == ["AmazonSageMakerFullAccess"]


def test_nothing_of_the_gateways_stack_is_referred_to(default: Templates) -> None:
    """Else an output that is no address would stand there."""
    assert "HttpGatewayStack" not in {
        found["Fn::GetStackOutput"]["StackName"]
        for found in _references(default.raw["SageMakerStudioUserStack"])
    }


def _references(value: object) -> list[dict[str, dict[str, str]]]:
    if isinstance(value, dict):
        if "Fn::GetStackOutput" in value:
            return [value]
        return [found for item in value.values() for found in _references(item)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    return []
