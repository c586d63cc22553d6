"""Our stacks as CloudFormation shows them, small enough for moto: outputs and a few resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headgate.aws import names
from tests.harness.aws_account import ACCOUNT, REGION, AwsAccount

ADDRESS = "https://abc123.execute-api.us-west-2.amazonaws.com"
BUCKET = names.bucket(ACCOUNT, REGION)
LOG_GROUP = "/ecs/mlflowService"
PASSWORD = "theFirstPassword1234567890"


def deploy_all(account: AwsAccount) -> str:
    """The VPC stack with bucket, log group and secret, and the gateway; the secret's ARN."""
    secret = account.client("secretsmanager").create_secret(
        Name=names.ADMIN_SECRET,
        SecretString=json.dumps({"username": "admin", "password": PASSWORD}),
    )["ARN"]
    deploy_vpc(account, secret)
    deploy(
        account,
        names.GATEWAY_STACK,
        {"Topic": {"Type": "AWS::SNS::Topic"}},
        {names.API_ENDPOINT: f"{ADDRESS}/", "MLflowAPIendpoint": f"{ADDRESS}/"},
    )
    return str(secret)


def deploy_vpc(account: AwsAccount, secret: str) -> None:
    """The VPC stack alone."""
    resources = {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "Properties": {
                "BucketName": BUCKET,
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        },
        "Logs": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Retain",
            "Properties": {"LogGroupName": LOG_GROUP},
        },
    }
    outputs = {
        names.CREDENTIALS_SECRET_ARN: secret,
        names.BUCKET: BUCKET,
        names.LOG_GROUP: LOG_GROUP,
    }
    deploy(account, names.VPC_STACK, resources, outputs)


def deploy(
    account: AwsAccount, name: str, resources: Mapping[str, Any], outputs: Mapping[str, str]
) -> None:
    """A stack of this name."""
    template = {
        "Resources": resources,
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    account.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def stacks(account: AwsAccount) -> set[str]:
    """The stacks that stand."""
    found = account.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found}
