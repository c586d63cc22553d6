"""Hashing passwords takes 0.1 s and 32 MB each, so it is done by two threads, in turn.

Whoever waits for a turn is counted: a flood of guesses is refused while it waits, instead of
filling memory, and one address alone cannot take every place in the queue.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from werkzeug.security import check_password_hash, generate_password_hash

from headgate.gateway.identity.refusal import Refusal

AT_ONCE = 2
_WAITING = 128
_WAITING_PER_ADDRESS = 32
# What MLflow's werkzeug uses for a new password.
_USUAL_METHOD = "scrypt:32768:8:1"
_SALT_CHARACTERS = 16

Check = Callable[[str, str], bool]


class Hasher:
    """Checks passwords against stored hashes. `check` blocks; tests count its calls."""

    def __init__(self, check: Check = check_password_hash) -> None:
        self._check = check
        self._executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hashing")
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, address: str, *, privileged: bool) -> AsyncIterator[None]:
        """Wait for one of the two threads. Raises a `Refusal` if too many wait already, unless
        this caller is `privileged`."""
        crowded = self._waiting.total() >= _WAITING
        if not privileged and (crowded or self._waiting[address] >= _WAITING_PER_ADDRESS):
            raise Refusal("throttled", "Too many sign-ins at once. Try again.", retry_after=2)
        self._waiting[address] += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        try:
            yield
        finally:
            self._turns.release()

    async def matches(self, stored: str, password: str) -> bool:
        """Whether the password is the one behind the stored hash."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._matches, stored, password)

    async def hashed(self, password: str) -> str:
        """What to store of a new password, as MLflow would."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, generate_password_hash, password)

    def close(self) -> None:
        """Let the threads go."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._check(stored, password)
        except (ValueError, OverflowError):
            # A method that werkzeug no longer knows, such as the plain `sha256` of old.
            return False


class Decoys:
    """Hashes that nobody's password matches, as costly to check as those of real users.

    A name that does not exist gets the method of some real user, always the same one, so that
    neither one answer's time nor many of them tell the two apart.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def for_name(self, username: str, methods: Sequence[str]) -> str:
        """The decoy of a name, given the methods of the users that exist."""
        dice = hmac.digest(self._key, username.encode(), hashlib.sha256)
        chosen = int.from_bytes(dice[:8], "big") % max(1, len(methods))
        method = methods[chosen] if methods else _USUAL_METHOD
        salt = dice.hex()[:_SALT_CHARACTERS]
        value = hmac.digest(self._key, dice, hashlib.sha512).hex()
        return f"{method}${salt}${value}"
