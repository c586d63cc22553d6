"""What a check saw: `headgate doctor` and `headgate aws deploy` say it in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. `mend` says what to do where it is not `ok`."""

    about: str
    state: Literal["ok", "warning", "wrong"]
    text: str
    mend: str | None = None
