"""Templates for the tests of this folder: synthesized once for each choice of settings."""

from __future__ import annotations

import pytest

from tests.aws.stacks.templates import Templates, synthesize


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the CDK, and so Node."""
    for item in items:
        if "tests/aws/stacks/" in item.path.as_posix():
            item.add_marker("cdk")


@pytest.fixture(scope="session")
def default() -> Templates:
    """What `headgate aws deploy` makes when no setting is given."""
    return synthesize()


@pytest.fixture(scope="session")
def everything() -> Templates:
    """Every setting that adds something to an HTTP API."""
    return synthesize(**EVERYTHING)


@pytest.fixture(scope="session")
def public() -> Templates:
    """The internet-facing load balancer, an existing bucket, a snapshot and an existing domain."""
    return synthesize(**PUBLIC)


DOMAIN = {"domain_name": "mlflow.example.com", "hosted_zone_id": "Z0123456789ABC"}
EVERYTHING = {
    **DOMAIN,
    "nat": "none",
    "engine": "postgresql",
    "authorizer": "iam",
    "iam_users": ["arn:aws:iam::123456789012:role/Team-*=carol"],
    "alarm_email": "team@example.com",
    "sagemaker_full_access": True,
    "disk_gib": 100,
    "architecture": "x86_64",
    "server": {"allow_jobs": True},
}
PUBLIC = {
    **DOMAIN,
    "edge": "alb",
    "bucket": "mlflow-123456789012-us-west-2",
    "snapshot": "mlflow-before-upgrade",
    "studio_domain_id": "d-abc123",
    "deletion_protection": False,
}
