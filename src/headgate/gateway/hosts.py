"""Which names this server answers to, and which pages may call it.

A page of any site can make its own name point at our address (DNS rebinding) and then read our
answers as its own; so the Host has to be a name that we know. And a page can make a browser
write to us from anywhere; so a write with a foreign Origin is refused, whatever credential it
has. MLflow's own checks see none of this: it gets one Host and no Origin from us.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from http import HTTPStatus

from headgate.errors import forbidden
from headgate.gateway.request import Request, answer

Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_EXPOSED = b"Content-Disposition, Retry-After, X-Request-Id"
_PREFLIGHT_SECONDS = b"600"
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,4096}")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class HostPolicy:
    """The names and origins of the settings; loopback is always among the names."""

    def __init__(self, allowed_hosts: Sequence[str], allowed_origins: Sequence[str]) -> None:
        names = [_name_of(host) for host in allowed_hosts]
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._origins = frozenset(_normal_origin(origin) for origin in allowed_origins)

    def check(self, request: Request) -> None:
        """Raise `ApiError` 403 for a Host that is not ours, or a write from a foreign page."""
        if not self.knows_host(request.header(b"host")):
            raise forbidden(
                "This server does not answer to that Host. If it is a name of yours for it, add "
                "it to the setting allowed_hosts (--allowed-hosts)."
            )
        if request.writes and not self.may_call(request):
            raise forbidden(
                "A page of another origin may not write here. If it is yours, add its origin to "
                "the setting allowed_origins (--allowed-origins)."
            )

    def knows_host(self, header: bytes | None) -> bool:
        """Whether this Host header names us; its port does not matter."""
        if header is None:
            return False
        name = _name_of(header.decode("latin-1"))
        if name == "localhost" or name in self._names or name.endswith(self._suffixes):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def is_preflight(self, request: Request) -> bool:
        """Whether a browser asks what a page of another origin may send."""
        return (
            request.method == "OPTIONS"
            and request.header(b"origin") is not None
            and request.header(b"access-control-request-method") is not None
        )

    async def answer_preflight(self, request: Request) -> None:
        """Allow an allowed origin what it asks for. Raises `ApiError` 403 for another."""
        if not self.may_call(request):
            raise forbidden("Pages of this origin may not call this server.")
        headers: Headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        wanted = request.header(b"access-control-request-headers")
        if wanted and _HEADER_NAMES.fullmatch(wanted):
            headers.append((b"access-control-allow-headers", wanted))
        await answer(request, int(HTTPStatus.NO_CONTENT), headers, b"")

    def complete(self, request: Request, headers: Headers) -> Headers:
        """The headers of an answer, with what an allowed origin's page needs to read it."""
        if not self._origins:
            return headers
        completed = list(headers)
        if not any(name.lower() == b"vary" and b"origin" in v.lower() for name, v in headers):
            completed.append((b"vary", b"Origin"))
        origin = request.header(b"origin")
        if origin is not None and _normal_origin(origin.decode("latin-1")) in self._origins:
            completed += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        return completed

    def allows_origin(self, request: Request) -> bool:
        """Whether the settings let the page that sent this call us, from another origin."""
        header = request.header(b"origin")
        return header is not None and _normal_origin(header.decode("latin-1")) in self._origins

    def may_call(self, request: Request) -> bool:
        """Whether no page sent this, or one of ours, or one that the settings allow."""
        header = request.header(b"origin")
        if header is None:
            return True  # programs send none, browsers do with every write
        origin = _normal_origin(header.decode("latin-1"))
        return origin in self._origins or is_own_origin(request, origin)


def _name_of(host: str) -> str:
    """The name or bare address in `host`, in lower case, without port, brackets or last dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    if host.count(":") > 1:  # a bare IPv6 address, as a person may write it in a setting
        return host.lower()
    return host.partition(":")[0].removesuffix(".").lower()


def _normal_origin(origin: str) -> str:
    scheme, _, authority = origin.lower().partition("://")
    return f"{scheme}://{authority.removesuffix(':' + _DEFAULT_PORTS.get(scheme, ''))}"


def is_own_origin(request: Request, origin: str) -> bool:
    """Whether a page of ours sent this. Where TLS ends before us, https may look like http."""
    origin = _normal_origin(origin)
    scheme = origin.partition("://")[0]
    if scheme not in _DEFAULT_PORTS or (request.secure and scheme == "http"):
        return False
    host = (request.header(b"host") or b"").decode("latin-1")
    return bool(host) and origin == _normal_origin(f"{scheme}://{host}")
