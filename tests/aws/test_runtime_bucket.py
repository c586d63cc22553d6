"""Where large artifacts come from, as the pages' policy and the presigned addresses have it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headgate.gateway.bucket import bucket_origins
from headgate.gateway.security_headers import SecurityHeaders
from headgate.settings import Settings
from tests.harness.server import clean_environment
from tests.unit.identity.world import knock

STORE = "s3://a-bucket/artifacts"


@pytest.mark.parametrize(
    ("environment", "origins"),
    [
        (
            {"AWS_DEFAULT_REGION": "eu-central-1"},
            ["https://a-bucket.s3.eu-central-1.amazonaws.com"],
        ),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, ["https://a-bucket.s3.cn-north-1.amazonaws.com.cn"]),
        ({}, ["https://a-bucket.s3.amazonaws.com"]),
        (
            {"AWS_ENDPOINT_URL": "http://localhost:9000"},
            ["http://localhost:9000", "http://a-bucket.localhost:9000"],
        ),
    ],
)
def test_the_origins_are_the_regions_own(environment: dict[str, str], origins: list[str]) -> None:
    assert bucket_origins(STORE, environment) == origins


def test_a_folder_has_no_origin() -> None:
    assert bucket_origins("/var/artifacts", dict(os.environ)) == []


def test_boto3_signs_for_the_origin_that_the_policy_allows() -> None:
    code = """
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
client = S3ArtifactRepository("s3://a-bucket/artifacts")._get_s3_client()
print(client.generate_presigned_url("get_object", Params={"Bucket": "a-bucket", "Key": "k"}))
"""
    environment = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "an-example-of-a-key",
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    [origin] = bucket_origins(STORE, environment)
    assert done.stdout.startswith(f"{origin}/k?")


def test_the_policy_names_the_bucket_where_pages_fetch_from_and_nowhere_else() -> None:
    origin = "https://a-bucket.s3.eu-central-1.amazonaws.com"
    request, _ = knock(path="/")
    headers = SecurityHeaders.of(Settings(), [origin]).complete(request, [])
    policy = dict(headers)[b"content-security-policy"].decode()
    naming = [part.split()[0] for part in policy.split("; ") if origin in part]
    assert naming == ["img-src", "media-src", "connect-src"]
    plain = SecurityHeaders.of(Settings()).complete(request, [])
    assert dict(plain)[b"content-security-policy"].decode() == policy.replace(f" {origin}", "")
