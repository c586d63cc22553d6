"""Which headers cross the door, in both directions.

A connection's own headers (RFC 9110, 7.6.1) stay on their side. MLflow is told who it is by one
signed header, and by nothing that a client could have sent; and it never learns the client's
Host or Origin, as those are checked here and its own checks know nothing of our settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

HOST = "localhost"

_OF_A_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_PASSED_ON = _OF_A_CONNECTION | {
    b"authorization",
    b"content-length",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"http2-settings",
    b"origin",
    b"x-real-ip",
    b"x-request-id",
}
_NOT_PASSED_ON_PREFIXES = (b"x-headgate-", b"x-forwarded-", b"proxy-")
_NOT_PASSED_BACK = _OF_A_CONNECTION | {
    b"date",
    b"server",
    b"www-authenticate",  # MLflow's own sign-in; a browser would open a dialog for it
    b"x-request-id",
}
_NOT_PASSED_BACK_PREFIXES = (b"x-headgate-", b"access-control-")
# MLflow makes absolute addresses of the Host that we tell it; clients know it by another.
_OUR_HOST = re.compile(rb"https?://" + HOST.encode() + rb"(?=/)")


def to_mlflow(headers: Iterable[tuple[bytes, bytes]], *, decoded: bool) -> list[tuple[str, str]]:
    """What is passed on of a client's headers (lower-case names), as the HTTP client wants them.

    `decoded` is whether the body was decompressed on its way.
    """
    headers = list(headers)
    named = _named_by_connection(headers)
    return [
        (name.decode("ascii"), _text(value))
        for name, value in headers
        if name not in _NOT_PASSED_ON
        and name not in named
        and not name.startswith(_NOT_PASSED_ON_PREFIXES)
        # WSGI reads `X_Y` and `X-Y` as one header; nobody but an attacker sends the first.
        and b"_" not in name
        and not (decoded and name == b"content-encoding")
    ]


def from_mlflow(raw: Iterable[tuple[bytes, bytes]], status: int) -> Headers:
    """What is passed back of MLflow's headers, in its order, repeated ones included."""
    headers = [(name.lower(), value) for name, value in raw]
    named = _named_by_connection(headers)
    passed: Headers = []
    for name, value in headers:
        if name in _NOT_PASSED_BACK or name in named or name.startswith(_NOT_PASSED_BACK_PREFIXES):
            continue
        if name == b"content-length" and status in (204, 304):
            continue  # there is no body, and the length of another one helps nobody
        passed.append((name, _OUR_HOST.sub(b"", value) if name == b"location" else value))
    return passed


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    )


def _text(value: bytes) -> str:
    # The client encodes what we hand it as UTF-8, so this round trip changes nothing but the
    # rare value in another encoding, which then arrives as the same letters in UTF-8.
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
