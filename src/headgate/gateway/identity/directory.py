"""The users, tokens and ended sessions as the gateway sees them: never older than 2 s.

Reads happen in a few threads. What is in use is read again once it is a second old, beside
the requests, so that these usually wait for no database at all; nothing older than 2 s is
ever believed. A removed user, a changed password, a revoked token and a session that was
ended at another gateway are refused that soon.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from headgate.database.users import OwnedToken, Token, User, UserStore
from headgate.errors import ApiError, unavailable
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.flights import Flights
from headgate.observation import Observe, UsersUnreadable

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
Failed = Callable[[SQLAlchemyError], ApiError]
# Waits, within bounds, until the database may be opened and is awake; whether it may. Raises
# `ApiError`, or SQLAlchemy's errors where it cannot be reached.
Opened = Callable[[], Awaitable[bool]]

REFRESHED_AFTER = 1.0
BELIEVED_FOR = 2.0
_THREADS = 4
_TOLD_EVERY_SECONDS = 60
_SIZE = 10_000
_ANSWER_SECONDS = 20.0


async def always_open() -> bool:
    """For a database that nobody migrates."""
    return True


class FreshRows(Generic[K, V]):
    """What `load` returns for a key, read again when old; concurrent callers share one read."""

    def __init__(
        self,
        load: Callable[[K], V],
        executor: ThreadPoolExecutor,
        clock: Clock,
        failed: Failed,
        *,
        opened: Opened = always_open,
        size: int = _SIZE,
        slowness: float = 1,
    ) -> None:
        self._load = load
        self._executor = executor
        self._clock = clock
        self._failed = failed
        self._opened = opened
        self._size = size
        self._refreshed_after = REFRESHED_AFTER * slowness
        self._believed_for = BELIEVED_FOR * slowness
        self._rows: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._reads: Flights[K, V] = Flights()

    async def get(self, key: K) -> V:
        """The value, at most as old as is believed. Raises `ApiError` 503 when it is not to be
        had."""
        row = self._rows.get(key)
        if row is not None:
            age = self._clock.monotonic() - row[0]
            if age < self._refreshed_after:
                return row[1]
            if age < self._believed_for:
                self._reads.start(key, lambda: self._read(key))
                return row[1]
        return await self._reads.share(key, lambda: self._read(key))

    async def latest(self, key: K) -> V:
        """The value as the database has it now, whatever is remembered."""
        return await self._reads.share(key, lambda: self._read(key))

    def put(self, key: K, value: V) -> None:
        """We know better than a read that is under way: this was just written."""
        self._keep(key, self._clock.monotonic(), value)

    async def refreshed(self) -> None:
        """Wait for the reads that are under way."""
        await self._reads.landed()

    async def _read(self, key: K) -> V:
        try:
            if not await self._opened():
                raise _unreadable()
            # The age counts from before the read: what changes during it may not be in it.
            started = self._clock.monotonic()
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_ANSWER_SECONDS):
                value = await loop.run_in_executor(self._executor, self._load, key)
        except TimeoutError:
            raise _unreadable() from None
        except SQLAlchemyError as error:
            raise self._failed(error) from None
        return self._keep(key, started, value)

    def _keep(self, key: K, since: float, value: V) -> V:
        row = self._rows.get(key)
        if row is not None and row[0] > since:
            return row[1]
        self._rows[key] = (since, value)
        self._rows.move_to_end(key)
        if len(self._rows) > self._size:
            self._rows.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._rows)


class Directory:
    """A `UserStore` for the event loop. Raises `ApiError` 503 while the database is away.

    `opened` holds everything back while the database is migrated: whoever only opened an
    SQLite file meanwhile would have changed it, and a migration gives such a file up.
    """

    def __init__(
        self, store: UserStore, clock: Clock, observe: Observe, opened: Opened = always_open
    ) -> None:
        self._store = store
        self._clock = clock
        self._observe = observe
        self._opened = opened
        self._quiet_until = clock.monotonic()
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="identity")
        self._users = self._fresh_rows(store.find_user)
        self._tokens = self._fresh_rows(store.find_token)
        self._signed_out = self._fresh_rows(store.is_signed_out)
        self._methods = self._fresh_rows(self._find_methods, slowness=30)

    async def user(self, username: str) -> User | None:
        """The user of exactly this name."""
        return await self._users.get(username)

    async def replace_password(self, user: User, password_hash: str, *, until: int) -> bool:
        """Give a user another stored hash, unless somebody did so since they were read."""
        return await self._run(
            lambda: self._store.replace_password(user, password_hash, until=until)
        )

    async def latest_user(self, username: str) -> User | None:
        """The same, as the database has it now: a password just set works at once."""
        return await self._users.latest(username)

    async def token(self, digest: str) -> OwnedToken | None:
        """The token of this digest and its user."""
        return await self._tokens.get(digest)

    async def is_signed_out(self, session_id: str) -> bool:
        """Whether the session was ended."""
        return await self._signed_out.get(session_id)

    async def hash_methods(self) -> Sequence[str]:
        """How the passwords here are hashed, one method per user; up to a minute old."""
        return await self._methods.get(None)

    async def sign_out(self, session_id: str, *, until: int) -> None:
        """End a session, here at once and elsewhere within 2 s."""
        now = self._clock.wall_ms()
        await self._run(lambda: self._store.sign_out(session_id, until=until, now=now))
        self._signed_out.put(session_id, True)

    async def add_token(self, token: Token, digest: str) -> None:
        """Keep a new token. Raises `TooManyTokensError`."""
        await self._run(lambda: self._store.add_token(token, digest))

    async def list_tokens(self, user_id: int | None) -> list[Token]:
        """The tokens of one user, or of everybody."""
        return await self._run(lambda: self._store.list_tokens(user_id))

    async def revoke_token(self, token_id: str, *, user_id: int | None) -> bool:
        """Revoke a token, if it is `user_id`'s (None: anybody's); whether there was one."""
        now = self._clock.wall_ms()
        return await self._run(lambda: self._store.revoke_token(token_id, user_id=user_id, now=now))

    def close(self) -> None:
        """Let the threads go."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _fresh_rows(self, load: Callable[[K], V], *, slowness: float = 1) -> FreshRows[K, V]:
        return FreshRows(
            load,
            self._executor,
            self._clock,
            self._failed,
            opened=self._opened,
            slowness=slowness,
        )

    async def _run(self, work: Callable[[], R]) -> R:
        try:
            if not await self._opened():
                raise _unreadable()
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except SQLAlchemyError as error:
            raise self._failed(error) from None

    def _failed(self, error: SQLAlchemyError) -> ApiError:
        """The answer while the database is away; the log is told why, now and then.

        The error itself goes no further: its text has the values of the statement.
        """
        now = self._clock.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _TOLD_EVERY_SECONDS
            self._observe(UsersUnreadable(self._store.explain(error)))
        return _unreadable()

    def _find_methods(self, _key: None) -> Sequence[str]:
        return self._store.hash_methods()


def _unreadable() -> ApiError:
    return unavailable(
        "The users cannot be read: the server is starting, or its database does not answer. "
        "Try again shortly.",
        retry_after=2,
    )
