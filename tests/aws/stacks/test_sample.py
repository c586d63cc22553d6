"""The sample that this succeeds, point by point: V, G and U, as docs/aws.md numbers them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.aws.handover import Handover
from headgate.settings.aws_loading import load_aws_settings
from tests.aws.stacks.permissions import rules, statements
from tests.aws.stacks.templates import IMAGES, Templates, synthesize

PAGE = Path(__file__).parents[3] / "docs" / "aws.md"
# How many points each part of the sample has.
PARTS = {"V": 16, "G": 5, "U": 5, "C": 9, "S": 6}


@dataclass(frozen=True)
class Made:
    """What three choices of settings make."""

    default: Templates
    everything: Templates
    public: Templates


Check = Callable[[Made], None]
# Point -> the fact that stands for it here, and the check of that fact.
POINTS: dict[str, tuple[str, Check]] = {}


def point(name: str, fact: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        assert name not in POINTS
        POINTS[name] = (fact, check)
        return check

    return register


@point("V1", "MLflowVpcStack hands VPC, listener and secret to the others, by weak references")
def _v1(made: Made) -> None:
    handed = json.dumps(made.default.raw["HttpGatewayStack"])
    assert '"Fn::GetStackOutput": {"StackName": "MLflowVpcStack"' in handed
    assert "Fn::ImportValue" not in json.dumps(made.default.raw)
    assert made.default.only("AWS::ApiGatewayV2::Integration")["IntegrationUri"].endswith(
        "httpapiListener>"
    )
    assert any(row[2] == "Credentials/Admin" for row in statements(made.default))


@point("V2", "AWS_REGION, default us-west-2, and AWS_ACCOUNT, below the [aws] table")
def _v2(made: Made) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.default.folder)
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        for name in ("AWS_REGION", "AWS_ACCOUNT", "AWS_PROFILE", "HEADGATE_CONFIG"):
            patch.delenv(name, raising=False)
        assert load_aws_settings().region == "us-west-2"
        patch.setenv("AWS_REGION", "eu-west-1")
        patch.setenv("AWS_ACCOUNT", "123456789012")
        settings = load_aws_settings()
        assert (settings.region, settings.account) == ("eu-west-1", "123456789012")


@point("V3", "MLFlowVPC 10.0.0.0/16, 2 zones, 1 NAT, /24 /26 /28; S3 endpoint, flow logs")
def _v3(made: Made) -> None:
    vpc = made.default.only("AWS::EC2::VPC")
    assert vpc["CidrBlock"] == "10.0.0.0/16"
    assert {"Key": "Name", "Value": "MLFlowVPC"} in vpc["Tags"]
    sizes = {
        re.sub(r"Subnet\d$", "", path.split("/")[-2]): found["CidrBlock"].rpartition("/")[2]
        for path, found in made.default.of_type("AWS::EC2::Subnet").items()
    }
    assert sizes == {"public": "24", "private": "26", "isolated": "28"}
    assert len(made.default.of_type("AWS::EC2::NatGateway")) == 1
    assert made.default.of_type("AWS::EC2::FlowLog")
    assert made.default.only("AWS::EC2::VPCEndpoint")["VpcEndpointType"] == "Gateway"


@point("V4", "mlflow-<account>-<region>, KMS-managed; versioned, TLS only, retained, CORS")
def _v4(made: Made) -> None:
    resource = made.default.vpc["Resources"]["ArtifactStore/Bucket"]
    bucket = resource["Properties"]
    assert bucket["BucketName"] == "mlflow-<AWS::AccountId>-us-west-2"
    assert "aws:kms" in json.dumps(bucket["BucketEncryption"])
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert resource["DeletionPolicy"] == "Retain"
    assert bucket["CorsConfiguration"]


@point("V5", "secret mlflow-server-credentials = {username: admin, password}, no punctuation")
def _v5(made: Made) -> None:
    made_by = made.default.of_type("AWS::SecretsManager::Secret")["Credentials/Admin"]
    assert made_by["Name"] == "mlflow-server-credentials"
    generated = made_by["GenerateSecretString"]
    assert json.loads(generated["SecretStringTemplate"]) == {"username": "admin"}
    assert (generated["GenerateStringKey"], generated["ExcludePunctuation"]) == ("password", True)


@point("V6", "the master's secret is RDS's, its ARN an output; none has the old secret's name")
def _v6(made: Made) -> None:
    assert made.default.only("AWS::RDS::DBCluster")["ManageMasterUserPassword"] is True
    assert "DatabaseSecretArn" in made.default.vpc["Outputs"]
    assert "mlflow-database-credentials" not in json.dumps(made.default.raw)


@point("V7", "Aurora Serverless v2 from 0 ACU, pause 3,600 s, mlflowdb on 3306, the service's only")
def _v7(made: Made) -> None:
    cluster = made.default.only("AWS::RDS::DBCluster")
    assert cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 0
    assert cluster["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"] == 3600
    assert (cluster["DatabaseName"], cluster["Port"]) == ("mlflowdb", 3306)
    assert "EngineMode" not in cluster
    into = [row for row in rules(made.default) if row[:2] == ("BackendStore/SecurityGroup", "in")]
    assert [row[3] for row in into] == ["Service/mlflowServiceSecurityGroup"]


@point("V8", "mlflowCluster, mlflowService, from 2 tasks, private; circuit breaker, ARM64")
def _v8(made: Made) -> None:
    service = made.default.only("AWS::ECS::Service")
    assert made.default.only("AWS::ECS::Cluster")["ClusterName"] == "mlflowCluster"
    assert service["ServiceName"] == "mlflowService"
    assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]["Rollback"] is True
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    task = made.default.only("AWS::ECS::TaskDefinition")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


@point("V9", "family mlFlowStack, 1,024 CPU units and 4,096 MiB; the job runner is a setting")
def _v9(made: Made) -> None:
    task = made.default.only("AWS::ECS::TaskDefinition")
    assert (task["Family"], task["Cpu"], task["Memory"]) == ("mlFlowStack", "1024", "4096")
    jobs = {"Name": "HEADGATE_ALLOW_JOBS", "Value": "true"}
    assert jobs in _container(made.everything, "mlflowContainer")["Environment"]
    assert jobs not in _container(made.default, "mlflowContainer")["Environment"]


@point("V10", "task and execution role apart, no wildcard action, no list of all secrets")
def _v10(made: Made) -> None:
    task = made.default.only("AWS::ECS::TaskDefinition")
    assert task["TaskRoleArn"] != task["ExecutionRoleArn"]
    mine = [row for row in statements(made.default) if row[0] in ("TaskRole", "ExecutionRole")]
    assert not [row for row in mine if "*" in row[1] or "ListSecrets" in row[1]]
    assert "ecsTaskExecutionRole" not in json.dumps(made.default.raw)


@point("V11", "no Cloud Map: a Unix socket and loopback")
def _v11(made: Made) -> None:
    assert not [r for _, _, r in made.default.resources() if "ServiceDiscovery" in r["Type"]]
    assert (
        "unix:/run/headgate/mlflow.sock" in _container(made.default, "gatewayContainer")["Command"]
    )


@point("V12", "mlflowServiceSecurityGroup: nginx's TLS port, from the load balancer only")
def _v12(made: Made) -> None:
    name = "Service/mlflowServiceSecurityGroup"
    group = made.default.of_type("AWS::EC2::SecurityGroup")[name]
    assert group["GroupName"] == "mlflowServiceSecurityGroup"
    into = [row[2:] for row in rules(made.default) if row[:2] == (name, "in")]
    assert into == [("tcp 8443", "LoadBalancer/SecurityGroup")]


@point("V13", "httpapiInternalALB and httpapiListener closed to others; HTTPS targets, /elb-status")
def _v13(made: Made) -> None:
    balancer = made.default.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert [found["Name"] for found in balancer.values()] == ["httpapiInternalALB"]
    (listener,) = made.default.of_type("AWS::ElasticLoadBalancingV2::Listener")
    assert listener.endswith("/httpapiListener")
    targets = made.default.only("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert targets["Name"] == "mlflowServiceTargetGroup"
    assert (targets["Protocol"], targets["HealthCheckPath"]) == ("HTTPS", "/elb-status")
    into = [
        row[3] for row in rules(made.default) if row[:2] == ("LoadBalancer/SecurityGroup", "in")
    ]
    assert into == ["Edge/VpcLinkSecurityGroup"]


@point("V14", "2 to 6 tasks at CPU 70 %, cooldowns 60 s; requests per target too")
def _v14(made: Made) -> None:
    target = made.default.only("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    policies = [
        found["TargetTrackingScalingPolicyConfiguration"]
        for found in made.default.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    ]
    assert 70 in [policy["TargetValue"] for policy in policies]
    assert len(policies) == 2
    assert {(p["ScaleInCooldown"], p["ScaleOutCooldown"]) for p in policies} == {(60, 60)}


@point("V15", "/ecs/mlflowService with retention, a prefix per container")
def _v15(made: Made) -> None:
    group = made.default.of_type("AWS::Logs::LogGroup")["Logs"]
    assert (group["LogGroupName"], group["RetentionInDays"]) == ("/ecs/mlflowService", 30)
    containers = made.default.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    prefixes = [each["LogConfiguration"]["Options"]["awslogs-stream-prefix"] for each in containers]
    assert len(set(prefixes)) == len(prefixes) == 4
    assert all(prefix.startswith("mlflowService") for prefix in prefixes)


@point("V16", "output AlbDnsName, described")
def _v16(made: Made) -> None:
    output = made.default.vpc["Outputs"]["AlbDnsName"]
    assert output["Value"].endswith("httpapiInternalALB.DNSName>")
    assert output["Description"]


@point("G1", "stack HttpGatewayStack")
def _g1(made: Made) -> None:
    assert "HttpGatewayStack" in made.default.raw


@point("G2", "VPC link http-api-vpclink in private subnets, with a group of its own")
def _g2(made: Made) -> None:
    link = made.default.only("AWS::ApiGatewayV2::VpcLink")
    assert link["Name"] == "http-api-vpclink"
    assert link["SecurityGroupIds"] == ["<Edge/VpcLinkSecurityGroup.GroupId>"]
    assert all("privateSubnet" in subnet for subnet in link["SubnetIds"])


@point("G3", "MLflowIntegration on the listener")
def _g3(made: Made) -> None:
    (path,) = made.default.of_type("AWS::ApiGatewayV2::Integration")
    assert path.endswith("/MLflowIntegration")


@point("G4", "HTTP API mlflow-api with / and /{proxy+}, throttled and logged")
def _g4(made: Made) -> None:
    assert made.default.only("AWS::ApiGatewayV2::Api")["Name"] == "mlflow-api"
    keys = [
        found["RouteKey"] for found in made.default.of_type("AWS::ApiGatewayV2::Route").values()
    ]
    assert keys == ["ANY /", "ANY /{proxy+}"]
    stage = made.default.only("AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
    assert stage["AccessLogSettings"]["DestinationArn"]


@point("G5", "MlflowApiEndpoint and the old id MLflowAPIendpoint: every output is the address")
def _g5(made: Made) -> None:
    for templates in (made.default, made.everything, made.public):
        outputs = templates.gateway["Outputs"]
        assert set(outputs) == {"MlflowApiEndpoint", "MLflowAPIendpoint"}
        assert len({output["Value"] for output in outputs.values()}) == 1


@point("U1", "SageMakerStudioUserStack is optional and knows the gateway's stack by name only")
def _u1(made: Made) -> None:
    assert "SageMakerStudioUserStack" not in synthesize(studio=False).raw
    text = json.dumps(made.default.raw["SageMakerStudioUserStack"])
    assert '"StackName": "HttpGatewayStack"' not in text
    assert "stack/HttpGatewayStack/*" in text


@point("U2", "new domain StudioDomainName, IAM, in our private subnets; the default VPC a setting")
def _u2(made: Made) -> None:
    domain = made.default.only("AWS::SageMaker::Domain")
    assert (domain["DomainName"], domain["AuthMode"]) == ("StudioDomainName", "IAM")
    assert all("privateSubnet" in subnet for subnet in domain["SubnetIds"])
    found = Handover(
        images=IMAGES, default_vpc_id="vpc-0a1b2c3d", default_vpc_subnets=("subnet-0a1b2c3d",)
    )
    elsewhere = synthesize(found, studio_network="default").only("AWS::SageMaker::Domain")
    assert elsewhere["VpcId"] == "vpc-0a1b2c3d"


@point("U3", "DOMAIN_ID: only a user profile there")
def _u3(made: Made) -> None:
    assert not made.public.of_type("AWS::SageMaker::Domain")
    assert made.public.only("AWS::SageMaker::UserProfile")["DomainId"] == "d-abc123"


@point("U4", "user mlflow-user with its own execution role")
def _u4(made: Made) -> None:
    user = made.default.only("AWS::SageMaker::UserProfile")
    assert user["UserProfileName"] == "mlflow-user"
    assert user["UserSettings"]["ExecutionRole"] == "<Role/sagemaker-execution-role.Arn>"


@point("U5", "sagemaker-execution-role without full access, unless a setting says so")
def _u5(made: Made) -> None:
    role = made.default.of_type("AWS::IAM::Role")["Role/sagemaker-execution-role"]
    assert "ManagedPolicyArns" not in role
    mine = [row for row in statements(made.default) if row[0] == "Role/sagemaker-execution-role"]
    assert (mine[0][1], mine[1][2]) == ("cloudformation:DescribeStacks", "Credentials/Admin")
    assert not [row for row in mine if "s3:" in row[1] and "*mlflow*" in row[2]]
    full = made.everything.of_type("AWS::IAM::Role")["Role/sagemaker-execution-role"]
    assert len(full["ManagedPolicyArns"]) == 1


@pytest.mark.parametrize("name", POINTS, ids=lambda name: f"{name}: {POINTS[name][0]}")
def test_the_point_is_kept_or_has_its_successor(
    name: str, default: Templates, everything: Templates, public: Templates
) -> None:
    POINTS[name][1](Made(default, everything, public))


def test_no_point_of_the_stacks_is_forgotten() -> None:
    assert set(POINTS) == {f"{part}{n + 1}" for part in "VGU" for n in range(PARTS[part])}


def test_the_page_says_of_every_point_what_is_here_now() -> None:
    rows = {
        line.split(" | ")[0].strip("| "): [cell.strip(" |") for cell in line.split(" | ")[1:]]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [VGUCS]\d+ \|", line)
    }
    expected = [f"{part}{n + 1}" for part, count in PARTS.items() for n in range(count)]
    assert list(rows) == expected
    for name, cells in rows.items():
        assert len(cells) == 3, name
        assert cells[0], name
        assert cells[1], name


def _container(templates: Templates, name: str) -> dict[str, list[object]]:
    containers = templates.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    found: dict[str, list[object]] = next(each for each in containers if each["Name"] == name)
    return found
