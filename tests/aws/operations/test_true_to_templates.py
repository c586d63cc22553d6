"""Prices, pictures and names that are written by hand, held to what the stacks really make."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headgate.aws import cost_plan, names
from headgate.aws.handover import Handover
from headgate.aws.node import JSII_VARIABLE, find_node
from headgate.settings.aws import AwsSettings

ROOT = Path(__file__).resolve().parents[3]
Templates = dict[str, Any]


def synthesized(folder: Path, handover: Handover | None = None, **settings: Any) -> Templates:
    # Before the CDK is imported, which starts Node at once.
    os.environ.setdefault(JSII_VARIABLE, str(find_node().path))
    from headgate.aws.stacks.application import build, new_app

    app = new_app(outdir=str(folder))
    build(app, AwsSettings(**settings), handover or Handover())
    assembly = app.synth()
    return {stack.stack_name: stack.template for stack in assembly.stacks}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of the default settings."""
    return synthesized(tmp_path_factory.mktemp("usual"))


def kinds(templates: Templates) -> Counter[str]:
    return Counter(
        resource["Type"]
        for template in templates.values()
        for resource in template["Resources"].values()
    )


def test_what_is_priced_is_what_is_made(usual: Templates) -> None:
    made = kinds(usual)
    plan = cost_plan.cost_plan(AwsSettings())
    # RDS makes one more secret itself.
    assert made["AWS::SecretsManager::Secret"] + 1 == plan.secrets
    assert made["AWS::CloudWatch::Alarm"] == plan.alarms
    assert made["AWS::CloudWatch::Dashboard"] == plan.dashboards
    assert made["AWS::EC2::NatGateway"] == plan.nat_gateways == 1
    gateways = [
        resource["Properties"].get("VpcEndpointType")
        for resource in usual[names.VPC_STACK]["Resources"].values()
        if resource["Type"] == "AWS::EC2::VPCEndpoint"
    ]
    assert gateways.count("Interface") == plan.interface_endpoints == 0


def test_without_nat_the_endpoints_are_priced(tmp_path: Path) -> None:
    templates = synthesized(tmp_path, nat="none")
    endpoints = [
        resource
        for resource in templates[names.VPC_STACK]["Resources"].values()
        if resource["Type"] == "AWS::EC2::VPCEndpoint"
        and resource["Properties"].get("VpcEndpointType") == "Interface"
    ]
    plan = cost_plan.cost_plan(AwsSettings(nat="none"))
    assert len(endpoints) == plan.interface_endpoints
    assert kinds(templates)["AWS::EC2::NatGateway"] == plan.nat_gateways == 0


def test_the_picture_names_only_what_the_templates_have(
    usual: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import aws_picture

    drawn, text = aws_picture.picture(), json.dumps(usual)
    # Logical ids have neither dashes nor slashes.
    plain = text.replace("-", "")
    for name in (*aws_picture.NAMES, *names.STACKS):
        assert name in drawn
        assert name in text or name.replace("-", "") in plain, name
    sys.modules.pop("aws_picture")


def test_the_commands_find_every_output_that_they_read(usual: Templates) -> None:
    wanted = {
        names.VPC_STACK: {
            names.CREDENTIALS_SECRET_ARN,
            names.CLUSTER_NAME,
            names.SERVICE_NAME,
            names.LOG_GROUP,
            names.DATABASE_CLUSTER,
        },
        names.GATEWAY_STACK: {names.API_ENDPOINT},
        names.STUDIO_STACK: {names.STUDIO_DOMAIN, names.STUDIO_USER_PROFILE},
    }
    for stack, outputs in wanted.items():
        assert outputs <= usual[stack]["Outputs"].keys()


def migrate_command(templates: Templates) -> list[str]:
    (task,) = (
        resource
        for resource in templates[names.VPC_STACK]["Resources"].values()
        if resource["Type"] == "AWS::ECS::TaskDefinition"
    )
    containers = task["Properties"]["ContainerDefinitions"]
    (migrate,) = (item for item in containers if item["Name"] == "migrateContainer")
    return list(migrate["Command"])


def test_only_a_maintenance_lets_any_migration_run(usual: Templates, tmp_path: Path) -> None:
    assert migrate_command(usual) == ["headgate", "migrate", "--yes"]
    maintained = synthesized(tmp_path, Handover(maintenance=True))
    assert migrate_command(maintained) == ["headgate", "migrate", "--yes", "--maintenance"]
