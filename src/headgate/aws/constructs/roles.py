"""The two roles of a task. Start at `execution_role` and `task_role`."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Aws, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge_wildcards


def execution_role(
    scope: Construct, id_: str, *, repositories: Iterable[ecr.IRepository]
) -> iam.Role:
    """What Fargate itself may do for a task: fetch its images; log groups add themselves."""
    role = _role_of_tasks(scope, id_, "Fargate fetches images and writes logs with this role")
    role.add_to_policy(
        iam.PolicyStatement(
            sid="SignInToRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="FetchImages",
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            resources=[repository.repository_arn for repository in repositories],
        )
    )
    acknowledge_wildcards(
        role, ["*"], "ecr:GetAuthorizationToken knows no resources; it gives nothing by itself."
    )
    return role


def task_role(scope: Construct, id_: str) -> iam.Role:
    """What the containers may do: nothing, until a construct grants access to what it made."""
    return _role_of_tasks(scope, id_, "MLflow's containers act with this role")


def _role_of_tasks(scope: Construct, id_: str, description: str) -> iam.Role:
    # Without the condition another account could make ECS act with our role (confused deputy).
    region, account = Stack.of(scope).region, Aws.ACCOUNT_ID
    return iam.Role(
        scope,
        id_,
        description=description,
        assumed_by=iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:ecs:{region}:{account}:*"},
            },
        ),
    )
