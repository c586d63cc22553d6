"""Reads the `[aws]` table: flags over headgate.toml over AWS's own variables over defaults.

All faults are gathered and raised together as one `SettingsError`. The variables are those of
the sample that this succeeds: AWS_REGION, AWS_ACCOUNT, DOMAIN_ID; a profile's region wins over
AWS_REGION. Start at `load_aws_settings`.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headgate.errors import SettingsError
from headgate.settings.aws import AwsSettings
from headgate.settings.loading import AWS_TABLE, did_you_mean, flag_of, gathered, read_file


@dataclass(frozen=True, slots=True)
class _Read:
    """A value as it was read, and from where, in words."""

    value: Any
    source: str


def load_aws_settings(
    flags: Mapping[str, Any] | None = None, config: Path | None = None
) -> AwsSettings:
    """Gather and check every setting of a deployment.

    `flags` holds those that the command line names (a None counts as not named); `config` is
    the file that `--config` names. Raises `SettingsError` with all faults at once.
    """
    found = _from_file(config)
    found |= {
        key: _Read(value, flag_of(key)) for key, value in (flags or {}).items() if value is not None
    }
    found = dict(_from_environment(found)) | found
    faults = [
        f"aws.{key}: no such setting (read from {read.source})."
        f"{did_you_mean(key, AwsSettings.model_fields)}"
        for key, read in found.items()
        if key not in AwsSettings.model_fields
    ]
    known = {key: read for key, read in found.items() if key in AwsSettings.model_fields}
    try:
        settings = AwsSettings(**{key: read.value for key, read in known.items()})
    except ValidationError as error:
        raise gathered(faults + _described(error, known)) from None
    if faults:
        raise gathered(faults)
    return settings


def _from_file(config: Path | None) -> dict[str, _Read]:
    file, content = read_file(config)
    table = content.get(AWS_TABLE, {})
    if not isinstance(table, dict):
        raise SettingsError(
            f"{AWS_TABLE} is a table: write [{AWS_TABLE}] on its own line ({file})."
        )
    return {key: _Read(value, str(file)) for key, value in table.items()}


def _from_environment(named: Mapping[str, _Read]) -> Iterator[tuple[str, _Read]]:
    """What AWS's tools and the sample read from the environment, where nobody named it."""
    profile = named["profile"].value if "profile" in named else os.environ.get("AWS_PROFILE")
    region = _region_of_profile(profile)
    if region is not None:
        yield "region", _Read(region, f"profile {profile or 'default'}")
    elif os.environ.get("AWS_REGION"):
        yield "region", _Read(os.environ["AWS_REGION"], "AWS_REGION")
    for key, variable in (("account", "AWS_ACCOUNT"), ("studio_domain_id", "DOMAIN_ID")):
        if os.environ.get(variable):
            yield key, _Read(os.environ[variable], variable)


def _region_of_profile(profile: str | None) -> str | None:
    """The region that AWS's configuration gives a profile."""
    file = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None  # botocore says so, and better, as soon as it is asked for credentials
    section = "default" if profile in (None, "default") else f"profile {profile}"
    return parser.get(section, "region", fallback=None)


def _described(error: ValidationError, read: Mapping[str, _Read]) -> list[str]:
    faults = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        key = str(detail["loc"][0])
        message = detail["msg"].removeprefix("Value error, ").rstrip(".")
        words = f"{message[0].lower()}{message[1:]}"
        if key in read:
            value, source = read[key].value, read[key].source
            faults.append(f"aws.{key}: {value!r} cannot be used: {words} (read from {source}).")
        else:
            faults.append(f"aws.{key}: {words}.")
    return faults
