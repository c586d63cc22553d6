"""Why somebody is not let in; `Identifier` turns it into an answer and an event."""

from __future__ import annotations

from typing import Literal

Reason = Literal["credential", "throttled", "expired", "revoked", "malformed"]

WRONG_PASSWORD = "The user name or the password is wrong."  # noqa: S105 - a sentence, no secret


class Refusal(Exception):
    """`message` is for the caller and tells nothing that they cannot know. `retry_after` (in
    seconds) is there when they only have to wait."""

    def __init__(self, reason: Reason, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


def wrong_password() -> Refusal:
    """The one answer to every wrong name or password, so that it tells neither from the other."""
    return Refusal("credential", WRONG_PASSWORD)


def throttled(seconds: float) -> Refusal:
    """Too many failures; try again in `seconds`, rounded up."""
    wait = max(1, -int(-seconds // 1))
    unit = "second" if wait == 1 else "seconds"
    return Refusal(
        "throttled", f"Too many failed sign-ins. Try again in {wait} {unit}.", retry_after=wait
    )
