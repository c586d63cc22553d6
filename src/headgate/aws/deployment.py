"""What stands on AWS now: our stacks, their outputs and resources, read from CloudFormation.

Start at `Deployment`. Nothing here changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from headgate.aws import names
from headgate.aws.session import Aws, AwsError, error_message


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as CloudFormation knows it."""

    name: str
    status: str
    reason: str | None = None
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether what it promises is there."""
        return self.status in _STANDING

    @property
    def busy(self) -> bool:
        """Whether something is being done to it at this moment."""
        return self.status.endswith("_IN_PROGRESS")


_STANDING = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "IMPORT_COMPLETE",
    }
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack."""

    stack: str
    logical_id: str
    physical_id: str
    kind: str
    status: str


class Deployment:
    """Our stacks in one account and region, read once."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    @cached_property
    def stacks(self) -> dict[str, Stack]:
        """Those of our stacks that exist, in the order in which they are made."""
        found = {name: find_stack(self._aws, name) for name in names.STACKS}
        return {name: stack for name, stack in found.items() if stack is not None}

    def output(self, stack: str, key: str) -> str | None:
        """An output; None where the stack or the output does not exist."""
        found = self.stacks.get(stack)
        return found.outputs.get(key) if found else None

    def require(self, stack: str, key: str) -> str:
        """An output that must be there. Raises `AwsError` with the command that makes it."""
        value = self.output(stack, key)
        if value is not None:
            return value
        region = self._aws.region
        found = self.stacks.get(stack)
        if found is None:
            raise AwsError(
                f"There is no stack {stack} in {region}.",
                hint="headgate aws deploy makes it; --region or AWS_REGION names another region.",
            )
        if not found.usable:
            raise AwsError(
                f"The stack {stack} in {region} is {found.status}.",
                hint="headgate aws status shows why.",
            )
        raise AwsError(
            f"The stack {stack} in {region} has no output {key}, so Headgate did not make it.",
            hint="docs/aws.md says how to move over from the sample.",
        )

    def address(self) -> str | None:
        """Where clients and browsers find MLflow."""
        gateway = self.stacks.get(names.GATEWAY_STACK)
        if gateway is None:
            return None
        address = gateway.outputs.get(names.API_ENDPOINT)
        return address.rstrip("/") if address else None

    def require_address(self) -> str:
        """The address. Raises `AwsError` where there is none."""
        return self.require(names.GATEWAY_STACK, names.API_ENDPOINT).rstrip("/")

    def resources(self, stack: str, kind: str | None = None) -> list[Resource]:
        """The resources of a stack, of one kind or all."""
        found = list(_resources(self._aws, stack)) if stack in self.stacks else []
        return [resource for resource in found if kind in (None, resource.kind)]

    def outlives(self, stack: str) -> frozenset[str]:
        """The logical ids of what CloudFormation leaves behind when a stack goes."""
        answer = self._aws.client("cloudformation").get_template(
            StackName=stack, TemplateStage="Processed"
        )
        body = answer["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        return frozenset(
            logical_id
            for logical_id, resource in template["Resources"].items()
            if str(resource.get("DeletionPolicy", "")).startswith("Retain")
        )


def find_stack(aws: Aws, name: str) -> Stack | None:
    """A stack by name or id; None where there is none."""
    cloudformation = aws.client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" in error_message(error):
            return None
        raise
    return _stack(found[0]) if found else None


def _stack(found: dict[str, Any]) -> Stack:
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    return Stack(found["StackName"], found["StackStatus"], found.get("StackStatusReason"), outputs)


def _resources(aws: Aws, stack: str) -> Iterator[Resource]:
    for page in aws.pages("cloudformation", "list_stack_resources", StackName=stack):
        for item in page["StackResourceSummaries"]:
            yield Resource(
                stack,
                item["LogicalResourceId"],
                item.get("PhysicalResourceId", ""),
                item["ResourceType"],
                item["ResourceStatus"],
            )
