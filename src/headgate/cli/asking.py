"""Questions to the person at the terminal."""

from __future__ import annotations

import sys

from headgate.errors import HeadgateError


class UsageError(HeadgateError):
    """The command was called in a way that cannot work here."""

    exit_code = 2


def confirmed(question: str) -> bool:
    """Whether the answer is yes; no answer is a no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def allowed_to_migrate(question: str | None, *, yes: bool) -> bool:
    """Whether an existing store may be migrated; None asks nothing, as nothing is at stake.

    Raises `HeadgateError` without a terminal to ask at.
    """
    if question is None or yes:
        return True
    if not sys.stdin.isatty():
        raise HeadgateError(
            f"{question}\nThere is no terminal to answer at, so nothing was changed.",
            hint="Say yes with --yes.",
        )
    return confirmed(question)
