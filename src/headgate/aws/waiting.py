"""Waiting for AWS, which says when it is done but not how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from headgate.aws.session import AwsError


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to look, and when to give up."""

    every: float = 10.0
    at_most: float = 3600.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, done: Callable[[], bool], *, what: str) -> None:
        """Look until it is done. Raises `AwsError` when it takes too long."""
        waited = 0.0
        while not done():
            if waited >= self.at_most:
                raise AwsError(
                    f"{what}: not done after {self.at_most / 60:.0f} minutes.",
                    hint="The same command goes on where this one stopped.",
                )
            self.sleep(self.every)
            waited += self.every
