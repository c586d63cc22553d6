"""`[aws] server`: the settings of the server that a deployment passes on to its tasks.

Only those that the stacks do not decide themselves, and no secret: what is written here ends up
in a template that many may read. Start at `environment_of`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headgate.settings.limits import DoorSettings
from headgate.settings.model import Settings

PASSED_ON = frozenset(
    {
        "allowed_origins",
        "html_artifact_scripts",
        "html_artifact_sources",
        "presigned_bytes",
        "database_idle_seconds",
        "default_permission",
        "admin_grace_minutes",
        "session_idle_hours",
        "session_max_days",
        "credential_memory_seconds",
        "max_json_bytes",
        "max_artifact_bytes",
        "max_json_depth",
        "request_seconds",
        *DoorSettings.model_fields,
    }
)


def check_server_settings(server: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is no setting, what the stacks decide, and what the server would refuse."""
    for key in server:
        if key in PASSED_ON:
            continue
        if key in Settings.model_fields:
            raise ValueError(f"{key} is not for choice here: the stacks decide it")
        close = difflib.get_close_matches(key, PASSED_ON, n=1, cutoff=0.7)
        hint = f". Did you mean {close[0]}?" if close else ""
        raise ValueError(f"{key} is no setting of the server{hint}")
    try:
        Settings(**server)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        message = fault["msg"].removeprefix("Value error, ")
        raise ValueError(f"{fault['loc'][0]}: {message[0].lower()}{message[1:]}") from None
    return server


def environment_of(server: Mapping[str, Any]) -> dict[str, str]:
    """The settings as variables of a task."""
    return {f"HEADGATE_{key.upper()}": _text(value) for key, value in sorted(server.items())}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
