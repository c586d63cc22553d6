"""Puts the three stacks together. Start at `build`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import App, Environment, Tags

from headgate.aws.handover import (
    DEFAULT_VPC_ID,
    DEFAULT_VPC_SUBNETS,
    DOMAIN_ID,
    IMAGE_PREFIX,
    MAINTENANCE,
    Handover,
)
from headgate.aws.names import GATEWAY_STACK, STUDIO_STACK, TASK_IMAGES, VPC_STACK
from headgate.aws.stacks.flags import FLAGS
from headgate.aws.stacks.gateway import HttpGatewayStack
from headgate.aws.stacks.studio import SageMakerStudioUserStack
from headgate.aws.stacks.vpc import MLflowVpcStack
from headgate.settings.aws import AwsSettings


@dataclass(frozen=True, slots=True)
class Stacks:
    """What was built; no Studio where the settings want none."""

    vpc: MLflowVpcStack
    gateway: HttpGatewayStack
    studio: SageMakerStudioUserStack | None


def new_app(**options: Any) -> App:
    """An application with our flags; context that the `cdk` CLI gives wins over them."""
    return App(context={**FLAGS, **options.pop("context", {})}, **options)


def synthesize(settings: AwsSettings) -> None:
    """Write the templates where the `cdk` CLI wants them, with what it was handed over."""
    app = new_app()
    build(app, settings, read_handover(app))
    app.synth()


def build(app: App, settings: AwsSettings, handover: Handover) -> Stacks:
    """The stacks: in the region of the settings, of any account, so that nothing is looked up."""
    place = Environment(region=settings.region)
    vpc = MLflowVpcStack(
        app,
        VPC_STACK,
        settings=settings,
        images=handover.images,
        maintenance=handover.maintenance,
        env=place,
    )
    gateway = HttpGatewayStack(app, GATEWAY_STACK, settings=settings, parts=vpc, env=place)
    studio = None
    if settings.studio:
        studio = SageMakerStudioUserStack(
            app, STUDIO_STACK, settings=settings, parts=vpc, handover=handover, env=place
        )
        # The role names that stack; nothing of it is referred to.
        studio.add_stack_dependency(gateway)
    Tags.of(app).add("application", "headgate")
    return Stacks(vpc, gateway, studio)


def read_handover(app: App) -> Handover:
    """What `headgate aws deploy`, or a person, gave the `cdk` CLI with --context."""

    def context(key: str) -> str | None:
        value = app.node.try_get_context(key)
        return None if value is None else str(value)

    found: Mapping[str, str | None] = {
        name: context(f"{IMAGE_PREFIX}{name}") for name in TASK_IMAGES
    }
    return Handover(
        images={name: uri for name, uri in found.items() if uri},
        domain_id=context(DOMAIN_ID),
        default_vpc_id=context(DEFAULT_VPC_ID),
        default_vpc_subnets=tuple((context(DEFAULT_VPC_SUBNETS) or "").split(",")),
        maintenance=context(MAINTENANCE) == "true",
    )
