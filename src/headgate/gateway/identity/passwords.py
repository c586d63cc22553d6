"""Is this the password of this user? For Basic credentials and the sign-in page alike.

The way of a credential: verified within the last minute, it is let in at once. Otherwise it
passes the throttle, waits for its turn, is hashed and, if right, remembered. Wrong, unknown
and unusable ones take the same steps and get the same answer. Start at `Passwords.verify`.
"""

from __future__ import annotations

import hmac

from headgate.database.users import User
from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.flights import Flights
from headgate.gateway.identity.hashing import Decoys, Hasher
from headgate.gateway.identity.memory import CredentialMemory
from headgate.gateway.identity.refusal import Refusal, wrong_password
from headgate.gateway.identity.rotation import AdminSecret
from headgate.gateway.identity.throttle import Throttle, networks

# The width of MLflow's column; a longer name would also make cookies that browsers drop.
MAX_NAME = 255
_MAX_PASSWORD = 1024
# The password of the admin that MLflow used to ship; its own app refuses it since 3.16
# (GHSA-gq3w-7jj3-x7gr).
_LEGACY_ADMIN_PASSWORD = "password1234"  # noqa: S105 - public, and refused


class Passwords:
    """Verifies names and passwords."""

    def __init__(
        self,
        *,
        directory: Directory,
        memory: CredentialMemory,
        throttle: Throttle,
        hasher: Hasher,
        admin_secret: AdminSecret | None = None,
    ) -> None:
        self._directory = directory
        self._memory = memory
        self._throttle = throttle
        self._hasher = hasher
        self._admin_secret = admin_secret
        self._decoys = Decoys()
        self._flights: Flights[tuple[bytes, str], User] = Flights()

    async def verify(self, username: str, password: str, client: str) -> User:
        """The user, if this is their password. Raises `Refusal`, or `ApiError` 503 while the
        database is away."""
        if not (is_plausible(username, MAX_NAME) and is_plausible(password, _MAX_PASSWORD)):
            raise Refusal("malformed", wrong_password().message)
        fingerprint = self._memory.fingerprint(username, password)
        user = await self._recalled(fingerprint, username)
        if user is not None:
            return user
        # By address too, so that nobody is refused for what is counted against another.
        return await self._flights.share(
            (fingerprint, networks(client)[0]),
            lambda: self._evaluated(fingerprint, username, password, client),
        )

    async def _recalled(self, fingerprint: bytes, username: str) -> User | None:
        verified = self._memory.recall(fingerprint)
        if verified is None:
            return None
        user = await self._directory.user(username)
        if user is not None and self._memory.is_fresh(verified, user.hashes):
            return user
        return None

    async def _evaluated(
        self, fingerprint: bytes, username: str, password: str, client: str
    ) -> User:
        known = self._memory.recall(fingerprint) is not None
        if not known:
            self._throttle.check_password(username, client)
        async with self._hasher.turn(networks(client)[0], privileged=known):
            # While we waited, the same credential may have come in from another address.
            user = await self._recalled(fingerprint, username)
            if user is not None:
                return user
            charge = [] if known else self._throttle.charge_password(username, client)
            try:
                found = await self._matching(username, password)
            except BaseException:
                self._throttle.give_back(charge)
                raise
            if found is None:
                raise wrong_password()
            self._throttle.give_back(charge)
        user, stored = found
        self._memory.remember(fingerprint, stored)
        if self._admin_secret is not None:
            self._admin_secret.look(user)
        return user

    async def _matching(self, username: str, password: str) -> tuple[User, str] | None:
        """The user whose password this is, and the stored hash that it matched. Every name costs
        the same reads and one hash, but for an admin whose password a secret gives."""
        methods = await self._directory.hash_methods()
        user = await self._directory.latest_user(username)
        decoy = self._decoys.for_name(username, methods)
        stored = user.password_hash if user is not None else None
        matched = await self._hasher.matches(decoy if stored is None else stored, password)
        legacy = hmac.compare_digest(password.encode(), _LEGACY_ADMIN_PASSWORD.encode())
        if user is None or (legacy and user.is_admin):
            return None
        if matched:
            return (user, stored) if stored is not None else None
        return await self._rotated(user, password)

    async def _rotated(self, user: User, password: str) -> tuple[User, str] | None:
        """The same for a password that is not the stored one: a former one, or one to come."""
        for former in user.former_hashes:
            if await self._hasher.matches(former, password):
                return user, former
        if self._admin_secret is None:
            return None
        changed = await self._admin_secret.takes(user, password)
        if changed is None or changed.password_hash is None:
            return None
        return changed, changed.password_hash


def is_plausible(text: str, longest: int) -> bool:
    """Whether this can be a name or a password: not empty, not too long, no control characters
    (RFC 7617), and text that has bytes."""
    return 0 < len(text) <= longest and not any(map(_is_control, text))


def _is_control(character: str) -> bool:
    # A lone surrogate cannot be encoded, so it is in no stored name and in no password.
    return character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff"
