"""What identity remembers: bounded, forgetful, and useless to whoever reads it.

`BoundedMemory` is a plain cache. `CredentialMemory` knows passwords that were verified, under
a keyed hash: a password that was changed has another stored hash beside it, so there is
nothing to invalidate.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from headgate.gateway.identity.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

# A credential that was right once needs no limiter for this long: whoever offers it again
# knows it. So no stranger's guessing can lock its user out.
_TRUSTED_SECONDS = 24 * 3600.0


class BoundedMemory(Generic[K, V]):
    """At most `size` values, each for at most `seconds`; the least recently used goes first."""

    def __init__(self, clock: Clock, *, size: int, seconds: float) -> None:
        self._clock = clock
        self._size = size
        self._seconds = seconds
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, unless it was forgotten."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        until, value = entry
        if self._clock.monotonic() >= until:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember a value from now on."""
        self._entries[key] = (self._clock.monotonic() + self._seconds, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True, slots=True)
class Verified:
    """A password matched `password_hash`; until `fresh_until` it need not be hashed again."""

    password_hash: str = field(repr=False)
    fresh_until: float


class CredentialMemory:
    """Credentials that were verified, by fingerprint.

    A fingerprint is an HMAC of name and password under a key that this process made and
    nobody else has.
    """

    def __init__(self, clock: Clock, *, fresh_seconds: float, size: int = 10_000) -> None:
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._key = secrets.token_bytes(32)
        self._verified: BoundedMemory[bytes, Verified] = BoundedMemory(
            clock, size=size, seconds=_TRUSTED_SECONDS
        )

    def fingerprint(self, username: str, password: str) -> bytes:
        """What stands for this pair here."""
        name = username.encode()
        text = len(name).to_bytes(4, "big") + name + password.encode()
        return hmac.digest(self._key, text, hashlib.sha256)

    def recall(self, fingerprint: bytes) -> Verified | None:
        """When and against what this pair was verified, if it was."""
        return self._verified.get(fingerprint)

    def is_fresh(self, verified: Verified, hashes: Iterable[str]) -> bool:
        """Whether the pair is right without hashing: verified lately, and what it was verified
        against is still among the user's stored `hashes`."""
        against = verified.password_hash.encode()
        return self._clock.monotonic() < verified.fresh_until and any(
            hmac.compare_digest(against, stored.encode()) for stored in hashes
        )

    def remember(self, fingerprint: bytes, password_hash: str) -> None:
        """The pair was just verified against this stored hash."""
        until = self._clock.monotonic() + self._fresh_seconds
        self._verified.put(fingerprint, Verified(password_hash, until))
