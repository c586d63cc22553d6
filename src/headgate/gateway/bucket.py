"""Where a browser is sent for a large artifact: the origins of the bucket, for the UI's policy."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_ENDPOINTS = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def bucket_origins(destination: str, environment: Mapping[str, str]) -> list[str]:
    """The origins that presigned addresses of a store at `destination` have; none for a folder.

    boto3 signs for the region's own host, with the bucket in its name (virtual addressing).
    """
    if not destination.startswith("s3://"):
        return []
    bucket = urlsplit(destination).netloc
    endpoint = next((environment[name] for name in _ENDPOINTS if environment.get(name)), None)
    if endpoint is not None:
        parts = urlsplit(endpoint)
        return [f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{bucket}.{parts.netloc}"]
    region = environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION")
    if not region:
        return [f"https://{bucket}.s3.amazonaws.com"]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return [f"https://{bucket}.s3.{region}.{suffix}"]
