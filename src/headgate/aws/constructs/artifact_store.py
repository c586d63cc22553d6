"""The bucket of the artifacts, and the one that keeps access logs. Start at `ArtifactStore`."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge, acknowledge_wildcards
from headgate.aws.names import bucket as bucket_name

_UNFINISHED_DAYS = 7


class AccessLogs(Construct):
    """A bucket that load balancers and other buckets write their access logs to.

    It has a name of AWS's choice and outlives its stack, as CloudFormation deletes no bucket
    that holds something; `headgate aws destroy --delete-data` does. Keys are S3's, as load
    balancers cannot write with others.
    """

    def __init__(self, scope: Construct, id_: str, *, days: int) -> None:
        super().__init__(scope, id_)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(id="forget", expiration=Duration.days(days))],
            removal_policy=RemovalPolicy.RETAIN,
        )
        acknowledge(self.bucket, "S1", "Accesses to the access logs: logging them never ends.")


class ArtifactStore(Construct):
    """Artifacts: encrypted, by TLS only, never public, versioned, kept when the stack goes.

    Keys are KMS's, so presigned addresses must be signed by version 4 of AWS's signatures.
    `existing` names a bucket made before, which is used as it is. `origins` are the pages that
    may fetch with presigned addresses.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        existing: str | None,
        origins: Sequence[str],
        old_version_days: int,
        access_logs: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        self._name = existing or bucket_name(Aws.ACCOUNT_ID, Stack.of(self).region)
        self.bucket: s3.IBucket
        if existing is not None:
            self.bucket = s3.Bucket.from_bucket_name(self, "Existing", existing)
            return
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=self._name,
            encryption=s3.BucketEncryption.KMS_MANAGED,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="artifacts/",
            cors=[
                s3.CorsRule(
                    allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.HEAD, s3.HttpMethods.PUT],
                    allowed_origins=list(origins),
                    allowed_headers=["*"],
                    exposed_headers=["ETag", "Content-Length", "Content-Disposition"],
                    max_age=3600,
                )
            ],
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=Duration.days(old_version_days),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(
                    id="unfinished-uploads",
                    abort_incomplete_multipart_upload_after=Duration.days(_UNFINISHED_DAYS),
                ),
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )

    @property
    def bucket_name(self) -> str:
        """The bucket's name, without a reference to it: for other stacks."""
        return self._name

    @property
    def address(self) -> str:
        """Where MLflow puts artifacts."""
        return f"s3://{self.bucket.bucket_name}/artifacts"

    def grant_access(self, role: iam.IRole) -> None:
        """Let a role read, write and list artifacts, and nothing else of the bucket."""
        role.add_to_principal_policy(
            iam.PolicyStatement(
                sid="ListArtifacts",
                actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                resources=[self.bucket.bucket_arn],
            )
        )
        objects = self.bucket.arn_for_objects("*")
        role.add_to_principal_policy(
            iam.PolicyStatement(
                sid="ReadAndWriteArtifacts",
                actions=[
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                resources=[objects],
            )
        )
        acknowledge_wildcards(
            role, [objects], "Any object of the artifact bucket: old runs have theirs at its root."
        )
