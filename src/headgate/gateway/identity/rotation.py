"""The admin's password is what a secret in AWS says; a new one counts from its first use on.

Nobody has to tell a gateway that the secret changed, and none asks all the time: a password that
the database does not know is compared with the secret, fetched for it; and once a minute, while
an admin signs in with a password that is right, the secret is looked at beside. Whoever finds a
new password there changes it in the database, which makes one gateway of many the one that does
(`UserStore.replace_password`), and keeps the old hash for a grace time, so that no program fails
that has not heard yet. Start at `AdminSecret.takes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from concurrent.futures import ThreadPoolExecutor

from headgate.database.users import User
from headgate.errors import ApiError, HeadgateError
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.hashing import Hasher
from headgate.observation import Observe, PasswordRotated, SecretUnreadable
from headgate.secret_store import Credentials, Secret, SecretValue

LOOKED_AT_EVERY = 60.0
_FETCH_SECONDS = 5.0
_LET_ALONE_SECONDS = 10.0


class AdminSecret:
    """What a secret says about the password of an admin."""

    def __init__(
        self,
        secret: Secret,
        *,
        directory: Directory,
        hasher: Hasher,
        grace_seconds: float,
        clock: Clock,
        observe: Observe,
    ) -> None:
        self._secret = secret
        self._directory = directory
        self._hasher = hasher
        self._grace_ms = int(grace_seconds * 1000)
        self._clock = clock
        self._observe = observe
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="secret")
        self._settled: str | None = None
        self._let_alone_until = clock.monotonic()
        self._look_after = clock.monotonic()
        self._looking: asyncio.Task[None] | None = None

    async def takes(self, user: User, password: str) -> User | None:
        """The user with this password in force, if it is what the secret says now; else None.

        Raises `ApiError` 503 while the database is away.
        """
        if not user.is_admin:
            return None
        value = await self._fetched()
        said = self._credentials(value) if value is not None else None
        if value is None or said is None or said.username != user.username:
            return None
        if not hmac.compare_digest(said.password.encode(), password.encode()):
            return None
        return await self._put_in_force(user, said, value)

    def look(self, user: User) -> None:
        """A password of this user was right: see beside, now and then, whether it is an old one."""
        now = self._clock.monotonic()
        if user.is_admin and now >= self._look_after:
            self._look_after = now + LOOKED_AT_EVERY
            self._looking = asyncio.get_running_loop().create_task(self._look(user))

    async def looked(self) -> None:
        """Wait for a look that is under way."""
        if self._looking is not None:
            await self._looking

    def close(self) -> None:
        """Let the thread go."""
        if self._looking is not None:
            self._looking.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _look(self, user: User) -> None:
        value = await self._fetched()
        if value is None or value.version == self._settled:
            return
        said = self._credentials(value)
        if said is None or said.username != user.username:
            return
        with contextlib.suppress(ApiError):  # the database is away; the next look will do
            await self._put_in_force(user, said, value)

    async def _put_in_force(self, user: User, said: Credentials, value: SecretValue) -> User | None:
        """Make the database agree with the secret, whoever else does so at this moment."""
        stored = user.password_hash
        if stored is None or not await self._hasher.matches(stored, said.password):
            until = self._clock.wall_ms() + self._grace_ms
            new = await self._hasher.hashed(said.password)
            if await self._directory.replace_password(user, new, until=until):
                self._observe(PasswordRotated(user.username, self._grace_ms / 60_000))
        fresh = await self._directory.latest_user(user.username)
        if fresh is None or fresh.password_hash is None:
            return None
        if not await self._hasher.matches(fresh.password_hash, said.password):
            return None  # somebody changed it again while we worked
        self._settled = value.version
        return fresh

    async def _fetched(self) -> SecretValue | None:
        """The secret as it is now; None if it is not to be had. What fails is let alone a while,
        so that guesses at passwords do not queue up behind it."""
        if self._clock.monotonic() < self._let_alone_until:
            return None
        loop = asyncio.get_running_loop()
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await loop.run_in_executor(
                    self._executor, self._secret.fetched_since, asked_at
                )
        except TimeoutError:
            self._give_up("AWS Secrets Manager does not answer in time.")
        except HeadgateError as fault:
            self._give_up(str(fault))
        return None

    def _give_up(self, reason: str) -> None:
        self._let_alone_until = self._clock.monotonic() + _LET_ALONE_SECONDS
        self._observe(SecretUnreadable(reason))

    def _credentials(self, value: SecretValue) -> Credentials | None:
        try:
            return value.credentials(self._secret.name)
        except HeadgateError as fault:
            self._give_up(str(fault))
            return None
