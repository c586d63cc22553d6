"""How long to pause before MLflow is started again."""

from __future__ import annotations

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STABLE_SECONDS = 60.0


class BackOff:
    """Pauses that double from half a second to half a minute; a stable minute starts anew."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def after(self, stable_for: float) -> float:
        """The pause after a process that answered for `stable_for` seconds."""
        if stable_for >= STABLE_SECONDS or not self.seconds:
            self.seconds = FIRST_SECONDS
        else:
            self.seconds = min(self.seconds * 2, LONGEST_SECONDS)
        return self.seconds
