"""Says why a rule of cdk-nag does not apply, on the very thing it complains about.

A finding without its reason here makes tests fail; a reason for a whole stack is not possible.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Let what is in `scope` break a rule of AwsSolutions, such as `RDS11`."""
    Validations.of(scope).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcards(role: IConstruct, resources: Iterable[str], reason: str) -> None:
    """Let a role's statements name those of these resources that hold a wildcard."""
    for resource in resources:
        written = _written(Stack.of(role).resolve(resource))
        if "*" in written:
            acknowledge(role, f"IAM5[Resource::{written}]", reason)


def _written(value: Any) -> str:
    """A value of a template as cdk-nag writes it in the name of a finding."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return f"<{value['Ref']}>"
    if "Fn::GetAtt" in value:
        return f"<{'.'.join(value['Fn::GetAtt'])}>"
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(_written(part) for part in parts)
    return json.dumps(value, separators=(",", ":"))
