"""Guessing is slow. Limits on failed sign-ins, in memory of fixed size.

A sign-in is charged before the password is looked at, and gets the charge back if it was
right; so guesses sent at the same moment count as well. Unknown names count like real ones.
Nobody comes here whose credential was right before (`memory.py`), which no stranger can undo.

Of passwords, each limit stops another attacker:

- one address: 30 at once, then 1 in 10 s. IPv6: a /64, since a customer has a whole one; and
  a /48 has 50 at once, then 1 in 5 s.
- one user from one address: 10 at once, then 1 a minute. Somebody behind the victim's own NAT
  exhausts this one and shuts out nobody elsewhere.
- one user from anywhere, for attackers who change addresses: 20 at once, then 1 in 5 s, and
  this twice. Once for addresses with fewer than 3 failures for this user in the last hours,
  once for all others: a botnet has soon used up its innocence and then competes with itself,
  while a user at a new address still gets in.

Bad tokens, forged cookies and principals of IAM who are nobody here are counted by address only,
each kind by itself, and stop only their kind.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.refusal import throttled

Guess = Literal["token", "session", "iam"]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """So many at once, then one more every so many seconds."""

    at_once: int
    seconds: float


ADDRESS = Limit(30, 10)
NETWORK = Limit(50, 5)
USER_AT_ADDRESS = Limit(10, 60)
INNOCENCE = Limit(3, 3600)
USER = Limit(20, 5)


class Buckets:
    """One limit, counted for each of many keys (GCRA: a key is one number, the time at which
    all its charges are forgotten). At most `size` keys; the one charged longest ago goes first.
    """

    def __init__(self, limit: Limit, clock: Clock, *, size: int = 20_000) -> None:
        self._limit = limit
        self._clock = clock
        self._size = size
        self._paid_at: OrderedDict[Key, float] = OrderedDict()

    def wait(self, key: Key) -> float:
        """Seconds until one more is allowed; 0: now."""
        paid_at = self._paid_at.get(key)
        if paid_at is None:
            return 0.0
        allowed_debt = (self._limit.at_once - 1) * self._limit.seconds
        return max(0.0, paid_at - self._clock.monotonic() - allowed_debt)

    def charge(self, key: Key) -> None:
        """Count one."""
        now = self._clock.monotonic()
        self._paid_at[key] = max(now, self._paid_at.get(key, now)) + self._limit.seconds
        self._paid_at.move_to_end(key)
        if len(self._paid_at) > self._size:
            self._paid_at.popitem(last=False)

    def give_back(self, key: Key) -> None:
        """Undo a charge."""
        paid_at = self._paid_at.get(key)
        if paid_at is None:
            return
        if paid_at - self._limit.seconds <= self._clock.monotonic():
            del self._paid_at[key]
        else:
            self._paid_at[key] = paid_at - self._limit.seconds

    def __len__(self) -> int:
        return len(self._paid_at)


Charge = list[tuple[Buckets, Key]]


class Throttle:
    """All limits on failed sign-ins. Start at `charge_password`."""

    def __init__(self, clock: Clock) -> None:
        self._address = Buckets(ADDRESS, clock)
        self._network = Buckets(NETWORK, clock)
        self._user_at_address = Buckets(USER_AT_ADDRESS, clock)
        self._innocence = Buckets(INNOCENCE, clock)
        self._user = Buckets(USER, clock)
        self._guesses: dict[Guess, Buckets] = {
            "token": Buckets(ADDRESS, clock),
            "session": Buckets(ADDRESS, clock),
            "iam": Buckets(ADDRESS, clock),
        }

    def check_password(self, username: str, client: str) -> None:
        """Raise a `Refusal` if a password for this name from this address must wait."""
        self._check(self._password_keys(username, client))

    def charge_password(self, username: str, client: str) -> Charge:
        """Count a sign-in that is about to be evaluated, or raise a `Refusal` if it must wait."""
        keys = self._password_keys(username, client)
        self._check(keys)
        address, _ = networks(client)
        charged = [*keys, (self._innocence, (username, address))]
        for buckets, key in charged:
            buckets.charge(key)
        return charged

    def give_back(self, charge: Charge) -> None:
        """The sign-in was right, or was not evaluated after all."""
        for buckets, key in charge:
            buckets.give_back(key)

    def charge_guess(self, kind: Guess, client: str) -> Charge:
        """Count one of this kind that is bad, or about to be looked up; raises a `Refusal` if
        there were too many from this address."""
        keys = self._guess_keys(kind, client)
        self._check(keys)
        for buckets, key in keys:
            buckets.charge(key)
        return keys

    def _password_keys(self, username: str, client: str) -> Charge:
        address, network = networks(client)
        pair = (username, address)
        innocent = self._innocence.wait(pair) == 0
        keys: Charge = [
            (self._address, (address,)),
            (self._user_at_address, pair),
            (self._user, (username, "innocent" if innocent else "suspect")),
        ]
        if network is not None:
            keys.append((self._network, (network,)))
        return keys

    def _guess_keys(self, kind: Guess, client: str) -> Charge:
        address, network = networks(client)
        keys: Charge = [(self._guesses[kind], (address,))]
        if network is not None:
            keys.append((self._network, (kind, network)))
        return keys

    def _check(self, keys: Charge) -> None:
        wait = max(buckets.wait(key) for buckets, key in keys)
        if wait > 0:
            raise throttled(wait)


@lru_cache(maxsize=4096)
def networks(client: str) -> tuple[str, str | None]:
    """What counts as the address of a client, and, for IPv6, the network around it."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client[:100], None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address), None
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped), None
    smaller, larger = (
        str(ipaddress.ip_network((address, prefix), strict=False)) for prefix in (64, 48)
    )
    return smaller, larger
