"""What the account must have: an identity, the region, the CDK's bootstrap, room in its quotas."""

from __future__ import annotations

import os
from collections.abc import Iterator

from headgate.aws import names
from headgate.aws.buckets import bucket_exists
from headgate.aws.cdk import VERSION
from headgate.aws.checks.surroundings import Surroundings
from headgate.aws.session import Aws, error_code
from headgate.finding import Finding

# The version of its bootstrap stack that the `cdk` command line asks for.
OLDEST_BOOTSTRAP = 6
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP = "bootstrap"

_VPC_QUOTA = ("vpc", "L-F678F1CE", 5)
_ADDRESS_QUOTA = ("ec2", "L-0263D0A3", 5)


def identity(around: Surroundings) -> Iterator[Finding]:
    """Who these credentials are, and of which account."""
    caller = around.aws.client("sts").get_caller_identity()
    around.found_account = caller["Account"]
    if around.settings.account not in (None, caller["Account"]):
        yield Finding(
            "identity",
            "wrong",
            f"these credentials are of account {caller['Account']}, the settings name "
            f"{around.settings.account}",
            "Export AWS_PROFILE=NAME of the right account, or change AWS_ACCOUNT.",
        )
        return
    yield Finding("identity", "ok", f"{caller['Arn']} in account {caller['Account']}")


def known_region(around: Surroundings) -> Iterator[Finding]:
    """Whether there is such a region at all; nothing else can be asked where there is none."""
    region, session = around.aws.region, around.aws.session
    known = {
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition_name=partition)
    }
    if region not in known:
        mend = "export AWS_REGION=us-west-2, or set region under [aws] in headgate.toml"
        text = f"boto3 knows no region {region!r} (a new one? pip install --upgrade boto3)"
        yield Finding("region", "wrong", text, mend)


def region(around: Surroundings) -> Iterator[Finding]:
    """Whether the region is enabled in the account."""
    region = around.aws.region
    found = around.aws.client("ec2").describe_regions(AllRegions=True)["Regions"]
    status = {item["RegionName"]: item.get("OptInStatus") for item in found}
    if status.get(region) == "not-opted-in":
        mend = f"aws account enable-region --region-name {region}"
        yield Finding("region", "wrong", f"{region} is not enabled in this account", mend)
    else:
        yield from _usual_region(around.aws)


def _usual_region(aws: Aws) -> Iterator[Finding]:
    usual = os.environ.get("AWS_DEFAULT_REGION") or aws.session._session.get_scoped_config().get(
        "region"
    )
    if usual and usual != aws.region:
        yield Finding(
            "region",
            "warning",
            f"{aws.region}, while your AWS configuration says {usual}",
            f"For {usual}: export AWS_REGION={usual}, or set region under [aws].",
        )
    else:
        yield Finding("region", "ok", aws.region)


def bootstrap(around: Surroundings) -> Iterator[Finding]:
    """What the CDK itself needs in an account and region."""
    ssm = around.aws.client("ssm")
    where = f"aws://{around.found_account}/{around.aws.region}"
    mend = f"headgate aws deploy offers it; by hand: npx aws-cdk@{VERSION} bootstrap {where}"
    try:
        value = ssm.get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        around.needs_bootstrap = True
        yield Finding(BOOTSTRAP, "wrong", f"the CDK is not bootstrapped in {where}", mend)
        return
    if int(value) < OLDEST_BOOTSTRAP:
        around.needs_bootstrap = True
        yield Finding(BOOTSTRAP, "wrong", f"the CDK's bootstrap stack is version {value}", mend)
    else:
        yield Finding(BOOTSTRAP, "ok", f"version {value}")


def stacks(around: Surroundings) -> Iterator[Finding]:
    """Our stacks as they are, and whether they can be updated."""
    for name, stack in around.deployment.stacks.items():
        if name not in around.stacks:
            continue
        if stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            yield Finding(
                "stacks",
                "wrong",
                f"{name} is {stack.status} and must be deleted first",
                f"headgate aws destroy --stack {name}",
            )
        elif stack.busy:
            yield Finding(
                "stacks", "wrong", f"{name} is {stack.status}", "Wait until it has settled."
            )
        elif name == names.VPC_STACK and names.CREDENTIALS_SECRET_ARN not in stack.outputs:
            yield Finding(
                "stacks",
                "wrong",
                f"{name} exists, but Headgate did not make it (the sample of AWS did?)",
                "docs/aws.md, Moving over from the sample",
            )
        else:
            yield Finding("stacks", "ok", f"{name} is {stack.status} and will be updated")
    missing = [name for name in around.stacks if name not in around.deployment.stacks]
    if missing:
        yield Finding("stacks", "ok", f"{', '.join(missing)} will be made")


def kept_data(around: Surroundings) -> Iterator[Finding]:
    """What an earlier destroy kept: the bucket has the name that a new stack wants."""
    if names.VPC_STACK in around.deployment.stacks or names.VPC_STACK not in around.stacks:
        return
    named = around.settings.bucket
    bucket = named or names.bucket(str(around.found_account), around.aws.region)
    exists = bucket_exists(around.aws, bucket)
    if named and not exists:
        mend = "Make it, or take bucket out of [aws], so that one is made."
        yield Finding("bucket", "wrong", f"there is no bucket {named}", mend)
    elif named:
        yield Finding("bucket", "ok", f"artifacts go into {named}")
    elif exists:
        mend = f'bucket = "{bucket}" under [aws] goes on using it; or delete it'
        yield Finding("bucket", "wrong", f"{bucket} is left of an earlier deployment", mend)
    if around.settings.snapshot is None:
        yield from _kept_snapshots(around.aws)


def _kept_snapshots(aws: Aws) -> Iterator[Finding]:
    pages = aws.pages("rds", "describe_db_cluster_snapshots", SnapshotType="manual")
    kept = [
        item["DBClusterSnapshotIdentifier"]
        for page in pages
        for item in page["DBClusterSnapshots"]
        if item["DBClusterSnapshotIdentifier"].lower().startswith(names.VPC_STACK.lower())
    ]
    if kept:
        mend = f'snapshot = "{kept[-1]}" under [aws] makes the database from it'
        text = f"the database will be empty, while {kept[-1]} is left of an earlier deployment"
        yield Finding("database", "warning", text, mend)


def quotas(around: Surroundings) -> Iterator[Finding]:
    """Room for one more VPC and its addresses."""
    if names.VPC_STACK in around.deployment.stacks or names.VPC_STACK not in around.stacks:
        return
    ec2 = around.aws.client("ec2")
    used = len(ec2.describe_vpcs()["Vpcs"])
    yield _quota(around.aws, "VPCs", used, 1, _VPC_QUOTA)
    if around.settings.nat == "gateway":
        used = len(ec2.describe_addresses()["Addresses"])
        yield _quota(around.aws, "Elastic IPs", used, 1, _ADDRESS_QUOTA)


def _quota(aws: Aws, what: str, used: int, wanted: int, quota: tuple[str, str, int]) -> Finding:
    service, code, default = quota
    allowed = _allowed(aws, service, code) or default
    text = f"{used} of {allowed} {what} used"
    if used + wanted <= allowed:
        return Finding("quotas", "ok", text)
    mend = (
        f"aws service-quotas request-service-quota-increase --region {aws.region} "
        f"--service-code {service} --quota-code {code} --desired-value {used + wanted}"
    )
    return Finding("quotas", "wrong", f"{text}, {wanted} more is needed", mend)


def _allowed(aws: Aws, service: str, code: str) -> int | None:
    """The quota of this account; None where we may not ask or it was never changed."""
    from botocore.exceptions import ClientError

    client = aws.client("service-quotas")
    try:
        found = client.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError as error:
        if error_code(error) in ("AccessDeniedException", "NoSuchResourceException"):
            return None
        raise
    return int(found["Quota"]["Value"])
