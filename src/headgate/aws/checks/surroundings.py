"""What the checks of a deployment look at, and what they find that deploying needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from headgate.aws import names, studio
from headgate.aws.builder import Builder
from headgate.aws.deployment import Deployment
from headgate.aws.handover import Handover
from headgate.aws.node import Node
from headgate.aws.session import Aws
from headgate.finding import Finding
from headgate.settings.aws import AwsSettings


@dataclass
class Surroundings:
    """What the checks look at, and what they found that deploying needs."""

    aws: Aws
    settings: AwsSettings
    stacks: tuple[str, ...] = names.STACKS
    builds_images: bool = True
    # Found on the way.
    found_account: str | None = None
    needs_bootstrap: bool = False
    node: Node | None = None
    builder: Builder | None = None
    existing_domain: str | None = None
    choices: list[studio.Domain] = field(default_factory=list)
    default_vpc_id: str | None = None
    default_vpc_subnets: tuple[str, ...] = ()

    def handover(self, images: Mapping[str, str]) -> Handover:
        """What the CDK application is to be told of all this."""
        return Handover(
            images=images,
            domain_id=self.existing_domain,
            default_vpc_id=self.default_vpc_id,
            default_vpc_subnets=self.default_vpc_subnets,
        )

    @cached_property
    def deployment(self) -> Deployment:
        """What stands already."""
        return Deployment(self.aws)


Check = Callable[[Surroundings], Iterator[Finding]]
