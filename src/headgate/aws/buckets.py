"""Buckets with versions: emptied whole, then deleted. Start at `delete_bucket`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from headgate.aws.session import Aws, AwsError, error_code


def bucket_exists(aws: Aws, name: str) -> bool:
    """Whether the bucket is there and ours to look at."""
    s3 = aws.client("s3")
    try:
        s3.head_bucket(Bucket=name)
    except s3.exceptions.ClientError as error:
        if error_code(error) in ("404", "NoSuchBucket"):
            return False
        raise
    return True


def delete_bucket(aws: Aws, name: str, *, tell: Callable[[str], None]) -> None:
    """Delete a bucket with every object, every version and every unfinished upload."""
    if not bucket_exists(aws, name):
        return
    empty_bucket(aws, name, tell=tell)
    aws.client("s3").delete_bucket(Bucket=name)
    tell(f"Bucket {name}: deleted")


def empty_bucket(aws: Aws, name: str, *, tell: Callable[[str], None]) -> None:
    """Delete everything in a bucket. Raises `AwsError` if something may not be deleted."""
    s3 = aws.client("s3")
    deleted = 0
    for batch in _versions(aws, name):
        answer = s3.delete_objects(Bucket=name, Delete={"Objects": batch, "Quiet": True})
        refused = answer.get("Errors", [])
        if refused:
            first = refused[0]
            raise AwsError(
                f"{len(refused)} objects of {name} could not be deleted, the first of them "
                f"{first.get('Key')!r}: {first.get('Message')}."
            )
        deleted += len(batch)
        tell(f"Bucket {name}: {deleted} objects and versions deleted")
    for page in aws.pages("s3", "list_multipart_uploads", Bucket=name):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])


def _versions(aws: Aws, name: str) -> Iterator[list[dict[str, Any]]]:
    """Batches of at most 1,000, as many as one call may delete and one page has."""
    for page in aws.pages("s3", "list_object_versions", Bucket=name):
        batch = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if batch:
            yield batch
