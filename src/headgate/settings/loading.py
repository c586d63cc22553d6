"""Reads settings: flags over `HEADGATE_*` variables over `headgate.toml` over defaults.

All faults are gathered and raised together as one `SettingsError`; each names the key, the
value (never a secret's) and where it was read. Start at `load_settings`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from headgate.errors import SettingsError
from headgate.settings.model import Settings

PREFIX = "HEADGATE_"
CONFIG_VARIABLE = "HEADGATE_CONFIG"
DEFAULT_FILE = Path("headgate.toml")
# Of the same file, but of a deployment: see `aws_loading`.
AWS_TABLE = "aws"

# Read by Headgate itself but no setting: where the settings are, and what processes tell their
# children.
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE})
_INTERNAL_PREFIX = "HEADGATE_INTERNAL_"


@dataclass(frozen=True, slots=True)
class _Read:
    """A value as it was read, and from where, in words."""

    value: Any
    source: str


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    warn: Callable[[str], None] | None = None,
) -> Settings:
    """Gather and check every setting.

    `flags` holds those that the command line names (a None counts as not named); `config` is
    the file that `--config` names. `warn` hears of variables that look like ours and are not.
    Raises `SettingsError` with all faults at once.
    """
    file, content = read_file(config)
    found = {key: _Read(value, str(file)) for key, value in content.items() if key != AWS_TABLE}
    found |= _from_environment()
    found |= {
        key: _Read(value, flag_of(key)) for key, value in (flags or {}).items() if value is not None
    }
    if warn is not None:
        for message in _unknown_variables():
            warn(message)
    faults = [_unknown_key(key, read) for key, read in found.items() if not _is_setting(key)]
    known = {key: read for key, read in found.items() if _is_setting(key)}
    try:
        settings = Settings(**{key: read.value for key, read in known.items()})
    except ValidationError as error:
        faults += _describe(error, known)
        raise gathered(faults) from None
    if faults:
        raise gathered(faults)
    return settings


def flag_of(key: str) -> str:
    """The flag of a setting."""
    return "--" + key.replace("_", "-")


def variable_of(key: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + key.upper()


def is_secret(key: str) -> bool:
    """Whether a setting's value must never be shown."""
    return "SecretStr" in repr(Settings.model_fields[key].annotation)


def is_list(key: str) -> bool:
    """Whether a setting holds several values."""
    return get_origin(Settings.model_fields[key].annotation) is list


def _is_setting(key: str) -> bool:
    return key in Settings.model_fields


def _config_file(config: Path | None) -> Path | None:
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if _named_in_environment() else None)
    if named is None:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    if not named.exists():
        source = "--config" if config else CONFIG_VARIABLE
        raise SettingsError(f"The settings file {named} does not exist (named by {source}).")
    return named


def _named_in_environment() -> bool:
    return bool(os.environ.get(CONFIG_VARIABLE))


def read_file(config: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """The settings file that applies, and what it says; nothing where there is none."""
    file = _config_file(config)
    if file is None:
        return None, {}
    try:
        with file.open("rb") as opened:
            return file, tomllib.load(opened)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}.") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None


def _from_environment() -> dict[str, _Read]:
    values = EnvSettingsSource(Settings)()
    return {key: _Read(value, variable_of(key)) for key, value in values.items()}


def _unknown_variables() -> Iterable[str]:
    known = {variable_of(key) for key in Settings.model_fields} | _OTHER_VARIABLES
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name.startswith(_INTERNAL_PREFIX) or name in known:
            continue
        yield f"{name} is no setting of Headgate and has no effect.{did_you_mean(name, known)}"


def _unknown_key(key: str, read: _Read) -> str:
    hint = did_you_mean(key, Settings.model_fields)
    return f"{key}: no such setting (read from {read.source}).{hint}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.7)
    return f" Did you mean {close[0]}?" if close else ""


def _describe(error: ValidationError, read: Mapping[str, _Read]) -> list[str]:
    faults = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        key = str(detail["loc"][0])
        message = detail["msg"].removeprefix("Value error, ").rstrip(".")
        if key not in read:
            faults.append(f"{key}: {message[0].lower()}{message[1:]}.")
        elif is_secret(key):
            faults.append(f"{key}: {message[0].lower()}{message[1:]} ({_origin(read[key])}).")
        else:
            faults.append(
                f"{key}: {read[key].value!r} cannot be used: {message[0].lower()}{message[1:]} "
                f"({_origin(read[key])})."
            )
    return faults


def _origin(read: _Read) -> str:
    return f"read from {read.source}"


def gathered(faults: list[str]) -> SettingsError:
    """One error of all faults."""
    if len(faults) == 1:
        return SettingsError(faults[0])
    lines = "\n".join(f"  {fault}" for fault in faults)
    return SettingsError(f"{len(faults)} settings cannot be used:\n{lines}")
