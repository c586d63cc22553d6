"""The images of a task, by digest. Start at `TaskImages`."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Aws, CfnParameter, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from headgate.aws.names import TASK_IMAGES, repository
from headgate.errors import HeadgateError

_DIGEST = r"sha256:[0-9a-f]{64}"


class TaskImages(Construct):
    """Images in this account's registry, of which only the digests are told.

    `uris` are those that a deployment pushed, as `headgate/nginx@sha256:…`. Without them each
    becomes a parameter of the stack without a default, so that a plain `cdk synth`, `diff` or
    `destroy` works, and a first plain `cdk deploy` says which digest it misses.
    """

    def __init__(self, scope: Construct, id_: str, *, uris: Mapping[str, str]) -> None:
        super().__init__(scope, id_)
        unknown = set(uris) - set(TASK_IMAGES)
        if unknown:
            raise HeadgateError(f"No image of a task is called {', '.join(sorted(unknown))}.")
        self.repositories = {
            name: ecr.Repository.from_repository_name(self, name, repository(name))
            for name in TASK_IMAGES
        }
        self._digests = {
            name: self._digest(name, uris[name]) if name in uris else self._parameter(name)
            for name in TASK_IMAGES
        }

    def image(self, name: str) -> ecs.ContainerImage:
        """The image of a container. The execution role needs to be let at `repositories`."""
        # Not from_ecr_repository: it would grant once more what the execution role has.
        registry = f"{Aws.ACCOUNT_ID}.dkr.ecr.{Aws.REGION}.{Aws.URL_SUFFIX}"
        return ecs.ContainerImage.from_registry(
            f"{registry}/{repository(name)}@{self._digests[name]}"
        )

    def _digest(self, name: str, uri: str) -> str:
        where, _, digest = uri.partition("@")
        if where.rpartition(".amazonaws.com/")[2] != repository(name) or not digest.startswith(
            "sha256:"
        ):
            raise HeadgateError(
                f"The {name} image is {uri!r}, but has to be {repository(name)}@sha256:….",
                hint="headgate aws images push",
            )
        return digest

    def _parameter(self, name: str) -> str:
        return CfnParameter(
            Stack.of(self),
            f"{name.capitalize()}ImageDigest",
            type="String",
            allowed_pattern=_DIGEST,
            constraint_description="the digest that `headgate aws images push` prints",
            description=f"Digest of the image {repository(name)} in this account's registry",
        ).value_as_string
