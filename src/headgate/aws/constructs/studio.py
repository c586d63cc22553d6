"""A user in SageMaker Studio who can reach MLflow. Start at `StudioUser`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from headgate.aws.names import STUDIO_USER

DOMAIN_NAME = "StudioDomainName"


@dataclass(frozen=True, slots=True)
class DomainNetwork:
    """Where a new domain's file system goes."""

    vpc_id: str
    subnet_ids: Sequence[str]


class StudioUser(Construct):
    """The user `mlflow-user`, in the domain `existing`, or in a new one in `network`.

    Apps of a new domain reach the internet, and so the server, by SageMaker's own way; the
    subnets are for its file system alone. Its file system outlives it unless
    `headgate aws destroy` deletes the domain.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        role: iam.IRole,
        existing: str | None,
        network: DomainNetwork | None,
    ) -> None:
        super().__init__(scope, id_)
        self.domain_id = existing or self._make_domain(role, network)
        self.profile = sagemaker.CfnUserProfile(
            self,
            STUDIO_USER,
            domain_id=self.domain_id,
            user_profile_name=STUDIO_USER,
            user_settings=sagemaker.CfnUserProfile.UserSettingsProperty(
                execution_role=role.role_arn
            ),
        )
        # The role must be whole before somebody works with it; the profile names the role alone.
        policy = role.node.try_find_child("DefaultPolicy")
        if policy is not None:
            self.profile.node.add_dependency(policy)

    def _make_domain(self, role: iam.IRole, network: DomainNetwork | None) -> str:
        if network is None:
            raise RuntimeError("a new domain needs a network")
        domain = sagemaker.CfnDomain(
            self,
            "Domain",
            domain_name=DOMAIN_NAME,
            auth_mode="IAM",
            app_network_access_type="PublicInternetOnly",
            vpc_id=network.vpc_id,
            subnet_ids=list(network.subnet_ids),
            default_user_settings=sagemaker.CfnDomain.UserSettingsProperty(
                execution_role=role.role_arn,
                studio_web_portal="ENABLED",
                default_landing_uri="studio::",
            ),
        )
        return domain.attr_domain_id
