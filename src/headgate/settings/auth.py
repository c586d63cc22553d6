"""Who may come in, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator


class AuthSettings(BaseModel):
    """Users, sessions and what is forgotten when."""

    admin_username: str = Field("admin", description="The user that the first start makes.")
    admin_password: SecretStr | None = Field(
        None,
        description="Password of that user, at least 12 characters. Default: a random one, kept "
        "in the data folder.",
    )
    default_permission: Literal["READ", "USE", "EDIT", "MANAGE", "NO_PERMISSIONS"] = Field(
        "READ", description="What a user may do to what others made (MLflow's own setting)."
    )
    secret_key_file: Path | None = Field(
        None,
        description="File of the key that signs sessions; several servers of one team share it. "
        "Default: secret.key in the data folder.",
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
