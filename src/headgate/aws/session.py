"""Talking to AWS: clients of one region, and what goes wrong with them in one sentence.

boto3 is imported here and nowhere else in `aws`. It reads the usual places: profiles, SSO,
`AWS_*` variables, `AWS_ENDPOINT_URL` among them. Start at `Aws`; wrap calls in `explained`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headgate import __version__
from headgate.errors import HeadgateError


class AwsError(HeadgateError):
    """AWS cannot be reached, refused us, or holds something else than we expect."""


class Aws:
    """Clients of one region and profile, made when they are first asked for."""

    def __init__(self, region: str, profile: str | None = None) -> None:
        self.region = region
        self.profile = profile
        self._clients: dict[str, Any] = {}
        self._session: Any = None

    @property
    def session(self) -> Any:
        """The boto3 session."""
        if self._session is None:
            boto3 = _boto3()
            self._session = boto3.Session(profile_name=self.profile, region_name=self.region)
        return self._session

    def client(self, service: str) -> Any:
        """The client of a service in our region."""
        if service not in self._clients:
            from botocore.config import Config

            self._clients[service] = self.session.client(
                service,
                config=Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    connect_timeout=10,
                    user_agent_extra=f"headgate/{__version__}",
                ),
            )
        return self._clients[service]

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Any]:
        """Every page of a listing."""
        yield from self.client(service).get_paginator(operation).paginate(**arguments)

    def environment(self) -> dict[str, str]:
        """Variables that make another program, such as `cdk`, mean the same region and profile."""
        # boto3 ignores AWS_REGION, the CDK reads it first.
        known = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        if self.profile:
            known["AWS_PROFILE"] = self.profile
        return known


def _boto3() -> Any:
    try:
        import boto3
    except ImportError:
        raise AwsError(
            "boto3 is not installed, so AWS cannot be asked.",
            hint="pip install 'headgate[aws]'",
        ) from None
    return boto3


def error_code(error: Exception) -> str:
    """The code of an error that AWS answered with; empty for any other error."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def error_message(error: Exception) -> str:
    """The words of an error that AWS answered with."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Message", "")) or str(error)


@contextmanager
def explained(aws: Aws | None = None) -> Iterator[None]:
    """Turn what botocore raises inside into an `AwsError` that says how to mend it."""
    _boto3()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _answered(error, aws) from None
    except BotoCoreError as error:
        raise _not_asked(error, aws) from None


_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}
)
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDeniedError"}
)


def _answered(error: Exception, aws: Aws | None) -> AwsError:
    """What AWS said no with."""
    code, message = error_code(error), error_message(error).rstrip(".")
    operation = getattr(error, "operation_name", "the call")
    if code in _EXPIRED:
        return AwsError("The AWS credentials have expired.", hint=_sign_in(aws))
    if code in _UNKNOWN_KEY:
        return AwsError(
            "AWS does not know these credentials, or not in this region.", hint=_sign_in(aws)
        )
    if code in _WRONG_SECRET:
        return AwsError(
            "AWS does not accept the signature: the secret key is wrong, or this machine's clock.",
            hint="aws configure",
        )
    if code in _FORBIDDEN:
        return AwsError(
            f"AWS does not allow {operation}: {message}.",
            hint="Use credentials that may, or ask who looks after the account. "
            "Who you are: aws sts get-caller-identity",
        )
    return AwsError(f"AWS refused {operation}: {message} ({code}).")


def _not_asked(error: Exception, aws: Aws | None) -> AwsError:
    """What kept us from asking AWS at all."""
    kind = type(error).__name__
    if kind == "ProfileNotFound":
        name = (aws.profile if aws else None) or os.environ.get("AWS_PROFILE", "")
        return AwsError(
            f"There is no AWS profile {name!r}.", hint="aws configure list-profiles shows which."
        )
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return AwsError("No AWS credentials were found.", hint=_sign_in(aws))
    if "Token" in kind or "SSO" in kind:
        return AwsError("The sign-in to AWS has expired.", hint=_sign_in(aws))
    if kind in ("EndpointConnectionError", "ConnectTimeoutError", "InvalidRegionError"):
        region = aws.region if aws else "the region"
        return AwsError(
            f"AWS does not answer in {region}: {error}".rstrip(".") + ".",
            hint="Check the network, and that the region exists: "
            "aws ec2 describe-regions --region us-east-1 --query 'Regions[].RegionName'",
        )
    return AwsError(f"AWS could not be asked: {error}".rstrip(".") + ".")


def _sign_in(aws: Aws | None) -> str:
    profile = aws.profile if aws and aws.profile else os.environ.get("AWS_PROFILE")
    if profile:
        return f"aws sso login --profile {profile}   (or: aws configure --profile {profile})"
    return "aws configure   (or: aws sso login --profile NAME, and export AWS_PROFILE=NAME)"
