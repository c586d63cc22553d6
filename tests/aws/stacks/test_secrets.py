"""No secret is in a template, whatever the settings."""

from __future__ import annotations

import json
import re

from tests.aws.stacks.templates import Templates

# What a template may do with a secret: let Secrets Manager make it, and name it.
_RESOLVED = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure)")


def test_containers_get_no_secret_and_templates_resolve_none(
    default: Templates, everything: Templates, public: Templates
) -> None:
    for templates in (default, everything, public):
        assert not _RESOLVED.search(json.dumps(templates.raw))
        for container in templates.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]:
            assert "Secrets" not in container
            assert "EnvironmentFiles" not in container


def test_no_variable_holds_a_password_or_key(everything: Templates) -> None:
    for container in everything.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]:
        for each in container["Environment"]:
            if "SECRET" in each["Name"] or "PASSWORD" in each["Name"] or "KEY" in each["Name"]:
                # The name of a secret: a reference, which is its ARN.
                assert re.fullmatch(r"<[\w/.-]+>", each["Value"]), each["Name"]
            assert not re.search(r"://[^/<@]+@", each["Value"]), each["Name"]


def test_no_parameter_or_output_holds_one(default: Templates, everything: Templates) -> None:
    for templates in (default, everything):
        for stack, template in templates.readable.items():
            assert set(template["Parameters"]) == {"BootstrapVersion"}, stack
            for key, output in template["Outputs"].items():
                if "Secret" in key:
                    assert "Arn" in key or "Publish" in key
                    assert output["Value"].startswith("<")
