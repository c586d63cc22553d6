"""Everything worth seeing, as typed events.

Code that does something says what happened by calling an `Observe`; the log and the metrics
alone decide what becomes a line or a counter. Events never hold credentials or bodies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

WayIn = Literal["basic", "session", "token", "iam"]


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """One request, answered or given up. `route` has few values and is safe as a label."""

    request_id: str
    method: str
    path: str
    route: str
    status: int
    seconds: float
    sent_bytes: int
    client: str
    username: str | None


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Somebody was not let in. `reason`: credential, throttled, expired, revoked, malformed."""

    way_in: WayIn
    reason: str
    client: str
    request_id: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser signed in and got a session."""

    username: str
    client: str


@dataclass(frozen=True, slots=True)
class UsersUnreadable:
    """The database of users does not answer, so nobody new can come in. Told once a minute."""

    reason: str


@dataclass(frozen=True, slots=True)
class PasswordRotated:
    """A user's password was changed to what its secret says; the old one is good a while longer."""

    username: str
    grace_minutes: float


@dataclass(frozen=True, slots=True)
class SecretUnreadable:
    """A secret that a sign-in is compared with cannot be had; what the database knows goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class MigrationStarted:
    """A schema is about to be brought to the head revision of the installed MLflow."""

    chain: Literal["mlflow", "auth"]
    found: str | None
    head: str


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """What a migration is doing now, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class MigrationFinished:
    """Both schemas are at head."""

    seconds: float


@dataclass(frozen=True, slots=True)
class UpstreamStarting:
    """An MLflow process was started."""

    pid: int


@dataclass(frozen=True, slots=True)
class UpstreamReady:
    """MLflow answers."""

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UpstreamStopped:
    """MLflow ended by itself; it is started again `restart_in` seconds from now."""

    pid: int
    reason: str
    uptime: float
    restarts: int
    restart_in: float


@dataclass(frozen=True, slots=True)
class UpstreamLine:
    """A line that MLflow wrote to its standard output or error."""

    text: str


@dataclass(frozen=True, slots=True)
class ServerListening:
    """The gateway accepts connections at `address`."""

    address: str


@dataclass(frozen=True, slots=True)
class Draining:
    """A signal asked us to stop; what is under way is finished first."""

    signal: str


@dataclass(frozen=True, slots=True)
class GatewayFault:
    """A fault of ours in a request; `traceback` is for the log, never for the client."""

    request_id: str
    traceback: str


Event = (
    RequestFinished
    | SignInRefused
    | SignedIn
    | UsersUnreadable
    | PasswordRotated
    | SecretUnreadable
    | MigrationStarted
    | MigrationStep
    | MigrationFinished
    | UpstreamStarting
    | UpstreamReady
    | UpstreamStopped
    | UpstreamLine
    | ServerListening
    | Draining
    | GatewayFault
)
Observe = Callable[[Event], None]


class Observers:
    """An `Observe` that passes each event to several, in order."""

    def __init__(self, *observers: Observe) -> None:
        self._observers = list(observers)

    def add(self, observer: Observe) -> None:
        """Let `observer` see every later event."""
        self._observers.append(observer)

    def __call__(self, event: Event) -> None:
        for observer in self._observers:
            observer(event)
