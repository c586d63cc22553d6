"""API tokens, as `MLFLOW_TRACKING_TOKEN` arrives (`Authorization: Bearer hg_…`).

A token is 32 random bytes; the database has its SHA-256 alone. Nothing slower is needed, as
nobody can guess 256 bits. It lets in as its owner, who is read with it, as they are now.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from headgate.database.users import OwnedToken
from headgate.errors import ApiError
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.flights import Flights
from headgate.gateway.identity.memory import BoundedMemory
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.refusal import Refusal
from headgate.gateway.identity.throttle import Throttle, networks
from headgate.gateway.request import Request

_FORM = re.compile(rb"hg_[A-Za-z0-9_-]{43}")
_WAS_GOOD_SECONDS = 24 * 3600.0
_WRONG = "This token is not valid."


class TokenWayIn:
    """Lets in whoever sends a token of a user."""

    def __init__(self, *, directory: Directory, throttle: Throttle, clock: Clock) -> None:
        self._directory = directory
        self._throttle = throttle
        self._clock = clock
        # Tokens that were good need no limiter, so that no stranger's guessing behind the same
        # address keeps their owner out.
        self._was_good: BoundedMemory[str, bool] = BoundedMemory(
            clock, size=10_000, seconds=_WAS_GOOD_SECONDS
        )
        self._flights: Flights[tuple[str, str], OwnedToken | None] = Flights()

    async def identify(self, request: Request, value: bytes) -> Principal:
        """Who sent this value of `Authorization` (behind the scheme). Raises `Refusal`."""
        value = value.strip(b" ")
        if _FORM.fullmatch(value) is None:
            self._throttle.charge_guess("token", request.client)
            raise Refusal("malformed", _WRONG)
        digest = digest_of(value)
        if self._was_good.get(digest) is not None:
            found = await self._directory.token(digest)
        else:
            found = await self._guessed(digest, request.client)
        if found is None:
            raise Refusal("credential", _WRONG)
        token, owner = found.token, found.owner
        if token.revoked_at is not None or owner is None:
            raise Refusal("revoked", "This token was revoked.")
        if token.expires_at is not None and token.expires_at <= self._clock.wall_ms():
            raise Refusal("expired", "This token has expired.")
        self._was_good.put(digest, True)
        return Principal(
            owner.id,
            owner.username,
            owner.is_admin,
            "token",
            read_only=token.read_only,
            expires_at=token.expires_at,
        )

    async def _guessed(self, digest: str, client: str) -> OwnedToken | None:
        """A token that was never good here, looked up once for all who send it at once."""
        flight = (digest, networks(client)[0])
        return await self._flights.share(flight, lambda: self._look_up(digest, client))

    async def _look_up(self, digest: str, client: str) -> OwnedToken | None:
        # Counted before it is looked up, so that guesses sent at the same moment count as well.
        charge = self._throttle.charge_guess("token", client)
        try:
            found = await self._directory.token(digest)
        except ApiError:
            self._throttle.give_back(charge)
            raise
        if found is not None:
            self._throttle.give_back(charge)
        return found


def new_token() -> tuple[str, str]:
    """A new token, and the digest under which it is kept."""
    token = f"hg_{secrets.token_urlsafe(32)}"
    return token, digest_of(token.encode())


def digest_of(token: bytes) -> str:
    """What the database has instead of the token."""
    return hashlib.sha256(token).hexdigest()
