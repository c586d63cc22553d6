"""What each construct makes, bare and with everything on, held against a file.

After a wanted change: `UPDATE_SNAPSHOTS=1 python -m pytest tests/aws/stacks/test_snapshots.py`,
and read the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.stacks.templates import new_app, read

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))

Build = Callable[[Any, bool], None]


def network(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.network import Network

    Network(stack, "Network", cidr="10.0.0.0/16", nat=not full, log_days=30)


def artifact_store(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.artifact_store import AccessLogs, ArtifactStore
    from headgate.aws.constructs.roles import task_role

    logs = AccessLogs(stack, "AccessLogs", days=30)
    store = ArtifactStore(
        stack,
        "ArtifactStore",
        existing="bucket" if full else None,
        origins=["https://mlflow.example.com"],
        old_version_days=30,
        access_logs=logs.bucket,
    )
    if full:
        store.grant_access(task_role(stack, "Role"))


def credentials(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.credentials import Credentials, grant_reading
    from headgate.aws.constructs.roles import task_role

    made = Credentials(stack, "Credentials")
    if full:
        grant_reading(task_role(stack, "Role"), "ReadSecrets", made.admin, made.key)


def backend_store(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.backend_store import BackendStore

    vpc, client = _surroundings(stack)
    store = BackendStore(
        stack,
        "BackendStore",
        vpc=vpc,
        kind="postgresql" if full else "mysql",
        min_capacity=0,
        max_capacity=4,
        pause_seconds=3600,
        backup_days=7,
        deletion_protection=not full,
        snapshot="snapshot" if full else None,
    )
    if full:
        store.allow_from(client)


def load_balancer(stack: Any, full: bool) -> None:
    from aws_cdk import aws_certificatemanager as acm

    from headgate.aws.constructs.artifact_store import AccessLogs
    from headgate.aws.constructs.load_balancer import LoadBalancer

    vpc, _ = _surroundings(stack)
    arn = "arn:aws:acm:us-west-2:123456789012:certificate/0-1"
    LoadBalancer(
        stack,
        "LoadBalancer",
        vpc=vpc,
        public=full,
        certificate=acm.Certificate.from_certificate_arn(stack, "Cert", arn) if full else None,
        networks=["192.0.2.0/24", "2001:db8::/32"],
        access_logs=AccessLogs(stack, "AccessLogs", days=30).bucket,
    )


def studio_user(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.roles import task_role
    from headgate.aws.constructs.studio import DomainNetwork, StudioUser

    StudioUser(
        stack,
        "Studio",
        role=task_role(stack, "Role"),
        existing=None if full else "d-abc",
        network=DomainNetwork("vpc-0a1b2c3d", ["subnet-0a1b2c3d"]) if full else None,
    )


def studio_role(stack: Any, full: bool) -> None:
    from headgate.aws.constructs.studio_role import StudioRole

    arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:mlflow-server-credentials-a1b2c3"
    StudioRole(stack, "Role", credentials_arn=arn, bucket="bucket", full_access=full, api=full)


CONSTRUCTS: list[Build] = [
    network,
    artifact_store,
    credentials,
    backend_store,
    load_balancer,
    studio_user,
    studio_role,
]


@pytest.mark.parametrize("full", [False, True], ids=["bare", "full"])
@pytest.mark.parametrize("build", CONSTRUCTS, ids=lambda build: build.__name__)
def test_a_construct_makes_what_it_made_before(build: Build, full: bool, tmp_path: Path) -> None:
    app = new_app(tmp_path)
    from aws_cdk import Environment, Stack

    build(Stack(app, "Stack", env=Environment(region="us-west-2")), full)
    app.synth()
    _hold(f"{build.__name__}-{'full' if full else 'bare'}", read(tmp_path).readable["Stack"])


@pytest.mark.parametrize(
    ("stack", "parts"),
    [
        ("MLflowVpcStack", ("Task", "Service", "Observability")),
        ("HttpGatewayStack", ("Edge",)),
    ],
)
@pytest.mark.parametrize("which", ["default", "everything"])
def test_constructs_that_need_others_make_what_they_made_before(
    stack: str, parts: tuple[str, ...], which: str, request: pytest.FixtureRequest
) -> None:
    resources = request.getfixturevalue(which).readable[stack]["Resources"]
    for part in parts:
        found = {path: each for path, each in resources.items() if path.split("/")[0] == part}
        kind = "bare" if which == "default" else "full"
        _hold(f"{part.lower()}-{kind}", {"Resources": found})


def _surroundings(stack: Any) -> tuple[Any, Any]:
    """A VPC with our names of subnets, which others are put into, and a group of clients."""
    from aws_cdk import aws_ec2 as ec2

    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0a1b2c3d",
        availability_zones=["us-west-2a", "us-west-2b"],
        public_subnet_ids=["subnet-0a000001", "subnet-0a000002"],
        public_subnet_names=["public"],
        private_subnet_ids=["subnet-0a000003", "subnet-0a000004"],
        private_subnet_names=["private"],
        isolated_subnet_ids=["subnet-0a000005", "subnet-0a000006"],
        isolated_subnet_names=["isolated"],
    )
    return vpc, ec2.SecurityGroup.from_security_group_id(stack, "Client", "sg-0a1b2c3d")


def _hold(name: str, template: dict[str, Any]) -> None:
    """Compare with the file of that name, or write it."""
    text = "\n".join(_lines(template["Resources"])) + "\n"
    file = SNAPSHOTS / f"{name}.txt"
    if UPDATE:
        file.write_text(text)
    assert file.read_text() == text, f"{file.name}: read the difference, then UPDATE_SNAPSHOTS=1"


def _lines(resources: dict[str, Any]) -> Iterator[str]:
    """A resource, its properties a line each, lists and tables of one a line each too."""
    for path, resource in resources.items():
        yield f"{path}: {resource['Type']}"
        for key, value in sorted({**resource, **resource["Properties"]}.items()):
            if key in ("Type", "Properties", "Tags"):
                continue
            if isinstance(value, list) and value and isinstance(value[0], dict):
                yield f"  {key}:"
                yield from (f"    - {json.dumps(each, sort_keys=True)}" for each in value)
            elif isinstance(value, dict):
                yield f"  {key}:"
                yield from (
                    f"    {name}: {json.dumps(each, sort_keys=True)}"
                    for name, each in sorted(value.items())
                )
            else:
                yield f"  {key}: {json.dumps(value)}"
