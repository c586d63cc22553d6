"""What a deployment found and made by boto3, handed to the CDK application as context.

The application (`python -m headgate.aws.stacks`) never asks AWS anything, so its templates are
the same wherever they are made. Without these keys, as in a plain `cdk synth`, it uses its
settings and defaults alone. Start at `Handover.arguments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The region that the command decided on, whatever its sources were.
REGION_VARIABLE = "HEADGATE_INTERNAL_AWS_REGION"

# `headgate:image:gateway` = "headgate/gateway@sha256:…": a repository of this account and region.
IMAGE_PREFIX = "headgate:image:"
# A Studio domain that exists and gets the user.
DOMAIN_ID = "headgate:domain-id"
# Where a new Studio domain goes if the settings want the default VPC; subnets by commas.
DEFAULT_VPC_ID = "headgate:default-vpc-id"
DEFAULT_VPC_SUBNETS = "headgate:default-vpc-subnets"
# No task of the version before runs meanwhile, so any migration may run.
MAINTENANCE = "headgate:maintenance"


@dataclass(frozen=True, slots=True)
class Handover:
    """Answers to what the CDK application must not look up itself."""

    images: Mapping[str, str] = field(default_factory=dict)
    domain_id: str | None = None
    default_vpc_id: str | None = None
    default_vpc_subnets: tuple[str, ...] = ()
    maintenance: bool = False

    def context(self) -> dict[str, str]:
        """The keys and values, only those that are known."""
        known = {f"{IMAGE_PREFIX}{image}": uri for image, uri in self.images.items()}
        if self.domain_id:
            known[DOMAIN_ID] = self.domain_id
        if self.default_vpc_id:
            known[DEFAULT_VPC_ID] = self.default_vpc_id
            known[DEFAULT_VPC_SUBNETS] = ",".join(self.default_vpc_subnets)
        if self.maintenance:
            known[MAINTENANCE] = "true"
        return known

    def arguments(self) -> list[str]:
        """The context as arguments of the `cdk` CLI."""
        return [
            argument
            for key, value in self.context().items()
            for argument in ("--context", f"{key}={value}")
        ]
