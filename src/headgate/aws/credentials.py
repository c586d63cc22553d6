"""The administrator's name and password: read from the secret, and changed there.

Start at `read_credentials` and `rotate`.
"""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from headgate.aws import names
from headgate.aws.deployment import Deployment
from headgate.aws.session import Aws, AwsError

# No punctuation: notebooks paste it into shells and URLs. 190 bits.
ALPHABET = string.ascii_letters + string.digits
LENGTH = 32


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs in first; the password shows in no repr."""

    username: str
    password: str = field(repr=False)


def read_credentials(aws: Aws) -> Credentials:
    """What the stack's secret holds now."""
    content = _content(aws, _secret(aws))
    return Credentials(content["username"], content["password"])


def rotate(aws: Aws) -> Credentials:
    """Put a new password into the secret. The tasks notice, and take the old one for a while."""
    secret = _secret(aws)
    content = _content(aws, secret)
    content["password"] = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    aws.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(content))
    return Credentials(content["username"], content["password"])


def _secret(aws: Aws) -> str:
    return Deployment(aws).require(names.VPC_STACK, names.CREDENTIALS_SECRET_ARN)


def _content(aws: Aws, secret: str) -> dict[str, Any]:
    text = aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or not {"username", "password"} <= content.keys():
        # Not a word of what it holds instead.
        raise AwsError(f"The secret {secret} does not hold a username and a password.")
    return content
