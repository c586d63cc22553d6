"""ECR by boto3: repositories, signing a builder in, what was pushed.

Start at `ensure_repository` and `signed_in`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from headgate.aws.builder import Builder
from headgate.aws.running import run
from headgate.aws.session import Aws, AwsError

# Old images cost little, but forever.
KEPT_IMAGES = 20


@dataclass(frozen=True, slots=True)
class Registry:
    """Where images are pushed to, and the password of the hour."""

    host: str
    password: str = field(repr=False)


def ensure_repository(aws: Aws, name: str) -> str:
    """The URI of a repository, made if it is not there: scanned, encrypted, old images expire."""
    ecr = aws.client("ecr")
    try:
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        return str(found[0]["repositoryUri"])
    except ecr.exceptions.RepositoryNotFoundException:
        pass
    made = ecr.create_repository(
        repositoryName=name,
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "AES256"},
        tags=[{"Key": "headgate", "Value": "images"}],
    )
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(_lifecycle()))
    return str(made["repository"]["repositoryUri"])


def pushed_digest(aws: Aws, repository: str, tag: str) -> str | None:
    """The digest of an image that is in ECR under this tag."""
    ecr = aws.client("ecr")
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except (
        ecr.exceptions.ImageNotFoundException,
        ecr.exceptions.RepositoryNotFoundException,
    ):
        return None
    return str(found["imageDetails"][0]["imageDigest"])


@contextmanager
def signed_in(aws: Aws, builder: Builder) -> Iterator[Registry]:
    """The builder may push while the block runs; the password is not left on this machine."""
    registry = _authorization(aws)
    _command(builder, builder.login(registry.host), "Signing in to ECR", registry.password)
    try:
        yield registry
    finally:
        _command(builder, builder.logout(registry.host), "Signing out of ECR", None)


def _authorization(aws: Aws) -> Registry:
    data = aws.client("ecr").get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    if user != "AWS":
        raise AwsError("ECR answered with a token of another kind than expected.")
    return Registry(urlsplit(data["proxyEndpoint"]).netloc, password)


def _command(builder: Builder, command: list[str], what: str, password: str | None) -> None:
    run(
        command,
        what=what,
        environment=builder.environment(),
        on_line=lambda line: None,
        secret_input=password,
    )


def _lifecycle() -> dict[str, object]:
    selection = {
        "tagStatus": "any",
        "countType": "imageCountMoreThan",
        "countNumber": KEPT_IMAGES,
    }
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    return {"rules": [rule]}


def delete_repository(aws: Aws, name: str) -> bool:
    """Delete a repository with all its images; whether it was there."""
    ecr = aws.client("ecr")
    try:
        ecr.delete_repository(repositoryName=name, force=True)
    except ecr.exceptions.RepositoryNotFoundException:
        return False
    return True
