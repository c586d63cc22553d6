"""SageMakerStudioUserStack: who works with it. Start at `SageMakerStudioUserStack`."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from headgate.aws import names
from headgate.aws.constructs.studio import DomainNetwork, StudioUser
from headgate.aws.constructs.studio_role import StudioRole
from headgate.aws.handover import Handover
from headgate.aws.stacks.vpc import MLflowVpcStack
from headgate.errors import SettingsError
from headgate.settings.aws import AwsSettings


class SageMakerStudioUserStack(Stack):
    """The user `mlflow-user` with a role of its own, and a Studio domain if there is none.

    The settings' domain wins over the one that was found and handed over.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: AwsSettings,
        parts: MLflowVpcStack,
        handover: Handover,
        **options: Any,
    ) -> None:
        super().__init__(
            scope, id_, description="MLflow behind Headgate: a SageMaker Studio user", **options
        )
        existing = settings.studio_domain_id or handover.domain_id
        role = StudioRole(
            self,
            "Role",
            credentials_arn=parts.credentials.admin.secret_arn,
            bucket=parts.artifacts.bucket_name,
            full_access=settings.sagemaker_full_access,
            api=settings.authorizer == "iam",
        ).role
        user = StudioUser(
            self,
            "Studio",
            role=role,
            existing=existing,
            network=None if existing else _network(settings, parts, handover),
        )
        outputs = {
            names.STUDIO_DOMAIN: (user.domain_id, "SageMaker Studio domain"),
            names.STUDIO_USER_PROFILE: (user.profile.user_profile_name, "User of that domain"),
            names.EXECUTION_ROLE_ARN: (role.role_arn, "Role of the user and of the lab's jobs"),
        }
        for key, (value, description) in outputs.items():
            CfnOutput(self, key, value=value, description=description)


def _network(settings: AwsSettings, parts: MLflowVpcStack, handover: Handover) -> DomainNetwork:
    if settings.studio_network == "mlflow":
        subnets = [subnet.subnet_id for subnet in parts.network.private_subnets]
        return DomainNetwork(parts.network.vpc.vpc_id, subnets)
    if handover.default_vpc_id is None or not any(handover.default_vpc_subnets):
        raise SettingsError(
            "aws.studio_network is default, but nobody said which VPC that is.",
            hint="headgate aws deploy finds it. With a plain cdk add: "
            "--context headgate:default-vpc-id=… --context headgate:default-vpc-subnets=…,…",
        )
    return DomainNetwork(handover.default_vpc_id, handover.default_vpc_subnets)
