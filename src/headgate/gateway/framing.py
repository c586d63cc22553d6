"""What the head of a request must look like before anything else looks at it.

llhttp (under httptools) refuses most of what makes two servers disagree about where a request
ends: bare LF, folded headers, odd lengths. This module refuses the rest: what llhttp lets pass
because a proxy or a WebSocket server might want it. Start at `check_head`; it knows no
connection and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from headgate.errors import ApiError, bad_request
from headgate.gateway.request import json_headers

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256

# Headers that decide who a request is from, where it goes or how it is read. Servers differ in
# which of two they take, so a second one makes the request ambiguous.
ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"origin",
        b"transfer-encoding",
        b"upgrade",
        b"x-mlflow-workspace",
    }
)

# Origin form only. `#` never belongs in a target; `\` is a slash to some and a letter to others,
# which matters in a path and not in a query.
_TARGET = re.compile(rb'/[!-"$->@-\[\]-~]*+(?:\?[!-"$-~]*+)?')
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")


def check_head(
    *, method: bytes, target: bytes, version: str, once: Mapping[bytes, bytes], upgrade: bool
) -> None:
    """Raise `ApiError` (with `close`) for a head that is not one plain HTTP/1 request.

    `once` holds the headers of `ONCE` that were sent; `upgrade` is whether the parser would
    leave HTTP behind this head.
    """
    if version not in ("1.1", "1.0"):
        raise _refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 is spoken here.")
    if method not in METHODS:
        raise _refusal(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "This method is not served.",
            headers=((b"allow", b", ".join(sorted(METHODS))),),
        )
    if not _TARGET.fullmatch(target):
        raise bad_request(
            "The request target must be a path: printable ASCII, no backslash, no host.",
            close=True,
        )
    _check_host(version, once.get(b"host"))
    has_body = _check_body_framing(version, once)
    expect = once.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise _refusal(HTTPStatus.EXPECTATION_FAILED, "Only Expect: 100-continue is known.")
    # The parser takes whatever follows an upgrade as no longer HTTP, so a body would be lost.
    if upgrade and (has_body or b"websocket" in once.get(b"upgrade", b"").lower()):
        raise bad_request("WebSockets and other upgrades are not served here.", close=True)


def head_size(target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> int:
    """About how many bytes a head of these parts was."""
    # Name, colon, space, value, CRLF; and a request line of method, target and version.
    return len(target) + 20 + sum(len(name) + len(value) + 4 for name, value in headers)


def head_too_large() -> ApiError:
    """431 for a head, or trailers, beyond `MAX_HEAD_BYTES` or `MAX_HEADERS`."""
    return _refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"Request headers are limited to {MAX_HEAD_BYTES // 1024} KB and {MAX_HEADERS} lines.",
    )


def timed_out(what: str) -> ApiError:
    """408: `what` did not arrive in time."""
    return _refusal(HTTPStatus.REQUEST_TIMEOUT, f"{what} did not arrive in time.")


def repeated(name: bytes) -> ApiError:
    """400 for a second header of `ONCE`."""
    return bad_request(f"The header {name.decode('ascii')} was sent twice.", close=True)


def malformed() -> ApiError:
    """400 for what is not HTTP at all, without saying how far the parser came."""
    return bad_request("The request is not valid HTTP/1.1.", close=True)


def render(error: ApiError, request_id: str, common: list[tuple[bytes, bytes]]) -> bytes:
    """The whole answer, as it goes over the wire, to what never became a request."""
    body = error.body(request_id)
    headers = [
        *common,
        *json_headers(body),
        *error.headers,
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[error.status] + lines + b"\r\n" + body


def _check_host(version: str, host: bytes | None) -> None:
    if host is None:
        if version == "1.1":
            raise bad_request("A request needs a Host header.", close=True)
    elif not _HOST.fullmatch(host):
        raise bad_request("The Host header is not a name or address with a port.", close=True)


def _check_body_framing(version: str, once: Mapping[bytes, bytes]) -> bool:
    length = once.get(b"content-length")
    coding = once.get(b"transfer-encoding")
    if coding is not None:
        # HTTP/1.0 has no transfer codings: an old proxy in front would not have seen this one.
        if length is not None or version != "1.1" or coding.strip().lower() != b"chunked":
            raise bad_request(
                "Transfer-Encoding must be chunked, alone and in HTTP/1.1.", close=True
            )
        return True
    if length is None:
        return False
    if not _LENGTH.fullmatch(length.strip()):
        raise bad_request("Content-Length must be a plain number.", close=True)
    return int(length) > 0


def _refusal(
    status: HTTPStatus, message: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> ApiError:
    return ApiError(status, "BAD_REQUEST", message, headers=headers, close=True)
