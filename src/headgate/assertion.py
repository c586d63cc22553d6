"""The identity that the gateway signs into each request for the MLflow behind it.

The gateway strips whatever a client sent under `HEADER`, says who it is with `sign`, and the
app inside MLflow believes what `verify` accepts and nothing else. The assertion holds for one
method and one raw target (path and query, undecoded) and for `LIFETIME` seconds, so that one
that leaks is worth little. It is not encrypted: it names a user, it holds no secret.

Both functions run once per proxied request and cost a few microseconds.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

HEADER = "x-headgate-identity"
LIFETIME = 60.0
"""Seconds from signing to the last moment of use."""

_CLOCK_SKEW = 5.0
"""How far ahead the signer's clock may be, in seconds."""
_LONGEST = 4096


def sign(key: bytes, *, username: str, method: str, raw_target: bytes, now: float) -> str:
    """An assertion that `username` sends this request now; `now` is Unix time."""
    name = urlsafe_b64encode(username.encode()).decode()
    claims = f"{name}.{int(now * 1000)}.{secrets.token_hex(8)}"
    return f"{claims}.{_seal(key, claims, method, raw_target)}"


def verify(key: bytes, token: str, *, method: str, raw_target: bytes, now: float) -> str:
    """The username that `token` asserts; raises ValueError if it is not ours, not for this
    request or not fresh.
    """
    claims, _, seal = token.rpartition(".")
    if len(token) > _LONGEST or not token.isascii():
        raise ValueError("The identity is malformed.")
    if not hmac.compare_digest(seal, _seal(key, claims, method, raw_target)):
        raise ValueError("The identity is not signed for this request.")
    # Only what we signed ourselves is parsed, so its shape is known.
    name, issued, _nonce = claims.split(".")
    age = now - int(issued) / 1000
    if not -_CLOCK_SKEW <= age <= LIFETIME:
        raise ValueError("The identity is not fresh.")
    return urlsafe_b64decode(name).decode()


def raw_target(raw_path: bytes, query: bytes) -> bytes:
    """The target as both sides sign it, from an ASGI scope's `raw_path` and `query_string`."""
    return raw_path + b"?" + query if query else raw_path


def _seal(key: bytes, claims: str, method: str, target: bytes) -> str:
    # The target comes last and the method's length is part of the text, so that no two
    # requests give the same bytes.
    message = f"{claims}|{len(method)}|{method}|".encode() + target
    return hmac.digest(key, message, "sha256").hex()
