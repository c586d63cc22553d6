"""Browser sessions: a signed cookie, which says who signed in when.

The server keeps nothing but the sessions that their users ended. A session is over when it was
idle or lived for too long (the signed times), when its user signed out (the table), when the
user is gone, and when their password changed: the cookie has a fingerprint of the stored hash.

Beside it goes a second cookie, `mlflow_user`, which scripts may read: MLflow's interface
deletes it when somebody clicks "Sign out", and by that we know (`is_sign_out`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

import msgspec

from headgate.database.users import User
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.refusal import Refusal
from headgate.gateway.identity.throttle import Throttle
from headgate.gateway.request import Request
from headgate.settings.auth import AuthSettings

COMPANION_COOKIE = "mlflow_user"
_NAME = "headgate_session"
_MAX_CHARACTERS = 4096
_CLOCKS_DIFFER_SECONDS = 300
_OVER = "Your session is over. Sign in again."

_Text = Annotated[str, msgspec.Meta(max_length=2048)]


class _Content(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the cookie says. Times in seconds since 1970."""

    version: int
    session_id: _Text
    username: _Text
    first: int
    renewed: int
    password: _Text


_VERSION = 1
_decoder = msgspec.json.Decoder(_Content)


@dataclass(frozen=True, slots=True)
class Session:
    """A session whose cookie was proven genuine and whose user still has that password."""

    content: _Content
    user: User


class SessionWayIn:
    """Lets in whoever has the cookie of a session, and gives such cookies out."""

    def __init__(
        self,
        *,
        directory: Directory,
        throttle: Throttle,
        key: bytes,
        settings: AuthSettings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._key = key
        self._idle = settings.session_idle_hours * 3600
        self._longest = settings.session_max_days * 24 * 3600
        self._clock = clock

    async def identify(self, request: Request) -> Principal:
        """Whose session this is; renews its cookie now and then. Raises `Refusal`."""
        try:
            session = await self.find(request)
        except Refusal as refusal:
            if refusal.reason == "credential":
                self._throttle.charge_guess("session", request.client)
            raise
        content, user = session.content, session.user
        now = int(self._clock.wall())
        if now - content.renewed > self._idle / 10:
            self._give(request, msgspec.structs.replace(content, renewed=now))
        return Principal(user.id, user.username, user.is_admin, "session")

    async def find(self, request: Request) -> Session:
        """The session of this request's cookie. Raises `Refusal`."""
        content = self._verified(request.cookie(cookie_name(request)) or "")
        if content is None:
            raise Refusal("credential", _OVER)
        if self._ends_at(content) <= self._clock.wall():
            raise Refusal("expired", _OVER)
        if await self._directory.is_signed_out(content.session_id):
            raise Refusal("revoked", _OVER)
        user = await self._directory.user(content.username)
        if user is None or not self._is_of(user, content):
            raise Refusal("revoked", _OVER)
        return Session(content, user)

    def start(self, request: Request, user: User) -> None:
        """Give the browser of this request a new session."""
        now = int(self._clock.wall())
        content = _Content(
            version=_VERSION,
            session_id=secrets.token_urlsafe(24),
            username=user.username,
            first=now,
            renewed=now,
            password=self._fingerprint(user, user.password_hash),
        )
        self._give(request, content)

    async def end(self, request: Request) -> None:
        """Sign out: nobody can use this session's cookie again, wherever it was copied to."""
        session = await self.find(request)
        until = (session.content.first + self._longest) * 1000
        await self._directory.sign_out(session.content.session_id, until=until)
        self.take_cookies(request)

    def take_cookies(self, request: Request) -> None:
        """Have the browser drop the cookies."""
        for name, readable in ((cookie_name(request), False), (COMPANION_COOKIE, True)):
            request.set_cookies.append(_cookie(request, name, "", 0, readable=readable))

    def is_sign_out(self, request: Request, username: str) -> bool:
        """Whether MLflow's interface took the companion cookie away, that is, signs out.

        Another `mlflow_user`, from an older server or a neighbour at the same host, is no sign.
        """
        wanted = quote(username, safe="")
        return wanted.encode() not in request.cookie_values(COMPANION_COOKIE)

    def _verified(self, cookie: str) -> _Content | None:
        """What a cookie says, if we signed it."""
        encoded, dot, signature = cookie.partition(".")
        if len(cookie) > _MAX_CHARACTERS or not dot or not cookie.isascii():
            return None
        if not hmac.compare_digest(self._signature(encoded), signature):
            return None
        try:
            content = _decoder.decode(base64.urlsafe_b64decode(encoded))
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return None
        return content if content.version == _VERSION else None

    def _ends_at(self, content: _Content) -> float:
        """When this cookie stops being good; 0 if a server with a wrong clock gave it out."""
        if content.renewed > self._clock.wall() + _CLOCKS_DIFFER_SECONDS:
            return 0
        return min(content.renewed + self._idle, content.first + self._longest)

    def _give(self, request: Request, content: _Content) -> None:
        encoded = base64.urlsafe_b64encode(msgspec.json.encode(content)).decode()
        cookie = f"{encoded}.{self._signature(encoded)}"
        seconds = max(0, int(self._ends_at(content) - self._clock.wall()))
        companion = quote(content.username, safe="")
        request.set_cookies += [
            _cookie(request, cookie_name(request), cookie, seconds, readable=False),
            _cookie(request, COMPANION_COOKIE, companion, seconds, readable=True),
        ]

    def _signature(self, encoded: str) -> str:
        digest = hmac.digest(self._key, b"cookie\0" + encoded.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _is_of(self, user: User, content: _Content) -> bool:
        """Whether the user still has the password with which the session began."""
        said = content.password.encode()
        return any(
            hmac.compare_digest(self._fingerprint(user, stored).encode(), said)
            for stored in (user.password_hash, *user.former_hashes)
        )

    def _fingerprint(self, user: User, password_hash: str | None) -> str:
        """Changes with the password; says nothing about it without our key."""
        stored = b"" if password_hash is None else password_hash.encode()
        text = b"password\0" + str(user.id).encode() + b"\0" + stored
        return hmac.digest(self._key, text, hashlib.sha256).hex()[:32]


def cookie_name(request: Request) -> str:
    """Over TLS a name that browsers let no neighbouring host set."""
    return f"__Host-{_NAME}" if request.secure else _NAME


def has_cookie(request: Request) -> bool:
    """Whether the request comes with a session's cookie, good or bad."""
    return bool(request.cookie_values(cookie_name(request)))


def _cookie(request: Request, name: str, value: str, seconds: int, *, readable: bool) -> bytes:
    parts = [f"{name}={value}", "Path=/", "SameSite=Lax", f"Max-Age={seconds}"]
    if request.secure:
        parts.append("Secure")
    if not readable:
        parts.append("HttpOnly")
    return "; ".join(parts).encode()
