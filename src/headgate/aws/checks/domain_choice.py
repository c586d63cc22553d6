"""Which Studio domain gets the user: ours, the one named, the only one, or a new one."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.aws import names, studio
from headgate.aws.checks.surroundings import Surroundings
from headgate.finding import Finding

DOMAIN = "studio"


def studio_domain(around: Surroundings) -> Iterator[Finding]:
    """The domain; with several the choice is left to the person, as `around.choices`."""
    if names.STUDIO_STACK not in around.stacks:
        return
    named = around.settings.studio_domain_id
    if named:
        yield _named_domain(around, named)
        return
    own = around.deployment.resources(names.STUDIO_STACK, "AWS::SageMaker::Domain")
    if own:
        yield Finding(DOMAIN, "ok", f"domain {own[0].physical_id} of our own")
        yield from _default_vpc(around)
        return
    found = studio.domains(around.aws)
    usable = [item for item in found if item.usable]
    used = around.deployment.output(names.STUDIO_STACK, names.STUDIO_DOMAIN)
    if used in [item.id for item in usable]:
        around.existing_domain = used
        yield Finding(DOMAIN, "ok", f"the user stays in the domain {used}")
    elif len(usable) > 1:
        around.choices = usable
        listed = ", ".join(f"{item.id} ({item.name})" for item in usable)
        mend = f"export DOMAIN_ID={usable[0].id}, or set studio_domain_id under [aws]"
        yield Finding(DOMAIN, "wrong", f"there are several domains: {listed}", mend)
    elif usable:
        around.existing_domain = usable[0].id
        yield Finding(DOMAIN, "ok", f"the user goes into the domain {usable[0].id}")
    elif found:
        listed = ", ".join(f"{item.id} ({item.status}, {item.auth_mode})" for item in found)
        yield Finding(DOMAIN, "ok", f"a new domain will be made, as none of {listed} can be used")
        yield from _default_vpc(around)
    else:
        yield Finding(DOMAIN, "ok", "a new domain will be made")
        yield from _default_vpc(around)


def _default_vpc(around: Surroundings) -> Iterator[Finding]:
    """The default VPC and its subnets, where the settings want a new domain there."""
    if around.settings.studio_network != "default":
        return
    ec2 = around.aws.client("ec2")
    found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        text = f"{around.aws.region} has no default VPC for the Studio domain"
        yield Finding(DOMAIN, "wrong", text, "aws ec2 create-default-vpc, or use ours")
        return
    around.default_vpc_id = found[0]["VpcId"]
    mine = [{"Name": "vpc-id", "Values": [around.default_vpc_id]}]
    subnets = ec2.describe_subnets(Filters=mine)["Subnets"]
    around.default_vpc_subnets = tuple(sorted(item["SubnetId"] for item in subnets))
    yield Finding(DOMAIN, "ok", f"it goes into the default VPC {around.default_vpc_id}")


def _named_domain(around: Surroundings, domain_id: str) -> Finding:
    found = studio.domain(around.aws, domain_id)
    mend = f"aws sagemaker list-domains --region {around.aws.region}"
    if found is None:
        text = f"there is no domain {domain_id} in {around.aws.region}"
        return Finding(DOMAIN, "wrong", text, mend)
    if not found.usable:
        text = f"{domain_id} is {found.status} with sign-in by {found.auth_mode}; needed are "
        return Finding(DOMAIN, "wrong", f"{text}InService and IAM", mend)
    around.existing_domain = domain_id
    return Finding(DOMAIN, "ok", f"the user goes into the domain {domain_id}")
