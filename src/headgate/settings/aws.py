"""The `[aws]` table of headgate.toml: everything that a deployment on AWS leaves to choose.

Pure: no AWS library, no look-ups. `headgate.aws.stacks` builds from it, the commands of
`headgate aws` read it, docs/settings.md is made from it. Start at `AwsSettings`; it is read by
`load_aws_settings` in `aws_loading`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from headgate.settings.aws_names import parse_iam_user
from headgate.settings.aws_server import check_server_settings
from headgate.settings.networks import Networks, Strings

# Fargate's sizes: CPU units, and the memory (MiB) each may have: from, to, step.
FARGATE_SIZES = {
    512: (2048, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}
# The days that CloudWatch Logs can keep a log for.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)


def _pattern(expression: str, words: str) -> AfterValidator:
    """A check that a text is what `words` says; the message shows how to write it."""

    def check(text: str) -> str:
        if re.fullmatch(expression, text) is None:
            raise ValueError(f"this is no {words}")
        return text

    return AfterValidator(check)


_NAME = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
Region = Annotated[str, _pattern(r"[a-z]{2}(-[a-z]+)+-\d", "region, such as us-west-2")]
Account = Annotated[str, _pattern(r"\d{12}", "account number (12 digits)")]
HostName = Annotated[
    str, _pattern(rf"{_NAME}(\.{_NAME})+", "host name, such as mlflow.example.com")
]
CertificateArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]+", "ARN of an ACM certificate"
    ),
]
Bucket = Annotated[str, _pattern(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "name of a bucket")]
ZoneId = Annotated[str, _pattern(r"Z[A-Z0-9]{1,31}", "id of a hosted zone, such as Z0123456789ABC")]
DomainId = Annotated[str, _pattern(r"d-[a-z0-9-]{1,61}", "id of a Studio domain, such as d-abc123")]
Email = Annotated[str, _pattern(r"[^@\s]+@[^@\s]+\.[^@\s]+", "e-mail address")]


class PlaceSettings(BaseModel):
    """Which account and region. Credentials are those that the AWS CLI would use."""

    profile: str | None = Field(
        None, description="Profile of ~/.aws to use. Default: what AWS_PROFILE says."
    )
    region: Region = Field(
        "us-west-2",
        description="Region of everything. Without it: the profile's region, else AWS_REGION.",
    )
    account: Account | None = Field(
        None,
        description="Refuse to deploy with credentials of another account. Without it: "
        "AWS_ACCOUNT, else any account.",
    )


class NetworkSettings(BaseModel):
    """The VPC: two zones; public /24, private /26 and isolated /28 subnets."""

    vpc_cidr: str = Field("10.0.0.0/16", description="Addresses of the VPC, a /16 to a /22.")
    nat: Literal["gateway", "none"] = Field(
        "gateway",
        description="How tasks reach AWS: one NAT gateway, or VPC endpoints alone, without any "
        "way to the internet.",
    )

    @field_validator("vpc_cidr")
    @classmethod
    def _network_fits(cls, cidr: str) -> str:
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError:
            raise ValueError("this is no network, such as 10.0.0.0/16") from None
        if not 16 <= network.prefixlen <= 22:
            raise ValueError("use a /16 to a /22: VPCs are not larger, and all subnets must fit")
        return cidr


class DatabaseSettings(BaseModel):
    """Aurora Serverless v2. Capacity is in ACUs, of 2 GiB of memory each."""

    engine: Literal["mysql", "postgresql"] = Field("mysql", description="Kind of Aurora.")
    min_capacity: float = Field(
        0, ge=0, le=256, multiple_of=0.5, description="Least capacity; 0 lets it pause when idle."
    )
    max_capacity: float = Field(
        4, validate_default=True, ge=1, le=256, multiple_of=0.5, description="Most capacity."
    )
    pause_seconds: int = Field(
        3600, ge=300, le=86_400, description="Pause after this long without a connection."
    )
    backup_days: int = Field(7, ge=1, le=35, description="Keep daily backups for so many days.")
    deletion_protection: bool = Field(
        True, description="Let nobody delete the database; `headgate aws destroy` lifts it first."
    )
    snapshot: str | None = Field(
        None,
        description="Make the database from this cluster snapshot (ARN or name). Keep the "
        "setting afterwards: without it AWS would replace the database by an empty one.",
    )

    @field_validator("max_capacity")
    @classmethod
    def _capacities_are_in_order(cls, most: float, info: ValidationInfo) -> float:
        least = info.data.get("min_capacity")
        if least is not None and most < least:
            raise ValueError(f"min_capacity is {least:g}, which is more")
        return most


class ArtifactSettings(BaseModel):
    """The artifact bucket."""

    bucket: Bucket | None = Field(
        None,
        description="A bucket that exists, such as the one that an earlier destroy kept; its own "
        "settings stay as they are. Default: a new one, mlflow-ACCOUNT-REGION.",
    )
    old_version_days: int = Field(
        30, ge=1, le=3650, description="Keep what was overwritten or deleted for so many days."
    )


class ServiceSettings(BaseModel):
    """The Fargate service: nginx, gateway and MLflow in every task."""

    cpu: int = Field(1024, description="CPU units of a task; 1024 are one processor.")
    memory: int = Field(4096, validate_default=True, description="Memory of a task in MiB.")
    architecture: Literal["arm64", "x86_64"] = Field(
        "arm64", description="Processors to run on, which the images must be built for."
    )
    min_tasks: int = Field(2, ge=1, le=100, description="Fewest tasks.")
    max_tasks: int = Field(6, validate_default=True, ge=1, le=100, description="Most tasks.")
    cpu_percent: int = Field(
        70, ge=10, le=95, description="More tasks where the CPU is busier than this."
    )
    requests_per_task: int = Field(
        12_000, ge=60, description="More tasks where each gets more requests a minute than this."
    )
    disk_gib: int = Field(
        20, ge=20, le=200, description="Disk of a task; artifacts pass through it on upload."
    )
    server: Annotated[dict[str, Any], AfterValidator(check_server_settings)] = Field(
        {},
        description="Settings of the server itself, by their names on this page, such as "
        '`server = { default_permission = "NO_PERMISSIONS" }`.',
    )

    @field_validator("cpu")
    @classmethod
    def _size_exists(cls, cpu: int) -> int:
        if cpu not in FARGATE_SIZES:
            raise ValueError(f"use one of {', '.join(map(str, FARGATE_SIZES))}")
        return cpu

    @field_validator("memory")
    @classmethod
    def _memory_fits(cls, memory: int, info: ValidationInfo) -> int:
        if "cpu" in info.data:
            least, most, step = FARGATE_SIZES[info.data["cpu"]]
            if not least <= memory <= most or memory % step:
                raise ValueError(
                    f"with cpu = {info.data['cpu']} use {least} to {most} in steps of {step}"
                )
        return memory

    @field_validator("max_tasks")
    @classmethod
    def _tasks_are_in_order(cls, most: int, info: ValidationInfo) -> int:
        least = info.data.get("min_tasks")
        if least is not None and most < least:
            raise ValueError(f"min_tasks is {least}, which is more")
        return most


class EdgeSettings(BaseModel):
    """What clients talk to, and who may."""

    domain_name: HostName | None = Field(
        None, description="Name for the server, such as mlflow.example.com. Default: AWS's own."
    )
    certificate_arn: CertificateArn | None = Field(
        None, description="Certificate of that name, in this region."
    )
    hosted_zone_id: ZoneId | None = Field(
        None,
        validate_default=True,
        description="Route 53 zone of that name: the record, and the certificate where none is "
        "named, are made in it.",
    )
    edge: Literal["http-api", "alb"] = Field(
        "http-api",
        description="An HTTP API (10 MB and 30 s a request), or an internet-facing load "
        "balancer, which has no such limits and needs domain_name.",
    )
    authorizer: Literal["none", "iam"] = Field(
        "none",
        description="iam: the API's own paths take requests signed by IAM (see iam_users); the "
        "UI and its sign-in keep name and password.",
    )
    iam_users: Strings = Field(
        [],
        validate_default=True,
        description="Who of IAM is which user of MLflow, the first that fits: "
        "arn:aws:iam::123456789012:role/Team-*=carol.",
    )
    allowed_networks: Networks = Field(
        ["0.0.0.0/0"], description="Networks that may reach the load balancer of `edge = alb`."
    )
    requests_per_second: int = Field(
        2000, ge=1, le=10_000, description="What the HTTP API lets through, over time."
    )
    burst: int = Field(
        2000, ge=1, le=5000, description="What the HTTP API lets through at one moment."
    )

    @field_validator("hosted_zone_id")
    @classmethod
    def _name_has_a_certificate(cls, zone: str | None, info: ValidationInfo) -> str | None:
        name, certificate = (info.data.get(key) for key in ("domain_name", "certificate_arn"))
        if name is None and (zone or certificate):
            raise ValueError("name in domain_name what this zone or certificate is for")
        if name is not None and not zone and not certificate and "certificate_arn" in info.data:
            raise ValueError("domain_name needs a certificate_arn, or the zone to make one in")
        return zone

    @field_validator("edge")
    @classmethod
    def _public_balancer_has_a_name(cls, edge: str, info: ValidationInfo) -> str:
        if edge == "alb" and "domain_name" in info.data and info.data["domain_name"] is None:
            raise ValueError("a load balancer has no certificate of its own: set domain_name")
        return edge

    @field_validator("authorizer")
    @classmethod
    def _iam_needs_the_api(cls, authorizer: str, info: ValidationInfo) -> str:
        if authorizer == "iam" and info.data.get("edge") == "alb":
            raise ValueError("only an HTTP API checks signatures of IAM: use edge = http-api")
        return authorizer

    @field_validator("iam_users")
    @classmethod
    def _mappings_are_mappings(cls, mappings: list[str], info: ValidationInfo) -> list[str]:
        for mapping in mappings:
            parse_iam_user(mapping)
        if info.data.get("authorizer") == "iam" and not mappings:
            raise ValueError("authorizer is iam: say here who is which user of MLflow")
        return mappings


class StudioSettings(BaseModel):
    """A user in SageMaker Studio who can reach the server."""

    studio: bool = Field(True, description="Make the user `mlflow-user`, and a domain if need be.")
    studio_domain_id: DomainId | None = Field(
        None,
        description="Domain that exists and gets the user. Without it: DOMAIN_ID, else the "
        "account's domain, else a new one.",
    )
    studio_network: Literal["mlflow", "default"] = Field(
        "mlflow", description="Where a new domain goes: into this VPC, or the default VPC."
    )
    sagemaker_full_access: bool = Field(
        False, description="Give the user's role AmazonSageMakerFullAccess too."
    )


class WatchSettings(BaseModel):
    """Logs and alarms."""

    log_days: int = Field(30, description="Keep logs for so many days.")
    alarm_email: Email | None = Field(
        None, description="Whom alarms are mailed to. Default: they show in CloudWatch alone."
    )

    @field_validator("log_days")
    @classmethod
    def _cloudwatch_knows_it(cls, days: int) -> int:
        if days not in LOG_DAYS:
            raise ValueError(f"use one of {', '.join(map(str, LOG_DAYS))}")
        return days


# Headings of the documentation, in their order, and the settings below each.
AWS_GROUPS: dict[str, type[BaseModel]] = {
    "Place": PlaceSettings,
    "Network": NetworkSettings,
    "Database": DatabaseSettings,
    "Artifacts": ArtifactSettings,
    "Service": ServiceSettings,
    "Edge": EdgeSettings,
    "Studio": StudioSettings,
    "Watching": WatchSettings,
}


class AwsSettings(
    PlaceSettings,
    NetworkSettings,
    DatabaseSettings,
    ArtifactSettings,
    ServiceSettings,
    EdgeSettings,
    StudioSettings,
    WatchSettings,
):
    """All settings of one deployment, checked and fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
