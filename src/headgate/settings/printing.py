"""Settings as TOML, which `headgate.toml` takes back; secrets are left out and said to be set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate.settings.loading import is_secret
from headgate.settings.model import GROUPS, Settings


def as_toml(settings: Settings) -> str:
    """What applies. Read back, it prints the same, but for secrets, which stay where they are."""
    return "\n".join(_lines(settings)) + "\n"


def toml_value(value: Any) -> str:
    """A value of a setting as TOML."""
    if isinstance(value, Path):
        value = str(value)
    # JSON's strings, numbers, booleans and arrays of strings are TOML's too, but for one escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(settings: Settings) -> Iterator[str]:
    for number, (heading, group) in enumerate(GROUPS.items()):
        if number:
            yield ""
        yield f"# {heading}"
        for key in group.model_fields:
            value = getattr(settings, key)
            if value is None:
                yield f"# {key} is not set"
            elif is_secret(key):
                yield f"# {key} is set, and secret"
            else:
                yield f"{key} = {toml_value(value)}"
