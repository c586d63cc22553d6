"""Synthesizes the stacks, and makes templates readable: no hashes, no intrinsic functions.

The CDK is imported late, as it starts Node. Start at `synthesize`; `Templates.readable` is what
most tests look at.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headgate.aws.handover import Handover
from headgate.aws.names import GATEWAY_STACK, STUDIO_STACK, TASK_IMAGES, VPC_STACK, repository
from headgate.aws.node import JSII_VARIABLE, find_node
from headgate.settings.aws import AwsSettings

Template = dict[str, Any]
Resource = dict[str, Any]

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = {name: f"{repository(name)}@{DIGEST}" for name in TASK_IMAGES}
HANDOVER = Handover(images=IMAGES)
PATHS = "aws:cdk:path"


@dataclass(frozen=True)
class Templates:
    """The templates of one application by stack, and the folder that holds them."""

    folder: Path
    raw: Mapping[str, Template]
    readable: Mapping[str, Template]

    @property
    def vpc(self) -> Template:
        """MLflowVpcStack."""
        return self.readable[VPC_STACK]

    @property
    def gateway(self) -> Template:
        """HttpGatewayStack."""
        return self.readable[GATEWAY_STACK]

    @property
    def studio(self) -> Template:
        """SageMakerStudioUserStack."""
        return self.readable[STUDIO_STACK]

    def resources(self) -> Iterator[tuple[str, str, Resource]]:
        """Stack, path and resource of everything."""
        for stack, template in self.readable.items():
            for path, resource in template["Resources"].items():
                yield stack, path, resource

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Properties by path of all resources of a type, such as `AWS::S3::Bucket`."""
        return {
            path: resource["Properties"]
            for _, path, resource in self.resources()
            if resource["Type"] == kind
        }

    def only(self, kind: str) -> Resource:
        """The properties of the one resource of a type."""
        found = list(self.of_type(kind).values())
        assert len(found) == 1, f"{len(found)} of {kind}"
        return found[0]


def synthesize(handover: Handover = HANDOVER, **settings: Any) -> Templates:
    """The three stacks with these settings; the same ones are synthesized once."""
    handed = json.dumps(handover.context(), sort_keys=True)
    return _synthesized(json.dumps(settings, sort_keys=True), handed, handover=_Hidden(handover))


class _Hidden:
    """A value that takes no part in a cache's key, since another argument stands for it."""

    def __init__(self, value: Handover) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)


@cache
def _synthesized(settings: str, handed: str, *, handover: _Hidden) -> Templates:
    folder = Path(tempfile.mkdtemp(prefix="headgate-templates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    app = new_app(folder)
    from headgate.aws.stacks.application import build

    build(app, AwsSettings(**json.loads(settings)), handover.value)
    app.synth()
    return read(folder)


def new_app(folder: Path) -> Any:
    """An application whose templates keep the path of each resource; Node is found first."""
    os.environ[JSII_VARIABLE] = str(find_node().path)
    from headgate.aws.stacks.application import new_app as application

    return application(outdir=str(folder), context={"aws:cdk:enable-path-metadata": True})


def read(folder: Path) -> Templates:
    """The templates that an application wrote."""
    raw = {
        file.name.partition(".")[0]: json.loads(file.read_text())
        for file in sorted(folder.glob("*.template.json"))
    }
    outputs = {
        (stack, key): value["Value"]
        for stack, template in raw.items()
        for key, value in template.get("Outputs", {}).items()
    }
    names = {
        stack: {
            logical: resource["Metadata"][PATHS].removeprefix(f"{stack}/").removesuffix("/Resource")
            for logical, resource in template["Resources"].items()
        }
        for stack, template in raw.items()
    }
    readable = {
        stack: _readable(template, stack, names, outputs) for stack, template in raw.items()
    }
    return Templates(folder, raw, readable)


def _readable(
    template: Template,
    stack: str,
    names: Mapping[str, Mapping[str, str]],
    outputs: Mapping[tuple[str, str], Any],
) -> Template:
    """The template with every reference as `<path>` or `<path.Attribute>`."""

    def plain(value: Any, where: str) -> Any:
        if isinstance(value, list):
            return [plain(item, where) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return f"<{names[where].get(value['Ref'], value['Ref'])}>"
        if set(value) == {"Fn::GetAtt"}:
            logical, *attribute = value["Fn::GetAtt"]
            return f"<{'.'.join([names[where][logical], *attribute])}>"
        if set(value) == {"Fn::Join"}:
            separator, parts = value["Fn::Join"]
            return separator.join(str(plain(part, where)) for part in parts)
        if set(value) == {"Fn::GetStackOutput"}:
            found = value["Fn::GetStackOutput"]
            source = (found["StackName"], found["OutputName"])
            return plain(outputs[source], source[0])
        if set(value) == {"Fn::Select"}:
            index, items = value["Fn::Select"]
            return f"<{plain(items, where)}[{index}]>"
        if set(value) == {"Fn::GetAZs"}:
            return "zones"
        return {key: plain(item, where) for key, item in value.items()}

    return {
        "Resources": {
            names[stack][logical]: {
                key: [names[stack][other] for other in item]
                if key == "DependsOn" and isinstance(item, list)
                else plain(item, stack)
                for key, item in resource.items()
                if key != "Metadata"
            }
            for logical, resource in template["Resources"].items()
        },
        "Outputs": plain(template.get("Outputs", {}), stack),
        "Parameters": template.get("Parameters", {}),
    }
