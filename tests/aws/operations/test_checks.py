"""What `headgate aws deploy` looks at first: what it finds, and the command that mends it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.aws import names
from headgate.aws.checks import Surroundings, account, check, machine
from headgate.aws.checks.domain_choice import studio_domain as check_domain
from headgate.aws.session import Aws
from headgate.finding import Finding
from headgate.settings.aws import AwsSettings
from tests.aws.operations.conftest import Programs, Run
from tests.aws.operations.deployed import BUCKET, deploy, deploy_all
from tests.harness.aws_account import ACCOUNT, REGION, AwsAccount


@pytest.fixture
def around(aws: Aws) -> Surroundings:
    return surroundings(aws)


def surroundings(aws: Aws, **settings: Any) -> Surroundings:
    return Surroundings(aws=aws, settings=AwsSettings(**settings), found_account=ACCOUNT)


def one(findings: Any) -> Finding:
    (finding,) = list(findings)
    return finding


def make_domain(moto: AwsAccount, name: str, mode: str = "IAM") -> str:
    made = moto.client("sagemaker").create_domain(
        DomainName=name,
        AuthMode=mode,
        DefaultUserSettings={"ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/studio-role-name"},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    return str(made["DomainArn"].rpartition("/")[2])


def test_who_we_are_is_the_first_thing_told(around: Surroundings) -> None:
    finding = one(account.identity(around))
    assert finding.state == "ok"
    assert ACCOUNT in finding.text
    assert around.found_account == ACCOUNT


def test_credentials_of_another_account_are_refused(aws: Aws) -> None:
    finding = one(account.identity(surroundings(aws, account="999999999999")))
    assert finding.state == "wrong"
    assert "the settings name 999999999999" in finding.text
    assert "AWS_PROFILE" in str(finding.mend)


def test_without_credentials_only_the_machine_is_looked_at(
    nothing_of_this_machine: Path, programs: Programs
) -> None:
    findings = list(check(surroundings(Aws(REGION))))
    assert findings[0].about == "identity"
    assert findings[0].state == "wrong"
    assert findings[0].text == "No AWS credentials were found."
    assert "aws configure" in str(findings[0].mend)
    assert {finding.about for finding in findings[1:]} <= {"node", "cdk", "builder", "disk"}


def test_a_region_that_does_not_exist_is_named(moto: AwsAccount) -> None:
    finding = one(account.known_region(surroundings(Aws("us-west-9"))))
    assert finding.state == "wrong"
    assert "'us-west-9'" in finding.text
    assert "export AWS_REGION=us-west-2" in str(finding.mend)


def test_a_region_that_is_not_enabled_can_be_enabled(moto: AwsAccount) -> None:
    aws = Aws(REGION)
    aws.region = "af-south-1"
    regions = {"Regions": [{"RegionName": "af-south-1", "OptInStatus": "not-opted-in"}]}
    aws._clients["ec2"] = SimpleNamespace(describe_regions=lambda **_: regions)
    finding = one(account.region(surroundings(aws)))
    assert finding.state == "wrong"
    assert finding.mend == "aws account enable-region --region-name af-south-1"


def test_a_missing_bootstrap_is_offered(around: Surroundings) -> None:
    finding = one(account.bootstrap(around))
    assert finding.state == "wrong"
    assert around.needs_bootstrap
    assert f"bootstrap aws://{ACCOUNT}/us-west-2" in str(finding.mend)


@pytest.mark.parametrize(("version", "state"), [("5", "wrong"), ("6", "ok"), ("30", "ok")])
def test_the_bootstrap_must_be_new_enough(
    moto: AwsAccount, around: Surroundings, version: str, state: str
) -> None:
    moto.client("ssm").put_parameter(Name=account.BOOTSTRAP_PARAMETER, Value=version, Type="String")
    assert one(account.bootstrap(around)).state == state
    assert around.needs_bootstrap == (state == "wrong")


def test_stacks_that_stand_will_be_updated(moto: AwsAccount, around: Surroundings) -> None:
    deploy_all(moto)
    texts = [finding.text for finding in account.stacks(around)]
    assert any("MLflowVpcStack is CREATE_COMPLETE and will be updated" in text for text in texts)
    assert "SageMakerStudioUserStack will be made" in texts


def test_the_samples_stack_is_not_updated_by_accident(
    moto: AwsAccount, around: Surroundings
) -> None:
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    deploy(moto, names.VPC_STACK, topic, {"ALBDnsName": "internal-x.elb.amazonaws.com"})
    wrong = next(finding for finding in account.stacks(around) if finding.state == "wrong")
    assert "Headgate did not make it" in wrong.text
    assert "Moving over from the sample" in str(wrong.mend)


def test_a_bucket_that_an_earlier_destroy_kept_is_to_be_named(
    moto: AwsAccount, around: Surroundings, aws: Aws
) -> None:
    assert list(account.kept_data(around)) == []
    moto.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    finding = one(account.kept_data(around))
    assert finding.state == "wrong"
    assert f'bucket = "{BUCKET}" under [aws]' in str(finding.mend)
    assert one(account.kept_data(surroundings(aws, bucket=BUCKET))).state == "ok"


def test_a_bucket_that_is_named_must_be_there(around: Surroundings, aws: Aws) -> None:
    finding = one(account.kept_data(surroundings(aws, bucket="not-there")))
    assert finding.state == "wrong"
    assert finding.text == "there is no bucket not-there"


def test_a_snapshot_that_an_earlier_destroy_kept_is_mentioned(
    moto: AwsAccount, around: Surroundings, aws: Aws
) -> None:
    rds = moto.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="db",
        Engine="aurora-mysql",
        MasterUsername="master",
        MasterUserPassword="secret-enough",
    )
    name = "mlflowvpcstack-snapshot-database-abc"
    rds.create_db_cluster_snapshot(DBClusterIdentifier="db", DBClusterSnapshotIdentifier=name)
    finding = one(account.kept_data(around))
    assert finding.state == "warning"
    assert f'snapshot = "{name}" under [aws]' in str(finding.mend)
    assert list(account.kept_data(surroundings(aws, snapshot=name))) == []


def test_a_full_quota_of_vpcs_is_found_before_anything_is_made(
    moto: AwsAccount, around: Surroundings
) -> None:
    ec2 = moto.client("ec2")
    for number in range(4):  # and the default one
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    findings = {finding.text: finding for finding in account.quotas(around)}
    full = findings["5 of 5 VPCs used, 1 more is needed"]
    assert full.state == "wrong"
    assert "request-service-quota-increase" in str(full.mend)
    assert "--desired-value 6" in str(full.mend)


def test_addresses_are_counted_only_where_a_nat_gateway_wants_one(
    moto: AwsAccount, around: Surroundings, aws: Aws
) -> None:
    ec2 = moto.client("ec2")
    for _ in range(5):
        ec2.allocate_address(Domain="vpc")
    assert [finding.state for finding in account.quotas(around)] == ["ok", "wrong"]
    assert [f.state for f in account.quotas(surroundings(aws, nat="none"))] == ["ok"]


def test_without_a_domain_a_new_one_is_made(around: Surroundings) -> None:
    assert one(check_domain(around)).text == "a new domain will be made"
    assert around.existing_domain is None


def test_the_only_domain_gets_the_user(moto: AwsAccount, around: Surroundings) -> None:
    made = make_domain(moto, "team")
    assert made in one(check_domain(around)).text
    assert around.existing_domain == made
    assert around.handover({}).domain_id == made


def test_of_several_domains_none_is_taken_without_asking(
    moto: AwsAccount, around: Surroundings
) -> None:
    made = {make_domain(moto, name) for name in ("team", "others")}
    finding = one(check_domain(around))
    assert finding.state == "wrong"
    assert {choice.id for choice in around.choices} == made
    assert "export DOMAIN_ID=" in str(finding.mend)
    assert around.existing_domain is None


def test_a_domain_with_another_sign_in_cannot_take_the_user(
    moto: AwsAccount, around: Surroundings, aws: Aws
) -> None:
    made = make_domain(moto, "single-sign-on", mode="SSO")
    assert "a new domain will be made" in one(check_domain(around)).text
    finding = one(check_domain(surroundings(aws, studio_domain_id=made)))
    assert finding.state == "wrong"
    assert "InService and IAM" in finding.text


def test_a_domain_that_is_named_must_exist(aws: Aws) -> None:
    finding = one(check_domain(surroundings(aws, studio_domain_id="d-nowhere")))
    assert finding.state == "wrong"
    assert "there is no domain d-nowhere" in finding.text


def test_a_new_domain_can_go_into_the_default_vpc(moto: AwsAccount, aws: Aws) -> None:
    around = surroundings(aws, studio_network="default")
    assert [finding.state for finding in check_domain(around)] == ["ok", "ok"]
    assert str(around.default_vpc_id).startswith("vpc-")
    assert len(around.default_vpc_subnets) == 4
    assert around.handover({}).default_vpc_subnets == around.default_vpc_subnets


def test_node_and_builder_are_told_with_what_brings_them(
    around: Surroundings, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.aws.node._wheel", lambda: None)
    node = one(machine.node(around))
    assert (node.state, node.text) == ("wrong", "Node, which the CDK runs on, is not installed.")
    builder = one(machine.image_builder(around))
    assert (builder.state, builder.about) == ("wrong", "builder")
    assert "apt-get install buildah" in str(builder.mend)


def test_building_for_other_processors_needs_an_emulator(
    aws: Aws, programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs.add("docker")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(machine, "_EMULATOR", tmp_path)
    finding = one(machine.image_builder(surroundings(aws)))
    assert finding.state == "warning"
    assert 'architecture = "x86_64"' in str(finding.mend)
    assert one(machine.image_builder(surroundings(aws, architecture="x86_64"))).state == "ok"
    (tmp_path / "qemu-aarch64").touch()
    assert one(machine.image_builder(surroundings(aws))).state == "ok"


def test_a_full_disk_is_found(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e9))
    assert one(machine.disk(around)).state == "wrong"
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9e9))
    assert one(machine.disk(around)).state == "warning"


def test_deploy_stops_at_what_is_wrong_and_changes_nothing(
    moto: AwsAccount, run: Run, programs: Programs
) -> None:
    result = run("aws", "deploy", "--yes")
    assert result.code == 1
    assert "One thing is in the way; nothing was changed." in result.err
    assert "apt-get install buildah" in result.err
    assert moto.client("cloudformation").describe_stacks()["Stacks"] == []


def test_the_check_of_domains_is_left_out_with_the_stack(aws: Aws) -> None:
    around = surroundings(aws)
    around.stacks = (names.VPC_STACK,)
    assert list(check_domain(around)) == []
