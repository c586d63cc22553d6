"""Names of things in AWS, as settings hold them: secrets, and who in IAM is whom in MLflow.

Pure: nothing is asked of AWS, and no AWS library is needed to read a setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

_SECRET_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+"
)
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
# The account is never a pattern: whoever owns another account names its roles as they like.
_IAM_PATTERN = re.compile(
    r"arn:(aws[a-z-]*):iam::(\d{12}):(role|user|federated-user)/([A-Za-z0-9+=,.@_/*?-]+)"
)
# As `$context.identity.userArn` has it: a role's session says the role's name without its path.
_CALLER = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>iam|sts)::(?P<account>\d{12}):"
    r"(?P<kind>user|assumed-role|federated-user)/(?P<name>[A-Za-z0-9+=,.@_/-]+)"
)


def check_secret(name: str) -> str:
    """Refuse what cannot name a secret of AWS Secrets Manager."""
    if name.startswith("arn:"):
        if not _SECRET_ARN.fullmatch(name):
            raise ValueError("not the ARN of a secret (arn:aws:secretsmanager:…:secret:…)")
    elif not _SECRET_NAME.fullmatch(name):
        raise ValueError("neither the ARN nor the name of a secret")
    return name


SecretName = Annotated[str, AfterValidator(check_secret)]


@dataclass(frozen=True, slots=True)
class IamUser:
    """Whom of IAM one setting lets in, and as which user of MLflow."""

    pattern: str
    username: str

    def matches(self, principal: str) -> bool:
        """Whether a principal, as `principal_of` writes it, is meant."""
        return _as_expression(self.pattern).fullmatch(principal) is not None


def parse_iam_user(text: str) -> IamUser:
    """One mapping, `pattern=user`. Raises ValueError in words for the person who wrote it."""
    # A role's name may hold equals signs, so the last one counts.
    pattern, equals, username = text.rpartition("=")
    found = _IAM_PATTERN.fullmatch(pattern)
    if not equals or found is None:
        raise ValueError(
            f"{text!r} is no mapping; write it like arn:aws:iam::123456789012:role/Team-*=carol, "
            "with the account in full"
        )
    if not username.strip() or ":" in username or not username.isprintable():
        raise ValueError(f"{text!r} names no user of MLflow behind its last '='")
    partition, account, kind, name = found.groups()
    return IamUser(f"arn:{partition}:iam::{account}:{kind}/{_last(kind, name)}", username)


def principal_of(caller: str) -> str | None:
    """Who a caller's ARN is, in the one spelling that patterns are compared with.

    A session of a role is the role: its own name is whatever the caller chose. Paths of roles
    do not count, as AWS does not say them; None for what is nobody (the account's root too).
    """
    found = _CALLER.fullmatch(caller)
    if found is None:
        return None
    kind, name = found["kind"], found["name"]
    service = {"user": "iam", "assumed-role": "sts", "federated-user": "sts"}[kind]
    if found["service"] != service or name.endswith("/"):
        return None
    if kind == "assumed-role":
        role, slash, session = name.partition("/")
        if not role or not slash or "/" in session:
            return None
        kind, name = "role", role
    return f"arn:{found['partition']}:iam::{found['account']}:{kind}/{_last(kind, name)}"


def _last(kind: str, name: str) -> str:
    return name.rpartition("/")[2] if kind == "role" else name


def _as_expression(pattern: str) -> re.Pattern[str]:
    """`*` stands for any characters, `?` for one, and neither for a slash."""
    parts = (
        "[^/]*" if character == "*" else "[^/]" if character == "?" else re.escape(character)
        for character in pattern
    )
    return re.compile("".join(parts))
