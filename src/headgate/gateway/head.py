"""From an ASGI scope to a `Request`, and what no request may have at its door.

The parser (`protocol.py`) has refused what is not HTTP. Here are the refusals that need the
whole head: headers that only the gateway may set, and repeated ones of which nobody can tell
which counts.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from headgate.errors import SettingsError, bad_request
from headgate.gateway.request import Request

_SINGLE = (b"host", b"authorization", b"content-type", b"content-length", b"origin")
_INTERNAL_PREFIX = b"x-headgate-"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HeadReader:
    """Makes a `Request` of a scope; believes forwarding headers of `trusted_proxies` alone.

    `iam_header` names AWS's principal where the request comes from `iam_networks`, and is
    dropped in any case. Without networks it is a header like any other.
    """

    def __init__(
        self,
        trusted_proxies: Sequence[str],
        *,
        iam_header: str = "",
        iam_networks: Sequence[str] = (),
    ) -> None:
        self._trusted = [_network(text) for text in trusted_proxies]
        self._iam_header = iam_header.encode()
        self._iam_trusted = [_network(text) for text in iam_networks]

    def read(self, scope: Scope, receive: Receive, send: Send) -> Request:
        """The request, with an id of its own."""
        peer = scope["client"][0] if scope.get("client") else "unix"
        request = Request(
            scope=scope,
            receive=receive,
            send=send,
            id=secrets.token_hex(8),
            method=scope["method"],
            raw_path=scope["raw_path"],
            query=scope["query_string"],
            headers=list(scope["headers"]),
            client=peer,
            secure=scope["scheme"] == "https",
        )
        if self._trusted and _is_within(peer, self._trusted):
            self._believe_proxy(request)
        if self._iam_trusted:
            self.take_iam_caller(request, peer)
        return request

    def take_iam_caller(self, request: Request, peer: str) -> None:
        """Move the principal's header out of the headers, whoever sent it and however spelt; it
        counts if `peer`, who has the connection, is trusted with it."""
        said = [value for name, value in request.headers if name == self._iam_header]
        request.headers = [
            (name, value)
            for name, value in request.headers
            if name.replace(b"_", b"-") != self._iam_header
        ]
        trusted = peer != "unix" and _is_within(peer, self._iam_trusted)
        if trusted and said and said != [b""]:
            # Two of them cannot both be API Gateway's, which overwrites; nobody is called that.
            request.iam_caller = b",".join(said).decode("latin-1")

    def _believe_proxy(self, request: Request) -> None:
        """Take address and scheme from the nearest proxy that we do not know ourselves.

        The list grows to the right, so the first address from the right that is not a trusted
        proxy is the client; everything left of it is the client's own claim.
        """
        line = b",".join(v for n, v in request.headers if n == b"x-forwarded-for")
        hops = [hop.strip().decode("latin-1") for hop in line.split(b",") if hop.strip()]
        for hop in reversed(hops):
            request.client = hop
            if not _is_within(hop, self._trusted):
                break
        proto = request.header(b"x-forwarded-proto")
        if proto is not None:
            request.secure = proto.strip().lower() == b"https"


def check_head(request: Request) -> None:
    """Refuse (400, close) a head that two readers could read differently, or that plays us."""
    seen: set[bytes] = set()
    for name, _ in request.headers:
        # WSGI servers read `X_Headgate_…` and `X-Headgate-…` as one header.
        if name.replace(b"_", b"-").startswith(_INTERNAL_PREFIX):
            raise bad_request(
                f"No client may send the header {name.decode('latin-1')}.", close=True
            )
        if name in _SINGLE:
            if name in seen:
                raise bad_request(f"The header {name.decode()} occurs more than once.", close=True)
            seen.add(name)
    if not request.raw_path.startswith(b"/"):
        raise bad_request("The request target has to be a path that starts with '/'.", close=True)


def _is_within(text: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text == "unix"
    return any(address in network for network in networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(
            f"trusted_proxies: '{text}' is not an address or a network such as 10.0.0.0/8."
        ) from None
