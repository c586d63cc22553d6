"""Progress, on standard error: standard output is for the table alone."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    """One line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
