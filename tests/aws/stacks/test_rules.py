"""Other people's rules: cfn-lint, cdk-nag's AwsSolutions, CloudFormation's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headgate.settings.aws import AwsSettings
from tests.aws.stacks.conftest import EVERYTHING, PUBLIC
from tests.aws.stacks.templates import HANDOVER, new_app, synthesize

CHOICES: list[Any] = [
    pytest.param({}, id="default"),
    pytest.param(EVERYTHING, id="everything"),
    pytest.param(PUBLIC, id="public"),
]
# Warnings of cfn-lint that stay, and why. Empty: there is none.
EXPLAINED: dict[str, str] = {}


@pytest.mark.parametrize("settings", CHOICES)
def test_cfn_lint_has_no_error_and_no_unexplained_warning(settings: dict[str, Any]) -> None:
    files = sorted(map(str, synthesize(**settings).folder.glob("*.template.json")))
    program = Path(sys.executable).with_name("cfn-lint")
    options = ("--format", "json", "--include-checks", "W", "--regions", "us-west-2", "--")
    done = subprocess.run(
        [str(program), *options, *files],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(done.stdout or "[]")
    left = [
        f"{each['Rule']['Id']} {each['Filename']}: {each['Message']}"
        for each in found
        if each["Rule"]["Id"] not in EXPLAINED
    ]
    assert left == []
    assert done.stderr == ""


@pytest.mark.parametrize("settings", CHOICES)
def test_cdk_nag_finds_nothing_that_is_not_acknowledged_with_a_reason(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    assert nag(tmp_path, settings) == []


def test_cdk_nag_really_looks(tmp_path: Path) -> None:
    """A wildcard that nobody acknowledged is found, so the test above means something."""
    from aws_cdk import aws_iam as iam

    def spoil(stacks: Any) -> None:
        stacks.vpc.service.service.task_definition.task_role.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:*"], resources=["*"])
        )

    found = nag(tmp_path, {}, spoil)
    assert found
    assert all("AwsSolutions-IAM5" in rule for rule in found)


def test_no_acknowledgment_is_for_a_whole_stack(tmp_path: Path) -> None:
    from aws_cdk import Validations

    from headgate.aws.stacks.application import build

    app = new_app(tmp_path)
    build(app, AwsSettings(), HANDOVER)
    key = Validations.ACKNOWLEDGED_RULES_METADATA_KEY
    reasons = [
        (str(node.node.path), rule, reason)
        for node in app.node.find_all()
        for entry in node.node.metadata
        if entry.type == key
        for rule, reason in dict(entry.data).items()
        if "AwsSolutions" in rule  # the CDK acknowledges some of its own
    ]
    assert reasons
    for path, rule, reason in reasons:
        assert "/" in path, f"{rule} is acknowledged for all of {path}"
        assert len(reason) > 20, f"{rule} on {path} has no reason"


def nag(folder: Path, settings: dict[str, Any], change: Any = None) -> list[str]:
    """What AwsSolutions says of the stacks with these settings."""
    app = new_app(folder)
    from aws_cdk import Validations
    from cdk_nag import AwsSolutionsChecks

    from headgate.aws.stacks.application import build

    stacks = build(app, AwsSettings(**settings), HANDOVER)
    if change is not None:
        change(stacks)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
    report = folder / "validation-report.json"
    if not report.exists():
        return []
    return [
        found["ruleName"]
        for plugin in json.loads(report.read_text())["pluginReports"]
        for found in plugin["violations"]
    ]
