"""Bucket, secrets, database: how they are kept, who gets in, what happens when they go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.aws.stacks.templates import Templates, synthesize


@pytest.fixture
def bucket(default: Templates) -> dict[str, Any]:
    return default.of_type("AWS::S3::Bucket")["ArtifactStore/Bucket"]


def cluster(templates: Templates) -> dict[str, Any]:
    return templates.only("AWS::RDS::DBCluster")


def test_artifacts_are_encrypted_versioned_and_never_public(bucket: dict[str, Any]) -> None:
    assert bucket["BucketName"] == "mlflow-<AWS::AccountId>-us-west-2"
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == "<AccessLogs/Bucket>"


def test_both_buckets_take_nothing_without_tls(default: Templates) -> None:
    policies = default.of_type("AWS::S3::BucketPolicy")
    assert set(policies) == {"ArtifactStore/Bucket/Policy", "AccessLogs/Bucket/Policy"}
    for policy in policies.values():
        denied = [
            statement["Condition"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny"
        ]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


def test_pages_of_the_server_and_no_others_may_fetch_with_presigned_addresses(
    bucket: dict[str, Any], everything: Templates
) -> None:
    (rule,) = bucket["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["GET", "HEAD", "PUT"]
    assert rule["AllowedOrigins"] == ["https://*.execute-api.us-west-2.<AWS::URLSuffix>"]
    named = everything.of_type("AWS::S3::Bucket")["ArtifactStore/Bucket"]
    assert named["CorsConfiguration"]["CorsRules"][0]["AllowedOrigins"] == [
        "https://mlflow.example.com"
    ]


def test_old_versions_and_unfinished_uploads_do_not_pile_up() -> None:
    bucket = synthesize(old_version_days=9).of_type("AWS::S3::Bucket")["ArtifactStore/Bucket"]
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {
        "DaysAfterInitiation": 7
    }
    assert all("ExpirationInDays" not in rule for rule in rules.values())


def test_data_outlives_the_stacks(default: Templates) -> None:
    found = {path: resource for _, path, resource in default.resources()}
    for path in ("ArtifactStore/Bucket", "AccessLogs/Bucket"):
        assert found[path]["DeletionPolicy"] == found[path]["UpdateReplacePolicy"] == "Retain"
    database = found["BackendStore/mlflowService-cluster"]
    assert database["DeletionPolicy"] == database["UpdateReplacePolicy"] == "Snapshot"


def test_a_bucket_that_was_kept_is_used_again_and_left_as_it_is(public: Templates) -> None:
    assert list(public.of_type("AWS::S3::Bucket")) == ["AccessLogs/Bucket"]
    assert public.vpc["Outputs"]["ArtifactBucketName"]["Value"] == "mlflow-123456789012-us-west-2"


def test_secrets_are_made_by_secrets_manager(default: Templates) -> None:
    made = {
        found["Name"]: found["GenerateSecretString"]
        for found in default.of_type("AWS::SecretsManager::Secret").values()
    }
    assert set(made) == {"mlflow-server-credentials", "mlflow-database-user", "mlflow-server-key"}
    admin = made["mlflow-server-credentials"]
    assert json.loads(admin["SecretStringTemplate"]) == {"username": "admin"}
    assert admin["GenerateStringKey"] == "password"
    assert all(each["ExcludePunctuation"] for each in made.values())
    assert all(each["PasswordLength"] >= 32 for each in made.values())


def test_rds_makes_and_rotates_the_masters_secret(default: Templates) -> None:
    database = cluster(default)
    assert database["ManageMasterUserPassword"] is True
    assert database["MasterUsername"] == "master"
    assert "MasterUserPassword" not in database
    assert default.vpc["Outputs"]["DatabaseSecretArn"]["Value"] == (
        "<BackendStore/mlflowService-cluster.MasterUserSecret.SecretArn>"
    )


def test_the_database_pauses_after_an_hour_without_connections(default: Templates) -> None:
    database = cluster(default)
    assert database["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": 0,
        "MaxCapacity": 4,
        "SecondsUntilAutoPause": 3600,
    }
    assert default.only("AWS::RDS::DBInstance")["DBInstanceClass"] == "db.serverless"
    assert database["DatabaseName"] == "mlflowdb"


def test_capacities_and_pause_are_settings() -> None:
    database = cluster(synthesize(min_capacity=0, max_capacity=16, pause_seconds=300))
    assert database["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 16
    assert database["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"] == 300
    awake = cluster(synthesize(min_capacity=0.5))
    assert awake["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 4}


@pytest.mark.parametrize(
    ("engine", "name", "port", "parameters"),
    [
        ("mysql", "aurora-mysql", 3306, {"require_secure_transport": "ON"}),
        ("postgresql", "aurora-postgresql", 5432, {"rds.force_ssl": "1"}),
    ],
)
def test_either_engine_pauses_and_takes_only_tls(
    engine: str, name: str, port: int, parameters: dict[str, str]
) -> None:
    templates = synthesize(engine=engine)
    database = cluster(templates)
    assert database["Engine"] == name
    assert database["Port"] == port
    assert database["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 0
    assert templates.only("AWS::RDS::DBClusterParameterGroup")["Parameters"] == parameters


def test_the_database_is_encrypted_backed_up_and_protected(default: Templates) -> None:
    database = cluster(default)
    assert database["StorageEncrypted"] is True
    assert database["BackupRetentionPeriod"] == 7
    assert database["DeletionProtection"] is True
    assert default.only("AWS::RDS::DBInstance").get("PubliclyAccessible") is not True


def test_protection_and_backups_are_settings() -> None:
    database = cluster(synthesize(deletion_protection=False, backup_days=35))
    assert (database["DeletionProtection"], database["BackupRetentionPeriod"]) == (False, 35)


def test_the_database_is_in_isolated_subnets(default: Templates) -> None:
    subnets = default.only("AWS::RDS::DBSubnetGroup")["SubnetIds"]
    assert [subnet.split("/")[-2] for subnet in subnets] == ["isolatedSubnet1", "isolatedSubnet2"]


def test_a_snapshot_brings_its_own_name_and_master(public: Templates) -> None:
    database = cluster(public)
    assert database["SnapshotIdentifier"] == "mlflow-before-upgrade"
    # CloudFormation refuses both beside a snapshot.
    assert "MasterUsername" not in database
    assert "DatabaseName" not in database
    assert database["ManageMasterUserPassword"] is True
