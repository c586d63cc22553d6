"""Who may come in, and for how long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from headgate.settings.aws_names import SecretName, parse_iam_user
from headgate.settings.networks import Networks, Strings

# Lower case and without underscores, which some servers read as dashes.
_HEADER = re.compile(r"[a-z][a-z0-9-]*")
_USED_HEADERS = frozenset({"authorization", "cookie", "host", "origin", "x-request-id"})


class AuthSettings(BaseModel):
    """Users, sessions and what is forgotten when."""

    admin_username: str = Field("admin", description="The user that the first start makes.")
    admin_password: SecretStr | None = Field(
        None,
        description="Password of that user, at least 12 characters. Default: a random one, kept "
        "in the data folder.",
    )
    admin_secret: SecretName | None = Field(
        None,
        description="Secret in AWS Secrets Manager (ARN or name) with the admin's {username, "
        "password}, in place of the two settings above. A new password in it counts from its "
        "first use on.",
    )
    admin_grace_minutes: int = Field(
        10,
        ge=0,
        le=1440,
        description="How long the old password in admin_secret stays good beside a new one.",
    )
    default_permission: Literal["READ", "USE", "EDIT", "MANAGE", "NO_PERMISSIONS"] = Field(
        "READ", description="What a user may do to what others made (MLflow's own setting)."
    )
    secret_key_file: Path | None = Field(
        None,
        description="File of the key that signs sessions; several servers of one team share it. "
        "Default: secret.key in the data folder.",
    )
    secret_key_secret: SecretName | None = Field(
        None,
        description="Secret in AWS Secrets Manager (ARN or name) that is the key, in place of a "
        "file: 64 hexadecimal digits, or any 32 random characters.",
    )
    session_idle_hours: int = Field(
        12, ge=1, le=720, description="Sign a browser out after this many hours without a request."
    )
    session_max_days: int = Field(
        30, ge=1, le=365, description="Sign a browser out after this many days in any case."
    )
    credential_memory_seconds: int = Field(
        60, ge=0, le=60, description="How long a verified password need not be hashed again."
    )

    iam_users: Strings = Field(
        [],
        description="Who of AWS IAM is which user of MLflow, the first that fits: "
        "arn:aws:iam::123456789012:role/Team-*=carol. `*` and `?` are wildcards; a session of a "
        "role counts as the role. With the edge http-api only. Empty: nobody comes in by IAM.",
    )
    iam_header: str = Field(
        "x-iam-principal-arn",
        description="Header in which API Gateway says who signed a request (overwritten with "
        "$context.identity.userArn on IAM routes, removed on all others).",
    )
    iam_peers: Networks = Field(
        [],
        description="Addresses or networks from which that header is believed. Default: "
        "trusted_proxies.",
    )

    @field_validator("iam_users")
    @classmethod
    def _mappings_are_mappings(cls, mappings: list[str]) -> list[str]:
        for mapping in mappings:
            parse_iam_user(mapping)
        return mappings

    @field_validator("iam_header")
    @classmethod
    def _header_is_free(cls, name: str) -> str:
        taken = ("x-headgate-", "x-forwarded-")
        if not _HEADER.fullmatch(name) or name.startswith(taken) or name in _USED_HEADERS:
            raise ValueError("name a header of its own in lower case, such as x-iam-principal-arn")
        return name

    @field_validator("admin_username")
    @classmethod
    def _name_can_sign_in(cls, name: str) -> str:
        # HTTP Basic ends the name at the first colon.
        if not name.strip() or ":" in name or not name.isprintable():
            raise ValueError("a user name is printable text without a colon")
        return name

    @field_validator("admin_password")
    @classmethod
    def _password_is_good_enough(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value()) < 12:
            raise ValueError("a password has at least 12 characters")
        if password is not None and password.get_secret_value() == "password1234":
            raise ValueError("this one is MLflow's old default, which everybody knows")
        return password
