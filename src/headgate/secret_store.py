"""Secrets by name, from AWS Secrets Manager: fetched when first needed, and again when asked.

No process gets a secret handed in; it gets names, and this. boto3 is imported with the first
fetch, so that nobody pays for it who has no secret there. Everything blocks and may be called
from several threads. Start at `Secret`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import HeadgateError

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10
_ATTEMPTS = 4

Fetch = Callable[[str], "SecretValue"]


@dataclass(frozen=True, slots=True)
class SecretValue:
    """What a secret is now. `version` changes with it and says nothing about it."""

    version: str
    text: str = field(repr=False)

    def credentials(self, name: str) -> Credentials:
        """The {username, password} in it; `name` is for the complaint if it has none."""
        try:
            content = json.loads(self.text)
        except ValueError:
            content = None
        if isinstance(content, Mapping):
            username, password = content.get("username"), content.get("password")
            if isinstance(username, str) and isinstance(password, str) and username and password:
                return Credentials(username, password)
        raise SecretError(
            f'The secret {name} holds no JSON of the form {{"username": "…", "password": "…"}}.'
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name, and the password that nobody may see."""

    username: str
    password: str = field(repr=False)


class SecretError(HeadgateError):
    """A secret cannot be had; says which, never what it is."""


class Secret:
    """One secret. `fetch` is other than AWS only in tests."""

    def __init__(self, name: str, *, fetch: Fetch | None = None) -> None:
        self.name = name
        self._fetch = fetch or fetch_from_aws
        self._lock = threading.Lock()
        self._value: SecretValue | None = None
        self._asked_at = float("-inf")

    def value(self) -> SecretValue:
        """What it was when it was last fetched. Raises `SecretError`."""
        value = self._value
        return value if value is not None else self.fetched_since(float("-inf"))

    def fetched_since(self, moment: float) -> SecretValue:
        """What it is, from a fetch that began after `moment` (of `time.monotonic`).

        However many ask at once, one fetch serves them all. Raises `SecretError`.
        """
        with self._lock:
            if self._value is None or self._asked_at <= moment:
                asked_at = time.monotonic()
                self._value = self._fetch(self.name)
                self._asked_at = asked_at
            return self._value

    def credentials(self) -> Credentials:
        """The {username, password} as last fetched. Raises `SecretError`."""
        return self.value().credentials(self.name)


def region_of(name: str) -> str | None:
    """The region that a secret's ARN names; None for a plain name."""
    return name.split(":")[3] if name.startswith("arn:") else None


def fetch_from_aws(name: str) -> SecretValue:
    """AWSCURRENT of a secret, with the credentials that boto3 finds. Raises `SecretError`."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise SecretError(
            f"The secret {name} is in AWS, and boto3 is not installed.",
            hint="pip install 'headgate[aws]'",
        ) from None
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    try:
        # A session of its own: boto3's default one is not for several threads.
        client = boto3.session.Session().client(
            "secretsmanager", region_name=region_of(name), config=config
        )
        answer = client.get_secret_value(SecretId=name)
    except ClientError as fault:
        raise _refused(name, fault.response.get("Error", {})) from None
    except BotoCoreError as fault:
        raise SecretError(
            f"The secret {name} cannot be fetched: {' '.join(str(fault).split())}",
            hint="Check AWS_DEFAULT_REGION, the task's role and its way to Secrets Manager.",
        ) from None
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise SecretError(f"The secret {name} is no text.")
    return SecretValue(version=str(answer.get("VersionId", "")), text=text)


def _refused(name: str, error: Mapping[str, Any]) -> SecretError:
    hints = {
        "AccessDeniedException": "Let the task's role call secretsmanager:GetSecretValue on it.",
        "ResourceNotFoundException": "Check its name and region.",
    }
    code = str(error.get("Code", ""))
    return SecretError(
        f"The secret {name} cannot be fetched: AWS says {code}.", hint=hints.get(code)
    )
