"""Every IAM statement and security-group rule of templates, as lines that a person can read.

docs/aws-permissions.md holds the same lines with a reason each. Start at `statements` and
`rules`; `written` reads the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.aws.stacks.templates import Resource, Templates

PAGE = Path(__file__).parents[3] / "docs" / "aws-permissions.md"

Row = tuple[str, ...]
# Everything that holds IAM statements, and where.
_POLICIES = {
    "AWS::IAM::Policy": ("PolicyDocument",),
    "AWS::IAM::Role": ("AssumeRolePolicyDocument",),
    "AWS::S3::BucketPolicy": ("PolicyDocument",),
    "AWS::SNS::TopicPolicy": ("PolicyDocument",),
    "AWS::Logs::ResourcePolicy": ("PolicyDocument",),
}
_WITHOUT_POLICIES = ("ManagedPolicy", "KeyPolicy", "QueuePolicy", "SecretPolicy")


def statements(templates: Templates) -> Iterator[Row]:
    """Who, what they may do, to what, under which condition."""
    for _, path, resource in templates.resources():
        kind = resource["Type"].rpartition("::")[2]
        for key in _POLICIES.get(resource["Type"], ()):
            document = resource["Properties"][key]
            if isinstance(document, str):
                document = json.loads(document)
            for statement in document["Statement"]:
                yield _statement(path, resource, statement)
        if resource["Type"] == "AWS::IAM::Role":
            for arn in resource["Properties"].get("ManagedPolicyArns", []):
                yield (_short(path), "everything in", _short(arn), "")
        assert kind not in _WITHOUT_POLICIES, f"{path}: a kind of policy that nobody looks at"
        assert "Policies" not in resource["Properties"] or kind != "Role", f"{path}: inline policy"


def rules(templates: Templates) -> Iterator[Row]:
    """Which group, in or out, port, from or to whom."""
    for _, path, resource in templates.resources():
        found = resource["Properties"]
        if resource["Type"] == "AWS::EC2::SecurityGroup":
            for direction, key in (("in", "SecurityGroupIngress"), ("out", "SecurityGroupEgress")):
                for rule in found.get(key, []):
                    yield _rule(_short(path), direction, rule)
        elif resource["Type"] in (
            "AWS::EC2::SecurityGroupIngress",
            "AWS::EC2::SecurityGroupEgress",
        ):
            direction = "in" if resource["Type"].endswith("Ingress") else "out"
            yield _rule(_short(found["GroupId"]), direction, found)


def written(heading: str, columns: int) -> dict[Row, str]:
    """A table of the page: its first columns, and the reason in the last."""
    table = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == columns + 1:
            found[tuple(cells[:columns])] = cells[columns]
    return dict(list(found.items())[1:])  # without the heads of the columns


def _statement(path: str, resource: Resource, statement: dict[str, Any]) -> Row:
    actions = ", ".join(_listed(statement["Action"]))
    on = ", ".join(sorted(_short(each) for each in _listed(statement.get("Resource", []))))
    if "Principal" in statement:
        principal = statement["Principal"]
        named = principal if isinstance(principal, str) else "".join(map(_name, principal.items()))
        owner = _short(path.removesuffix("/Policy"))
        who, on = named, on or f"<{owner}>"
    else:
        who = _short(path.removesuffix("/DefaultPolicy"))
    may = actions if statement["Effect"] == "Allow" else f"never: {actions}"
    return who, may, on, _condition(statement.get("Condition", {}))


def _name(principal: tuple[str, Any]) -> str:
    kind, names = principal
    if kind == "AWS":
        return ", ".join(_short(name) for name in _listed(names))
    return ", ".join(_listed(names))


def _condition(condition: dict[str, dict[str, Any]]) -> str:
    return "; ".join(
        f"{key} {operator} {_short(str(value))}"
        for operator, tests in sorted(condition.items())
        for key, value in sorted(tests.items())
    )


def _rule(group: str, direction: str, rule: dict[str, Any]) -> Row:
    first, last = rule.get("FromPort"), rule.get("ToPort")
    port = str(first) if first == last else f"{first}-{last}"
    peer = next(
        _short(str(rule[key]))
        for key in (
            "SourceSecurityGroupId",
            "DestinationSecurityGroupId",
            "CidrIp",
            "CidrIpv6",
        )
        if key in rule
    )
    return group, direction, f"{rule['IpProtocol']} {port}", peer


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _short(text: str) -> str:
    """A path or ARN without what says nothing: our own attribute names, AWS's placeholders."""
    for long, short in (
        ("<AWS::Partition>", "aws"),
        ("<AWS::AccountId>", "ACCOUNT"),
        ("us-west-2", "REGION"),
        (".GroupId>", ">"),
        (".Arn>", ">"),
        (
            "<BackendStore/mlflowService-cluster.MasterUserSecret.SecretArn>",
            "<BackendStore/master>",
        ),
        ("BackendStore/mlflowService-cluster", "BackendStore"),
        # However the bucket is named: by a setting, or without a reference from another stack.
        ("arn:aws:s3:::mlflow-123456789012-REGION", "<ArtifactStore/Bucket>"),
        ("arn:aws:s3:::mlflow-ACCOUNT-REGION", "<ArtifactStore/Bucket>"),
        # Whose account it is, AWS says for each region.
        ("arn:aws:iam::797873946194:root", "AWS's load balancers"),
        ("MLFlowVPC/", ""),
    ):
        text = text.replace(long, short)
    alone = text.startswith("<") and text.endswith(">") and text.count("<") == 1
    return text.strip("<>") if alone else text


def wildcards(templates: Templates) -> set[str]:
    """Every action, resource and principal with a wildcard that something is allowed."""
    return {
        word
        for who, may, on, _ in statements(templates)
        if not may.startswith("never")
        for cell in (who, may, on)
        for word in cell.split(", ")
        if "*" in word
    }
