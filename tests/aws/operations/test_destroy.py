"""`headgate aws destroy`: what goes, in which order, and what stays.

Buckets, stacks, snapshots, repositories and security groups are moto's; Studio's apps, spaces
and users are answered by botocore's Stubber, as moto has none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from headgate.aws import names, studio
from headgate.aws.buckets import delete_bucket
from headgate.aws.destroy import carry_out, delete_stack, left, plan
from headgate.aws.session import Aws, AwsError
from headgate.aws.waiting import Patience
from tests.aws.operations.conftest import Run
from tests.aws.operations.deployed import BUCKET, LOG_GROUP, deploy, deploy_all, stacks
from tests.harness.aws_account import REGION, AwsAccount

DOMAIN = "d-abc123"
APP = {"DomainId": DOMAIN, "AppType": "JupyterLab", "AppName": "default", "SpaceName": "mine"}
NOT_FOUND = {"service_error_code": "ResourceNotFound"}


class Watch:
    """Hears what is told, and how long would have been slept."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.slept: list[float] = []
        self.patience = Patience(every=10, at_most=3600, sleep=self.slept.append)

    def heard(self, text: str) -> bool:
        return any(text in line for line in self.told)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def sagemaker(aws: Aws) -> Iterator[Stubber]:
    """The service in the order of its answers; a call that nobody expected fails."""
    client = boto3.client(
        "sagemaker", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    aws._clients["sagemaker"] = client
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def apps(stubber: Stubber, *found: dict[str, Any]) -> None:
    stubber.add_response("list_apps", {"Apps": list(found)}, {"DomainIdEquals": DOMAIN})


def spaces(stubber: Stubber, *found: tuple[str, str]) -> None:
    listed = [
        {"SpaceName": name, "OwnershipSettingsSummary": {"OwnerUserProfileName": owner}}
        for name, owner in found
    ]
    stubber.add_response("list_spaces", {"Spaces": listed}, {"DomainIdEquals": DOMAIN})


def users(stubber: Stubber, *found: str) -> None:
    listed = [{"UserProfileName": name} for name in found]
    stubber.add_response("list_user_profiles", {"UserProfiles": listed}, {"DomainIdEquals": DOMAIN})


def described(stubber: Stubber) -> None:
    answer = {"DomainName": "ours", "Status": "InService", "AuthMode": "IAM"}
    stubber.add_response("describe_domain", answer, {"DomainId": DOMAIN})


def delete_app(stubber: Stubber) -> None:
    stubber.add_response("delete_app", {}, APP)


def test_a_domain_goes_from_the_inside_out(aws: Aws, sagemaker: Stubber, watch: Watch) -> None:
    described(sagemaker)
    apps(sagemaker, {**APP, "Status": "InService"})
    delete_app(sagemaker)
    apps(sagemaker, {**APP, "Status": "Deleting"})
    apps(sagemaker, {**APP, "Status": "Deleted"})
    spaces(sagemaker, ("mine", "mlflow-user"))
    sagemaker.add_response("delete_space", {}, {"DomainId": DOMAIN, "SpaceName": "mine"})
    spaces(sagemaker)
    users(sagemaker, "mlflow-user", "carol")
    for user in ("mlflow-user", "carol"):
        arguments = {"DomainId": DOMAIN, "UserProfileName": user}
        sagemaker.add_response("delete_user_profile", {}, arguments)
    users(sagemaker, "carol")
    users(sagemaker)
    sagemaker.add_response(
        "delete_domain",
        {},
        {"DomainId": DOMAIN, "RetentionPolicy": {"HomeEfsFileSystem": "Delete"}},
    )
    described(sagemaker)
    sagemaker.add_client_error("describe_domain", **NOT_FOUND)
    studio.remove_domain(aws, DOMAIN, tell=watch.told.append, patience=watch.patience)
    assert watch.heard("Studio app JupyterLab default of mine: deleting")
    assert watch.heard("1 still there; one can take 20 minutes")
    assert watch.slept == [10, 10, 10, 10]


def test_only_our_user_leaves_a_domain_of_others(
    aws: Aws, sagemaker: Stubber, watch: Watch
) -> None:
    foreign = {**APP, "SpaceName": "theirs", "Status": "InService"}
    spaces(sagemaker, ("mine", "mlflow-user"), ("theirs", "carol"))
    apps(sagemaker, foreign, {**APP, "Status": "InService"})
    delete_app(sagemaker)
    apps(sagemaker, foreign)
    sagemaker.add_response("delete_space", {}, {"DomainId": DOMAIN, "SpaceName": "mine"})
    spaces(sagemaker, ("theirs", "carol"))
    arguments = {"DomainId": DOMAIN, "UserProfileName": "mlflow-user"}
    sagemaker.add_response("delete_user_profile", {}, arguments)
    users(sagemaker, "carol")
    studio.remove_user(aws, DOMAIN, "mlflow-user", tell=watch.told.append, patience=watch.patience)


def test_what_is_gone_already_is_no_fault(aws: Aws, sagemaker: Stubber, watch: Watch) -> None:
    sagemaker.add_client_error("describe_domain", **NOT_FOUND)
    studio.remove_domain(aws, DOMAIN, tell=watch.told.append, patience=watch.patience)
    assert watch.heard("is not there any more")


def test_an_app_that_never_goes_ends_the_waiting_with_a_sentence(
    aws: Aws, sagemaker: Stubber
) -> None:
    spaces(sagemaker, ("mine", "mlflow-user"))
    for _ in range(3):
        apps(sagemaker, {**APP, "Status": "Deleting"})
    patience = Patience(every=60, at_most=120, sleep=lambda seconds: None)
    with pytest.raises(AwsError, match="not done after 2 minutes") as error:
        studio.remove_user(aws, DOMAIN, "mlflow-user", tell=lambda text: None, patience=patience)
    assert "goes on where this one stopped" in str(error.value.hint)


def test_studios_security_groups_go_though_they_name_each_other(
    moto: AwsAccount, aws: Aws, watch: Watch
) -> None:
    ec2 = moto.client("ec2")
    ids = {}
    for way in ("inbound", "outbound"):
        name = f"security-group-for-{way}-nfs-{DOMAIN}"
        ids[way] = ec2.create_security_group(GroupName=name, Description="EFS")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049}
    ec2.authorize_security_group_ingress(
        GroupId=ids["inbound"],
        IpPermissions=[{**rule, "UserIdGroupPairs": [{"GroupId": ids["outbound"]}]}],
    )
    ec2.authorize_security_group_egress(
        GroupId=ids["outbound"],
        IpPermissions=[{**rule, "UserIdGroupPairs": [{"GroupId": ids["inbound"]}]}],
    )
    studio._remove_security_groups(aws, DOMAIN, tell=watch.told.append)
    left_over = {group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]}
    assert not left_over & set(ids.values())


def fill(moto: AwsAccount) -> None:
    s3 = moto.client("s3")
    # moto's CloudFormation leaves it off.
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket=BUCKET, Key="model.pkl", Body=b"x" * number)
    s3.delete_object(Bucket=BUCKET, Key="model.pkl")
    s3.put_object(Bucket=BUCKET, Key="data.csv", Body=b"a,b")
    s3.create_multipart_upload(Bucket=BUCKET, Key="half")


def test_a_bucket_with_versions_is_emptied_whole(moto: AwsAccount, aws: Aws, watch: Watch) -> None:
    deploy_all(moto)
    fill(moto)
    delete_bucket(aws, BUCKET, tell=watch.told.append)
    assert moto.client("s3").list_buckets()["Buckets"] == []
    assert watch.heard("5 objects and versions deleted")
    delete_bucket(aws, BUCKET, tell=watch.told.append)  # again, after an interruption


def test_destroy_keeps_the_data(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    fill(moto)
    moto.client("ecr").create_repository(repositoryName=names.repository("nginx"))
    result = run("aws", "destroy", "--yes")
    assert result.code == 0, result.err
    assert stacks(moto) == set()
    assert [bucket["Name"] for bucket in moto.client("s3").list_buckets()["Buckets"]] == [BUCKET]
    assert f"kept: bucket {BUCKET}" in result.err
    assert f"and keeps:\n  bucket {BUCKET}\n" in result.err
    assert moto.client("ecr").describe_repositories()["repositories"] == []
    deleted = [line for line in result.err.splitlines() if line.endswith(": deleted")]
    assert deleted[:2] == [
        "Stack HttpGatewayStack: deleted",
        "Stack MLflowVpcStack: deleted",
    ]


def test_what_goes_with_its_stack_is_not_said_to_stay(moto: AwsAccount, aws: Aws) -> None:
    resources = {
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "Gone": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"},
    }
    deploy(moto, names.VPC_STACK, resources, {})
    found = plan(aws)
    assert len(found.buckets) == 1
    assert "kept" in found.buckets[0].lower()


def test_deleting_data_needs_the_stacks_name(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    fill(moto)
    refused = run("aws", "destroy", "--delete-data", "--yes", typed="yes\n")
    assert refused.code == 1
    assert "Nothing was deleted." in refused.err
    assert stacks(moto) == {names.VPC_STACK, names.GATEWAY_STACK}
    done = run("aws", "destroy", "--delete-data", "--yes", typed="MLflowVpcStack\n")
    assert done.code == 0, done.err
    assert "Type MLflowVpcStack to delete it" in done.err
    assert moto.client("s3").list_buckets()["Buckets"] == []
    groups = moto.client("logs").describe_log_groups()["logGroups"]
    assert LOG_GROUP not in [group["logGroupName"] for group in groups]
    assert "kept:" not in done.err


def test_without_a_terminal_and_a_yes_nothing_is_deleted(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    result = run("aws", "destroy", typed="y\n")
    assert result.code == 1
    assert "Say yes with --yes." in result.err
    assert stacks(moto) == {names.VPC_STACK, names.GATEWAY_STACK}


def test_a_stack_that_others_stand_on_does_not_go_alone(moto: AwsAccount, run: Run) -> None:
    deploy_all(moto)
    result = run("aws", "destroy", "--stack", "MLflowVpcStack", "--yes")
    assert result.code == 1
    assert "HttpGatewayStack cannot do without MLflowVpcStack." in result.err
    assert "--stack MLflowVpcStack --stack HttpGatewayStack" in result.err
    alone = run("aws", "destroy", "--stack", "HttpGatewayStack", "--yes")
    assert alone.code == 0
    assert stacks(moto) == {names.VPC_STACK}
    assert "image repositories" not in alone.err


def test_without_stacks_there_is_nothing_to_destroy(moto: AwsAccount, run: Run) -> None:
    result = run("aws", "destroy", "--yes")
    assert result.code == 1
    assert "There is no stack of Headgate in us-west-2." in result.err


def test_the_plan_says_which_domain_is_ours(moto: AwsAccount, aws: Aws, sagemaker: Stubber) -> None:
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    outputs = {names.STUDIO_DOMAIN: DOMAIN, names.STUDIO_USER_PROFILE: "mlflow-user"}
    deploy(moto, names.STUDIO_STACK, topic, outputs)
    found = plan(aws)
    assert (found.domain_id, found.own_domain, found.user) == (DOMAIN, False, "mlflow-user")
    assert any("Studio user mlflow-user of d-abc123" in line for line in found.deletes())


def test_a_protected_database_is_unprotected_and_its_snapshots_are_told(
    moto: AwsAccount, aws: Aws, watch: Watch
) -> None:
    deploy_all(moto)
    rds = moto.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="ours",
        Engine="aurora-mysql",
        MasterUsername="master",
        MasterUserPassword="secret-enough",
        DeletionProtection=True,
    )
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="ours", DBClusterSnapshotIdentifier="the-last"
    )
    found = dataclasses.replace(plan(aws), database="ours")
    carry_out(aws, found, delete_data=False, tell=watch.told.append, patience=watch.patience)
    assert watch.heard("taking its deletion protection off")
    assert rds.describe_db_clusters()["DBClusters"][0]["DeletionProtection"] is False
    assert "database snapshot the-last" in left(aws, found)
    again = dataclasses.replace(found, stacks=())
    carry_out(aws, again, delete_data=True, tell=watch.told.append, patience=watch.patience)
    assert left(aws, found) == []


STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/MLflowVpcStack/1"


@pytest.fixture
def cloudformation(aws: Aws) -> Iterator[Stubber]:
    client = boto3.client(
        "cloudformation", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    aws._clients["cloudformation"] = client
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def stack(stubber: Stubber, status: str) -> None:
    found = {
        "StackName": names.VPC_STACK,
        "StackId": STACK_ID,
        "StackStatus": status,
        "CreationTime": "2026-11-25T00:00:00Z",
    }
    stubber.add_response("describe_stacks", {"Stacks": [found]})


def events(stubber: Stubber, *found: tuple[str, str, str]) -> None:
    """Kind of resource, its state, the reason; the newest first, as CloudFormation tells them."""
    listed = [
        {
            "StackId": STACK_ID,
            "StackName": names.VPC_STACK,
            "EventId": f"{kind}-{status}",
            "LogicalResourceId": kind.rpartition(":")[2],
            "PhysicalResourceId": f"the-{kind.rpartition(':')[2].lower()}",
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": "2026-11-25T00:00:00Z",
        }
        for kind, status, reason in found
    ]
    stubber.add_response("describe_stack_events", {"StackEvents": listed})


OLD = ("AWS::EC2::VPC", "CREATE_COMPLETE", "")


def test_each_resource_is_told_once_and_old_events_are_not(
    aws: Aws, cloudformation: Stubber, watch: Watch
) -> None:
    stack(cloudformation, "CREATE_COMPLETE")
    events(cloudformation, OLD)
    cloudformation.add_response("delete_stack", {})
    going = ("AWS::EC2::VPC", "DELETE_IN_PROGRESS", "")
    events(cloudformation, going, OLD)
    stack(cloudformation, "DELETE_IN_PROGRESS")
    events(cloudformation, ("AWS::EC2::VPC", "DELETE_COMPLETE", ""), going, OLD)
    stack(cloudformation, "DELETE_COMPLETE")
    stack(cloudformation, "DELETE_COMPLETE")
    delete_stack(aws, names.VPC_STACK, tell=watch.told.append, patience=watch.patience)
    assert watch.told == [
        "Stack MLflowVpcStack: deleting",
        "MLflowVpcStack: DELETE_IN_PROGRESS VPC",
        "MLflowVpcStack: DELETE_COMPLETE VPC",
        "Stack MLflowVpcStack: deleted",
    ]
    assert watch.slept == [10]


def test_what_stands_in_the_way_of_a_stack_is_told(
    aws: Aws, cloudformation: Stubber, watch: Watch
) -> None:
    stack(cloudformation, "CREATE_COMPLETE")
    events(cloudformation, OLD)
    cloudformation.add_response("delete_stack", {})
    events(cloudformation, ("AWS::EC2::Subnet", "DELETE_FAILED", "has dependencies"), OLD)
    stack(cloudformation, "DELETE_FAILED")
    stack(cloudformation, "DELETE_FAILED")
    with pytest.raises(AwsError, match="DELETE_FAILED: Subnet: has dependencies"):
        delete_stack(aws, names.VPC_STACK, tell=watch.told.append, patience=watch.patience)


def test_a_bucket_of_logs_that_is_not_empty_is_left(
    aws: Aws, cloudformation: Stubber, watch: Watch
) -> None:
    stack(cloudformation, "CREATE_COMPLETE")
    events(cloudformation, OLD)
    cloudformation.add_response("delete_stack", {})
    failed = ("AWS::S3::Bucket", "DELETE_FAILED", "not empty")
    events(cloudformation, failed, OLD)
    stack(cloudformation, "DELETE_FAILED")
    stack(cloudformation, "DELETE_FAILED")
    cloudformation.add_response(
        "delete_stack", {}, {"StackName": STACK_ID, "RetainResources": ["Bucket"]}
    )
    events(cloudformation, failed, OLD)
    stack(cloudformation, "DELETE_COMPLETE")
    stack(cloudformation, "DELETE_COMPLETE")
    delete_stack(aws, names.VPC_STACK, tell=watch.told.append, patience=watch.patience)
    assert watch.heard("keeping the bucket the-bucket, which is not empty")


def test_studio_goes_before_the_stacks(
    moto: AwsAccount, aws: Aws, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_all(moto)
    monkeypatch.setattr(
        studio, "remove_domain", lambda aws, domain_id, *, tell, patience: tell("domain gone")
    )
    found = dataclasses.replace(plan(aws), domain_id=DOMAIN, own_domain=True)
    assert "home folders on EFS" in next(found.deletes())
    carry_out(aws, found, delete_data=False, tell=watch.told.append, patience=watch.patience)
    assert watch.told[0] == "domain gone"
